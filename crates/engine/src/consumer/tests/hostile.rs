//! A broker whose answers are well formed and lie: nothing is handed out twice or below the position, and what is missing is
//! asked for again.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI64, Ordering};
use core::time::Duration;

use bytes::Bytes;
use kohort_groups::OffsetAndMetadata;
use kohort_machine::Token;
use kohort_protocol::messages::FetchResponse;
use kohort_protocol::messages::fetch::{FetchableTopicResponse, LeaderIdAndEpoch, PartitionData};
use kohort_protocol::messages::list_offsets::ListOffsetsPartitionResponse;
use kohort_protocol::{ApiKey, ErrorCode, ResponseBody, Uuid};
use kohort_records::{BatchBuilder, Compression};

use super::rig::*;
use crate::consumer::{
    Command, CommandError, CommandReply, CommitMode, ConsumerConfig, OffsetReset, OffsetSpec,
};

fn earliest(config: &mut ConsumerConfig) {
    config.auto_offset_reset = OffsetReset::Earliest;
}

/// A consumer of both partitions whose broker changes so many answers.
fn lied_to(times: u32, lie: fn(&mut ResponseBody)) -> Rig {
    let mut rig = Rig::new(earliest);
    rig.lie = Some((times, lie));
    rig.assign(&[0, 1]);
    rig
}

fn in_fetch(body: &mut ResponseBody, change: impl FnOnce(&mut FetchResponse)) {
    if let ResponseBody::Fetch(response) = body {
        change(response);
    }
}

/// What a partition handed out, in order and whole.
fn assert_all_once(rig: &mut Rig) {
    let got = rig.poll_all();
    for partition in 0..2 {
        let of_it: vec::Vec<_> = got
            .iter()
            .copied()
            .filter(|(number, _)| *number == partition)
            .collect();
        assert_eq!(of_it, records(partition, 0, 10));
    }
}

#[test]
fn partitions_and_topics_that_come_twice_are_taken_once() {
    let mut rig = lied_to(20, |body| {
        in_fetch(body, |response| {
            for topic in &mut response.responses {
                let again = topic.partitions.clone();
                topic.partitions.extend(again);
            }
            let again = response.responses.clone();
            response.responses.extend(again);
        });
    });
    assert_all_once(&mut rig);
}

#[test]
fn partitions_that_nobody_asked_for_are_ignored() {
    let mut rig = lied_to(20, |body| {
        in_fetch(body, |response| {
            let unasked = |partition_index| PartitionData {
                partition_index,
                high_watermark: 100,
                records: Some(Bytes::from_static(&[7; 200])),
                ..Default::default()
            };
            for topic in &mut response.responses {
                topic
                    .partitions
                    .extend([unasked(7), unasked(-1), unasked(i32::MAX), unasked(i32::MIN)]);
            }
            response.responses.push(FetchableTopicResponse {
                topic: "..".into(),
                topic_id: Uuid([9; 16]),
                partitions: vec![unasked(0)],
            });
        });
    });
    assert_all_once(&mut rig);
}

#[test]
fn partitions_that_are_left_out_are_asked_for_again() {
    let mut rig = lied_to(20, |body| in_fetch(body, |response| response.responses.clear()));
    assert_all_once(&mut rig);
}

#[test]
fn batches_below_the_position_are_not_handed_out_again() {
    let mut rig = lied_to(40, |body| {
        in_fetch(body, |response| {
            for data in response
                .responses
                .iter_mut()
                .flat_map(|topic| &mut topic.partitions)
            {
                // Whatever was asked for, the log comes from its beginning, and its ends move back.
                let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
                for offset in 0..5 {
                    builder.append(offset, None, Some(b"old"), &[]).unwrap();
                }
                data.records = Some(builder.build(0).unwrap());
                data.high_watermark = 0;
                data.last_stable_offset = -5;
                data.log_start_offset = i64::MAX;
            }
        });
    });
    assert_all_once(&mut rig);
}

