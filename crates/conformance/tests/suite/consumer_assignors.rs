//! Which member gets which partitions. Ids of members begin with their `client.id`, so that "a" comes before "b".

use std::collections::BTreeMap;
use std::sync::Arc;

use kohort::TopicPartition;
use kohort::consumer::{Assignor, MemberError, PollError, ReadError, RebalanceProtocol, Subscription};
use kohort_conformance::unique;

use crate::broker_groups::describe;
use crate::consumer_setup::{Reader, built, failure, new_topic, of_group, settle};

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

/// Gives everything to the last member.
struct LastTakesAll;

impl Assignor for LastTakesAll {
    fn name(&self) -> &str {
        "last-takes-all"
    }

    fn protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Eager]
    }

    fn assign(
        &self,
        partitions: &BTreeMap<Arc<str>, u32>,
        members: &BTreeMap<String, Subscription>,
    ) -> BTreeMap<String, Vec<TopicPartition>> {
        let all = partitions.iter().flat_map(|(topic, count)| {
            (0..*count).map(|number| TopicPartition::new(Arc::clone(topic), number as i32))
        });
        let last = members.keys().next_back().cloned();
        let mut shares: BTreeMap<_, _> = members.keys().map(|id| (id.clone(), Vec::new())).collect();
        shares.extend(last.map(|last| (last, all.collect())));
        shares
    }
}

// Kafka: ConsumerPartitionAssignor
#[tokio::test]
async fn an_assignor_of_the_application_decides() {
    let (topic, group) = (new_topic(3).await, unique("group"));
    let member = |client: &str| {
        let settings = of_group(&group)
            .client_id(client)
            .assignor(LastTakesAll)
            .set("partition.assignment.strategy", "last-takes-all");
        let mut member = built(settings);
        member.subscribe([&*topic]).expect("a topic");
        member
    };
    let mut members = vec![member("b")];
    settle(&mut members, |shares| shares[0] == [0, 1, 2]).await;
    members.push(member("a"));
    members.push(member("c"));
    settle(&mut members, |shares| {
        shares[0].is_empty() && shares[1].is_empty() && shares[2] == [0, 1, 2]
    })
    .await;
    assert_eq!(describe(&group, 5).await.protocol_data, "last-takes-all");
}
