//! Which members are on the rack of a replica (KIP-881). Racks are numbered, and so are the sets of racks that partitions are on.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use super::group::Group;

/// No rack is known.
const NO_RACK: u32 = u32::MAX;

/// The racks of members and partitions, in groups where some member has one.
pub(super) struct Racks {
    of_member: Vec<u32>,
    /// The set that each partition is on.
    of_partition: Vec<u32>,
    /// Each set of racks, ascending.
    sets: Vec<Vec<u32>>,
}

impl Racks {
    /// None when no member has told its `client.rack`.
    pub(super) fn new(group: &Group<'_>) -> Option<Self> {
        let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
        let of_member: Vec<u32> = group
            .members
            .iter()
            .map(|member| match member.subscription.rack.as_deref() {
                None | Some("") => NO_RACK,
                Some(rack) => number(&mut numbers, rack),
            })
            .collect();
        if numbers.is_empty() {
            return None;
        }
        let mut sets: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
        let mut of_partition = Vec::with_capacity(group.partitions as usize);
        for topic in &group.topics {
            for partition in 0..topic.partitions as usize {
                let racks = topic.layout.racks.get(partition).map_or(&[][..], Vec::as_slice);
                let mut set: Vec<u32> = racks.iter().map(|rack| number(&mut numbers, rack)).collect();
                set.sort_unstable();
                set.dedup();
                let next = sets.len() as u32;
                of_partition.push(*sets.entry(set).or_insert(next));
            }
        }
        let mut by_number: Vec<(u32, Vec<u32>)> =
            sets.into_iter().map(|(set, number)| (number, set)).collect();
        by_number.sort_unstable();
        Some(Self {
            of_member,
            of_partition,
            sets: by_number.into_iter().map(|(_, set)| set).collect(),
        })
    }

    /// Whether looking at racks can make a difference: some of these members are on a rack of these partitions, and not all of
    /// the partitions are on the same racks.
    // Kafka: AbstractPartitionAssignor.useRackAwareAssignment
    pub(super) fn matter(&self, mut members: impl Iterator<Item = u32>, partitions: Range<usize>) -> bool {
        let mut seen: Vec<u32> = self.of_partition[partitions].to_vec();
        seen.sort_unstable();
        seen.dedup();
        let is_on = |member: u32| {
            let rack = self.of_member[member as usize];
            seen.iter().any(|set| self.sets[*set as usize].contains(&rack))
        };
        seen.len() > 1 && members.any(is_on)
    }

    /// Whether the member told its rack.
    pub(super) fn has_rack(&self, member: u32) -> bool {
        self.of_member[member as usize] != NO_RACK
    }

    /// Whether the member is on a rack of the partition.
    pub(super) fn is_near(&self, member: u32, partition: usize) -> bool {
        let rack = self.of_member[member as usize];
        self.sets[self.of_partition[partition] as usize].contains(&rack)
    }

    /// Whether nothing speaks against giving the partition to the member: a member without a rack may be anywhere.
    pub(super) fn suit(&self, member: u32, partition: usize) -> bool {
        !self.has_rack(member) || self.is_near(member, partition)
    }

    /// The number of the set of racks that the partition is on.
    pub(super) fn set_of(&self, partition: usize) -> u32 {
        self.of_partition[partition]
    }

    /// For each set of racks, how many members are on one of them.
    pub(super) fn members_near(&self) -> Vec<u32> {
        let count = |set: &Vec<u32>| self.of_member.iter().filter(|rack| set.contains(rack)).count() as u32;
        self.sets.iter().map(count).collect()
    }
}

fn number<'a>(numbers: &mut BTreeMap<&'a str, u32>, rack: &'a str) -> u32 {
    let next = numbers.len() as u32;
    *numbers.entry(rack).or_insert(next)
}
