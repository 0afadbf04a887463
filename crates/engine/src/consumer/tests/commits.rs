//! Commits: which generation they carry, what is tried again, and what the automatic commit commits.

use super::rig::*;
use crate::consumer::{
    AutomaticCommit, Command, CommandError, CommandReply, CommitMode, ConsumerConfig, Event, OffsetReset,
};
use alloc::vec;
use alloc::vec::Vec;
use kohort_groups::OffsetAndMetadata;
use kohort_machine::Token;
use kohort_protocol::{ApiKey, ErrorCode, RequestBody};

fn earliest(config: &mut ConsumerConfig) {
    config.auto_offset_reset = OffsetReset::Earliest;
}

fn automatic(config: &mut ConsumerConfig) {
    earliest(config);
    config.enable_auto_commit = true;
}

fn commit(rig: &mut Rig, offset: i64, mode: CommitMode) -> Token {
    rig.command(Command::Commit {
        offsets: vec![(of_t(0), OffsetAndMetadata::new(offset))],
        mode,
    })
}

const SYNC: CommitMode = CommitMode::Sync { timeout: SECOND };

#[test]
fn a_manual_assignment_commits_without_a_generation() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.hold.push(ApiKey::OffsetCommit);
    let token = commit(&mut rig, 5, SYNC);
    let arrived = rig.driven.expect(ApiKey::OffsetCommit);
    let RequestBody::OffsetCommit(request) = &arrived.body else {
        panic!()
    };
    assert_eq!(
        (request.generation_id_or_member_epoch, &*request.member_id),
        (-1, "")
    );
    rig.driven.network.put_back([arrived]);
    rig.hold.clear();
    rig.serve();
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(rig.committed(0), Some(5));
}

#[test]
fn a_commit_without_a_group_is_an_error() {
    let mut rig = Rig::new(earliest);
    rig.assign(&[0]);
    let token = commit(&mut rig, 5, SYNC);
    assert!(matches!(rig.replies[&token], Err(CommandError::NoGroup { .. })));
}

#[test]
fn a_commit_of_nothing_is_done_at_once() {
    let mut rig = Rig::in_group(earliest);
    let token = rig.command(Command::Commit {
        offsets: vec![],
        mode: SYNC,
    });
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(rig.count(ApiKey::OffsetCommit), 0);
}

#[test]
fn a_retriable_error_of_a_synchronous_commit_is_tried_again() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.refuse(
        ApiKey::OffsetCommit,
        &[ErrorCode::CoordinatorLoadInProgress, ErrorCode::NotCoordinator],
    );
    let token = commit(&mut rig, 5, SYNC);
    rig.advance(SECOND);
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(rig.count(ApiKey::OffsetCommit), 3);
}

#[test]
fn a_commit_is_not_tried_again_in_the_next_generation() {
    let mut rig = Rig::in_group(earliest);
    rig.subscribe();
    rig.poll().unwrap();
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::CoordinatorLoadInProgress; 7]);
    let timeout = 60 * SECOND;
    let token = commit(&mut rig, 5, CommitMode::Sync { timeout });
    while rig.count(ApiKey::OffsetCommit) < 7 {
        rig.advance(SECOND / 100);
        rig.poll().unwrap();
    }
    // The eighth attempt is as far away as `retry.backoff.max.ms`.
    let generation = rig.generation;
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::RebalanceInProgress]);
    while rig.generation == generation {
        rig.advance(SECOND / 100);
        rig.poll().unwrap();
    }
    assert_eq!(rig.replies.get(&token), None);
    rig.advance(2 * SECOND);
    assert_eq!(rig.replies[&token], Err(CommandError::RebalanceInProgress));
    assert_eq!(
        (rig.count(ApiKey::OffsetCommit), rig.committed(0)),
        (7, None),
        "the partition may be another member's"
    );
}

