//! The rebalance journal: why, who, how long, what moved, and for how long nobody read a partition.

use super::*;
use crate::wire::consumer_protocol::{encode_assignment, encode_subscription};
use crate::{Assignment, Subscription, TopicPartition};

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new("topic", partition)
}

fn all(partitions: &[i32]) -> Vec<TopicPartition> {
    partitions.iter().copied().map(at).collect()
}

/// A member that joins again and owns these partitions still; an eager one owns none.
fn owning(member_id: &str, owned: &[i32]) -> JoinRequest {
    let subscription = Subscription {
        topics: vec!["topic".into()],
        owned: all(owned),
        ..Subscription::default()
    };
    let metadata = encode_subscription(&subscription).expect("short");
    JoinRequest {
        protocols: vec![protocol("range", metadata)],
        ..rejoin(member_id)
    }
}

fn assignment(partitions: &[i32]) -> Bytes {
    let assignment = Assignment {
        partitions: all(partitions),
        user_data: None,
    };
    encode_assignment(&assignment).expect("short")
}

/// The first member leads and gives; then all ask for what they are given.
fn give(kit: &mut Kit, generation: i32, given: &[(&Arc<str>, &[i32])]) {
    let assignments = given
        .iter()
        .map(|(id, partitions)| ((*id).clone(), assignment(partitions)))
        .collect::<Vec<_>>();
    for (index, (id, partitions)) in given.iter().enumerate() {
        let mut request = sync(id, generation, &[]);
        if index == 0 {
            request.assignments = assignments.clone();
        }
        let token = kit.send(GroupRequest::Sync(request));
        assert_eq!(kit.take_sync(token), Ok(assignment(partitions)));
    }
}

/// A group of one member that owns partitions 0 to 3; a second later another joins. Gives the owner, and the newcomer's join.
fn joined_by_another() -> (Kit, Arc<str>, Token) {
    let mut kit = Kit::prompt();
    let token = kit.join(anonymous_join());
    let (owner, joined) = kit.take_joined(token);
    give(&mut kit, joined.generation, &[(&owner, &[0, 1, 2, 3])]);
    kit.advance(1_000);
    let newcomer = kit.join(JoinRequest {
        reason: reason("scaling out"),
        ..owning("", &[])
    });
    (kit, owner, newcomer)
}

/// Two members, of which each owns two partitions; the first leads. Gives their ids and the generation.
fn two_owners() -> (Kit, [Arc<str>; 2], i32) {
    let (mut kit, owner, newcomer) = joined_by_another();
    let token = kit.join(owning(&owner, &[]));
    let (other, joined) = kit.take_joined(newcomer);
    kit.take_joined(token);
    give(
        &mut kit,
        joined.generation,
        &[(&owner, &[0, 1]), (&other, &[2, 3])],
    );
    (kit, [owner, other], joined.generation)
}

fn last(kit: &Kit) -> &Rebalance {
    kit.rebalanced.last().expect("a rebalance has ended")
}

fn part<'a>(rebalance: &'a Rebalance, id: &str) -> &'a RebalanceMember {
    let mut members = rebalance.members.iter();
    let found = members.find(|member| &*member.member.member_id == id);
    found.expect("the member took part")
}

/// Partition and milliseconds of each pause.
fn pauses(rebalance: &Rebalance) -> Vec<(i32, u128)> {
    let each = rebalance.pauses.iter();
    each.map(|pause| (pause.partition.partition, pause.duration.as_millis()))
        .collect()
}

#[test]
fn the_first_rebalance_is_the_first_members_and_pauses_nothing() {
    let (kit, owner, _) = joined_by_another();
    let first = &kit.rebalanced[0];
    let (member, reason) = (who(&owner), None);
    assert_eq!(first.cause, RebalanceCause::MemberJoined { member, reason });
    assert_eq!(
        (first.number, first.generation_before, first.generation),
        (1, 0, Some(1))
    );
    assert_eq!(first.began_ms, EPOCH_MS);
    assert_eq!(first.outcome, RebalanceOutcome::Stable);
    assert_eq!(first.leader, Some(owner.clone()));
    let part = part(first, &owner);
    assert_eq!((part.fate, &part.got), (MemberFate::Joined, &all(&[0, 1, 2, 3])));
    assert!(first.pauses.is_empty() && first.unowned.is_empty() && first.is_ownership_known);
}

