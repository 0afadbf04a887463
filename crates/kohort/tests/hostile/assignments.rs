//! Assignments that lie: what the coordinator hands a member as its leader's assignment. What cannot be read is an error of
//! `poll` that names the group; what can be read and cannot be true costs nothing but its own partitions. Neither keeps poll
//! busy, and the next rebalance mends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use kohort_protocol::ResponseBody;
use kohort_protocol::consumer_protocol::consumer_protocol_assignment::TopicPartition as Assigned;
use kohort_protocol::consumer_protocol::{ConsumerProtocolAssignment, encode_versioned};
use tokio::time::{Instant, timeout};

use super::*;

/// What a member makes of an assignment for as long as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Makes {
    /// All records of `t`, each once.
    All,
    /// Nothing: it waits for partitions that are not there.
    Nothing,
    /// An error of poll, each time that it is told.
    Errors,
}

fn assignment(topics: &[(&str, &[i32])]) -> Bytes {
    let message = ConsumerProtocolAssignment {
        assigned_partitions: topics
            .iter()
            .map(|(topic, partitions)| Assigned {
                topic: (*topic).into(),
                partitions: partitions.to_vec(),
            })
            .collect(),
        user_data: None,
    };
    encode_versioned(&message, 3).expect("it can be said")
}

fn with_version(version: i16, rest: &[u8]) -> Bytes {
    [&version.to_be_bytes(), rest].concat().into()
}

/// The good assignment without its version.
fn body() -> Vec<u8> {
    assignment(&[("t", &[0])])[2..].to_vec()
}

