//! Accepts TCP connections. Who finds no place (see [`crate::admission`]) waits, and those behind it in the system's backlog, as
//! with Kafka.

use std::time::Duration;

use tokio::net::TcpListener;

use crate::admission::Admission;
use crate::connection::{Accepted, Shared, serve};

/// How long the listener pauses when the system has no socket left.
const PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections to `broker` until the broker ends.
pub(crate) async fn accept_all(listener: TcpListener, broker: i32, admission: Admission, shared: Shared) {
    let mut stop = shared.stop.clone();
    tokio::select! {
        () = accept(&listener, broker, &admission, &shared) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn accept(listener: &TcpListener, broker: i32, admission: &Admission, shared: &Shared) {
    loop {
        match listener.accept().await {
            // As near to a refused connection as an open port comes.
            Ok((stream, _)) if admission.is_stopped(broker) => drop(stream),
            Ok((stream, address)) => {
                let Some(place) = admission.admit().await else {
                    return;
                };
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%address, %error, "TCP_NODELAY could not be set");
                }
                let accepted = Accepted {
                    place,
                    broker,
                    // As Java prints an address.
                    peer: format!("/{}", address.ip()).into(),
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
