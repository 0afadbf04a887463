//! SyncGroup.

use super::*;

#[test]
fn members_get_the_leaders_assignment_once_it_is_stored() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    let waiting = kit.sync(&follower, generation, &[]);
    assert!(kit.waits(waiting));
    kit.hold = true;
    let leading = kit.sync(&leader, generation, &[(&leader, "one"), (&follower, "two")]);
    assert!(kit.waits(waiting) && kit.waits(leading));
    assert_eq!(kit.state(), "CompletingRebalance");
    kit.release();
    assert_eq!(kit.take_sync(leading), Ok(bytes("one")));
    assert_eq!(kit.take_sync(waiting), Ok(bytes("two")));
    assert_eq!(kit.state(), "Stable");
}

#[test]
fn a_follower_that_comes_after_the_leader_gets_its_assignment_at_once() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    kit.sync(&leader, generation, &[(&follower, "two")]);
    let token = kit.sync(&follower, generation, &[]);
    assert_eq!(kit.take_sync(token), Ok(bytes("two")));
}

#[test]
fn a_member_that_the_leader_forgot_gets_an_empty_assignment() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let token = kit.sync(&leader, generation, &[(&leader, "all"), ("stranger", "none")]);
    assert_eq!(kit.take_sync(token), Ok(bytes("all")));
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    let token = kit.sync(&follower, generation, &[]);
    assert_eq!(kit.take_sync(token), Ok(Bytes::new()));
}

#[test]
fn a_failed_append_of_the_assignment_goes_to_all_and_rebalances() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    let waiting = kit.sync(&follower, generation, &[]);
    kit.hold = true;
    let leading = kit.sync(&leader, generation, &[]);
    kit.fail(AppendFailure::Unavailable);
    assert_eq!(kit.take_sync(leading), Err(Refusal::NotAvailable));
    assert_eq!(kit.take_sync(waiting), Err(Refusal::NotAvailable));
    assert_eq!(kit.state(), "PreparingRebalance");
    let refusal = Refusal::NotAvailable;
    assert_eq!(
        kit.cause(),
        Some(&RebalanceCause::AssignmentNotStored { refusal })
    );
}

#[test]
fn a_sync_while_the_group_prepares_is_told_to_rejoin() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    kit.join(rejoin(&ids[0]));
    let token = kit.sync(&ids[1], generation, &[]);
    assert_eq!(kit.take_sync(token), Err(Refusal::RebalanceInProgress));
}

#[test]
fn a_sync_of_a_stranger_another_generation_or_another_protocol_is_refused() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    let token = kit.sync("stranger", generation, &[]);
    assert_eq!(kit.take_sync(token), Err(Refusal::UnknownMemberId));
    let token = kit.sync(&ids[0], generation - 1, &[]);
    assert_eq!(kit.take_sync(token), Err(Refusal::IllegalGeneration));
    let token = kit.send(GroupRequest::Sync(SyncRequest {
        protocol: Some("roundrobin".into()),
        ..sync(&ids[0], generation, &[])
    }));
    assert_eq!(kit.take_sync(token), Err(Refusal::InconsistentGroupProtocol));
    let token = kit.send(GroupRequest::Sync(SyncRequest {
        group_id: "nowhere".into(),
        ..sync(&ids[0], generation, &[])
    }));
    assert_eq!(kit.take_sync(token), Err(Refusal::UnknownMemberId));
}

#[test]
fn members_that_did_not_sync_within_the_rebalance_timeout_are_removed_and_the_group_rebalances() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    let waiting = kit.sync(&follower, generation, &[]);
    for _ in 0..11 {
        kit.advance(5_000);
        assert_eq!(kit.heartbeat(&leader, generation), Ok(()));
    }
    assert!(kit.waits(waiting));
    kit.advance(5_000);
    assert_eq!(kit.take_sync(waiting), Err(Refusal::RebalanceInProgress));
    assert_eq!(kit.heartbeat(&leader, generation), Err(Refusal::UnknownMemberId));
    let members = vec![who(&leader)];
    assert_eq!(
        kit.cause(),
        Some(&RebalanceCause::SyncExpired { members, unlisted: 0 })
    );
}

#[test]
fn a_follower_that_never_syncs_is_removed_from_a_stable_group_too() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    kit.sync(&leader, generation, &[]);
    assert_eq!(kit.state(), "Stable");
    for _ in 0..12 {
        assert_eq!(kit.heartbeat(&leader, generation), Ok(()));
        assert_eq!(kit.heartbeat(&follower, generation), Ok(()));
        kit.advance(5_000);
    }
    assert_eq!(
        kit.heartbeat(&follower, generation),
        Err(Refusal::UnknownMemberId)
    );
    assert_eq!(
        kit.heartbeat(&leader, generation),
        Err(Refusal::RebalanceInProgress)
    );
}

#[test]
fn a_member_that_joins_before_the_assignment_sends_the_waiting_back_to_join() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    let waiting = kit.sync(&follower, generation, &[]);
    kit.join(anonymous_join());
    assert_eq!(kit.take_sync(waiting), Err(Refusal::RebalanceInProgress));
    assert_eq!(kit.state(), "PreparingRebalance");
}
