//! What the consumers of the demo reported: who owns which partition, what was counted, and whether that is right.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::PARTITIONS;
use crate::failure::Failure;
use crate::table::Table;

/// Something a consumer did.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) from: String,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// It was given these partitions.
    Assigned(Vec<i32>),
    /// It gave these partitions up.
    Revoked(Vec<i32>),
    /// It processed these records.
    Counted(Read),
}

/// Records of one poll.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) by_key: BTreeMap<String, u64>,
    pub(super) offsets: Vec<(i32, i64)>,
}

/// How often each key is in the file.
#[derive(Debug)]
pub(super) struct Expected {
    by_key: BTreeMap<String, u64>,
}

impl Expected {
    pub(super) fn of<'a>(keys: impl Iterator<Item = &'a str>) -> Self {
        let mut by_key = BTreeMap::new();
        for key in keys {
            *by_key.entry(key.to_owned()).or_default() += 1;
        }
        Self { by_key }
    }

    pub(super) fn keys(&self) -> usize {
        self.by_key.len()
    }
}

/// All reports so far.
#[derive(Debug)]
pub(super) struct Scoreboard {
    began: Instant,
    first_record: Option<Duration>,
    owned: BTreeMap<String, BTreeSet<i32>>,
    counted: BTreeMap<String, u64>,
    by_key: BTreeMap<String, u64>,
    /// How often each record was read, by partition and offset.
    reads: BTreeMap<(i32, i64), u64>,
    sender: UnboundedSender<Report>,
    receiver: UnboundedReceiver<Report>,
}

impl Scoreboard {
    pub(super) fn new(began: Instant) -> Self {
        let (sender, receiver) = unbounded_channel();
        Self {
            began,
            first_record: None,
            owned: BTreeMap::new(),
            counted: BTreeMap::new(),
            by_key: BTreeMap::new(),
            reads: BTreeMap::new(),
            sender,
            receiver,
        }
    }

    /// Where consumers send their reports.
    pub(super) fn reports(&self) -> UnboundedSender<Report> {
        self.sender.clone()
    }

    /// Takes reports until each partition has one owner among `members`, each of them owns one, and `records` were read.
    pub(super) async fn until_settled(
        &mut self,
        members: &[String],
        records: usize,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let settled = async {
            while !self.is_settled(members, records) {
                let Some(report) = self.receiver.recv().await else {
                    break;
                };
                self.take(report);
            }
        };
        let late = tokio::time::timeout(timeout, settled).await.is_err();
        if late {
            let read: u64 = self.counted.values().sum();
            return Err(Failure::Failed(format!(
                "after {} s the group has not settled: {read} of {records} records read, owners {:?}",
                timeout.as_secs(),
                self.owned
            )));
        }
        Ok(())
    }

    fn is_settled(&self, members: &[String], records: usize) -> bool {
        let owned: Vec<i32> = self.owned.values().flatten().copied().collect();
        let all: BTreeSet<i32> = owned.iter().copied().collect();
        let each_owns = members
            .iter()
            .all(|member| self.owned.get(member).is_some_and(|owned| !owned.is_empty()));
        let owners = self.owned.values().filter(|owned| !owned.is_empty()).count();
        each_owns
            && owners == members.len()
            && owned.len() == all.len()
            && all.len() == PARTITIONS as usize
            && self.reads.len() >= records
    }

    /// Takes what was reported and not yet taken.
    pub(super) fn drain(&mut self) {
        while let Ok(report) = self.receiver.try_recv() {
            self.take(report);
        }
    }

    fn take(&mut self, Report { from, what }: Report) {
        match what {
            What::Assigned(partitions) => self.owned.entry(from).or_default().extend(partitions),
            What::Revoked(partitions) => {
                let owned = self.owned.entry(from).or_default();
                partitions.iter().for_each(|partition| {
                    owned.remove(partition);
                });
            }
            What::Counted(read) => {
                self.first_record.get_or_insert_with(|| self.began.elapsed());
                *self.counted.entry(from).or_default() += read.offsets.len() as u64;
                for (key, count) in read.by_key {
                    *self.by_key.entry(key).or_default() += count;
                }
                for at in read.offsets {
                    *self.reads.entry(at).or_default() += 1;
                }
            }
        }
    }

    /// From the start of the demo to its first record.
    pub(super) fn first_record(&self) -> Option<Duration> {
        self.first_record
    }

    /// Who owns which partition, and what each has read so far.
    pub(super) fn owners(&self) -> Table {
        let mut table = Table::new(&["consumer", "partitions", "records so far"]);
        for (name, owned) in &self.owned {
            let mut partitions: Vec<String> = owned.iter().map(i32::to_string).collect();
            if partitions.is_empty() {
                partitions.push("-".to_owned());
            }
            let counted = self.counted.get(name).copied().unwrap_or(0);
            table.row(vec![name.clone(), partitions.join(" "), counted.to_string()]);
        }
        table
    }

