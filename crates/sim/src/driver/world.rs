//! The world of one seed on the real driver: the embedded broker, members and producers as tasks, and the outside, which lets things
//! go wrong ([`super::faults`]) and looks at the end whether all is in order ([`super::rest`]).

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kohort::config::AutoOffsetReset;
use kohort::{Consumer, TopicPartition};
use kohort_broker::Broker;
use kohort_machine::{Instant, Prng};
use kohort_node::Node;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::application::{Application, Wishes};
use super::cable::Cables;
use super::decoder::Decoder;
use super::run::{Run, Shared};
use super::storage::{Watch, WatchedStorage};
use super::tamper::Border;
use crate::Half;
use crate::ledger::{Ledger, Living};
use crate::messages::Messages;
use crate::mutants::Mutant;
use crate::plan::{
    GROUP, METADATA_MAX_AGE, PATIENCE, Plan, REBOOTSTRAP_TRIGGER, REQUEST_TIMEOUT, REST, SETUP_TIMEOUT,
    SETUP_TIMEOUT_MAX, Weather,
};
use crate::report::Outcome;
use crate::story::Story;

/// A member's task, as the outside sees it.
pub(super) struct Life {
    pub(super) no: usize,
    pub(super) slot: usize,
    pub(super) topics: BTreeSet<Arc<str>>,
    pub(super) wishes: Arc<Wishes>,
    pub(super) task: JoinHandle<()>,
}

pub(super) struct World {
    pub(super) run: Run,
    pub(super) plan: Plan,
    pub(super) broker: Broker,
    pub(super) cables: Cables,
    pub(super) lives: BTreeMap<usize, Life>,
    /// When a place is taken again.
    pub(super) vacant: BTreeMap<usize, Instant>,
    pub(super) partitions: BTreeMap<Arc<str>, i32>,
    pub(super) stopped: BTreeMap<i32, Instant>,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) issued: usize,
    pub(super) is_calm: Arc<AtomicBool>,
    /// The producers write no more.
    pub(super) is_over: Arc<AtomicBool>,
    pub(super) issued_ids: u64,
    mutant: Option<Mutant>,
    pub(super) seed: u64,
}

pub(super) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

/// Lives the life of a seed.
pub(super) async fn live(seed: u64, plan: Plan, mutant: Option<Mutant>, mut story: Story) -> Outcome {
    story.note(Instant::ZERO, || format!("{plan:?}"));
    let mut prng = Prng::from_seed(seed);
    let mut builder = Broker::builder()
        .seed(seed)
        .brokers(plan.brokers)
        .config("group.min.session.timeout.ms", "1000")
        .config("offsets.topic.num.partitions", "3")
        .config("auto.create.topics.enable", "false");
    for (name, partitions) in &plan.topics {
        builder = builder.topic(*name, *partitions);
    }
    let watch = Watch::default();
    let storage = Box::new(WatchedStorage::new(watch.clone()));
    let broker = builder
        .start_over(|config, cluster, seed| {
            Node::open(config, cluster, storage, seed, 0).expect("memory does not fail")
        })
        .await
        .expect("these settings are the broker's own");
    let cable_seed = prng.next_u64();
    let messages = Messages::new(mutant, prng.next_u64());
    let topics = plan.topics.iter().map(|(name, count)| (Arc::from(*name), *count));
    let mut ledger = Ledger::default();
    if plan.weather == Weather::Fair {
        ledger.measure_reading(plan.reading_bound());
    }
    let run = Run::new(Shared::new(ledger, story, prng, messages), watch);
    let cables = Cables::new(broker.connector(), plan.delay, cable_seed, run.clone());
    let mut world = World {
        run,
        broker,
        cables,
        lives: BTreeMap::new(),
        vacant: (0..plan.slots).map(|slot| (slot, Instant::ZERO)).collect(),
        partitions: topics.collect(),
        stopped: BTreeMap::new(),
        counts: BTreeMap::new(),
        issued: 0,
        is_calm: Arc::default(),
        is_over: Arc::default(),
        issued_ids: 0,
        plan,
        mutant,
        seed,
    };
    world.go_through().await;
    world.end().await
}

impl World {
    async fn go_through(&mut self) {
        let writing = (0..2).map(|no| self.start_writing(no)).collect::<Vec<_>>();
        if self.plan.has_lull {
            self.be_troubled(self.plan.trouble / 2).await;
            self.have_lull().await;
            self.be_troubled(self.plan.trouble / 2).await;
        } else {
            self.be_troubled(self.plan.trouble).await;
        }
        self.calm_down().await;
        self.settle(REST).await;
        if !self.is_broken() && self.plan.vanishes {
            self.lose_one();
            self.settle(self.plan.farewell()).await;
        }
        self.is_over.store(true, Ordering::Relaxed);
        for task in writing {
            // A writer that panicked is missed by nobody: what it wrote is read all the same.
            let _ = task.await;
        }
        if !self.is_broken() {
            self.be_read().await;
            self.stay().await;
        }
    }

