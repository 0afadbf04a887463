//! How a member goes: unsubscribing, closing, and what is done for a caller that is gone.

use super::group::{automatic, automatic_at_ends, earliest, joined, rebalance};
use super::rig::*;
use crate::consumer::{
    AutomaticCommit, CallbackKind, Change, Command, CommandError, CommandReply, CommitMode, Event,
    LeaveGroup, Progress,
};
use crate::delivery::Due;
use alloc::boxed::Box;
use alloc::vec;
use kohort_groups::OffsetAndMetadata;
use kohort_groups::member::Failure;
use kohort_machine::Machine;
use kohort_protocol::{ApiKey, ErrorCode};

#[test]
fn unsubscribing_revokes_and_leaves_without_a_commit() {
    let mut rig = joined(automatic);
    rig.poll_max(3).unwrap();
    let token = rig.command(Command::Unsubscribe { timeout: SECOND });
    rig.do_due().unwrap();
    assert_eq!(rig.calls, [(CallbackKind::Revoked, vec![0, 1])]);
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
    assert_eq!(rig.count(ApiKey::OffsetCommit), 0);
    rig.assign(&[1]);
    assert_eq!(rig.poll_all(), records(1, 0, 10));
}

pub(super) fn close(rig: &mut Rig) -> kohort_machine::Token {
    rig.command(Command::Close {
        timeout: 30 * SECOND,
        leave: LeaveGroup::Default,
    })
}

#[test]
fn closing_commits_revokes_and_leaves() {
    let mut rig = joined(automatic);
    rig.poll_max(3).unwrap();
    let token = close(&mut rig);
    rig.do_due().unwrap();
    assert_eq!(rig.committed(0), Some(3));
    assert_eq!(rig.calls, [(CallbackKind::Revoked, vec![0, 1])]);
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
}

#[test]
fn closing_a_manual_assignment_commits() {
    let mut rig = Rig::in_group(automatic);
    rig.assign(&[0]);
    rig.poll_max(3).unwrap();
    let token = close(&mut rig);
    rig.do_due().unwrap();
    assert_eq!(rig.committed(0), Some(3));
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
}

#[test]
fn a_static_member_stays_in_its_group_when_it_closes() {
    let mut rig = joined(|config| {
        earliest(config);
        config.group.as_mut().unwrap().group_instance_id = Some("i".into());
    });
    let token = close(&mut rig);
    rig.do_due().unwrap();
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(rig.count(ApiKey::LeaveGroup), 0);
}

// Kafka: AbstractCoordinator.close
#[test]
fn a_close_that_waits_for_its_listener_to_the_end_of_its_time_tells_the_coordinator_all_the_same() {
    let mut rig = joined(earliest);
    let token = close(&mut rig);
    rig.advance(29 * SECOND);
    assert_eq!(rig.count(ApiKey::LeaveGroup), 0, "the listener has not run");
    rig.advance(SECOND);
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
    let leave = Some(Failure::TimedOut);
    let unfinished = CommandError::Unfinished { commit: None, leave };
    assert_eq!(rig.replies[&token], Err(unfinished), "nobody heard the answer");
}

#[test]
fn a_close_that_could_not_tell_a_coordinator_that_is_silent_while_the_group_rebalances_says_so() {
    let mut rig = joined(earliest);
    rig.hold.extend([ApiKey::JoinGroup, ApiKey::LeaveGroup]);
    rebalance(&mut rig);
    rig.do_due().unwrap();
    let token = rig.command(Command::Close {
        timeout: 20 * SECOND,
        leave: LeaveGroup::Default,
    });
    rig.do_due().unwrap();
    rig.advance(20 * SECOND);
    let leave = Some(Failure::TimedOut);
    let unfinished = CommandError::Unfinished { commit: None, leave };
    assert_eq!(rig.replies[&token], Err(unfinished));
}

/// Whether the coordinator hears that a member closes behind this request, which waits for others.
fn is_heard_behind(api: ApiKey) -> bool {
    let mut rig = joined(earliest);
    rig.hold.extend([api, ApiKey::LeaveGroup]);
    rebalance(&mut rig);
    rig.do_due().unwrap();
    close(&mut rig);
    rig.do_due().unwrap();
    let connection = |api| {
        let mut waiting = rig.driven.network.waiting();
        waiting.find(|it| it.body.api_key() == api).map(|it| it.link)
    };
    let (waits, leave) = (connection(api), connection(ApiKey::LeaveGroup));
    assert!(waits.is_some() && leave.is_some());
    waits == leave
}

#[test]
fn a_member_that_closes_is_heard_before_its_join_that_waits_for_others() {
    assert!(!is_heard_behind(ApiKey::JoinGroup));
    assert!(
        is_heard_behind(ApiKey::SyncGroup),
        "Kafka would never answer that"
    );
}

// Kafka: AbstractCoordinator.shouldSendLeaveGroupRequest
#[test]
fn unsubscribing_does_not_look_for_a_coordinator_that_is_not_known() {
    let mut rig = joined(earliest);
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::NotCoordinator]);
    rig.driven.network.coordinator = None;
    rig.advance(4 * SECOND);
    let token = rig.command(Command::Unsubscribe { timeout: 60 * SECOND });
    rig.do_due().unwrap();
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(rig.count(ApiKey::LeaveGroup), 0);
}

