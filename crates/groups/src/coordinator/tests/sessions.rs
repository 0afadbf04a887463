//! Sessions that end.

use super::*;

#[test]
fn a_silent_member_is_removed_after_its_session_timeout_and_the_group_rebalances() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    kit.advance(5_000);
    assert_eq!(kit.heartbeat(&ids[0], generation), Ok(()));
    kit.advance(4_999);
    assert_eq!(kit.state(), "Stable");
    kit.advance(1);
    assert_eq!(kit.state(), "PreparingRebalance");
    let member = who(&ids[1]);
    assert_eq!(kit.cause(), Some(&RebalanceCause::SessionExpired { member }));
    let token = kit.join(rejoin(&ids[0]));
    assert_eq!(kit.take_joined(token).1.members.len(), 1);
}

#[test]
fn a_member_whose_join_waits_is_not_silent() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    let token = kit.join(rejoin(&ids[0]));
    for _ in 0..5 {
        kit.advance(9_000);
        assert_eq!(
            kit.heartbeat(&ids[1], generation),
            Err(Refusal::RebalanceInProgress)
        );
    }
    assert!(kit.waits(token));
    let other = kit.join(rejoin(&ids[1]));
    kit.take_joined(token);
    kit.take_joined(other);
}

#[test]
fn a_member_whose_sync_waits_is_not_silent() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    let waiting = kit.sync(&follower, generation, &[]);
    for _ in 0..5 {
        kit.advance(9_000);
        assert_eq!(kit.heartbeat(&leader, generation), Ok(()));
    }
    let leading = kit.sync(&leader, generation, &[]);
    kit.take_sync(leading).expect("assigned");
    kit.take_sync(waiting).expect("assigned");
    kit.advance(9_999);
    assert_eq!(kit.heartbeat(&follower, generation), Ok(()));
}

#[test]
fn the_last_member_to_expire_leaves_an_empty_group_of_the_next_generation() {
    let mut kit = Kit::new();
    let (_, generation) = kit.stable(1);
    kit.advance(10_000);
    assert_eq!(kit.state(), "Empty");
    let token = kit.join(anonymous_join());
    kit.advance(3_000);
    assert_eq!(kit.take_joined(token).1.generation, generation + 2);
}

#[test]
fn a_pending_member_that_never_comes_back_is_forgotten() {
    let mut kit = Kit::new();
    let token = kit.join(modern_join());
    let member_id = kit.take_join(token).member_id;
    kit.advance(10_000);
    let token = kit.join(rejoin(&member_id));
    assert_eq!(kit.take_join_refusal(token), Refusal::UnknownMemberId);
}
