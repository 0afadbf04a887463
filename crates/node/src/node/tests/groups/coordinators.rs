//! Which broker coordinates, and groups that move with their partition or come back with their broker.

use super::*;

#[test]
fn finding_a_coordinator_creates_the_offsets_topic_of_fifty_compacted_partitions() {
    let mut bench = Bench::new();
    let found = find(&mut bench);
    let coordinator = &found.coordinators[0];
    assert_eq!(code(coordinator.error_code), ErrorCode::None);
    assert_eq!(
        (coordinator.node_id, &*coordinator.host, coordinator.port),
        (0, "localhost", 9092)
    );
    let configs = bench.ask(
        4,
        DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: 2,
                resource_name: OFFSETS.into(),
                configuration_keys: Some(vec!["cleanup.policy".into()]),
            }],
            ..Default::default()
        },
    );
    assert_eq!(configs.results[0].configs[0].value.as_deref(), Some("compact"));
    let old = bench.ask(
        1,
        FindCoordinatorRequest {
            key: GROUP.into(),
            ..Default::default()
        },
    );
    assert_eq!((old.node_id, old.port), (0, 9092));
}

#[test]
fn a_coordinator_of_transactions_is_not_to_be_found() {
    let mut bench = Bench::new();
    let response = bench.ask(
        4,
        FindCoordinatorRequest {
            key_type: 1,
            coordinator_keys: vec!["tx".into()],
            ..Default::default()
        },
    );
    let coordinator = &response.coordinators[0];
    assert_eq!(
        (code(coordinator.error_code), coordinator.node_id),
        (ErrorCode::InvalidRequest, -1)
    );
}

#[test]
fn without_the_offsets_topic_this_node_coordinates_nothing() {
    let mut bench = Bench::new();
    let response = bench.ask(
        4,
        HeartbeatRequest {
            group_id: GROUP.into(),
            ..Default::default()
        },
    );
    assert_eq!(code(response.error_code), ErrorCode::NotCoordinator);
}

#[test]
fn a_group_moves_with_the_leader_of_its_partition_and_keeps_members_and_offsets() {
    let mut bench = Bench::of_brokers(2, &[("group.initial.rebalance.delay.ms", "0")]);
    let before = find(&mut bench).coordinators[0].node_id;
    let after = 1 - before;
    let old = bench.connect_to(before);
    let new = bench.connect_to(after);
    let first = bench.ask_on(old, 9, join_request(""));
    let mut actions = bench.send(old, 9, join_request(&first.member_id));
    actions.extend(bench.advance(0));
    let joined = reply::<JoinGroupRequest>(&actions, old, 9).expect("joined");
    bench.ask_on(old, 5, sync_request(&joined.member_id, joined.generation_id));
    let request = OffsetCommitRequest {
        member_id: joined.member_id.clone(),
        generation_id_or_member_epoch: joined.generation_id,
        ..commit_request("t", &[0], 5)
    };
    assert_eq!(
        bench.ask_on(old, OFFSET_COMMIT, request).topics[0].partitions[0].error_code,
        0
    );
    assert_eq!(committed_on(&mut bench, new, "t"), Err(ErrorCode::NotCoordinator));

    bench.control(Control::MoveLeader {
        topic: OFFSETS.into(),
        partition: partition_for(GROUP, 50),
        broker: after,
    });
    assert_eq!(find(&mut bench).coordinators[0].node_id, after);
    assert_eq!(committed_on(&mut bench, new, "t"), Ok(5));
    assert_eq!(committed_on(&mut bench, old, "t"), Err(ErrorCode::NotCoordinator));
    let beat = HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        ..Default::default()
    };
    assert_eq!(
        code(bench.ask_on(old, 4, beat.clone()).error_code),
        ErrorCode::NotCoordinator
    );
    assert_eq!(code(bench.ask_on(new, 4, beat).error_code), ErrorCode::None);
    bench.assert_replays();
}

#[test]
fn a_broker_that_is_stopped_and_started_loads_its_groups_and_their_sessions_begin_anew() {
    let mut bench = prompt();
    let before = find(&mut bench).coordinators[0].node_id;
    let conn = bench.connect_to(before);
    let first = bench.ask_on(conn, 9, join_request(""));
    let mut actions = bench.send(conn, 9, join_request(&first.member_id));
    actions.extend(bench.advance(0));
    let joined = reply::<JoinGroupRequest>(&actions, conn, 9).expect("joined");
    bench.ask_on(conn, 5, sync_request(&joined.member_id, joined.generation_id));
    bench.control(Control::Stop { broker: before });
    assert!(
        bench.send(conn, 4, HeartbeatRequest::default()).is_empty(),
        "its connection is closed"
    );
    // Longer than the session.
    bench.advance(3_600_000);
    bench.control(Control::Start { broker: before });
    let conn = bench.connect_to(before);
    let beat = HeartbeatRequest {
        group_id: GROUP.into(),
        generation_id: joined.generation_id,
        member_id: joined.member_id,
        ..Default::default()
    };
    assert_eq!(code(bench.ask_on(conn, 4, beat).error_code), ErrorCode::None);
    bench.assert_replays();
}

#[test]
fn a_join_that_waits_when_its_coordinator_moves_is_answered_not_coordinator() {
    let mut bench = Bench::of_brokers(2, &[]);
    let before = find(&mut bench).coordinators[0].node_id;
    let conn = bench.connect_to(before);
    bench.send(conn, 3, join_request(""));
    let actions = bench.harness.step(crate::interface::Event::Control {
        token: kohort_machine::Token(1),
        control: alloc::boxed::Box::new(Control::MoveLeader {
            topic: OFFSETS.into(),
            partition: partition_for(GROUP, 50),
            broker: 1 - before,
        }),
    });
    let response = reply::<JoinGroupRequest>(&actions, conn, 3).expect("answered");
    assert_eq!(code(response.error_code), ErrorCode::NotCoordinator);
    assert_eq!(bench.harness.machine().waiting_group_requests(), 0);
}

// Kafka: GroupCoordinatorIntegrationTest.testRecreatingConsumerOffsetsTopic
#[test]
fn the_offsets_topic_that_was_deleted_is_made_anew_when_a_coordinator_is_looked_for() {
    let mut bench = prompt();
    commit(&mut bench, "t", &[0], 5);
    let delete = DeleteTopicsRequest {
        topic_names: vec![OFFSETS.into()],
        ..Default::default()
    };
    assert_eq!(
        code(bench.ask(3, delete).responses[0].error_code),
        ErrorCode::None
    );
    let conn = bench.connect();
    assert_eq!(
        committed_on(&mut bench, conn, "t"),
        Err(ErrorCode::NotCoordinator)
    );
    find(&mut bench);
    assert_eq!(committed(&mut bench, "t"), -1);
    assert_eq!(commit(&mut bench, "t", &[0], 6), [(0, ErrorCode::None)]);
    assert_eq!(committed(&mut bench, "t"), 6);
}
