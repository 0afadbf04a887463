//! What is handed out, in which order, and where the positions are then. What counts as memory is in [`memory`],
//! what a sink does not take in [`sinks`].

mod memory;
mod sinks;

extern crate std;

use alloc::vec;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use bytes::{Bytes, BytesMut};
use kohort_records::{BatchBuilder, Compression, ControlRecord, control, stored};

use super::*;
use crate::client::ClientConfig;
use crate::consumer::{FetchEpoch, FetchedBatches, Halt, NewPosition};

fn config() -> ConsumerConfig {
    ConsumerConfig::new(ClientConfig::new([("localhost".into(), 9092)]))
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

/// A batch of `count` records whose values are their offsets.
fn batch(base: i64, count: i64) -> Bytes {
    compressed(base, count, Compression::None)
}

fn compressed(base: i64, count: i64, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(compression, None).unwrap();
    for offset in base..base + count {
        builder
            .append(offset, None, Some(alloc::format!("{offset}").as_bytes()), &[])
            .unwrap();
    }
    builder.build(base).unwrap()
}

fn run(batches: &[Bytes]) -> Bytes {
    let mut all = BytesMut::new();
    for batch in batches {
        all.extend_from_slice(batch);
    }
    all.freeze()
}

/// Partitions 0 to `count` − 1 in slots 0, 2, 4, … with position 0.
fn delivery_of(config: &ConsumerConfig, count: u64) -> Delivery {
    let mut delivery = Delivery::new(config);
    let added = (0..count)
        .map(|n| (SlotId(n * 2), Arc::new(partition(n as i32))))
        .collect();
    delivery.accept(ToCaller::Partitions {
        removed: vec![],
        added,
    });
    let at_zero = |n: u64| NewPosition {
        slot: SlotId(n * 2),
        epoch: FetchEpoch::default(),
        position: Some(Position::new(0)),
        reset: None,
    };
    delivery.accept(ToCaller::Positions((0..count).map(at_zero).collect()));
    delivery
}

fn delivery(count: u64) -> Delivery {
    delivery_of(&config(), count)
}

fn fetched(slot: u64, records: Bytes) -> FetchedBatches {
    FetchedBatches {
        slot: SlotId(slot),
        epoch: FetchEpoch::default(),
        records,
        high_watermark: 100,
        last_stable_offset: 90,
        log_start_offset: 0,
        aborted: vec![],
    }
}

fn give(delivery: &mut Delivery, slot: u64, records: Bytes) {
    delivery.accept(ToCaller::Batches(vec![fetched(slot, records)]));
}

/// (partition, offset) of everything taken.
fn offsets(taken: &Taken) -> Vec<(i32, i64)> {
    let chunk_offsets = |chunk: &TakenChunk| {
        let number = chunk.partition().partition;
        chunk
            .records()
            .iter()
            .map(|record| (number, record.offset))
            .collect::<Vec<_>>()
    };
    taken.chunks().flat_map(chunk_offsets).collect()
}

fn take(delivery: &mut Delivery, max: usize) -> Vec<(i32, i64)> {
    offsets(&delivery.take(max).unwrap())
}

/// Takes records up to one with this offset.
#[derive(Default)]
struct Until {
    offset: i64,
    taken: Vec<(i32, i64)>,
    /// The next offset after each portion.
    next: Vec<i64>,
    values: Vec<Bytes>,
}

impl Until {
    fn offset(offset: i64) -> Self {
        Self {
            offset,
            ..Self::default()
        }
    }
}

impl Sink for Until {
    fn take(&mut self, portion: &mut Portion<'_>) -> ControlFlow<()> {
        let number = portion.partition().partition;
        let done = portion.try_for_each(|record| {
            if record.offset == self.offset {
                return Err(());
            }
            self.taken.push((number, record.offset));
            self.values.extend(record.value.map(|value| record.share(value)));
            Ok(())
        });
        self.next.extend(portion.next_offset());
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(()) => ControlFlow::Break(()),
        }
    }
}

