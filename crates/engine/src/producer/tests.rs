//! The producer against a scripted cluster on a driven clock.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_machine::Token;
use kohort_protocol::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, TopicProduceResponse,
};
use kohort_protocol::messages::{ProduceRequest, ProduceResponse};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, Uuid, VersionRange};
use kohort_records::{Compression, batches};

use super::{
    Acks, ProducerAction, ProducerConfig, ProducerEngine, ProducerEvent, ProducerRecord, RecordAck, SendError,
};
use crate::client::ClientConfig;
use crate::client::testing::{Arrived, Driven, Network};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn producer_with(network: Network, set: impl FnOnce(&mut ProducerConfig)) -> Driven<ProducerEngine> {
    let mut config = ProducerConfig::new(ClientConfig::new([(String::from("kafka"), 9001)]));
    set(&mut config);
    Driven::new(ProducerEngine::new(config, 7), network)
}

fn producer() -> Driven<ProducerEngine> {
    producer_with(Network::with_cluster(2, &[("t", 4), ("u", 1)]), |_| {})
}

fn send(token: u64, topic: &str, partition: Option<i32>, value: &[u8]) -> ProducerEvent {
    let record = ProducerRecord {
        topic: topic.into(),
        partition,
        timestamp: 1000 + token as i64,
        key: None,
        value: Some(Bytes::copy_from_slice(value)),
        headers: vec![],
    };
    let token = Token(token);
    ProducerEvent::Send {
        token,
        record: Box::new(record),
    }
}

fn flush(token: u64) -> ProducerEvent {
    ProducerEvent::Flush { token: Token(token) }
}

fn request(arrived: &Arrived) -> &ProduceRequest {
    match &arrived.body {
        RequestBody::Produce(request) => request,
        other => panic!("{other:?}"),
    }
}

/// The values in a request, by partition.
fn values(arrived: &Arrived) -> Vec<(i32, Vec<Vec<u8>>)> {
    let mut all = Vec::new();
    for partition in request(arrived)
        .topic_data
        .iter()
        .flat_map(|topic| &topic.partition_data)
    {
        let mut values = Vec::new();
        for batch in batches(partition.records.clone().unwrap()) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            let open = batch.open(1 << 20).unwrap();
            values.extend(
                open.iter()
                    .map(|record| record.value.unwrap_or_default().to_vec()),
            );
        }
        all.push((partition.index, values));
    }
    all
}

/// The same answer for every partition of a request.
fn answer_with(arrived: &Arrived, set: impl Fn(&mut PartitionProduceResponse)) -> ProduceResponse {
    let topics = request(arrived).topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|partition| {
            let mut response = PartitionProduceResponse {
                index: partition.index,
                base_offset: 100,
                ..Default::default()
            };
            set(&mut response);
            response
        });
        TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses: partitions.collect(),
        }
    });
    ProduceResponse {
        responses: topics.collect(),
        ..Default::default()
    }
}

fn acknowledge(producer: &mut Driven<ProducerEngine>, arrived: &Arrived) -> Vec<ProducerAction> {
    let response = answer_with(arrived, |_| {});
    producer.answer(arrived, response)
}

fn refuse(producer: &mut Driven<ProducerEngine>, arrived: &Arrived, error: ErrorCode) -> Vec<ProducerAction> {
    let response = answer_with(arrived, |partition| {
        partition.error_code = error.code();
        partition.base_offset = -1;
    });
    producer.answer(arrived, response)
}

fn acked(token: u64, partition: i32, offset: i64) -> ProducerAction {
    ProducerAction::Sent {
        token: Token(token),
        result: Ok(RecordAck {
            partition,
            offset: Some(offset),
            timestamp: 1000 + token as i64,
        }),
    }
}

fn errors(actions: Vec<ProducerAction>) -> Vec<(u64, SendError)> {
    let error = |action| match action {
        ProducerAction::Sent {
            token,
            result: Err(error),
        } => (token.0, *error),
        other => panic!("{other:?}"),
    };
    actions.into_iter().map(error).collect()
}

