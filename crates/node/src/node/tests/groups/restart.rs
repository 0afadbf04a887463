//! A node that starts again over its disk under a live group.

use super::super::durable::{Machine, SYSTEM};
use super::*;

/// A JoinGroup of a static member.
fn static_join(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_instance_id: Some("till-1".into()),
        ..join_request(member_id)
    }
}

fn member_sync(member: &JoinGroupResponse, instance: Option<&str>) -> SyncGroupRequest {
    SyncGroupRequest {
        group_instance_id: instance.map(String::from),
        assignments: vec![],
        ..sync_request(&member.member_id, member.generation_id)
    }
}

fn beat(machine: &mut Machine, member: &JoinGroupResponse, instance: Option<&str>) -> ErrorCode {
    let request = HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id: member.generation_id,
        member_id: member.member_id.clone(),
        group_instance_id: instance.map(String::from),
    };
    code(machine.ask(4, request).error_code)
}

/// A dynamic and a static member, each with an assignment: the dynamic one leads.
fn two_members() -> (Machine, JoinGroupResponse, JoinGroupResponse) {
    let mut machine = Machine::new(SYSTEM);
    find(&mut machine.bench);
    let first = machine.ask(9, join_request(""));
    let leader = machine.join(join_request(&first.member_id));
    machine.ask(5, sync_request(&leader.member_id, leader.generation_id));
    let waiting = machine.bench.connect();
    let began = machine.bench.send(waiting, 9, static_join(""));
    machine.drive(began);
    let conn = machine.bench.connect();
    let actions = machine.bench.send(conn, 9, join_request(&leader.member_id));
    let actions = machine.drive(actions);
    let leader = reply::<JoinGroupRequest>(&actions, conn, 9).expect("joined");
    let other = reply::<JoinGroupRequest>(&actions, waiting, 9).expect("joined");
    let given = |member: &JoinGroupResponse, assignment: &'static str| SyncGroupRequestAssignment {
        member_id: member.member_id.clone(),
        assignment: Bytes::from_static(assignment.as_bytes()),
    };
    let sync = SyncGroupRequest {
        assignments: vec![given(&leader, "one"), given(&other, "two")],
        ..member_sync(&leader, None)
    };
    assert_eq!(&machine.ask(5, sync).assignment[..], b"one");
    let synced = machine.ask(5, member_sync(&other, Some("till-1")));
    assert_eq!(&synced.assignment[..], b"two");
    (machine, leader, other)
}

fn state(machine: &mut Machine) -> String {
    let listed = machine.ask(5, ListGroupsRequest::default());
    listed.groups[0].group_state.clone()
}

fn rebalances(machine: &Machine) -> Vec<&'static str> {
    let harness = &machine.bench.harness;
    let told = harness.machine().rebalances(harness.now(), GROUP);
    told.iter().map(|rebalance| rebalance.cause.name()).collect()
}

#[test]
fn members_that_return_in_time_keep_their_assignment_and_nothing_rebalances() {
    let (machine, leader, other) = two_members();
    let mut machine = machine.crash();
    machine.advance(9_999);
    assert_eq!(beat(&mut machine, &leader, None), ErrorCode::None);
    assert_eq!(beat(&mut machine, &other, Some("till-1")), ErrorCode::None);
    // Who lost the answer asks again, and is told the same.
    assert_eq!(&machine.ask(5, member_sync(&leader, None)).assignment[..], b"one");
    assert_eq!(
        &machine.ask(5, member_sync(&other, Some("till-1"))).assignment[..],
        b"two"
    );
    machine.advance(9_999);
    assert_eq!(state(&mut machine), "Stable");
    assert_eq!(rebalances(&machine), [""; 0]);
}

#[test]
fn a_static_member_that_was_restarted_with_the_broker_gets_its_assignment_back_under_a_new_id() {
    let (machine, leader, other) = two_members();
    let mut machine = machine.crash();
    let back = machine.join(static_join(""));
    assert_eq!(code(back.error_code), ErrorCode::None);
    assert_ne!(back.member_id, other.member_id);
    assert_eq!(back.generation_id, other.generation_id);
    let synced = machine.ask(5, member_sync(&back, Some("till-1")));
    assert_eq!(&synced.assignment[..], b"two");
    assert_eq!(beat(&mut machine, &leader, None), ErrorCode::None);
    assert_eq!(
        beat(&mut machine, &other, Some("till-1")),
        ErrorCode::FencedInstanceId
    );
    // And so it is after another restart.
    let mut machine = machine.crash();
    assert_eq!(beat(&mut machine, &back, Some("till-1")), ErrorCode::None);
    assert_eq!(rebalances(&machine), [""; 0]);
}

#[test]
fn a_member_that_does_not_return_is_removed_when_a_session_from_the_restart_on_is_over() {
    let (machine, leader, _) = two_members();
    let mut machine = machine.crash();
    machine.advance(6_000);
    assert_eq!(beat(&mut machine, &leader, None), ErrorCode::None);
    machine.advance(3_999);
    assert_eq!(beat(&mut machine, &leader, None), ErrorCode::None);
    machine.advance(1);
    assert_eq!(beat(&mut machine, &leader, None), ErrorCode::RebalanceInProgress);
    assert_eq!(rebalances(&machine), ["session_expired"]);
}
