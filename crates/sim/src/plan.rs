//! What a seed decides before anything runs: how large the cluster is, what the members are like, how foul the weather is.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use kohort_machine::Prng;

/// The group that all members are in.
pub(crate) const GROUP: &str = "g";

/// Kafka's assignors; the cooperative one twice, for more can go wrong with it.
const ASSIGNORS: &[&str] = &[
    "range",
    "roundrobin",
    "sticky",
    "cooperative-sticky",
    "cooperative-sticky",
];

/// `request.timeout.ms` of all clients.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// `socket.connection.setup.timeout.ms` of all clients.
pub(crate) const SETUP_TIMEOUT: Duration = Duration::from_secs(1);
/// `socket.connection.setup.timeout.max.ms` of all clients.
pub(crate) const SETUP_TIMEOUT_MAX: Duration = Duration::from_secs(2);
/// `metadata.max.age.ms` of all clients.
pub(crate) const METADATA_MAX_AGE: Duration = Duration::from_secs(3);
/// `metadata.recovery.rebootstrap.trigger.ms` of all clients.
pub(crate) const REBOOTSTRAP_TRIGGER: Duration = Duration::from_secs(4);
/// `delivery.timeout.ms` and `max.block.ms` of the producers.
pub(crate) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(8);
/// How long an application waits for a commit or a close.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// How long after the last fault everything must have come to rest. The longest chain: a connection that died silently is given
/// up after `request.timeout.ms`, a session ends, the group waits for a member as long as `max.poll.interval.ms`, and a join that
/// was lost with its connection is asked again 5 s after that and begins a rebalance of its own. Most runs are at rest after a
/// few seconds, and go on as soon as they are.
pub(crate) const REST: Duration = Duration::from_secs(40);

/// How long a group looks as if it were at rest before it is believed: longer than a request is delayed and than from one
/// heartbeat to the next.
pub(crate) const QUIET: Duration = Duration::from_secs(3);

/// How soon a backlog is read once everything is at rest: a member may take one record at a time.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);

/// How soon records are read once everything is at rest.
pub(crate) const PROMPT: Duration = Duration::from_secs(4);

/// How long after the last fault connections and leaders are found again, though the group may not be at rest: a request that was lost
/// is given up after `request.timeout.ms`, a connection after its own time, a broker that was stopped is back by then, and who knows
/// no broker begins anew after `metadata.recovery.rebootstrap.trigger.ms`.
pub(crate) const EASED: Duration = Duration::from_secs(12);

/// How long a group is watched that came to rest between two times of trouble.
pub(crate) const LULL: Duration = Duration::from_secs(4);

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
    /// `enable.auto.commit`, and by itself now and then.
    Both,
}

impl CommitStyle {
    /// Whether `enable.auto.commit` is set.
    pub(crate) fn is_automatic(self) -> bool {
        matches!(self, Self::Auto | Self::Both)
    }
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
    /// Whether applications cannot take each record at once: deserializers and sinks fail and panic.
    pub(crate) is_picky: bool,
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
    /// Whether there is a lull in the middle of it.
    pub(crate) has_lull: bool,
    /// Whether a member vanishes when the lull begins, so that not everything recovers.
    pub(crate) lull_lacks_one: bool,
    /// Whether a member vanishes once everything is at rest.
    pub(crate) vanishes: bool,
    /// How long a group at rest is watched: longer than sessions, polls and metadata last.
    pub(crate) watch: Duration,
}

