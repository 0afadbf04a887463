//! The last look at a balanced sharing: who lost something may get it back, if somebody has more of that pool than before.

use super::general::Sharing;

/// How many cells are looked at before it is good enough. Small groups are searched through; in large ones, where a few partitions
/// more make no difference, it ends soon.
const EFFORT: usize = 1 << 20;

impl Sharing {
    /// Gives back what was taken for balance, where others can make up for it by what moves anyway.
    pub(super) fn regain(&mut self) {
        let mut effort = EFFORT;
        for pool in 0..self.pools.len() {
            let cells = self.pools[pool].cells.clone();
            for to in cells.clone() {
                let mut others = cells.clone();
                while self.cells[to].gets < self.cells[to].had
                    && let Some(from) = others.next()
                {
                    if self.is_surplus(from) && !self.give_back(from, to, &mut effort) && effort == 0 {
                        return;
                    }
                }
            }
        }
    }

    /// Whether the cell has partitions that its member did not have before.
    fn is_surplus(&self, cell: usize) -> bool {
        self.cells[cell].gets > self.cells[cell].had
    }

    /// Gives back one partition, if everything stays balanced: at once, or when the member that gets it gives another one on.
    fn give_back(&mut self, from: usize, to: usize, effort: &mut usize) -> bool {
        let (giver, taker) = (self.cells[from].member, self.cells[to].member);
        let load = self.loads[giver as usize];
        let is_fair = load > self.loads[taker as usize];
        self.shift(from, to);
        if is_fair && self.is_balanced(effort) {
            return true;
        }
        *effort = effort.saturating_sub(self.pools.len());
        for pool in 0..self.pools.len() {
            let cells = self.pools[pool].cells.clone();
            let place = self.cells[cells.clone()].binary_search_by_key(&taker, |cell| cell.member);
            let Some(on) = place
                .ok()
                .map(|place| cells.start + place)
                .filter(|on| self.is_surplus(*on))
            else {
                continue;
            };
            for next in cells {
                let member = self.cells[next].member;
                // The giver has one less by now.
                let is_fair = member == giver || self.loads[member as usize] < load;
                if member == taker || !is_fair {
                    continue;
                }
                self.shift(on, next);
                if self.is_balanced(effort) {
                    return true;
                }
                self.shift(next, on);
            }
        }
        self.shift(to, from);
        false
    }

    /// Whether no member has two more than one that could take a partition of it; not, when the effort is spent.
    fn is_balanced(&self, effort: &mut usize) -> bool {
        *effort = effort.saturating_sub(self.cells.len());
        *effort > 0 && self.widest_gap().is_none_or(|gap| gap < 2)
    }
}
