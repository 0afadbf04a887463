//! What waits while an append is open, and what does not.

use super::*;

#[test]
fn commits_that_wait_share_the_next_append() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    let before = kit.appends;
    kit.hold = true;
    let tokens: Vec<_> = (0..5)
        .map(|offset| kit.send(GroupRequest::CommitOffsets(commit(&ids[0], generation, offset))))
        .collect();
    assert_eq!(kit.appends, before + 1);
    kit.release();
    assert_eq!(kit.appends, before + 2);
    for token in tokens {
        assert_eq!(kit.take_commit(token), Ok(()));
    }
    assert_eq!(kit.committed("topic", 0), Some(4));
}

#[test]
fn requests_that_wait_are_done_in_the_order_they_came() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    kit.hold = true;
    let first = kit.send(GroupRequest::CommitOffsets(commit(&ids[0], generation, 1)));
    let group_id = GROUP.into();
    let members = vec![leaving(&ids[0], None)];
    let leave = kit.send(GroupRequest::Leave(LeaveRequest { group_id, members }));
    let second = kit.send(GroupRequest::CommitOffsets(commit(&ids[0], generation, 2)));
    assert!(kit.waits(leave) && kit.waits(second));
    kit.release();
    assert_eq!(kit.take_commit(first), Ok(()));
    assert_eq!(kit.take_commit(second), Err(Refusal::UnknownMemberId));
    assert_eq!(kit.committed("topic", 0), Some(1));
}

#[test]
fn a_full_inbox_answers_coordinator_not_available() {
    let mut kit = Kit::with(CoordinatorConfig {
        inbox_limit: 2,
        ..CoordinatorConfig::default()
    });
    kit.hold = true;
    let tokens: Vec<_> = (0..4)
        .map(|offset| kit.send(GroupRequest::CommitOffsets(commit("", -1, offset))))
        .collect();
    assert_eq!(kit.take_commit(tokens[3]), Err(Refusal::NotAvailable));
    kit.release();
    for token in &tokens[..3] {
        assert_eq!(kit.take_commit(*token), Ok(()));
    }
}

#[test]
fn a_session_that_ends_while_an_append_is_open_waits_and_is_saved_by_a_heartbeat() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    kit.hold = true;
    let token = kit.send(GroupRequest::CommitOffsets(commit(&ids[0], generation, 1)));
    kit.advance(10_000);
    assert_eq!(kit.state(), "Stable");
    assert_eq!(kit.heartbeat(&ids[1], generation), Ok(()));
    assert_eq!(kit.heartbeat(&ids[0], generation), Ok(()));
    kit.release();
    assert_eq!(kit.take_commit(token), Ok(()));
    assert_eq!(kit.state(), "Stable");
}

#[test]
fn a_session_that_ends_while_an_append_is_open_ends_after_it() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    kit.hold = true;
    kit.send(GroupRequest::CommitOffsets(commit(&ids[0], generation, 1)));
    kit.advance(10_000);
    assert_eq!(kit.heartbeat(&ids[0], generation), Ok(()));
    kit.release();
    let member = who(&ids[1]);
    assert_eq!(kit.cause(), Some(&RebalanceCause::SessionExpired { member }));
}

#[test]
fn an_append_of_one_group_does_not_hold_up_another() {
    let mut kit = Kit::new();
    kit.hold = true;
    let held = kit.send(GroupRequest::CommitOffsets(commit("", -1, 1)));
    let mut other = commit("", -1, 2);
    other.group_id = "other".into();
    kit.hold = false;
    let token = kit.send(GroupRequest::CommitOffsets(other));
    assert_eq!(kit.take_commit(token), Ok(()));
    assert!(kit.waits(held));
    kit.release();
    assert_eq!(kit.take_commit(held), Ok(()));
}

#[test]
fn what_waits_when_a_partition_is_unloaded_is_answered_not_coordinator() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    let join = kit.join(rejoin(&ids[0]));
    kit.hold = true;
    let commit_open = kit.send(GroupRequest::CommitOffsets(commit(&ids[1], generation, 1)));
    let commit_waiting = kit.send(GroupRequest::CommitOffsets(commit(&ids[1], generation, 2)));
    kit.step(Event::Unload {
        partition: partition_for(GROUP, 50),
    });
    assert_eq!(kit.take_join_refusal(join), Refusal::NotCoordinator);
    assert_eq!(kit.take_commit(commit_open), Err(Refusal::NotCoordinator));
    assert_eq!(kit.take_commit(commit_waiting), Err(Refusal::NotCoordinator));
    assert_eq!(kit.harness.machine().group_count(), 0);
    // The append ends for nobody.
    kit.release();
    assert_eq!(kit.heartbeat(&ids[0], generation), Err(Refusal::NotCoordinator));
}

#[test]
fn an_append_that_outlives_its_group_does_not_end_one_of_the_group_loaded_again() {
    let mut kit = Kit::new();
    let partition = partition_for(GROUP, 50);
    kit.hold = true;
    let lost = kit.send(GroupRequest::CommitOffsets(commit("", -1, 1)));
    kit.step(Event::Unload { partition });
    assert_eq!(kit.take_commit(lost), Err(Refusal::NotCoordinator));
    let wall_ms = kit.wall_ms();
    kit.step(Event::Loaded { partition, wall_ms });
    let token = kit.send(GroupRequest::CommitOffsets(commit("", -1, 2)));
    let (old, ..) = kit.held.remove(0);
    kit.step(Event::Appended {
        token: old,
        result: Ok(()),
    });
    assert!(kit.waits(token));
    kit.release();
    assert_eq!(kit.take_commit(token), Ok(()));
}

#[test]
fn commits_that_are_large_together_are_not_appended_together() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    let before = kit.appends;
    kit.hold = true;
    // 50 partitions of 4,000 bytes each: two of them would be more than 256 KiB.
    let large = |offset| {
        let mut request = commit(&ids[0], generation, offset);
        let partition = |partition| CommittedPartition {
            partition,
            offset: OffsetAndMetadata {
                metadata: "x".repeat(4_000),
                ..OffsetAndMetadata::new(offset)
            },
        };
        request.topics[0].partitions = (0..50).map(partition).collect();
        GroupRequest::CommitOffsets(request)
    };
    let tokens: Vec<_> = (0..4).map(|offset| kit.send(large(offset))).collect();
    kit.release();
    assert_eq!(kit.appends, before + 4);
    for token in tokens {
        assert_eq!(kit.take_commit(token), Ok(()));
    }
    assert_eq!(kit.committed("topic", 49), Some(3));
}

#[test]
fn the_offsets_of_a_deleted_topic_go_although_the_inbox_is_full() {
    let mut kit = Kit::with(CoordinatorConfig {
        inbox_limit: 1,
        ..CoordinatorConfig::default()
    });
    kit.hold = true;
    let tokens = [1, 2].map(|offset| kit.send(GroupRequest::CommitOffsets(commit("", -1, offset))));
    kit.step(Event::TopicsDeleted {
        topics: vec![("topic".into(), TopicId([7; 16]))],
    });
    kit.release();
    assert_eq!(tokens.map(|token| kit.take_commit(token)), [Ok(()), Ok(())]);
    assert_eq!(kit.committed("topic", 0), None);
}
