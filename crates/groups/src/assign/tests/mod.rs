//! The assignors on Kafka's worked cases. What Kafka's own classes make of generated groups is in `generated` and `sticky`.

mod claims;
mod evenness;
mod generated;
mod properties;
mod sticky;

use alloc::string::ToString;

use super::*;

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
        .map(|(topic, count)| (Arc::from(*topic), TopicLayout::new(*count)))
        .collect();
    let members = members
        .iter()
        .map(|(member, topics)| (member.to_string(), subscription(topics)))
        .collect();
    let shares = assignor.assign(&partitions, &members).expect("it never fails");
    shares
        .into_iter()
        .map(|(member, owned)| (member, owned.partitions.iter().map(ToString::to_string).collect()))
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
fn sticky_begins_as_round_robin_when_subscriptions_are_equal() {
    // Example 1 in the documentation of Kafka's StickyAssignor.
    let all: &[&str] = &["t0", "t1", "t2", "t3"];
    let topics = [("t0", 2), ("t1", 2), ("t2", 2), ("t3", 2)];
    let members = [("C0", all), ("C1", all), ("C2", all)];
    for assignor in [&Sticky as &dyn Assignor, &CooperativeSticky, &RoundRobin] {
        let shares = assign(assignor, &topics, &members);
        assert_eq!(shares["C0"], ["t0-0", "t1-1", "t3-0"]);
        assert_eq!(shares["C1"], ["t0-1", "t2-0", "t3-1"]);
        assert_eq!(shares["C2"], ["t1-0", "t2-1"]);
    }
}

#[test]
fn sticky_balances_different_subscriptions() {
    // Example 2 in the documentation of Kafka's StickyAssignor.
    let members: &[(&str, &[&str])] = &[
        ("C0", &["t0"]),
        ("C1", &["t0", "t1"]),
        ("C2", &["t0", "t1", "t2"]),
    ];
    for assignor in [&Sticky as &dyn Assignor, &CooperativeSticky] {
        let shares = assign(assignor, &[("t0", 1), ("t1", 2), ("t2", 3)], members);
        assert_eq!(shares["C0"], ["t0-0"]);
        assert_eq!(shares["C1"], ["t1-0", "t1-1"]);
        assert_eq!(shares["C2"], ["t2-0", "t2-1", "t2-2"]);
    }
}

#[test]
fn a_topic_without_partitions_and_a_member_without_topics_are_no_error() {
    for assignor in [&Range as &dyn Assignor, &RoundRobin, &Sticky, &CooperativeSticky] {
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
        ("sticky", Some("sticky")),
        ("org.apache.kafka.clients.consumer.StickyAssignor", Some("sticky")),
        ("cooperative-sticky", Some("cooperative-sticky")),
        (
            "org.apache.kafka.clients.consumer.CooperativeStickyAssignor",
            Some("cooperative-sticky"),
        ),
        ("org.example.RangeAssignor", None),
    ] {
        let assignor = by_name(name);
        assert_eq!(assignor.map(Assignor::name), found, "{name}");
    }
}