#[test]
fn metadata_that_lies_is_asked_for_again_and_no_command_waits_for_ever() {
    let lies: [fn(&mut kohort_protocol::messages::MetadataResponse); 5] = [
        |metadata| metadata.brokers.clear(),
        |metadata| {
            metadata
                .brokers
                .iter_mut()
                .for_each(|broker| broker.port = 70_000)
        },
        |metadata| metadata.brokers.iter_mut().for_each(|broker| broker.port = -1),
        |metadata| {
            let partitions = metadata.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            partitions.for_each(|partition| partition.leader_id = i32::MAX);
        },
        |metadata| metadata.topics.iter_mut().for_each(|topic| topic.name = None),
    ];
    for lie in lies {
        let mut rig = Rig::new(earliest);
        let truth = rig.driven.network.metadata.clone();
        lie(rig.driven.network.metadata.as_mut().unwrap());
        rig.assign(&[0, 1]);
        let token = rig.command(Command::ListOffsets {
            partitions: vec![(of_t(0), OffsetSpec::Earliest)],
            timeout: SECOND,
        });
        rig.advance(2 * SECOND);
        assert!(
            matches!(rig.replies[&token], Err(CommandError::TimedOut { .. })),
            "{:?}",
            rig.replies
        );
        // Once the broker tells the truth, all is well.
        rig.driven.network.metadata = truth;
        rig.advance(Duration::from_secs(120));
        assert_all_once(&mut rig);
    }
}

#[test]
fn partitions_that_cannot_be_are_not_among_those_of_a_topic() {
    let mut rig = Rig::new(earliest);
    let metadata = rig.driven.network.metadata.as_mut().unwrap();
    for index in [-1, 0, i32::MIN] {
        let mut more = metadata.topics[0].partitions[0].clone();
        more.partition_index = index;
        metadata.topics[0].partitions.push(more);
    }
    let token = rig.command(Command::PartitionsFor {
        topic: "t".into(),
        timeout: SECOND,
    });
    let Ok(CommandReply::Partitions(partitions)) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies[&token]);
    };
    let numbers: Vec<_> = partitions.iter().map(|it| it.partition).collect();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn offsets_that_are_left_out_of_an_answer_are_asked_for_again_at_the_backoff() {
    let mut rig = Rig::new(earliest);
    rig.lie = Some((200, |body| {
        if let ResponseBody::ListOffsets(response) = body {
            response.topics.clear();
        }
    }));
    let token = rig.command(Command::ListOffsets {
        partitions: vec![(of_t(0), OffsetSpec::Latest)],
        timeout: SECOND,
    });
    rig.advance(SECOND);
    let asked = rig.served.iter().filter(|api| **api == ApiKey::ListOffsets);
    // Each time that there is newer metadata, which is asked for every 100 ms.
    assert!((2..=15).contains(&asked.count()), "{:?}", rig.served);
    assert!(matches!(rig.replies[&token], Err(CommandError::TimedOut { .. })));
}

#[test]
fn an_error_of_a_partition_that_nobody_asked_for_does_not_fail_a_lookup() {
    let mut rig = Rig::new(earliest);
    rig.lie = Some((10, |body| {
        if let ResponseBody::ListOffsets(response) = body {
            let unasked = ListOffsetsPartitionResponse {
                partition_index: 7,
                error_code: ErrorCode::TopicAuthorizationFailed.code(),
                ..Default::default()
            };
            response.topics[0].partitions.push(unasked);
        }
    }));
    let token = rig.command(Command::ListOffsets {
        partitions: vec![(of_t(0), OffsetSpec::Latest)],
        timeout: SECOND,
    });
    assert!(matches!(rig.replies[&token], Ok(CommandReply::Offsets(_))));
}

fn commit_of_t0(rig: &mut Rig) -> Token {
    rig.command(Command::Commit {
        offsets: vec![(of_t(0), OffsetAndMetadata::new(5))],
        mode: CommitMode::Sync { timeout: SECOND },
    })
}