#[test]
fn records_of_a_partition_linger_share_a_batch_and_are_acknowledged_in_order() {
    let mut producer = producer();
    producer.step(send(0, "t", Some(0), b"a"));
    producer.step(send(1, "t", Some(0), b"b"));
    producer.advance(4 * MILLI);
    assert_eq!(producer.network.waiting().count(), 0);
    producer.advance(MILLI);
    let arrived = producer.expect(ApiKey::Produce);
    assert_eq!(values(&arrived), [(0, vec![b"a".to_vec(), b"b".to_vec()])]);
    assert_eq!(
        (request(&arrived).acks, request(&arrived).timeout_ms),
        (-1, 30_000)
    );
    assert_eq!(
        acknowledge(&mut producer, &arrived),
        [acked(0, 0, 100), acked(1, 0, 101)]
    );
    assert_eq!(producer.machine.memory_in_use(), 0);
}

#[test]
fn partitions_of_a_leader_share_a_request() {
    let mut producer = producer();
    for (token, partition) in [0, 1, 2, 3].into_iter().enumerate() {
        producer.step(send(token as u64, "t", Some(partition), b"v"));
    }
    producer.step(send(4, "u", Some(0), b"w"));
    producer.advance(5 * MILLI);
    let first = producer.expect(ApiKey::Produce);
    let second = producer.expect(ApiKey::Produce);
    assert_eq!((first.port, second.port), (9001, 9002));
    let partitions = |arrived| {
        values(arrived)
            .into_iter()
            .map(|(index, _)| index)
            .collect::<Vec<_>>()
    };
    assert_eq!(partitions(&first), [0, 2, 0]);
    assert_eq!(partitions(&second), [1, 3]);
    assert_eq!(acknowledge(&mut producer, &first).len(), 3);
    assert_eq!(acknowledge(&mut producer, &second).len(), 2);
}

#[test]
fn older_brokers_are_sent_topic_names() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    network
        .versions
        .insert(ApiKey::Produce, VersionRange { min: 3, max: 9 });
    let mut producer = producer_with(network, |config| config.linger = Duration::ZERO);
    producer.step(send(0, "t", None, b"v"));
    let arrived = producer.expect(ApiKey::Produce);
    assert_eq!(request(&arrived).topic_data[0].name, "t");
    assert_eq!(acknowledge(&mut producer, &arrived), [acked(0, 0, 100)]);
}

#[test]
fn a_full_batch_does_not_linger() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.batch_size = 300
    });
    producer.step(send(0, "t", Some(0), &[1; 150]));
    assert_eq!(producer.network.waiting().count(), 0);
    producer.step(send(1, "t", Some(0), &[2; 150]));
    let arrived = producer.expect(ApiKey::Produce);
    assert_eq!(values(&arrived), [(0, vec![vec![1; 150]])]);
}

#[test]
fn a_partition_has_one_batch_in_flight() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.linger = Duration::ZERO;
    });
    producer.step(send(0, "t", Some(0), b"a"));
    producer.step(send(1, "t", Some(0), b"b"));
    let first = producer.expect(ApiKey::Produce);
    assert_eq!(producer.network.waiting().count(), 0);
    assert_eq!(acknowledge(&mut producer, &first), [acked(0, 0, 100)]);
    assert_eq!(
        values(&producer.expect(ApiKey::Produce)),
        [(0, vec![b"b".to_vec()])]
    );
}

#[test]
fn a_batch_lingers_its_own_time_whatever_the_batch_before_it_did() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.batch_size = 300
    });
    producer.step(send(0, "t", Some(0), &[1; 150]));
    producer.advance(3 * MILLI);
    producer.step(send(1, "t", Some(0), &[2; 150]));
    let first = producer.expect(ApiKey::Produce);
    acknowledge(&mut producer, &first);
    producer.advance(4 * MILLI);
    assert_eq!(producer.network.waiting().count(), 0);
    producer.advance(MILLI);
    producer.expect(ApiKey::Produce);
}

