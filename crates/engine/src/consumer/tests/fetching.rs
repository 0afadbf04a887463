//! Fetching: which partitions are asked for and when, what is dropped, and what the memory budget admits.

use super::rig::*;
use crate::client::testing::Arrived;
use crate::consumer::{Change, ConsumerConfig, OffsetReset, PollError, Position, SeekTo};
use alloc::vec;
use kohort_protocol::messages::fetch::{FetchableTopicResponse, PartitionData};
use kohort_protocol::messages::{FetchRequest, FetchResponse};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody};

fn earliest(config: &mut ConsumerConfig) {
    config.auto_offset_reset = OffsetReset::Earliest;
}

fn partitions(request: &FetchRequest) -> alloc::vec::Vec<i32> {
    let mut all: alloc::vec::Vec<i32> = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|p| p.partition))
        .collect();
    all.sort_unstable();
    all
}

#[test]
fn all_records_of_all_partitions_are_read_in_order() {
    let mut rig = Rig::new(earliest);
    rig.assign(&[0, 1]);
    assert_eq!(rig.poll_all(), [records(0, 0, 10), records(1, 0, 10)].concat());
}

#[test]
fn the_next_fetch_is_under_way_before_the_caller_consumed_what_came() {
    let mut rig = Rig::new(earliest);
    rig.assign(&[0]);
    let fetch = rig.waiting_fetch().unwrap();
    assert_eq!(fetch.topics[0].partitions[0].fetch_offset, 10);
    assert_eq!((fetch.min_bytes, fetch.max_wait_ms), (1, 500));
    assert_eq!((fetch.session_id, fetch.session_epoch), (0, 0));
}

#[test]
fn a_partition_of_which_enough_is_buffered_is_left_out() {
    let mut rig = Rig::new(|config| {
        earliest(config);
        config.max_partition_fetch_bytes = 1000;
    });
    rig.logs.get_mut(&("t", 0)).unwrap().append(50, 100); // more than the low water mark
    rig.assign(&[0]);
    assert!(rig.waiting_fetch().is_none());
    rig.poll_all();
    let fetch = rig.waiting_fetch().unwrap();
    assert_eq!(fetch.topics[0].partitions[0].fetch_offset, 60);
}

#[test]
fn a_broker_is_not_asked_for_a_drained_partition_alone_while_it_would_hold_up_the_others() {
    let mut rig = Rig::new(|config| {
        earliest(config);
        config.max_partition_fetch_bytes = 1000;
    });
    rig.logs.get_mut(&("t", 0)).unwrap().append(50, 100);
    rig.assign(&[0, 1]);
    assert!(
        rig.waiting_fetch().is_none(),
        "partition 1 is at its end, partition 0 has more than enough"
    );
    rig.logs.get_mut(&("t", 0)).unwrap().append(1, 1);
    rig.poll_all();
    assert_eq!(partitions(&rig.waiting_fetch().unwrap()), [0, 1]);
}

#[test]
fn one_fetch_is_under_way_to_each_broker() {
    let mut rig = Rig::with_brokers(2, earliest);
    rig.assign(&[0, 1]);
    let fetches = |rig: &Rig| {
        let is_fetch = |it: &&Arrived| it.body.api_key() == ApiKey::Fetch;
        let mut ports: vec::Vec<_> = rig
            .driven
            .network
            .waiting()
            .filter(is_fetch)
            .map(|it| it.port)
            .collect();
        ports.sort_unstable();
        ports
    };
    assert_eq!(fetches(&rig), [9001, 9002]);
    rig.poll_all();
    assert_eq!(fetches(&rig), [9001, 9002]);
}

#[test]
fn a_seek_during_a_fetch_drops_what_it_brings() {
    let mut rig = Rig::new(earliest);
    rig.hold.push(ApiKey::Fetch);
    rig.assign(&[0]);
    rig.seek(0, SeekTo::Position(Position::new(7)));
    rig.hold.clear();
    rig.serve();
    assert_eq!(rig.poll_all(), records(0, 7, 10));
}