    /// Something goes wrong again and again, for so long.
    async fn be_troubled(&mut self, time: Duration) {
        let end = self.run.now() + time;
        while self.run.now() < end && !self.is_broken() {
            let mean = u64::try_from(self.plan.calm_between.as_millis()).unwrap_or(1_000);
            let pause = self.run.below(2 * mean);
            sleep(Duration::from_millis(pause)).await;
            self.attend().await;
            self.disturb().await;
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        !self.run.lock().ledger.violations().is_empty()
    }

    pub(super) fn living(&self) -> Vec<Living> {
        let living = self.lives.values().map(|life| Living {
            reader: life.no,
            topics: life.topics.clone(),
        });
        living.collect()
    }

    pub(super) fn all_partitions(&self) -> Vec<TopicPartition> {
        let each = self.partitions.iter();
        each.flat_map(|(topic, count)| {
            (0..*count).map(|number| TopicPartition::new(Arc::clone(topic), number))
        })
        .collect()
    }

    /// Whoever ended is noted; whoever is to begin begins.
    pub(super) async fn attend(&mut self) {
        let ended: Vec<usize> = self
            .lives
            .values()
            .filter(|life| life.task.is_finished())
            .map(|life| life.no)
            .collect();
        for no in ended {
            if let Some(life) = self.lives.remove(&no) {
                if let Err(error) = life.task.await
                    && error.is_panic()
                {
                    let what = format!("m{no} panicked");
                    self.run.lock().ledger.break_rule("I8", what);
                }
                self.vacate(no, life.slot);
            }
        }
        let now = self.run.now();
        let ready: Vec<usize> = self
            .vacant
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(slot, _)| *slot)
            .collect();
        for slot in ready {
            self.vacant.remove(&slot);
            self.start_member(slot);
        }
        let back: Vec<i32> = self
            .stopped
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(broker, _)| *broker)
            .collect();
        for broker in back {
            self.stopped.remove(&broker);
            self.run.note(|| format!("broker {broker} starts"));
            self.broker
                .start_broker(broker)
                .await
                .expect("the broker is there");
        }
    }

    pub(super) fn vacate(&mut self, no: usize, slot: usize) {
        self.run.lock().ledger.gone(no, self.plan.is_static);
        let after = Plan::vacancy(&mut self.run.lock().prng);
        self.vacant.insert(slot, self.run.now() + after);
    }

    pub(super) fn some_topics(&self) -> BTreeSet<Arc<str>> {
        let all: Vec<Arc<str>> = self.partitions.keys().cloned().collect();
        match self.run.below(4) {
            0 => all.first().into_iter().cloned().collect(),
            1 => all.last().into_iter().cloned().collect(),
            _ => all.into_iter().collect(),
        }
    }

    pub(super) fn start_member(&mut self, slot: usize) {
        let no = self.issued;
        self.issued += 1;
        let plan = &self.plan;
        let mut builder = Consumer::builder()
            .bootstrap_servers(self.broker.bootstrap_servers())
            .client_id(format!("m{no}"))
            .group_id(GROUP)
            .auto_offset_reset(AutoOffsetReset::Earliest)
            .partition_assignment_strategy([plan.assignor])
            .enable_auto_commit(plan.commits.is_automatic())
            .auto_commit_interval_ms(500)
            .session_timeout_ms(millis(plan.session))
            .heartbeat_interval_ms(millis(plan.heartbeat))
            .max_poll_interval_ms(millis(plan.max_poll))
            .max_poll_records(i32::try_from(plan.max_poll_records).unwrap_or(1))
            .fetch_max_wait_ms(millis(plan.fetch_wait))
            .request_timeout_ms(millis(REQUEST_TIMEOUT))
            .default_api_timeout_ms(millis(PATIENCE))
            .metadata_max_age_ms(i64::from(millis(METADATA_MAX_AGE)))
            .metadata_recovery_rebootstrap_trigger_ms(i64::from(millis(REBOOTSTRAP_TRIGGER)))
            .socket_connection_setup_timeout_ms(i64::from(millis(SETUP_TIMEOUT)))
            .socket_connection_setup_timeout_max_ms(i64::from(millis(SETUP_TIMEOUT_MAX)))
            .kohort_memory_budget(1 << 20)
            .max_partition_fetch_bytes(4_096)
            .kohort_seed(i64::try_from(self.seed.wrapping_add(no as u64) >> 1).unwrap_or(0))
            .transport(self.cables.transport(no));
        if plan.is_static {
            builder = builder.group_instance_id(format!("i{slot}"));
        }
        let wishes = Arc::new(Wishes::default());
        let border = Border::new(self.mutant);
        let decoder = Decoder {
            is_picky: plan.is_picky,
            run: self.run.clone(),
            wishes: Arc::clone(&wishes),
            border: border.clone(),
        };
        let consumer = builder
            .value_deserializer(decoder)
            .build()
            .expect("these settings go together");
        let topics = match self.plan.is_static {
            true => self.plan.static_topics(slot),
            false => self.some_topics(),
        };
        self.run.note(|| format!("m{no} starts in place {slot}"));
        let application = Application {
            no,
            consumer,
            run: self.run.clone(),
            wishes: Arc::clone(&wishes),
            border,
            commits: plan.commits,
            is_over: false,
            polled_at: self.run.now(),
        };
        wishes
            .calm
            .store(self.is_calm.load(Ordering::Relaxed), Ordering::Relaxed);
        let task = tokio::spawn(application.live(topics.clone()));
        let life = Life {
            no,
            slot,
            topics,
            wishes,
            task,
        };
        self.lives.insert(no, life);
    }

    async fn end(self) -> Outcome {
        for life in self.lives.values() {
            life.task.abort();
        }
        let shared = self.run.lock();
        let mut faults = self.counts.clone();
        faults.extend(&shared.faults);
        Outcome {
            seed: self.seed,
            half: Half::Driver,
            steps: shared.steps,
            rebalances: shared.ledger.rebalances(),
            records: shared.ledger.records_handed_out(),
            faults,
            violations: shared.ledger.violations().to_vec(),
            story: shared.story.clone(),
        }
    }
}
