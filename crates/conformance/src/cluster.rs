//! Which cluster the suite runs on.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use kohort_broker::Broker;

/// Which broker answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The embedded broker, started by the suite.
    Embedded,
    /// The cluster that `KOHORT_BOOTSTRAP` names: real Apache Kafka.
    Real,
}

/// The cluster under test.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// What answers.
    pub kind: Kind,
    /// `bootstrap.servers`.
    pub bootstrap: String,
}

/// The cluster under test: the one that `KOHORT_BOOTSTRAP` names, else one embedded broker for all tests of the process,
/// with Kafka's defaults but `group.initial.rebalance.delay.ms=0`.
///
/// # Panics
/// When the embedded broker cannot be started.
pub fn cluster() -> Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| named().unwrap_or_else(embedded)).clone()
}

fn named() -> Option<Cluster> {
    let bootstrap = std::env::var("KOHORT_BOOTSTRAP")
        .ok()
        .filter(|value| !value.is_empty())?;
    Some(Cluster {
        kind: Kind::Real,
        bootstrap,
    })
}

/// Starts the broker on a thread of its own, because it must outlive the runtime of the test that asked first.
fn embedded() -> Cluster {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let broker = Broker::builder()
                .listen("127.0.0.1:0")
                .start()
                .await
                .expect("the embedded broker starts");
            tell.send(broker.bootstrap_servers().to_owned())
                .expect("the first test waits");
            std::future::pending::<()>().await;
        });
    });
    Cluster {
        kind: Kind::Embedded,
        bootstrap: told.recv().expect("the embedded broker started"),
    }
}

/// A name that no other test and no other run uses: `stem` with a time and a number.
pub fn unique(stem: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    format!(
        "{stem}-{millis:x}-{:x}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