fn committed_of_t0(rig: &mut Rig) -> Token {
    rig.command(Command::Committed {
        partitions: vec![of_t(0)],
        timeout: SECOND,
    })
}

/// That it was tried again at the backoff until its time was over, because an answer left a partition out.
fn assert_tried_again(rig: &Rig, token: Token, api: ApiKey) {
    let Err(CommandError::TimedOut { last: Some(last), .. }) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies);
    };
    let left_out = CommandError::Refused {
        what: match api {
            ApiKey::OffsetCommit => "committing offsets",
            _ => "fetching committed offsets",
        },
        partition: Some(of_t(0)),
        code: ErrorCode::UnknownTopicOrPartition,
    };
    assert_eq!(**last, left_out);
    assert!((2..=15).contains(&rig.count(api)), "{:?}", rig.served);
}

#[test]
fn a_commit_that_the_answer_leaves_out_is_not_taken_for_done() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.lie = Some((200, |body| {
        if let ResponseBody::OffsetCommit(response) = body {
            response.topics.clear();
        }
    }));
    let token = commit_of_t0(&mut rig);
    rig.advance(SECOND);
    assert_tried_again(&rig, token, ApiKey::OffsetCommit);
}

#[test]
fn an_error_of_a_partition_or_topic_that_nobody_committed_does_not_fail_a_commit() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.lie = Some((200, |body| {
        if let ResponseBody::OffsetCommit(response) = body {
            let mut unasked = response.topics[0].partitions[0].clone();
            unasked.error_code = ErrorCode::TopicAuthorizationFailed.code();
            let mut other = response.topics[0].clone();
            other.name = "other".into();
            other.topic_id = Uuid([9; 16]);
            other.partitions[0] = unasked.clone();
            unasked.partition_index = 7;
            response.topics[0].partitions.insert(0, unasked);
            response.topics.insert(0, other);
        }
    }));
    let token = commit_of_t0(&mut rig);
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
}

#[test]
fn a_committed_offset_that_the_answer_leaves_out_is_not_taken_for_none() {
    let mut rig = Rig::in_group(earliest);
    rig.lie = Some((200, |body| {
        if let ResponseBody::OffsetFetch(response) = body {
            response.topics.clear();
            response.groups.iter_mut().for_each(|group| group.topics.clear());
        }
    }));
    let token = committed_of_t0(&mut rig);
    rig.advance(SECOND);
    assert_tried_again(&rig, token, ApiKey::OffsetFetch);
}

#[test]
fn an_error_of_a_partition_that_nobody_asked_for_does_not_fail_a_lookup_of_committed_offsets() {
    let mut rig = Rig::in_group(earliest);
    rig.lie = Some((200, |body| {
        if let ResponseBody::OffsetFetch(response) = body {
            for topic in response.groups.iter_mut().flat_map(|group| &mut group.topics) {
                let mut unasked = topic.partitions[0].clone();
                unasked.partition_index = 7;
                unasked.error_code = ErrorCode::UnknownServerError.code();
                topic.partitions.insert(0, unasked);
            }
        }
    }));
    let token = committed_of_t0(&mut rig);
    let expected = vec![(of_t(0), None)];
    assert_eq!(rig.replies[&token], Ok(CommandReply::Committed(expected)));
}

#[test]
fn of_a_partition_that_comes_twice_in_an_answer_with_an_error_the_first_counts() {
    let mut rig = lied_to(10, |body| {
        in_fetch(body, |response| {
            for data in response
                .responses
                .iter_mut()
                .flat_map(|topic| &mut topic.partitions)
            {
                data.error_code = ErrorCode::NotLeaderOrFollower.code();
                data.records = None;
                data.current_leader = leader(3);
            }
            for topic in &mut response.responses {
                let mut again = topic.partitions.clone();
                again.iter_mut().for_each(|data| data.current_leader = leader(9));
                topic.partitions.extend(again);
            }
        });
    });
    let known = |rig: &Rig| rig.driven.machine.client.cluster().newest_leader_epoch("t", 0);
    assert_eq!(known(&rig), Some(3));
    rig.driven
        .network
        .metadata
        .as_mut()
        .unwrap()
        .topics
        .iter_mut()
        .flat_map(|topic| &mut topic.partitions)
        .for_each(|partition| partition.leader_epoch = 3);
    rig.advance(5 * SECOND);
    assert_all_once(&mut rig);
}

