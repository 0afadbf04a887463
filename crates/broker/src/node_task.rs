//! The one task that owns the node: takes inputs in the order they come, performs the node's actions, arms its deadline.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use kohort_machine::{Instant, Machine, Token, TokenSource};
use kohort_node::log::{DiskTask, StorageError};
use kohort_node::{Action, ConnId, Control, ControlError, Event, Level, Node, Rebalance};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::connection::Outgoing;
use crate::data_dir::DataDir;
use crate::file_disk::FileDisk;
use crate::limits::Limits;

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
    Rebalances {
        group_id: String,
        reply: oneshot::Sender<Vec<Arc<Rebalance>>>,
    },
}

/// The node and who waits for it.
pub(crate) struct NodeTask {
    node: Node,
    clock: Clock,
    connections: HashMap<ConnId, mpsc::UnboundedSender<Outgoing>>,
    limits: Limits,
    tokens: TokenSource,
    controls: HashMap<Token, oneshot::Sender<Result<(), Box<ControlError>>>>,
    files: Option<Files>,
    done: mpsc::UnboundedReceiver<(Token, Result<(), StorageError>)>,
    /// How many disk tasks were handed out and have not come back.
    outstanding: usize,
}

/// What a node with a data directory needs.
struct Files {
    /// Held, not read: it is ours as long as the node is.
    _dir: DataDir,
    disk: FileDisk,
    done: mpsc::UnboundedSender<(Token, Result<(), StorageError>)>,
}

impl NodeTask {
    pub(crate) fn new(node: Node, clock: Clock, data_dir: Option<DataDir>, limits: Limits) -> Self {
        let (sender, done) = mpsc::unbounded_channel();
        let files = data_dir.map(|dir| Files {
            disk: dir.disk(),
            _dir: dir,
            done: sender,
        });
        Self {
            files,
            done,
            outstanding: 0,
            node,
            clock,
            connections: HashMap::new(),
            limits,
            tokens: TokenSource::new(),
            controls: HashMap::new(),
        }
    }