fn hostile() -> Vec<(&'static str, Bytes, Makes)> {
    let good = assignment(&[("t", &[0])]);
    let many: Vec<i32> = (0..5_000).collect();
    vec![
        ("partitions twice", assignment(&[("t", &[0, 0, 0])]), Makes::All),
        (
            "topics twice",
            assignment(&[("t", &[0]), ("t", &[0])]),
            Makes::All,
        ),
        (
            "partitions that are not there",
            assignment(&[("t", &[0, 7, i32::MAX])]),
            Makes::All,
        ),
        (
            "negative partitions",
            assignment(&[("t", &[-1, i32::MIN, 0])]),
            Makes::All,
        ),
        (
            "nothing but partitions that are not there",
            assignment(&[("t", &[7])]),
            Makes::Nothing,
        ),
        ("5,000 partitions", assignment(&[("t", &many)]), Makes::All),
        (
            "a topic outside of the subscription",
            assignment(&[("t", &[0]), ("u", &[0])]),
            Makes::Nothing,
        ),
        (
            "a topic that is not there",
            assignment(&[("nowhere", &[0])]),
            Makes::Nothing,
        ),
        (
            "a name that is none",
            assignment(&[("..", &[0]), ("", &[0])]),
            Makes::Nothing,
        ),
        ("no partitions", assignment(&[]), Makes::Nothing),
        (
            "trailing bytes",
            [&good[..], &[7; 100]].concat().into(),
            Makes::All,
        ),
        // Kafka: ConsumerProtocol.deserializeVersion, newer versions are read as the newest known
        ("a version to come", with_version(i16::MAX, &body()), Makes::All),
        ("version -1", with_version(-1, &body()), Makes::Errors),
        ("version -32768", with_version(i16::MIN, &body()), Makes::Errors),
        ("nothing at all", Bytes::new(), Makes::Errors),
        ("half a version", Bytes::from_static(&[0]), Makes::Errors),
        ("cut short", good.slice(..good.len() - 5), Makes::Errors),
        (
            "2^31-1 topics",
            with_version(0, &[0x7f, 0xff, 0xff, 0xff]),
            Makes::Errors,
        ),
        (
            "-1 topics",
            with_version(0, &[0xff, 0xff, 0xff, 0xff]),
            Makes::Errors,
        ),
        (
            "2^31-1 partitions",
            with_version(0, &[0, 0, 0, 1, 0, 1, b't', 0x7f, 0xff, 0xff, 0xff]),
            Makes::Errors,
        ),
        (
            "a name of length -1",
            with_version(0, &[0, 0, 0, 1, 0xff, 0xff]),
            Makes::Errors,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_assignment_that_lies_is_an_error_or_costs_only_itself_and_the_next_one_counts() {
    for (what, bytes, makes) in hostile() {
        let broker = broker().await;
        let (is_lying, told) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let transport = {
            let (is_lying, told) = (Arc::clone(&is_lying), Arc::clone(&told));
            liar::transport(&broker, move |answer| {
                if let ResponseBody::SyncGroup(response) = &mut answer.body
                    && is_lying.load(Ordering::Relaxed)
                    && response.error_code == 0
                {
                    response.assignment = bytes.clone();
                    told.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let mut reader = consumer(broker.bootstrap_servers(), transport)
            .group_id("g")
            .enable_auto_commit(false)
            .build()
            .expect("valid settings");
        reader.subscribe(["t"]).expect("a group");
        let (mut values, mut errors, mut polls) = (Vec::new(), Vec::new(), 0);
        let began = Instant::now();
        while began.elapsed() < 60 * SECOND {
            polls += 1;
            assert!(polls < 1_500, "{what}: poll spins");
            match reader.poll(SECOND).await {
                Ok(records) => values.extend(records.into_iter().map(|record| record.value)),
                Err(error) => {
                    errors.push(error);
                    // As in Java the next poll joins again at once.
                    tokio::time::sleep(SECOND).await;
                }
            }
        }
        let told = told.load(Ordering::Relaxed);
        assert!(
            (1..1_500).contains(&told),
            "{what}: told {told} times in a minute"
        );
        let expected: Vec<String> = (0..20).map(|value| value.to_string()).collect();
        match makes {
            Makes::All => assert_eq!(values, expected, "{what}"),
            Makes::Nothing | Makes::Errors => assert!(values.is_empty(), "{what}: {values:?}"),
        }
        assert_eq!(errors.is_empty(), makes != Makes::Errors, "{what}: {errors:?}");
        for error in &errors {
            assert!(!error.is_fatal(), "{what}: {error}");
            let words = error.to_string();
            assert!(
                words.contains("group g") && words.contains("assignment"),
                "{what}: {words}"
            );
        }
        // The truth counts from the next rebalance on.
        is_lying.store(false, Ordering::Relaxed);
        reader.unsubscribe().await.expect("it leaves");
        reader.subscribe(["t"]).expect("a group");
        let mut again = Vec::new();
        let began = Instant::now();
        while again.len() < 20 {
            assert!(began.elapsed() < 120 * SECOND, "{what}: {again:?}");
            let records = reader.poll(SECOND).await.expect(what);
            again.extend(records.into_iter().map(|record| record.value));
        }
        assert_eq!(again, expected, "{what}");
        timeout(60 * SECOND, reader.close(30 * SECOND))
            .await
            .expect("closing ends")
            .expect(what);
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_cannot_be_read_is_an_error_of_the_leader_that_names_its_member() {
    let hostile: [&'static [u8]; 6] = [
        b"",
        &[0],
        &[0xff, 0xff, 0, 0, 0, 0],
        &[0, 0, 0x7f, 0xff, 0xff, 0xff],
        &[0, 1, 0, 0, 0, 1, 0xff, 0xff],
        // Version 1: topic t, no user data, 2^31-1 topics of owned partitions.
        &[
            0, 1, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff,
        ],
    ];
    for bytes in hostile {
        let broker = broker().await;
        let is_lying = Arc::new(AtomicBool::new(true));
        let transport = {
            let is_lying = Arc::clone(&is_lying);
            liar::transport(&broker, move |answer| {
                if let ResponseBody::JoinGroup(response) = &mut answer.body
                    && is_lying.load(Ordering::Relaxed)
                {
                    for member in &mut response.members {
                        member.metadata = Bytes::from_static(bytes);
                    }
                }
            })
        };
        let mut reader = consumer(broker.bootstrap_servers(), transport)
            .group_id("g")
            .build()
            .expect("valid settings");
        reader.subscribe(["t"]).expect("a group");
        let mut errors = 0;
        let (began, mut polls) = (Instant::now(), 0);
        while began.elapsed() < 30 * SECOND {
            polls += 1;
            assert!(polls < 1_000, "{bytes:02x?}: poll spins");
            match reader.poll(SECOND).await {
                Ok(records) => assert!(records.is_empty(), "{bytes:02x?}"),
                Err(error) => {
                    errors += 1;
                    let words = error.to_string();
                    assert!(
                        words.contains("group g") && words.contains("subscription of member"),
                        "{words}"
                    );
                    assert!(!error.is_fatal(), "{words}");
                    // As in Java the next poll joins again at once.
                    tokio::time::sleep(SECOND).await;
                }
            }
        }
        assert!(errors > 0, "{bytes:02x?}");
        is_lying.store(false, Ordering::Relaxed);
        let mut values = 0;
        while values < 20 {
            assert!(began.elapsed() < 300 * SECOND, "{bytes:02x?}: {values}");
            values += reader.poll(SECOND).await.map_or(0, |records| records.count());
        }
        reader.close(30 * SECOND).await.expect("it closes");
    }
}
