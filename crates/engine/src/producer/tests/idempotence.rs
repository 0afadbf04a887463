//! Producer ids, sequences, and what follows when they are in doubt.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::Prng;
use kohort_protocol::messages::InitProducerIdResponse;
use kohort_protocol::{ApiKey, ErrorCode, VersionRange};
use kohort_records::{Batch, batches};

use super::{
    MILLI, SECOND, acked, acknowledge, answer_with, errors, producer_with, refuse, request, send, values,
};
use crate::client::testing::{Arrived, Driven, Network};
use crate::producer::{Acks, NoProducerId, ProducerAction, ProducerEngine, SendError};

/// Every record is a batch of its own.
fn eager() -> Driven<ProducerEngine> {
    producer_with(Network::with_cluster(1, &[("t", 2)]), |config| {
        config.linger = Duration::ZERO;
    })
}

fn batches_of(arrived: &Arrived) -> Vec<(i32, Batch)> {
    let topics = request(arrived).topic_data.iter();
    let partitions = topics.flat_map(|topic| &topic.partition_data);
    let parts = partitions.flat_map(|partition| {
        let batches = batches(partition.records.clone().unwrap());
        batches.map(|batch| (partition.index, batch.unwrap()))
    });
    parts.collect()
}

/// Producer id, epoch and first sequence of the one batch of a request.
fn stamp(arrived: &Arrived) -> (i64, i16, i32) {
    let [(_, batch)] = &batches_of(arrived)[..] else {
        panic!("{arrived:?}");
    };
    batch.verify_crc().unwrap();
    (batch.producer_id(), batch.producer_epoch(), batch.base_sequence())
}

fn next(producer: &mut Driven<ProducerEngine>) -> Arrived {
    producer.expect(ApiKey::Produce)
}

/// As [`eager`], after the first batch of partition 0 was acknowledged.
fn begun() -> Driven<ProducerEngine> {
    let mut producer = eager();
    producer.step(send(99, "t", Some(0), b"first"));
    let first = next(&mut producer);
    assert_eq!(stamp(&first), (4_000, 0, 0));
    acknowledge(&mut producer, &first);
    producer
}

// Kafka: ProducerAppendInfo.checkSequence takes a producer that it does not know at any sequence (KAFKA-14359)
#[test]
fn the_first_batch_of_a_partition_goes_alone_so_that_none_after_it_overtakes_it() {
    let mut producer = eager();
    producer.step(send(0, "t", Some(0), b"v"));
    producer.step(send(1, "t", Some(0), b"w"));
    for _ in 0..2 {
        let first = next(&mut producer);
        assert_eq!(stamp(&first), (4_000, 0, 0));
        assert_eq!(producer.network.waiting().count(), 0);
        refuse(&mut producer, &first, ErrorCode::NotLeaderOrFollower);
        producer.advance(SECOND);
    }
    let first = next(&mut producer);
    acknowledge(&mut producer, &first);
    assert_eq!(stamp(&next(&mut producer)), (4_000, 0, 1));
}

// KIP-98
#[test]
fn batches_of_a_partition_are_in_flight_together_with_sequences_in_order() {
    let mut producer = begun();
    for token in 0..7 {
        producer.step(send(token, "t", Some(0), b"v"));
    }
    let sent: Vec<Arrived> = (0..5).map(|_| next(&mut producer)).collect();
    let stamps: Vec<_> = sent.iter().map(stamp).collect();
    assert_eq!(
        stamps,
        [
            (4_000, 0, 1),
            (4_000, 0, 2),
            (4_000, 0, 3),
            (4_000, 0, 4),
            (4_000, 0, 5)
        ]
    );
    assert_eq!(
        producer.network.waiting().count(),
        0,
        "not more than max.in.flight"
    );
    assert_eq!(acknowledge(&mut producer, &sent[0]), [acked(0, 0, 100)]);
    // What waited meanwhile is one batch.
    let sixth = next(&mut producer);
    assert_eq!((stamp(&sixth), values(&sixth)[0].1.len()), ((4_000, 0, 6), 2));
}

#[test]
fn a_batch_that_is_sent_again_keeps_its_sequence() {
    let mut producer = eager();
    producer.step(send(0, "t", Some(0), b"v"));
    let first = next(&mut producer);
    let link = first.link;
    producer.network.cut(link);
    producer.advance(SECOND);
    let again = next(&mut producer);
    assert_eq!(stamp(&again), stamp(&first));
    assert_eq!(batches_of(&again), batches_of(&first));
}