#[test]
fn a_retriable_error_is_tried_again_until_the_time_out_and_then_told() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::CoordinatorLoadInProgress; 50]);
    let token = commit(&mut rig, 5, SYNC);
    rig.advance(SECOND);
    let Err(error @ CommandError::TimedOut { last: Some(_), .. }) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies);
    };
    assert!(error.is_retriable());
    let tries = rig.count(ApiKey::OffsetCommit);
    rig.advance(SECOND);
    assert_eq!(
        rig.count(ApiKey::OffsetCommit),
        tries,
        "it is not tried after its answer"
    );
}

#[test]
fn an_asynchronous_commit_is_not_tried_again() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::CoordinatorLoadInProgress]);
    let token = commit(&mut rig, 5, CommitMode::Async);
    let error = rig.replies[&token].clone().unwrap_err();
    assert!(error.is_retriable(), "{error}");
    rig.advance(SECOND);
    assert_eq!(rig.count(ApiKey::OffsetCommit), 1);
}

#[test]
fn asynchronous_commits_are_answered_in_their_order() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.hold.push(ApiKey::OffsetCommit);
    let first = commit(&mut rig, 5, CommitMode::Async);
    let second = rig.command(Command::Commit {
        offsets: vec![],
        mode: CommitMode::Async,
    });
    assert!(
        rig.replies.is_empty(),
        "the second one has nothing to wait for but the first"
    );
    rig.hold.clear();
    rig.serve();
    assert_eq!(rig.answered, [first, second]);
}

#[test]
fn a_member_of_an_older_generation_is_told_that_the_group_went_on() {
    for code in [ErrorCode::IllegalGeneration, ErrorCode::UnknownMemberId] {
        let mut rig = Rig::in_group(earliest);
        rig.subscribe();
        rig.poll().unwrap();
        rig.refuse(ApiKey::OffsetCommit, &[code]);
        let token = commit(&mut rig, 5, SYNC);
        assert_eq!(rig.replies[&token], Err(CommandError::CommitRefused { code }));
    }
}

#[test]
fn a_member_that_was_fenced_is_told_so_when_it_commits() {
    let mut rig = Rig::in_group(|config| {
        earliest(config);
        config.group.as_mut().unwrap().group_instance_id = Some("i".into());
    });
    rig.subscribe();
    rig.poll().unwrap();
    rig.refuse(ApiKey::Heartbeat, &[ErrorCode::FencedInstanceId]);
    rig.advance(4 * SECOND);
    let token = commit(&mut rig, 5, SYNC);
    assert_eq!(rig.replies[&token], Err(CommandError::FencedInstanceId));
}

#[test]
fn a_member_commits_with_its_generation() {
    let mut rig = Rig::in_group(earliest);
    rig.subscribe();
    rig.poll().unwrap();
    rig.hold.push(ApiKey::OffsetCommit);
    commit(&mut rig, 5, SYNC);
    let arrived = rig.driven.expect(ApiKey::OffsetCommit);
    let RequestBody::OffsetCommit(request) = &arrived.body else {
        panic!()
    };
    assert_eq!(
        (request.generation_id_or_member_epoch, &*request.member_id),
        (1, "m")
    );
}

#[test]
fn while_the_group_rebalances_a_commit_is_refused_at_once() {
    let mut rig = Rig::in_group(earliest);
    rig.hold.push(ApiKey::JoinGroup);
    rig.subscribe();
    let token = commit(&mut rig, 5, SYNC);
    assert_eq!(rig.replies[&token], Err(CommandError::RebalanceInProgress));
    assert_eq!(rig.count(ApiKey::OffsetCommit), 0);
}

#[test]
fn a_refusal_for_one_partition_names_it() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::OffsetMetadataTooLarge]);
    let token = commit(&mut rig, 5, SYNC);
    let Err(CommandError::Refused { partition, code, .. }) = &rig.replies[&token] else {
        panic!("{:?}", rig.replies);
    };
    assert_eq!(
        (partition.as_ref(), *code),
        (Some(&of_t(0)), ErrorCode::OffsetMetadataTooLarge)
    );
}

#[test]
fn an_abandoned_commit_is_not_tried_again() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::CoordinatorLoadInProgress]);
    let token = commit(&mut rig, 5, SYNC);
    rig.event(Event::Abandon { token });
    rig.advance(SECOND);
    assert_eq!(rig.count(ApiKey::OffsetCommit), 1);
    assert!(rig.replies.is_empty());
}

