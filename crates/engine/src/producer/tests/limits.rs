//! Records and buffers that are too large.

use kohort_protocol::ApiKey;

use super::{MILLI, SECOND, acked, acknowledge, errors, producer, producer_with, send};
use crate::client::testing::Network;
use crate::producer::{ProducerEvent, SendError};

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
