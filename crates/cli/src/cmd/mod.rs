//! One file a command. What commands share: finding the cluster, and ctrl-c.

pub(crate) mod consume;
pub(crate) mod demo;
pub(crate) mod groups;
pub(crate) mod manual;
pub(crate) mod produce;
pub(crate) mod serve;
pub(crate) mod topics;

use std::fmt;
use std::time::Duration;

use kohort::Admin;
use kohort::admin::Results;

use crate::args::ClusterArgs;
use crate::failure::{Failure, INTERRUPTED};

/// How long a cluster may take to answer at all before the command gives up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a command that was told to stop may go on in silence.
const PATIENCE: Duration = Duration::from_secs(1);

/// An admin client of the cluster, with the properties of the command line, after the cluster has answered.
async fn admin(cluster: &ClusterArgs) -> Result<Admin, Failure> {
    connect(&cluster.bootstrap, &cluster.properties).await
}

/// An admin client for a command whose properties are those of another client: it makes sure that the cluster answers, so that a
/// wrong address is told within seconds.
async fn reach(cluster: &ClusterArgs) -> Result<Admin, Failure> {
    connect(&cluster.bootstrap, &[]).await
}

async fn connect(bootstrap: &str, properties: &[(String, String)]) -> Result<Admin, Failure> {
    let mut builder = Admin::builder()
        .set("bootstrap.servers", bootstrap)
        .set("client.id", "kohort-cli");
    for (key, value) in properties {
        builder = builder.set(key, value);
    }
    let admin = builder
        .build()
        .map_err(|error| Failure::building("admin client", &error))?;
    match tokio::time::timeout(CONNECT_TIMEOUT, admin.describe_cluster()).await {
        Ok(Ok(_)) => Ok(admin),
        Ok(Err(error)) => Err(Failure::because(
            format!("no broker answers at {bootstrap}"),
            &error,
        )),
        Err(_elapsed) => Err(Failure::Failed(format!(
            "no broker answers at {bootstrap} within {} s; is it running, and is the address right (-b HOST:PORT)?",
            CONNECT_TIMEOUT.as_secs()
        ))),
    }
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
