//! The end of a run, when nothing goes wrong any more: every partition has one owner (I1), everything is read soon (I4, I8), and
//! nothing rebalances (I7).

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kohort_groups::TopicPartition;
use kohort_machine::Instant;
use kohort_protocol::ApiKey;

use super::{Ledger, ReaderNo};
use crate::plan::{METADATA_MAX_AGE, Plan};

/// Heartbeats beside the regular ones that a member sends because of one round.
const ECHOES: u64 = 25;

/// A reader that lives at the end, with the topics it subscribes to.
#[derive(Debug, Clone)]
pub(crate) struct Living {
    pub(crate) reader: ReaderNo,
    pub(crate) topics: BTreeSet<Arc<str>>,
}

impl Ledger {
    /// Each partition of these topics that somebody subscribes to has one owner, who wants it.
    pub(crate) fn check_ownership(&mut self, living: &[Living], partitions: &[TopicPartition]) {
        for (invariant, what) in self.misplaced(living, partitions) {
            self.break_rule(invariant, what);
        }
    }

    /// As [`Self::check_ownership`], without a judgement.
    pub(crate) fn is_shared_out(&self, living: &[Living], partitions: &[TopicPartition]) -> bool {
        self.misplaced(living, partitions).is_empty()
    }

    fn misplaced(&self, living: &[Living], partitions: &[TopicPartition]) -> Vec<(&'static str, String)> {
        let mut owners: BTreeMap<&TopicPartition, ReaderNo> = BTreeMap::new();
        let mut broken = Vec::new();
        for Living { reader, topics } in living {
            for partition in self.holds(*reader) {
                if !topics.contains(&partition.topic) {
                    broken.push(("I8", format!("m{reader} owns {partition} and does not want it")));
                }
                if let Some(other) = owners.insert(partition, *reader) {
                    broken.push(("I1", format!("at rest {partition} is m{other}'s and m{reader}'s")));
                }
            }
        }
        for partition in partitions {
            let is_wanted = living.iter().any(|one| one.topics.contains(&partition.topic));
            if is_wanted && !owners.contains_key(partition) {
                broken.push(("I8", format!("at rest {partition} is nobody's")));
            }
        }
        broken
    }

    /// The group has these members, and no others: whoever is gone is missed.
    pub(crate) fn check_members(&mut self, living: &BTreeSet<Arc<str>>) {
        if !self.has_members(living) {
            let what = format!(
                "at rest the group has {:?}, and {living:?} live",
                self.member_ids()
            );
            self.break_rule("I8", what);
        }
    }

    /// As [`Self::check_members`], by what members are called: their instance, or their client.
    pub(crate) fn check_member_names(&mut self, living: &BTreeSet<Arc<str>>) {
        if self.member_names() != living {
            let what = format!(
                "at rest the group has {:?}, and {living:?} live",
                self.member_names()
            );
            self.break_rule("I8", what);
        }
    }

    /// Everything in these partitions is processed.
    pub(crate) fn check_all_read(&mut self, living: &[Living], partitions: &[TopicPartition]) {
        for what in self.unread(living, partitions) {
            self.break_rule("I8", what);
        }
    }

    /// As [`Self::check_all_read`], without a judgement.
    pub(crate) fn is_all_read(&self, living: &[Living], partitions: &[TopicPartition]) -> bool {
        self.unread(living, partitions).is_empty()
    }

    fn unread(&self, living: &[Living], partitions: &[TopicPartition]) -> Vec<String> {
        let mut unread = Vec::new();
        for partition in partitions {
            let is_wanted = living.iter().any(|one| one.topics.contains(&partition.topic));
            if let Some(log) = self.logs.get(partition)
                && is_wanted
                && log.processed < log.end()
            {
                unread.push(format!(
                    "{partition} ends at {}, and is processed up to {} only",
                    log.end(),
                    log.processed
                ));
            }
        }
        unread
    }

    /// When something was assigned or revoked last.
    pub(crate) fn last_change(&self) -> Instant {
        self.readers.last_change
    }

    /// Nobody asked for more than what so many members and clients need in the time that a group at rest is watched.
    pub(crate) fn check_quiet(
        &mut self,
        plan: &Plan,
        members: u64,
        clients: u64,
        asked: &BTreeMap<ApiKey, u64>,
    ) {
        for (api, count) in asked {
            let most = most(*api, plan, members, clients);
            if *count > most {
                let watch = plan.watch;
                let what = format!("{count} requests of {api} within {watch:?} at rest; {most} are enough");
                self.break_rule("I7", what);
            }
        }
    }

    /// Nothing was assigned or revoked since `rest`, and no generation came after `generation`.
    pub(crate) fn check_stable(&mut self, rest: Instant, generation: i32) {
        if self.readers.last_change > rest {
            let what = format!(
                "a group at rest since {rest:?} rebalanced at {:?}",
                self.readers.last_change
            );
            self.break_rule("I7", what);
        }
        if self.generation() != generation {
            let what = format!("generation {generation} became {} at rest", self.generation());
            self.break_rule("I7", what);
        }
    }
}

/// How many requests of an API a group at rest needs at most in the time that it is watched. Commits are the applications'.
fn most(api: ApiKey, plan: &Plan, members: u64, clients: u64) -> u64 {
    let in_time = |interval: Duration| {
        let times = plan.watch.as_nanos() / interval.as_nanos().max(1);
        u64::try_from(times).unwrap_or(u64::MAX)
    };
    let brokers = u64::from(plan.brokers);
    match api {
        // A period is no shorter than half the interval, and a round has that many echoes at most (`member/beats.rs`).
        ApiKey::Heartbeat => members * (in_time(plan.heartbeat / 2) + ECHOES),
        ApiKey::Fetch => members * brokers * (in_time(plan.fetch_wait) + 3),
        ApiKey::Metadata => clients * (in_time(METADATA_MAX_AGE) + 2),
        ApiKey::ApiVersions => clients * brokers,
        ApiKey::OffsetCommit => u64::MAX,
        _ => 0,
    }
}
