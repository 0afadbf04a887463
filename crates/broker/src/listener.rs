//! Accepts TCP connections, as many as `max.connections` allows; more wait in the system's backlog, as with Kafka.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kohort_node::ConnId;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::connection::{Accepted, Shared, serve};

/// How long the listener pauses when the system has no socket left.
const PAUSE: Duration = Duration::from_millis(50);

/// Gives connections their ids and their part of `max.connections`.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    next: Arc<AtomicU64>,
    pub(crate) permits: Arc<Semaphore>,
    /// The brokers that let nobody in.
    stopped: Arc<Mutex<BTreeSet<i32>>>,
}

impl Admission {
    pub(crate) fn new(max_connections: usize) -> Self {
        Self {
            next: Arc::new(AtomicU64::new(0)),
            permits: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            stopped: Arc::default(),
        }
    }

    pub(crate) fn is_stopped(&self, broker: i32) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.contains(&broker)
    }

    pub(crate) fn set_stopped(&self, broker: i32, is_stopped: bool) {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        match is_stopped {
            true => stopped.insert(broker),
            false => stopped.remove(&broker),
        };
    }

    pub(crate) fn next_id(&self) -> ConnId {
        ConnId(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Accepts connections to `broker` until the broker ends.
pub(crate) async fn accept_all(listener: TcpListener, broker: i32, admission: Admission, shared: Shared) {
    let mut stop = shared.stop.clone();
    tokio::select! {
        () = accept(&listener, broker, &admission, &shared) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn accept(listener: &TcpListener, broker: i32, admission: &Admission, shared: &Shared) {
    // The semaphore is never closed.
    while let Ok(permit) = admission.permits.clone().acquire_owned().await {
        match listener.accept().await {
            // As near to a refused connection as an open port comes.
            Ok((stream, _)) if admission.is_stopped(broker) => drop(stream),
            Ok((stream, address)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%address, %error, "TCP_NODELAY could not be set");
                }
                let accepted = Accepted {
                    conn: admission.next_id(),
                    broker,
                    // As Java prints an address.
                    peer: format!("/{}", address.ip()).into(),
                    permit,
                };
                tokio::spawn(serve(stream, accepted, shared.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
