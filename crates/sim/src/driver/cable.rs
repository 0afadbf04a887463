//! The way from a client to the brokers: in-memory connections that are slow, are cut, or go silent, as the seed says. They carry
//! whole messages, which the ledger is told of on the way.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use kohort::transport::Transport;
use kohort_broker::Connector;
use kohort_machine::Prng;
use kohort_node::ConnId;
use kohort_protocol::frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split};
use tokio::sync::watch;
use tokio::time::sleep;

use super::run::Run;
use crate::messages::Client;

/// The owners of cables that are producers begin here.
pub(super) const PRODUCERS: usize = 1_000_000;

/// How a cable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It takes this long one way beside its usual delay.
    Well(Duration),
    /// Its client is told that it ended; what the broker was sent is lost.
    Cut,
    /// Its client is told that it ended; what the broker was sent arrives late.
    CutLate(Duration),
    /// Nothing passes, and nobody is told.
    Silent,
}

#[derive(Debug)]
struct Cable {
    owner: usize,
    health: watch::Sender<Health>,
}

#[derive(Debug, Default)]
struct State {
    cables: BTreeMap<u64, Cable>,
    issued: u64,
    /// Owners whose machines are gone.
    unplugged: Vec<usize>,
}

/// All cables.
#[derive(Debug, Clone)]
pub(super) struct Cables {
    state: Arc<Mutex<State>>,
    connector: Connector,
    delay: Duration,
    seed: u64,
    run: Run,
}