// Kafka: RecordAccumulator.shouldStopDrainBatchesForPartition
#[test]
fn what_is_sent_again_goes_one_by_one_and_before_what_is_new() {
    let mut producer = begun();
    for token in 0..3 {
        producer.step(send(token, "t", Some(0), b"v"));
    }
    let sent: Vec<Arrived> = (0..3).map(|_| next(&mut producer)).collect();
    refuse(&mut producer, &sent[0], ErrorCode::NotEnoughReplicas);
    for later in &sent[1..] {
        refuse(&mut producer, later, ErrorCode::OutOfOrderSequenceNumber);
    }
    producer.step(send(3, "t", Some(0), b"v"));
    for sequence in 0..2 {
        producer.advance(SECOND);
        let arrived = next(&mut producer);
        assert_eq!(stamp(&arrived), (4_000, 0, 1 + sequence));
        assert_eq!(producer.network.waiting().count(), 0);
        let token = u64::from(sequence.unsigned_abs());
        assert_eq!(acknowledge(&mut producer, &arrived), [acked(token, 0, 100)]);
    }
    // The last one that is sent again has what is new beside it.
    producer.advance(SECOND);
    let (last, new) = (next(&mut producer), next(&mut producer));
    assert_eq!((stamp(&last), stamp(&new)), ((4_000, 0, 3), (4_000, 0, 4)));
}

// Kafka: Sender.completeBatch
#[test]
fn a_batch_that_the_log_has_had_for_long_is_acknowledged_without_its_offset() {
    let mut producer = eager();
    producer.step(send(0, "t", Some(0), b"v"));
    let arrived = next(&mut producer);
    let actions = refuse(&mut producer, &arrived, ErrorCode::DuplicateSequenceNumber);
    let [ProducerAction::Sent { result: Ok(ack), .. }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!((ack.partition, ack.offset), (0, None));
}

// KIP-360; Kafka: TransactionManager.canRetry
#[test]
fn a_gap_in_the_sequences_raises_the_epoch_and_begins_anew() {
    let mut producer = eager();
    producer.step(send(0, "t", Some(0), b"v"));
    let arrived = next(&mut producer);
    acknowledge(&mut producer, &arrived);
    producer.step(send(1, "t", Some(0), b"w"));
    producer.step(send(2, "t", Some(1), b"x"));
    let (lost, other) = (next(&mut producer), next(&mut producer));
    assert_eq!((stamp(&lost), stamp(&other)), ((4_000, 0, 1), (4_000, 0, 0)));
    refuse(&mut producer, &lost, ErrorCode::OutOfOrderSequenceNumber);
    producer.advance(SECOND);
    let again = next(&mut producer);
    assert_eq!(
        (stamp(&again), values(&again)[0].1[0].as_slice()),
        ((4_000, 1, 0), b"w".as_slice())
    );
    // Another partition goes over to the new epoch when nothing of it is in flight.
    producer.step(send(3, "t", Some(1), b"y"));
    assert_eq!(producer.network.waiting().count(), 0);
    acknowledge(&mut producer, &other);
    assert_eq!(stamp(&next(&mut producer)), (4_000, 1, 0));
}

// Kafka: TransactionManager.handleFailedBatch
#[test]
fn after_a_batch_that_is_refused_for_good_the_partition_begins_anew() {
    let mut producer = begun();
    producer.step(send(0, "t", Some(0), b"v"));
    producer.step(send(1, "t", Some(0), b"w"));
    let (first, second) = (next(&mut producer), next(&mut producer));
    let failed = errors(refuse(&mut producer, &first, ErrorCode::MessageTooLarge));
    assert!(matches!(failed[..], [(0, SendError::Refused { .. })]));
    refuse(&mut producer, &second, ErrorCode::OutOfOrderSequenceNumber);
    producer.advance(SECOND);
    let again = next(&mut producer);
    assert_eq!(stamp(&again), (4_000, 1, 0));
    assert_eq!(acknowledge(&mut producer, &again), [acked(1, 0, 100)]);
}

// Kafka: TransactionManager.maybeResolveSequences
#[test]
fn a_batch_given_up_after_it_was_sent_lets_the_partition_begin_anew() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.linger = Duration::ZERO;
        config.delivery_timeout = 3 * SECOND;
        config.client.request_timeout = SECOND;
    });
    producer.step(send(0, "t", Some(0), b"v"));
    let arrived = next(&mut producer);
    producer.network.cut(arrived.link);
    producer.network.crash(9001);
    let failed = errors(producer.advance(4 * SECOND));
    assert!(
        matches!(failed[..], [(0, SendError::Expired { .. })]),
        "{failed:?}"
    );
    producer.network.down.clear();
    producer.step(send(1, "t", Some(0), b"w"));
    producer.advance(2 * SECOND);
    assert_eq!(stamp(&next(&mut producer)), (4_000, 1, 0));
}

