//! The one task that owns the node: takes inputs in the order they come, performs the node's actions, arms its deadline.
//!
//! While the node carries out a request, it looks at no other, and its deadlines pass. What came meanwhile, and was read, is taken before
//! they count, as many as wait at a time (1,024): a heartbeat that came in time keeps its member, although the request before it took long.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kohort_machine::{Instant, Machine, Token, TokenSource};
use kohort_node::log::{DiskTask, StorageError};
use kohort_node::{Action, ConnId, Control, ControlError, Event, Level, Node, Rebalance};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::connection::Outgoing;
use crate::data_dir::DataDir;
use crate::file_disk::FileDisk;
use crate::limits::Limits;

/// How long a request took that kept others waiting, and how long a deadline has passed when this task, or all of its runtime, was kept
/// from its work.
const LATE: Duration = Duration::from_millis(10);

/// How often other tasks get their turn then, where all share one thread: a client whose timer is due, the connection that reads
/// what it sends, and one to spare.
const TURNS: usize = 3;

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

/// Deadlines that have passed, and fire once some inputs are taken.
#[derive(Debug, Clone, Copy)]
struct Passed {
    /// When that was seen.
    at: Instant,
    /// How many of the inputs that had come by then are not taken yet.
    ahead: usize,
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
        let mut passed: Option<Passed> = None;
        let mut began = Instant::MAX;
        loop {
            self.perform();
            let now = self.clock.now();
            if now - began > LATE {
                // Who was answered is told before the next request, which may take as long: the runtime runs one that was woken from
                // here only when this task waits.
                yield_now().await;
            }
            let next = self.node.next_deadline().map(|next| next.at);
            if let Some(at) = next.filter(|at| passed.is_none() && *at <= now) {
                passed = Some(pass(self.clock, at, &inputs).await);
            }
            began = Instant::MAX;
            let deadline = next.and_then(|at| self.clock.tokio_instant(at));
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                Some((token, result)) = self.done.recv() => self.disk_done(token, result),
                Passed { at, .. } = ready(passed) => {
                    passed = None;
                    self.fire(at);
                }
                input = inputs.recv() => match input {
                    Some(input) => {
                        if let Some(passed) = &mut passed {
                            passed.ahead = passed.ahead.saturating_sub(1);
                        }
                        began = self.take(input);
                    }
                    None => return,
                },
                () = due(deadline) => {}
            }
        }
    }

    /// Fires the timers that were due at `at`. Those that are due since then wait for what came since then.
    fn fire(&mut self, at: Instant) {
        let now = self.clock.now();
        self.count_unread(now);
        self.node.handle_timeout_of(now, at);
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

    /// Carries an input out; gives when that began.
    fn take(&mut self, input: Input) -> Instant {
        let now = self.clock.now();
        self.count_unread(now);
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
                return now;
            }
        };
        self.node.handle(now, event);
        now
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

/// The deadline `at` has passed: what has come by now goes before it, and no more, so that however many inputs come, none puts it off.
async fn pass(clock: Clock, at: Instant, inputs: &mpsc::Receiver<Input>) -> Passed {
    if clock.now() - at > LATE {
        // What came may not have been read: whoever reads it was kept from it, too.
        for _ in 0..TURNS {
            yield_now().await;
        }
    }
    Passed {
        at: clock.now(),
        ahead: inputs.len(),
    }
}

/// Ends at once when nothing goes before the deadlines that have passed any more; never without such.
async fn ready(passed: Option<Passed>) -> Passed {
    match passed {
        Some(passed) if passed.ahead == 0 => passed,
        _ => std::future::pending().await,
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
    mod deadlines;

    use kohort_node::config::Config;
    use kohort_node::log::SegmentStorage;
    use kohort_node::{Broker, Cluster};
    use kohort_protocol::messages::RequestHeader;
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
        let mut config = Config::default();
        config.set("group.initial.rebalance.delay.ms", "0").unwrap();
        let limits = Limits::new(&config);
        NodeTask::new(Node::new(config, cluster, 0), Clock::start(), None, limits)
    }

    fn connect(task: &mut NodeTask, conn: u64, outgoing: mpsc::UnboundedSender<Outgoing>) {
        task.take(Input::Connected {
            conn: ConnId(conn),
            broker: 0,
            peer: "/127.0.0.1".into(),
            outgoing,
        });
    }

    /// A request, whose correlation id is the connection's.
    fn request(conn: u64, version: i16, request: impl Into<RequestBody>) -> Input {
        let header = RequestHeader {
            correlation_id: conn as i32,
            ..Default::default()
        };
        let frame = frame::encode_request(&header, version, &request.into()).unwrap();
        Input::Frame {
            conn: ConnId(conn),
            bytes: frame.freeze().slice(4..),
        }
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
