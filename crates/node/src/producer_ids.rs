//! The ids of idempotent producers. What a partition remembers of a producer is in [`crate::log`].

use crate::context::Cx;

/// How many ids there are for each millisecond of wall time.
const IDS_EACH_MS: i64 = 1 << 20;

/// Hands out producer ids, each once, also after a restart: the first is taken from the clock, so that no id needs to be
/// written down before it is used.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProducerIds {
    next: Option<i64>,
}

impl ProducerIds {
    /// An id not given before, above `used`.
    fn issue(&mut self, wall_ms: i64, used: impl FnOnce() -> i64) -> i64 {
        let id = self.next.unwrap_or_else(|| {
            let of_now = wall_ms.max(0).saturating_mul(IDS_EACH_MS);
            of_now.max(used().saturating_add(1))
        });
        self.next = Some(id.saturating_add(1));
        id
    }
}

impl Cx<'_> {
    /// The id of a new producer.
    pub(crate) fn issue_producer_id(&mut self) -> i64 {
        let topics = &*self.topics;
        self.producer_ids.issue(self.wall_ms, || {
            let partitions = topics.iter().flat_map(|topic| topic.numbered());
            let ids = partitions.filter_map(|(_, partition)| partition.log.producers().largest_id());
            ids.max().unwrap_or(-1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_is_given_once() {
        let mut ids = ProducerIds::default();
        assert_eq!([ids.issue(0, || -1), ids.issue(0, || -1)], [0, 1]);
    }

    #[test]
    fn a_node_that_starts_later_gives_later_ids() {
        let mut before = ProducerIds::default();
        let given = (0..1000).map(|_| before.issue(7, || -1)).last();
        assert!(given < Some(ProducerIds::default().issue(8, || -1)));
    }

    #[test]
    fn ids_lie_above_those_in_the_logs_when_the_clock_went_back() {
        assert_eq!(ProducerIds::default().issue(0, || 41), 42);
    }
}
