//! What members say of themselves is bounded for all groups together.

use super::*;

fn kit(most_said: usize) -> Kit {
    Kit::with(CoordinatorConfig {
        most_said,
        ..CoordinatorConfig::default()
    })
}

/// A join of another group's first member, whose metadata has so many bytes.
fn saying(group_id: &str, bytes: usize) -> JoinRequest {
    JoinRequest {
        group_id: group_id.into(),
        protocols: vec![protocol("range", Bytes::from(vec![0; bytes]))],
        ..anonymous_join()
    }
}

#[test]
fn a_newcomer_beyond_what_all_groups_may_say_is_told_to_come_again() {
    let mut kit = kit(100_000);
    let waiting = [kit.join(saying("one", 40_000)), kit.join(saying("two", 40_000))];
    let refused = kit.join(saying("three", 40_000));
    assert_eq!(kit.take_join_refusal(refused), Refusal::NotAvailable);
    assert!(waiting.iter().all(|token| kit.waits(*token)));
    let machine = kit.harness.machine();
    assert!(!machine.groups.contains_key("three"), "it makes no group");
    // An id alone, which comes before the join, is refused as well.
    let refused = kit.join(JoinRequest {
        requires_known_member_id: true,
        ..saying("three", 40_000)
    });
    assert_eq!(kit.take_join_refusal(refused), Refusal::NotAvailable);
    let small = kit.join(saying("three", 1_000));
    assert!(kit.waits(small), "there is room for one that says less");
}

#[test]
fn what_a_member_said_counts_no_more_when_it_is_gone() {
    let mut kit = kit(100_000);
    let (ids, _) = kit.stable(2);
    assert!(kit.harness.machine().cx.held.said > 1_000);
    kit.leave(&ids[0]);
    kit.advance(60_000);
    assert_eq!(kit.state(), "Empty");
    assert_eq!(kit.harness.machine().cx.held.said, 0);
    kit.join(saying(GROUP, 40_000));
    kit.join(saying("two", 40_000));
    for partition in 0..50 {
        kit.step(Event::Unload { partition });
    }
    assert_eq!(kit.harness.machine().cx.held.said, 0);
}

#[test]
fn an_id_that_was_given_out_counts_until_its_session_ends() {
    let mut kit = kit(100_000);
    let ids: Vec<_> = (0..100).map(|_| kit.join(modern_join())).collect();
    for token in ids {
        assert_eq!(kit.take_join_refusal(token), Refusal::MemberIdRequired);
    }
    let refused = kit.join(saying("two", 60_000));
    assert_eq!(kit.take_join_refusal(refused), Refusal::NotAvailable);
    kit.advance(10_000);
    assert_eq!(kit.harness.machine().cx.held.said, 0);
}

#[test]
fn a_member_that_says_no_more_than_before_is_never_refused() {
    let mut kit = kit(100_000);
    let joined = kit.join(saying(GROUP, 60_000));
    kit.advance(3_000);
    let (member_id, _) = kit.take_joined(joined);
    kit.join(saying("two", 25_000));
    let again = |bytes| JoinRequest {
        member_id: member_id.clone(),
        ..saying(GROUP, bytes)
    };
    let refused = kit.join(again(80_000));
    assert_eq!(kit.take_join_refusal(refused), Refusal::NotAvailable);
    for bytes in [60_000, 50_000] {
        let token = kit.join(again(bytes));
        let (_, joined) = kit.take_joined(token);
        assert_eq!(&*joined.members[0].member_id, &*member_id);
    }
}

#[test]
fn a_static_member_that_returns_takes_the_place_of_what_it_said() {
    let mut kit = kit(100_000);
    let instance = |bytes| JoinRequest {
        group_instance_id: Some("instance".into()),
        ..saying(GROUP, bytes)
    };
    kit.join(instance(60_000));
    let token = kit.join(instance(60_000));
    assert!(kit.waits(token));
    let refused = kit.join(saying("two", 60_000));
    assert_eq!(kit.take_join_refusal(refused), Refusal::NotAvailable);
}

#[test]
fn those_who_say_much_leave_half_of_it_to_the_others() {
    let mut kit = kit(400_000);
    let large = kit.join(saying("one", 150_000));
    assert!(kit.waits(large));
    let refused = kit.join(saying("two", 100_000));
    assert_eq!(kit.take_join_refusal(refused), Refusal::NotAvailable);
    for group in ["three", "four", "five"] {
        let token = kit.join(saying(group, 60_000));
        assert!(kit.waits(token), "{group}");
    }
}

