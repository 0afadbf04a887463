//! Flushing and closing.

use kohort_machine::Token;
use kohort_protocol::ApiKey;

use super::{SECOND, acked, acknowledge, errors, flush, producer, producer_with, send};
use crate::client::testing::Network;
use crate::producer::{ProducerAction, ProducerEvent, SendError};

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