impl Cables {
    pub(super) fn new(connector: Connector, delay: Duration, seed: u64, run: Run) -> Self {
        Self {
            state: Arc::default(),
            connector,
            delay,
            seed,
            run,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The transport of one client.
    pub(super) fn transport(&self, owner: usize) -> Transport {
        let cables = self.clone();
        Transport::new(move |host: String, port| {
            let cables = cables.clone();
            async move { cables.connect(owner, &host, port).await }
        })
    }

    async fn connect(&self, owner: usize, host: &str, port: u16) -> io::Result<DuplexStream> {
        if self.with(|state| state.unplugged.contains(&owner)) {
            return std::future::pending().await;
        }
        let number = self.with(|state| {
            state.issued += 1;
            state.issued
        });
        let mut prng = Prng::from_seed(self.seed.wrapping_add(number.rotate_left(17)));
        sleep(lag(&mut prng, self.delay)).await;
        let far = self.connector.connect(host, port).await?;
        let (health, seen) = watch::channel(Health::Well(Duration::ZERO));
        self.with(|state| state.cables.insert(number, Cable { owner, health }));
        self.run.step();
        let (near, end) = tokio::io::duplex(64 * 1024);
        let cables = self.clone();
        let ear = Ear {
            run: self.run.clone(),
            client: match owner.checked_sub(PRODUCERS) {
                Some(no) => Client::Producer(no),
                None => Client::Member(owner),
            },
            cable: ConnId(number),
        };
        tokio::spawn(async move {
            relay(end, far, seen, prng, cables.delay, ear).await;
            cables.with(|state| state.cables.remove(&number));
        });
        Ok(near)
    }

    /// One of the cables, by any number; and whose it is.
    pub(super) fn any(&self, number: u64) -> Option<(u64, usize)> {
        self.with(|state| {
            let count = u64::try_from(state.cables.len()).unwrap_or(0).max(1);
            let at = usize::try_from(number % count).unwrap_or(0);
            state
                .cables
                .iter()
                .nth(at)
                .map(|(number, cable)| (*number, cable.owner))
        })
    }

    pub(super) fn set(&self, number: u64, health: Health) {
        self.with(|state| {
            if let Some(cable) = state.cables.get(&number) {
                cable.health.send_replace(health);
            }
        });
    }

    /// The machine of this owner vanishes.
    pub(super) fn unplug(&self, owner: usize) {
        self.with(|state| {
            state.unplugged.push(owner);
            for cable in state.cables.values().filter(|cable| cable.owner == owner) {
                cable.health.send_replace(Health::Cut);
            }
        });
    }

    /// All cables are well; those that are silent are found out.
    pub(super) fn mend(&self) {
        self.with(|state| {
            for cable in state.cables.values() {
                cable.health.send_if_modified(|health| {
                    let is_slow = matches!(health, Health::Well(_));
                    if is_slow {
                        *health = Health::Well(Duration::ZERO);
                    }
                    is_slow
                });
            }
        });
    }
}

fn lag(prng: &mut Prng, delay: Duration) -> Duration {
    let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(1 + prng.below(micros))
}

/// Who listens at one cable.
#[derive(Debug, Clone)]
struct Ear {
    run: Run,
    client: Client,
    cable: ConnId,
}

impl Ear {
    /// The broker is about to be given this; what it is given.
    fn up(&self, piece: Piece) -> Piece {
        match piece {
            Piece::Frame(frame) => Piece::Frame(self.run.request(self.cable, frame)),
            torn => torn,
        }
    }

    /// The broker has sent this; what is carried to the client.
    fn down(&self, piece: Piece) -> Piece {
        match piece {
            Piece::Frame(frame) => Piece::Frame(self.run.reply(self.client, self.cable, frame)),
            torn => torn,
        }
    }
}

/// What is carried at a time.
#[derive(Debug)]
enum Piece {
    /// A message without its length.
    Frame(Bytes),
    /// What is left when a connection ends in the middle of a message.
    Torn(Bytes),
}

impl Piece {
    /// As it is on the way.
    fn into_bytes(self) -> Bytes {
        match self {
            Self::Frame(frame) => {
                let mut bytes = BytesMut::with_capacity(frame.len() + 4);
                bytes.put_u32(u32::try_from(frame.len()).unwrap_or(u32::MAX));
                bytes.put_slice(&frame);
                bytes.freeze()
            }
            Self::Torn(bytes) => bytes,
        }
    }
}

/// The next piece; `None` at the end. Cancel safe: what was read stays in the buffer.
async fn next_piece(from: &mut ReadHalf<DuplexStream>, buffer: &mut BytesMut) -> Option<Piece> {
    loop {
        if let Ok(Some(frame)) = frame::split_frame(buffer, usize::MAX) {
            return Some(Piece::Frame(frame));
        }
        if from.read_buf(buffer).await.unwrap_or(0) == 0 {
            let left = buffer.split().freeze();
            return (!left.is_empty()).then_some(Piece::Torn(left));
        }
    }
}

/// Carries messages both ways until one end is closed or the cable breaks.
async fn relay(
    near: DuplexStream,
    far: DuplexStream,
    health: watch::Receiver<Health>,
    mut prng: Prng,
    delay: Duration,
    ear: Ear,
) {
    let (near_read, near_write) = split(near);
    let (far_read, far_write) = split(far);
    let other = Prng::from_seed(prng.next_u64());
    let up = Way {
        ear: ear.clone(),
        prng,
        delay,
        is_up: true,
    };
    let down = Way {
        ear,
        prng: other,
        delay,
        is_up: false,
    };
    // What the broker is sent late goes on its way when the client has its end already.
    tokio::join!(
        up.carry(near_read, far_write, health.clone()),
        down.carry(far_read, near_write, health)
    );
}

/// One direction of a cable.
struct Way {
    ear: Ear,
    prng: Prng,
    delay: Duration,
    is_up: bool,
}

impl Way {
    async fn carry(
        mut self,
        mut from: ReadHalf<DuplexStream>,
        mut to: WriteHalf<DuplexStream>,
        mut health: watch::Receiver<Health>,
    ) {
        let mut buffer = BytesMut::new();
        loop {
            let piece = tokio::select! {
                biased;
                piece = next_piece(&mut from, &mut buffer) => Some(piece),
                _ = health.changed() => None,
            };
            let now = *health.borrow();
            let Some(piece) = piece else {
                match now {
                    Health::Cut | Health::CutLate(_) => break,
                    Health::Well(_) | Health::Silent => continue,
                }
            };
            let Some(piece) = piece else { break };
            let more = match now {
                Health::Well(more) => more,
                Health::CutLate(late) if self.is_up => late,
                Health::Cut | Health::CutLate(_) => break,
                Health::Silent => continue,
            };
            // What the broker answers it has done, whether or not anybody learns of it.
            let piece = match self.is_up {
                true => piece,
                false => self.ear.down(piece),
            };
            sleep(lag(&mut self.prng, self.delay) + more).await;
            let now = *health.borrow();
            match now {
                Health::Cut => break,
                Health::CutLate(late) if self.is_up => sleep(late).await,
                Health::CutLate(_) => break,
                Health::Silent => continue,
                Health::Well(_) => {}
            }
            let piece = match self.is_up {
                true => self.ear.up(piece),
                false => piece,
            };
            self.ear.run.step();
            if to.write_all(&piece.into_bytes()).await.is_err() {
                break;
            }
        }
        self.ear.run.step();
        // The end that was written to is closed; the other direction notices by itself.
        let _ = to.shutdown().await;
    }
}
