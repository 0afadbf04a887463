//! Static membership (KIP-345, KIP-814).

use super::*;

/// A stable group with the static member `one`, alone.
fn stable_alone(kit: &mut Kit) -> (Arc<str>, i32) {
    let token = kit.join(static_join("one"));
    kit.advance(3_000);
    let (member_id, joined) = kit.take_joined(token);
    let token = kit.sync(&member_id, joined.generation, &[(&member_id, "all")]);
    assert_eq!(kit.take_sync(token), Ok(bytes("all")));
    (member_id, joined.generation)
}

fn with_instance(request: HeartbeatRequest, instance: &str) -> GroupRequest {
    GroupRequest::Heartbeat(HeartbeatRequest {
        group_instance_id: Some(instance.into()),
        ..request
    })
}

#[test]
fn a_static_member_that_returns_to_a_stable_group_gets_a_new_id_without_a_rebalance() {
    let mut kit = Kit::new();
    let (old, generation) = stable_alone(&mut kit);
    let token = kit.join(static_join("one"));
    let (new, joined) = kit.take_joined(token);
    assert_ne!(old, new);
    assert_eq!(kit.state(), "Stable");
    assert_eq!(
        (joined.generation, joined.leader.as_ref()),
        (generation, Some(&new))
    );
    let token = kit.sync(&new, generation, &[]);
    assert_eq!(kit.take_sync(token), Ok(bytes("all")));
}

#[test]
fn a_returning_static_leader_is_told_to_skip_the_assignment_and_gets_the_members() {
    let mut kit = Kit::new();
    stable_alone(&mut kit);
    let token = kit.join(static_join("one"));
    let (new, joined) = kit.take_joined(token);
    assert!(joined.skip_assignment);
    let members: Vec<_> = joined.members.iter().map(|member| &member.member_id).collect();
    assert_eq!(members, [&new]);
}

#[test]
fn a_returning_static_leader_of_an_old_version_is_told_the_old_leaders_id() {
    let mut kit = Kit::new();
    let (old, _) = stable_alone(&mut kit);
    let token = kit.join(JoinRequest {
        supports_skipping_assignment: false,
        ..static_join("one")
    });
    let (_, joined) = kit.take_joined(token);
    assert_eq!(
        (joined.leader, joined.skip_assignment, joined.members.len()),
        (Some(old), false, 0)
    );
}

#[test]
fn the_old_member_id_is_fenced() {
    let mut kit = Kit::new();
    let (old, generation) = stable_alone(&mut kit);
    let token = kit.join(static_join("one"));
    let (new, _) = kit.take_joined(token);
    let mut beat = |member_id: &str| {
        let token = kit.send(with_instance(heartbeat(member_id, generation), "one"));
        kit.take(token)
    };
    assert_eq!(
        beat(&old),
        GroupResponse::Heartbeat(Err(Refusal::FencedInstanceId))
    );
    assert_eq!(beat(&new), GroupResponse::Heartbeat(Ok(())));
    let token = kit.send(GroupRequest::CommitOffsets(CommitOffsetsRequest {
        group_instance_id: Some("one".into()),
        ..commit(&old, generation, 1)
    }));
    assert_eq!(kit.take_commit(token), Err(Refusal::FencedInstanceId));
    let token = kit.send(GroupRequest::Sync(SyncRequest {
        group_instance_id: Some("one".into()),
        ..sync(&old, generation, &[])
    }));
    assert_eq!(kit.take_sync(token), Err(Refusal::FencedInstanceId));
    let token = kit.join(JoinRequest {
        member_id: old,
        ..static_join("one")
    });
    assert_eq!(kit.take_join_refusal(token), Refusal::FencedInstanceId);
}

#[test]
fn an_instance_id_that_the_group_does_not_know_is_an_unknown_member() {
    let mut kit = Kit::new();
    let (member_id, generation) = stable_alone(&mut kit);
    let token = kit.send(with_instance(heartbeat(&member_id, generation), "other"));
    assert_eq!(
        kit.take(token),
        GroupResponse::Heartbeat(Err(Refusal::UnknownMemberId))
    );
}

#[test]
fn the_new_id_is_stored_before_the_member_is_told_and_the_old_one_stays_when_it_cannot_be() {
    let mut kit = Kit::new();
    let (old, generation) = stable_alone(&mut kit);
    kit.hold = true;
    let token = kit.join(static_join("one"));
    assert!(kit.waits(token));
    kit.fail(AppendFailure::Unavailable);
    let response = kit.take_join(token);
    assert_eq!(
        (&*response.member_id, response.outcome),
        (UNKNOWN_MEMBER_ID, Err(Refusal::NotAvailable))
    );
    assert_eq!(kit.heartbeat(&old, generation), Ok(()));
}

