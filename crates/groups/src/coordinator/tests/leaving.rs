//! LeaveGroup.

use super::*;

fn outcomes_of(left: &[LeftMember]) -> Vec<Result<(), Refusal>> {
    left.iter().map(|member| member.outcome).collect()
}

#[test]
fn a_member_that_leaves_a_stable_group_starts_a_rebalance() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    assert_eq!(outcomes_of(&kit.leave(&ids[1])), [Ok(())]);
    assert_eq!(kit.state(), "PreparingRebalance");
    let (members, reason) = (vec![who(&ids[1])], None);
    assert_eq!(
        kit.cause(),
        Some(&RebalanceCause::MembersLeft {
            members,
            unlisted: 0,
            reason
        })
    );
    assert_eq!(
        kit.heartbeat(&ids[0], generation),
        Err(Refusal::RebalanceInProgress)
    );
    let token = kit.join(rejoin(&ids[0]));
    assert_eq!(kit.take_joined(token).1.members.len(), 1);
}

#[test]
fn the_last_member_that_leaves_makes_the_group_empty() {
    let mut kit = Kit::new();
    let (ids, _) = kit.stable(1);
    kit.leave(&ids[0]);
    assert_eq!(kit.state(), "Empty");
}

#[test]
fn a_batch_of_members_leaves_with_an_outcome_each_and_one_rebalance() {
    let mut kit = Kit::new();
    let (ids, _) = kit.stable(3);
    let left = kit.leave_all(vec![
        leaving(&ids[1], None),
        leaving("stranger", None),
        leaving(&ids[2], None),
    ]);
    assert_eq!(
        outcomes_of(&left),
        [Ok(()), Err(Refusal::UnknownMemberId), Ok(())]
    );
    let (members, reason) = (vec![who(&ids[1]), who(&ids[2])], None);
    assert_eq!(
        kit.cause(),
        Some(&RebalanceCause::MembersLeft {
            members,
            unlisted: 0,
            reason
        })
    );
}

#[test]
fn strangers_that_leave_change_nothing() {
    let mut kit = Kit::new();
    kit.stable(1);
    assert_eq!(
        outcomes_of(&kit.leave("stranger")),
        [Err(Refusal::UnknownMemberId)]
    );
    assert_eq!(kit.state(), "Stable");
}

#[test]
fn leaving_a_group_that_does_not_exist_is_told_member_by_member() {
    let mut kit = Kit::new();
    let left = kit.leave_all(vec![leaving("a", None), leaving("", Some("b"))]);
    assert_eq!(outcomes_of(&left), [Err(Refusal::UnknownMemberId); 2]);
    assert_eq!(kit.harness.machine().group_count(), 0);
}

#[test]
fn a_static_member_leaves_by_its_instance_id_alone() {
    let mut kit = Kit::prompt();
    let token = kit.join(static_join("one"));
    kit.take_joined(token);
    let left = kit.leave_all(vec![leaving("", Some("other")), leaving("", Some("one"))]);
    assert_eq!(outcomes_of(&left), [Err(Refusal::UnknownMemberId), Ok(())]);
    assert_eq!(kit.state(), "Empty");
}

#[test]
fn an_old_member_id_of_a_static_member_cannot_leave() {
    let mut kit = Kit::prompt();
    let token = kit.join(static_join("one"));
    kit.take_joined(token);
    let left = kit.leave_all(vec![leaving("old", Some("one"))]);
    assert_eq!(outcomes_of(&left), [Err(Refusal::FencedInstanceId)]);
}

#[test]
fn a_pending_member_leaves_and_no_longer_holds_up_the_join_phase() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    let token = kit.join(modern_join());
    let pending = kit.take_join(token).member_id;
    let token = kit.join(rejoin(&ids[0]));
    assert!(kit.waits(token));
    assert_eq!(outcomes_of(&kit.leave(&pending)), [Ok(())]);
    assert_eq!(kit.take_joined(token).1.generation, generation + 1);
}

#[test]
fn a_leaving_member_whose_join_or_sync_waits_is_answered() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.joined(2);
    let leader = kit.leader();
    let follower = ids.iter().find(|id| **id != leader).expect("a follower").clone();
    let waiting = kit.sync(&follower, generation, &[]);
    kit.leave(&follower);
    assert_eq!(kit.take_sync(waiting), Err(Refusal::UnknownMemberId));
    let newcomer = kit.join(anonymous_join());
    let members = kit.describe().expect("a group").members;
    let newcomer_id = members
        .into_iter()
        .find(|member| member.member_id != leader)
        .expect("it is in")
        .member_id;
    kit.leave(&newcomer_id);
    assert_eq!(kit.take_join_refusal(newcomer), Refusal::UnknownMemberId);
}
