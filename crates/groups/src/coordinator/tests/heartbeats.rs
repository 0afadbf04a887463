//! Heartbeat.

use super::*;

#[test]
fn a_heartbeat_keeps_a_stable_members_session() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    for _ in 0..5 {
        kit.advance(9_000);
        assert_eq!(kit.heartbeat(&ids[0], generation), Ok(()));
    }
}

#[test]
fn a_heartbeat_while_the_group_prepares_says_so_and_extends_the_session() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    kit.join(rejoin(&ids[0]));
    for _ in 0..5 {
        kit.advance(9_000);
        assert_eq!(
            kit.heartbeat(&ids[1], generation),
            Err(Refusal::RebalanceInProgress)
        );
    }
}

#[test]
fn a_heartbeat_before_the_assignment_is_accepted() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    assert_eq!(kit.heartbeat(&ids[0], generation), Ok(()));
    assert_eq!(kit.state(), "CompletingRebalance");
}

#[test]
fn a_heartbeat_of_a_stranger_or_of_another_generation_is_refused() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    assert_eq!(
        kit.heartbeat("stranger", generation),
        Err(Refusal::UnknownMemberId)
    );
    assert_eq!(
        kit.heartbeat(&ids[0], generation + 1),
        Err(Refusal::IllegalGeneration)
    );
    assert_eq!(
        kit.heartbeat(&ids[0], generation - 1),
        Err(Refusal::IllegalGeneration)
    );
}

#[test]
fn a_heartbeat_of_a_pending_member_is_refused() {
    let mut kit = Kit::new();
    let token = kit.join(modern_join());
    let member_id = kit.take_join(token).member_id;
    assert_eq!(kit.heartbeat(&member_id, 0), Err(Refusal::UnknownMemberId));
}

#[test]
fn a_heartbeat_passes_by_an_open_append() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    kit.hold = true;
    let commit = kit.send(GroupRequest::CommitOffsets(commit(&ids[0], generation, 5)));
    assert!(kit.waits(commit));
    assert_eq!(kit.heartbeat(&ids[0], generation), Ok(()));
    kit.release();
    assert_eq!(kit.take_commit(commit), Ok(()));
}
