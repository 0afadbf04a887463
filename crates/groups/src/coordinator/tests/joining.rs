//! JoinGroup and the join phase.

use super::*;

#[test]
fn a_rebalance_of_an_empty_group_waits_for_the_initial_delay() {
    let mut kit = Kit::new();
    let token = kit.join(anonymous_join());
    kit.advance(2_999);
    assert!(kit.waits(token));
    assert_eq!(kit.state(), "PreparingRebalance");
    kit.advance(1);
    let (member_id, joined) = kit.take_joined(token);
    assert_eq!((joined.generation, joined.leader), (1, Some(member_id)));
}

#[test]
fn the_initial_delay_is_extended_only_when_a_member_joined_during_it() {
    let mut kit = Kit::new();
    let first = kit.join(anonymous_join());
    kit.advance(2_000);
    let second = kit.join(anonymous_join());
    kit.advance(3_999);
    assert!(kit.waits(first) && kit.waits(second));
    kit.advance(1);
    assert_eq!(kit.take_joined(first).1.generation, 1);
    assert_eq!(kit.take_joined(second).1.generation, 1);
}

#[test]
fn the_initial_delay_ends_when_the_largest_rebalance_timeout_is_used_up() {
    let mut kit = Kit::new();
    // remaining = 5000 - 3000 = 2000 after the first 3000: one more wait of min(3000, 2000).
    let short = || JoinRequest {
        rebalance_timeout_ms: 5_000,
        ..anonymous_join()
    };
    let first = kit.join(short());
    kit.advance(2_900);
    kit.join(short());
    kit.advance(2_000);
    kit.join(short());
    assert!(kit.waits(first));
    kit.advance(100);
    assert_eq!(kit.take_joined(first).1.generation, 1);
}

#[test]
fn a_new_dynamic_member_is_first_given_an_id() {
    let mut kit = Kit::new();
    let token = kit.send_from("app", GroupRequest::Join(modern_join()));
    let response = kit.take_join(token);
    assert_eq!(response.outcome, Err(Refusal::MemberIdRequired));
    let (prefix, uuid) = response.member_id.split_at(4);
    assert_eq!((prefix, uuid.len()), ("app-", 36));
    assert_eq!(kit.state(), "Empty");
    let token = kit.join(rejoin(&response.member_id));
    kit.advance(3_000);
    assert_eq!(kit.take_joined(token).0, response.member_id);
}

#[test]
fn a_static_member_needs_no_id_beforehand() {
    let mut kit = Kit::prompt();
    let token = kit.join(JoinRequest {
        requires_known_member_id: true,
        ..static_join("one")
    });
    let (member_id, _) = kit.take_joined(token);
    assert!(member_id.starts_with("one-"), "{member_id}");
}

#[test]
fn a_pending_member_holds_up_the_end_of_the_join_phase_until_its_session_expires() {
    let mut kit = Kit::prompt();
    let (ids, _) = kit.stable(1);
    let pending = kit.join(modern_join());
    assert_eq!(kit.take_join_refusal(pending), Refusal::MemberIdRequired);
    let token = kit.join(rejoin(&ids[0]));
    kit.advance(9_999);
    assert!(kit.waits(token));
    kit.advance(1);
    assert_eq!(kit.take_joined(token).1.generation, 2);
}

#[test]
fn a_new_members_join_expires_after_five_minutes_and_not_after_its_session() {
    let mut kit = Kit::prompt();
    let (ids, generation) = kit.stable(1);
    let token = kit.join(anonymous_join());
    for _ in 0..12 {
        assert_eq!(
            kit.heartbeat(&ids[0], generation),
            Err(Refusal::RebalanceInProgress)
        );
        assert!(kit.waits(token));
        kit.advance(5_000);
    }
    // The rebalance timeout (60 s) ended the phase long before, well after a session of 10 s.
    assert_eq!(kit.take_joined(token).1.generation, generation + 1);

    let mut kit = Kit::with(CoordinatorConfig::default());
    let patient = JoinRequest {
        session_timeout_ms: 1_800_000,
        rebalance_timeout_ms: 900_000,
        ..static_join("one")
    };
    let first = kit.join(patient.clone());
    kit.advance(3_000);
    kit.take_joined(first);
    let token = kit.join(JoinRequest {
        rebalance_timeout_ms: 900_000,
        ..anonymous_join()
    });
    kit.advance(299_999);
    assert!(kit.waits(token));
    kit.advance(1);
    assert_eq!(kit.take_join_refusal(token), Refusal::UnknownMemberId);
}

