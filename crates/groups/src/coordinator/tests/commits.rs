//! OffsetCommit and OffsetFetch.

use super::*;

#[test]
fn a_member_of_a_stable_group_commits_and_reads_back() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    assert_eq!(kit.committed("topic", 0), None);
    assert_eq!(kit.commit(&ids[0], generation, 5), Ok(()));
    assert_eq!(kit.committed("topic", 0), Some(5));
}

#[test]
fn a_commit_is_answered_and_seen_only_once_it_is_stored() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    kit.hold = true;
    let token = kit.send(GroupRequest::CommitOffsets(commit(&ids[0], generation, 5)));
    assert!(kit.waits(token));
    kit.fail(AppendFailure::Unavailable);
    assert_eq!(kit.take_commit(token), Err(Refusal::NotAvailable));
    assert_eq!(kit.committed("topic", 0), None);
}

#[test]
fn a_commit_without_generation_is_accepted_only_while_the_group_is_empty() {
    let mut kit = Kit::new();
    assert_eq!(kit.commit("", -1, 5), Ok(()));
    assert_eq!(kit.state(), "Empty");
    kit.stable(1);
    assert_eq!(kit.commit("", -1, 6), Err(Refusal::UnknownMemberId));
    assert_eq!(kit.committed("topic", 0), Some(5));
}

#[test]
fn a_commit_of_a_wrong_member_or_a_wrong_generation_is_refused() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    assert_eq!(
        kit.commit("stranger", generation, 5),
        Err(Refusal::UnknownMemberId)
    );
    assert_eq!(
        kit.commit(&ids[0], generation - 1, 5),
        Err(Refusal::IllegalGeneration)
    );
    assert_eq!(
        kit.commit(&ids[0], generation + 1, 5),
        Err(Refusal::IllegalGeneration)
    );
    assert_eq!(kit.commit(&ids[0], -1, 5), Err(Refusal::IllegalGeneration));
}

#[test]
fn a_commit_before_the_assignment_is_told_to_rejoin() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(1);
    assert_eq!(
        kit.commit(&ids[0], generation, 5),
        Err(Refusal::RebalanceInProgress)
    );
}

#[test]
fn a_commit_while_the_group_prepares_is_accepted() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    kit.join(rejoin(&ids[0]));
    assert_eq!(kit.commit(&ids[1], generation, 5), Ok(()));
}

#[test]
fn a_commit_in_a_stable_or_preparing_group_extends_the_session() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    for _ in 0..3 {
        kit.advance(9_000);
        assert_eq!(kit.commit(&ids[0], generation, 5), Ok(()));
        assert_eq!(kit.commit(&ids[1], generation, 5), Ok(()));
    }
    kit.join(rejoin(&ids[0]));
    for _ in 0..3 {
        kit.advance(9_000);
        assert_eq!(kit.commit(&ids[1], generation, 5), Ok(()));
    }
}

#[test]
fn a_generation_in_a_group_that_does_not_exist_is_refused_as_the_version_says() {
    let mut kit = Kit::new();
    assert_eq!(kit.commit("member", 1, 5), Err(Refusal::GroupIdNotFound));
    let token = kit.send(GroupRequest::CommitOffsets(CommitOffsetsRequest {
        names_missing_group: false,
        ..commit("member", 1, 5)
    }));
    assert_eq!(kit.take_commit(token), Err(Refusal::IllegalGeneration));
    assert_eq!(kit.harness.machine().group_count(), 0);
}

#[test]
fn a_note_that_is_too_long_fails_its_partition_alone() {
    let mut kit = Kit::new();
    let with_note = |partition: i32, length: usize| CommittedPartition {
        partition,
        offset: OffsetAndMetadata {
            metadata: "é".repeat(length),
            ..OffsetAndMetadata::new(7)
        },
    };
    let mut request = commit("", -1, 7);
    request.topics[0].partitions = vec![with_note(0, 4_097), with_note(1, 4_096)];
    let token = kit.send(GroupRequest::CommitOffsets(request));
    let GroupResponse::CommitOffsets(topics) = kit.take(token) else {
        panic!("an answer to a commit");
    };
    let outcomes: Vec<_> = topics[0]
        .partitions
        .iter()
        .map(|partition| partition.outcome)
        .collect();
    assert_eq!(outcomes, [Err(Refusal::OffsetMetadataTooLarge), Ok(())]);
    assert_eq!(kit.committed("topic", 0), None);
    assert_eq!(kit.committed("topic", 1), Some(7));
}

