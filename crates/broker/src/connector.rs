//! The way to a broker in the same process, without a port.

use std::future::Future;
use std::io;

use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};

use crate::admission::Admission;
use crate::connection::{Accepted, Shared, serve};
use crate::limits::Limits;
use crate::node_task::Input;

/// How many bytes each direction of a connection holds.
const BUFFER_BYTES: usize = 256 << 10;

/// Opens in-memory connections to a broker. Cloning it is cheap; connecting fails once the broker is gone.
///
/// It stands in for a TCP connect: the port says which of the brokers is meant, the host does not matter.
#[derive(Debug, Clone)]
pub struct Connector {
    node: mpsc::Sender<Input>,
    stop: watch::Receiver<bool>,
    /// Weak, so that a connector that is kept does not keep `shutdown` waiting.
    alive: mpsc::WeakSender<()>,
    limits: Limits,
    admission: Admission,
    /// The brokers' ids with their advertised ports.
    ports: Vec<(i32, u16)>,
}

impl Connector {
    pub(crate) fn new(shared: &Shared, admission: Admission, ports: Vec<(i32, u16)>) -> Self {
        Self {
            node: shared.node.clone(),
            stop: shared.stop.clone(),
            alive: shared.alive.downgrade(),
            limits: shared.limits.clone(),
            admission,
            ports,
        }
    }

    /// Connects to the broker that advertises `port`. Must be called inside a tokio runtime. Cancel safe.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` when no broker advertises the port, when `max.connections` are open and each waits for the
    /// answer to a request (else the one that has asked nothing for the longest time is closed), or when the broker is stopped or has
    /// ended.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<DuplexStream> {
        let refused = |why: &str| {
            io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("in-memory connection to {host}:{port}: {why}"),
            )
        };
        let broker = self.ports.iter().find(|(_, advertised)| *advertised == port);
        let (broker, _) = broker.ok_or_else(|| refused("no broker has this port"))?;
        if self.admission.is_stopped(*broker) {
            return Err(refused("the broker is stopped"));
        }
        let alive = self.alive.upgrade().filter(|_| !self.node.is_closed());
        let shared = Shared {
            node: self.node.clone(),
            stop: self.stop.clone(),
            alive: alive.ok_or_else(|| refused("the broker has ended"))?,
            limits: self.limits.clone(),
        };
        let place = self
            .admission
            .try_admit()
            .await
            .ok_or_else(|| refused("max.connections are open, and all are at work"))?;
        let (near, far) = tokio::io::duplex(BUFFER_BYTES);
        let accepted = Accepted {
            place,
            broker: *broker,
            peer: "/127.0.0.1".into(),
        };
        tokio::spawn(serve(far, accepted, shared));
        Ok(near)
    }

    /// The connector as a function from host and port, which is the shape of a client's transport.
    pub fn into_fn(
        self,
    ) -> impl Fn(String, u16) -> std::pin::Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send>>
    + Clone
    + Send
    + Sync
    + 'static {
        move |host, port| {
            let connector = self.clone();
            Box::pin(async move { connector.connect(&host, port).await })
        }
    }
}
