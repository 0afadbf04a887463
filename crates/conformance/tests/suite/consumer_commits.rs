//! Commits that are asked for: what they write, in which order they report, when they are refused.

use kohort::consumer::{CommitError, PollError};
use kohort::{ErrorCode, OffsetAndMetadata, TopicPartition};
use kohort_conformance::unique;
use kohort_protocol::messages::{LeaveGroupRequest, leave_group::MemberIdentity};

use crate::broker_groups::describe;
use crate::consumer_setup::{
    A_MOMENT, Diary, SOON, assigned, built, committed, delete_topic, member, new_topic, of_group, offsets,
    partitions, read, settle, soon, write,
};
use crate::setup::wire;

// Kafka: PlaintextConsumerAssignTest.testClassicAssignAndCommitSyncAllConsumed
#[tokio::test]
async fn commit_sync_writes_the_offset_after_the_last_record_returned() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..10).await;
    let mut reader = assigned(of_group(&group).max_poll_records(4), &topic, 0..1);
    let records = read(&mut reader, 4).await;
    assert_eq!(records.len(), 4);
    reader.commit_sync().await.expect("a commit");
    assert_eq!(
        committed(&group, &topic, 0).await,
        Some(4),
        "what is buffered is not committed"
    );
    read(&mut reader, 6).await;
    reader.commit_sync().await.expect("a commit");
    assert_eq!(committed(&group, &topic, 0).await, Some(10));
}

// Kafka: PlaintextConsumerAssignTest.testClassicAssignAndCommitSyncNotCommitted
// and testClassicAssignAndCommitAsyncNotCommitted
#[tokio::test]
async fn a_commit_before_there_is_a_position_succeeds_and_writes_nothing() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut reader = assigned(of_group(&group), &topic, 0..1);
    reader.commit_sync().await.expect("nothing to do");
    assert_eq!(committed(&group, &topic, 0).await, None);
    let diary = Diary::default();
    let note = diary.clone();
    reader.commit_async_with(move |offsets, result| note.write(format!("{offsets:?} {result:?}")));
    soon("closing", reader.close(SOON)).await.expect("it closes");
    assert_eq!(diary.lines(), ["[] Ok(())"]);
    assert_eq!(committed(&group, &topic, 0).await, None);
}

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerAsyncCommit
#[tokio::test]
async fn callbacks_of_asynchronous_commits_run_in_order_and_the_last_commit_stays() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut reader = assigned(of_group(&group), &topic, 0..1);
    let diary = Diary::default();
    for offset in 1..=5 {
        let note = diary.clone();
        let offsets = [(TopicPartition::new(&*topic, 0), OffsetAndMetadata::new(offset))];
        reader.commit_async_offsets(offsets, move |offsets, result| {
            note.write(format!("{} {}", offsets[0].1.offset, result.is_ok()));
        });
    }
    let polling = async {
        while diary.lines().len() < 5 {
            reader
                .poll(crate::consumer_setup::A_MOMENT)
                .await
                .expect("no error");
        }
    };
    soon("the callbacks", polling).await;
    assert_eq!(diary.lines(), ["1 true", "2 true", "3 true", "4 true", "5 true"]);
    assert_eq!(committed(&group, &topic, 0).await, Some(5));
}

// Kafka: PlaintextConsumerCommitTest.testCommitAsyncCompletedBeforeCommitSyncReturns
#[tokio::test]
async fn the_callback_of_an_earlier_asynchronous_commit_runs_before_commit_sync_returns() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..3).await;
    let mut reader = assigned(of_group(&group), &topic, 0..1);
    read(&mut reader, 3).await;
    let diary = Diary::default();
    let note = diary.clone();
    reader.commit_async_with(move |_, result| note.write(format!("async {}", result.is_ok())));
    reader.commit_sync().await.expect("a commit");
    assert_eq!(diary.lines(), ["async true"]);
}

