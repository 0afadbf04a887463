//! A member of a group: joining, what is revoked and assigned, the listener. How it goes is in `leaving`.

use super::leaving::close;
use super::rig::*;
use crate::consumer::{
    AutomaticCommit, CallbackKind, Change, Command, CommandReply, CommitMode, ConsumerConfig, OffsetReset,
    Position, SeekTo,
};
use crate::delivery::Due;
use alloc::vec;
use alloc::vec::Vec;
use kohort_groups::OffsetAndMetadata;
use kohort_groups::member::Cause;
use kohort_protocol::{ApiKey, ErrorCode, RequestBody};

pub(super) fn earliest(config: &mut ConsumerConfig) {
    config.auto_offset_reset = OffsetReset::Earliest;
}

pub(super) fn automatic(config: &mut ConsumerConfig) {
    earliest(config);
    config.enable_auto_commit = true;
}

/// Commits before revocations and closes alone: the interval does not end in a test.
pub(super) fn automatic_at_ends(config: &mut ConsumerConfig) {
    automatic(config);
    config.auto_commit_interval = 60 * SECOND;
}

/// A consumer that owns both partitions.
pub(super) fn joined(configure: impl FnOnce(&mut ConsumerConfig)) -> Rig {
    let mut rig = Rig::in_group(configure);
    rig.subscribe();
    rig.poll_max(0).unwrap();
    assert_eq!(rig.calls.pop(), Some((CallbackKind::Assigned, vec![0, 1])));
    rig.calls.clear();
    rig
}

/// The coordinator tells the member to join again.
pub(super) fn rebalance(rig: &mut Rig) {
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::RebalanceInProgress]);
    rig.advance(4 * SECOND);
}

#[test]
fn a_subscribed_consumer_reads_what_the_group_assigns() {
    let mut rig = Rig::in_group(earliest);
    rig.subscribe();
    assert_eq!(rig.poll_all(), [records(0, 0, 10), records(1, 0, 10)].concat());
    assert_eq!(rig.calls, [(CallbackKind::Assigned, vec![0, 1])]);
}

// Kafka: KafkaConsumer.subscribe, ConsumerCoordinator.poll
#[test]
fn the_group_is_joined_by_the_first_poll_after_subscribing_with_what_was_wanted_last() {
    let mut rig = Rig::in_group(earliest);
    for topics in [["u"], ["t"]] {
        let topics = topics.map(Into::into).into();
        rig.change(Change::Subscribe { topics });
    }
    rig.advance(400 * SECOND);
    assert_eq!(rig.count(ApiKey::JoinGroup), 0);
    assert_eq!(rig.poll_all(), [records(0, 0, 10), records(1, 0, 10)].concat());
    assert_eq!(rig.count(ApiKey::JoinGroup), 1);
    assert_eq!(rig.late, [], "nobody missed it");
}

#[test]
fn a_consumer_that_subscribes_and_closes_without_a_poll_was_never_in_the_group() {
    let mut rig = Rig::in_group(earliest);
    let topics = vec!["t".into()];
    rig.change(Change::Subscribe { topics });
    let token = close(&mut rig);
    rig.do_due().unwrap();
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(rig.count(ApiKey::JoinGroup), 0);
}

fn enforce(rig: &mut Rig, reason: &str) {
    let reason = reason.into();
    rig.change(Change::EnforceRebalance { reason });
}

// Kafka: KafkaConsumer.enforceRebalance: "Note that this API does not itself initiate the rebalance, so you must still call poll"
#[test]
fn a_member_that_is_to_join_again_does_so_with_the_next_poll_and_for_the_last_reason() {
    let mut rig = joined(earliest);
    enforce(&mut rig, "one");
    enforce(&mut rig, "two");
    rig.advance(20 * SECOND);
    assert_eq!(rig.count(ApiKey::JoinGroup), 1);
    rig.poll_all();
    assert_eq!(rig.count(ApiKey::JoinGroup), 2);
    let because = Cause::Enforced { reason: "two".into() };
    assert_eq!(rig.rebalances.last().map(|last| &last.cause), Some(&because));
    let all = vec![0, 1];
    let calls = [
        (CallbackKind::Revoked, all.clone()),
        (CallbackKind::Assigned, all),
    ];
    assert_eq!(rig.calls, calls);
    rig.poll_all();
    assert_eq!(rig.count(ApiKey::JoinGroup), 2, "once");
}

