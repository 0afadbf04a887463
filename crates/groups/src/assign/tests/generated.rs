//! Range and RoundRobin against what Kafka's own classes make of generated groups, with and without racks.

use alloc::string::ToString;
use std::collections::BTreeSet;

use super::*;
use crate::TopicPartition;

/// Both are written by `GenerateAssignments.java` beside them, which explains the format.
const ASSIGNMENTS: &str = include_str!("../../../tests/assignors/assignments.txt");
const WITH_RACKS: &str = include_str!("../../../tests/assignors/assignments-racks.txt");

#[test]
fn generated_groups_are_assigned_as_kafkas_own_classes_do() {
    assert_eq!(check_all(ASSIGNMENTS, parse_topics), 2400);
}

#[test]
fn generated_groups_on_racks_are_assigned_as_kafkas_own_classes_do() {
    assert_eq!(check_all(WITH_RACKS, parse_topics_on_racks), 1600);
}

fn check_all(lines: &str, parse_topics: fn(&str) -> Topics) -> usize {
    for line in lines.lines() {
        let fields: Vec<&str> = line.split(';').collect();
        let [topics, members, range, round_robin] = fields[..] else {
            panic!("not four fields: {line}");
        };
        let (topics, members) = (parse_topics(topics), parse_members(members));
        check(&Range, &topics, &members, range, line);
        check(&RoundRobin, &topics, &members, round_robin, line);
    }
    lines.lines().count()
}

type Topics = Vec<(Arc<str>, TopicLayout)>;

fn check(
    assignor: &dyn Assignor,
    topics: &Topics,
    members: &[(String, Subscription)],
    owners: &str,
    line: &str,
) {
    let mut expected: BTreeMap<String, BTreeSet<TopicPartition>> = members
        .iter()
        .map(|(member, _)| (member.clone(), BTreeSet::new()))
        .collect();
    let mut owners = owners.chars();
    for (topic, layout) in topics {
        for partition in 0..layout.partitions {
            let owner = owners.next().expect("an owner for each partition");
            if let Some(index) = owner.to_digit(36) {
                let member = &members[index as usize].0;
                let partition = TopicPartition::new(topic.clone(), partition as i32);
                expected.get_mut(member).expect("a member").insert(partition);
            }
        }
    }
    let shares = assignor
        .assign(
            &topics.iter().cloned().collect(),
            &members.iter().cloned().collect(),
        )
        .expect("it never fails");
    let total: usize = shares.values().map(|share| share.partitions.len()).sum();
    let shares: BTreeMap<String, BTreeSet<TopicPartition>> = shares
        .into_iter()
        .map(|(member, share)| (member, share.partitions.into_iter().collect()))
        .collect();
    assert_eq!(total, shares.values().map(BTreeSet::len).sum::<usize>(), "{line}");
    assert_eq!(shares, expected, "{} {line}", assignor.name());
}

fn parse_topics(field: &str) -> Topics {
    // A topic may be the letter "0", so each is one sign and one digit.
    let signs: Vec<char> = field.chars().collect();
    let topic = |pair: &[char]| {
        let count = pair[1].to_digit(10).expect("a digit");
        (Arc::from(pair[0].to_string()), TopicLayout::new(count))
    };
    signs.chunks(2).map(topic).collect()
}

fn parse_topics_on_racks(field: &str) -> Topics {
    let mut topics = Topics::new();
    let mut signs = field.chars();
    while let Some(topic) = signs.next() {
        let partitions = signs.next().and_then(|sign| sign.to_digit(10)).expect("a digit");
        let racks = (0..partitions)
            .map(|_| racks(signs.next().expect("racks")))
            .collect();
        topics.push((Arc::from(topic.to_string()), TopicLayout { partitions, racks }));
    }
    topics
}

/// The racks of a bit mask.
pub(super) fn racks(mask: char) -> Vec<Arc<str>> {
    let mask = mask.to_digit(10).expect("a digit");
    let is_in = |rack: &u32| mask & (1 << rack) != 0;
    (0..3)
        .filter(is_in)
        .map(|rack| Arc::from(rack.to_string()))
        .collect()
}

fn parse_members(field: &str) -> Vec<(String, Subscription)> {
    let member = |text: &str| {
        let (names, topics) = text.split_once(':').expect("a colon");
        let (id, instance) = match names.split_once('@') {
            Some((id, instance)) => (id, Some(Arc::from(instance))),
            None => (names, None),
        };
        let (topics, rack) = match topics.split_once('/') {
            Some((topics, rack)) => (topics, Some(Arc::from(rack))),
            None => (topics, None),
        };
        let subscription = Subscription {
            topics: topics.chars().map(|topic| Arc::from(topic.to_string())).collect(),
            group_instance_id: instance,
            rack,
            ..Subscription::default()
        };
        (id.to_string(), subscription)
    };
    field.split(',').map(member).collect()
}
