//! The broker's process: a node over the watched disk, which crashes, loses power and starts again. What it writes to its logs is
//! told to the ledger.

use core::time::Duration;

use kohort_machine::{Deadline, Instant, Machine, Token};
use kohort_node::config::Config;
use kohort_node::log::{DiskTask, SegmentStorage};
use kohort_node::{Action, Broker, Cluster, Event, Node};
use kohort_protocol::Uuid;

use super::disk::WatchedDisk;
use crate::ledger::Ledger;
use crate::logs::Contents;
use crate::mutants::Mutant;
use crate::plan::Plan;

/// Wall time at the beginning of a run, in milliseconds since 1970.
pub(crate) const WALL_MS: i64 = 1_700_000_000_000;
/// The port of the first broker.
pub(crate) const PORT: u16 = 9001;

/// The process.
pub(crate) struct Process {
    node: Option<Node>,
    disk: WatchedDisk,
    config: Config,
    cluster: Cluster,
    seed: u64,
    /// The machine's time begins with its process.
    started: Instant,
    /// How often it started: what is on its way to an earlier process is lost.
    pub(crate) life: u64,
    tokens: u64,
}

impl Process {
    pub(crate) fn new(plan: &Plan, seed: u64, mutant: Option<Mutant>) -> Self {
        let brokers = (0..plan.brokers).map(|number| Broker {
            id: i32::from(number),
            host: "sim".to_owned(),
            port: PORT + number,
            rack: None,
        });
        let mut config = Config::default();
        let flush = if plan.is_synced {
            "1"
        } else {
            "9223372036854775807"
        };
        let settings = [
            ("group.initial.rebalance.delay.ms", "0"),
            ("group.min.session.timeout.ms", "1000"),
            ("offsets.topic.num.partitions", "3"),
            ("log.flush.interval.messages", flush),
            ("auto.create.topics.enable", "false"),
        ];
        for (key, value) in settings {
            config
                .set(key, value)
                .expect("these settings are the broker's own");
        }
        Self {
            node: None,
            disk: WatchedDisk::new(mutant),
            config,
            cluster: Cluster {
                id: "sim".to_owned(),
                brokers: brokers.collect(),
            },
            seed,
            started: Instant::ZERO,
            life: 0,
            tokens: 0,
        }
    }

    pub(crate) fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.node.as_ref()?.topic_id(name)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.node.is_some()
    }

    fn own_time(&self, now: Instant) -> Instant {
        Instant::ZERO + now.saturating_since(self.started)
    }

    /// Wall time, in milliseconds since 1970.
    pub(crate) fn wall_ms(now: Instant) -> i64 {
        WALL_MS.saturating_add(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    }

    /// Starts the process over what is on the disk.
    pub(crate) fn start(&mut self, now: Instant, ledger: &mut Ledger) {
        self.life += 1;
        self.started = now;
        let storage = SegmentStorage::new(Box::new(self.disk.clone()));
        let opened = storage.and_then(|storage| {
            let (config, cluster) = (self.config.clone(), self.cluster.clone());
            Node::open(config, cluster, Box::new(storage), self.seed, Self::wall_ms(now))
        });
        // What is appended while starting is part of what is read here.
        self.disk.take_written();
        let contents = Contents::read(self.disk.logs());
        ledger.recovered(&contents.records);
        ledger.coordinator_recovered(&contents.group);
        match opened {
            Ok(node) => self.node = Some(node),
            Err(error) => ledger.break_rule("I6", format!("the broker does not start again: {error}")),
        }
    }

    /// The process dies. With a seed its machine loses power, too.
    pub(crate) fn stop(&mut self, power: Option<u64>) {
        self.node = None;
        if let Some(seed) = power {
            self.disk.lose_power(seed);
        }
    }

    pub(crate) fn handle(&mut self, now: Instant, event: Event, ledger: &mut Ledger) {
        let own = self.own_time(now);
        if let Some(node) = &mut self.node {
            node.handle(own, event);
        }
        self.watch(now, ledger);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, ledger: &mut Ledger) {
        let own = self.own_time(now);
        if let Some(node) = &mut self.node {
            node.handle_timeout(own);
        }
        self.watch(now, ledger);
    }

    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.node.as_mut()?.poll_action()
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        let Deadline { at, .. } = self.node.as_ref()?.next_deadline()?;
        Some(self.started + Duration::from_nanos(at.as_nanos()))
    }

    pub(crate) fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// Does the work of a disk.
    pub(crate) fn carry_out(&mut self, task: &DiskTask) -> Result<(), Box<kohort_node::log::StorageError>> {
        task.carry_out(&mut self.disk).map_err(Box::new)
    }

    /// Tells the ledger what was written.
    fn watch(&self, now: Instant, ledger: &mut Ledger) {
        let written = self.disk.take_written();
        if !written.is_empty() {
            Contents::read(written).tell(now, ledger);
        }
    }
}
