//! How records share batches and requests, and what acknowledgements tell.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_machine::Token;
use kohort_protocol::{ApiKey, Uuid, VersionRange};
use kohort_records::Compression;

use super::{MILLI, acked, acknowledge, answer_with, producer, producer_with, request, send, values};
use crate::client::testing::Network;
use crate::producer::{Acks, ProducerAction, ProducerEvent, RecordAck};

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
fn without_idempotence_a_partition_has_one_batch_in_flight() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.linger = Duration::ZERO;
        config.enable_idempotence = false;
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
fn a_topic_without_an_id_is_named_in_an_older_version() {
    let mut network = Network::with_cluster(1, &[("t", 1)]);
    network.metadata.as_mut().unwrap().topics[0].topic_id = Uuid::ZERO;
    let mut producer = producer_with(network, |config| config.linger = Duration::ZERO);
    producer.step(send(0, "t", Some(0), b"a"));
    let arrived = producer.expect(ApiKey::Produce);
    assert_eq!(arrived.version, 12);
    assert_eq!(acknowledge(&mut producer, &arrived), [acked(0, 0, 100)]);
}