#[test]
fn a_cooperative_member_that_joins_again_because_it_is_to_goes_on_reading() {
    let mut rig = joined(|config| {
        earliest(config);
        cooperatively(config);
    });
    rig.poll_max(3).unwrap();
    enforce(&mut rig, "new user data");
    assert_eq!(rig.poll_all(), [records(0, 3, 10), records(1, 0, 10)].concat());
    assert_eq!(rig.count(ApiKey::JoinGroup), 2);
    assert_eq!(rig.calls, [(CallbackKind::Assigned, vec![])]);
}

#[test]
fn what_is_not_subscribed_does_not_join_because_it_is_to_and_what_subscribes_joins_once() {
    let mut rig = Rig::in_group(earliest);
    enforce(&mut rig, "because");
    rig.poll().unwrap();
    assert_eq!(rig.count(ApiKey::JoinGroup), 0);
    rig.change(Change::Subscribe {
        topics: vec!["t".into()],
    });
    enforce(&mut rig, "because");
    rig.poll_all();
    assert_eq!(rig.count(ApiKey::JoinGroup), 1);
}

fn cooperatively(config: &mut ConsumerConfig) {
    config.group.as_mut().unwrap().assignors = cooperative();
}

/// A member that has read something and subscribes to more, without a poll since.
fn subscribed_anew(configure: impl FnOnce(&mut ConsumerConfig)) -> Rig {
    let mut rig = joined(configure);
    rig.poll_max(3).unwrap();
    let topics = vec!["t".into(), "u".into()];
    rig.change(Change::Subscribe { topics });
    rig
}

#[test]
fn a_member_that_subscribes_anew_and_closes_commits_revokes_and_does_not_join_again() {
    for is_cooperative in [false, true] {
        let mut rig = subscribed_anew(|config| {
            automatic_at_ends(config);
            if is_cooperative {
                cooperatively(config);
            }
        });
        let token = close(&mut rig);
        rig.do_due().unwrap();
        assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
        assert_eq!(rig.count(ApiKey::JoinGroup), 1, "cooperative: {is_cooperative}");
        assert_eq!(rig.committed(0), Some(3));
        assert_eq!(rig.calls, [(CallbackKind::Revoked, vec![0, 1])]);
    }
}

#[test]
fn what_is_left_of_a_member_that_subscribed_anew_and_was_dropped_does_not_join_again() {
    let mut rig = subscribed_anew(|config| {
        earliest(config);
        cooperatively(config);
    });
    rig.change(Change::Gone);
    rig.begin_polling();
    rig.command(Command::Unsubscribe { timeout: SECOND });
    rig.do_due().unwrap();
    assert_eq!(rig.count(ApiKey::JoinGroup), 1);
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
}

#[test]
fn nothing_is_fetched_before_the_listener_took_the_assignment() {
    let mut rig = Rig::in_group(earliest);
    rig.subscribe();
    assert!(matches!(
        rig.next_due(),
        Some(Due::Callback {
            kind: CallbackKind::Assigned,
            ..
        })
    ));
    assert_eq!(rig.count(ApiKey::OffsetFetch), 0, "the listener may commit");
    assert!(rig.waiting_fetch().is_none());
    rig.poll_all();
    assert!(rig.waiting_fetch().is_some());
}

// Kafka: ConsumerCoordinator.poll runs the listener before refreshCommittedOffsetsIfNeeded
#[test]
fn what_the_assigned_listener_commits_is_where_reading_begins() {
    let mut rig = Rig::in_group(earliest);
    rig.subscribe();
    let token = rig.command(Command::Commit {
        offsets: vec![(of_t(0), OffsetAndMetadata::new(4))],
        mode: CommitMode::Sync { timeout: SECOND },
    });
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(rig.poll_all(), [records(0, 4, 10), records(1, 0, 10)].concat());
}

#[test]
fn what_another_committed_while_the_listener_ran_is_where_reading_begins() {
    let mut rig = Rig::in_group(earliest);
    rig.committed.insert(("t".into(), 0), 2);
    rig.subscribe();
    rig.committed.insert(("t".into(), 0), 6);
    assert_eq!(rig.poll_all(), [records(0, 6, 10), records(1, 0, 10)].concat());
}

