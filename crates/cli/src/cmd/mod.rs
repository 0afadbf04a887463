//! One file a command. What commands share: finding the cluster, and ctrl-c; which partitions are meant is in `partitions`.

pub(crate) mod consume;
pub(crate) mod demo;
pub(crate) mod groups;
pub(crate) mod manual;
mod partitions;
pub(crate) mod produce;
pub(crate) mod serve;
pub(crate) mod topics;

use std::fmt;
use std::time::Duration;

use kohort::Admin;
use kohort::admin::Results;
use tokio::task::JoinSet;

use crate::args::ClusterArgs;
use crate::failure::{Failure, INTERRUPTED};

/// How long a cluster may take to answer at all before the command gives up; longer where `request.timeout.ms` is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const REQUEST_TIMEOUT: &str = "request.timeout.ms";

/// The properties of any client by which it makes its connections.
const OF_CONNECTIONS: [&str; 3] = [
    REQUEST_TIMEOUT,
    "socket.connection.setup.timeout.ms",
    "socket.connection.setup.timeout.max.ms",
];

/// How long a command that was told to stop may go on in silence.
const PATIENCE: Duration = Duration::from_secs(1);

/// An admin client of the cluster, with the properties of the command line, after the cluster has answered.
async fn admin(cluster: &ClusterArgs) -> Result<Admin, Failure> {
    connect(&cluster.bootstrap, &cluster.properties).await
}

/// An admin client for a command whose properties are those of another client: it makes sure that the cluster answers, so that a
/// wrong address is told within seconds.
async fn reach(cluster: &ClusterArgs) -> Result<Admin, Failure> {
    let own = cluster.properties.iter();
    let own: Vec<_> = own
        .filter(|(key, _)| OF_CONNECTIONS.contains(&key.as_str()))
        .cloned()
        .collect();
    connect(&cluster.bootstrap, &own).await
}

/// The admin client of the server that answers first. All are asked at once: one that accepts connections and stays silent
/// would keep the others from their turn for `request.timeout.ms`.
async fn connect(bootstrap: &str, properties: &[(String, String)]) -> Result<Admin, Failure> {
    // What is wrong with the list as a whole is told of the whole.
    let _never_connected = build(bootstrap, properties)?;
    let mut asking = JoinSet::new();
    for server in bootstrap.split(',').filter(|server| !server.trim().is_empty()) {
        let admin = build(server, properties)?;
        asking.spawn(async move { admin.describe_cluster().await.map(|_| admin) });
    }
    let patience = patience(properties);
    let first = async {
        let mut last = None;
        while let Some(asked) = asking.join_next().await {
            match asked {
                Ok(Ok(admin)) => return Ok(admin),
                Ok(Err(error)) => last = Some(error),
                Err(ended) => {
                    if let Ok(panic) = ended.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
        Err(last)
    };
    let what = format!("no broker answers at {bootstrap}");
    match tokio::time::timeout(patience, first).await {
        Ok(Ok(admin)) => Ok(admin),
        Ok(Err(Some(error))) => Err(Failure::because(what, &error)),
        Ok(Err(None)) | Err(_) => Err(Failure::Failed(format!(
            "{what} within {} s; is it running, and is the address right (-b HOST:PORT)?",
            patience.as_secs()
        ))),
    }
}

fn build(bootstrap: &str, properties: &[(String, String)]) -> Result<Admin, Failure> {
    let mut builder = Admin::builder()
        .set("bootstrap.servers", bootstrap)
        .set("client.id", "kohort-cli");
    for (key, value) in properties {
        builder = builder.set(key, value);
    }
    builder
        .build()
        .map_err(|error| Failure::building("admin client", &error))
}

fn patience(properties: &[(String, String)]) -> Duration {
    let given = properties.iter().rev().find(|(key, _)| key == REQUEST_TIMEOUT);
    let given = given.and_then(|(_, value)| value.trim().parse().ok());
    CONNECT_TIMEOUT.max(Duration::from_millis(given.unwrap_or(0)))
}

/// Signals that come together are one: `timeout` sends one to the process and one to its group.
const TOGETHER: Duration = Duration::from_millis(100);

/// After the process was told to stop: says so when that takes long, and ends it at once when it is told again.
async fn insist() {
    tokio::time::sleep(TOGETHER).await;
    tokio::select! {
        () = told_to_stop() => {}
        () = tokio::time::sleep(PATIENCE) => {
            anstream::eprintln!("kohort: waiting for the broker; ctrl-c again ends at once");
            told_to_stop().await;
        }
    }
    std::process::exit(i32::from(INTERRUPTED));
}

/// Ends when the process is told to stop after this call, by ctrl-c or by SIGTERM.
fn told_to_stop() -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        [SignalKind::interrupt(), SignalKind::terminate()].map(signal)
    };
    async move {
        #[cfg(unix)]
        if let [Ok(mut interrupt), Ok(mut terminate)] = signals {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        // Without a handler the default one ends the process, which is what was asked for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Hands every good result to `good`, then fails with the first bad one if there is any.
fn each<K: fmt::Display, V>(
    what: &str,
    results: Results<K, V>,
    mut good: impl FnMut(K, V),
) -> Result<(), Failure> {
    let mut bad = None;
    for (name, result) in results {
        match result {
            Ok(value) => good(name, value),
            Err(error) => {
                bad.get_or_insert_with(|| Failure::because(format!("{what} {name}"), &error));
            }
        }
    }
    bad.map_or(Ok(()), Err)
}
