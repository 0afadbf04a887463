//! DescribeGroups, ListGroups, DeleteGroups, OffsetDelete.

use super::*;

fn list(kit: &mut Kit, states: &[&str], types: &[&str]) -> Vec<ListedGroup> {
    let own = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect();
    let token = kit.send(GroupRequest::List(ListRequest {
        states: own(states),
        types: own(types),
    }));
    match kit.take(token) {
        GroupResponse::List(result) => result.expect("listed"),
        other => panic!("{other:?}"),
    }
}

fn delete(kit: &mut Kit, groups: &[&str]) -> Vec<Result<(), Refusal>> {
    let groups = groups.iter().map(|group| Arc::from(*group)).collect();
    let token = kit.send(GroupRequest::Delete(DeleteRequest { groups }));
    match kit.take(token) {
        GroupResponse::Delete(groups) => groups.iter().map(|group| group.outcome).collect(),
        other => panic!("{other:?}"),
    }
}

fn delete_offsets(kit: &mut Kit, topics: &[&str]) -> Result<Vec<Result<(), Refusal>>, Refusal> {
    let topics = topics.iter().map(|topic| partitions(topic, &[0])).collect();
    let group_id = GROUP.into();
    let token = kit.send(GroupRequest::DeleteOffsets(DeleteOffsetsRequest {
        group_id,
        topics,
    }));
    match kit.take(token) {
        GroupResponse::DeleteOffsets(result) => {
            result.map(|topics| topics.iter().map(|topic| topic.partitions[0].outcome).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stable_group_is_described_with_assignor_metadata_and_assignment() {
    let mut kit = Kit::new();
    let (ids, _) = kit.stable(2);
    let group = kit.describe().expect("a group");
    assert_eq!(
        (group.state, group.protocol_type.as_deref()),
        ("Stable", Some("consumer"))
    );
    assert_eq!(group.protocol.as_deref(), Some("range"));
    assert_eq!(group.members.len(), 2);
    for member in group.members {
        assert!(ids.contains(&member.member_id));
        assert_eq!(member.metadata, subscription(&["topic"]));
        assert_eq!(member.assignment, bytes(&member.member_id));
        assert_eq!(
            (&*member.client_id, &*member.client_host),
            ("client", "/127.0.0.1")
        );
    }
}

#[test]
fn a_group_that_rebalances_is_described_without_assignor_and_metadata() {
    let mut kit = Kit::new();
    let (ids, _) = kit.stable(2);
    kit.join(rejoin(&ids[0]));
    let group = kit.describe().expect("a group");
    assert_eq!((group.state, group.protocol), ("PreparingRebalance", None));
    assert!(group.members.iter().all(|member| member.metadata.is_empty()));
}

#[test]
fn a_group_that_does_not_exist_is_described_as_the_version_says() {
    let mut kit = Kit::new();
    assert_eq!(kit.describe(), None);
    let groups = vec![GROUP.into()];
    let names_missing_group = true;
    let token = kit.send(GroupRequest::Describe(DescribeRequest {
        groups,
        names_missing_group,
    }));
    let GroupResponse::Describe(groups) = kit.take(token) else {
        panic!("an answer to a description");
    };
    assert_eq!(groups[0].outcome, Err(Refusal::GroupIdNotFound));
}

#[test]
fn groups_are_listed_by_state_and_type_in_any_case() {
    let mut kit = Kit::new();
    kit.stable(1);
    let mut other = commit("", -1, 1);
    other.group_id = "simple".into();
    kit.send(GroupRequest::CommitOffsets(other));
    let names = |groups: Vec<ListedGroup>| {
        groups
            .iter()
            .map(|group| group.group_id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(list(&mut kit, &[], &[])),
        [Arc::from(GROUP), Arc::from("simple")]
    );
    assert_eq!(names(list(&mut kit, &["sTABLE"], &[])), [Arc::from(GROUP)]);
    assert_eq!(
        names(list(&mut kit, &["Empty", "Dead"], &["CLASSIC"])),
        [Arc::from("simple")]
    );
    assert_eq!(names(list(&mut kit, &[], &["consumer"])), []);
    let listed = list(&mut kit, &["Stable"], &[]);
    assert_eq!(
        (listed[0].protocol_type.as_deref(), listed[0].group_type),
        (Some("consumer"), "classic")
    );
}

#[test]
fn groups_cannot_be_listed_while_a_partition_loads() {
    let mut kit = Kit::unloaded(CoordinatorConfig::default());
    let records = Vec::new();
    kit.step(Event::Load {
        partition: 1,
        records,
    });
    let token = kit.send(GroupRequest::List(ListRequest::default()));
    assert_eq!(kit.take(token), GroupResponse::List(Err(Refusal::LoadInProgress)));
}

#[test]
fn only_an_empty_group_is_deleted_and_its_offsets_go_with_it() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    kit.commit(&ids[0], generation, 5).expect("committed");
    assert_eq!(
        delete(&mut kit, &[GROUP, "nowhere"]),
        [Err(Refusal::NonEmptyGroup), Err(Refusal::GroupIdNotFound)]
    );
    kit.leave(&ids[0]);
    assert_eq!(delete(&mut kit, &[GROUP]), [Ok(())]);
    assert_eq!(kit.committed("topic", 0), None);
    assert_eq!(kit.state(), "Dead");
    let tombstones = kit.log.iter().filter(|(_, record)| {
        matches!(
            record,
            CoordinatorRecord::Group { value: None, .. } | CoordinatorRecord::Offset { value: None, .. }
        )
    });
    assert_eq!(tombstones.count(), 2);
}

#[test]
fn offsets_of_topics_that_members_read_are_not_deleted() {
    let mut kit = Kit::new();
    assert_eq!(
        delete_offsets(&mut kit, &["topic"]),
        Err(Refusal::GroupIdNotFound)
    );
    let (ids, generation) = kit.stable(1);
    let mut request = commit(&ids[0], generation, 5);
    request.topics.push(TopicPartitions {
        name: "old".into(),
        ..request.topics[0].clone()
    });
    kit.send(GroupRequest::CommitOffsets(request));
    let outcomes = delete_offsets(&mut kit, &["topic", "old"]);
    assert_eq!(outcomes, Ok(vec![Err(Refusal::GroupSubscribedToTopic), Ok(())]));
    assert_eq!(kit.committed("topic", 0), Some(5));
    assert_eq!(kit.committed("old", 0), None);
}

#[test]
fn offsets_of_a_group_that_is_not_of_consumers_are_deleted_only_when_it_is_empty() {
    let mut kit = Kit::prompt();
    let token = kit.join(JoinRequest {
        protocol_type: "connect".into(),
        ..anonymous_join()
    });
    let (member_id, _) = kit.take_joined(token);
    assert_eq!(delete_offsets(&mut kit, &["topic"]), Err(Refusal::NonEmptyGroup));
    kit.leave(&member_id);
    assert_eq!(delete_offsets(&mut kit, &["topic"]), Ok(vec![Ok(())]));
}

#[test]
fn deleting_a_topic_deletes_its_offsets() {
    let mut kit = Kit::new();
    kit.commit("", -1, 5).expect("committed");
    let topics = vec![("other".into(), TopicId([1; 16]))];
    kit.step(Event::TopicsDeleted { topics });
    assert_eq!(kit.committed("topic", 0), Some(5));
    let topics = vec![("topic".into(), TopicId([2; 16]))];
    kit.step(Event::TopicsDeleted { topics });
    assert_eq!(kit.committed("topic", 0), None);
}