/// Lets time pass without a poll, against a broker that lies so; how often it was asked for records.
fn fetches_without_a_poll(lie: fn(&mut ResponseBody)) -> usize {
    let mut rig = lied_to(100_000, lie);
    let before = rig.served.len();
    rig.advance(10 * SECOND);
    let served = rig.served[before..].iter();
    served.filter(|api| **api == ApiKey::Fetch).count()
}

#[test]
fn ends_that_move_without_records_are_not_told_faster_and_faster_to_a_caller_that_does_not_poll() {
    static END: AtomicI64 = AtomicI64::new(100);
    let asked = fetches_without_a_poll(|body| {
        in_fetch(body, |response| {
            for data in response
                .responses
                .iter_mut()
                .flat_map(|topic| &mut topic.partitions)
            {
                data.records = None;
                data.high_watermark = END.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    // At once, after 100, 200, 400, 800 ms, then each second, each a fifth more or less; the partitions one by one.
    assert!((10..=40).contains(&asked), "{asked}");
}

#[test]
fn a_position_that_is_always_out_of_range_is_not_reset_faster_and_faster() {
    let asked = fetches_without_a_poll(|body| {
        in_fetch(body, |response| {
            for data in response
                .responses
                .iter_mut()
                .flat_map(|topic| &mut topic.partitions)
            {
                data.records = None;
                data.error_code = ErrorCode::OffsetOutOfRange.code();
            }
        });
    });
    assert!((10..=40).contains(&asked), "{asked}");
}

fn leader(leader_epoch: i32) -> LeaderIdAndEpoch {
    LeaderIdAndEpoch {
        leader_id: 1,
        leader_epoch,
    }
}

#[test]
fn the_brokers_of_a_topics_replicas_share_the_bytes_of_their_hosts() {
    let mut rig = Rig::new(earliest);
    let metadata = rig.driven.network.metadata.as_mut().unwrap();
    metadata.brokers[0].host = "a".repeat(32_767);
    metadata.topics[0].partitions[0].replica_nodes = vec![1; 1000];
    let token = rig.command(Command::PartitionsFor {
        topic: "t".into(),
        timeout: SECOND,
    });
    let Ok(CommandReply::Partitions(partitions)) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies[&token]);
    };
    let replicas = &partitions[0].replicas;
    assert_eq!((replicas.len(), replicas[0].host.len()), (1000, 32_767));
    assert!(replicas.iter().all(|it| Arc::ptr_eq(&it.host, &replicas[0].host)));
}

#[test]
fn a_throttle_of_weeks_keeps_no_command_waiting() {
    let mut rig = Rig::in_group(earliest);
    rig.lie = Some((1_000, |body| match body {
        ResponseBody::Fetch(it) => it.throttle_time_ms = i32::MAX,
        ResponseBody::OffsetFetch(it) => it.throttle_time_ms = i32::MAX,
        ResponseBody::Heartbeat(it) => it.throttle_time_ms = i32::MAX,
        _ => {}
    }));
    rig.subscribe();
    rig.advance(10 * SECOND);
    let offset = kohort_groups::OffsetAndMetadata {
        offset: 1,
        leader_epoch: None,
        metadata: alloc::string::String::new(),
    };
    let token = rig.command(Command::Commit {
        offsets: vec![(of_t(0), offset)],
        mode: CommitMode::Sync { timeout: 5 * SECOND },
    });
    rig.advance(6 * SECOND);
    assert!(rig.replies.contains_key(&token));
}