#[test]
fn an_automatic_commit_has_what_earlier_polls_handed_out() {
    let mut rig = Rig::in_group(automatic);
    rig.assign(&[0]);
    assert_eq!(rig.poll_max(4).unwrap(), records(0, 0, 4));
    rig.advance(6 * SECOND);
    assert_eq!(
        rig.committed(0),
        None,
        "not before the next poll says that these are done"
    );
    assert_eq!(rig.poll_max(3).unwrap(), records(0, 4, 7));
    assert_eq!(rig.committed(0), Some(4));
    rig.advance(6 * SECOND);
    rig.poll_max(1).unwrap();
    assert_eq!(rig.committed(0), Some(7));
}

/// A member that commits automatically, and polls every ms for so long; the times of its requests in ms.
fn times_of(api: ApiKey, ms: u64, configure: impl FnOnce(&mut ConsumerConfig)) -> Vec<u64> {
    let mut rig = Rig::in_group(|config| {
        automatic(config);
        configure(config);
    });
    rig.subscribe();
    rig.poll_max(1).unwrap();
    let end = rig.driven.now().as_millis() + ms;
    let (mut times, mut count) = (Vec::new(), rig.count(api));
    while rig.driven.now().as_millis() < end {
        rig.advance(SECOND / 1000);
        rig.poll_max(1).unwrap();
        let more = rig.count(api) - count;
        times.extend(core::iter::repeat_n(rig.driven.now().as_millis(), more));
        count += more;
    }
    times
}

// Kafka: a commit makes the coordinator count the member's session anew, as a heartbeat does
#[test]
fn a_members_automatic_commits_go_with_the_last_heartbeat_of_the_interval() {
    for (interval, session, most) in [(3, 45, 14), (3, 6, 13), (1, 10, 9)] {
        let times = |api| {
            times_of(api, 40_000, |config| {
                if let Some(group) = &mut config.group {
                    group.heartbeat_interval = interval * SECOND;
                    group.session_timeout = session * SECOND;
                }
            })
        };
        let (commits, heartbeats) = (times(ApiKey::OffsetCommit), times(ApiKey::Heartbeat));
        assert!((8..=most).contains(&commits.len()), "{commits:?}");
        for commit in commits {
            let nearest = heartbeats.iter().map(|beat| beat.abs_diff(commit)).min();
            assert!(nearest <= Some(2), "{commit}: {heartbeats:?}");
        }
    }
}

#[test]
fn automatic_commits_are_never_further_apart_than_their_interval_nor_many_more() {
    for interval in [5, 50, 400, 2_900, 3_000, 5_000, 5_900, 6_000, 20_000] {
        let commits = times_of(ApiKey::OffsetCommit, 60_000, |config| {
            config.auto_commit_interval = SECOND / 1000 * interval;
        });
        let interval = u64::from(interval);
        for pair in commits.windows(2) {
            assert!(pair[1] - pair[0] <= interval + 2, "{interval}: {commits:?}");
        }
        let count = u64::try_from(commits.len()).expect("few");
        assert!(count >= 60_000 / (interval + 2) - 1, "{interval}: {commits:?}");
        assert!(count <= 2 * (60_000 / interval) + 2, "{interval}: {commits:?}");
    }
}

#[test]
fn without_a_member_the_interval_of_automatic_commits_is_the_interval() {
    let mut rig = Rig::in_group(automatic);
    rig.assign(&[0]);
    rig.poll_max(1).unwrap();
    rig.advance(5 * SECOND - SECOND / 1000);
    rig.poll_max(1).unwrap();
    assert_eq!(rig.count(ApiKey::OffsetCommit), 0);
    rig.advance(SECOND / 1000);
    rig.poll_max(1).unwrap();
    assert_eq!(rig.count(ApiKey::OffsetCommit), 1);
}

