//! Which member gets which partitions. Ids of members begin with their `client.id`, so that "a" comes before "b".

use kohort::TopicPartition;
use kohort::consumer::{MemberError, PollError, ReadError};
use kohort_conformance::unique;

use crate::broker_groups::describe;
use crate::consumer_setup::{Diary, Reader, SOON, built, failure, new_topic, of_group, settle};

fn member(group: &str, client: &str, assignors: &[&str], topics: &[&str]) -> Reader {
    let mut member = built(
        of_group(group)
            .client_id(client)
            .set("partition.assignment.strategy", &assignors.join(",")),
    );
    member.subscribe(topics.iter().copied()).expect("topics");
    member
}

/// As `topic(number)`, topics called `t1`, `t2` in the order of `topics`.
fn share(member: &Reader, topics: &[&str]) -> Vec<String> {
    let name = |partition: &TopicPartition| {
        let at = topics.iter().position(|topic| **topic == *partition.topic);
        format!("t{}({})", at.map_or(0, |at| at + 1), partition.partition)
    };
    let mut share: Vec<_> = member.assignment().iter().map(name).collect();
    share.sort_unstable();
    share
}

/// Topics whose names sort in the order of their making.
async fn topics(counts: &[i32]) -> Vec<String> {
    let mut topics = Vec::new();
    for count in counts {
        topics.push(new_topic(*count).await);
    }
    topics.sort();
    topics
}

// Kafka: RangeAssignorTest.testTwoConsumersTwoTopicsSixPartitions
#[tokio::test]
async fn range_gives_each_topics_first_partitions_to_the_first_member() {
    let (topics, group) = (topics(&[3, 3]).await, unique("group"));
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut members = [
        member(&group, "a", &["range"], &topics),
        member(&group, "b", &["range"], &topics),
    ];
    settle(&mut members, |shares| {
        shares[0].len() == 4 && shares[1].len() == 2
    })
    .await;
    assert_eq!(share(&members[0], &topics), ["t1(0)", "t1(1)", "t2(0)", "t2(1)"]);
    assert_eq!(share(&members[1], &topics), ["t1(2)", "t2(2)"]);
}

// Kafka: RoundRobinAssignorTest.testTwoDynamicConsumersTwoTopicsSixPartitions
#[tokio::test]
async fn roundrobin_deals_the_partitions_of_all_topics_one_by_one() {
    let (topics, group) = (topics(&[3, 3]).await, unique("group"));
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut members = [
        member(&group, "a", &["roundrobin"], &topics),
        member(&group, "b", &["roundrobin"], &topics),
    ];
    settle(&mut members, |shares| {
        shares[0].len() == 3 && shares[1].len() == 3
    })
    .await;
    assert_eq!(share(&members[0], &topics), ["t1(0)", "t1(2)", "t2(1)"]);
    assert_eq!(share(&members[1], &topics), ["t1(1)", "t2(0)", "t2(2)"]);
}

// Kafka: RoundRobinAssignorTest.testMultipleConsumersMixedTopics
#[tokio::test]
async fn roundrobin_is_unbalanced_by_a_topic_that_one_member_alone_subscribes_to() {
    let (topics, group) = (topics(&[3, 3, 3]).await, unique("group"));
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut members = [
        member(&group, "a", &["roundrobin"], &topics[..2]),
        member(&group, "b", &["roundrobin"], &topics),
    ];
    settle(&mut members, |shares| {
        shares[0].len() == 3 && shares[1].len() == 6
    })
    .await;
    assert_eq!(share(&members[0], &topics), ["t1(0)", "t1(2)", "t2(1)"]);
    assert_eq!(
        share(&members[1], &topics),
        ["t1(1)", "t2(0)", "t2(2)", "t3(0)", "t3(1)", "t3(2)"]
    );
}

// Kafka: PlaintextConsumerAssignorsTest.testMultiConsumerDefaultAssignorAndVerifyAssignment
#[tokio::test]
async fn range_is_exact_for_each_member_before_and_after_one_joins() {
    let (topic, group) = (new_topic(5).await, unique("group"));
    let mut members = vec![
        member(&group, "a", &["range"], &[&topic]),
        member(&group, "b", &["range"], &[&topic]),
    ];
    settle(&mut members, |shares| {
        shares[0] == [0, 1, 2] && shares[1] == [3, 4]
    })
    .await;
    members.push(member(&group, "c", &["range"], &[&topic]));
    settle(&mut members, |shares| {
        shares[0] == [0, 1] && shares[1] == [2, 3] && shares[2] == [4]
    })
    .await;
}

// Kafka: ClassicGroup.selectProtocol
#[tokio::test]
async fn the_group_uses_an_assignor_that_all_members_have() {
    let (topic, group) = (new_topic(2).await, unique("group"));
    let mut members = vec![member(&group, "a", &["range", "roundrobin"], &[&topic])];
    settle(&mut members, |shares| shares[0].len() == 2).await;
    assert_eq!(describe(&group, 5).await.protocol_data, "range");
    members.push(member(&group, "b", &["roundrobin"], &[&topic]));
    settle(&mut members, |shares| {
        shares[0].len() == 1 && shares[1].len() == 1
    })
    .await;
    assert_eq!(describe(&group, 5).await.protocol_data, "roundrobin");
}

// Kafka: ClassicGroup.supportsProtocols: INCONSISTENT_GROUP_PROTOCOL
#[tokio::test]
async fn a_member_without_a_common_assignor_is_refused_with_a_typed_error() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let mut members = [member(&group, "a", &["range"], &[&topic])];
    settle(&mut members, |shares| shares[0] == [0]).await;
    let error = failure(&mut member(&group, "b", &["roundrobin"], &[&topic])).await;
    let PollError::Read(ReadError::Membership(error)) = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(*error, MemberError::InconsistentProtocol { .. }),
        "{error:?}"
    );
}

