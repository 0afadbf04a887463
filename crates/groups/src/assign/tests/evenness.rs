//! What the sticky assignors make of groups against every other sharing of them: none is more even, and of those that are as even in
//! none less is on other racks or moves.

use alloc::format;
use alloc::vec;

use kohort_machine::Prng;

use super::sticky::{Owners, next, owners_of, racks_matter, remember, run};
use super::*;
use crate::TopicPartition;

type Members = BTreeMap<String, Subscription>;

/// The members of a group who own so many partitions of their topics, the first ones that are left.
fn members(topics: &[&[&str]], owned: &[&[(&str, u32)]]) -> Members {
    let mut given: BTreeMap<&str, i32> = BTreeMap::new();
    let mut members = Members::new();
    for (number, (topics, owned)) in topics.iter().zip(owned).enumerate() {
        let mut member = subscription(topics);
        for (topic, count) in *owned {
            let first = given.entry(*topic).or_default();
            let numbers = *first..*first + *count as i32;
            *first = numbers.end;
            member
                .owned
                .extend(numbers.map(|number| TopicPartition::new(*topic, number)));
        }
        member.generation = Some(1);
        remember(&mut member);
        members.insert(format!("m{number:03}"), member);
    }
    members
}

fn loads(shares: &Shares) -> Vec<usize> {
    shares.values().map(|share| share.partitions.len()).collect()
}

#[test]
fn who_can_take_nothing_itself_of_one_with_two_more_gets_it_from_a_third_one() {
    let topics = GroupTopics::from([
        ("t".into(), TopicLayout::new(3)),
        ("u".into(), TopicLayout::new(3)),
    ]);
    let members = members(
        &[&["t"], &["t", "u"], &["u"]],
        &[&[("t", 3)], &[("u", 2)], &[("u", 1)]],
    );
    let shares = run(&Sticky, &topics, &members);
    assert_eq!(loads(&shares), [2, 2, 2]);
    let kept = |(id, share): (&String, &Assignment)| {
        let owned = &members[id].owned;
        let kept = share
            .partitions
            .iter()
            .filter(|partition| owned.contains(partition));
        kept.count()
    };
    assert_eq!(
        shares.iter().map(kept).collect::<Vec<_>>(),
        [2, 1, 1],
        "two had to move"
    );
}

#[test]
fn a_slope_of_many_members_is_levelled() {
    // Each has one less than the one before, and shares with that one what that one has.
    let names: Vec<String> = (0..20).map(|number| format!("t{number:02}")).collect();
    let counts: Vec<u32> = (46..=64).rev().collect();
    let pairs: Vec<[&str; 2]> = names.windows(2).map(|pair| [&*pair[0], &*pair[1]]).collect();
    let subscriptions: Vec<&[&str]> = pairs.iter().map(|pair| &pair[..]).collect();
    let all: Vec<[(&str, u32); 1]> = pairs
        .iter()
        .zip(&counts)
        .map(|(pair, count)| [(pair[1], *count)])
        .collect();
    let owned: Vec<&[(&str, u32)]> = all.iter().map(|owned| &owned[..]).collect();
    let layout = |[(topic, count)]: &[(&str, u32); 1]| (Arc::from(*topic), TopicLayout::new(*count));
    let topics: GroupTopics = all.iter().map(layout).collect();
    let shares = run(&Sticky, &topics, &members(&subscriptions, &owned));
    assert_eq!(loads(&shares), [55; 19]);
}

/// A small group with a past, on racks or not.
fn small_group(prng: &mut Prng) -> (GroupTopics, Members) {
    let has_racks = prng.below(2) == 0;
    let mut left = 7;
    let mut topics = GroupTopics::new();
    for topic in 0..1 + prng.below(4) {
        let mut layout = TopicLayout::new((1 + prng.below(4)).min(left) as u32);
        left -= u64::from(layout.partitions);
        let mut racks = || -> Vec<Arc<str>> {
            let first = prng.below(3);
            let other = prng.below(3);
            vec![format!("r{first}").into(), format!("r{other}").into()]
        };
        if has_racks {
            layout.racks = (0..layout.partitions).map(|_| racks()).collect();
        }
        topics.insert(format!("t{topic}").into(), layout);
    }
    let is_equal = prng.below(4) == 0;
    let mut members = Members::new();
    for number in 0..1 + prng.below(4) {
        let wanted = topics.keys().filter(|_| is_equal || prng.below(2) == 0);
        let member = Subscription {
            topics: wanted.cloned().collect(),
            generation: Some(1),
            ..Subscription::default()
        };
        members.insert(format!("m{number}"), member);
    }
    for (topic, layout) in &topics {
        for number in 0..layout.partitions {
            let owner = members.values_mut().nth(prng.below(5) as usize);
            if let Some(owner) = owner.filter(|owner| owner.topics.contains(topic)) {
                owner
                    .owned
                    .push(TopicPartition::new(topic.clone(), number as i32));
            }
        }
    }
    for member in members.values_mut() {
        if has_racks && prng.below(5) > 0 {
            member.rack = Some(format!("r{}", prng.below(3)).into());
        }
        remember(member);
    }
    (topics, members)
}