// Kafka: KafkaConsumer.position
#[test]
fn the_assigned_listener_may_ask_where_reading_begins() {
    let mut rig = Rig::in_group(earliest);
    rig.committed.insert(("t".into(), 0), 2);
    rig.subscribe();
    let slot = rig.delivery.slot(&of_t(0)).unwrap();
    let token = rig.command(Command::Position {
        slot,
        timeout: SECOND,
    });
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(rig.looked_up, [0], "the other is found later");
    rig.poll_all();
    assert_eq!(rig.looked_up, [0, 1]);
}

#[test]
fn where_a_partition_is_that_is_being_revoked_is_found_though_it_was_not_known_before() {
    let mut rig = Rig::in_group(|config| config.auto_offset_reset = OffsetReset::Latest);
    // The group rebalances before the coordinator has said that nothing is committed.
    rig.refuse(ApiKey::OffsetFetch, &[ErrorCode::CoordinatorLoadInProgress; 100]);
    rig.subscribe();
    rig.poll_max(0).unwrap();
    rebalance(&mut rig);
    rig.refuse.clear();
    rig.looked_up.clear();
    rig.advance(4 * SECOND);
    assert_eq!(rig.looked_up, [], "nobody wants what goes");
    let slot = rig.delivery.slot(&of_t(0)).unwrap();
    let token = rig.command(Command::Position {
        slot,
        timeout: SECOND,
    });
    assert_eq!(rig.replies.get(&token), Some(&Ok(CommandReply::Done)));
    let position = rig.delivery.position(&of_t(0)).unwrap();
    assert_eq!(position.map(|it| it.offset), Some(10));
}

#[test]
fn the_listener_may_seek_in_what_it_takes() {
    let mut rig = Rig::in_group(earliest);
    rig.subscribe();
    rig.seek(0, SeekTo::Position(Position::new(9)));
    assert_eq!(rig.poll_all(), [records(0, 9, 10), records(1, 0, 10)].concat());
}

#[test]
fn records_of_a_partition_that_is_being_revoked_are_not_handed_out() {
    let mut rig = joined(earliest);
    assert_eq!(rig.poll_max(3).unwrap(), records(0, 0, 3));
    rig.hold.push(ApiKey::JoinGroup);
    rebalance(&mut rig);
    assert_eq!(rig.poll().unwrap(), []);
    assert_eq!(rig.calls, [(CallbackKind::Revoked, vec![0, 1])]);
    assert_eq!(rig.delivery.assignment().count(), 0);
}

#[test]
fn a_rebalance_is_told_when_it_begins_and_when_it_ends() {
    let mut rig = joined(earliest);
    rebalance(&mut rig);
    let numbers = |rig: &Rig| {
        let begun: Vec<u64> = rig.rebalances_begun.iter().map(|it| it.number).collect();
        let ended: Vec<u64> = rig.rebalances.iter().map(|it| it.number).collect();
        (begun, ended)
    };
    assert_eq!(numbers(&rig), (vec![1, 2], vec![1]), "the listener is waited for");
    rig.poll().unwrap();
    rig.poll().unwrap();
    assert_eq!(numbers(&rig), (vec![1, 2], vec![1, 2]));
    let (began, ended) = (&rig.rebalances_begun[1], &rig.rebalances[1]);
    assert_eq!((began.at, &began.cause), (ended.began, &ended.cause));
}

#[test]
fn join_group_waits_for_the_listener_and_heartbeats_do_not() {
    let mut rig = joined(earliest);
    rebalance(&mut rig);
    let beats = rig.count(ApiKey::Heartbeat);
    rig.advance(10 * SECOND);
    assert!(rig.count(ApiKey::Heartbeat) > beats);
    assert_eq!(rig.count(ApiKey::JoinGroup), 1);
    rig.poll().unwrap();
    assert_eq!(rig.count(ApiKey::JoinGroup), 2);
}