// Kafka: ConsumerConfig's default of partition.assignment.strategy
#[tokio::test]
async fn by_default_a_group_uses_range_and_cooperative_sticky_once_all_members_drop_range() {
    let (topic, group) = (new_topic(4).await, unique("group"));
    let by_default = |client: &str| {
        let mut member = built(of_group(&group).client_id(client));
        member.subscribe([&*topic]).expect("a topic");
        member
    };
    let mut members = vec![by_default("a"), by_default("b")];
    settle(&mut members, |shares| shares[0] == [0, 1] && shares[1] == [2, 3]).await;
    assert_eq!(describe(&group, 5).await.protocol_data, "range");
    // One bounce: each member comes back without range.
    for client in ["a", "b"] {
        members.remove(0).close(SOON).await.expect("it leaves");
        members.push(self::member(&group, client, &["cooperative-sticky"], &[&topic]));
        settle(&mut members, |shares| shares.iter().all(|share| share.len() == 2)).await;
    }
    assert_eq!(describe(&group, 5).await.protocol_data, "cooperative-sticky");
}

/// What all members have together, each with the number of the member, in order.
fn owners(members: &[Reader]) -> Vec<(TopicPartition, usize)> {
    let owned = members.iter().enumerate().flat_map(|(number, member)| {
        let assignment = member.assignment().to_vec();
        assignment.into_iter().map(move |partition| (partition, number))
    });
    let mut owners: Vec<_> = owned.collect();
    owners.sort();
    owners
}

/// How many of `before` have another owner in `after`.
fn moved(before: &[(TopicPartition, usize)], after: &[(TopicPartition, usize)]) -> usize {
    before.iter().filter(|owned| !after.contains(owned)).count()
}

/// Members join and leave: shares stay even, and only what has to move does.
async fn only_what_has_to_move_does(assignor: &str) {
    let (topics, group) = (topics(&[5, 4]).await, unique("group"));
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let with = |client: &str| member(&group, client, &[assignor], &topics);
    let sizes = |shares: &[Vec<i32>], expected: &[usize]| {
        let mut sizes: Vec<_> = shares.iter().map(Vec::len).collect();
        sizes.sort_unstable();
        sizes == expected
    };
    let mut members = vec![with("a"), with("b")];
    settle(&mut members, |shares| sizes(shares, &[4, 5])).await;
    let two = owners(&members);
    members.push(with("c"));
    settle(&mut members, |shares| sizes(shares, &[3, 3, 3])).await;
    let three = owners(&members);
    assert_eq!(moved(&two, &three), 3, "{two:?} {three:?}");
    members
        .pop()
        .expect("three")
        .close(SOON)
        .await
        .expect("it leaves");
    settle(&mut members, |shares| sizes(shares, &[4, 5])).await;
    let again = owners(&members);
    assert_eq!(
        moved(&three, &again),
        3,
        "what the one that left had: {three:?} {again:?}"
    );
    assert_eq!(describe(&group, 5).await.protocol_data, assignor);
}

// Kafka: StickyAssignorTest.testReassignmentAfterOneConsumerAdded, testReassignmentAfterOneConsumerLeaves
#[tokio::test]
async fn sticky_moves_only_what_has_to_move() {
    only_what_has_to_move_does("sticky").await;
}

// Kafka: CooperativeStickyAssignorTest, the same tests of AbstractStickyAssignorTest
#[tokio::test]
async fn cooperative_sticky_moves_only_what_has_to_move() {
    only_what_has_to_move_does("cooperative-sticky").await;
}

// Kafka: StickyAssignor's documentation, example 2: subscriptions differ
#[tokio::test]
async fn sticky_balances_members_with_different_subscriptions() {
    let (topics, group) = (topics(&[1, 2, 3]).await, unique("group"));
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut members = [
        member(&group, "a", &["sticky"], &topics[..1]),
        member(&group, "b", &["sticky"], &topics[..2]),
        member(&group, "c", &["sticky"], &topics),
    ];
    settle(&mut members, |shares| {
        shares[0].len() == 1 && shares[1].len() == 2 && shares[2].len() == 3
    })
    .await;
    assert_eq!(share(&members[0], &topics), ["t1(0)"]);
    assert_eq!(share(&members[1], &topics), ["t2(0)", "t2(1)"]);
    assert_eq!(share(&members[2], &topics), ["t3(0)", "t3(1)", "t3(2)"]);
}

// Kafka: CooperativeStickyAssignor; ConsumerCoordinator.onJoinComplete revokes what is left out, and joins again
#[tokio::test]
async fn a_cooperative_group_revokes_only_what_moves_and_assigns_only_what_is_new() {
    let (topic, group, diary) = (new_topic(4).await, unique("group"), Diary::default());
    let member = |client: &'static str| {
        let mut member = built(
            of_group(&group)
                .client_id(client)
                .set("partition.assignment.strategy", "cooperative-sticky"),
        );
        member
            .subscribe_with([&*topic], diary.listener(client))
            .expect("a topic");
        member
    };
    let mut members = vec![member("a")];
    settle(&mut members, |shares| shares[0].len() == 4).await;
    members.push(member("b"));
    settle(&mut members, |shares| shares[0] == [0, 1] && shares[1] == [2, 3]).await;
    let what_matters: Vec<String> = diary
        .lines()
        .into_iter()
        .filter(|line| !line.ends_with("[]"))
        .collect();
    assert_eq!(
        what_matters,
        ["a assigned [0, 1, 2, 3]", "a revoked [2, 3]", "b assigned [2, 3]"]
    );
}