#[test]
fn a_commit_of_nothing_is_answered_without_an_append() {
    let mut kit = Kit::new();
    let mut request = commit("", -1, 7);
    request.topics.clear();
    let token = kit.send(GroupRequest::CommitOffsets(request));
    assert_eq!(kit.take(token), GroupResponse::CommitOffsets(Vec::new()));
    assert_eq!(kit.appends, 0);
}

#[test]
fn a_fetch_without_topics_returns_all_offsets() {
    let mut kit = Kit::new();
    let mut request = commit("", -1, 7);
    let mut second = request.topics[0].clone();
    second.name = "another".into();
    second.partitions[0].partition = 3;
    request.topics.push(second);
    kit.send(GroupRequest::CommitOffsets(request));
    let groups = vec![FetchGroup {
        group_id: GROUP.into(),
        topics: None,
    }];
    let require_stable = false;
    let token = kit.send(GroupRequest::FetchOffsets(FetchOffsetsRequest {
        groups,
        require_stable,
    }));
    let GroupResponse::FetchOffsets(groups) = kit.take(token) else {
        panic!("an answer to a fetch");
    };
    let topics = groups[0].outcome.as_ref().expect("fetched");
    let found: Vec<_> = topics
        .iter()
        .map(|topic| (&*topic.name, topic.partitions[0].partition))
        .collect();
    assert_eq!(found, [("another", 3), ("topic", 0)]);
}

#[test]
fn a_fetch_of_several_groups_answers_each_in_order() {
    let mut kit = Kit::new();
    assert_eq!(kit.commit("", -1, 7), Ok(()));
    let ask = |group_id: &str| FetchGroup {
        group_id: group_id.into(),
        topics: Some(vec![partitions("topic", &[0])]),
    };
    kit.step(Event::Unload {
        partition: partition_for("elsewhere", 50),
    });
    let groups = vec![ask("nobody"), ask("elsewhere"), ask(GROUP)];
    let require_stable = true;
    let token = kit.send(GroupRequest::FetchOffsets(FetchOffsetsRequest {
        groups,
        require_stable,
    }));
    let GroupResponse::FetchOffsets(groups) = kit.take(token) else {
        panic!("an answer to a fetch");
    };
    let offset = |group: &FetchedGroup| {
        let topics = group.outcome.as_ref().map_err(|refusal| *refusal)?;
        Ok(topics[0].partitions[0]
            .committed
            .as_ref()
            .map(|committed| committed.offset))
    };
    let found: Vec<_> = groups.iter().map(offset).collect();
    assert_eq!(found, [Ok(None), Err(Refusal::NotCoordinator), Ok(Some(7))]);
    assert_eq!(&*groups[2].group_id, GROUP);
}

#[test]
fn a_topic_that_was_made_anew_has_no_committed_offset() {
    let mut kit = Kit::new();
    let mut request = commit("", -1, 7);
    request.topics[0].id = Some(TopicId([1; 16]));
    kit.send(GroupRequest::CommitOffsets(request));
    let mut fetch = |id: Option<TopicId>| {
        let topics = Some(vec![TopicPartitions {
            id,
            ..partitions("topic", &[0])
        }]);
        let group_id = GROUP.into();
        let groups = vec![FetchGroup { group_id, topics }];
        let require_stable = true;
        let token = kit.send(GroupRequest::FetchOffsets(FetchOffsetsRequest {
            groups,
            require_stable,
        }));
        match kit.take(token) {
            GroupResponse::FetchOffsets(groups) => groups[0].outcome.as_ref().expect("fetched")[0].partitions
                [0]
            .committed
            .is_some(),
            other => panic!("{other:?}"),
        }
    };
    assert!(fetch(Some(TopicId([1; 16]))));
    assert!(fetch(None));
    assert!(!fetch(Some(TopicId([2; 16]))));
}