/// What an owner means for one partition.
struct Choice {
    member: usize,
    moves: usize,
    far: usize,
}

/// For each partition that somebody wants, everybody who may have it.
fn choices(topics: &GroupTopics, members: &Members) -> BTreeMap<TopicPartition, Vec<Choice>> {
    let racks_matter = racks_matter(topics, members);
    let mut choices = BTreeMap::new();
    for (topic, layout) in topics {
        for number in 0..layout.partitions as usize {
            let partition = TopicPartition::new(topic.clone(), number as i32);
            let owner = members
                .values()
                .position(|member| member.owned.contains(&partition));
            let near = layout.racks.get(number);
            let wants = members
                .values()
                .enumerate()
                .filter(|(_, one)| one.topics.contains(topic));
            let is_far = |one: &Subscription| {
                let is_near = |rack: &Arc<str>| near.is_some_and(|near| near.contains(rack));
                racks_matter && one.rack.as_ref().is_some_and(|rack| !is_near(rack))
            };
            let choice = |(member, one): (usize, &Subscription)| Choice {
                member,
                moves: usize::from(owner.is_some_and(|owner| owner != member)),
                far: usize::from(is_far(one)),
            };
            let all: Vec<Choice> = wants.map(choice).collect();
            if !all.is_empty() {
                choices.insert(partition, all);
            }
        }
    }
    choices
}

/// How uneven, and how many far or moved: smaller is better, the first difference first.
type Worth = (usize, usize);

fn worth(loads: &[usize], moves: usize, far: usize) -> Worth {
    let pairs = loads.iter().flat_map(|a| loads.iter().map(|b| a.abs_diff(*b)));
    (pairs.sum::<usize>() / 2, far + moves)
}

/// The best of all sharings of what is left.
fn best(left: &[&[Choice]], loads: &mut [usize], moves: usize, far: usize) -> Worth {
    let Some((first, left)) = left.split_first() else {
        return worth(loads, moves, far);
    };
    let mut best_of = |choice: &Choice| {
        loads[choice.member] += 1;
        let best = best(left, loads, moves + choice.moves, far + choice.far);
        loads[choice.member] -= 1;
        best
    };
    first.iter().map(&mut best_of).min().expect("somebody wants it")
}

#[test]
fn no_other_sharing_of_a_small_group_is_better() {
    let mut prng = Prng::from_seed(34);
    for round in 0..400 {
        let (topics, members) = small_group(&mut prng);
        let choices = choices(&topics, &members);
        let left: Vec<&[Choice]> = choices.values().map(Vec::as_slice).collect();
        let best = best(&left, &mut vec![0; members.len()], 0, 0);
        let owners: Owners = owners_of(&run(&Sticky, &topics, &members), &members);
        let (mut loads, mut moves, mut far) = (vec![0; members.len()], 0, 0);
        for (partition, all) in &choices {
            let is_owner = |choice: &&Choice| members.keys().nth(choice.member) == owners.get(partition);
            let choice = all.iter().find(is_owner).expect("it has an owner who wants it");
            loads[choice.member] += 1;
            moves += choice.moves;
            far += choice.far;
        }
        assert_eq!(worth(&loads, moves, far), best, "{round}: {topics:?} {members:?}");
    }
}

/// Whether partitions could go from a member, by way of others, to one with two less.
fn is_uneven(shares: &Shares, members: &Members) -> bool {
    let loads = loads(shares);
    let takes = |giver: &Assignment, taker: &Subscription| {
        giver
            .partitions
            .iter()
            .any(|partition| taker.topics.contains(&partition.topic))
    };
    let takers = |giver: &Assignment| -> Vec<usize> {
        let takers = members.values().enumerate();
        takers
            .filter(|(_, taker)| takes(giver, taker))
            .map(|(number, _)| number)
            .collect()
    };
    let takers: Vec<Vec<usize>> = shares.values().map(takers).collect();
    (0..loads.len()).any(|first| {
        let mut reached = vec![first];
        let mut next = 0;
        while let Some(giver) = reached.get(next).copied() {
            next += 1;
            for taker in &takers[giver] {
                if !reached.contains(taker) {
                    reached.push(*taker);
                }
            }
        }
        reached.iter().any(|last| loads[*last] + 2 <= loads[first])
    })
}

#[test]
fn no_chain_of_moves_makes_a_larger_group_more_even() {
    let mut prng = Prng::from_seed(35);
    for round in 0..60 {
        let (mut topics, mut members) = super::properties::group(&mut prng, false);
        for _ in 0..3 {
            let shares = run(&Sticky, &topics, &members);
            assert!(!is_uneven(&shares, &members), "{round}");
            members = next(&members, &shares);
            if let Some(layout) = topics.values_mut().nth(prng.below(12) as usize) {
                layout.partitions += prng.below(40) as u32;
            }
            members.pop_first();
        }
    }
}