#[test]
fn a_member_id_in_a_group_that_does_not_exist_is_unknown() {
    let mut kit = Kit::new();
    let token = kit.join(rejoin("nobody"));
    let response = kit.take_join(token);
    assert_eq!(response.outcome, Err(Refusal::UnknownMemberId));
    assert_eq!(&*response.member_id, "nobody");
    assert_eq!(kit.harness.machine().group_count(), 0);
}

#[test]
fn a_session_timeout_outside_the_bounds_is_refused() {
    let mut kit = Kit::new();
    for session_timeout_ms in [5_999, 1_800_001] {
        let token = kit.join(JoinRequest {
            session_timeout_ms,
            ..anonymous_join()
        });
        assert_eq!(kit.take_join_refusal(token), Refusal::InvalidSessionTimeout);
    }
    for session_timeout_ms in [6_000, 1_800_000] {
        let token = kit.join(JoinRequest {
            session_timeout_ms,
            ..anonymous_join()
        });
        assert!(kit.waits(token));
    }
}

#[test]
fn an_empty_group_id_is_refused() {
    let mut kit = Kit::new();
    let token = kit.join(JoinRequest {
        group_id: "".into(),
        ..anonymous_join()
    });
    assert_eq!(kit.take_join_refusal(token), Refusal::InvalidGroupId);
}

#[test]
fn a_group_of_another_node_is_not_coordinated_and_one_that_loads_is_not_yet() {
    let mut kit = Kit::unloaded(CoordinatorConfig::default());
    let token = kit.join(anonymous_join());
    assert_eq!(kit.take_join_refusal(token), Refusal::NotCoordinator);
    let partition = partition_for(GROUP, 50);
    let records = Vec::new();
    kit.step(Event::Load { partition, records });
    let token = kit.join(anonymous_join());
    assert_eq!(kit.take_join_refusal(token), Refusal::LoadInProgress);
    assert_eq!(kit.heartbeat("anyone", 1), Ok(()));
}

#[test]
fn a_member_without_a_protocol_in_common_is_refused() {
    let mut kit = Kit::prompt();
    kit.stable(1);
    let stranger = JoinRequest {
        protocols: vec![protocol("sticky", subscription(&["topic"]))],
        ..anonymous_join()
    };
    let token = kit.join(stranger);
    assert_eq!(kit.take_join_refusal(token), Refusal::InconsistentGroupProtocol);
    let connector = JoinRequest {
        protocol_type: "connect".into(),
        ..anonymous_join()
    };
    let token = kit.join(connector);
    assert_eq!(kit.take_join_refusal(token), Refusal::InconsistentGroupProtocol);
    assert_eq!(kit.state(), "Stable");
}

#[test]
fn a_first_member_without_protocols_is_refused() {
    let mut kit = Kit::prompt();
    let token = kit.join(JoinRequest {
        protocols: Vec::new(),
        ..anonymous_join()
    });
    assert_eq!(kit.take_join_refusal(token), Refusal::InconsistentGroupProtocol);
}

#[test]
fn the_protocol_is_the_one_with_most_votes_among_those_common_to_all() {
    let mut kit = Kit::new();
    let with = |names: &[&str]| JoinRequest {
        protocols: names
            .iter()
            .map(|name| protocol(name, subscription(&["topic"])))
            .collect(),
        ..anonymous_join()
    };
    // `own` is first for the first member, but not common; of the common ones `b` has two votes of three.
    let tokens = [
        kit.join(with(&["own", "a", "b"])),
        kit.join(with(&["b", "a"])),
        kit.join(with(&["b", "a"])),
    ];
    kit.advance(10_000);
    for token in tokens {
        assert_eq!(kit.take_joined(token).1.protocol.as_deref(), Some("b"));
    }
}

#[test]
fn of_protocols_with_equal_votes_the_one_that_javas_map_lists_first_is_chosen() {
    // Kafka 4.3.1 chose "rr" when one of two members preferred it and the other "range".
    let mut kit = Kit::new();
    let with = |names: &[&str]| JoinRequest {
        protocols: names
            .iter()
            .map(|name| protocol(name, subscription(&["topic"])))
            .collect(),
        ..anonymous_join()
    };
    let tokens = [kit.join(with(&["range", "rr"])), kit.join(with(&["rr", "range"]))];
    kit.advance(10_000);
    for token in tokens {
        assert_eq!(kit.take_joined(token).1.protocol.as_deref(), Some("rr"));
    }
}

