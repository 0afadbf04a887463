//! The one task that owns the node: takes inputs in the order they come, performs the node's actions, arms its deadline.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use kohort_machine::{Machine, Token, TokenSource};
use kohort_node::{Action, ConnId, Control, ControlError, Event, Level, Node};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::connection::Outgoing;

/// What happens to the node.
#[derive(Debug)]
pub(crate) enum Input {
    Connected {
        conn: ConnId,
        broker: i32,
        peer: Arc<str>,
        outgoing: mpsc::UnboundedSender<Outgoing>,
    },
    Frame {
        conn: ConnId,
        bytes: Bytes,
    },
    Disconnected {
        conn: ConnId,
    },
    Control {
        control: Box<Control>,
        reply: oneshot::Sender<Result<(), Box<ControlError>>>,
    },
}

/// The node and who waits for it.
pub(crate) struct NodeTask {
    node: Node,
    clock: Clock,
    connections: HashMap<ConnId, mpsc::UnboundedSender<Outgoing>>,
    tokens: TokenSource,
    controls: HashMap<Token, oneshot::Sender<Result<(), Box<ControlError>>>>,
}

impl NodeTask {
    pub(crate) fn new(node: Node, clock: Clock) -> Self {
        Self {
            node,
            clock,
            connections: HashMap::new(),
            tokens: TokenSource::new(),
            controls: HashMap::new(),
        }
    }

    /// Runs until the broker ends.
    pub(crate) async fn run(mut self, mut inputs: mpsc::Receiver<Input>, mut stop: watch::Receiver<bool>) {
        loop {
            self.perform();
            let deadline = self
                .node
                .next_deadline()
                .and_then(|next| self.clock.tokio_instant(next.at));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                input = inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => return,
                },
                () = due(deadline) => self.node.handle_timeout(self.clock.now()),
            }
        }
    }

    fn take(&mut self, input: Input) {
        let now = self.clock.now();
        let event = match input {
            Input::Connected {
                conn,
                broker,
                peer,
                outgoing,
            } => {
                self.connections.insert(conn, outgoing);
                Event::Connected { conn, broker, peer }
            }
            Input::Frame { conn, bytes } => Event::Frame {
                conn,
                bytes,
                wall_ms: self.clock.wall_ms(now),
            },
            Input::Disconnected { conn } => {
                self.connections.remove(&conn);
                Event::Disconnected { conn }
            }
            Input::Control { control, reply } => {
                let token = self.tokens.issue();
                self.controls.insert(token, reply);
                Event::Control { token, control }
            }
        };
        self.node.handle(now, event);
    }

    fn perform(&mut self) {
        while let Some(action) = self.node.poll_action() {
            match action {
                Action::Write { conn, segments } => self.tell(conn, Outgoing::Write(segments)),
                Action::Ready { conn } => self.tell(conn, Outgoing::Ready),
                Action::Close { conn, .. } => {
                    self.tell(conn, Outgoing::Close);
                    self.connections.remove(&conn);
                }
                Action::Controlled { token, result } => {
                    if let Some(reply) = self.controls.remove(&token) {
                        // Who asked may have stopped waiting.
                        let _ = reply.send(result);
                    }
                }
                Action::Log(line) => match line.level {
                    Level::Info => tracing::info!("{}", line.message),
                    Level::Warn => tracing::warn!("{}", line.message),
                },
            }
        }
    }

    fn tell(&self, conn: ConnId, outgoing: Outgoing) {
        if let Some(connection) = self.connections.get(&conn) {
            // The connection's task may have ended; its Disconnected is then on the way.
            let _ = connection.send(outgoing);
        }
    }
}

async fn due(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