#[test]
fn an_eager_member_owns_nothing_from_its_join_on_so_that_all_it_had_is_paused() {
    let (mut kit, owner, newcomer) = joined_by_another();
    // Its next heartbeat tells the owner; then its listener takes a while.
    kit.advance(3_000);
    let token = kit.join(owning(&owner, &[]));
    let (other, joined) = kit.take_joined(newcomer);
    kit.take_joined(token);
    kit.advance(500);
    give(
        &mut kit,
        joined.generation,
        &[(&owner, &[0, 1]), (&other, &[2, 3])],
    );
    let rebalance = last(&kit);
    let (member, why) = (who(&other), reason("scaling out"));
    assert_eq!(
        rebalance.cause,
        RebalanceCause::MemberJoined { member, reason: why }
    );
    assert_eq!(rebalance.began_ms, EPOCH_MS + 1_000);
    let millis = Duration::from_millis;
    // The newcomer's own join began it.
    assert_eq!(
        (rebalance.prepare, rebalance.join, rebalance.sync),
        (millis(0), Some(millis(3_000)), Some(millis(500)))
    );
    assert_eq!(rebalance.duration(), millis(3_500));
    assert_eq!(pauses(rebalance), [(0, 500), (1, 500), (2, 500), (3, 500)]);
    let (first, second) = (part(rebalance, &owner), part(rebalance, &other));
    assert_eq!(
        (first.fate, first.kept, &first.gave_up),
        (MemberFate::Stayed, 2, &all(&[2, 3]))
    );
    assert_eq!(
        (first.joined, first.synced),
        (Some(millis(3_000)), Some(millis(3_500)))
    );
    assert_eq!(
        (second.fate, second.kept, &second.got),
        (MemberFate::Joined, 0, &all(&[2, 3]))
    );
}

#[test]
fn a_cooperative_member_keeps_what_stays_and_what_moves_is_paused_from_its_revocation_to_the_next_round() {
    let (mut kit, owner, newcomer) = joined_by_another();
    let token = kit.join(owning(&owner, &[0, 1, 2, 3]));
    let (other, joined) = kit.take_joined(newcomer);
    kit.take_joined(token);
    give(&mut kit, joined.generation, &[(&owner, &[0, 1]), (&other, &[])]);
    let first = last(&kit).clone();
    assert_eq!((pauses(&first), &first.unowned), (vec![], &all(&[2, 3])));
    assert_eq!(part(&first, &owner).gave_up, all(&[2, 3]));

    kit.advance(200);
    let leader = kit.join(owning(&owner, &[0, 1]));
    kit.advance(300);
    let follower = kit.join(owning(&other, &[]));
    let (_, joined) = kit.take_joined(leader);
    kit.take_joined(follower);
    give(
        &mut kit,
        joined.generation,
        &[(&owner, &[0, 1]), (&other, &[2, 3])],
    );
    let second = last(&kit);
    assert!(matches!(&second.cause, RebalanceCause::LeaderRejoined { member, .. } if *member == who(&owner)));
    assert_eq!(
        (pauses(second), &second.unowned),
        (vec![(2, 500), (3, 500)], &vec![])
    );
    assert_eq!(
        (part(second, &owner).kept, part(second, &other).got.len()),
        (2, 2)
    );
}

#[test]
fn what_a_silent_member_owned_is_paused_since_it_was_last_heard() {
    let (mut kit, [owner, other], generation) = two_owners();
    kit.advance(4_000);
    assert_eq!(kit.heartbeat(&other, generation), Ok(()));
    for _ in 0..2 {
        assert_eq!(kit.heartbeat(&owner, generation), Ok(()));
        kit.advance(5_000);
    }
    // The session of 10 s has ended now; the owner learns of it 3 s later.
    kit.advance(3_000);
    assert!(kit.heartbeat(&owner, generation).is_err());
    let token = kit.join(owning(&owner, &[0, 1]));
    let (_, joined) = kit.take_joined(token);
    give(&mut kit, joined.generation, &[(&owner, &[0, 1, 2, 3])]);
    let rebalance = last(&kit);
    let member = who(&other);
    assert_eq!(rebalance.cause, RebalanceCause::SessionExpired { member });
    assert_eq!(rebalance.prepare, Duration::from_secs(3));
    assert_eq!(pauses(rebalance), [(2, 13_000), (3, 13_000)]);
    let gone = part(rebalance, &other);
    assert_eq!(
        (gone.fate, &gone.gave_up),
        (MemberFate::SessionExpired, &all(&[2, 3]))
    );
    assert_eq!(part(rebalance, &owner).got, all(&[2, 3]));
}

