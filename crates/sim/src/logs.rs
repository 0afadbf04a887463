//! What is written to the broker's logs, as both halves see it: records are told to the ledger by their numbers, the coordinator's
//! records as they are. So the simulation knows what is stored without asking the broker.

use std::collections::BTreeMap;

use bytes::Bytes;
use kohort_groups::TopicPartition;
use kohort_groups::coordinator::CoordinatorRecord;
use kohort_groups::wire::coordinator::decode_record;
use kohort_machine::Instant;
use kohort_records::batches;

use crate::ledger::Ledger;

/// The log of a partition of the groups' topic begins with this.
const OFFSETS: &str = "__consumer_offsets-";
/// No batch of the simulation is larger.
const LARGEST: usize = 1 << 20;

/// Bytes that were written to the log of a partition.
#[derive(Debug)]
pub(crate) struct Written {
    /// Topic and partition, as a directory is named.
    pub(crate) log: String,
    pub(crate) bytes: Bytes,
}

/// What logs hold.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) records: BTreeMap<TopicPartition, BTreeMap<i64, u64>>,
    pub(crate) group: Vec<CoordinatorRecord>,
}

impl Contents {
    pub(crate) fn read(written: Vec<Written>) -> Self {
        let mut contents = Self::default();
        for Written { log, bytes } in written {
            let Some((topic, number)) = log.rsplit_once('-') else {
                continue;
            };
            let Ok(number) = number.parse() else { continue };
            let is_groups = log.starts_with(OFFSETS);
            let mut records = BTreeMap::new();
            for batch in batches(bytes).map_while(Result::ok) {
                let Ok(open) = batch.open(LARGEST) else { continue };
                for record in open.iter() {
                    match is_groups {
                        true => contents.group.extend(coordinator_record(&record.to_owned())),
                        false => {
                            records.insert(record.offset, id_of(record.value));
                        }
                    }
                }
            }
            if !is_groups {
                let partition = TopicPartition::new(topic, number);
                contents.records.entry(partition).or_default().extend(records);
            }
        }
        contents
    }

    /// Tells the ledger that this was written.
    pub(crate) fn tell(&self, now: Instant, ledger: &mut Ledger) {
        for (partition, records) in &self.records {
            for (offset, id) in records {
                ledger.written(partition, *offset, *id);
                ledger.readable(now, partition, *offset);
            }
        }
        for record in &self.group {
            ledger.coordinator_wrote(record);
        }
    }
}

fn coordinator_record(record: &kohort_records::Record) -> Option<CoordinatorRecord> {
    decode_record(record.key.clone()?, record.value.clone())
        .ok()
        .flatten()
}

/// A record's identity: the number that its value is.
pub(crate) fn id_of(value: Option<&[u8]>) -> u64 {
    value
        .and_then(|value| value.first_chunk())
        .map_or(u64::MAX, |id| u64::from_be_bytes(*id))
}

/// Whether nobody can make anything of this record, however often it is tried: it has to be passed over.
pub(crate) fn is_unreadable(id: u64) -> bool {
    id % 41 == 7
}

/// The value of the record with this identity.
pub(crate) fn value_of(id: u64) -> Bytes {
    Bytes::copy_from_slice(&id.to_be_bytes())
}
