//! Topics and partitions that are not there.

use alloc::vec;
use core::time::Duration;

use kohort_protocol::{ApiKey, ErrorCode};

use super::{SECOND, acked, acknowledge, errors, producer, producer_with, send, values};
use crate::client::testing::Network;
use crate::producer::SendError;

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