#[test]
fn a_paused_partition_is_not_fetched_until_it_is_resumed() {
    let mut rig = Rig::new(earliest);
    rig.assign(&[0, 1]);
    rig.poll_all();
    let slot = rig.delivery.pause(&of_t(0)).unwrap();
    rig.change(Change::Pause(vec![slot]));
    // The fetch that waits still asks for both.
    rig.logs.get_mut(&("t", 0)).unwrap().append(1, 1);
    rig.serve();
    assert_eq!(rig.poll_all(), []);
    assert_eq!(partitions(&rig.waiting_fetch().unwrap()), [1]);
    let slot = rig.delivery.resume(&of_t(0)).unwrap();
    rig.change(Change::Resume(vec![slot]));
    assert_eq!(rig.poll_all(), records(0, 10, 11));
}

#[test]
fn a_batch_larger_than_the_budget_is_admitted_alone() {
    let mut rig = Rig::new(|config| {
        earliest(config);
        config.memory_budget = 1000;
    });
    rig.logs.get_mut(&("t", 0)).unwrap().append(1, 5000);
    rig.logs.get_mut(&("t", 0)).unwrap().append(1, 10);
    rig.assign(&[0]);
    assert_eq!(rig.poll_all(), records(0, 0, 12));
}

#[test]
fn no_fetch_is_sent_that_the_budget_has_no_room_for() {
    let mut rig = Rig::with_brokers(2, |config| {
        earliest(config);
        config.memory_budget = 2000;
        config.max_partition_fetch_bytes = 2000;
    });
    rig.logs.get_mut(&("t", 0)).unwrap().append(1, 1500);
    rig.assign(&[0, 1]);
    let asked: i32 = rig
        .driven
        .network
        .waiting()
        .map(|it| match &it.body {
            RequestBody::Fetch(request) => request.max_bytes,
            _ => 0,
        })
        .sum();
    assert!(asked <= 1000, "{asked} bytes may come on top of 1,500 buffered");
    let mut all = rig.poll_all();
    all.sort_unstable();
    assert_eq!(all, [records(0, 0, 11), records(1, 0, 10)].concat());
}

#[test]
fn records_that_are_kept_fill_the_budget_and_fetching_goes_on_when_they_are_dropped() {
    let mut rig = Rig::new(|config| {
        earliest(config);
        config.memory_budget = 20_000;
        config.max_partition_fetch_bytes = 2000;
    });
    for _ in 0..100 {
        rig.logs.get_mut(&("t", 0)).unwrap().append(1, 1000);
    }
    rig.assign(&[0]);
    rig.kept = Some(vec![]);
    let mut read = rig.poll_all();
    assert!((15..30).contains(&read.len()), "{}", read.len());
    let held_up = rig.delivery.held_up().unwrap();
    assert_eq!(held_up.partitions, [of_t(0)]);
    assert!(held_up.held < 20_000 + 2_000, "{}", held_up.held);
    assert!(rig.waiting_fetch().is_none());
    rig.kept = None;
    read.extend(rig.poll_all());
    assert_eq!(read, records(0, 0, 110));
}

#[test]
fn a_fetch_is_smaller_when_kept_records_leave_less_room() {
    let mut rig = Rig::new(|config| {
        earliest(config);
        config.memory_budget = 20_000;
        config.max_partition_fetch_bytes = 5000;
    });
    for _ in 0..18 {
        rig.logs.get_mut(&("t", 0)).unwrap().append(1, 1000);
    }
    rig.assign(&[0]);
    rig.kept = Some(vec![]);
    assert_eq!(rig.poll_all(), records(0, 0, 28));
    let held = rig.delivery.held();
    assert!(held > 15_000, "{held}");
    let fetch = rig.waiting_fetch().unwrap();
    assert_eq!(u64::try_from(fetch.max_bytes).unwrap(), 20_000 - held);
}

#[test]
fn half_of_the_budget_is_fetched_ahead() {
    let mut rig = Rig::new(|config| {
        earliest(config);
        config.memory_budget = 20_000;
        config.max_partition_fetch_bytes = 50_000;
    });
    rig.hold.push(ApiKey::Fetch);
    rig.assign(&[0]);
    let fetch = rig.driven.expect(ApiKey::Fetch);
    let RequestBody::Fetch(request) = &fetch.body else {
        panic!()
    };
    assert_eq!(request.max_bytes, 10_000);
}

