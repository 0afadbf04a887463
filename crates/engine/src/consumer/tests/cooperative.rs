//! A member whose assignor is cooperative (KIP-429): what stays goes on being read through every phase of a rebalance, and
//! only what goes is given up. Another member leads.

use alloc::vec;
use alloc::vec::Vec;

use kohort_groups::RebalanceProtocol;
use kohort_groups::member::{Cause, OfferedAssignor, Outcome};
use kohort_protocol::{ApiKey, ErrorCode};

use super::rig::*;
use crate::consumer::{CallbackKind, ConsumerConfig, OffsetReset};
use crate::delivery::Due;

fn cooperative(config: &mut ConsumerConfig) {
    config.auto_offset_reset = OffsetReset::Earliest;
    if let Some(group) = &mut config.group {
        let both = [RebalanceProtocol::Cooperative, RebalanceProtocol::Eager];
        group.assignors = vec![OfferedAssignor::new("cooperative-sticky", both)];
    }
}

fn automatic(config: &mut ConsumerConfig) {
    cooperative(config);
    config.enable_auto_commit = true;
}

/// A member of a cooperative group that was assigned these partitions of `t`.
fn owning(share: &[i32], configure: impl FnOnce(&mut ConsumerConfig)) -> Rig {
    let mut rig = Rig::in_group(configure);
    rig.shares.push_back(share.to_vec());
    rig.subscribe();
    rig.poll_max(0).unwrap();
    assert_eq!(rig.calls.pop(), Some((CallbackKind::Assigned, share.to_vec())));
    rig.looked_up.clear();
    rig
}

/// Other members make the group rebalance, and this one is assigned these shares in the rounds that follow.
fn rebalance(rig: &mut Rig, shares: &[&[i32]]) {
    rig.shares.extend(shares.iter().map(|share| share.to_vec()));
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::RebalanceInProgress]);
    rig.advance(4 * SECOND);
}

/// One more record for a partition of `t`.
fn write(rig: &mut Rig, partition: i32) {
    rig.logs.get_mut(&("t", partition)).unwrap().append(1, 10);
    rig.serve();
}

#[test]
fn what_stays_is_read_through_every_phase_of_a_rebalance() {
    let mut rig = owning(&[0, 1], cooperative);
    assert_eq!(rig.poll_all().len(), 20);
    rig.hold.extend([ApiKey::JoinGroup, ApiKey::SyncGroup]);
    rebalance(&mut rig, &[&[0, 1]]);
    write(&mut rig, 0);
    assert_eq!(rig.poll().unwrap(), records(0, 10, 11), "while JoinGroup waits");
    rig.hold.remove(0);
    rig.serve();
    write(&mut rig, 1);
    assert_eq!(rig.poll().unwrap(), records(1, 10, 11), "while SyncGroup waits");
    rig.hold.clear();
    rig.serve();
    assert!(matches!(
        rig.next_due(),
        Some(Due::Callback {
            kind: CallbackKind::Assigned,
            ..
        })
    ));
    write(&mut rig, 0);
    assert_eq!(
        rig.poll().unwrap(),
        records(0, 11, 12),
        "in the poll that runs the listener"
    );
    assert_eq!(rig.calls, [(CallbackKind::Assigned, vec![])]);
    assert!(rig.looked_up.is_empty(), "positions stay as they are");
}

// Kafka: ConsumerCoordinator.onJoinComplete; ConsumerRebalanceListener: onPartitionsAssigned is called also with no partition
#[test]
fn a_cooperative_listener_hears_of_an_assignment_without_news_and_of_no_revocation() {
    let mut rig = owning(&[0], cooperative);
    rebalance(&mut rig, &[&[0]]);
    rig.poll_all();
    assert_eq!(rig.calls, [(CallbackKind::Assigned, vec![])]);
}

#[test]
fn only_what_goes_is_revoked_and_the_member_joins_again_at_once() {
    let mut rig = owning(&[0, 1], cooperative);
    rebalance(&mut rig, &[&[0], &[0]]);
    assert_eq!(rig.count(ApiKey::JoinGroup), 2);
    let now = rig.driven.now();
    rig.poll_max(0).unwrap();
    assert_eq!(
        rig.calls,
        [
            (CallbackKind::Revoked, vec![1]),
            (CallbackKind::Assigned, vec![]),
            (CallbackKind::Assigned, vec![]),
        ]
    );
    assert_eq!(
        (rig.count(ApiKey::JoinGroup), rig.driven.now()),
        (3, now),
        "no time passes"
    );
    let causes: Vec<_> = rig.rebalances.iter().map(|each| each.cause.clone()).collect();
    assert_eq!(causes.last(), Some(&Cause::GaveUpPartitions));
}

