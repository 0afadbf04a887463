//! A way to the cluster that loses one message. A client is given it as its transport, and connects as it always does; both brokers
//! can so be made to fail one request. What a client then has to do is in `tests/`.

use std::io;

use bytes::{Bytes, BytesMut};
use kohort::transport::Transport;
use kohort_protocol::{ApiKey, frame};
use tokio::io::{AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::wire::next_frame;

const BUFFER: usize = 64 << 10;

/// What is lost. Its connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The request: the broker never hears of it.
    Request,
    /// The answer: the broker has done what it was asked for.
    Answer,
}

#[derive(Debug, Default)]
struct State {
    next_loss: Option<(ApiKey, Loss)>,
    /// How many were made.
    connections: usize,
    /// How many had been made when the message was lost.
    connections_at_loss: Option<usize>,
}

/// Connections by TCP, one of which ends when a message is lost.
#[derive(Debug, Default)]
pub struct Cable(watch::Sender<State>);

impl Cable {
    /// The transport of one client.
    pub fn transport(&self) -> Transport {
        let state = self.0.clone();
        Transport::new(move |host: String, port| {
            let state = state.clone();
            async move {
                let broker = TcpStream::connect((host, port)).await?;
                broker.set_nodelay(true)?;
                let (client, end) = tokio::io::duplex(BUFFER);
                // Whoever ends it, the other side learns of it by the end of its stream.
                tokio::spawn(async move { relay(end, broker, &state).await });
                Ok(client)
            }
        })
    }

    /// Loses the next request of this API, or its answer. The future waits until that has happened and the client, which has noticed
    /// it, has connected anew.
    pub fn lose(&self, api: ApiKey, loss: Loss) -> impl Future<Output = ()> + use<> {
        self.0.send_modify(|state| {
            state.next_loss = Some((api, loss));
            state.connections_at_loss = None;
        });
        let sender = self.0.clone();
        async move {
            let is_back = |state: &State| {
                state
                    .connections_at_loss
                    .is_some_and(|before| state.connections > before)
            };
            let waited = sender.subscribe().wait_for(is_back).await.map(drop);
            waited.expect("the sender is here");
        }
    }
}

/// Carries whole frames both ways until one side ends the connection or a message is lost.
async fn relay(client: DuplexStream, broker: TcpStream, state: &watch::Sender<State>) -> io::Result<()> {
    state.send_modify(|state| state.connections += 1);
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_broker, mut to_broker) = broker.into_split();
    let (mut requests, mut answers) = (BytesMut::new(), BytesMut::new());
    let mut lost_answer = None;
    loop {
        tokio::select! {
            request = next_frame(&mut from_client, &mut requests) => {
                let Some(request) = request else { return Ok(()) };
                let begins = frame::peek_request(&request).expect("a request of a client");
                match take(state, begins.key) {
                    Some(Loss::Request) => break,
                    Some(Loss::Answer) => lost_answer = Some(begins.correlation_id.to_be_bytes()),
                    None => {}
                }
                send(&mut to_broker, &request).await?;
            }
            answer = next_frame(&mut from_broker, &mut answers) => {
                let Some(answer) = answer else { return Ok(()) };
                if lost_answer.is_some_and(|correlation_id| answer.starts_with(&correlation_id)) {
                    break;
                }
                send(&mut to_client, &answer).await?;
            }
        }
    }
    state.send_modify(|state| state.connections_at_loss = Some(state.connections));
    Ok(())
}

/// The loss, if it is one of this API; there is none after it.
fn take(state: &watch::Sender<State>, api: i16) -> Option<Loss> {
    let mut taken = None;
    state.send_if_modified(|state| {
        taken = state
            .next_loss
            .take_if(|(key, _)| key.code() == api)
            .map(|(_, loss)| loss);
        taken.is_some()
    });
    taken
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), frame: &Bytes) -> io::Result<()> {
    let length = i32::try_from(frame.len()).expect("it was split off by a length");
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(frame).await
}