#[test]
fn a_static_member_that_returns_before_the_assignment_starts_a_rebalance() {
    let mut kit = Kit::new();
    let other = kit.join(anonymous_join());
    let fixed = kit.join(static_join("one"));
    kit.advance(10_000);
    let (fixed_id, joined) = kit.take_joined(fixed);
    let (other_id, _) = kit.take_joined(other);
    assert_eq!(kit.leader(), other_id);
    let waiting = kit.sync(&fixed_id, joined.generation, &[]);
    let token = kit.join(static_join("one"));
    assert_eq!(kit.take_sync(waiting), Err(Refusal::FencedInstanceId));
    assert!(kit.waits(token));
    assert_eq!(kit.state(), "PreparingRebalance");
    assert!(matches!(
        kit.cause(),
        Some(RebalanceCause::StaticMemberReplaced { .. })
    ));
    kit.join(rejoin(&other_id));
    assert_eq!(kit.take_joined(token).1.generation, joined.generation + 1);
}

#[test]
fn a_static_leader_that_returns_before_the_assignment_starts_a_rebalance() {
    let mut kit = Kit::new();
    let token = kit.join(static_join("one"));
    kit.advance(3_000);
    let (_, joined) = kit.take_joined(token);
    let token = kit.join(static_join("one"));
    let (_, next) = kit.take_joined(token);
    assert_eq!(next.generation, joined.generation + 1);
}

#[test]
fn a_static_member_that_returns_while_the_group_prepares_takes_the_place_of_its_waiting_join() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    let older = kit.join(static_join("one"));
    let newer = kit.join(static_join("one"));
    assert_eq!(kit.take_join_refusal(older), Refusal::FencedInstanceId);
    let leader = kit.join(rejoin(&ids[0]));
    assert_eq!(kit.take_joined(newer).1.generation, generation + 1);
    assert_eq!(kit.take_joined(leader).1.members.len(), 2);
}

#[test]
fn a_static_member_that_returns_with_another_protocol_choice_rebalances_when_the_vote_changes() {
    let mut kit = Kit::new();
    let both = |first: &str, second: &str| JoinRequest {
        protocols: vec![
            protocol(first, subscription(&["topic"])),
            protocol(second, subscription(&["topic"])),
        ],
        ..static_join("one")
    };
    let token = kit.join(both("range", "roundrobin"));
    kit.advance(3_000);
    let (member_id, joined) = kit.take_joined(token);
    assert_eq!(joined.protocol.as_deref(), Some("range"));
    let token = kit.sync(&member_id, joined.generation, &[]);
    kit.take_sync(token).expect("stable");
    let token = kit.join(both("roundrobin", "range"));
    let (_, next) = kit.take_joined(token);
    assert_eq!(
        (next.generation, next.protocol.as_deref()),
        (joined.generation + 1, Some("roundrobin"))
    );
}

#[test]
fn a_static_member_whose_session_ends_is_removed() {
    let mut kit = Kit::new();
    stable_alone(&mut kit);
    kit.advance(10_000);
    assert_eq!(kit.state(), "Empty");
}

#[test]
fn the_session_of_the_new_id_is_the_one_that_counts() {
    let mut kit = Kit::new();
    let (_, generation) = stable_alone(&mut kit);
    kit.advance(9_000);
    let token = kit.join(static_join("one"));
    let (new, _) = kit.take_joined(token);
    kit.advance(9_000);
    assert_eq!(kit.heartbeat(&new, generation), Ok(()));
}

#[test]
fn a_static_member_that_leaves_no_time_to_rejoin_does_not_stop_the_clock() {
    let mut kit = Kit::new();
    let tokens = [kit.join(static_join("one")), kit.join(static_join("two"))];
    kit.advance(6_000);
    let [(one, joined), (two, _)] = tokens.map(|token| kit.take_joined(token));
    kit.sync_all(&[one.clone(), two], joined.generation);
    // It takes its own place, which makes no rebalance, and from then on the group has no time to rejoin.
    let token = kit.join(JoinRequest {
        rebalance_timeout_ms: 0,
        ..static_join("two")
    });
    kit.take_joined(token);
    kit.leave(&one);
    assert_eq!(kit.state(), "PreparingRebalance");
    kit.advance(9_999);
    assert_eq!(kit.state(), "PreparingRebalance");
    kit.advance(1);
    assert_eq!(kit.state(), "Empty");
}