#[test]
fn assignments_beyond_what_all_groups_may_say_are_refused_and_the_group_rebalances() {
    let mut kit = kit(10_000);
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    let waiting = kit.sync(&follower, generation, &[]);
    let much = "x".repeat(9_000);
    let appends = kit.appends;
    let leading = kit.sync(&leader, generation, &[(&leader, "one"), (&follower, &much)]);
    assert_eq!(kit.take_sync(leading), Err(Refusal::NotAvailable));
    assert_eq!(kit.take_sync(waiting), Err(Refusal::NotAvailable));
    assert_eq!((kit.state(), kit.appends), ("PreparingRebalance", appends));
    let refusal = Refusal::NotAvailable;
    assert_eq!(
        kit.cause(),
        Some(&RebalanceCause::AssignmentNotStored { refusal })
    );
    let tokens = [kit.join(rejoin(&leader)), kit.join(rejoin(&follower))];
    let generation = tokens.map(|token| kit.take_joined(token).1.generation)[0];
    let leading = kit.sync(&leader, generation, &[(&leader, "one")]);
    assert_eq!(kit.take_sync(leading), Ok(bytes("one")));
}

/// Two groups of one member that have an assignment of `bytes` each, and a third whose first one is refused: the bound is full.
fn full_of_assignments(kit: &mut Kit, bytes: usize) -> (Arc<str>, i32) {
    let much = "x".repeat(bytes);
    let [own, _] = [GROUP, "two"].map(|group_id| {
        let joined = kit.join(saying(group_id, 100));
        kit.advance(3_000);
        let (member_id, joined) = kit.take_joined(joined);
        let assigned = SyncRequest {
            group_id: group_id.into(),
            ..sync(&member_id, joined.generation, &[(&member_id, &much)])
        };
        let token = kit.send(GroupRequest::Sync(assigned));
        kit.take_sync(token).expect("there is room");
        (member_id, joined.generation)
    });
    own
}

#[test]
fn a_group_that_was_interrupted_at_a_full_bound_gets_its_assignment_back() {
    let mut kit = kit(100_000);
    let (leader, _) = full_of_assignments(&mut kit, 43_000);
    assert_eq!(kit.harness.machine().cx.held.assigned, 86_000);
    let much = "x".repeat(43_000);
    let newcomer = kit.join(anonymous_join());
    let again = kit.join(rejoin(&leader));
    kit.take_joined(again);
    assert_eq!(kit.state(), "CompletingRebalance");
    // It goes before the leader has assigned: nobody has an assignment any more, and the others take no part of it.
    let (newcomer, _) = kit.take_joined(newcomer);
    kit.leave(&newcomer);
    assert_eq!(kit.state(), "PreparingRebalance");
    assert_eq!(kit.harness.machine().cx.held.assigned, 86_000);
    let other = kit.join(saying("three", 100));
    kit.advance(3_000);
    let (other, joined) = kit.take_joined(other);
    let request = SyncRequest {
        group_id: "three".into(),
        ..sync(&other, joined.generation, &[(&other, &much)])
    };
    let refused = kit.send(GroupRequest::Sync(request));
    assert_eq!(kit.take_sync(refused), Err(Refusal::NotAvailable));
    let again = kit.join(rejoin(&leader));
    let (_, joined) = kit.take_joined(again);
    let token = kit.sync(&leader, joined.generation, &[(&leader, &much)]);
    assert_eq!(kit.take_sync(token), Ok(bytes(&much)));
    assert_eq!(kit.state(), "Stable");
}

#[test]
fn assignments_have_room_where_members_have_said_all_that_they_may() {
    let mut kit = kit(100_000);
    let joined = kit.join(anonymous_join());
    kit.join(saying("two", 60_000));
    kit.join(saying("three", 22_000));
    let refused = kit.join(saying("four", 30_000));
    assert_eq!(kit.take_join_refusal(refused), Refusal::NotAvailable);
    kit.advance(3_000);
    let (id, joined) = kit.take_joined(joined);
    let much = "x".repeat(60_000);
    let token = kit.sync(&id, joined.generation, &[(&id, &much)]);
    assert_eq!(kit.take_sync(token), Ok(bytes(&much)));
}