#[test]
fn when_the_leader_moved_metadata_is_asked_for_and_the_new_leader_fetched_from() {
    let mut rig = Rig::with_brokers(2, earliest);
    rig.refuse(ApiKey::Fetch, &[ErrorCode::NotLeaderOrFollower]);
    for topic in &mut rig.driven.network.metadata.as_mut().unwrap().topics {
        for partition in &mut topic.partitions {
            partition.leader_id = 2;
            partition.leader_epoch = 1;
        }
    }
    rig.assign(&[0]);
    rig.advance(SECOND);
    assert_eq!(rig.poll_all(), records(0, 0, 10));
    let fetch = rig
        .driven
        .network
        .waiting()
        .find(|it| it.body.api_key() == ApiKey::Fetch)
        .unwrap();
    assert_eq!(fetch.port, 9002);
}

#[test]
fn a_fetch_that_a_broken_connection_took_is_sent_again() {
    let mut rig = Rig::new(earliest);
    rig.hold.push(ApiKey::Fetch);
    rig.assign(&[0]);
    let fetch = rig.driven.expect(ApiKey::Fetch);
    rig.driven.network.cut(fetch.link);
    rig.hold.clear();
    rig.advance(SECOND);
    assert_eq!(rig.poll_all(), records(0, 0, 10));
}

#[test]
fn a_topic_that_may_not_be_read_is_an_error_of_each_poll_until_it_may() {
    let mut rig = Rig::new(earliest);
    rig.refuse(ApiKey::Fetch, &[ErrorCode::TopicAuthorizationFailed; 2]);
    rig.assign(&[0]);
    for _ in 0..2 {
        let error = rig.poll().unwrap_err();
        assert_eq!(
            error,
            PollError::TopicAuthorization {
                topics: vec!["t".into()]
            }
        );
    }
    assert_eq!(rig.poll_all(), records(0, 0, 10));
}

#[test]
fn an_error_that_nothing_explains_is_told_with_its_partition() {
    let mut rig = Rig::new(earliest);
    rig.refuse(ApiKey::Fetch, &[ErrorCode::CorruptMessage]);
    rig.assign(&[1]);
    let error = rig.poll().unwrap_err();
    let expected = PollError::Partition {
        partition: of_t(1),
        offset: 0,
        code: ErrorCode::CorruptMessage,
    };
    assert_eq!(error, expected);
    assert_eq!(rig.poll_all(), records(1, 0, 10));
}

#[test]
fn a_partition_that_is_no_longer_assigned_is_not_fetched_and_not_handed_out() {
    let mut rig = Rig::new(earliest);
    rig.assign(&[0, 1]);
    rig.assign(&[1]);
    assert_eq!(rig.poll_all(), records(1, 0, 10));
    rig.logs.get_mut(&("t", 0)).unwrap().append(1, 1);
    rig.logs.get_mut(&("t", 1)).unwrap().append(1, 1);
    rig.serve();
    assert_eq!(rig.poll_all(), records(1, 10, 11));
    assert_eq!(partitions(&rig.waiting_fetch().unwrap()), [1]);
}

#[test]
fn a_partition_that_a_full_answer_left_out_comes_first_in_the_next_fetch() {
    let mut rig = Rig::new(|config| {
        earliest(config);
        config.fetch_max_bytes = 100;
    });
    rig.hold.push(ApiKey::Fetch);
    rig.assign(&[0, 1]);
    let mut seen = vec![];
    for _ in 0..2 {
        let fetch = rig.driven.expect(ApiKey::Fetch);
        let RequestBody::Fetch(request) = &fetch.body else {
            panic!()
        };
        seen.push(request.topics[0].partitions[0].partition);
        rig.driven.network.put_back([fetch]);
        rig.hold.clear();
        rig.serve_one();
        rig.hold.push(ApiKey::Fetch);
    }
    assert_eq!(seen, [0, 1]);
}

