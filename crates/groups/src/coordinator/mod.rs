//! The group coordinator: hosts the groups whose partitions of `__consumer_offsets` are on this node.
//!
//! This file routes and holds no rules: the rules of classic groups are in `classic`, those of committed offsets in `offsets`;
//! `group` orders the work of one group. A request that changes what is durable is validated, its records are appended
//! ([`Action::Append`]), and once they are ([`Event::Appended`]) they are applied and the request is answered. Recovery applies
//! the same records ([`Event::Load`]), then [`Event::Loaded`] begins the sessions anew.
//!
//! ```
//! use kohort_groups::coordinator::{Action, Client, Coordinator, CoordinatorConfig, Event, GroupRequest, ListRequest};
//! use kohort_machine::{Instant, Machine, Token};
//!
//! let mut coordinator = Coordinator::new(CoordinatorConfig::default(), 7);
//! for partition in 0..50 {
//!     coordinator.handle(Instant::ZERO, Event::Loaded { partition, wall_ms: 0 });
//! }
//! coordinator.handle(Instant::ZERO, Event::Request {
//!     token: Token(1),
//!     wall_ms: 0,
//!     client: Client { id: "app".into(), host: "/127.0.0.1".into() },
//!     request: Box::new(GroupRequest::List(ListRequest::default())),
//! });
//! assert!(matches!(coordinator.poll_action(), Some(Action::Reply { token: Token(1), .. })));
//! ```

mod classic;
mod config;
mod cx;
mod event;
mod gather;
mod group;
mod journal;
mod offsets;
mod partition;
mod record;
mod refusal;
mod request;
mod response;
mod route;
#[cfg(test)]
mod tests;
mod work;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::{Deadline, Instant, Machine, Token};

pub use config::CoordinatorConfig;
pub use event::{Action, AppendFailure, Client, Event};
pub use journal::{
    MemberFate, Participant, Pause, Rebalance, RebalanceCause, RebalanceMember, RebalanceOutcome,
};
pub use partition::partition_for;
pub use record::{CoordinatorRecord, StoredGroup, StoredMember, StoredOffset, TopicId};
pub use refusal::Refusal;
pub use request::{
    CommitOffsetsRequest, CommittedPartition, DeleteOffsetsRequest, DeleteRequest, DescribeRequest,
    FetchGroup, FetchOffsetsRequest, GroupRequest, HeartbeatRequest, JoinProtocol, JoinRequest, LeaveRequest,
    LeavingMember, ListRequest, SyncRequest, TopicPartitions, UNKNOWN_MEMBER_ID,
};
pub use response::{
    DeletedGroup, DescribedGroup, FetchedGroup, FetchedPartition, GroupDescription, GroupResponse,
    JoinResponse, JoinedGroup, JoinedMember, LeftMember, ListedGroup, MemberDescription, PartitionOutcome,
    SyncedMember,
};

use cx::{Cx, Timer};
use group::Group;
use work::Work;

/// The coordinator of all groups of a node. See the module.
#[derive(Debug)]
pub struct Coordinator {
    cx: Cx,
    /// The partitions of `__consumer_offsets` hosted here.
    partitions: BTreeMap<i32, Hosting>,
    groups: BTreeMap<Arc<str>, Group>,
}

/// How far a partition of `__consumer_offsets` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hosting {
    Loading,
    Active,
}