    /// The keys that were counted most.
    pub(super) fn busiest(&self, count: usize) -> Table {
        let mut keys: Vec<(&String, &u64)> = self.by_key.iter().collect();
        keys.sort_by_key(|(key, count)| (std::cmp::Reverse(**count), key.as_str()));
        let mut table = Table::new(&["airport", "flights"]);
        for (key, count) in keys.into_iter().take(count) {
            table.row(vec![key.clone(), count.to_string()]);
        }
        table
    }

    /// What was counted, held against the file.
    pub(super) fn compare(&self, expected: &Expected) -> Verdict {
        let mut verdict = Verdict {
            records: self.by_key.values().sum(),
            keys: self.by_key.len(),
            missing: BTreeMap::new(),
            doubled: BTreeMap::new(),
            reread: self.reads.values().map(|times| times - 1).sum(),
        };
        let keys: BTreeSet<&String> = expected.by_key.keys().chain(self.by_key.keys()).collect();
        for key in keys {
            let of = |counts: &BTreeMap<String, u64>| counts.get(key).copied().unwrap_or(0);
            let (wanted, got) = (of(&expected.by_key), of(&self.by_key));
            if got < wanted {
                verdict.missing.insert(key.clone(), wanted - got);
            } else if got > wanted {
                verdict.doubled.insert(key.clone(), got - wanted);
            }
        }
        verdict
    }
}

/// Whether each record was read once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    records: u64,
    keys: usize,
    missing: BTreeMap<String, u64>,
    doubled: BTreeMap<String, u64>,
    /// Reads of a partition's offset that had been read before.
    reread: u64,
}

impl Verdict {
    pub(super) fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.doubled.is_empty() && self.reread == 0
    }

    /// The keys that are wrong, and by how much.
    pub(super) fn difference(&self) -> String {
        format!(
            "missing {:?}, doubled {:?}, offsets read again: {}",
            self.missing, self.doubled, self.reread
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (missing, doubled) = (
            self.missing.values().sum::<u64>(),
            self.doubled.values().sum::<u64>(),
        );
        write!(
            f,
            "{} records, {} keys, {missing} missing, {} doubled",
            self.records,
            self.keys,
            doubled.max(self.reread)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(reads: &[(&str, i32, i64)]) -> Scoreboard {
        let mut board = Scoreboard::new(Instant::now());
        for (key, partition, offset) in reads {
            let read = Read {
                by_key: [((*key).to_owned(), 1)].into(),
                offsets: vec![(*partition, *offset)],
            };
            board.take(Report {
                from: "counter-1".to_owned(),
                what: What::Counted(read),
            });
        }
        board
    }

    #[test]
    fn reading_each_record_once_is_exact() {
        let verdict = board(&[("a", 0, 0), ("b", 1, 0), ("a", 0, 1)])
            .compare(&Expected::of(["a", "a", "b"].into_iter()));
        assert!(verdict.is_exact());
        assert_eq!(verdict.to_string(), "3 records, 2 keys, 0 missing, 0 doubled");
    }

    #[test]
    fn a_missing_and_a_doubled_record_do_not_cancel_out() {
        let verdict = board(&[("a", 0, 0), ("a", 0, 0)]).compare(&Expected::of(["a", "a"].into_iter()));
        assert!(
            !verdict.is_exact(),
            "two reads of one offset are one record doubled and one missing"
        );
        let verdict = board(&[("a", 0, 0), ("b", 1, 0)]).compare(&Expected::of(["a", "c"].into_iter()));
        assert_eq!(verdict.to_string(), "2 records, 2 keys, 1 missing, 1 doubled");
    }

    #[test]
    fn a_group_is_settled_when_each_partition_has_one_owner_and_each_member_one_partition() {
        let mut board = board(&[]);
        let members = ["counter-1".to_owned(), "counter-2".to_owned()];
        let report = |from: &str, what| Report {
            from: from.to_owned(),
            what,
        };
        board.take(report("counter-1", What::Assigned((0..PARTITIONS).collect())));
        assert!(!board.is_settled(&members, 0));
        board.take(report("counter-2", What::Assigned(vec![0])));
        assert!(!board.is_settled(&members, 0), "partition 0 has two owners");
        board.take(report("counter-1", What::Revoked(vec![0])));
        assert!(board.is_settled(&members, 0));
        assert!(!board.is_settled(&members, 1), "a record is still to be read");
    }
}