#[test]
fn keys_choose_partitions_as_in_java() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 7)]), |config| {
        config.linger = Duration::ZERO;
    });
    let ProducerEvent::Send { token, mut record } = send(0, "t", None, b"v") else {
        unreachable!();
    };
    record.key = Some(Bytes::from_static(b"abc"));
    producer.step(ProducerEvent::Send { token, record });
    assert_eq!(values(&producer.expect(ApiKey::Produce))[0].0, 4);
}

#[test]
fn a_retriable_error_is_retried_before_what_came_later() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.linger = Duration::ZERO;
    });
    producer.step(send(0, "t", Some(0), b"a"));
    producer.step(send(1, "t", Some(0), b"b"));
    let first = producer.expect(ApiKey::Produce);
    assert!(refuse(&mut producer, &first, ErrorCode::NotEnoughReplicas).is_empty());
    assert_eq!(producer.network.waiting().count(), 0, "it backs off");
    producer.advance(120 * MILLI);
    let again = producer.expect(ApiKey::Produce);
    assert_eq!(values(&again), [(0, vec![b"a".to_vec()])]);
    acknowledge(&mut producer, &again);
    assert_eq!(
        values(&producer.expect(ApiKey::Produce)),
        [(0, vec![b"b".to_vec()])]
    );
}

#[test]
fn a_moved_leader_is_learned_from_metadata() {
    let mut producer = producer_with(Network::with_cluster(2, &[("t", 1)]), |config| {
        config.linger = Duration::ZERO;
    });
    producer.step(send(0, "t", Some(0), b"a"));
    let first = producer.expect(ApiKey::Produce);
    assert_eq!(first.port, 9001);
    let partition = &mut producer.network.metadata.as_mut().unwrap().topics[0].partitions[0];
    (partition.leader_id, partition.leader_epoch) = (2, 1);
    refuse(&mut producer, &first, ErrorCode::NotLeaderOrFollower);
    producer.advance(500 * MILLI);
    let again = producer.expect(ApiKey::Produce);
    assert_eq!(again.port, 9002);
    assert_eq!(acknowledge(&mut producer, &again), [acked(0, 0, 100)]);
}

#[test]
fn a_leader_that_the_answer_names_is_asked_at_once() {
    let mut producer = producer_with(Network::with_cluster(2, &[("t", 1)]), |config| {
        config.linger = Duration::ZERO;
    });
    producer.step(send(0, "t", Some(0), b"a"));
    let first = producer.expect(ApiKey::Produce);
    let moved = answer_with(&first, |partition| {
        partition.error_code = ErrorCode::NotLeaderOrFollower.code();
        partition.current_leader = LeaderIdAndEpoch {
            leader_id: 2,
            leader_epoch: 3,
        };
    });
    producer.answer(&first, moved);
    assert_eq!(producer.expect(ApiKey::Produce).port, 9002);
}

#[test]
fn a_lost_connection_is_retried() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.linger = Duration::ZERO;
    });
    producer.step(send(0, "t", Some(0), b"a"));
    let first = producer.expect(ApiKey::Produce);
    producer.network.cut(first.link);
    assert!(producer.settle().is_empty());
    producer.advance(SECOND);
    let again = producer.expect(ApiKey::Produce);
    assert_eq!(acknowledge(&mut producer, &again), [acked(0, 0, 100)]);
}

#[test]
fn retries_have_a_bound() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        (config.linger, config.retries) = (Duration::ZERO, 1);
    });
    producer.step(send(0, "t", Some(0), b"a"));
    let first = producer.expect(ApiKey::Produce);
    refuse(&mut producer, &first, ErrorCode::NotEnoughReplicas);
    producer.advance(SECOND);
    let again = producer.expect(ApiKey::Produce);
    let failed = errors(refuse(&mut producer, &again, ErrorCode::NotEnoughReplicas));
    assert!(matches!(
        failed[0].1,
        SendError::Refused {
            error: ErrorCode::NotEnoughReplicas,
            ..
        }
    ));
}