#[test]
fn closing_is_over_after_its_time_out_whatever_the_broker_does() {
    let mut rig = joined(automatic);
    rig.poll_max(3).unwrap();
    rig.hold.extend([ApiKey::OffsetCommit, ApiKey::LeaveGroup]);
    let token = close(&mut rig);
    rig.do_due().unwrap();
    assert!(!rig.replies.contains_key(&token));
    rig.advance(30 * SECOND);
    let Err(CommandError::Unfinished { commit, leave }) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies[&token])
    };
    assert!(
        matches!(commit.as_deref(), Some(CommandError::TimedOut { .. })),
        "{commit:?}"
    );
    assert_eq!(*leave, Some(Failure::TimedOut));
    let failed = &rig.failed_commits[0];
    assert_eq!(failed.when, AutomaticCommit::BeforeClose);
    assert_eq!(failed.offsets[0], (of_t(0), OffsetAndMetadata::new(3)));
}

#[test]
fn a_close_whose_last_commit_is_refused_leaves_and_says_so() {
    let mut rig = joined(automatic);
    rig.poll_max(3).unwrap();
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::TopicAuthorizationFailed]);
    let token = close(&mut rig);
    rig.do_due().unwrap();
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
    let Err(CommandError::Unfinished { commit, leave: None }) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies[&token])
    };
    assert!(
        matches!(commit.as_deref(), Some(CommandError::Refused { .. })),
        "{commit:?}"
    );
}

#[test]
fn a_closed_consumer_does_nothing_more() {
    let mut rig = joined(automatic);
    close(&mut rig);
    rig.do_due().unwrap();
    let served = rig.served.len();
    let token = rig.command(Command::ListTopics { timeout: SECOND });
    assert_eq!(rig.replies[&token], Err(crate::consumer::CommandError::Closed));
    rig.expire_fetches();
    rig.advance(600 * SECOND);
    assert_eq!(rig.served.len(), served);
    assert!(rig.waiting_fetch().is_none());
    assert_eq!(rig.driven.machine.next_deadline(), None);
}

#[test]
fn commands_under_way_are_answered_when_the_consumer_closes() {
    let mut rig = joined(earliest);
    rig.hold.push(ApiKey::OffsetFetch);
    let asked = rig.command(Command::Committed {
        partitions: vec![of_t(0)],
        timeout: 60 * SECOND,
    });
    close(&mut rig);
    rig.do_due().unwrap();
    assert_eq!(rig.replies[&asked], Err(crate::consumer::CommandError::Closed));
}

#[test]
fn an_abandoned_close_goes_on_and_a_second_one_joins_it() {
    let mut rig = joined(automatic);
    let first = close(&mut rig);
    rig.event(Event::Abandon { token: first });
    let second = close(&mut rig);
    rig.do_due().unwrap();
    assert!(!rig.replies.contains_key(&first));
    assert_eq!(rig.replies[&second], Ok(CommandReply::Done));
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
}

/// The report that the caller owes.
fn owed_report(rig: &Rig) -> u64 {
    let Some(Due::Report { step }) = rig.next_due() else {
        panic!("{:?}", rig.next_due());
    };
    *step
}

#[test]
fn nothing_is_committed_for_a_caller_that_is_gone() {
    let mut rig = joined(automatic);
    rig.poll_max(3).unwrap();
    // The engine knows of these records, and the application may be working on them.
    let progress = rig.delivery.report(None);
    rig.event(Event::Progress(Box::new(progress)));
    rebalance(&mut rig);
    let answers = Some(owed_report(&rig));
    rig.change(Change::Gone);
    let nothing = Progress {
        answers,
        ..Progress::default()
    };
    rig.event(Event::Progress(Box::new(nothing)));
    assert_eq!(rig.count(ApiKey::OffsetCommit), 0);
    rig.do_due().unwrap();
    assert_eq!(rig.calls[0], (CallbackKind::Revoked, vec![0, 1]));
}

#[test]
fn unsubscribing_while_a_revocation_waits_for_the_report_commits_nothing() {
    let mut rig = joined(automatic_at_ends);
    rig.poll_max(3).unwrap();
    rebalance(&mut rig);
    owed_report(&rig);
    let token = rig.command(Command::Unsubscribe { timeout: SECOND });
    rig.do_due().unwrap();
    assert_eq!(rig.count(ApiKey::OffsetCommit), 0);
    assert_eq!(rig.calls, [(CallbackKind::Revoked, vec![0, 1])]);
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
}

#[test]
fn closing_waits_for_the_commits_under_way() {
    let mut rig = joined(earliest);
    rig.hold.push(ApiKey::OffsetCommit);
    let commit = rig.command(Command::Commit {
        offsets: vec![(of_t(0), OffsetAndMetadata::new(5))],
        mode: CommitMode::Async,
    });
    let token = close(&mut rig);
    rig.do_due().unwrap();
    assert_eq!(rig.count(ApiKey::LeaveGroup), 0);
    rig.hold.clear();
    rig.serve();
    rig.do_due().unwrap();
    assert_eq!(rig.answered, [commit, token]);
    assert_eq!(rig.replies[&commit], Ok(CommandReply::Done));
    assert_eq!(rig.count(ApiKey::LeaveGroup), 1);
}
