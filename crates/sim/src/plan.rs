//! What a seed decides before anything runs: how large the cluster is, what the members are like, how foul the weather is.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use kohort_groups::assign::by_name;
use kohort_machine::Prng;

/// The group that all members are in.
pub(crate) const GROUP: &str = "g";

/// Kafka's assignors, as far as Kohort has them.
const ASSIGNORS: &[&str] = &["range", "roundrobin", "sticky", "cooperative-sticky"];

/// How long after the last fault everything must have come to rest. The longest chain: a connection that died silently is given
/// up after `request.timeout.ms`, a session ends, the group waits for a member as long as `max.poll.interval.ms`, and a join that
/// was lost with its connection is asked again after that and a rebalance of its own.
pub(crate) const REST: Duration = Duration::from_secs(75);

/// How soon records are read once everything is at rest.
pub(crate) const PROMPT: Duration = Duration::from_secs(8);

/// How long a group at rest is watched.
pub(crate) const WATCH: Duration = Duration::from_secs(25);

/// When an application commits what it has processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitStyle {
    /// Synchronously, after each batch.
    Sync,
    /// Asynchronously, after each batch.
    Async,
    /// Now and then the one, now and then the other, often not at all.
    Mixed,
    /// `enable.auto.commit`.
    Auto,
}

/// What may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Members come and go; network and brokers are well.
    Fair,
    /// Connections and brokers fail, too.
    Foul,
}

/// A seed's world.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) brokers: u16,
    /// Topics with their partitions at the beginning.
    pub(crate) topics: Vec<(&'static str, i32)>,
    /// How many members there are at most at a time.
    pub(crate) slots: usize,
    pub(crate) assignor: &'static str,
    pub(crate) commits: CommitStyle,
    pub(crate) is_static: bool,
    pub(crate) weather: Weather,
    /// How long faults go on.
    pub(crate) trouble: Duration,
    /// The mean time from one fault to the next.
    pub(crate) calm_between: Duration,
    pub(crate) session: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) max_poll: Duration,
    pub(crate) fetch_wait: Duration,
    pub(crate) max_poll_records: usize,
    /// The largest one-way delay of the network.
    pub(crate) delay: Duration,
    /// The longest sync of the disk.
    pub(crate) sync: Duration,
    /// Whether what is acknowledged is synced: only then may power be lost.
    pub(crate) is_synced: bool,
}

impl Plan {
    /// What `seed` decides.
    pub(crate) fn of(seed: u64) -> Self {
        let assignors: Vec<&str> = ASSIGNORS
            .iter()
            .copied()
            .filter(|name| by_name(name).is_some())
            .collect();
        let mut prng = Prng::from_seed(seed ^ 0x005e_ed0f_91a4);
        let mut millis = |low: u64, high: u64| Duration::from_millis(low + prng.below(high - low + 1));
        let trouble = millis(25_000, 60_000);
        let calm_between = millis(700, 3_000);
        let session = millis(4_000, 9_000);
        let heartbeat = millis(600, 1_500);
        let max_poll = millis(9_000, 15_000);
        let fetch_wait = millis(300, 1_500);
        let delay = millis(1, 15);
        let sync = millis(0, 12);
        let mut pick = |bound: u64| prng.below(bound);
        Self {
            brokers: 1 + u16::try_from(pick(3)).unwrap_or(0),
            topics: vec![("t", small(1 + pick(6))), ("u", small(1 + pick(4)))],
            slots: 1 + usize::try_from(pick(4)).unwrap_or(0),
            assignor: assignors
                .get(usize::try_from(pick(assignors.len() as u64)).unwrap_or(0))
                .copied()
                .unwrap_or("range"),
            commits: match pick(4) {
                0 => CommitStyle::Sync,
                1 => CommitStyle::Async,
                2 => CommitStyle::Mixed,
                _ => CommitStyle::Auto,
            },
            is_static: pick(4) == 0,
            weather: match pick(5) {
                0 => Weather::Fair,
                _ => Weather::Foul,
            },
            is_synced: pick(3) > 0,
            max_poll_records: 1 + usize::try_from(pick(20)).unwrap_or(0),
            trouble,
            calm_between,
            session,
            heartbeat,
            max_poll,
            fetch_wait,
            delay,
            sync,
        }
    }
}

impl Plan {
    /// The topics of a static member. They stay the same: one that returns with others starts no rebalance by itself, in Kafka
    /// neither, so nobody would own those.
    pub(crate) fn static_topics(&self, slot: usize) -> BTreeSet<Arc<str>> {
        let all = self.topics.iter().enumerate();
        let own = all.filter(|(at, _)| slot == 0 || slot % self.topics.len().max(1) == *at);
        own.map(|(_, (name, _))| Arc::from(*name)).collect()
    }
}

fn small(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(1)
}