impl Plan {
    /// What `seed` decides.
    pub(crate) fn of(seed: u64) -> Self {
        let mut prng = Prng::from_seed(seed ^ 0x005e_ed0f_91a4);
        let mut millis = |low: u64, high: u64| Duration::from_millis(low + prng.below(high - low + 1));
        let trouble = millis(12_000, 30_000);
        let calm_between = millis(100, 800);
        let session = millis(1_500, 4_000);
        let heartbeat = millis(150, 500);
        let max_poll = millis(3_000, 6_000);
        let fetch_wait = millis(300, 1_000);
        let delay = millis(1, 12);
        let sync = millis(0, 10);
        let mut pick = |bound: u64| prng.below(bound);
        let mut plan = Self {
            brokers: 1 + u16::try_from(pick(3)).unwrap_or(0),
            topics: vec![("t", small(1 + pick(6))), ("u", small(1 + pick(4)))],
            slots: match pick(4) {
                0 => 5 + count(pick(4)),
                _ => 1 + count(pick(4)),
            },
            assignor: ASSIGNORS
                .get(count(pick(ASSIGNORS.len() as u64)))
                .copied()
                .unwrap_or("range"),
            commits: match pick(4) {
                0 => CommitStyle::Sync,
                1 => CommitStyle::Async,
                2 => CommitStyle::Mixed,
                _ => CommitStyle::Auto,
            },
            is_picky: false,
            is_static: pick(4) == 0,
            weather: match pick(4) {
                0 => Weather::Fair,
                _ => Weather::Foul,
            },
            is_synced: pick(3) > 0,
            max_poll_records: 1 + count(pick(20)),
            has_lull: false,
            lull_lacks_one: false,
            vanishes: pick(2) == 0,
            watch: match pick(10) {
                0 => Duration::from_secs(30),
                _ => Duration::from_secs(7),
            },
            trouble,
            calm_between,
            session,
            heartbeat,
            max_poll,
            fetch_wait,
            delay,
            sync,
        };
        if plan.commits == CommitStyle::Auto && pick(2) == 0 {
            plan.commits = CommitStyle::Both;
        }
        plan.is_picky = pick(4) == 0;
        plan.has_lull = pick(4) == 0;
        plan.lull_lacks_one = pick(2) == 0;
        plan
    }
}

impl Plan {
    /// How long it takes until the next member begins in a place: often at once.
    pub(crate) fn vacancy(prng: &mut Prng) -> Duration {
        let most = match prng.chance(1, 2) {
            true => 200,
            false => 2_500,
        };
        Duration::from_millis(prng.below(most))
    }

    /// How long a slow application takes: often longer than `max.poll.interval.ms`.
    pub(crate) fn slow_poll(&self, prng: &mut Prng) -> Duration {
        let most = u64::try_from(self.max_poll.as_millis()).unwrap_or(0);
        match prng.chance(1, 3) {
            true => self.max_poll + Duration::from_millis(prng.below(2_000)),
            false => Duration::from_millis(prng.below(most)),
        }
    }

    /// How long a member that owns a partition with records may wait for them in its polls, in fair weather: a fetch that is under
    /// way may be held as long as `fetch.max.wait.ms`, and the rest is the network's, the disk's and the listener's.
    pub(crate) fn reading_bound(&self) -> Duration {
        self.fetch_wait + Duration::from_millis(500)
    }

    /// Whether partitions may be left over by a rebalance whose second round never comes: a cooperative member that was to give
    /// them up is gone before it did, and a static one that returns in its place is given the assignment of the first round, without
    /// a rebalance. They are nobody's until something else begins one. So it is in Kafka, too.
    // Kafka: ConsumerCoordinator.onJoinComplete (the member that revokes asks for the second round),
    // GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin (no rebalance while the protocol stays)
    pub(crate) fn leaves_over(&self) -> bool {
        self.is_static && self.assignor == "cooperative-sticky"
    }

    /// How long a group at rest may take to be so again after a member vanished: the session, and a rebalance.
    pub(crate) fn farewell(&self) -> Duration {
        self.session + self.max_poll + 2 * QUIET
    }

    /// The topics of a static member. They stay the same: one that returns with others starts no rebalance by itself, in Kafka
    /// neither, so nobody would own those.
    pub(crate) fn static_topics(&self, slot: usize) -> BTreeSet<Arc<str>> {
        let all = self.topics.iter().enumerate();
        let own = all.filter(|(at, _)| slot == 0 || slot % self.topics.len().max(1) == *at);
        own.map(|(_, (name, _))| Arc::from(*name)).collect()
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

fn small(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(1)
}
