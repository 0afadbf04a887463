//! Members subscribe to different topics. The partitions of a topic that are on the same racks are alike to every member, so only
//! their number is decided: how many of each such pool go to each subscriber. Which ones is settled at the end, so that everybody
//! keeps as many of its own as it may.
//!
//! Everybody keeps what it had, unless it is on other racks; what nobody has goes to whoever has least; then partitions move from
//! members with more to members with at least two less, first those that move anyway; a last look gives back what can be had for
//! nothing (`regain`). So in the end no single partition could move to a member with at least two less, which is Kafka's idea of
//! balance.

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
    sharing.balance();
    match racks {
        None => sharing.regain(),
        Some(_) => {
            sharing.bring_nearer();
        }
    }
    sharing.owners(group, claims)
}

/// As [`assign`], of partitions that have balanced `owners`: moves them among these while that brings them nearer.
pub(super) fn bring_nearer(group: &Group<'_>, claims: &Claims, racks: &Racks, owners: Vec<u32>) -> Vec<u32> {
    let mut sharing = Sharing::new(group, claims, Some(racks));
    sharing.hold(&owners);
    match sharing.bring_nearer() {
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

    fn load(&self, cell: usize) -> u32 {
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

    /// Moves partitions until no move from one member to another with at least two less is left.
    // Kafka: GeneralAssignmentBuilder.performReassignments
    fn balance(&mut self) {
        loop {
            while self.sweep(Movable::Anyway, 2) {}
            // What stays so far is moved over the widest gaps first: one such move may save others.
            let Some(gap) = self.widest_gap() else { return };
            if gap < 2 || !self.sweep(Movable::All, gap.div_ceil(2).max(2)) {
                return;
            }
        }
    }

    fn sweep(&mut self, movable: Movable, gap: u32) -> bool {
        let mut any = false;
        for pool in 0..self.pools.len() {
            any |= self.level(pool, movable, gap);
        }
        any
    }

    /// The largest difference between a member and one that could take a partition of it.
    pub(super) fn widest_gap(&self) -> Option<u32> {
        let gap = |pool: &Pool| {
            let (most, least) = self.extremes(pool.cells.clone(), Movable::All)?;
            Some(most.saturating_sub(least))
        };
        self.pools.iter().filter_map(gap).max()
    }

    /// For each pool, the smallest load of its subscribers.
    pub(super) fn least_loads(&self) -> Vec<u32> {
        let least = |pool: &Pool| {
            let loads = self.cells[pool.cells.clone()]
                .iter()
                .map(|cell| self.loads[cell.member as usize]);
            loads.min().unwrap_or(0)
        };
        self.pools.iter().map(least).collect()
    }

    /// The largest load of those that have a movable partition, and the smallest of all.
    fn extremes(&self, cells: Range<usize>, movable: Movable) -> Option<(u32, u32)> {
        let mut most = None;
        let mut least = u32::MAX;
        for cell in &self.cells[cells] {
            let load = self.loads[cell.member as usize];
            least = least.min(load);
            if movable.is_in(cell) && most < Some(load) {
                most = Some(load);
            }
        }
        Some((most?, least))
    }

    /// Moves partitions of one topic while that closes gaps of at least `gap`.
    fn level(&mut self, pool: usize, movable: Movable, gap: u32) -> bool {
        let cells = self.pools[pool].cells.clone();
        match self.extremes(cells.clone(), movable) {
            Some((most, least)) if most >= least + gap => {}
            _ => return false,
        }
        // Among equals first those on other racks give and those on the same ones take, then those that give what moves anyway,
        // and those that get back what was theirs.
        let giver = |sharing: &Self, cell: usize| {
            let Cell { had, gets, suits, .. } = sharing.cells[cell];
            (sharing.load(cell), !suits, gets > had, Reverse(cell))
        };
        let taker = |sharing: &Self, cell: usize| {
            let Cell { had, gets, suits, .. } = sharing.cells[cell];
            Reverse((sharing.load(cell), !suits, gets >= had, cell))
        };
        let mut givers: BinaryHeap<_> = cells
            .clone()
            .filter(|cell| movable.is_in(&self.cells[*cell]))
            .map(|cell| giver(self, cell))
            .collect();
        let mut takers: BinaryHeap<_> = cells.map(|cell| taker(self, cell)).collect();
        let mut any = false;
        while let (Some(&most), Some(&least)) = (givers.peek(), takers.peek()) {
            let (from, to) = (most.3.0, least.0.3);
            // An entry is out of date when its member gave or took since.
            if !movable.is_in(&self.cells[from]) || giver(self, from) != most {
                givers.pop();
                continue;
            }
            if taker(self, to) != least {
                takers.pop();
                continue;
            }
            if most.0 < least.0.0 + gap {
                break;
            }
            self.shift(from, to);
            any = true;
            for cell in [from, to] {
                if movable.is_in(&self.cells[cell]) {
                    givers.push(giver(self, cell));
                }
                takers.push(taker(self, cell));
            }
        }
        any
    }

    /// Moves one partition of a pool.
    pub(super) fn shift(&mut self, from: usize, to: usize) {
        self.cells[from].gets -= 1;
        self.loads[self.cells[from].member as usize] -= 1;
        self.cells[to].gets += 1;
        self.loads[self.cells[to].member as usize] += 1;
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

/// What may be moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Movable {
    /// What does not stay with its owner anyway.
    Anyway,
    All,
}

impl Movable {
    fn is_in(self, cell: &Cell) -> bool {
        match self {
            Self::Anyway => cell.gets > cell.had,
            Self::All => cell.gets > 0,
        }
    }
}
