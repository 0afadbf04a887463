//! The way from a client to the brokers: in-memory connections that are slow, are cut, or go silent, as the seed says. They carry
//! whole messages, which the ledger is told of on the way.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use kohort::transport::Transport;
use kohort_broker::Connector;
use kohort_machine::Prng;
use kohort_node::ConnId;
use tokio::sync::watch;
use tokio::time::sleep;

use super::run::Run;
use super::tap::Tap;
use super::way::{Ear, relay};
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

    async fn connect(&self, owner: usize, host: &str, port: u16) -> io::Result<Tap> {
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
            cables: self.clone(),
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
        let member = owner.lt(&PRODUCERS).then_some(owner);
        Ok(Tap::new(near, self.run.clone(), member))
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

/// How long something is on its way.
pub(super) fn lag(prng: &mut Prng, delay: Duration) -> Duration {
    let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(1 + prng.below(micros))
}