#[test]
fn what_is_revoked_is_committed_before_the_listener_runs() {
    let mut rig = joined(automatic);
    rig.poll_max(3).unwrap();
    rig.hold.push(ApiKey::OffsetCommit);
    rebalance(&mut rig);
    rig.poll().unwrap();
    assert!(rig.calls.is_empty());
    rig.hold.clear();
    rig.serve();
    assert_eq!(rig.committed(0), Some(3));
    rig.poll().unwrap();
    assert_eq!(rig.calls[0], (CallbackKind::Revoked, vec![0, 1]));
}

#[test]
fn what_waits_to_be_revoked_is_lost_when_the_member_is_not_polled_in_time() {
    let mut rig = joined(earliest);
    rebalance(&mut rig);
    rig.advance(301 * SECOND);
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
    rig.poll().unwrap();
    assert_eq!(rig.calls[0], (CallbackKind::Lost, vec![0, 1]));
}

#[test]
fn a_commit_in_the_revoked_listener_is_in_time() {
    let mut rig = joined(earliest);
    rebalance(&mut rig);
    assert!(matches!(
        rig.next_due(),
        Some(Due::Callback {
            kind: CallbackKind::Revoked,
            ..
        })
    ));
    let token = rig.command(Command::Commit {
        offsets: vec![(of_t(0), OffsetAndMetadata::new(4))],
        mode: CommitMode::Sync { timeout: SECOND },
    });
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
}

#[test]
fn after_a_rebalance_reading_goes_on_at_the_committed_offset() {
    let mut rig = joined(automatic);
    rig.poll_max(3).unwrap();
    rebalance(&mut rig);
    let mut all = rig.poll().unwrap();
    all.extend(rig.poll_all());
    assert_eq!(all, [records(0, 3, 10), records(1, 0, 10)].concat());
    let kinds: Vec<_> = rig.calls.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [CallbackKind::Revoked, CallbackKind::Assigned]);
}

#[test]
fn a_member_that_the_coordinator_forgot_loses_its_partitions_without_a_commit() {
    let mut rig = joined(automatic);
    rig.poll_max(3).unwrap();
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::UnknownMemberId]);
    rig.advance(4 * SECOND);
    rig.poll().unwrap();
    assert_eq!(rig.calls[0], (CallbackKind::Lost, vec![0, 1]));
    assert_eq!(rig.count(ApiKey::OffsetCommit), 0);
}

#[test]
fn new_partitions_of_a_topic_are_assigned() {
    let mut rig = joined(earliest);
    rig.logs.insert(("t", 2), Log::default());
    let metadata = rig.driven.network.metadata.as_mut().unwrap();
    let mut partition = metadata.topics[0].partitions[0].clone();
    partition.partition_index = 2;
    metadata.topics[0].partitions.push(partition);
    rig.advance(301 * SECOND); // metadata.max.age.ms
    rig.poll().unwrap();
    rig.poll().unwrap();
    assert_eq!(rig.calls.last(), Some(&(CallbackKind::Assigned, vec![0, 1, 2])));
}

#[test]
fn a_consumer_that_is_not_polled_leaves_its_group_and_comes_back_with_the_next_poll() {
    let mut rig = joined(earliest);
    rig.poll_all();
    rig.advance(299 * SECOND);
    assert_eq!(rig.count(ApiKey::LeaveGroup), 0);
    rig.advance(5 * SECOND);
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
    assert_eq!(rig.late.len(), 1);
    rig.poll().unwrap();
    assert_eq!(rig.calls[0], (CallbackKind::Lost, vec![0, 1]));
    rig.poll().unwrap();
    assert_eq!(rig.calls.last(), Some(&(CallbackKind::Assigned, vec![0, 1])));
}

#[test]
fn a_poll_that_is_late_is_told_with_what_the_last_one_handed_out() {
    let mut rig = joined(earliest);
    assert_eq!(rig.poll_max(13).unwrap().len(), 13);
    rig.advance(305 * SECOND);
    let [late] = &rig.late[..] else {
        panic!("{:?}", rig.late);
    };
    assert_eq!(late.in_hand, [(of_t(0), 0, 9), (of_t(1), 0, 2)]);
    assert_eq!((late.more_runs, late.records), (0, 13));
    assert_eq!(late.interval, 300 * SECOND);
    assert!((300..304).contains(&late.idle.as_secs()), "{:?}", late.idle);
}

