//! What look-ups tell is what was so at some time while they were under way.

use kohort_groups::TopicPartition;

use super::{Ledger, ReaderNo};

/// What was so of a partition when it was asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    end: i64,
    /// How many commits were stored.
    commits: usize,
}

impl Ledger {
    /// What is so now, to be compared with an answer later.
    pub(crate) fn before_lookup(&self, partition: &TopicPartition) -> Before {
        Before {
            end: self.end_of(partition),
            commits: self.commits_of(partition).len(),
        }
    }

    fn end_of(&self, partition: &TopicPartition) -> i64 {
        self.logs.get(partition).map_or(0, super::Log::end)
    }

    /// The answer says that this is committed (I3).
    pub(crate) fn told_committed(
        &mut self,
        partition: &TopicPartition,
        before: Before,
        committed: Option<i64>,
    ) {
        let commits = self.commits_of(partition);
        let since = commits
            .get(before.commits.saturating_sub(1)..)
            .unwrap_or_default();
        let is_true = match committed {
            Some(offset) => since.contains(&offset),
            None => before.commits == 0,
        };
        if !is_true {
            let what =
                format!("{committed:?} was told to be committed of {partition}; it was one of {since:?}");
            self.break_rule("I3", what);
        }
    }

    /// The answer says that the log ends here (I6).
    pub(crate) fn told_end(&mut self, partition: &TopicPartition, before: Before, end: i64) {
        let now = self.end_of(partition);
        if end < before.end || end > now {
            let what = format!(
                "{partition} was told to end at {end}; it ended at {}, and ends at {now}",
                before.end
            );
            self.break_rule("I6", what);
        }
    }

    /// The answer says that this is the position of a reader: what it is handed out next (I4), or what is committed (I3).
    pub(crate) fn told_position(&mut self, reader: ReaderNo, partition: &TopicPartition, offset: i64) {
        let Some(held) = self.held(reader, partition) else {
            return;
        };
        let (next, floor) = (held.next, held.floor);
        let (invariant, is_true) = match next {
            Some(next) => ("I4", offset == next),
            None => {
                let floor = floor.unwrap_or(0);
                let is_later = offset > floor && self.commits_of(partition).contains(&offset);
                ("I3", offset == floor || is_later)
            }
        };
        if !is_true {
            let what = format!(
                "m{reader} is told to be at {offset} of {partition}; it is at {next:?}, and began at {floor:?}"
            );
            self.break_rule(invariant, what);
        }
    }

    /// The answer says that the log begins here, or has its first record here (I6): logs lose nothing.
    pub(crate) fn told_beginning(&mut self, partition: &TopicPartition, offset: i64) {
        if offset != 0 {
            let what = format!("{partition} was told to begin at {offset}");
            self.break_rule("I6", what);
        }
    }
}