#[test]
fn a_member_that_comes_before_the_assignment_interrupts_and_the_next_rebalance_tells_the_whole_pause() {
    let (mut kit, [owner, other], generation) = two_owners();
    let first = kit.join(owning(&owner, &[]));
    let second = kit.join(owning(&other, &[]));
    kit.take_joined(first);
    kit.take_joined(second);
    kit.advance(400);
    let newcomer = kit.join(owning("", &[]));
    let interrupted = last(&kit);
    assert_eq!(interrupted.outcome, RebalanceOutcome::Interrupted);
    assert_eq!(
        (interrupted.generation, interrupted.sync),
        (Some(generation + 1), None)
    );
    assert_eq!(part(interrupted, &owner).gave_up, vec![]);
    let tokens = [kit.join(owning(&owner, &[])), kit.join(owning(&other, &[]))];
    let (third, joined) = kit.take_joined(newcomer);
    for token in tokens {
        kit.take_joined(token);
    }
    give(
        &mut kit,
        joined.generation,
        &[(&owner, &[0, 1]), (&other, &[2]), (&third, &[3])],
    );
    let rebalance = last(&kit);
    assert_eq!(rebalance.generation_before, generation + 1);
    assert_eq!(pauses(rebalance), [(0, 400), (1, 400), (2, 400), (3, 400)]);
    // Against what they had when all had something.
    assert_eq!(
        (part(rebalance, &owner).kept, part(rebalance, &owner).got.len()),
        (2, 0)
    );
    assert_eq!(
        (part(rebalance, &other).kept, &part(rebalance, &other).gave_up),
        (1, &all(&[3]))
    );
}

#[test]
fn the_end_of_the_last_member_is_a_rebalance_without_pauses_later() {
    let (mut kit, [owner, other], generation) = two_owners();
    let members = vec![
        LeavingMember {
            reason: reason("the consumer is being closed"),
            ..leaving(&owner, None)
        },
        leaving(&other, None),
    ];
    kit.leave_all(members);
    let rebalance = last(&kit);
    let (members, why) = (
        vec![who(&owner), who(&other)],
        reason("the consumer is being closed"),
    );
    assert_eq!(
        rebalance.cause,
        RebalanceCause::MembersLeft {
            members,
            unlisted: 0,
            reason: why
        }
    );
    assert_eq!(rebalance.outcome, RebalanceOutcome::Empty);
    assert_eq!(
        (rebalance.generation, rebalance.sync),
        (Some(generation + 1), None)
    );
    assert_eq!(part(rebalance, &owner).gave_up, all(&[0, 1]));
    assert_eq!(rebalance.unowned, all(&[0, 1, 2, 3]));
    kit.advance(60_000);
    let token = kit.join(anonymous_join());
    let (id, joined) = kit.take_joined(token);
    give(&mut kit, joined.generation, &[(&id, &[0, 1, 2, 3])]);
    assert_eq!(pauses(last(&kit)), []);
}

#[test]
fn what_happens_while_members_are_waited_for_is_told_up_to_a_bound() {
    let (mut kit, owner, _newcomer) = joined_by_another();
    for _ in 0..20 {
        kit.join(owning("", &[]));
    }
    kit.advance(10_000);
    // The owner's session ended; that was the last that was waited for.
    let open = kit.harness.machine().rebalances(GROUP, kit.harness.now());
    let open = open.last().expect("it is under way");
    assert_eq!((open.outcome, open.generation), (RebalanceOutcome::Open, Some(2)));
    assert_eq!(open.later_causes.len(), Rebalance::MAX_LATER_CAUSES);
    assert_eq!(open.later_causes_unlisted, 21 - Rebalance::MAX_LATER_CAUSES);
    let gone = part(open, &owner);
    assert_eq!(gone.fate, MemberFate::SessionExpired);
}

#[test]
fn members_that_come_and_go_while_others_are_waited_for_are_told_up_to_a_bound() {
    let (mut kit, _owner, _newcomer) = joined_by_another();
    for number in 0..Rebalance::MAX_DEPARTED + 5 {
        let instance = alloc::format!("i-{number}");
        kit.join(static_join(&instance));
        kit.leave_all(vec![leaving("", Some(&instance))]);
    }
    let open = kit.harness.machine().rebalances(GROUP, kit.harness.now());
    let open = open.last().expect("it is under way");
    let gone = open.members.iter().filter(|it| it.fate == MemberFate::Left);
    assert_eq!(
        (gone.count(), open.departed_unlisted),
        (Rebalance::MAX_DEPARTED, 5)
    );
}