#[test]
fn what_goes_is_committed_first_and_what_stays_is_not() {
    let mut rig = owning(&[0, 1], |config| {
        automatic(config);
        config.auto_commit_interval = 60 * SECOND;
    });
    assert_eq!(rig.poll_max(13).unwrap().len(), 13);
    rig.commits.clear();
    rig.hold.push(ApiKey::OffsetCommit);
    rebalance(&mut rig, &[&[0], &[0]]);
    rig.poll().unwrap();
    assert!(rig.calls.is_empty(), "the commit comes before the listener");
    rig.hold.clear();
    rig.serve();
    assert_eq!(rig.commits, [vec![(1, 3)]]);
    rig.poll().unwrap();
    assert_eq!(rig.calls[0], (CallbackKind::Revoked, vec![1]));
}

#[test]
fn nothing_of_what_goes_is_handed_out_once_it_is_to_be_revoked() {
    let mut rig = owning(&[0, 1], cooperative);
    assert_eq!(rig.poll_max(1).unwrap(), records(0, 0, 1));
    rebalance(&mut rig, &[&[1], &[1]]);
    assert_eq!(
        rig.poll_all(),
        records(1, 0, 10),
        "what was buffered of 0 is dropped"
    );
}

#[test]
fn what_stays_is_read_while_what_goes_waits_for_its_commit() {
    let mut rig = owning(&[0, 1], automatic);
    rig.poll_all();
    rig.hold.push(ApiKey::OffsetCommit);
    rebalance(&mut rig, &[&[0], &[0]]);
    rig.poll().unwrap();
    write(&mut rig, 0);
    assert_eq!(rig.poll().unwrap(), records(0, 10, 11));
    assert!(rig.calls.is_empty());
}

#[test]
fn a_new_partition_begins_at_the_commit_and_the_retained_one_at_its_position() {
    let mut rig = owning(&[0], cooperative);
    rig.committed.insert(("t".into(), 0), 2);
    rig.committed.insert(("t".into(), 1), 8);
    assert_eq!(rig.poll_max(5).unwrap(), records(0, 0, 5));
    rebalance(&mut rig, &[&[0, 1]]);
    let all = rig.poll_all();
    assert_eq!(all, [records(0, 5, 10), records(1, 8, 10)].concat());
    assert_eq!(rig.calls, [(CallbackKind::Assigned, vec![1])]);
    assert_eq!(rig.looked_up, [1]);
}

#[test]
fn a_pause_of_what_stays_outlives_the_rebalance() {
    let mut rig = owning(&[0, 1], cooperative);
    rig.poll_all();
    let slot = rig.delivery.pause(&of_t(0)).unwrap();
    rig.change(crate::consumer::Change::Pause(vec![slot]));
    rebalance(&mut rig, &[&[0, 1]]);
    write(&mut rig, 0);
    write(&mut rig, 1);
    assert_eq!(rig.poll_all(), records(1, 10, 11));
}

#[test]
fn heartbeats_go_on_while_a_listener_gives_up_partitions() {
    let mut rig = owning(&[0, 1], cooperative);
    rebalance(&mut rig, &[&[0], &[0]]);
    let beats = rig.count(ApiKey::Heartbeat);
    rig.advance(10 * SECOND);
    assert!(rig.count(ApiKey::Heartbeat) >= beats + 3);
    assert_eq!(rig.count(ApiKey::JoinGroup), 2, "not before the listener has run");
}

// Kafka: ConsumerCoordinator.onJoinPrepare
#[test]
fn a_cooperative_member_that_was_forgotten_loses_everything_without_a_commit() {
    let mut rig = owning(&[0, 1], automatic);
    rig.poll_all();
    rig.commits.clear();
    rig.shares.push_back(vec![0, 1]);
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::UnknownMemberId]);
    rig.advance(4 * SECOND);
    rig.poll_all();
    assert_eq!(
        rig.calls,
        [
            (CallbackKind::Lost, vec![0, 1]),
            (CallbackKind::Assigned, vec![0, 1])
        ]
    );
    assert!(rig.commits.is_empty());
}

#[test]
fn a_cooperative_member_that_is_not_polled_loses_everything_and_comes_back() {
    let mut rig = owning(&[0, 1], cooperative);
    rig.poll_all();
    rig.advance(305 * SECOND);
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
    rig.shares.push_back(vec![1]);
    rig.poll_all();
    assert_eq!(
        rig.calls,
        [
            (CallbackKind::Lost, vec![0, 1]),
            (CallbackKind::Assigned, vec![1])
        ]
    );
}

#[test]
fn the_journal_says_what_a_cooperative_member_gave_up_kept_and_got() {
    let mut rig = owning(&[0], cooperative);
    rebalance(&mut rig, &[&[1], &[1]]);
    rig.poll_all();
    let ended = &rig.rebalances[1];
    assert_eq!((&ended.gave_up, &ended.got), (&vec![of_t(0)], &vec![of_t(1)]));
    assert_eq!((ended.outcome, ended.led()), (Outcome::Assigned, false));
    assert_eq!(ended.leader.as_deref(), Some("other"));
    assert_eq!(rig.rebalances[2].kept, 1);
}
