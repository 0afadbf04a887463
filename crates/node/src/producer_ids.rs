//! The ids of idempotent producers. What a partition remembers of a producer is in [`crate::log`].

use kohort_machine::Prng;

use crate::context::Cx;
use crate::log::ProducerStates;
use crate::topics::Topics;

/// How many ids there are for each millisecond of wall time.
const IDS_EACH_MS: i64 = 1 << 20;

/// How far above the clock an id may lie that this broker can have given, when its clock went back: some seventy years, so
/// that it reaches over a clock that starts in 1970. An id beyond is what a client made up. The limit moves with the clock, and
/// ids are given more slowly than that, so what is given above an id just below the limit is below the limit of a later start.
const IDS_AHEAD: i64 = 1 << 61;

/// Hands out producer ids, each once, also after a restart: the first is taken from the clock, so that no id needs to be
/// written down before it is used.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProducerIds {
    next: Option<i64>,
}

/// What the logs say of ids. Clients may write batches with any id, also with one that was never given.
trait Logs {
    /// The largest id below a limit.
    fn largest_below(&self, limit: i64) -> Option<i64>;
    fn has(&self, id: i64) -> bool;
}

impl ProducerIds {
    /// An id not given before and in no log; `None` when there is none left.
    fn issue(&mut self, wall_ms: i64, prng: &mut Prng, logs: &impl Logs) -> Option<i64> {
        let mut id = match self.next {
            Some(next) => next,
            None => {
                let of_now = wall_ms.max(0).checked_mul(IDS_EACH_MS)?;
                let above = logs.largest_below(of_now.saturating_add(IDS_AHEAD));
                // One below the limit always has a next one.
                of_now.max(above.map_or(0, |largest| largest.saturating_add(1)))
            }
        };
        // The first batch of a producer that gets an id in use would be taken for one that comes again. How far to go on cannot
        // be foreseen, so that a client that wrote many ids does not make this a search.
        while logs.has(id) {
            let further = i64::try_from(prng.below(IDS_EACH_MS.unsigned_abs())).ok()?;
            id = id.checked_add(further)?.checked_add(1)?;
        }
        // The last id of all is not given, for want of a next one.
        self.next = Some(id.checked_add(1)?);
        Some(id)
    }
}

/// What all partitions remember.
struct Partitions<'a>(&'a Topics);

impl Partitions<'_> {
    fn producers(&self) -> impl Iterator<Item = &ProducerStates> {
        let partitions = self.0.iter().flat_map(|topic| topic.numbered());
        partitions.map(|(_, partition)| partition.log.producers())
    }
}

impl Logs for Partitions<'_> {
    fn largest_below(&self, limit: i64) -> Option<i64> {
        self.producers()
            .filter_map(|producers| producers.largest_id_below(limit))
            .max()
    }

    fn has(&self, id: i64) -> bool {
        self.producers().any(|producers| producers.has(id))
    }
}

impl Cx<'_> {
    /// The id of a new producer; `None` when there is none left.
    pub(crate) fn issue_producer_id(&mut self) -> Option<i64> {
        let logs = Partitions(self.topics);
        self.producer_ids.issue(self.wall_ms, self.prng, &logs)
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use super::*;

    /// The ids in the logs.
    impl Logs for BTreeSet<i64> {
        fn largest_below(&self, limit: i64) -> Option<i64> {
            self.range(..limit).next_back().copied()
        }

        fn has(&self, id: i64) -> bool {
            self.contains(&id)
        }
    }

    /// The first ids that a node gives that starts at a time with these ids in its logs.
    fn given(wall_ms: i64, logged: &[i64], count: usize) -> Vec<Option<i64>> {
        let (mut ids, mut prng) = (ProducerIds::default(), Prng::from_seed(7));
        let logs: BTreeSet<i64> = logged.iter().copied().collect();
        (0..count).map(|_| ids.issue(wall_ms, &mut prng, &logs)).collect()
    }

    #[test]
    fn each_id_is_given_once() {
        assert_eq!(given(0, &[], 2), [Some(0), Some(1)]);
    }

    #[test]
    fn a_node_that_starts_later_gives_later_ids() {
        assert!(given(7, &[], 1000).last() < given(8, &[], 1).last());
    }

    #[test]
    fn ids_lie_above_those_in_the_logs_when_the_clock_went_back() {
        assert_eq!(given(0, &[41], 1), [Some(42)]);
        let in_2026 = 1_790_000_000_000 * IDS_EACH_MS;
        assert_eq!(given(0, &[in_2026, i64::MAX], 1), [Some(in_2026 + 1)]);
    }

    #[test]
    fn ids_that_cannot_have_been_given_do_not_matter() {
        assert_eq!(given(0, &[i64::MAX], 2), [Some(0), Some(1)]);
        assert_eq!(given(0, &[IDS_AHEAD], 1), [Some(0)]);
    }

    #[test]
    fn what_is_given_above_the_largest_id_that_counts_counts_at_a_later_start() {
        let made_up = IDS_AHEAD - 1;
        assert_eq!(given(0, &[made_up], 2), [Some(made_up + 1), Some(made_up + 2)]);
        assert_eq!(given(1, &[made_up, made_up + 2], 1), [Some(made_up + 3)]);
    }

    #[test]
    fn an_id_that_a_client_foresaw_is_not_given() {
        let (mut ids, mut prng) = (ProducerIds::default(), Prng::from_seed(7));
        let first = ids.issue(0, &mut prng, &BTreeSet::new());
        assert_eq!(first, Some(0));
        let foreseen: BTreeSet<i64> = (1..100).collect();
        let mut all: BTreeSet<i64> = (0..100).collect();
        for _ in 0..100 {
            let id = ids.issue(0, &mut prng, &foreseen).expect("there are many");
            assert!(all.insert(id), "{id}");
        }
    }

    #[test]
    fn when_no_id_is_left_none_is_given() {
        let mut ids = ProducerIds {
            next: Some(i64::MAX - 1),
        };
        let mut prng = Prng::from_seed(7);
        let mut issue =
            |logged: &[i64]| ids.issue(0, &mut prng, &logged.iter().copied().collect::<BTreeSet<_>>());
        assert_eq!(issue(&[i64::MAX - 1]), None);
        assert_eq!(issue(&[]), Some(i64::MAX - 1));
        assert_eq!((issue(&[]), issue(&[i64::MAX])), (None, None));
        // The clock is beyond the last id.
        assert_eq!(given(i64::MAX, &[], 2), [None, None]);
    }
}