#[test]
fn a_member_that_does_not_join_again_in_time_is_told_with_what_it_had() {
    let (mut kit, [owner, other], generation) = two_owners();
    let token = kit.join(owning(&owner, &[0, 1]));
    for _ in 0..12 {
        kit.advance(5_000);
        let _ = kit.heartbeat(&other, generation);
    }
    let (_, joined) = kit.take_joined(token);
    give(&mut kit, joined.generation, &[(&owner, &[0, 1, 2, 3])]);
    let rebalance = last(&kit);
    let members = vec![who(&other)];
    assert_eq!(
        rebalance.later_causes,
        [RebalanceCause::JoinExpired { members, unlisted: 0 }]
    );
    let gone = part(rebalance, &other);
    assert_eq!((gone.fate, gone.joined), (MemberFate::JoinExpired, None));
    assert_eq!(gone.gave_up, all(&[2, 3]));
    assert_eq!(rebalance.join, Some(Duration::from_secs(60)));
}

#[test]
fn the_journal_of_a_group_is_bounded() {
    let mut kit = Kit::prompt();
    for _ in 0..20 {
        let token = kit.join(anonymous_join());
        let (id, _) = kit.take_joined(token);
        kit.leave(&id);
    }
    let kept = kit.harness.machine().rebalances(GROUP, kit.harness.now());
    let numbers: Vec<u64> = kept.iter().map(|rebalance| rebalance.number).collect();
    // Each member came and went.
    assert_eq!(numbers, (25..=40).collect::<Vec<_>>());
    assert_eq!(kit.rebalanced.len(), 40, "and each was told once");
}

#[test]
fn members_with_the_longest_names_are_told_up_to_a_bound() {
    let (mut kit, _owner, _newcomer) = joined_by_another();
    for number in 0..12 {
        let instance = alloc::format!("{number:>32000}");
        kit.join(static_join(&instance));
        kit.leave_all(vec![leaving("", Some(&instance))]);
    }
    let open = kit.harness.machine().rebalances(GROUP, kit.harness.now());
    let open = open.last().expect("it is under way");
    let gone = open.members.iter().filter(|it| it.fate == MemberFate::Left);
    // Its id has the instance's name, too: four of them have 256,000 bytes and some, five would have more than 256 KiB.
    assert_eq!((gone.count(), open.departed_unlisted), (4, 8));
}

#[test]
fn fewer_rebalances_are_kept_where_names_are_long() {
    let mut kit = Kit::prompt();
    for number in 0..20 {
        let instance = alloc::format!("{number:>32000}");
        let token = kit.join(static_join(&instance));
        kit.take_joined(token);
        kit.leave_all(vec![leaving("", Some(&instance))]);
    }
    let kept = kit.harness.machine().rebalances(GROUP, kit.harness.now());
    assert_eq!(kept.last().expect("the last").number, 40);
    let names = |who: &Participant| {
        let instance = who
            .group_instance_id
            .as_ref()
            .map_or(0, |instance| instance.len());
        who.member_id.len() + instance + who.client_id.len() + who.client_host.len()
    };
    let all = |rebalance: &Arc<Rebalance>| {
        let members = rebalance.members.iter().map(|member| names(&member.member));
        members.chain(rebalance.cause.members().iter().map(names)).sum()
    };
    let each: Vec<usize> = kept.iter().map(all).collect();
    let (total, largest) = (each.iter().sum::<usize>(), each.iter().max().expect("one"));
    assert!(total <= 1 << 20 && total + largest > 1 << 20, "{each:?}");
}

#[test]
fn more_partitions_than_the_journal_lists_are_counted() {
    let mut kit = Kit::prompt();
    let token = kit.join(anonymous_join());
    let (id, joined) = kit.take_joined(token);
    let many: Vec<i32> = (0..12_000).collect();
    give(&mut kit, joined.generation, &[(&id, &many)]);
    let rebalance = last(&kit);
    assert_eq!(
        (part(rebalance, &id).got.len(), rebalance.unlisted),
        (10_000, 2_000)
    );
}

#[test]
fn assignments_that_cannot_be_read_leave_unknown_what_moved() {
    let mut kit = Kit::prompt();
    let token = kit.join(anonymous_join());
    let (id, joined) = kit.take_joined(token);
    let token = kit.sync(&id, joined.generation, &[(&id, "whatever it means")]);
    kit.take_sync(token).expect("an assignment");
    assert!(!last(&kit).is_ownership_known);
    assert_eq!(part(last(&kit), &id).got, []);
}