#[test]
fn what_one_fetch_brought_for_a_partition_is_drained_before_the_next_partitions_turn() {
    let mut delivery = delivery(2);
    give(&mut delivery, 0, run(&[batch(0, 2), batch(2, 1)]));
    give(&mut delivery, 2, batch(0, 2));
    assert_eq!(take(&mut delivery, 2), [(0, 0), (0, 1)]);
    assert_eq!(take(&mut delivery, 2), [(0, 2), (1, 0)]);
    assert_eq!(take(&mut delivery, 2), [(1, 1)]);
    assert_eq!(take(&mut delivery, 2), []);
}

#[test]
fn the_position_is_that_after_the_last_record_taken() {
    let mut delivery = delivery(1);
    give(&mut delivery, 0, batch(0, 5));
    take(&mut delivery, 3);
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(3)));
    let taken = delivery.take(500).unwrap();
    assert_eq!(taken.chunks().next().unwrap().next_position(), Position::new(5));
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(5)));
    assert_eq!(delivery.consumed(), [(partition(0), OffsetAndMetadata::new(5))]);
    assert_eq!(delivery.lag(&partition(0)), Some(95));
}

#[test]
fn records_below_the_position_are_not_handed_out() {
    let mut delivery = delivery(1);
    let seek = delivery
        .seek(&partition(0), SeekTo::Position(Position::new(3)))
        .unwrap();
    let mut batches = fetched(0, run(&[batch(0, 2), batch(2, 3)]));
    batches.epoch = seek.epoch;
    delivery.accept(ToCaller::Batches(vec![batches]));
    assert_eq!(take(&mut delivery, 500), [(0, 3), (0, 4)]);
}

#[test]
fn a_seek_drops_what_is_buffered_and_what_was_fetched_for_the_old_position() {
    let mut delivery = delivery(1);
    give(&mut delivery, 0, batch(0, 5));
    delivery
        .seek(&partition(0), SeekTo::Position(Position::new(2)))
        .unwrap();
    give(&mut delivery, 0, batch(5, 5));
    assert_eq!(take(&mut delivery, 500), []);
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(2)));
}

#[test]
fn a_reset_that_was_under_way_when_the_caller_sought_is_ignored() {
    let mut delivery = delivery(1);
    let seek = delivery
        .seek(&partition(0), SeekTo::Position(Position::new(7)))
        .unwrap();
    delivery.accept(ToCaller::Positions(vec![NewPosition {
        slot: SlotId(0),
        epoch: FetchEpoch::default().after_reset(),
        position: Some(Position::new(0)),
        reset: None,
    }]));
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(7)));
    assert_eq!(seek.epoch, FetchEpoch::default().after_seek());
}

#[test]
fn nothing_of_a_partition_that_is_being_revoked_is_handed_out_and_its_position_stays() {
    let mut delivery = delivery(2);
    give(&mut delivery, 0, batch(0, 5));
    give(&mut delivery, 2, batch(0, 1));
    take(&mut delivery, 2);
    delivery.accept(ToCaller::Suspended(vec![SlotId(0)]));
    give(&mut delivery, 0, batch(5, 5));
    assert_eq!(take(&mut delivery, 500), [(1, 0)]);
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(2)));
    delivery.accept(ToCaller::Partitions {
        removed: vec![SlotId(0)],
        added: vec![],
    });
    assert!(delivery.position(&partition(0)).is_err());
}

#[test]
fn what_the_listener_gave_up_is_not_among_what_was_consumed_before_the_engine_says_so() {
    let mut delivery = delivery(2);
    give(&mut delivery, 0, batch(0, 2));
    assert_eq!(take(&mut delivery, 10), [(0, 0), (0, 1)]);
    delivery.accept(ToCaller::Suspended(vec![SlotId(0)]));
    let consumed = |delivery: &Delivery| -> Vec<i32> {
        let all = delivery.consumed();
        all.iter().map(|(partition, _)| partition.partition).collect()
    };
    assert_eq!(consumed(&delivery), [0, 1], "the listener may commit it");
    delivery.give_up(&[partition(0)]);
    assert_eq!(consumed(&delivery), [1]);
    let (removed, added) = (vec![SlotId(0)], vec![(SlotId(4), Arc::new(partition(0)))]);
    delivery.accept(ToCaller::Partitions { removed, added });
    assert_eq!(delivery.assignment().count(), 2);
    assert_eq!(consumed(&delivery), [1]);
}

