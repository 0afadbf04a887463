//! Errors, lost connections and time-outs.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_protocol::messages::produce::{BatchIndexAndErrorMessage, LeaderIdAndEpoch};
use kohort_protocol::{ApiKey, ErrorCode};

use super::{
    MILLI, SECOND, acked, acknowledge, answer_with, errors, producer, producer_with, refuse, send, values,
};
use crate::client::testing::Network;
use crate::producer::{ProducerAction, SendError};

#[test]
fn a_retriable_error_is_retried_before_what_came_later() {
    let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
        config.linger = Duration::ZERO;
        config.enable_idempotence = false;
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
    let all = Arc::from("one or more records have been rejected");
    assert_eq!(messages, [(0, all), (1, Arc::from("no key"))]);
}

#[test]
fn the_records_of_a_batch_share_the_bytes_of_the_brokers_words() {
    for error in [ErrorCode::InvalidRecord, ErrorCode::NotEnoughReplicas] {
        let mut producer = producer_with(Network::with_cluster(1, &[("t", 1)]), |config| {
            config.delivery_timeout = SECOND;
            // It is waiting to be sent again when its time is over.
            config.client.retry_backoff = 60 * SECOND;
            config.client.retry_backoff_max = 60 * SECOND;
        });
        for token in 0..100 {
            producer.step(send(token, "t", Some(0), b"a"));
        }
        producer.advance(5 * MILLI);
        let first = producer.expect(ApiKey::Produce);
        let refusal = answer_with(&first, |partition| {
            partition.error_code = error.code();
            partition.error_message = Some("a".repeat(32_767));
        });
        let mut failed = producer.answer(&first, refusal);
        if failed.is_empty() {
            failed = producer.advance(SECOND);
        }
        let words: Vec<Arc<str>> = errors(failed)
            .into_iter()
            .map(|(_, error)| match error {
                SendError::Refused {
                    message: Some(words), ..
                }
                | SendError::Expired {
                    last: Some(words), ..
                } => words,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(words.len(), 100);
        assert!(words[0].len() >= 32_767);
        assert!(words.iter().all(|it| Arc::ptr_eq(it, &words[0])), "{error}");
    }
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
fn every_record_is_answered_once_and_kept_in_order_whatever_the_network_does() {
    use alloc::collections::{BTreeMap, BTreeSet};
    use kohort_machine::Prng;

    for seed in 0..100 {
        let mut prng = Prng::from_seed(seed);
        let mut producer = producer_with(Network::with_cluster(3, &[("t", 6)]), |config| {
            config.client.request_timeout = 2 * SECOND;
            config.batch_size = 120;
            config.enable_idempotence = false;
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