// Kafka: PlaintextConsumerCommitTest.testCommitAsyncCompletedBeforeConsumerCloses
#[tokio::test]
async fn callbacks_of_asynchronous_commits_run_before_close_returns() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..3).await;
    let mut reader = assigned(of_group(&group), &topic, 0..1);
    read(&mut reader, 3).await;
    let diary = Diary::default();
    let note = diary.clone();
    reader.commit_async_with(move |_, result| note.write(format!("async {}", result.is_ok())));
    soon("closing", reader.close(SOON)).await.expect("it closes");
    assert_eq!(diary.lines(), ["async true"]);
    assert_eq!(committed(&group, &topic, 0).await, Some(3));
}

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerCommitSpecifiedOffsets
#[tokio::test]
async fn committing_given_offsets_moves_no_position_and_touches_no_other_partition() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    write(&topic, 0, 0..10).await;
    let mut reader = assigned(of_group(&group), &topic, 0..2);
    let records = read(&mut reader, 10).await;
    // In the middle of what one poll returned: the third record is processed.
    reader
        .commit_sync_offsets([records[2].next_offset()])
        .await
        .expect("a commit");
    assert_eq!(committed(&group, &topic, 0).await, Some(3));
    assert_eq!(committed(&group, &topic, 1).await, None);
    assert_eq!(reader.position(&TopicPartition::new(&*topic, 0)).await, Ok(10));
}

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerCommitMetadata
#[tokio::test]
async fn a_commit_keeps_its_note_and_its_leader_epoch() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut reader = assigned(of_group(&group), &topic, 0..1);
    let partition = TopicPartition::new(&*topic, 0);
    let noted = OffsetAndMetadata {
        offset: 10,
        leader_epoch: Some(1),
        metadata: "foo".to_owned(),
    };
    for commit in [noted, OffsetAndMetadata::new(20)] {
        reader
            .commit_sync_offsets([(partition.clone(), commit.clone())])
            .await
            .expect("a commit");
        let committed = reader.committed([partition.clone()]).await.expect("an answer");
        assert_eq!(committed[&partition], Some(commit));
    }
}

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerNoCommittedOffsets
#[tokio::test]
async fn committed_has_an_entry_for_each_partition_asked_for_even_without_a_commit() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    let mut reader = assigned(of_group(&group), &topic, 0..2);
    let asked = partitions(&topic, 0..3);
    reader
        .commit_sync_offsets([(asked[1].clone(), OffsetAndMetadata::new(7))])
        .await
        .expect("a commit");
    let committed = reader.committed(asked.clone()).await.expect("an answer");
    assert_eq!(committed.len(), 3);
    assert_eq!(committed[&asked[0]], None);
    assert_eq!(committed[&asked[1]].as_ref().map(|c| c.offset), Some(7));
    assert_eq!(committed[&asked[2]], None, "there is no such partition");
}

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerPositionAndCommit
#[tokio::test]
async fn position_and_commit_agree_and_the_next_of_the_group_begins_there() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..5).await;
    let partition = TopicPartition::new(&*topic, 0);
    let mut reader = assigned(of_group(&group), &topic, 0..1);
    assert_eq!(reader.position(&partition).await, Ok(0));
    read(&mut reader, 5).await;
    assert_eq!(reader.position(&partition).await, Ok(5));
    reader.commit_sync().await.expect("a commit");
    soon("closing", reader.close(SOON)).await.expect("it closes");
    write(&topic, 0, 5..7).await;
    let mut next = member(&group, &topic);
    assert_eq!(offsets(&read(&mut next, 2).await), [5, 6]);
}

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerSubscribeAndCommitSync
#[tokio::test]
async fn a_member_may_commit_right_after_it_was_assigned() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut members = [member(&group, &topic)];
    settle(&mut members, |shares| shares[0] == [0]).await;
    members[0]
        .seek(&TopicPartition::new(&*topic, 0), 0)
        .expect("assigned");
    members[0].commit_sync().await.expect("a commit of a member");
    assert_eq!(committed(&group, &topic, 0).await, Some(0));
}

/// Makes the broker forget the only member of a group.
async fn evict_the_member(group: &str) {
    let described = describe(group, 5).await;
    let identity = MemberIdentity {
        member_id: described.members[0].member_id.clone(),
        ..MemberIdentity::default()
    };
    let request = LeaveGroupRequest {
        group_id: group.to_owned(),
        members: vec![identity],
        ..LeaveGroupRequest::default()
    };
    assert_eq!(wire().await.call(5, request).await.members[0].error_code, 0);
}

// Kafka: ConsumerCoordinator.OffsetCommitResponseHandler: CommitFailedException
#[tokio::test]
async fn the_commit_of_a_member_that_was_removed_is_refused_and_polling_joins_again() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..3).await;
    let diary = Diary::default();
    let mut reader = built(of_group(&group));
    reader
        .subscribe_with([&*topic], diary.listener("it"))
        .expect("a topic");
    read(&mut reader, 3).await;
    evict_the_member(&group).await;
    let refused = reader.commit_sync().await;
    assert!(
        matches!(refused, Err(CommitError::CommitFailed { .. })),
        "{refused:?}"
    );
    assert_eq!(committed(&group, &topic, 0).await, None);
    assert_eq!(
        offsets(&read(&mut reader, 3).await),
        [0, 1, 2],
        "read again, by the new member"
    );
    assert_eq!(
        diary.lines(),
        ["it assigned [0]", "it lost [0]", "it assigned [0]"]
    );
    reader.commit_sync().await.expect("a commit of the new member");
    assert_eq!(committed(&group, &topic, 0).await, Some(3));
}