#[test]
fn nothing_is_sent_before_there_is_a_producer_id() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    network.producer_id = None;
    let mut producer = producer_with(network, |config| config.linger = Duration::ZERO);
    producer.step(send(0, "t", Some(0), b"v"));
    let asked = producer.expect(ApiKey::InitProducerId);
    assert_eq!(producer.network.waiting().count(), 0);
    let failed = InitProducerIdResponse {
        error_code: ErrorCode::CoordinatorLoadInProgress.code(),
        ..Default::default()
    };
    producer.answer(&asked, failed);
    producer.advance(SECOND);
    let asked = producer.expect(ApiKey::InitProducerId);
    let given = InitProducerIdResponse {
        producer_id: 9,
        producer_epoch: 2,
        ..Default::default()
    };
    producer.answer(&asked, given);
    assert_eq!(stamp(&next(&mut producer)), (9, 2, 0));
}

#[test]
fn a_producer_id_that_is_refused_fails_what_waits_and_is_asked_for_again_later() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    network.producer_id = None;
    let mut producer = producer_with(network, |config| config.linger = Duration::ZERO);
    producer.step(send(0, "t", Some(0), b"v"));
    let asked = producer.expect(ApiKey::InitProducerId);
    let refused = InitProducerIdResponse {
        error_code: ErrorCode::ClusterAuthorizationFailed.code(),
        ..Default::default()
    };
    let failed = errors(producer.answer(&asked, refused));
    let reason = NoProducerId::Refused(ErrorCode::ClusterAuthorizationFailed);
    assert_eq!(failed, [(0, SendError::NoProducerId { reason })]);
    producer.network.producer_id = Some(5);
    producer.step(send(1, "t", Some(0), b"w"));
    producer.advance(SECOND);
    assert_eq!(stamp(&next(&mut producer)), (5, 0, 0));
}

#[test]
fn a_broker_without_producer_ids_is_an_error_that_says_what_to_do() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    network
        .versions
        .insert(ApiKey::InitProducerId, VersionRange { min: 90, max: 90 });
    let mut producer = producer_with(network, |config| config.linger = Duration::ZERO);
    let failed = errors(producer.step(send(0, "t", Some(0), b"v")));
    assert!(
        failed[0].1.to_string().contains("enable.idempotence"),
        "{failed:?}"
    );
}

// Kafka: TransactionManager.bumpIdempotentProducerEpoch
#[test]
fn after_the_last_epoch_comes_another_producer_id() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    network.producer_id = None;
    let mut producer = producer_with(network, |config| config.linger = Duration::ZERO);
    producer.step(send(0, "t", Some(0), b"v"));
    let asked = producer.expect(ApiKey::InitProducerId);
    let given = |producer_id, producer_epoch| InitProducerIdResponse {
        producer_id,
        producer_epoch,
        ..Default::default()
    };
    producer.answer(&asked, given(1, i16::MAX));
    let arrived = next(&mut producer);
    refuse(&mut producer, &arrived, ErrorCode::OutOfOrderSequenceNumber);
    let asked = producer.expect(ApiKey::InitProducerId);
    producer.answer(&asked, given(2, 0));
    producer.advance(SECOND);
    assert_eq!(stamp(&next(&mut producer)), (2, 0, 0));
}

#[test]
fn without_acks_of_all_or_idempotence_batches_carry_no_sequence_and_go_one_by_one() {
    for is_off in [false, true] {
        let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
            config.linger = Duration::ZERO;
            config.enable_idempotence = !is_off;
            config.acks = if is_off { Acks::All } else { Acks::Leader };
        });
        producer.step(send(0, "t", Some(0), b"v"));
        producer.step(send(1, "t", Some(0), b"w"));
        assert_eq!(stamp(&next(&mut producer)), (-1, -1, -1));
        assert_eq!(producer.network.waiting().count(), 0);
    }
}