    /// Runs until the broker ends, and closes its logs.
    pub(crate) async fn run(mut self, inputs: mpsc::Receiver<Input>, stop: watch::Receiver<bool>) {
        self.serve(inputs, stop).await;
        // A sync that fails now is the last to say so: the system tells it once.
        while self.outstanding > 0 {
            let Some((token, result)) = self.done.recv().await else {
                break;
            };
            self.disk_done(token, result);
            self.perform();
        }
        let Self { mut node, files, .. } = self;
        let Some(files) = files else { return };
        let closed = spawn_blocking(move || {
            let closed = node.close();
            // The directory is given free when nobody writes to it any more.
            drop((node, files));
            closed
        });
        match closed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the logs were not closed in order"),
            // The runtime ends: the next start finds the logs as after a crash.
            Err(_) => tracing::warn!("the logs were not closed in order: the runtime ended before"),
        }
    }

    async fn serve(&mut self, mut inputs: mpsc::Receiver<Input>, mut stop: watch::Receiver<bool>) {
        loop {
            self.perform();
            let deadline = self
                .node
                .next_deadline()
                .and_then(|next| self.clock.tokio_instant(next.at));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                Some((token, result)) = self.done.recv() => self.disk_done(token, result),
                input = inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => return,
                },
                () = due(deadline) => {
                    let now = self.clock.now();
                    self.count_unread(now);
                    self.node.handle_timeout(now);
                }
            }
        }
    }

    /// Records that are read from files stay in memory until their answers are read; those of a log in memory are there anyway.
    fn count_unread(&mut self, now: Instant) {
        if self.files.is_some() {
            let bytes = self.limits.records_room();
            self.node.handle(now, Event::RecordsRoom { bytes });
        }
    }

    fn disk_done(&mut self, token: Token, result: Result<(), StorageError>) {
        self.outstanding = self.outstanding.saturating_sub(1);
        let result = result.map_err(Box::new);
        let now = self.clock.now();
        self.count_unread(now);
        self.node.handle(now, Event::DiskDone { token, result });
    }

    fn take(&mut self, input: Input) {
        let now = self.clock.now();
        self.count_unread(now);
        // However many inputs wait, none may put a deadline off.
        if self.node.next_deadline().is_some_and(|next| next.at <= now) {
            self.node.handle_timeout(now);
        }
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
            Input::Rebalances { group_id, reply } => {
                // Who asked may have stopped waiting.
                let _ = reply.send(self.node.rebalances(now, &group_id));
                return;
            }
        };
        self.node.handle(now, event);
    }

    fn perform(&mut self) {
        while let Some(action) = self.node.poll_action() {
            match action {
                Action::Write {
                    conn,
                    segments,
                    records,
                } => {
                    self.tell(conn, Outgoing::Write(self.limits.reply(segments, records)));
                }
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
                Action::Disk { token, task } => self.carry_out(token, task),
                Action::Log(line) => match line.level {
                    Level::Info => tracing::info!("{}", line.message),
                    Level::Warn => tracing::warn!("{}", line.message),
                },
            }
        }
    }

    /// Lets another thread wait for the medium.
    fn carry_out(&mut self, token: Token, task: DiskTask) {
        if let Some(files) = &self.files {
            let (mut disk, done) = (files.disk.clone(), files.done.clone());
            self.outstanding = self.outstanding.saturating_add(1);
            spawn_blocking(move || {
                let result = task.carry_out(&mut disk);
                // The node may have ended meanwhile.
                let _ = done.send((token, result));
            });
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kohort_node::config::Config;
    use kohort_node::log::SegmentStorage;
    use kohort_node::{Broker, Cluster};
    use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
    use kohort_protocol::messages::{ApiVersionsRequest, FetchRequest, RequestHeader};
    use kohort_protocol::{RequestBody, frame};

    use super::*;
    use crate::data_dir::tests::{Scratch, take};

    fn task() -> NodeTask {
        let broker = Broker {
            id: 0,
            host: "localhost".into(),
            port: 9092,
            rack: None,
        };
        let cluster = Cluster {
            id: "cluster".into(),
            brokers: vec![broker],
        };
        let node = Node::new(Config::default(), cluster, 0);
        NodeTask::new(node, Clock::start(), None, Limits::new(&Config::default()))
    }

    fn connect(task: &mut NodeTask, conn: u64) -> mpsc::UnboundedReceiver<Outgoing> {
        let (outgoing, from_node) = mpsc::unbounded_channel();
        task.take(Input::Connected {
            conn: ConnId(conn),
            broker: 0,
            peer: "/127.0.0.1".into(),
            outgoing,
        });
        from_node
    }

    fn send(task: &mut NodeTask, conn: u64, version: i16, request: impl Into<RequestBody>) {
        let frame = frame::encode_request(&RequestHeader::default(), version, &request.into()).unwrap();
        task.take(Input::Frame {
            conn: ConnId(conn),
            bytes: frame.freeze().slice(4..),
        });
        task.perform();
    }

    #[tokio::test(start_paused = true)]
    async fn inputs_do_not_put_a_deadline_off() {
        let mut task = task();
        let control = Control::CreateTopic {
            name: "t".into(),
            partitions: 1,
            config: Vec::new(),
        };
        task.take(Input::Control {
            control: Box::new(control),
            reply: oneshot::channel().0,
        });
        let (mut waiting, _busy) = (connect(&mut task, 0), connect(&mut task, 1));
        let fetch = FetchRequest {
            max_wait_ms: 100,
            min_bytes: 1,
            max_bytes: 1 << 20,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: "t".into(),
                partitions: vec![FetchPartition::default()],
                ..Default::default()
            }],
            ..Default::default()
        };
        send(&mut task, 0, 4, fetch);
        send(&mut task, 1, 0, ApiVersionsRequest::default());
        assert!(waiting.try_recv().is_err());
        tokio::time::advance(Duration::from_millis(100)).await;
        send(&mut task, 1, 0, ApiVersionsRequest::default());
        assert!(matches!(waiting.try_recv(), Ok(Outgoing::Write(_))));
    }

    #[tokio::test]
    async fn a_sync_that_fails_while_the_broker_ends_is_no_orderly_end() {
        let scratch = Scratch::new("outstanding");
        let (dir, _stop) = take(&scratch).await;
        let dir = dir.unwrap();
        let storage = SegmentStorage::new(Box::new(dir.disk())).unwrap();
        let broker = Broker {
            id: 0,
            host: "localhost".into(),
            port: 9092,
            rack: None,
        };
        let cluster = Cluster {
            id: "cluster".into(),
            brokers: vec![broker],
        };
        let node = Node::open(Config::default(), cluster, Box::new(storage), 0, 0).unwrap();
        let mut task = NodeTask::new(node, Clock::start(), Some(dir), Limits::new(&Config::default()));
        task.perform();
        let control = Control::CreateTopic {
            name: "t".into(),
            partitions: 1,
            config: Vec::new(),
        };
        task.take(Input::Control {
            control: Box::new(control),
            reply: oneshot::channel().0,
        });
        // The medium has the sync of the new topic, and fails.
        while let Some(action) = task.node.poll_action() {
            if let Action::Disk { token, .. } = action {
                task.outstanding += 1;
                let error = StorageError {
                    operation: "syncing",
                    reason: "the medium failed".into(),
                };
                let done = task.files.as_ref().unwrap().done.clone();
                done.send((token, Err(error))).unwrap();
            }
        }
        assert!(task.outstanding > 0);
        let (_inputs, inputs) = mpsc::channel(1);
        let (_stop, stop) = watch::channel(true);
        task.run(inputs, stop).await;
        assert!(!scratch.path().join(".kafka_cleanshutdown").exists());
    }
}
