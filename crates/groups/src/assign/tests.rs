//! The assignors on Kafka's worked cases, and against what Kafka's own classes make of generated groups.

use alloc::string::ToString;
use std::collections::BTreeSet;

use super::*;

/// Written by `GenerateAssignments.java` beside it, which explains the format.
const ASSIGNMENTS: &str = include_str!("../../tests/assignors/assignments.txt");

fn subscription(topics: &[&str]) -> Subscription {
    Subscription {
        topics: topics.iter().map(|topic| Arc::from(*topic)).collect(),
        ..Subscription::default()
    }
}

fn assign(
    assignor: &dyn Assignor,
    topics: &[(&str, u32)],
    members: &[(&str, &[&str])],
) -> BTreeMap<String, Vec<String>> {
    let partitions = topics
        .iter()
        .map(|(topic, count)| (Arc::from(*topic), *count))
        .collect();
    let members = members
        .iter()
        .map(|(member, topics)| (member.to_string(), subscription(topics)))
        .collect();
    let shares = assignor.assign(&partitions, &members);
    shares
        .into_iter()
        .map(|(member, owned)| (member, owned.iter().map(ToString::to_string).collect()))
        .collect()
}

#[test]
fn round_robin_alternates_over_all_topics() {
    let both: &[&str] = &["T1", "T2"];
    let shares = assign(
        &RoundRobin,
        &[("T1", 3), ("T2", 3)],
        &[("C1", both), ("C2", both)],
    );
    assert_eq!(shares["C1"], ["T1-0", "T1-2", "T2-1"]);
    assert_eq!(shares["C2"], ["T1-1", "T2-0", "T2-2"]);
}

#[test]
fn round_robin_is_unbalanced_when_subscriptions_differ() {
    let topics = [("T1", 3), ("T2", 3), ("T3", 3)];
    let shares = assign(
        &RoundRobin,
        &topics,
        &[("C1", &["T1", "T2"]), ("C2", &["T1", "T2", "T3"])],
    );
    assert_eq!(shares["C1"].len(), 3);
    assert_eq!(shares["C2"].len(), 6);
}

#[test]
fn round_robin_passes_over_members_without_the_topic() {
    // The example in the documentation of Kafka's RoundRobinAssignor.
    let members: &[(&str, &[&str])] = &[
        ("C0", &["t0"]),
        ("C1", &["t0", "t1"]),
        ("C2", &["t0", "t1", "t2"]),
    ];
    let shares = assign(&RoundRobin, &[("t0", 1), ("t1", 2), ("t2", 3)], members);
    assert_eq!(shares["C0"], ["t0-0"]);
    assert_eq!(shares["C1"], ["t1-0"]);
    assert_eq!(shares["C2"], ["t1-1", "t2-0", "t2-1", "t2-2"]);
}

#[test]
fn range_gives_the_first_members_one_more_of_each_topic() {
    let both: &[&str] = &["T1", "T2"];
    let shares = assign(&Range, &[("T1", 3), ("T2", 3)], &[("C1", both), ("C2", both)]);
    assert_eq!(shares["C1"], ["T1-0", "T1-1", "T2-0", "T2-1"]);
    assert_eq!(shares["C2"], ["T1-2", "T2-2"]);
}

#[test]
fn a_topic_without_partitions_and_a_member_without_topics_are_no_error() {
    for assignor in [&Range as &dyn Assignor, &RoundRobin] {
        let shares = assign(assignor, &[("t", 0)], &[("a", &["t", "unknown"]), ("b", &[])]);
        assert!(shares["a"].is_empty() && shares["b"].is_empty());
        assert!(assign(assignor, &[("t", 1)], &[]).is_empty());
    }
}

#[test]
fn kafkas_names_and_class_names_find_their_assignors() {
    for (name, found) in [
        ("range", Some("range")),
        ("org.apache.kafka.clients.consumer.RangeAssignor", Some("range")),
        ("roundrobin", Some("roundrobin")),
        (
            "org.apache.kafka.clients.consumer.RoundRobinAssignor",
            Some("roundrobin"),
        ),
        ("org.example.RangeAssignor", None),
    ] {
        let assignor = by_name(name);
        assert_eq!(
            assignor.as_deref().map(|assignor| assignor.name()),
            found,
            "{name}"
        );
    }
}

#[test]
fn generated_groups_are_assigned_as_kafkas_own_classes_do() {
    let mut groups = 0;
    for line in ASSIGNMENTS.lines() {
        let fields: Vec<&str> = line.split(';').collect();
        let [topics, members, range, round_robin] = fields[..] else {
            panic!("not four fields: {line}");
        };
        let (topics, members) = (parse_topics(topics), parse_members(members));
        check(&Range, &topics, &members, range, line);
        check(&RoundRobin, &topics, &members, round_robin, line);
        groups += 1;
    }
    assert_eq!(groups, 2400);
}

fn check(
    assignor: &dyn Assignor,
    topics: &[(Arc<str>, u32)],
    members: &[(String, Subscription)],
    owners: &str,
    line: &str,
) {
    let mut expected: BTreeMap<String, BTreeSet<TopicPartition>> = members
        .iter()
        .map(|(member, _)| (member.clone(), BTreeSet::new()))
        .collect();
    let mut owners = owners.chars();
    for (topic, count) in topics {
        for partition in 0..*count {
            let owner = owners.next().expect("an owner for each partition");
            if let Some(index) = owner.to_digit(36) {
                let member = &members[index as usize].0;
                let partition = TopicPartition::new(topic.clone(), partition as i32);
                expected.get_mut(member).expect("a member").insert(partition);
            }
        }
    }
    let partitions = topics.iter().cloned().collect();
    let shares = assignor.assign(&partitions, &members.iter().cloned().collect());
    let total: usize = shares.values().map(Vec::len).sum();
    let shares: BTreeMap<String, BTreeSet<TopicPartition>> = shares
        .into_iter()
        .map(|(member, owned)| (member, owned.into_iter().collect()))
        .collect();
    assert_eq!(total, shares.values().map(BTreeSet::len).sum::<usize>(), "{line}");
    assert_eq!(shares, expected, "{} {line}", assignor.name());
}

fn parse_topics(field: &str) -> Vec<(Arc<str>, u32)> {
    // A topic may be the letter "0", so each is one sign and one digit.
    let signs: Vec<char> = field.chars().collect();
    let topic = |pair: &[char]| {
        (
            Arc::from(pair[0].to_string()),
            pair[1].to_digit(10).expect("a digit"),
        )
    };
    signs.chunks(2).map(topic).collect()
}

fn parse_members(field: &str) -> Vec<(String, Subscription)> {
    let member = |text: &str| {
        let (names, topics) = text.split_once(':').expect("a colon");
        let (id, instance) = match names.split_once('@') {
            Some((id, instance)) => (id, Some(Arc::from(instance))),
            None => (names, None),
        };
        let subscription = Subscription {
            topics: topics.chars().map(|topic| Arc::from(topic.to_string())).collect(),
            group_instance_id: instance,
            ..Subscription::default()
        };
        (id.to_string(), subscription)
    };
    field.split(',').map(member).collect()
}