/// What a leader keeps of a producer, and the log.
// Kafka: ProducerStateEntry
#[derive(Default)]
struct Log {
    /// None before the producer's first batch, which may have any sequence.
    epoch: Option<i16>,
    /// First and last sequence of the newest batches.
    newest: VecDeque<(i32, i32)>,
    values: Vec<u64>,
}

impl Log {
    // Kafka: ProducerAppendInfo.checkSequence
    fn append(&mut self, batch: &Batch, values: Vec<u64>) -> ErrorCode {
        let (first, last, epoch) = (
            batch.base_sequence(),
            batch.last_sequence(),
            batch.producer_epoch(),
        );
        let known = *self.epoch.get_or_insert(epoch);
        if epoch < known {
            return ErrorCode::InvalidProducerEpoch;
        }
        if epoch > known {
            if first != 0 {
                return ErrorCode::OutOfOrderSequenceNumber;
            }
            self.epoch = Some(epoch);
            self.newest.clear();
        }
        if self.newest.contains(&(first, last)) {
            return ErrorCode::None;
        }
        if self.newest.back().is_some_and(|(_, last)| first != last + 1) {
            return ErrorCode::OutOfOrderSequenceNumber;
        }
        self.newest.push_back((first, last));
        if self.newest.len() > 5 {
            self.newest.pop_front();
        }
        self.values.extend(values);
        ErrorCode::None
    }
}

#[test]
fn every_record_is_in_the_log_once_and_in_order_whatever_the_network_does() {
    for seed in 0..200 {
        let mut prng = Prng::from_seed(seed);
        let mut producer = producer_with(Network::with_cluster(3, &[("t", 6)]), |config| {
            config.client.request_timeout = 2 * SECOND;
            config.batch_size = 120;
            config.linger = Duration::from_millis(prng.below(2) * 5);
        });
        let (mut sent, mut answers) = (0u64, Vec::new());
        let mut logs: BTreeMap<i32, Log> = BTreeMap::new();
        let mut append = |arrived: &Arrived| {
            let mut errors = BTreeMap::new();
            for ((partition, batch), (_, values)) in batches_of(arrived).into_iter().zip(values(arrived)) {
                let values = values
                    .iter()
                    .map(|it| u64::from_be_bytes(it[..].try_into().unwrap()));
                let error = logs
                    .entry(partition)
                    .or_default()
                    .append(&batch, values.collect());
                errors.insert(partition, error.code());
            }
            answer_with(arrived, |partition| {
                partition.error_code = errors[&partition.index]
            })
        };
        for turn in 0..200 {
            let actions = match prng.below(8) {
                0..=2 if turn < 160 => {
                    let value = sent.to_be_bytes();
                    sent += 1;
                    let partition = prng.below(6) as i32;
                    producer.step(send(sent - 1, "t", Some(partition), &value))
                }
                3 | 4 => match producer.network.take(ApiKey::Produce) {
                    Some(arrived) if prng.chance(1, 6) => {
                        refuse(&mut producer, &arrived, ErrorCode::NotEnoughReplicas)
                    }
                    Some(arrived) => {
                        let response = append(&arrived);
                        if prng.chance(1, 4) {
                            producer.network.cut(arrived.link);
                            producer.settle()
                        } else {
                            producer.answer(&arrived, response)
                        }
                    }
                    None => vec![],
                },
                5 if prng.chance(1, 2) => {
                    let link = producer.network.links().next();
                    if let Some((link, _)) = link {
                        producer.network.cut(link);
                    }
                    producer.settle()
                }
                _ => producer.advance(Duration::from_millis(prng.below(300))),
            };
            answers.extend(actions);
        }
        for _ in 0..600 {
            while let Some(arrived) = producer.network.take(ApiKey::Produce) {
                let response = append(&arrived);
                answers.extend(producer.answer(&arrived, response));
            }
            answers.extend(producer.advance(100 * MILLI));
        }
        let is_acked = |it: &ProducerAction| matches!(it, ProducerAction::Sent { result: Ok(_), .. });
        assert!(answers.iter().all(is_acked), "seed {seed}");
        assert_eq!(answers.len() as u64, sent, "seed {seed}");
        let total: usize = logs.values().map(|log| log.values.len()).sum();
        assert_eq!(total as u64, sent, "seed {seed}: each once");
        for (partition, log) in logs {
            assert!(
                log.values.is_sorted(),
                "seed {seed}, partition {partition}: {:?}",
                log.values
            );
            assert!(
                log.epoch.is_none_or(|epoch| epoch == 0),
                "seed {seed}: nothing was lost, so no epoch is needed"
            );
        }
    }
}