impl Coordinator {
    /// A coordinator that hosts no partition yet. Member ids come from `seed`, which a node takes anew at each start.
    pub fn new(config: CoordinatorConfig, seed: u64) -> Self {
        Self {
            cx: Cx::new(config, seed),
            partitions: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// The partition of `__consumer_offsets` that the group lives on.
    pub fn partition_of(&self, group_id: &str) -> i32 {
        partition_for(group_id, self.cx.config.offsets_partitions)
    }

    /// Why the group rebalances, while it waits for its members; `None` when it does not.
    pub fn rebalance_cause(&self, group_id: &str) -> Option<&RebalanceCause> {
        self.groups.get(group_id)?.classic.as_ref()?.rebalance_cause()
    }

    /// The last rebalances of the group, oldest first, and behind them the one under way, as far as it has come at `now`. None of a
    /// group that is not here, or has not rebalanced since it is.
    pub fn rebalances(&self, group_id: &str, now: Instant) -> Vec<Arc<Rebalance>> {
        let group = self.groups.get(group_id);
        let classic = group.and_then(|group| group.classic.as_ref());
        classic.map(|classic| classic.rebalances(now)).unwrap_or_default()
    }

    /// How many groups are here.
    pub fn group_count(&self) -> usize {
        self.groups
            .values()
            .filter(|group| group.classic.is_some())
            .count()
    }

    fn group(&mut self, group_id: &Arc<str>) -> &mut Group {
        let partition = self.partition_of(group_id);
        let make = || Group::new(group_id.clone(), partition);
        self.groups.entry(group_id.clone()).or_insert_with(make)
    }

    /// Lets a group do something; nothing is kept of a group that does not exist after it.
    fn with_group<T>(&mut self, group_id: &Arc<str>, act: impl FnOnce(&mut Group, &mut Cx) -> T) -> T {
        let partition = self.partition_of(group_id);
        let make = || Group::new(group_id.clone(), partition);
        let group = self.groups.entry(group_id.clone()).or_insert_with(make);
        let result = act(group, &mut self.cx);
        group.count_said(&mut self.cx);
        if group.is_vacant() {
            self.groups.remove(group_id);
        }
        result
    }

    fn on_load(&mut self, partition: i32, records: Vec<CoordinatorRecord>) {
        self.partitions.entry(partition).or_insert(Hosting::Loading);
        for record in records {
            let group_id = record.group_id().clone();
            self.group(&group_id).apply(record);
        }
    }

    fn on_loaded(&mut self, partition: i32, wall_ms: i64) {
        self.cx.set_wall(wall_ms);
        if self.partitions.insert(partition, Hosting::Active) == Some(Hosting::Active) {
            return;
        }
        for group in self
            .groups
            .values_mut()
            .filter(|group| group.partition == partition)
        {
            group.on_loaded(&mut self.cx);
            group.count_said(&mut self.cx);
        }
        self.groups.retain(|_, group| !group.is_vacant());
        if !self.cx.timers.is_set(&Timer::Retention) {
            self.arm_retention();
        }
    }

    fn on_unload(&mut self, partition: i32) {
        self.partitions.remove(&partition);
        let (gone, kept) = core::mem::take(&mut self.groups)
            .into_iter()
            .partition(|(_, group)| group.partition == partition);
        self.groups = kept;
        for (_, group) in gone {
            group.abandon(&mut self.cx);
        }
    }

    fn on_appended(&mut self, token: Token, result: Result<(), AppendFailure>) {
        // An append of a group that was unloaded meanwhile is nobody's any more.
        if let Some(group_id) = self.cx.appends.remove(&token)
            && self
                .groups
                .get(&group_id)
                .is_some_and(|group| group.waits_for(token))
        {
            self.with_group(&group_id, |group, cx| group.handle_appended(cx, result));
        }
    }

    fn every_group(&mut self, mut work: impl FnMut() -> Work) {
        let group_ids: Vec<_> = self.groups.keys().cloned().collect();
        for group_id in group_ids {
            let work = work();
            self.with_group(&group_id, |group, cx| group.handle_work(cx, work));
        }
    }

    fn arm_retention(&mut self) {
        // Kafka: GroupCoordinatorConfig: at least 1, else it would be due as soon as it is armed
        let millis = self.cx.config.retention_check_interval_ms.max(1);
        let interval = core::time::Duration::from_millis(millis);
        self.cx.timers.set(Timer::Retention, self.cx.now + interval);
    }

    /// As [`Machine::handle_timeout`], for the timers alone that were due at `due`, which is not after `now`.
    pub fn handle_timeout_of(&mut self, now: Instant, due: Instant) {
        self.cx.now = now;
        while let Some(timer) = self.cx.timers.pop_due(due) {
            self.expire_timer(timer);
        }
    }

    fn expire_timer(&mut self, timer: Timer) {
        let Some(group_id) = timer.group_id().cloned() else {
            self.arm_retention();
            return self.every_group(|| Work::CleanUp);
        };
        if self.groups.contains_key(&group_id) {
            self.with_group(&group_id, |group, cx| group.expire_timer(cx, timer));
        }
    }
}

impl Machine for Coordinator {
    type Event = Event;
    type Action = Action;

    fn handle(&mut self, now: Instant, event: Event) {
        self.cx.now = now;
        match event {
            Event::Request {
                token,
                wall_ms,
                client,
                request,
            } => {
                self.cx.set_wall(wall_ms);
                self.on_request(token, client, *request);
            }
            Event::Appended { token, result } => self.on_appended(token, result),
            Event::Load { partition, records } => self.on_load(partition, records),
            Event::Loaded { partition, wall_ms } => self.on_loaded(partition, wall_ms),
            Event::Unload { partition } => self.on_unload(partition),
            Event::TopicsDeleted { topics } => {
                let topics: Arc<[_]> = Arc::from(topics);
                self.every_group(|| Work::ForgetTopics(topics.clone()));
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_timeout_of(now, now);
    }

    fn poll_action(&mut self) -> Option<Action> {
        self.cx.outbox.pop()
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.cx.timers.next_deadline(Timer::name)
    }
}