#[test]
fn a_loaded_group_knows_what_its_members_own() {
    let (kit, [owner, other], generation) = two_owners();
    let config = CoordinatorConfig {
        initial_rebalance_delay_ms: 0,
        ..CoordinatorConfig::default()
    };
    let mut kit = Kit::recovered(config, &kit.log);
    assert_eq!(kit.harness.machine().rebalances(GROUP, kit.harness.now()), []);
    kit.leave(&other);
    assert!(kit.heartbeat(&owner, generation).is_err());
    kit.advance(700);
    let token = kit.join(owning(&owner, &[0, 1]));
    let (_, joined) = kit.take_joined(token);
    give(&mut kit, joined.generation, &[(&owner, &[0, 1, 2, 3])]);
    let rebalance = last(&kit);
    assert_eq!(pauses(rebalance), [(2, 700), (3, 700)]);
    assert_eq!(part(rebalance, &owner).kept, 2);
    assert_eq!(part(rebalance, &other).gave_up, all(&[2, 3]));
}

#[test]
fn a_static_member_that_returns_is_the_same_to_the_journal() {
    let mut kit = Kit::prompt();
    let token = kit.join(static_join("one"));
    let (old, joined) = kit.take_joined(token);
    give_static(&mut kit, &old, joined.generation);
    let told = kit.rebalanced.len();
    let token = kit.join(static_join("one"));
    let (new, _) = kit.take_joined(token);
    assert_eq!(kit.rebalanced.len(), told, "it returned without a rebalance");
    kit.leave_all(vec![leaving("", Some("one"))]);
    let rebalance = last(&kit);
    assert_eq!(part(rebalance, &new).gave_up, all(&[0, 1]));
    let RebalanceCause::MembersLeft { members, .. } = &rebalance.cause else {
        panic!("{:?}", rebalance.cause);
    };
    assert_eq!(members[0].member_id, new);
    assert_eq!(members[0].group_instance_id.as_deref(), Some("one"));
}

fn give_static(kit: &mut Kit, id: &Arc<str>, generation: i32) {
    let mut request = sync(id, generation, &[]);
    request.group_instance_id = Some("one".into());
    request.assignments = vec![(id.clone(), assignment(&[0, 1]))];
    let token = kit.send(GroupRequest::Sync(request));
    kit.take_sync(token).expect("an assignment");
}

/// The bytes of all names that the causes have.
fn names_of_causes(rebalance: &Rebalance) -> usize {
    let causes = core::iter::once(&rebalance.cause).chain(&rebalance.later_causes);
    let names = |who: &Participant| {
        let instance = who.group_instance_id.as_deref().unwrap_or_default();
        who.member_id.len() + instance.len() + who.client_id.len() + who.client_host.len()
    };
    causes.flat_map(RebalanceCause::members).map(names).sum()
}

#[test]
fn causes_with_very_long_names_list_their_members_up_to_a_bound() {
    let (mut kit, _owner, _newcomer) = joined_by_another();
    let instances: Vec<String> = (0..100).map(|number| alloc::format!("{number:>32000}")).collect();
    for instance in &instances {
        kit.join(static_join(instance));
    }
    let leaving: Vec<_> = instances
        .iter()
        .map(|instance| leaving("", Some(instance)))
        .collect();
    // All at once, while the group waits for its members: a later cause, behind as many joins as fit.
    kit.leave_all(leaving.clone());
    let open = kit.harness.machine().rebalances(GROUP, kit.harness.now());
    let open = open.last().expect("it is under way").clone();
    // Two names of 32,000 bytes each: four joins have less than 256 KiB, five would have more.
    assert_eq!((open.later_causes.len(), open.later_causes_unlisted), (4, 97));
    assert!(names_of_causes(&open) <= 256 << 10);
    // All at once from a group that has a generation: the first cause.
    let mut kit = Kit::new();
    for instance in &instances {
        kit.join(static_join(instance));
    }
    kit.advance(6_000);
    kit.leave_all(leaving);
    let told = kit.rebalanced.iter().flat_map(|told| {
        let causes = core::iter::once(&told.cause).chain(&told.later_causes);
        causes.filter(|cause| cause.name() == "members_left")
    });
    let told: Vec<_> = told
        .map(|cause| (cause.members().len(), cause.members_unlisted()))
        .collect();
    assert_eq!(told, [(1, 99)]);
    assert!(
        kit.rebalanced
            .iter()
            .all(|told| names_of_causes(told) <= 512 << 10)
    );
}

#[test]
fn the_last_rebalance_is_bounded_as_well() {
    let mut kit = Kit::new();
    for number in 0..100 {
        kit.join(static_join(&alloc::format!("{number:>32000}")));
    }
    kit.advance(6_000);
    let kept = kit.harness.machine().rebalances(GROUP, kit.harness.now());
    let last = kept.last().expect("it is under way");
    let listed = last.members.len();
    assert_eq!(listed + last.members_unlisted, 100);
    // A name of 32,000 bytes, and one of as many and some: 2 MiB have room for 32 of both.
    assert_eq!(listed, 32);
}
