//! Members subscribe to different topics. The partitions of a topic that are on the same racks are alike to every member, so only
//! their number is decided: how many of each such pool go to each subscriber. Which ones is settled at the end, so that everybody
//! keeps as many of its own as it may.
//!
//! Everybody keeps what it had, unless it is on other racks; what nobody has goes to whoever has least; then partitions move from
//! members with more to members with at least two less, directly and through others (`even`); in the end they change hands as long
//! as fewer move or are on other racks (`rings`).

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

use super::claims::Claims;
use crate::assign::group::{Group, NONE};
use crate::assign::racks::Racks;

/// The new owner of each partition.
// Kafka: AbstractStickyAssignor.GeneralAssignmentBuilder
pub(super) fn assign(group: &Group<'_>, claims: &Claims, racks: Option<&Racks>) -> Vec<u32> {
    let mut sharing = Sharing::new(group, claims, racks);
    if racks.is_some() {
        sharing.deal(|cell| cell.suits);
    }
    sharing.deal(|_| true);
    sharing.even_out();
    sharing.change_hands();
    sharing.owners(group, claims)
}

/// As [`assign`], of partitions that have balanced `owners`: they change hands while that brings more of them near than it moves.
pub(super) fn change_hands(group: &Group<'_>, claims: &Claims, racks: &Racks, owners: Vec<u32>) -> Vec<u32> {
    let mut sharing = Sharing::new(group, claims, Some(racks));
    sharing.hold(&owners);
    match sharing.change_hands() {
        true => sharing.owners(group, claims),
        false => owners,
    }
}

/// Partitions that are alike: of one topic, or on racks of topics with the same subscribers.
pub(super) struct Pool {
    /// Where their numbers are.
    partitions: Range<usize>,
    /// Where the cells of the topic's subscribers are, by member.
    pub(super) cells: Range<usize>,
}

/// What one subscriber has of one pool.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    pub(super) member: u32,
    /// How many partitions it had before.
    pub(super) had: u32,
    /// How many it gets.
    pub(super) gets: u32,
    /// Whether no rack speaks against the member.
    pub(super) suits: bool,
}

/// How the partitions are being shared.
pub(super) struct Sharing {
    /// Topics with the fewest subscribers first.
    pub(super) pools: Vec<Pool>,
    /// The partitions, pool by pool.
    partitions: Vec<u32>,
    pub(super) cells: Vec<Cell>,
    /// How many partitions each member gets in all.
    pub(super) loads: Vec<u32>,
}

impl Sharing {
    /// Everybody gets what it had of the topics it still wants.
    fn new(group: &Group<'_>, claims: &Claims, racks: Option<&Racks>) -> Self {
        let everybody: Vec<u32> = (0..group.members.len() as u32).collect();
        let subscribers = group.subscribers(&everybody);
        let mut order: Vec<u32> = (0..group.topics.len() as u32)
            .filter(|topic| !subscribers[*topic as usize].is_empty())
            .collect();
        // Kafka: AbstractStickyAssignor.TopicComparator; topics are in the order of their names already.
        order.sort_by_key(|topic| subscribers[*topic as usize].len());
        if racks.is_some() {
            // Racks make many pools of a topic: where topics have the same subscribers, theirs are put together.
            order.sort_by(|a, b| {
                let (a, b) = (&subscribers[*a as usize], &subscribers[*b as usize]);
                (a.len(), a).cmp(&(b.len(), b))
            });
        }
        let mut sharing = Self {
            pools: Vec::with_capacity(order.len()),
            partitions: Vec::with_capacity(group.partitions as usize),
            cells: Vec::with_capacity(subscribers.iter().map(Vec::len).sum()),
            loads: vec![0; group.members.len()],
        };
        let mut had = vec![0u32; group.members.len()];
        let are_one =
            |a: &u32, b: &u32| racks.is_some() && subscribers[*a as usize] == subscribers[*b as usize];
        for topics in order.chunk_by(are_one) {
            let Some(first) = topics.first() else { continue };
            let mut start = sharing.partitions.len();
            for topic in topics.iter().map(|number| &group.topics[*number as usize]) {
                sharing
                    .partitions
                    .extend(topic.first..topic.first + topic.partitions);
            }
            if let Some(racks) = racks {
                sharing.partitions[start..].sort_by_key(|partition| racks.set_of(*partition as usize));
            }
            while start < sharing.partitions.len() {
                let end = sharing.end_of_alike(start, racks);
                sharing.add_pool(start..end, &subscribers[*first as usize], claims, racks, &mut had);
                start = end;
            }
        }
        sharing
    }

