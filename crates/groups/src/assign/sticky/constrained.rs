//! All members subscribe to the same topics: every share is known to be one of two sizes, so it is only decided who keeps what.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

use super::claims::Claims;
use crate::assign::group::{Group, NONE};
use crate::assign::racks::Racks;

/// The new owner of each partition.
// Kafka: AbstractStickyAssignor.ConstrainedAssignmentBuilder
pub(super) fn assign(group: &Group<'_>, claims: &Claims, racks: Option<&Racks>) -> Vec<u32> {
    let mut owners = vec![NONE; group.partitions as usize];
    if group.members.is_empty() {
        return owners;
    }
    let topics = group.topics_of(0);
    let total: u32 = topics
        .iter()
        .map(|topic| group.topics[*topic as usize].partitions)
        .sum();
    let mut quotas = Quotas::new(total as usize, group.members.len());
    let owned = owned(group, topics, |partition| {
        let owner = claims.owner(partition);
        // What is on another rack is given up: there may be somebody for it.
        let stays = owner == NONE || racks.is_none_or(|racks| racks.suit(owner, partition));
        if stays { owner } else { NONE }
    });
    for (member, owned) in owned.iter().enumerate() {
        let keeps = quotas.keep(member as u32, owned.len());
        for partition in &owned[..keeps] {
            owners[*partition as usize] = member as u32;
        }
    }
    let partitions = topics.iter().flat_map(|topic| {
        let topic = &group.topics[*topic as usize];
        topic.first as usize..(topic.first + topic.partitions) as usize
    });
    if let Some(racks) = racks {
        let mut free: Vec<usize> = partitions
            .filter(|partition| owners[*partition] == NONE)
            .collect();
        // What fewest members are near to is given first.
        let near = racks.members_near();
        free.sort_by_key(|partition| near[racks.set_of(*partition) as usize]);
        for partition in &free {
            if let Some(member) = quotas.next_near(|member| racks.is_near(member, *partition)) {
                owners[*partition] = member;
            }
        }
        free.retain(|partition| owners[*partition] == NONE);
        // The rest is on nobody's rack, or its members have their share: whoever had it keeps it, if that may be.
        for partition in &free {
            let owner = claims.owner(*partition);
            if owner != NONE && quotas.take(owner) {
                owners[*partition] = owner;
            }
        }
        for partition in free {
            if owners[partition] == NONE {
                owners[partition] = quotas.next();
            }
        }
    } else {
        for partition in partitions {
            if owners[partition] == NONE {
                owners[partition] = quotas.next();
            }
        }
    }
    owners
}

/// What each member owned, by partition and then topic: so what is given up is spread over the topics.
fn owned(group: &Group<'_>, topics: &[u32], owner: impl Fn(usize) -> u32) -> Vec<Vec<u32>> {
    let mut owned = vec![Vec::new(); group.members.len()];
    let mut long_enough = topics.to_vec();
    let mut number = 0;
    loop {
        long_enough.retain(|topic| group.topics[*topic as usize].partitions > number);
        if long_enough.is_empty() {
            return owned;
        }
        for topic in &long_enough {
            let partition = group.topics[*topic as usize].first + number;
            let owner = owner(partition as usize);
            if owner != NONE {
                owned[owner as usize].push(partition);
            }
        }
        number += 1;
    }
}

/// How many partitions each member may still get.
struct Quotas {
    least: usize,
    /// How many members get one more than the least.
    with_more: usize,
    /// How many already have it.
    have_more: usize,
    shares: Vec<usize>,
    /// Members below the least, in the order in which they are served.
    below: VecDeque<u32>,
    /// Members with exactly the least, which may get one more.
    at_least: VecDeque<u32>,
}

impl Quotas {
    fn new(partitions: usize, members: usize) -> Self {
        Self {
            least: partitions / members,
            with_more: partitions % members,
            have_more: 0,
            shares: vec![0; members],
            below: VecDeque::new(),
            at_least: VecDeque::new(),
        }
    }

    /// How many of the partitions that it `owned` the member keeps.
    // Kafka: ConstrainedAssignmentBuilder.assignOwnedPartitions
    fn keep(&mut self, member: u32, owned: usize) -> usize {
        let keeps = if owned < self.least {
            self.below.push_back(member);
            owned
        } else if owned > self.least && self.have_more < self.with_more {
            self.have_more += 1;
            self.least + 1
        } else {
            self.at_least.push_back(member);
            self.least
        };
        self.shares[member as usize] = keeps;
        keeps
    }

    /// Who gets the next partition that nobody kept. There are as many of these as the members lack.
    // Kafka: ConstrainedAssignmentBuilder.assignRoundRobin
    fn next(&mut self) -> u32 {
        let Some(member) = self.below.pop_front() else {
            self.have_more += 1;
            return self.at_least.pop_front().unwrap_or(NONE);
        };
        self.shares[member as usize] += 1;
        match self.shares[member as usize] < self.least {
            true => self.below.push_back(member),
            false => self.at_least.push_back(member),
        }
        member
    }

    /// The next of those who are near, if one has room.
    // Kafka: ConstrainedAssignmentBuilder.assignRackAwareRoundRobin
    fn next_near(&mut self, is_near: impl Fn(u32) -> bool) -> Option<u32> {
        if let Some(place) = self.below.iter().position(|member| is_near(*member)) {
            // Those passed over go to the end, so that the turn goes round.
            self.below.rotate_left(place);
            return Some(self.next());
        }
        if self.have_more == self.with_more {
            return None;
        }
        let place = self.at_least.iter().position(|member| is_near(*member))?;
        self.have_more += 1;
        self.at_least.remove(place)
    }

    /// Whether this member had room for one more, which it has now.
    fn take(&mut self, member: u32) -> bool {
        if let Some(place) = self.below.iter().position(|waiting| *waiting == member) {
            self.below.remove(place);
            self.below.push_front(member);
            self.next();
            return true;
        }
        let place = self.at_least.iter().position(|waiting| *waiting == member);
        match place.filter(|_| self.have_more < self.with_more) {
            Some(place) => {
                self.have_more += 1;
                self.at_least.remove(place);
                true
            }
            None => false,
        }
    }
}