#[test]
fn a_failed_automatic_commit_does_not_put_off_the_next_one_for_longer_than_the_interval() {
    let mut rig = Rig::in_group(|config| {
        automatic(config);
        config.auto_commit_interval = SECOND;
        config.client.retry_backoff = 30 * SECOND;
        config.client.retry_backoff_max = 30 * SECOND;
    });
    rig.assign(&[0]);
    rig.poll_max(4).unwrap();
    rig.advance(SECOND);
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::CoordinatorLoadInProgress]);
    rig.poll_max(1).unwrap();
    rig.advance(SECOND);
    rig.poll_max(1).unwrap();
    assert_eq!(rig.count(ApiKey::OffsetCommit), 2);
}

#[test]
fn an_automatic_commit_that_failed_is_tried_again_soon() {
    let mut rig = Rig::in_group(automatic);
    rig.assign(&[0]);
    rig.poll_max(4).unwrap();
    rig.advance(5 * SECOND);
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::CoordinatorLoadInProgress]);
    rig.poll_max(1).unwrap();
    assert_eq!(rig.committed(0), None);
    rig.advance(SECOND);
    rig.poll_max(1).unwrap();
    assert_eq!(rig.committed(0), Some(5));
}

#[test]
fn automatic_commits_that_fail_are_told_with_their_offsets_and_whether_the_one_before_failed() {
    let mut rig = Rig::in_group(automatic);
    rig.assign(&[0]);
    rig.poll_max(4).unwrap();
    rig.refuse(ApiKey::OffsetCommit, &[ErrorCode::CoordinatorLoadInProgress; 2]);
    rig.advance(5 * SECOND);
    rig.poll_max(1).unwrap();
    rig.advance(SECOND);
    rig.poll_max(1).unwrap();
    let told: Vec<_> = rig
        .failed_commits
        .iter()
        .map(|it| (it.when, it.is_repeated))
        .collect();
    assert_eq!(
        told,
        [
            (AutomaticCommit::Interval, false),
            (AutomaticCommit::Interval, true)
        ]
    );
    assert_eq!(
        rig.failed_commits[0].offsets,
        [(of_t(0), OffsetAndMetadata::new(4))]
    );
    rig.advance(SECOND);
    rig.poll_max(1).unwrap();
    assert_eq!(rig.failed_commits.len(), 2);
}

#[test]
fn without_a_group_nothing_is_committed_automatically() {
    let mut rig = Rig::new(automatic);
    rig.assign(&[0]);
    rig.poll_all();
    rig.advance(10 * SECOND);
    rig.poll_all();
    assert_eq!(rig.count(ApiKey::OffsetCommit), 0);
}

#[test]
fn an_abandoned_asynchronous_commit_does_not_hold_up_the_results_of_later_ones() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.hold.push(ApiKey::OffsetCommit);
    let first = commit(&mut rig, 5, CommitMode::Async);
    let second = rig.command(Command::Commit {
        offsets: vec![],
        mode: CommitMode::Async,
    });
    rig.event(Event::Abandon { token: first });
    assert_eq!(rig.answered, [second]);
}

// Kafka: ConsumerCoordinator.commitOffsetsSync (invokePendingAsyncCommits)
#[test]
fn a_synchronous_commit_of_nothing_waits_for_the_asynchronous_ones_before_it() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.hold.push(ApiKey::OffsetCommit);
    let asynchronous = commit(&mut rig, 5, CommitMode::Async);
    let empty = rig.command(Command::Commit {
        offsets: vec![],
        mode: SYNC,
    });
    assert!(rig.replies.is_empty());
    rig.hold.clear();
    rig.serve();
    assert_eq!(rig.answered, [asynchronous, empty]);
    assert_eq!(rig.replies[&empty], Ok(CommandReply::Done));
}

#[test]
fn a_synchronous_commit_of_nothing_waits_no_longer_than_its_time() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.hold.push(ApiKey::OffsetCommit);
    commit(&mut rig, 5, CommitMode::Async);
    let empty = rig.command(Command::Commit {
        offsets: vec![],
        mode: SYNC,
    });
    rig.advance(SECOND);
    assert!(matches!(rig.replies[&empty], Err(CommandError::TimedOut { .. })));
}