    /// Everybody gets what it owns here.
    fn hold(&mut self, owners: &[u32]) {
        let mut gets = vec![0u32; self.loads.len()];
        self.loads.fill(0);
        for pool in &self.pools {
            let partitions = &self.partitions[pool.partitions.clone()];
            for partition in partitions {
                if let Some(gets) = gets.get_mut(owners[*partition as usize] as usize) {
                    *gets += 1;
                }
            }
            for cell in &mut self.cells[pool.cells.clone()] {
                cell.gets = core::mem::take(&mut gets[cell.member as usize]);
                self.loads[cell.member as usize] += cell.gets;
            }
        }
    }

    /// Where the partitions that are on the same racks as the one at `start` end.
    fn end_of_alike(&self, start: usize, racks: Option<&Racks>) -> usize {
        let Some(racks) = racks else {
            return self.partitions.len();
        };
        let set = racks.set_of(self.partitions[start] as usize);
        let is_alike = |partition: &u32| racks.set_of(*partition as usize) == set;
        start + self.partitions[start..].partition_point(is_alike)
    }

    /// `had` is 0 for everybody, before and after.
    fn add_pool(
        &mut self,
        partitions: Range<usize>,
        subscribers: &[u32],
        claims: &Claims,
        racks: Option<&Racks>,
        had: &mut [u32],
    ) {
        let alike = &self.partitions[partitions.clone()];
        for partition in alike {
            if let Some(had) = had.get_mut(claims.owner(*partition as usize) as usize) {
                *had += 1;
            }
        }
        let one = alike.first().copied().unwrap_or_default() as usize;
        let start = self.cells.len();
        for member in subscribers {
            let had = had[*member as usize];
            let suits = racks.is_none_or(|racks| racks.suit(*member, one));
            let gets = if suits { had } else { 0 };
            self.loads[*member as usize] += gets;
            self.cells.push(Cell {
                member: *member,
                had,
                gets,
                suits,
            });
        }
        for partition in alike {
            if let Some(had) = had.get_mut(claims.owner(*partition as usize) as usize) {
                *had = 0;
            }
        }
        self.pools.push(Pool {
            partitions,
            cells: start..self.cells.len(),
        });
    }

    pub(super) fn load(&self, cell: usize) -> u32 {
        self.loads[self.cells[cell].member as usize]
    }

    /// What nobody has goes to whoever `may` have it and has least.
    // Kafka: GeneralAssignmentBuilder.maybeAssign
    fn deal(&mut self, may: impl Fn(&Cell) -> bool) {
        for pool in 0..self.pools.len() {
            let Pool { partitions, cells } = &self.pools[pool];
            let given: usize = self.cells[cells.clone()]
                .iter()
                .map(|cell| cell.gets as usize)
                .sum();
            let free = partitions.len() - given;
            if free == 0 {
                continue;
            }
            // Members are in the order of their ids, which decides between equals.
            let taker = |sharing: &Self, cell: usize| {
                let Cell { had, gets, .. } = sharing.cells[cell];
                Reverse((sharing.load(cell), gets >= had, cell))
            };
            let mut takers: BinaryHeap<_> = cells
                .clone()
                .filter(|cell| may(&self.cells[*cell]))
                .map(|cell| taker(self, cell))
                .collect();
            for _ in 0..free {
                let Some(mut least) = takers.peek_mut() else { break };
                let cell = least.0.2;
                self.cells[cell].gets += 1;
                self.loads[self.cells[cell].member as usize] += 1;
                *least = taker(self, cell);
            }
        }
    }

    /// Moves so many partitions of a pool.
    pub(super) fn shift(&mut self, from: usize, to: usize, count: u32) {
        self.cells[from].gets -= count;
        self.loads[self.cells[from].member as usize] -= count;
        self.cells[to].gets += count;
        self.loads[self.cells[to].member as usize] += count;
    }

    /// Gives everybody as many of its own partitions as it gets at all, and then deals out the rest.
    fn owners(&self, group: &Group<'_>, claims: &Claims) -> Vec<u32> {
        let mut owners = vec![NONE; group.partitions as usize];
        let mut due = vec![0u32; group.members.len()];
        for pool in &self.pools {
            let cells = &self.cells[pool.cells.clone()];
            for cell in cells {
                due[cell.member as usize] = cell.gets;
            }
            let partitions = &self.partitions[pool.partitions.clone()];
            for partition in partitions {
                let owner = claims.owner(*partition as usize);
                if let Some(due) = due.get_mut(owner as usize).filter(|due| **due > 0) {
                    *due -= 1;
                    owners[*partition as usize] = owner;
                }
            }
            let mut waiting = cells.iter().map(|cell| cell.member).peekable();
            for partition in partitions {
                let owner = &mut owners[*partition as usize];
                if *owner != NONE {
                    continue;
                }
                while waiting.next_if(|member| due[*member as usize] == 0).is_some() {}
                let Some(member) = waiting.peek() else { break };
                due[*member as usize] -= 1;
                *owner = *member;
            }
            for cell in cells {
                due[cell.member as usize] = 0;
            }
        }
        owners
    }
}
