//! Evens out a sharing: partitions move from members with more to members with at least two less, first those that move anyway. As
//! long as that is possible directly, pool by pool; then in chains, where a member passes on as much as it gets.
//!
//! When no chain is left, no other sharing is more even: partitions flow from pools to members, each further one costs a member more,
//! and such a flow costs least when no single chain makes it cheaper. So all members together have the same loads in every most even
//! sharing, and only who has which is open. Kafka's class looks at single moves, so it may end before that.

use alloc::collections::BinaryHeap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

use super::general::{Cell, Pool, Sharing};
use crate::assign::group::NONE;

/// What may be moved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Movable {
    /// What does not stay with its owner anyway.
    Anyway,
    All,
}

impl Movable {
    fn is_in(self, cell: &Cell) -> bool {
        self.count(cell) > 0
    }

    fn count(self, cell: &Cell) -> u32 {
        match self {
            Self::Anyway => cell.gets.saturating_sub(cell.had),
            Self::All => cell.gets,
        }
    }
}

/// Who is reached by chains, from the members with the largest loads on.
struct Chains {
    /// The cells of each member, one member after the other.
    cells: Vec<u32>,
    /// Where those of each member begin, and where the last ones end.
    starts: Vec<u32>,
    /// The pool of each cell.
    pool: Vec<u32>,
    /// The cell by which each pool was reached.
    giver: Vec<u32>,
    /// The cell by which each member was reached.
    taker: Vec<u32>,
    is_reached: Vec<bool>,
}

impl Sharing {
    /// Moves partitions until no chain leads from a member to one with at least two less.
    // Kafka: GeneralAssignmentBuilder.performReassignments
    pub(super) fn even_out(&mut self) {
        self.move_directly();
        let loads = self.cells.iter().map(|cell| self.loads[cell.member as usize]);
        let (least, most) = loads.fold((u32::MAX, 0), |(least, most), load| {
            (least.min(load), most.max(load))
        });
        // Loads no further apart leave nothing to do.
        if most < least.saturating_add(2) {
            return;
        }
        let mut chains = Chains::new(self);
        for movable in [Movable::Anyway, Movable::All] {
            self.move_in_chains(&mut chains, movable, least);
        }
    }

    /// Nobody has less than `least`.
    fn move_in_chains(&mut self, chains: &mut Chains, movable: Movable, least: u32) {
        chains.forget();
        let with_load = |sharing: &Self, member: u32| (sharing.loads[member as usize], Reverse(member));
        let mut members: BinaryHeap<_> = (0..self.loads.len() as u32)
            .map(|member| with_load(self, member))
            .collect();
        while let Some((load, Reverse(first))) = members.pop() {
            if load < least + 2 {
                return;
            }
            // An entry is out of date when a chain began or ended at its member since. Whoever is reached from a member with more
            // reaches nobody that this one does not.
            if chains.is_reached[first as usize] || self.loads[first as usize] != load {
                continue;
            }
            if let Some(last) = self.move_in_chain(chains, movable, first) {
                members.extend([first, last].map(|member| with_load(self, member)));
            }
        }
    }

    /// Moves along one chain that begins at this member; who is at its end. If there is none, all that are reached stay so.
    fn move_in_chain(&mut self, chains: &mut Chains, movable: Movable, first: u32) -> Option<u32> {
        let load = self.loads[first as usize];
        let (mut members, mut pools) = (vec![first], Vec::new());
        chains.is_reached[first as usize] = true;
        let mut next = 0;
        let last = 'found: loop {
            let member = *members.get(next)? as usize;
            next += 1;
            for at in chains.starts[member]..chains.starts[member + 1] {
                let cell = chains.cells[at as usize];
                let pool = chains.pool[cell as usize];
                if chains.giver[pool as usize] != NONE || !movable.is_in(&self.cells[cell as usize]) {
                    continue;
                }
                chains.giver[pool as usize] = cell;
                pools.push(pool);
                for to in self.pools[pool as usize].cells.clone() {
                    let taker = self.cells[to].member;
                    if core::mem::replace(&mut chains.is_reached[taker as usize], true) {
                        continue;
                    }
                    chains.taker[taker as usize] = to as u32;
                    members.push(taker);
                    if self.loads[taker as usize] + 2 <= load {
                        break 'found taker;
                    }
                }
            }
        };
        let mut moves = Vec::new();
        let mut count = (load - self.loads[last as usize]) / 2;
        let mut member = last;
        while member != first {
            let to = chains.taker[member as usize];
            let from = chains.giver[chains.pool[to as usize] as usize];
            count = count.min(movable.count(&self.cells[from as usize]));
            moves.push((from as usize, to as usize));
            member = self.cells[from as usize].member;
        }
        for (from, to) in moves {
            self.shift(from, to, count);
        }
        for member in members {
            chains.is_reached[member as usize] = false;
        }
        for pool in pools {
            chains.giver[pool as usize] = NONE;
        }
        Some(last)
    }

    /// Moves partitions until no move from one member to another with at least two less is left.
    fn move_directly(&mut self) {
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
    fn widest_gap(&self) -> Option<u32> {
        let gap = |pool: &Pool| {
            let (most, least) = self.extremes(pool.cells.clone(), Movable::All)?;
            Some(most.saturating_sub(least))
        };
        self.pools.iter().filter_map(gap).max()
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
            self.shift(from, to, 1);
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
}

impl Chains {
    fn new(sharing: &Sharing) -> Self {
        let members = sharing.loads.len();
        let mut starts = vec![0u32; members + 1];
        for cell in &sharing.cells {
            starts[cell.member as usize + 1] += 1;
        }
        for member in 0..members {
            starts[member + 1] += starts[member];
        }
        let mut ends = starts.clone();
        let mut cells = vec![0; sharing.cells.len()];
        for (number, cell) in sharing.cells.iter().enumerate() {
            let end = &mut ends[cell.member as usize];
            cells[*end as usize] = number as u32;
            *end += 1;
        }
        let mut pool = Vec::with_capacity(sharing.cells.len());
        for (number, of) in sharing.pools.iter().enumerate() {
            pool.resize(of.cells.end, number as u32);
        }
        Self {
            cells,
            starts,
            pool,
            giver: vec![NONE; sharing.pools.len()],
            taker: vec![NONE; members],
            is_reached: vec![false; members],
        }
    }

    /// Nobody is reached yet.
    fn forget(&mut self) {
        self.giver.fill(NONE);
        self.is_reached.fill(false);
    }
}