#[test]
fn a_fatal_error_fails_the_batch_at_once() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.linger = Duration::ZERO;
    });
    producer.step(send(0, "t", Some(0), b"a"));
    let first = producer.expect(ApiKey::Produce);
    let failed = errors(refuse(&mut producer, &first, ErrorCode::MessageTooLarge));
    assert!(matches!(
        failed[0].1,
        SendError::Refused {
            error: ErrorCode::MessageTooLarge,
            ..
        }
    ));
    assert!(!failed[0].1.is_retriable());
}

#[test]
fn records_that_the_broker_singles_out_get_its_words() {
    let mut producer = producer();
    producer.step(send(0, "t", Some(0), b"a"));
    producer.step(send(1, "t", Some(0), b"b"));
    producer.advance(5 * MILLI);
    let first = producer.expect(ApiKey::Produce);
    let refusal = answer_with(&first, |partition| {
        partition.error_code = ErrorCode::InvalidRecord.code();
        partition.error_message = Some("one or more records have been rejected".into());
        partition.record_errors = vec![BatchIndexAndErrorMessage {
            batch_index: 1,
            batch_index_error_message: Some("no key".into()),
        }];
    });
    let messages: Vec<_> = errors(producer.answer(&first, refusal))
        .into_iter()
        .map(|(token, error)| match error {
            SendError::Refused { message, .. } => (token, message.unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    let all = String::from("one or more records have been rejected");
    assert_eq!(messages, [(0, all), (1, String::from("no key"))]);
}

#[test]
fn what_is_not_acknowledged_within_the_delivery_time_out_fails() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    network.metadata.as_mut().unwrap().topics[0].partitions[0].leader_id = -1;
    let mut producer = producer_with(network, |_| {});
    producer.step(send(0, "t", Some(0), b"a"));
    assert!(producer.advance(119 * SECOND).is_empty());
    let failed = errors(producer.advance(SECOND));
    assert!(
        matches!(&failed[0].1, SendError::Expired { last: None, .. }),
        "{failed:?}"
    );
    assert_eq!(producer.machine.memory_in_use(), 0);
}

#[test]
fn a_batch_that_is_retried_for_too_long_says_what_it_failed_with() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.delivery_timeout = 2 * SECOND;
    });
    producer.step(send(0, "t", Some(0), b"a"));
    let mut failed = Vec::new();
    for _ in 0..30 {
        failed.extend(producer.advance(100 * MILLI));
        if let Some(arrived) = producer.network.take(ApiKey::Produce) {
            failed.extend(refuse(&mut producer, &arrived, ErrorCode::NotEnoughReplicas));
        }
    }
    let failed = errors(failed);
    let SendError::Expired { last: Some(last), .. } = &failed[0].1 else {
        panic!("{failed:?}");
    };
    assert!(last.contains("NOT_ENOUGH_REPLICAS"), "{last}");
}

#[test]
fn a_topic_that_does_not_appear_fails_after_max_block() {
    let mut producer = producer();
    assert!(producer.step(send(0, "x", None, b"a")).is_empty());
    assert!(producer.advance(59 * SECOND).is_empty());
    let failed = errors(producer.advance(SECOND));
    assert!(matches!(&failed[0].1, SendError::UnknownTopic { topic, .. } if &**topic == "x"));
}

#[test]
fn a_partition_that_does_not_appear_fails_after_max_block() {
    let mut producer = producer();
    producer.step(send(0, "t", Some(9), b"a"));
    let failed = errors(producer.advance(60 * SECOND));
    assert!(matches!(
        &failed[0].1,
        SendError::UnknownPartition {
            partition: 9,
            count: 4,
            ..
        }
    ));
}