#[test]
fn the_leader_alone_gets_the_members() {
    let mut kit = Kit::new();
    let tokens = [kit.join(anonymous_join()), kit.join(anonymous_join())];
    kit.advance(10_000);
    let joined = tokens.map(|token| kit.take_joined(token));
    let leader = joined[0].1.leader.clone().expect("a leader");
    for (member_id, group) in &joined {
        assert_eq!(group.leader.as_ref(), Some(&leader));
        let expected = if *member_id == leader { 2 } else { 0 };
        assert_eq!(group.members.len(), expected);
    }
    let members = joined
        .iter()
        .find(|(id, _)| *id == leader)
        .map(|(_, group)| &group.members);
    assert!(members.is_some_and(|members| {
        members
            .iter()
            .all(|member| member.metadata == subscription(&["topic"]))
    }));
}

#[test]
fn the_leader_that_rejoins_a_stable_group_starts_a_rebalance() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    let leader = kit.join(JoinRequest {
        reason: reason("new partitions"),
        ..rejoin(&ids[0])
    });
    assert_eq!(kit.state(), "PreparingRebalance");
    let cause = RebalanceCause::LeaderRejoined {
        member: who(&ids[0]),
        reason: reason("new partitions"),
    };
    assert_eq!(kit.cause(), Some(&cause));
    let follower = kit.join(rejoin(&ids[1]));
    assert_eq!(kit.take_joined(leader).1.generation, generation + 1);
    assert_eq!(kit.take_joined(follower).1.generation, generation + 1);
}

#[test]
fn an_unchanged_follower_that_rejoins_a_stable_group_gets_the_current_generation() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    let token = kit.join(rejoin(&ids[1]));
    let (_, joined) = kit.take_joined(token);
    assert_eq!((joined.generation, joined.members.len()), (generation, 0));
    assert_eq!(joined.leader.as_ref(), Some(&ids[0]));
    assert_eq!(kit.state(), "Stable");
}

#[test]
fn a_follower_that_changed_its_subscription_starts_a_rebalance() {
    let mut kit = Kit::new();
    let (ids, _) = kit.stable(2);
    kit.join(JoinRequest {
        protocols: vec![protocol("range", subscription(&["topic", "more"]))],
        ..rejoin(&ids[1])
    });
    assert_eq!(kit.state(), "PreparingRebalance");
    assert!(
        matches!(kit.cause(), Some(RebalanceCause::MetadataChanged { member, .. }) if *member == who(&ids[1]))
    );
}

#[test]
fn an_unchanged_member_that_rejoins_before_the_assignment_gets_the_generation_and_the_leader_the_members() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    for id in &ids {
        let token = kit.join(rejoin(id));
        let (_, joined) = kit.take_joined(token);
        let members = if *id == leader { 2 } else { 0 };
        assert_eq!((joined.generation, joined.members.len()), (generation, members));
    }
    assert_eq!(kit.state(), "CompletingRebalance");
}

#[test]
fn a_changed_member_that_rejoins_before_the_assignment_starts_a_rebalance() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    let waiting = kit.sync(&follower, generation, &[]);
    kit.join(JoinRequest {
        protocols: vec![protocol("range", subscription(&["other"]))],
        ..rejoin(&leader)
    });
    assert_eq!(kit.state(), "PreparingRebalance");
    assert_eq!(kit.take_sync(waiting), Err(Refusal::RebalanceInProgress));
}

#[test]
fn a_dynamic_member_that_does_not_rejoin_is_removed_when_the_rebalance_timeout_ends() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    let token = kit.join(rejoin(&ids[0]));
    for _ in 0..11 {
        kit.advance(5_000);
        assert_eq!(
            kit.heartbeat(&ids[1], generation),
            Err(Refusal::RebalanceInProgress)
        );
    }
    assert!(kit.waits(token));
    kit.advance(5_000);
    let (_, joined) = kit.take_joined(token);
    assert_eq!((joined.generation, joined.members.len()), (generation + 1, 1));
    assert_eq!(kit.heartbeat(&ids[1], generation), Err(Refusal::UnknownMemberId));
}

#[test]
fn a_static_member_that_does_not_rejoin_stays() {
    let mut kit = Kit::prompt();
    let token = kit.join(JoinRequest {
        session_timeout_ms: 120_000,
        ..static_join("one")
    });
    let (fixed, _) = kit.take_joined(token);
    let token = kit.join(anonymous_join());
    kit.advance(60_000);
    let (_, joined) = kit.take_joined(token);
    assert_eq!(joined.generation, 2);
    assert!(
        kit.describe()
            .expect("a group")
            .members
            .iter()
            .any(|member| member.member_id == fixed)
    );
}

