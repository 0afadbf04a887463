//! What a reset of a group's offsets would do, partition by partition. Pure: offsets in, rows out.

use kohort::TopicPartition;

use crate::table::Table;

/// The offset that a partition is to have, and what is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    /// The partition.
    pub(crate) partition: TopicPartition,
    /// What is committed, if anything is.
    pub(crate) from: Option<i64>,
    /// What is asked for.
    pub(crate) asked: i64,
    /// The first offset that is there.
    pub(crate) first: i64,
    /// The offset after the last record.
    pub(crate) end: i64,
}

impl Move {
    /// What is to be committed: what is asked for, within what is there.
    // Kafka: ConsumerGroupCommand.OffsetsUtils.checkOffsetsRange
    pub(crate) fn to(&self) -> i64 {
        self.asked.min(self.end).max(self.first)
    }

    /// How many offsets that are there would be skipped.
    fn skipped(&self) -> i64 {
        self.from
            .map_or(0, |from| (self.to() - from.max(self.first)).max(0))
    }

    /// How many offsets would be read again.
    fn replayed(&self) -> i64 {
        self.from
            .map_or(0, |from| (from.min(self.end) - self.to()).max(0))
    }

    fn effect(&self) -> String {
        let effect = match (self.from, self.skipped(), self.replayed()) {
            (None, ..) => "nothing was committed".to_owned(),
            (_, 0, 0) => "-".to_owned(),
            (_, 0, replayed) => format!("replays {replayed}"),
            (_, skipped, _) => format!("skips {skipped}"),
        };
        match self.asked == self.to() {
            true => effect,
            false if self.asked < self.first => {
                format!("{effect} ({} is gone: the first is {})", self.asked, self.first)
            }
            false => format!("{effect} ({} is beyond the end)", self.asked),
        }
    }
}

/// The rows of a plan.
pub(crate) fn table(moves: &[Move]) -> Table {
    let mut table = Table::new(&[
        "topic",
        "partition",
        "committed",
        "to",
        "first",
        "end",
        "lag then",
        "effect",
    ]);
    for next in moves {
        table.row(vec![
            next.partition.topic.to_string(),
            next.partition.partition.to_string(),
            next.from.map_or_else(|| "-".to_owned(), |from| from.to_string()),
            next.to().to_string(),
            next.first.to_string(),
            next.end.to_string(),
            (next.end - next.to()).to_string(),
            next.effect(),
        ]);
    }
    table
}

/// The plan in one line.
pub(crate) fn summary(moves: &[Move]) -> String {
    let changed = moves.iter().filter(|next| next.from != Some(next.to())).count();
    let sum = |of: fn(&Move) -> i64| moves.iter().map(of).fold(0, i64::saturating_add);
    format!(
        "{changed} of {} partitions change; skips {} records, replays {}",
        moves.len(),
        sum(Move::skipped),
        sum(Move::replayed)
    )
}

/// The plan as lines that `--from-file` and Kafka's tool read.
pub(crate) fn lines(moves: &[Move]) -> String {
    moves
        .iter()
        .map(|next| {
            let TopicPartition { topic, partition } = &next.partition;
            format!("{topic},{partition},{}\n", next.to())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log has the offsets 10 to 99.
    fn moved(from: Option<i64>, asked: i64) -> Move {
        Move {
            partition: TopicPartition::new("orders", 3),
            from,
            asked,
            first: 10,
            end: 100,
        }
    }

    #[test]
    fn going_back_replays_and_going_on_skips() {
        assert_eq!(moved(Some(50), 20).effect(), "replays 30");
        assert_eq!(moved(Some(50), 70).effect(), "skips 20");
        assert_eq!(moved(Some(50), 50).effect(), "-");
        assert_eq!(moved(None, 50).effect(), "nothing was committed");
    }

    #[test]
    fn an_offset_that_is_not_there_becomes_the_nearest_that_is() {
        let (below, beyond) = (moved(Some(50), 3), moved(Some(50), 1000));
        assert_eq!((below.to(), beyond.to()), (10, 100));
        assert_eq!(below.effect(), "replays 40 (3 is gone: the first is 10)");
        assert_eq!(beyond.effect(), "skips 50 (1000 is beyond the end)");
    }

    #[test]
    fn records_that_are_gone_are_neither_skipped_nor_replayed() {
        // 4 was committed, and retention has deleted up to 9.
        assert_eq!(moved(Some(4), 15).effect(), "skips 5");
        assert_eq!(moved(Some(4), 10).effect(), "-");
        // 120 was committed, of a topic that was deleted and made anew since.
        assert_eq!(moved(Some(120), 90).effect(), "replays 10");
    }

    #[test]
    fn the_summary_adds_up() {
        let moves = [
            moved(Some(50), 20),
            moved(Some(50), 70),
            moved(Some(50), 50),
            moved(None, 10),
        ];
        assert_eq!(
            summary(&moves),
            "3 of 4 partitions change; skips 20 records, replays 30"
        );
    }

    #[test]
    fn lines_are_those_of_kafkas_tool() {
        assert_eq!(
            lines(&[moved(Some(50), 3), moved(None, 70)]),
            "orders,3,10\norders,3,70\n"
        );
    }
}