#[test]
fn a_partition_assigned_again_gets_nothing_of_its_earlier_assignment() {
    let mut delivery = delivery(1);
    give(&mut delivery, 0, batch(0, 5));
    delivery.accept(ToCaller::Partitions {
        removed: vec![SlotId(0)],
        added: vec![(SlotId(8), Arc::new(partition(0)))],
    });
    give(&mut delivery, 0, batch(5, 5));
    assert_eq!(take(&mut delivery, 500), []);
    assert_eq!(delivery.position(&partition(0)).unwrap(), None);
}

#[test]
fn a_paused_partition_keeps_its_buffer_in_order() {
    let mut delivery = delivery(2);
    give(&mut delivery, 0, batch(0, 2));
    give(&mut delivery, 2, batch(0, 1));
    delivery.pause(&partition(0)).unwrap();
    assert_eq!(take(&mut delivery, 500), [(1, 0)]);
    give(&mut delivery, 0, batch(2, 1));
    assert_eq!(take(&mut delivery, 500), []);
    give(&mut delivery, 0, batch(3, 1));
    delivery.resume(&partition(0)).unwrap();
    assert_eq!(take(&mut delivery, 500), [(0, 0), (0, 1), (0, 2), (0, 3)]);
}

#[test]
fn a_control_batch_moves_the_position_without_a_record() {
    let mut delivery = delivery(1);
    let commit = ControlRecord::Commit { coordinator_epoch: 0 };
    let marker = control::build_marker(0, 0, 0, 7, 0, commit).unwrap();
    give(&mut delivery, 0, marker);
    assert_eq!(take(&mut delivery, 500), []);
    assert!(delivery.in_hand().is_empty());
    assert_eq!(delivery.position(&partition(0)).unwrap().unwrap().offset, 1);
}

fn transactional(base: i64, count: i64, producer: i64) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    builder.set_producer(producer, 0, 0);
    builder.set_transactional(true);
    for offset in base..base + count {
        builder.append(offset, None, Some(b"v"), &[]).unwrap();
    }
    builder.build(base).unwrap()
}

#[test]
fn read_committed_leaves_out_aborted_transactions_up_to_their_marker() {
    let mut config = config();
    config.isolation_level = IsolationLevel::ReadCommitted;
    let mut delivery = delivery_of(&config, 1);
    let abort = ControlRecord::Abort { coordinator_epoch: 0 };
    let marker = control::build_marker(4, 0, 0, 7, 0, abort).unwrap();
    let mut batches = fetched(
        0,
        run(&[
            transactional(0, 1, 7), // of an earlier transaction, which was committed
            transactional(1, 2, 7),
            transactional(3, 1, 8),
            marker,
            transactional(5, 1, 7),
        ]),
    );
    batches.aborted = vec![(7, 1)];
    delivery.accept(ToCaller::Batches(vec![batches]));
    assert_eq!(take(&mut delivery, 500), [(0, 0), (0, 3), (0, 5)]);
}

#[test]
fn an_abort_marker_below_the_position_ends_its_transaction() {
    let mut config = config();
    config.isolation_level = IsolationLevel::ReadCommitted;
    let mut delivery = delivery_of(&config, 1);
    delivery.accept(ToCaller::Positions(vec![NewPosition {
        slot: SlotId(0),
        epoch: FetchEpoch::default(),
        position: Some(Position::new(2)),
        reset: None,
    }]));
    let abort = ControlRecord::Abort { coordinator_epoch: 0 };
    let marker = control::build_marker(1, 0, 0, 7, 0, abort).unwrap();
    let mut batches = fetched(0, run(&[transactional(0, 1, 7), marker, transactional(2, 1, 7)]));
    batches.aborted = vec![(7, 0)];
    delivery.accept(ToCaller::Batches(vec![batches]));
    assert_eq!(take(&mut delivery, 500), [(0, 2)]);
}