#[test]
fn a_member_that_names_what_it_owns_is_accepted_where_newcomers_are_not() {
    let mut kit = kit(100_000);
    let joined = kit.join(anonymous_join());
    kit.join(saying("two", 60_000));
    kit.join(saying("three", 22_000));
    for bytes in [4_000, 14_000] {
        let refused = kit.join(saying("four", bytes));
        assert_eq!(kit.take_join_refusal(refused), Refusal::NotAvailable);
    }
    kit.advance(3_000);
    let (member_id, _) = kit.take_joined(joined);
    let again = |owned| JoinRequest {
        member_id: member_id.clone(),
        ..saying(GROUP, owned)
    };
    let token = kit.join(again(14_000));
    let (_, joined) = kit.take_joined(token);
    assert_eq!(&*joined.members[0].member_id, &*member_id);
    // What it came with counts, not what it said last: it does not take the share of all others step by step.
    let refused = kit.join(again(17_000));
    assert_eq!(kit.take_join_refusal(refused), Refusal::NotAvailable);
}

#[test]
fn a_member_that_becomes_a_large_one_is_no_newcomer() {
    let mut kit = kit(400_000);
    let joined = kit.join(saying(GROUP, 60_000));
    kit.join(saying("two", 150_000));
    kit.advance(3_000);
    let (member_id, _) = kit.take_joined(joined);
    let token = kit.join(JoinRequest {
        member_id,
        ..saying(GROUP, 75_000)
    });
    kit.take_joined(token);
}

#[test]
fn a_group_whose_topics_would_hold_too_much_is_taken_to_read_any() {
    let names: Vec<String> = (0..1_000).map(|topic| std::format!("{topic:04}")).collect();
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    // Names of 4 bytes have 6 in a subscription and hold 68.
    let mut kit = kit(100_000);
    for (group_id, is_known) in [("one", true), ("two", false)] {
        let token = kit.join(JoinRequest {
            group_id: group_id.into(),
            protocols: vec![protocol("range", subscription(&names))],
            ..anonymous_join()
        });
        kit.advance(3_000);
        kit.take_joined(token);
        let machine = kit.harness.machine();
        let classic = machine.groups[group_id].classic.as_ref().expect("a group");
        assert_eq!(classic.knows_subscriptions(), is_known, "{group_id}");
        assert!(classic.is_subscribed_to("0007"));
        assert_eq!(machine.cx.held.topics, 68_000);
    }
    kit.advance(400_000);
    assert_eq!(kit.harness.machine().cx.held.topics, 0);
}

#[test]
fn a_join_that_waits_for_an_append_knows_what_the_append_has_brought() {
    let mut kit = kit(100_000);
    let instance = |bytes| JoinRequest {
        group_instance_id: Some("instance".into()),
        ..saying(GROUP, bytes)
    };
    let joined = kit.join(instance(100));
    kit.advance(3_000);
    let (id, joined) = kit.take_joined(joined);
    let token = kit.sync(&id, joined.generation, &[(&id, "one")]);
    kit.take_sync(token).expect("stable");
    // The new id of the member is stored before it counts.
    kit.hold = true;
    let replaced = kit.join(instance(50_000));
    let newcomer = kit.join(saying(GROUP, 50_000));
    assert!(kit.waits(replaced) && kit.waits(newcomer));
    kit.release();
    kit.take_joined(replaced);
    assert_eq!(kit.take_join_refusal(newcomer), Refusal::NotAvailable);
}

#[test]
fn assignments_that_are_being_stored_count_until_they_could_not_be() {
    let mut kit = kit(100_000);
    let much = "x".repeat(60_000);
    let [one, two] = [GROUP, "two"].map(|group_id| {
        let joined = kit.join(saying(group_id, 100));
        kit.advance(3_000);
        let (id, joined) = kit.take_joined(joined);
        SyncRequest {
            group_id: group_id.into(),
            ..sync(&id, joined.generation, &[(&id, &much)])
        }
    });
    kit.hold = true;
    kit.send(GroupRequest::Sync(one));
    let refused = kit.send(GroupRequest::Sync(two));
    assert_eq!(kit.take_sync(refused), Err(Refusal::NotAvailable));
    assert_eq!(kit.harness.machine().cx.held.assigned, 60_000);
    kit.fail(AppendFailure::Unavailable);
    assert_eq!(kit.harness.machine().cx.held.assigned, 0);
}
