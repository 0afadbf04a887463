//! The coordinators' records in the logs of `__consumer_offsets`: appended as record batches, and read again by the broker that
//! comes to lead a partition.

use alloc::format;
use alloc::vec::Vec;

use kohort_groups::coordinator::{AppendFailure, CoordinatorRecord, Event};
use kohort_groups::wire::coordinator as wire;
use kohort_protocol::ErrorCode;
use kohort_records::codec::Compression;
use kohort_records::{Batch, BatchBuilder, batches};

use crate::cluster::BrokerId;
use crate::context::Cx;
use crate::durability::Wait;
use crate::interface::Level;
use crate::log::{Origin, StorageError};
use crate::topics::CONSUMER_OFFSETS;

/// How many bytes of a log are read at once when it is loaded.
// Kafka: offsets.load.buffer.size
const LOAD_BYTES: usize = 5_242_880;

/// How many bytes a batch of `__consumer_offsets` may hold once decompressed. The broker wrote it itself.
const LARGEST_DECOMPRESSED: usize = usize::MAX;

impl Cx<'_> {
    /// Lets each broker host the groups of the partitions that it leads.
    // Kafka: BrokerMetadataPublisher.updateCoordinator, GroupCoordinatorService.onElection, onResignation
    pub(crate) fn host_groups(&mut self) {
        let topic = self.topics.get(CONSUMER_OFFSETS);
        let stopped = &self.groups.stopped;
        let leaders = || {
            let all = topic.into_iter().flat_map(|topic| topic.numbered());
            all.filter(|(_, partition)| !stopped.contains(&partition.leader))
        };
        let hosts = self
            .groups
            .hosts
            .iter()
            .map(|(number, broker)| (*number, *broker));
        if leaders()
            .map(|(number, partition)| (number, partition.leader))
            .eq(hosts)
        {
            return;
        }
        let leaders: Vec<(i32, BrokerId)> = leaders()
            .map(|(number, partition)| (number, partition.leader))
            .collect();
        let before = core::mem::replace(&mut self.groups.hosts, leaders.iter().copied().collect());
        for (&partition, &host) in &before {
            if self.groups.hosts.get(&partition) != Some(&host) {
                self.groups.tell(self.now, host, Event::Unload { partition });
            }
        }
        for (partition, leader) in leaders {
            if before.get(&partition) != Some(&leader) {
                self.load_groups(leader, partition);
            }
        }
    }

    fn load_groups(&mut self, broker: BrokerId, partition: i32) {
        match self.read_group_records(partition) {
            Ok(records) => self
                .groups
                .tell(self.now, broker, Event::Load { partition, records }),
            Err(error) => {
                // The groups of the partition stay without coordinator.
                self.storage_failed(CONSUMER_OFFSETS, &error);
                return;
            }
        }
        let wall_ms = self.wall_ms;
        self.groups
            .tell(self.now, broker, Event::Loaded { partition, wall_ms });
    }

    fn read_group_records(&mut self, number: i32) -> Result<Vec<CoordinatorRecord>, StorageError> {
        let mut records = Vec::new();
        let mut damage = Vec::new();
        if let Some(topic) = self.topics.get_mut(CONSUMER_OFFSETS)
            && let Some(partition) = topic.partition_mut(number)
        {
            let mut from = partition.log.start_offset();
            while from < partition.log.high_watermark() {
                let bytes = partition.log.read(from, LOAD_BYTES, true)?;
                let (before, is_empty) = (from, bytes.is_empty());
                for batch in batches(bytes) {
                    match batch {
                        Ok(batch) => {
                            from = batch.next_offset();
                            read_batch(&batch, &mut records, &mut damage);
                        }
                        Err(_) => break,
                    }
                }
                if is_empty {
                    break;
                }
                if from <= before {
                    // Going on would mean to forget what was committed.
                    return Err(StorageError {
                        operation: "loading the groups",
                        reason: format!(
                            "{CONSUMER_OFFSETS}-{number}: the batch at offset {before} cannot be read"
                        ),
                    });
                }
            }
        }
        for reason in damage {
            self.log(
                Level::Warn,
                format!("{CONSUMER_OFFSETS}-{number} has a record that cannot be read: {reason}"),
            );
        }
        Ok(records)
    }

    /// Appends records as one batch; gives what has to be waited for before they count.
    // Kafka: CoordinatorPartitionWriter.append
    pub(super) fn append_group_records(
        &mut self,
        broker: BrokerId,
        number: i32,
        records: &[CoordinatorRecord],
    ) -> Result<Option<Wait>, AppendFailure> {
        let batch = build_batch(records, self.wall_ms)?;
        let wall_ms = self.wall_ms;
        let led = self.topics.led_by(broker, CONSUMER_OFFSETS, number);
        let (partition, config) = led.map_err(append_failure)?;
        let appended = partition.log.append(&batch, config, Origin::Coordinator, wall_ms);
        match appended {
            Ok(appended) => Ok(self.appended(CONSUMER_OFFSETS, number, appended, batch.size())),
            Err(rejection) => {
                let message = format!("{CONSUMER_OFFSETS}-{number}: {}", rejection.message);
                self.log(Level::Warn, message);
                Err(append_failure(rejection.code))
            }
        }
    }
}

fn read_batch(batch: &Batch, records: &mut Vec<CoordinatorRecord>, damage: &mut Vec<alloc::string::String>) {
    if batch.is_control() {
        return;
    }
    let open = match batch.open(LARGEST_DECOMPRESSED) {
        Ok(open) => open,
        Err(error) => return damage.push(format!("{error}")),
    };
    for record in open.iter() {
        let record = record.to_owned();
        let Some(key) = record.key else { continue };
        match wire::decode_record(key, record.value) {
            Ok(decoded) => records.extend(decoded),
            Err(error) => damage.push(format!("{error}")),
        }
    }
}

fn build_batch(records: &[CoordinatorRecord], wall_ms: i64) -> Result<Batch, AppendFailure> {
    let mut builder = BatchBuilder::new(Compression::None, None).map_err(|_| AppendFailure::TooLarge)?;
    for record in records {
        let (key, value) = wire::encode_record(record).map_err(|_| AppendFailure::TooLarge)?;
        let appended = builder.append(wall_ms, Some(&key), value.as_deref(), &[]);
        appended.map_err(|_| AppendFailure::TooLarge)?;
    }
    let bytes = builder.build(0).map_err(|_| AppendFailure::TooLarge)?;
    let batch = Batch::decode(bytes, 0).ok().flatten();
    batch.ok_or(AppendFailure::TooLarge)
}

fn append_failure(code: ErrorCode) -> AppendFailure {
    match code {
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => AppendFailure::NotLeader,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => AppendFailure::TooLarge,
        _ => AppendFailure::Unavailable,
    }
}