#[test]
fn a_poll_that_is_late_while_the_group_is_joined_is_told_when_the_member_leaves_for_it() {
    let mut rig = joined(earliest);
    rig.poll_max(13).unwrap();
    rig.hold.push(ApiKey::JoinGroup);
    rebalance(&mut rig);
    rig.poll().unwrap();
    rig.advance(305 * SECOND);
    assert_eq!(rig.late, [], "it is on its way into the group");
    rig.hold.clear();
    rig.advance(290 * SECOND);
    assert_eq!(rig.late, []);
    rig.advance(20 * SECOND);
    assert_eq!(rig.late.len(), 1);
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
}

#[test]
fn a_consumer_that_polls_in_time_stays() {
    let mut rig = joined(earliest);
    for _ in 0..4 {
        rig.advance(200 * SECOND);
        rig.poll().unwrap();
    }
    assert_eq!(rig.count(ApiKey::LeaveGroup), 0);
    assert_eq!(rig.count(ApiKey::JoinGroup), 1);
}

#[test]
fn a_failed_commit_before_a_revocation_is_told_and_the_rebalance_goes_on() {
    let mut rig = joined(automatic);
    rig.poll_max(3).unwrap();
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::UnknownMemberId]);
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::RebalanceInProgress]);
    rig.advance(4 * SECOND);
    rig.do_due().unwrap();
    rig.advance(4 * SECOND);
    rig.do_due().unwrap();
    assert_eq!(rig.failed_commits[0].when, AutomaticCommit::BeforeRevocation);
    assert!(!rig.calls.is_empty());
}

#[test]
fn a_revocation_does_not_wait_for_the_commit_of_a_topic_that_is_deleted() {
    let mut rig = joined(automatic_at_ends);
    rig.poll_max(3).unwrap();
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::UnknownTopicOrPartition; 20]);
    rebalance(&mut rig);
    rig.do_due().unwrap();
    rig.advance(5 * SECOND);
    rig.do_due().unwrap();
    assert_eq!(rig.failed_commits[0].when, AutomaticCommit::BeforeRevocation);
    assert_eq!(rig.calls[0], (CallbackKind::Revoked, vec![0, 1]));
}

#[test]
fn an_error_of_the_membership_is_told_once_and_the_next_poll_tries_again() {
    let mut rig = Rig::in_group(earliest);
    rig.hold.push(ApiKey::JoinGroup);
    rig.subscribe();
    let join = rig.driven.expect(ApiKey::JoinGroup);
    let RequestBody::JoinGroup(_) = &join.body else {
        panic!()
    };
    rig.answer_with(
        &join,
        kohort_protocol::messages::JoinGroupResponse {
            error_code: ErrorCode::GroupAuthorizationFailed.code(),
            ..Default::default()
        },
    );
    rig.hold.clear();
    rig.advance(SECOND);
    assert_eq!(rig.count(ApiKey::JoinGroup), 0);
    let error = rig.poll().unwrap_err();
    assert!(error.is_fatal(), "{error}");
    rig.poll().unwrap();
    assert_eq!(rig.count(ApiKey::JoinGroup), 1);
}

#[test]
fn the_first_records_after_a_rebalance_do_not_wait_behind_a_fetch_from_before() {
    let mut rig = joined(automatic);
    rig.poll_all();
    rebalance(&mut rig);
    rig.poll().unwrap();
    rig.poll().unwrap();
    assert_eq!(rig.calls.last(), Some(&(CallbackKind::Assigned, vec![0, 1])));
    rig.logs.get_mut(&("t", 0)).unwrap().append(1, 10);
    rig.serve();
    assert_eq!(rig.poll().unwrap(), records(0, 10, 11));
}

#[test]
fn the_group_metadata_are_those_of_the_generation() {
    let mut rig = joined(earliest);
    let token = rig.command(Command::GroupMetadata);
    match &rig.replies[&token] {
        Ok(CommandReply::GroupMetadata(Some(identity))) => {
            assert!(identity.generation > 0 && !identity.member_id.is_empty())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_group_there_are_no_group_metadata() {
    let mut rig = Rig::new(earliest);
    let token = rig.command(Command::GroupMetadata);
    assert!(matches!(
        rig.replies[&token],
        Err(crate::consumer::CommandError::NoGroup { .. })
    ));
}