#[test]
fn a_member_that_waits_is_elected_when_the_leader_did_not_rejoin() {
    let mut kit = Kit::prompt();
    let token = kit.join(JoinRequest {
        session_timeout_ms: 120_000,
        ..static_join("one")
    });
    let (leader, _) = kit.take_joined(token);
    let token = kit.join(anonymous_join());
    kit.advance(60_000);
    let (member_id, joined) = kit.take_joined(token);
    assert_ne!(leader, member_id);
    assert_eq!(joined.leader, Some(member_id));
    assert_eq!(joined.members.len(), 2);
}

#[test]
fn the_join_phase_starts_anew_when_only_static_members_are_left_and_none_waits() {
    let mut kit = Kit::prompt();
    let patient = || JoinRequest {
        session_timeout_ms: 1_000_000,
        ..static_join("one")
    };
    let token = kit.join(patient());
    let (fixed, joined) = kit.take_joined(token);
    let token = kit.sync(&fixed, joined.generation, &[]);
    assert_eq!(kit.take_sync(token), Ok(Bytes::new()));
    let token = kit.join(anonymous_join());
    let guest = kit
        .describe()
        .expect("a group")
        .members
        .into_iter()
        .find(|member| member.member_id != fixed);
    kit.leave(&guest.expect("the guest").member_id);
    assert_eq!(kit.take_join_refusal(token), Refusal::UnknownMemberId);
    kit.advance(60_000);
    assert_eq!(kit.state(), "PreparingRebalance");
    kit.advance(30_000);
    let token = kit.join(JoinRequest {
        member_id: fixed.clone(),
        ..patient()
    });
    assert_eq!(kit.take_joined(token).1.generation, joined.generation + 1);
}

#[test]
fn a_full_group_takes_no_more_members() {
    let mut kit = Kit::with(CoordinatorConfig {
        max_size: 2,
        ..CoordinatorConfig::default()
    });
    let (ids, _) = kit.stable(2);
    let token = kit.join(anonymous_join());
    assert_eq!(kit.take_join_refusal(token), Refusal::GroupMaxSizeReached);
    assert_eq!(kit.state(), "Stable");
    let token = kit.join(rejoin(&ids[1]));
    kit.take_joined(token);
}

#[test]
fn the_size_limit_counts_waiting_joiners_while_the_group_prepares() {
    let mut kit = Kit::with(CoordinatorConfig {
        max_size: 2,
        ..CoordinatorConfig::default()
    });
    let (ids, generation) = kit.stable(2);
    let leader = kit.join(rejoin(&ids[0]));
    // One waits, so there is room for a newcomer, who takes the place of the member that has not rejoined.
    let newcomer = kit.join(anonymous_join());
    assert!(kit.waits(newcomer));
    let late = kit.join(rejoin(&ids[1]));
    assert_eq!(kit.take_join_refusal(late), Refusal::GroupMaxSizeReached);
    kit.advance(60_000);
    assert_eq!(kit.take_joined(leader).1.generation, generation + 1);
    assert_eq!(kit.take_joined(newcomer).1.generation, generation + 1);
}

#[test]
fn an_older_join_of_a_member_that_joins_again_is_answered() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    let older = kit.join(rejoin(&ids[0]));
    let newer = kit.join(rejoin(&ids[0]));
    assert_eq!(kit.take_join_refusal(older), Refusal::RebalanceInProgress);
    let follower = kit.join(rejoin(&ids[1]));
    assert_eq!(kit.take_joined(newer).1.generation, generation + 1);
    kit.take_joined(follower);
}

#[test]
fn a_group_whose_first_record_is_not_stored_does_not_come_to_be() {
    let mut kit = Kit::new();
    kit.hold = true;
    let token = kit.join(anonymous_join());
    assert!(kit.waits(token));
    kit.fail(AppendFailure::NotLeader);
    assert_eq!(kit.take_join_refusal(token), Refusal::NotCoordinator);
    assert_eq!(kit.harness.machine().group_count(), 0);
}

#[test]
fn members_that_name_very_many_assignors_are_answered_without_comparing_each_with_each() {
    let mut kit = Kit::prompt();
    let naming = |prefix: &str| JoinRequest {
        protocols: (0..100_000)
            .map(|number| protocol(&std::format!("{prefix}{number}"), Bytes::new()))
            .collect(),
        ..anonymous_join()
    };
    let (first, second) = (naming("a"), naming("b"));
    // Each with each would be 10¹⁰ comparisons.
    let started = std::time::Instant::now();
    let token = kit.join(first);
    kit.take_joined(token);
    let token = kit.join(second);
    assert_eq!(kit.take_join_refusal(token), Refusal::InconsistentGroupProtocol);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}