#[test]
fn a_seek_does_not_wait_behind_a_fetch_that_waits_for_data_at_the_old_position() {
    let mut rig = Rig::new(earliest);
    rig.assign(&[0]);
    rig.poll_all();
    let old = rig.driven.network.links().count();
    rig.seek(0, SeekTo::Position(Position::new(4)));
    assert_eq!(rig.poll().unwrap(), records(0, 4, 10));
    assert_eq!(
        rig.driven.network.links().count(),
        old,
        "one connection took the other's place"
    );
}

#[test]
fn a_fetch_that_another_partition_wants_is_not_taken_back() {
    let mut rig = Rig::new(earliest);
    rig.assign(&[0, 1]);
    rig.poll_all();
    rig.driven.network.take_connects();
    rig.seek(0, SeekTo::Position(Position::new(4)));
    assert_eq!(rig.poll().unwrap(), []);
    assert!(rig.driven.network.take_connects().is_empty());
    rig.expire_fetches();
    assert_eq!(rig.poll().unwrap(), records(0, 4, 10));
}

#[test]
fn a_caller_that_consumed_everything_is_not_left_waiting_for_memory_that_it_gave_free() {
    let mut rig = Rig::new(|config| {
        earliest(config);
        config.memory_budget = 4000;
        config.max_partition_fetch_bytes = 2000;
    });
    // Two partitions may fill the budget, so any byte that is believed to be buffered is in the way of the next Fetch.
    rig.assign(&[0, 1]);
    assert_eq!(rig.poll().unwrap().len(), 20);
    rig.logs.get_mut(&("t", 0)).unwrap().append(1, 1);
    assert_eq!(rig.poll_all(), records(0, 10, 11));
}

#[test]
fn what_paused_partitions_hold_does_not_starve_the_others() {
    let mut rig = Rig::new(|config| {
        earliest(config);
        config.memory_budget = 2000;
        config.max_partition_fetch_bytes = 1000;
    });
    rig.logs.get_mut(&("t", 0)).unwrap().append(50, 100);
    rig.assign(&[0]);
    let slot = rig.delivery.pause(&of_t(0)).unwrap();
    rig.change(Change::Pause(vec![slot]));
    rig.assign(&[0, 1]);
    assert_eq!(rig.poll_all(), records(1, 0, 10));
    rig.logs.get_mut(&("t", 1)).unwrap().append(1, 1);
    assert_eq!(rig.poll_all(), records(1, 10, 11));
}

#[test]
fn the_late_answer_of_a_former_leader_is_ignored() {
    let mut rig = Rig::with_brokers(2, earliest);
    rig.assign(&[0]);
    assert_eq!(rig.poll_all(), records(0, 0, 10));
    let late = rig.driven.expect(ApiKey::Fetch);
    for partition in &mut rig.driven.network.metadata.as_mut().unwrap().topics[0].partitions {
        partition.leader_id = 2;
        partition.leader_epoch += 1;
    }
    let now = rig.driven.now();
    rig.driven.machine.client.refresh_metadata(now);
    rig.advance(SECOND);
    rig.logs.get_mut(&("t", 0)).unwrap().append(1, 1);
    assert_eq!(rig.poll_all(), records(0, 10, 11));
    let RequestBody::Fetch(asked) = &late.body else {
        panic!()
    };
    let out_of_range = PartitionData {
        partition_index: 0,
        error_code: ErrorCode::OffsetOutOfRange.code(),
        ..Default::default()
    };
    let answer = FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: asked.topics[0].topic.clone(),
            topic_id: asked.topics[0].topic_id,
            partitions: vec![out_of_range],
        }],
        ..Default::default()
    };
    rig.answer_with(&late, answer);
    assert_eq!(rig.poll_all(), []);
    assert_eq!(rig.count(ApiKey::ListOffsets), 1);
}

#[test]
fn metadata_is_asked_for_again_until_a_partition_has_a_leader() {
    let mut rig = Rig::new(earliest);
    let mut later = rig.driven.network.metadata.clone();
    // Neither a leader nor an error: the partition is not in the answer at all.
    rig.driven.network.metadata.as_mut().unwrap().topics[0]
        .partitions
        .clear();
    rig.assign(&[0]);
    rig.advance(10 * SECOND);
    core::mem::swap(&mut rig.driven.network.metadata, &mut later);
    rig.advance(2 * SECOND);
    assert_eq!(rig.poll_all(), records(0, 0, 10));
}