#[test]
fn a_close_that_gives_up_answers_every_asynchronous_commit_in_order() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.hold.push(ApiKey::OffsetCommit);
    let first = commit(&mut rig, 5, CommitMode::Async);
    // It has its result, and waits for the first one's.
    let second = rig.command(Command::Commit {
        offsets: vec![],
        mode: CommitMode::Async,
    });
    let close = rig.command(Command::Close {
        timeout: SECOND,
        leave: crate::consumer::LeaveGroup::Default,
    });
    rig.advance(SECOND);
    assert_eq!(rig.answered, [first, second, close]);
    assert_eq!(rig.replies[&first], Err(CommandError::Closed));
    assert_eq!(rig.replies[&second], Ok(CommandReply::Done));
}

#[test]
fn metadata_and_leader_epoch_of_a_commit_are_sent_as_given() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.hold.push(ApiKey::OffsetCommit);
    let offset = OffsetAndMetadata {
        metadata: "from the test".into(),
        leader_epoch: Some(3),
        ..OffsetAndMetadata::new(5)
    };
    rig.command(Command::Commit {
        offsets: vec![(of_t(0), offset)],
        mode: SYNC,
    });
    let arrived = rig.driven.expect(ApiKey::OffsetCommit);
    let RequestBody::OffsetCommit(request) = &arrived.body else {
        panic!()
    };
    let sent = &request.topics[0].partitions[0];
    assert_eq!(
        (
            sent.committed_offset,
            sent.committed_leader_epoch,
            sent.committed_metadata.as_deref()
        ),
        (5, 3, Some("from the test"))
    );
}

// Kafka: ConsumerCoordinatorTest.testCommitOffsetSyncCallbackWithNonRetriableException and its like
#[test]
fn errors_that_trying_again_does_not_help_end_a_synchronous_commit_at_once() {
    for code in [
        ErrorCode::OffsetMetadataTooLarge,
        ErrorCode::InvalidCommitOffsetSize,
        ErrorCode::GroupAuthorizationFailed,
        ErrorCode::TopicAuthorizationFailed,
        ErrorCode::FencedInstanceId,
        ErrorCode::RebalanceInProgress,
        ErrorCode::UnknownServerError,
    ] {
        let mut rig = Rig::in_group(earliest);
        rig.assign(&[0]);
        rig.refuse(ApiKey::OffsetCommit, &[code]);
        let token = commit(&mut rig, 5, SYNC);
        assert!(rig.replies[&token].is_err(), "{code}");
        rig.advance(SECOND);
        assert_eq!(rig.count(ApiKey::OffsetCommit), 1, "{code}");
        assert_eq!(rig.committed(0), None, "{code}");
    }
}

// Kafka: ConsumerCoordinator.OffsetCommitResponseHandler
#[test]
fn errors_of_the_moment_are_tried_again_by_a_synchronous_commit() {
    for code in [
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
        ErrorCode::RequestTimedOut,
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::UnknownTopicOrPartition,
    ] {
        let mut rig = Rig::in_group(earliest);
        rig.assign(&[0]);
        rig.refuse(ApiKey::OffsetCommit, &[code]);
        let token = commit(&mut rig, 5, SYNC);
        rig.advance(SECOND);
        assert_eq!(rig.replies[&token], Ok(CommandReply::Done), "{code}");
        assert_eq!(rig.committed(0), Some(5), "{code}");
    }
}

#[test]
fn a_synchronous_commit_whose_connection_breaks_is_sent_again() {
    let mut rig = Rig::in_group(earliest);
    rig.assign(&[0]);
    rig.hold.push(ApiKey::OffsetCommit);
    let token = commit(&mut rig, 5, SYNC);
    let arrived = rig.driven.expect(ApiKey::OffsetCommit);
    rig.hold.clear();
    rig.driven.network.cut(arrived.link);
    rig.advance(SECOND);
    assert_eq!(rig.replies[&token], Ok(CommandReply::Done));
    assert_eq!(rig.committed(0), Some(5));
}
