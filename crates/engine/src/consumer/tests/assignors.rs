//! What the leader's assignor is told of the cluster, and how the application's own assignors are asked.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_groups::assign::Assigned;
use kohort_groups::member::{Computed, OfferedAssignor};
use kohort_groups::{Assignment, RebalanceProtocol};
use kohort_protocol::ApiKey;

use super::rig::*;
use crate::consumer::{Action, CallbackKind, Compute, Describe, Event};

/// A member of three brokers' group whose only assignor is the application's own.
fn with_own_assignor() -> Rig {
    let mut rig = Rig::with_brokers(3, |config| {
        let mut group = crate::consumer::GroupConfig::new("g");
        group.assignors = vec![OfferedAssignor::new("own", [RebalanceProtocol::Eager])];
        config.group = Some(group);
    });
    let metadata = rig.driven.network.metadata.as_mut().unwrap();
    for (broker, rack) in metadata
        .brokers
        .iter_mut()
        .zip([Some("east"), None, Some("west")])
    {
        broker.rack = rack.map(String::from);
    }
    for (partition, replicas) in metadata.topics[0].partitions.iter_mut().zip([[1, 2], [3, 1]]) {
        partition.replica_nodes = replicas.into();
    }
    rig.subscribe();
    rig
}

fn described(rig: &mut Rig) -> Describe {
    match rig.own_assignor.remove(0) {
        Action::Describe(describe) => *describe,
        other => panic!("{other:?}"),
    }
}

fn computing(rig: &mut Rig) -> Compute {
    match rig.own_assignor.remove(0) {
        Action::Compute(compute) => *compute,
        other => panic!("{other:?}"),
    }
}

fn assigned(rig: &mut Rig) -> Assigned {
    match rig.own_assignor.remove(0) {
        Action::OnAssignment(told) => told.1,
        other => panic!("{other:?}"),
    }
}

fn say(rig: &mut Rig, step: u64, what: &'static [u8]) {
    let user_data = vec![("own".into(), Some(Bytes::from_static(what)))];
    rig.event(Event::Described { step, user_data });
}

/// The assignor gives everything to the one member.
fn share_out(rig: &mut Rig, compute: &Compute) {
    let assignment = Assignment {
        partitions: vec![of_t(0), of_t(1)],
        user_data: Some(Bytes::from_static(b"from the leader")),
    };
    let computed = Computed {
        assignments: [("m".into(), assignment)].into(),
        topics: compute.topics.clone(),
    };
    rig.event(Event::Computed {
        step: compute.step,
        result: Box::new(Ok(computed)),
    });
}

// Kafka: AbstractPartitionAssignor takes the racks of all replicas
#[test]
fn the_assignor_is_told_the_racks_of_replicas_as_far_as_brokers_have_one() {
    let mut rig = with_own_assignor();
    let step = described(&mut rig).step;
    say(&mut rig, step, b"");
    let compute = computing(&mut rig);
    let layout = &compute.topics["t"];
    assert_eq!(layout.partitions, 2);
    let racks: Vec<Vec<&str>> = layout
        .racks
        .iter()
        .map(|racks| racks.iter().map(|rack| &**rack).collect())
        .collect();
    assert_eq!(racks, [vec!["east"], vec!["west", "east"]]);
}

// Kafka: ConsumerCoordinator.metadata, onJoinComplete
#[test]
fn join_group_waits_for_the_applications_assignor_which_hears_what_came_of_it() {
    let mut rig = with_own_assignor();
    assert_eq!(rig.count(ApiKey::JoinGroup), 0);
    let describe = described(&mut rig);
    assert_eq!(
        (describe.topics, describe.assignors),
        (vec!["t".into()], vec![("own".into(), None)])
    );
    say(&mut rig, describe.step, b"from the member");
    assert_eq!(rig.count(ApiKey::JoinGroup), 1);
    let compute = computing(&mut rig);
    assert_eq!(
        compute.members["m"].user_data.as_deref(),
        Some(&b"from the member"[..])
    );
    share_out(&mut rig, &compute);
    let told = assigned(&mut rig);
    assert!(rig.calls.is_empty(), "before the listener");
    assert_eq!(
        told.assignment.user_data.as_deref(),
        Some(&b"from the leader"[..])
    );
    assert_eq!(told.identity.generation, 1);
    rig.poll_max(0).unwrap();
    assert_eq!(rig.calls, [(CallbackKind::Assigned, vec![0, 1])]);
    // It joins again, and the assignor is reminded.
    rig.refuse(
        ApiKey::Heartbeat,
        &[kohort_protocol::ErrorCode::RebalanceInProgress],
    );
    rig.advance(4 * SECOND);
    rig.poll_max(0).unwrap();
    assert_eq!(described(&mut rig).assignors, [("own".into(), Some(told))]);
}

#[test]
fn a_late_description_of_a_join_that_was_sent_is_ignored() {
    let mut rig = with_own_assignor();
    let step = described(&mut rig).step;
    say(&mut rig, step, b"once");
    say(&mut rig, step, b"twice");
    assert_eq!(rig.count(ApiKey::JoinGroup), 1);
}
