//! The last look at a sharing that is as even as can be: partitions change hands in rings, as long as fewer of them are on other racks
//! and move. That one is on another rack counts as that one moves, so nothing moves here that did not only to bring one near; that is
//! up to those who dealt.
//!
//! A ring is a negative cycle of a graph: a member gives a partition of a pool at a price, another takes one of that pool at a price,
//! and gives one of another pool, until the first has taken one, too. So everybody has as many as before; or one who has one less than
//! another changes places with it. When no ring is left, no other sharing that is as even is better.

use alloc::vec;
use alloc::vec::Vec;

use super::general::{Cell, Sharing};
use crate::assign::group::NONE;

/// How many cells are looked at before it is good enough. Small groups are searched through; in large ones it ends soon.
const EFFORT: usize = 1 << 20;

/// What it costs that the cell gives one: nobody else can keep it where it was.
fn give(cell: &Cell) -> i64 {
    i64::from(cell.gets <= cell.had) - i64::from(!cell.suits)
}

/// What it costs that the cell takes one.
fn take(cell: &Cell) -> i64 {
    i64::from(!cell.suits) - i64::from(cell.gets < cell.had)
}

/// Whether the member lost nothing that was its own, and has nothing on other racks.
fn is_as_it_should_be(cell: &Cell) -> bool {
    cell.gets >= cell.had && (cell.suits || cell.gets == 0)
}

/// How a member is reached.
#[derive(Clone, Copy)]
enum Step {
    /// From nowhere yet.
    Begins,
    /// It takes one of the pool, by this cell.
    Takes { pool: u32, cell: u32 },
    /// It gives one away for good, and this member, which has one less, keeps one for good.
    ChangesPlaces { with: u32 },
}

/// Paths to members and pools, as cheap as they have been found.
struct Paths {
    pool: Vec<i64>,
    member: Vec<i64>,
    /// Who gives to each pool, by its cell.
    giver: Vec<u32>,
    step: Vec<Step>,
}

impl Sharing {
    /// Moves partitions in rings until none is worth it; whether any was.
    pub(super) fn change_hands(&mut self) -> bool {
        let mut any = false;
        if self.cells.iter().all(is_as_it_should_be) {
            return any;
        }
        let mut rounds = EFFORT / self.cells.len().max(1);
        loop {
            let moves = self.rings(&mut rounds);
            if moves.is_empty() {
                return any;
            }
            for (from, to) in moves {
                self.shift(from as usize, to as usize, 1);
            }
            any = true;
        }
    }

    /// What moves, from cell to cell, in rings that are worth it and have no member in common. Each round of looking for them costs
    /// one of `rounds`.
    fn rings(&self, rounds: &mut usize) -> Vec<(u32, u32)> {
        let mut paths = Paths {
            pool: vec![0; self.pools.len()],
            member: vec![0; self.loads.len()],
            giver: vec![NONE; self.pools.len()],
            step: vec![Step::Begins; self.loads.len()],
        };
        while *rounds > 0 {
            *rounds -= 1;
            let is_cheaper = self.exchange(&mut paths);
            if !self.change_places(&mut paths) && !is_cheaper {
                break;
            }
            let moves = self.closed(&paths);
            if !moves.is_empty() {
                return moves;
            }
        }
        Vec::new()
    }

    /// Looks for cheaper paths by way of the pools, once; whether there were any.
    fn exchange(&self, paths: &mut Paths) -> bool {
        let mut any = false;
        for (number, pool) in self.pools.iter().enumerate() {
            for at in pool.cells.clone() {
                let cell = &self.cells[at];
                let path = paths.member[cell.member as usize] + give(cell);
                if cell.gets > 0 && path < paths.pool[number] {
                    (paths.pool[number], paths.giver[number]) = (path, at as u32);
                    any = true;
                }
            }
            for at in pool.cells.clone() {
                let cell = &self.cells[at];
                let member = cell.member as usize;
                let path = paths.pool[number] + take(cell);
                if path < paths.member[member] {
                    let (pool, cell) = (number as u32, at as u32);
                    (paths.member[member], paths.step[member]) = (path, Step::Takes { pool, cell });
                    any = true;
                }
            }
        }
        any
    }

    /// Looks for cheaper paths from those that have one less, once; whether there were any.
    fn change_places(&self, paths: &mut Paths) -> bool {
        let most = self.loads.iter().max().copied().unwrap_or(0) as usize;
        let mut cheapest = vec![(i64::MAX, NONE); most + 1];
        for (member, load) in self.loads.iter().enumerate() {
            let cheapest = &mut cheapest[*load as usize];
            *cheapest = (*cheapest).min((paths.member[member], member as u32));
        }
        let mut any = false;
        for (member, load) in self.loads.iter().enumerate().filter(|(_, load)| **load > 0) {
            let (path, with) = cheapest[*load as usize - 1];
            if path < paths.member[member] {
                (paths.member[member], paths.step[member]) = (path, Step::ChangesPlaces { with });
                any = true;
            }
        }
        any
    }

    /// What moves in the rings among the paths.
    fn closed(&self, paths: &Paths) -> Vec<(u32, u32)> {
        // The member before this one, and what moved from there.
        let before = |member: u32| match paths.step[member as usize] {
            Step::Begins => None,
            Step::ChangesPlaces { with } => Some((with, None)),
            Step::Takes { pool, cell } => {
                let giver = paths.giver[pool as usize];
                Some((self.cells.get(giver as usize)?.member, Some((giver, cell))))
            }
        };
        let mut moves = Vec::new();
        // In which walk each member was come across.
        let mut walk = vec![NONE; self.loads.len()];
        for first in 0..self.loads.len() as u32 {
            let mut next = Some(first);
            while let Some(member) = next.filter(|member| walk[*member as usize] == NONE) {
                walk[member as usize] = first;
                next = before(member).map(|(member, _)| member);
            }
            let Some(last) = next.filter(|member| walk[*member as usize] == first) else {
                continue;
            };
            // From each member one way leads back, so no two rings meet.
            let mut member = last;
            while let Some((giver, moved)) = before(member) {
                moves.extend(moved);
                member = giver;
                if member == last {
                    break;
                }
            }
        }
        moves
    }
}
