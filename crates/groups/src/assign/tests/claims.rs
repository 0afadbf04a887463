//! What members say that they owned, and which of them is believed: cases that no generated group has.

use alloc::vec;

use super::sticky::{owners_of, remember, run};
use super::*;
use crate::TopicPartition;

fn partitions(of: &[(&str, i32)]) -> Vec<TopicPartition> {
    of.iter()
        .map(|(topic, number)| TopicPartition::new(*topic, *number))
        .collect()
}

/// A member that says it owned these partitions in that generation, both in its subscription and in its user data.
fn member(topics: &[&str], owned: &[(&str, i32)], generation: Option<i32>) -> Subscription {
    let mut member = Subscription {
        owned: partitions(owned),
        generation,
        ..subscription(topics)
    };
    remember(&mut member);
    member
}

fn group(
    topics: &[(&str, u32)],
    members: Vec<Subscription>,
) -> (GroupTopics, BTreeMap<String, Subscription>) {
    let layout = |(topic, count): &(&str, u32)| (Arc::from(*topic), TopicLayout::new(*count));
    let ids = ["a", "b", "c"].map(ToString::to_string);
    (
        topics.iter().map(layout).collect(),
        ids.into_iter().zip(members).collect(),
    )
}

/// What each member gets, by its number.
fn shares(
    assignor: &dyn Assignor,
    topics: &[(&str, u32)],
    members: Vec<Subscription>,
) -> Vec<Vec<TopicPartition>> {
    let (topics, members) = group(topics, members);
    let shares = run(assignor, &topics, &members);
    owners_of(&shares, &members);
    shares.into_values().map(|share| share.partitions).collect()
}

const BOTH: [&dyn Assignor; 2] = [&Sticky, &CooperativeSticky];

// Kafka: AbstractStickyAssignorTest.testOwnedPartitionsAreInvalidatedForConsumerWithNoGeneration
#[test]
fn a_claim_without_a_generation_gives_way_to_one_with() {
    let topics = ["t", "u"];
    for assignor in BOTH {
        let members = vec![
            member(&topics, &[("t", 0), ("t", 1), ("u", 1)], Some(10)),
            member(&topics, &[("t", 0), ("u", 1), ("u", 2)], None),
        ];
        let shares = shares(assignor, &[("t", 3), ("u", 3)], members);
        assert_eq!(
            shares[0],
            partitions(&[("t", 0), ("t", 1), ("u", 1)]),
            "{}",
            assignor.name()
        );
        // Nobody else owned the rest, so that nothing of it waits for a second round.
        assert_eq!(
            shares[1],
            partitions(&[("t", 2), ("u", 0), ("u", 2)]),
            "{}",
            assignor.name()
        );
    }
}

// Kafka: AbstractStickyAssignorTest.testEnsurePartitionsAssignedToHighestGeneration
#[test]
fn of_three_claims_the_one_of_the_newest_generation_counts() {
    let all = [("t", 0), ("t", 1), ("t", 2)];
    for newest in 0..3 {
        let generation = |index: usize| Some(if index == newest { 10 } else { 8 - index as i32 });
        let members = (0..3).map(|index| member(&["t"], &all[..1], generation(index)));
        let sticky = shares(&Sticky, &[("t", 3)], members.clone().collect());
        assert_eq!(sticky[newest], partitions(&all[..1]));
        assert!(sticky.iter().all(|share| share.len() == 1), "{sticky:?}");
        let cooperative = shares(&CooperativeSticky, &[("t", 3)], members.collect());
        assert_eq!(cooperative[newest], partitions(&all[..1]));
        assert!(
            cooperative.iter().all(|share| share.len() == 1),
            "{cooperative:?}"
        );
    }
}

// Kafka: StickyAssignorTest.testMemberDataWillHonorUserData, testMemberDataWithInconsistentData
#[test]
fn the_eager_assignor_believes_the_user_data_and_not_the_subscription() {
    let mut first = member(&["t"], &[("t", 2), ("t", 3)], Some(5));
    // An eager member owns nothing when it joins; whatever the subscription says does not count.
    first.owned = partitions(&[("t", 0)]);
    first.generation = Some(99);
    let second = member(&["t"], &[("t", 0), ("t", 1)], Some(5));
    let shares = shares(&Sticky, &[("t", 4)], vec![first, second]);
    assert_eq!(shares[0], partitions(&[("t", 2), ("t", 3)]));
    assert_eq!(shares[1], partitions(&[("t", 0), ("t", 1)]));
}

// Kafka: CooperativeStickyAssignorTest.testMemberDataWithInconsistentData, testAssignorWithOldVersionSubscriptions
#[test]
fn the_cooperative_assignor_takes_the_generation_from_the_user_data_where_the_subscription_has_none() {
    let old = |generation: i32| {
        let mut member = member(&["t"], &[("t", 0), ("t", 1)], Some(generation));
        let last = Assigned {
            assignment: Assignment::default(),
            identity: Identity {
                member_id: "m".into(),
                generation,
                group_instance_id: None,
            },
        };
        member.user_data = CooperativeSticky.subscription_user_data(&member.topics, Some(&last));
        // Subscriptions before version 2 have no generation (KIP-792).
        member.generation = None;
        member
    };
    let shares = shares(&CooperativeSticky, &[("t", 4)], vec![old(7), old(8)]);
    assert_eq!(shares[1], partitions(&[("t", 0), ("t", 1)]));
    assert_eq!(shares[0], partitions(&[("t", 2), ("t", 3)]));
}

// Kafka: AbstractStickyAssignorTest.testNoExceptionThrownWhenOnlySubscribedTopicDeleted, testAssignmentUpdatedForDeletedTopic
#[test]
fn claims_on_a_topic_that_is_gone_or_smaller_now_count_for_nothing() {
    for assignor in BOTH {
        let owned = [("gone", 0), ("gone", 1), ("t", 0), ("t", 7)];
        let members = || {
            vec![
                member(&["gone", "t"], &owned, Some(3)),
                member(&["gone", "t"], &[], Some(3)),
            ]
        };
        let left = shares(assignor, &[("t", 2)], members());
        assert_eq!(
            left,
            [partitions(&[("t", 0)]), partitions(&[("t", 1)])],
            "{}",
            assignor.name()
        );
        let none = shares(assignor, &[], members());
        assert!(none.iter().all(Vec::is_empty), "{}", assignor.name());
    }
}