#[test]
fn a_record_for_a_missing_partition_holds_up_no_other() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 2)]), |config| {
        config.linger = Duration::ZERO;
    });
    producer.step(send(0, "t", Some(9), b"lost"));
    producer.step(send(1, "t", Some(1), b"a"));
    let sent = producer.expect(ApiKey::Produce);
    assert_eq!(values(&sent), [(1, vec![b"a".to_vec()])]);
    assert_eq!(acknowledge(&mut producer, &sent), [acked(1, 1, 100)]);
}

#[test]
fn a_partition_that_was_added_is_found_within_a_second() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 2)]), |config| {
        config.linger = Duration::ZERO;
    });
    producer.step(send(0, "t", Some(2), b"a"));
    producer.step(send(1, "t", Some(2), b"b"));
    producer.network.metadata = Network::with_cluster(1, &[("t", 3)]).metadata;
    producer.advance(SECOND);
    assert_eq!(values(&producer.expect(ApiKey::Produce))[0].0, 2);
}

#[test]
fn a_topic_that_must_not_be_written_to_fails_at_once() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    network.metadata.as_mut().unwrap().topics[0].error_code = ErrorCode::TopicAuthorizationFailed.code();
    let mut producer = producer_with(network, |_| {});
    let failed = errors(producer.step(send(0, "t", None, b"a")));
    assert!(matches!(
        &failed[0].1,
        SendError::Topic {
            error: ErrorCode::TopicAuthorizationFailed,
            ..
        }
    ));
}

#[test]
fn a_record_that_is_too_large_fails_at_once() {
    let mut producer = producer();
    let failed = errors(producer.step(send(0, "t", None, &[0; 1 << 20])));
    assert!(matches!(
        &failed[0].1,
        SendError::TooLarge {
            key: "max.request.size",
            ..
        }
    ));
}

#[test]
fn a_record_that_cannot_be_written_fails_alone() {
    let mut producer = producer();
    producer.step(send(0, "t", Some(0), b"a"));
    let ProducerEvent::Send { token, mut record } = send(1, "t", Some(0), b"b") else {
        unreachable!();
    };
    record.timestamp = -7;
    let failed = errors(producer.step(ProducerEvent::Send { token, record }));
    assert!(matches!(&failed[0], (1, SendError::Unwritable { .. })));
    producer.advance(5 * MILLI);
    let arrived = producer.expect(ApiKey::Produce);
    assert_eq!(acknowledge(&mut producer, &arrived), [acked(0, 0, 100)]);
}

#[test]
fn a_full_buffer_lets_records_wait_for_room() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        (config.buffer_memory, config.linger) = (1000, SECOND);
    });
    producer.step(send(0, "t", Some(0), &[0; 800]));
    assert_eq!(producer.network.waiting().count(), 0);
    producer.step(send(1, "t", Some(0), &[1; 800]));
    let first = producer.expect(ApiKey::Produce);
    let actions = acknowledge(&mut producer, &first);
    assert_eq!(actions, [acked(0, 0, 100)]);
    producer.advance(SECOND);
    let second = producer.expect(ApiKey::Produce);
    assert_eq!(acknowledge(&mut producer, &second), [acked(1, 0, 100)]);
}

#[test]
fn a_buffer_that_stays_full_fails_after_max_block() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.buffer_memory = 1000
    });
    producer.step(send(0, "t", Some(0), &[0; 800]));
    producer.step(send(1, "t", Some(0), &[1; 800]));
    let failed = errors(producer.advance(60 * SECOND));
    assert_eq!(failed.len(), 1);
    assert!(matches!(
        failed[0],
        (
            1,
            SendError::BufferFull {
                buffer_memory: 1000,
                ..
            }
        )
    ));
}