// Kafka: ClassicGroup.validateOffsetCommit: without a generation only while the group is empty
#[tokio::test]
async fn a_standalone_consumer_may_not_commit_into_a_group_that_has_members() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut members = [member(&group, &topic)];
    settle(&mut members, |shares| shares[0] == [0]).await;
    let mut outsider = assigned(of_group(&group), &topic, 0..1);
    let offsets = [(TopicPartition::new(&*topic, 0), OffsetAndMetadata::new(1))];
    let refused = outsider.commit_sync_offsets(offsets.clone()).await;
    assert_eq!(
        refused,
        Err(CommitError::CommitFailed {
            code: ErrorCode::UnknownMemberId
        })
    );
    let [member] = members;
    soon("closing", member.close(SOON)).await.expect("it leaves");
    outsider
        .commit_sync_offsets(offsets)
        .await
        .expect("the group is empty");
}

// Kafka: OffsetMetadataManager: offset.metadata.max.bytes
#[tokio::test]
async fn a_note_that_is_too_long_is_refused_for_its_partition() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut reader = assigned(of_group(&group), &topic, 0..1);
    let partition = TopicPartition::new(&*topic, 0);
    let long = OffsetAndMetadata {
        metadata: "x".repeat(4_097),
        ..OffsetAndMetadata::new(1)
    };
    let refused = reader.commit_sync_offsets([(partition.clone(), long)]).await;
    assert_eq!(
        refused,
        Err(CommitError::Refused {
            partition: Some(partition),
            code: ErrorCode::OffsetMetadataTooLarge
        })
    );
}

// Kafka: ConsumerCoordinator.commitOffsetsSync: retriable errors until default.api.timeout.ms
#[tokio::test]
async fn a_commit_for_a_topic_that_is_not_there_is_retried_until_default_api_timeout_ms() {
    let settings = of_group(&unique("group"))
        .default_api_timeout_ms(700)
        .request_timeout_ms(600);
    let mut reader = built(settings);
    let missing = TopicPartition::new(unique("missing"), 0);
    let began = std::time::Instant::now();
    let refused = reader
        .commit_sync_offsets([(missing, OffsetAndMetadata::new(1))])
        .await;
    let Err(CommitError::TimedOut { last: Some(last), .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        matches!(
            *last,
            CommitError::Refused {
                code: ErrorCode::UnknownTopicOrPartition,
                ..
            }
        ),
        "{last:?}"
    );
    assert!(began.elapsed() >= std::time::Duration::from_millis(700));
}

// Kafka: PlaintextConsumerTest.testClassicConsumerNullGroupIdNotSupportedIfCommitting
#[tokio::test]
async fn committing_without_a_group_is_a_typed_error() {
    let topic = new_topic(1).await;
    write(&topic, 0, 0..1).await;
    let mut reader = crate::consumer_setup::standalone(&topic, 0..1);
    read(&mut reader, 1).await;
    assert_eq!(reader.commit_sync().await, Err(CommitError::NoGroup));
    assert!(reader.committed(partitions(&topic, 0..1)).await.is_err());
    assert!(matches!(
        reader.poll(std::time::Duration::ZERO).await,
        Ok(_) | Err(PollError::Wakeup)
    ));
}

// Kafka: PlaintextConsumerCommitTest.testClassicConsumerCommittedDeletedTopic
#[tokio::test]
async fn the_commit_of_a_topic_that_was_deleted_is_none_without_an_error() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    write(&topic, 0, 0..3).await;
    let mut reader = assigned(of_group(&group), &topic, 0..1);
    read(&mut reader, 3).await;
    reader.commit_sync().await.expect("a commit");
    let partition = TopicPartition::new(&*topic, 0);
    delete_topic(&topic).await;
    let asking = async {
        loop {
            let committed = reader.committed([partition.clone()]).await.expect("no error");
            if committed[&partition].is_none() {
                return;
            }
            tokio::time::sleep(A_MOMENT).await;
        }
    };
    soon("no commit", asking).await;
}