fn corrupt(batch: &Bytes) -> Bytes {
    let mut bytes = batch.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bytes.into()
}

#[test]
fn the_records_before_a_corrupt_batch_come_first_and_then_the_error_until_the_caller_seeks_past_it() {
    let mut delivery = delivery(1);
    give(
        &mut delivery,
        0,
        run(&[batch(0, 2), corrupt(&batch(2, 3)), batch(5, 1)]),
    );
    assert_eq!(take(&mut delivery, 500), [(0, 0), (0, 1)]);
    for _ in 0..2 {
        let error = delivery.take(500).unwrap_err();
        let PollError::UnreadableBatch {
            partition: of,
            offset,
            next_offset,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!((of, offset, next_offset), (partition(0), 2, Some(5)));
        assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(2)));
    }
    let seek = delivery
        .seek(&partition(0), SeekTo::Position(Position::new(5)))
        .unwrap();
    let mut again = fetched(0, batch(5, 1));
    again.epoch = seek.epoch;
    delivery.accept(ToCaller::Batches(vec![again]));
    assert_eq!(take(&mut delivery, 500), [(0, 5)]);
}

#[test]
fn without_check_crcs_a_wrong_checksum_goes_unnoticed() {
    let mut config = config();
    config.check_crcs = false;
    let mut delivery = delivery_of(&config, 1);
    let mut bytes = batch(0, 1).to_vec();
    bytes[17] ^= 1; // the checksum itself
    give(&mut delivery, 0, bytes.into());
    assert_eq!(take(&mut delivery, 500), [(0, 0)]);
}

#[test]
fn pausing_the_partition_of_an_unreadable_batch_lets_the_others_go_on() {
    let mut delivery = delivery(2);
    give(&mut delivery, 0, corrupt(&batch(0, 3)));
    give(&mut delivery, 2, batch(0, 1));
    assert!(delivery.take(500).is_err());
    delivery.pause(&partition(0)).unwrap();
    assert_eq!(take(&mut delivery, 500), [(1, 0)]);
}

#[test]
fn a_halt_is_handed_out_once_after_the_records_before_it_and_reported() {
    let mut delivery = delivery(1);
    give(&mut delivery, 0, batch(0, 1));
    let error = PollError::OffsetOutOfRange {
        partition: partition(0),
        offset: 1,
    };
    delivery.accept(ToCaller::Halted(Halt {
        slot: SlotId(0),
        epoch: FetchEpoch::default(),
        error: Some(error.clone()),
    }));
    assert_eq!(take(&mut delivery, 500), [(0, 0)]);
    assert_eq!(delivery.progress(), None);
    assert_eq!(delivery.take(500).unwrap_err(), error);
    assert_eq!(
        delivery.progress().unwrap().reached,
        [(SlotId(0), FetchEpoch::default())]
    );
    assert_eq!(take(&mut delivery, 500), []);
}

#[test]
fn a_halt_of_an_older_epoch_is_dropped() {
    let mut delivery = delivery(1);
    delivery.accept(ToCaller::Halted(Halt {
        slot: SlotId(0),
        epoch: FetchEpoch::default(),
        error: Some(PollError::OffsetOutOfRange {
            partition: partition(0),
            offset: 1,
        }),
    }));
    delivery
        .seek(&partition(0), SeekTo::Position(Position::new(7)))
        .unwrap();
    assert_eq!(take(&mut delivery, 500), []);
}

#[test]
fn progress_is_due_when_a_partition_falls_to_the_low_water_mark() {
    let mut config = config();
    let one = batch(10, 10);
    config.max_partition_fetch_bytes = i32::try_from(one.len()).unwrap();
    let mut delivery = delivery_of(&config, 1);
    give(&mut delivery, 0, run(&[one.clone(), batch(20, 10)]));
    take(&mut delivery, 9);
    assert_eq!(delivery.progress(), None);
    take(&mut delivery, 1);
    let progress = delivery.progress().unwrap();
    assert_eq!(progress.positions.len(), 1);
    assert_eq!(progress.positions[0].freed, one.len() as u64);
    assert_eq!(progress.positions[0].position, Some(Position::new(20)));
    assert_eq!(delivery.progress(), None);
}