#[test]
fn without_acknowledgements_a_record_is_done_when_it_is_sent() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        (config.acks, config.linger) = (Acks::None, Duration::ZERO);
    });
    let actions = producer.step(send(0, "t", Some(0), b"a"));
    let ack = RecordAck {
        partition: 0,
        offset: None,
        timestamp: 1000,
    };
    let token = Token(0);
    assert_eq!(
        actions,
        [ProducerAction::Sent {
            token,
            result: Ok(ack)
        }]
    );
    assert_eq!(request(&producer.expect(ApiKey::Produce)).acks, 0);
}

#[test]
fn the_time_of_the_append_is_told_where_the_topic_has_it() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.linger = Duration::ZERO;
    });
    producer.step(send(0, "t", Some(0), b"a"));
    let arrived = producer.expect(ApiKey::Produce);
    let response = answer_with(&arrived, |partition| partition.log_append_time_ms = 77);
    let actions = producer.answer(&arrived, response);
    assert!(matches!(
        &actions[..],
        [ProducerAction::Sent {
            result: Ok(RecordAck { timestamp: 77, .. }),
            ..
        }]
    ));
}

#[test]
fn a_flush_sends_at_once_and_waits_for_what_came_before_it_only() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 2)]), |config| {
        config.linger = 9 * SECOND
    });
    producer.step(send(0, "t", Some(0), b"a"));
    assert!(producer.step(flush(90)).is_empty());
    let first = producer.expect(ApiKey::Produce);
    producer.step(send(1, "t", Some(1), b"b"));
    let done = ProducerAction::Done { token: Token(90) };
    assert_eq!(acknowledge(&mut producer, &first), [acked(0, 0, 100), done]);
}

#[test]
fn a_flush_without_records_is_done_at_once() {
    let mut producer = producer();
    assert_eq!(
        producer.step(flush(90)),
        [ProducerAction::Done { token: Token(90) }]
    );
}

#[test]
fn closing_sends_what_waits_and_takes_no_more() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.linger = 9 * SECOND
    });
    producer.step(send(0, "t", Some(0), b"a"));
    let token = Token(90);
    assert!(
        producer
            .step(ProducerEvent::Close {
                token,
                timeout: SECOND
            })
            .is_empty()
    );
    assert_eq!(
        errors(producer.step(send(1, "t", Some(0), b"b")))[0].1,
        SendError::Closed
    );
    let arrived = producer.expect(ApiKey::Produce);
    let actions = acknowledge(&mut producer, &arrived);
    assert_eq!(actions, [acked(0, 0, 100), ProducerAction::Done { token }]);
    assert_eq!(producer.network.links().count(), 0);
    assert!(producer.advance(600 * SECOND).is_empty());
}

#[test]
fn closing_does_not_wait_longer_than_told() {
    let mut producer = producer();
    producer.step(send(0, "t", Some(0), b"a"));
    producer.step(send(1, "x", None, b"b"));
    let token = Token(90);
    producer.step(ProducerEvent::Close {
        token,
        timeout: SECOND,
    });
    let mut actions = producer.advance(SECOND);
    assert_eq!(actions.pop(), Some(ProducerAction::Done { token }));
    let failed = errors(actions);
    assert_eq!(failed, [(0, SendError::Closed), (1, SendError::Closed)]);
}

#[test]
fn compressed_batches_are_sent_for_every_codec() {
    for compression in Compression::ALL {
        let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
            config.compression = compression;
        });
        for token in 0..50 {
            producer.step(send(token, "t", Some(0), b"the same value again and again"));
        }
        producer.advance(5 * MILLI);
        let arrived = producer.expect(ApiKey::Produce);
        assert_eq!(values(&arrived)[0].1.len(), 50, "{compression}");
    }
}

