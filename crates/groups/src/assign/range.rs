//! The range assignor: each topic on its own, in ranges. Where racks matter (KIP-881), first what is on the members' racks.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::group::{Group, NONE, Topic};
use super::racks::Racks;
use super::{AssignError, Assignor, GroupTopics, Shares};
use crate::Subscription;

/// Gives each subscriber of a topic one range of its partitions; the first subscribers get one more where the numbers do not
/// divide. Topics with equally many partitions and the same subscribers are so co-partitioned: partition `n` of each goes to
/// the same member.
///
/// When members tell their `client.rack`, and partitions are not all on the same racks, members first get partitions with a
/// replica on their rack, within the same bounds; the rest is shared as ever (KIP-881).
#[derive(Debug, Clone, Copy, Default)]
pub struct Range;

impl Assignor for Range {
    fn name(&self) -> &str {
        "range"
    }

    // Kafka: RangeAssignor.assignPartitions
    fn assign(
        &self,
        topics: &GroupTopics,
        members: &BTreeMap<String, Subscription>,
    ) -> Result<Shares, AssignError> {
        let group = Group::new(topics, members);
        let subscribers = group.subscribers(&group.static_first());
        let mut owners = vec![NONE; group.partitions as usize];
        let mut ranges: Vec<Ranges<'_>> = group
            .topics
            .iter()
            .zip(&subscribers)
            .filter(|(_, subscribers)| !subscribers.is_empty())
            .map(|(topic, subscribers)| Ranges::new(topic, subscribers))
            .collect();
        if let Some(racks) = Racks::new(&group) {
            share_by_racks(&mut ranges, &racks, &mut owners);
        }
        for ranges in &mut ranges {
            ranges.share(&mut owners, |_, _| true);
        }
        Ok(group.shares(&owners))
    }
}

/// One topic's ranges.
struct Ranges<'a> {
    first: usize,
    partitions: usize,
    subscribers: &'a [u32],
    /// How many partitions each subscriber has by now.
    has: Vec<usize>,
    /// How many each gets, and how many get one more and do not have it yet.
    least: usize,
    more: usize,
}

impl<'a> Ranges<'a> {
    fn new(topic: &Topic<'_>, subscribers: &'a [u32]) -> Self {
        let partitions = topic.partitions as usize;
        Self {
            first: topic.first as usize,
            partitions,
            subscribers,
            has: vec![0; subscribers.len()],
            least: partitions / subscribers.len(),
            more: partitions % subscribers.len(),
        }
    }

    // Kafka: RangeAssignor.TopicAssignmentState.maxAssignable
    fn lacks(&self, subscriber: usize) -> usize {
        (self.least + usize::from(self.more > 0)).saturating_sub(self.has[subscriber])
    }

    // Kafka: RangeAssignor.TopicAssignmentState.onAssigned
    fn note(&mut self, subscriber: usize, count: usize) {
        self.has[subscriber] += count;
        if self.has[subscriber] > self.least {
            self.more -= 1;
        }
    }

    /// Gives each subscriber the first partitions that nobody has and that `suit` it, up to its share.
    // Kafka: RangeAssignor.assignRanges
    fn share(&mut self, owners: &mut [u32], suit: impl Fn(u32, usize) -> bool) {
        // All before it have an owner.
        let mut start = self.first;
        let end = self.first + self.partitions;
        for subscriber in 0..self.subscribers.len() {
            let (member, lacks) = (self.subscribers[subscriber], self.lacks(subscriber));
            while start < end && owners[start] != NONE {
                start += 1;
            }
            let mut got = 0;
            for (partition, owner) in (start..end).zip(&mut owners[start..end]) {
                if got == lacks {
                    break;
                }
                if *owner == NONE && suit(member, partition) {
                    *owner = member;
                    got += 1;
                }
            }
            if got > 0 {
                self.note(subscriber, got);
            }
        }
    }
}

/// Gives members partitions on their own racks. Topics with the same subscribers and equally many partitions stay co-partitioned.
// Kafka: RangeAssignor.assignWithRackMatching
fn share_by_racks(topics: &mut [Ranges<'_>], racks: &Racks, owners: &mut [u32]) {
    let has_racks = |topic: &Ranges<'_>| topic.subscribers.iter().any(|member| racks.has_rack(*member));
    let matters = |topic: &Ranges<'_>| {
        let partitions = topic.first..topic.first + topic.partitions;
        racks.matter(topic.subscribers.iter().copied(), partitions)
    };
    if !topics.iter().any(matters) {
        return;
    }
    let mut alike: BTreeMap<(&[u32], usize), Vec<usize>> = BTreeMap::new();
    for (at, topic) in topics.iter().enumerate().filter(|(_, topic)| has_racks(topic)) {
        alike
            .entry((topic.subscribers, topic.partitions))
            .or_default()
            .push(at);
    }
    for alike in alike.values() {
        match alike[..] {
            [alone] if matters(&topics[alone]) => {
                topics[alone].share(owners, |member, partition| racks.suit(member, partition));
            }
            [_] => {}
            _ => share_together(topics, alike, racks, owners),
        }
    }
}

/// Partition `n` of each of these topics goes to the first member that has room and is on a rack of each.
// Kafka: RangeAssignor.assignCoPartitionedWithRackMatching
fn share_together(topics: &mut [Ranges<'_>], alike: &[usize], racks: &Racks, owners: &mut [u32]) {
    let Some(one) = alike.first().map(|at| &topics[*at]) else {
        return;
    };
    let partitions = one.partitions;
    let mut waiting: Vec<usize> = (0..one.subscribers.len()).collect();
    for number in 0..partitions {
        let suits = |subscriber: &usize| {
            alike.iter().all(|at| {
                let topic = &topics[*at];
                let member = topic.subscribers[*subscriber];
                racks.suit(member, topic.first + number) && topic.lacks(*subscriber) > 0
            })
        };
        let Some(place) = waiting.iter().position(suits) else {
            continue;
        };
        let subscriber = waiting[place];
        for at in alike {
            let topic = &mut topics[*at];
            owners[topic.first + number] = topic.subscribers[subscriber];
            topic.note(subscriber, 1);
        }
        if alike.iter().all(|at| topics[*at].lacks(subscriber) == 0) {
            waiting.remove(place);
        }
    }
}
