//! What holds of every assignment, on groups larger than the ones that Kafka's own classes were asked about.

use alloc::format;

use kohort_machine::Prng;

use super::sticky::{next, owners_of, run};
use super::*;

const KAFKAS: [&dyn Assignor; 4] = [&Range, &RoundRobin, &Sticky, &CooperativeSticky];

/// A group of up to 40 members on up to 12 topics.
pub(super) fn group(prng: &mut Prng, equal: bool) -> (GroupTopics, BTreeMap<String, Subscription>) {
    let topics: GroupTopics = (0..1 + prng.below(12))
        .map(|topic| {
            (
                Arc::from(format!("t{topic}")),
                TopicLayout::new(prng.below(40) as u32),
            )
        })
        .collect();
    let mut members = BTreeMap::new();
    for member in 0..1 + prng.below(40) {
        let wanted = topics.keys().filter(|_| equal || prng.below(3) == 0);
        let subscription = Subscription {
            topics: wanted.cloned().collect(),
            ..Subscription::default()
        };
        members.insert(format!("m{member:02}"), subscription);
    }
    (topics, members)
}

/// How many partitions somebody subscribes to.
fn wanted(topics: &GroupTopics, members: &BTreeMap<String, Subscription>) -> usize {
    let is_wanted = |topic: &&Arc<str>| members.values().any(|member| member.topics.contains(*topic));
    let count = |topic: &Arc<str>| topics[topic].partitions as usize;
    topics.keys().filter(is_wanted).map(count).sum()
}

#[test]
fn every_partition_that_somebody_wants_has_one_owner_who_wants_it() {
    let mut prng = Prng::from_seed(31);
    for round in 0..300 {
        let (topics, members) = group(&mut prng, round % 3 == 0);
        for assignor in KAFKAS {
            let shares = run(assignor, &topics, &members);
            assert!(shares.keys().eq(members.keys()));
            let owners = owners_of(&shares, &members);
            assert_eq!(owners.len(), wanted(&topics, &members), "{}", assignor.name());
        }
    }
}

#[test]
fn with_equal_subscriptions_the_sticky_ones_move_exactly_what_balance_asks_for() {
    let mut prng = Prng::from_seed(32);
    for _ in 0..300 {
        let (topics, mut members) = group(&mut prng, true);
        members = next(&members, &run(&Sticky, &topics, &members));
        let all: Vec<Arc<str>> = topics.keys().cloned().collect();
        for gone in 0..prng.below(4) {
            if members.len() > 1 {
                members.remove(&format!("m{:02}", gone * 3));
            }
        }
        for new in 0..prng.below(4) {
            let subscription = Subscription {
                topics: all.clone(),
                ..Subscription::default()
            };
            members.insert(format!("n{new}"), subscription);
        }
        let shares = run(&Sticky, &topics, &members);
        let kept = |id: &String| {
            let had = &members[id].owned;
            let shared = shares[id].partitions.iter();
            shared.filter(|partition| had.contains(partition)).count()
        };
        let kept: usize = members.keys().map(kept).sum();
        // Nobody can keep more than its share, and as many shares as the division leaves over are one larger.
        let total = wanted(&topics, &members);
        let (least, mut more) = (total / members.len(), total % members.len());
        let mut may_keep = 0;
        for member in members.values() {
            let is_larger = member.owned.len() > least && more > 0;
            more -= usize::from(is_larger);
            may_keep += member.owned.len().min(least + usize::from(is_larger));
        }
        assert_eq!(kept, may_keep);
        let is_even = |share: &Assignment| (least..=least + 1).contains(&share.partitions.len());
        assert!(shares.values().all(is_even));
    }
}

#[test]
fn a_member_that_leaves_takes_nothing_from_the_others_of_a_sticky_group() {
    let mut prng = Prng::from_seed(33);
    for round in 0..300 {
        let is_equal = round % 3 == 0;
        let (topics, members) = group(&mut prng, is_equal);
        let mut members = next(&members, &run(&Sticky, &topics, &members));
        if members.len() == 1 {
            continue;
        }
        members.pop_first();
        for assignor in [&Sticky as &dyn Assignor, &CooperativeSticky] {
            let shares = run(assignor, &topics, &members);
            let lost = |(id, member): (&String, &Subscription)| {
                let has = &shares[id].partitions;
                member
                    .owned
                    .iter()
                    .filter(|partition| !has.contains(partition))
                    .count()
            };
            let lost: usize = members.iter().map(lost).sum();
            // With different subscriptions a gap can open beside the one that left.
            assert!(lost == 0 || !is_equal, "{}", assignor.name());
            if lost == 0 {
                let again = run(assignor, &topics, &next(&members, &shares));
                assert_eq!(again, shares, "it is settled at once");
            }
        }
    }
}