#[test]
fn requests_respect_their_maximum_size_and_the_number_in_flight() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 20)]), |config| {
        (config.max_request_size, config.max_in_flight) = (2000, 3);
    });
    for token in 0..20 {
        producer.step(send(token, "t", Some(token as i32), &[0; 800]));
    }
    producer.advance(5 * MILLI);
    let sizes: Vec<usize> = producer
        .network
        .waiting()
        .map(|arrived| values(arrived).len())
        .collect();
    assert_eq!(sizes, [2, 2, 2]);
    let mut acknowledged = 0;
    while let Some(arrived) = producer.network.take(ApiKey::Produce) {
        acknowledged += acknowledge(&mut producer, &arrived).len();
    }
    assert_eq!(acknowledged, 20);
}

#[test]
fn every_record_is_answered_once_and_kept_in_order_whatever_the_network_does() {
    use alloc::collections::{BTreeMap, BTreeSet};
    use kohort_machine::Prng;

    for seed in 0..100 {
        let mut prng = Prng::from_seed(seed);
        let mut producer = producer_with(Network::with_cluster(3, &[("t", 6)]), |config| {
            config.client.request_timeout = 2 * SECOND;
            config.batch_size = 120;
        });
        let (mut sent, mut answers) = (0u64, Vec::new());
        // What the cluster took in, by partition, as often as it took it.
        let mut logs: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
        for turn in 0..150 {
            let actions = match prng.below(8) {
                0..=2 if turn < 120 => {
                    let value = sent.to_be_bytes();
                    sent += 1;
                    let partition = prng.below(6) as i32;
                    producer.step(send(sent - 1, "t", Some(partition), &value))
                }
                3 | 4 => match producer.network.take(ApiKey::Produce) {
                    Some(arrived) if prng.chance(1, 4) => {
                        refuse(&mut producer, &arrived, ErrorCode::NotEnoughReplicas)
                    }
                    Some(arrived) => {
                        for (partition, values) in values(&arrived) {
                            let ids = values
                                .iter()
                                .map(|it| u64::from_be_bytes(it[..].try_into().unwrap()));
                            logs.entry(partition).or_default().extend(ids);
                        }
                        if prng.chance(1, 5) {
                            producer.network.cut(arrived.link);
                            producer.settle()
                        } else {
                            acknowledge(&mut producer, &arrived)
                        }
                    }
                    None => vec![],
                },
                5 => {
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
                for (partition, values) in values(&arrived) {
                    let ids = values
                        .iter()
                        .map(|it| u64::from_be_bytes(it[..].try_into().unwrap()));
                    logs.entry(partition).or_default().extend(ids);
                }
                answers.extend(acknowledge(&mut producer, &arrived));
            }
            answers.extend(producer.advance(100 * MILLI));
        }
        assert_eq!(answers.len() as u64, sent, "seed {seed}");
        assert!(
            answers
                .iter()
                .all(|it| matches!(it, ProducerAction::Sent { result: Ok(_), .. })),
            "seed {seed}"
        );
        // Without idempotence a batch may be there twice, but none is missing and first copies are in order.
        let mut seen = BTreeSet::new();
        for (partition, log) in logs {
            let mut last = None;
            for id in log {
                if seen.insert(id) {
                    assert!(
                        last < Some(id),
                        "seed {seed}, partition {partition}: {id} after {last:?}"
                    );
                    last = Some(id);
                }
            }
        }
        assert_eq!(seen.len() as u64, sent, "seed {seed}");
        assert_eq!(producer.machine.memory_in_use(), 0);
    }
}

#[test]
fn events_and_actions_are_small() {
    assert!(size_of::<ProducerEvent>() <= 64);
    assert!(size_of::<ProducerAction>() <= 64);
}

#[test]
fn a_topic_without_an_id_is_named_in_an_older_version() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    network.metadata.as_mut().unwrap().topics[0].topic_id = Uuid::ZERO;
    let mut producer = producer_with(network, |config| config.linger = Duration::ZERO);
    producer.step(send(0, "t", Some(0), b"a"));
    let arrived = producer.expect(ApiKey::Produce);
    assert_eq!(arrived.version, 12);
    assert_eq!(acknowledge(&mut producer, &arrived), [acked(0, 0, 100)]);
}