#[test]
fn a_report_has_what_moved_since_the_last_one() {
    let mut delivery = delivery(2);
    assert_eq!(delivery.report(Some(3)).positions.len(), 2);
    give(&mut delivery, 2, batch(0, 1));
    take(&mut delivery, 1);
    let report = delivery.report(None);
    assert_eq!(
        report.positions.iter().map(|p| p.slot).collect::<Vec<_>>(),
        [SlotId(2)]
    );
    assert!(delivery.report(None).positions.is_empty());
}

#[test]
fn all_bytes_of_a_fetch_are_given_free_once_it_is_drained() {
    for compression in [Compression::None, Compression::Lz4] {
        let mut delivery = delivery(1);
        let records = run(&[compressed(0, 3, compression), compressed(3, 3, compression)]);
        let cut = records.slice(..records.len() - 1);
        give(&mut delivery, 0, cut.clone());
        take(&mut delivery, 2);
        take(&mut delivery, 500);
        assert_eq!(delivery.report(None).positions[0].freed, cut.len() as u64);
        assert!(delivery.is_empty());
    }
}

#[test]
fn bytes_of_dropped_batches_are_given_free() {
    let mut delivery = delivery(1);
    let records = batch(0, 3);
    give(&mut delivery, 0, records.clone());
    delivery
        .seek(&partition(0), SeekTo::Position(Position::new(1)))
        .unwrap();
    give(&mut delivery, 0, records.clone());
    assert_eq!(
        delivery.progress().unwrap().positions[0].freed,
        2 * records.len() as u64
    );
}

#[test]
fn assigning_again_keeps_the_position_of_what_stays() {
    let mut delivery = Delivery::new(&config());
    delivery.assign(&[partition(0), partition(1)]);
    delivery
        .seek(&partition(0), SeekTo::Position(Position::new(5)))
        .unwrap();
    let change = delivery.assign(&[partition(0), partition(2)]);
    let Change::Assign { removed, added } = change else {
        panic!("{change:?}");
    };
    assert_eq!(removed, [SlotId(3)]);
    assert_eq!(added, [(SlotId(5), Arc::new(partition(2)))]);
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(5)));
    let assigned: Vec<_> = delivery.assignment().map(|p| p.partition).collect();
    assert_eq!(assigned, [0, 2]);
}

#[test]
fn a_seek_of_a_partition_that_is_not_assigned_is_an_error() {
    let error = delivery(1).seek(&partition(4), SeekTo::End).unwrap_err();
    assert_eq!(error.partition, partition(4));
}

#[test]
fn what_left_the_queue_is_reported_when_nothing_is_left_unless_it_is_little() {
    let mut delivery = delivery(1);
    let little = batch(0, 1);
    give(&mut delivery, 0, little.clone());
    assert_eq!(take(&mut delivery, 500), [(0, 0)]);
    assert_eq!(take(&mut delivery, 500), []);
    assert_eq!(delivery.progress(), None);
    let more = batch(1, 10_000);
    assert!(more.len() > 64 * 1024, "{}", more.len());
    give(&mut delivery, 0, more.clone());
    assert_eq!(take(&mut delivery, 10_000).len(), 10_000);
    assert_eq!(delivery.progress(), None);
    assert_eq!(take(&mut delivery, 500), []);
    let freed = delivery.progress().unwrap().positions[0].freed;
    assert_eq!(freed, (little.len() + more.len()) as u64);
    assert_eq!(take(&mut delivery, 500), []);
    assert_eq!(delivery.progress(), None);
}

#[test]
fn with_a_small_budget_less_is_little() {
    let mut config = config();
    let one = batch(0, 1);
    config.memory_budget = one.len() as u64 * 64 - 1;
    let mut delivery = delivery_of(&config, 1);
    give(&mut delivery, 0, one.clone());
    take(&mut delivery, 500);
    take(&mut delivery, 500);
    assert_eq!(delivery.progress().unwrap().positions[0].freed, one.len() as u64);
}
