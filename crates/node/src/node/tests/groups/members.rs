//! Members over frames.

use super::*;

#[test]
fn a_member_joins_syncs_commits_reads_back_heartbeats_and_leaves() {
    let mut bench = prompt();
    let (member_id, generation_id) = stable(&mut bench);
    let response = bench.ask(
        OFFSET_COMMIT,
        OffsetCommitRequest {
            member_id: member_id.clone(),
            generation_id_or_member_epoch: generation_id,
            ..commit_request("t", &[0], 5)
        },
    );
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
    assert_eq!(committed(&mut bench, "t"), 5);
    let beat = bench.ask(
        4,
        HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id,
            member_id: member_id.clone(),
            ..Default::default()
        },
    );
    assert_eq!(code(beat.error_code), ErrorCode::None);
    let left = bench.ask(
        5,
        LeaveGroupRequest {
            group_id: GROUP.into(),
            members: vec![MemberIdentity {
                member_id,
                ..Default::default()
            }],
            ..Default::default()
        },
    );
    assert_eq!((left.error_code, left.members[0].error_code), (0, 0));
    let listed = bench.ask(5, ListGroupsRequest::default());
    assert_eq!(
        (&*listed.groups[0].group_id, &*listed.groups[0].group_state),
        (GROUP, "Empty")
    );
    bench.assert_replays();
}

#[test]
fn a_join_is_answered_when_the_initial_delay_is_over() {
    let mut bench = Bench::new();
    find(&mut bench);
    let conn = bench.connect();
    let actions = bench.send(conn, 3, join_request(""));
    assert_eq!(actions, []);
    assert_eq!(bench.harness.machine().waiting_group_requests(), 1);
    assert_eq!(bench.advance(2_999), []);
    let actions = bench.advance(1);
    let joined = reply::<JoinGroupRequest>(&actions, conn, 3).expect("answered");
    assert_eq!((joined.generation_id, &*joined.leader), (1, &*joined.member_id));
    assert!(joined.member_id.starts_with("tester-"));
}

#[test]
fn a_member_whose_connection_is_gone_stays_until_its_session_ends() {
    let mut bench = Bench::new();
    find(&mut bench);
    let conn = bench.connect();
    bench.send(conn, 3, join_request(""));
    bench.harness.step(crate::interface::Event::Disconnected { conn });
    bench.advance(3_000);
    let state = |bench: &mut Bench| {
        let listed = bench.ask(5, ListGroupsRequest::default());
        listed.groups[0].group_state.clone()
    };
    assert_eq!(state(&mut bench), "CompletingRebalance");
    bench.advance(10_000);
    assert_eq!(state(&mut bench), "Empty");
}

#[test]
fn a_group_is_described_with_what_may_be_done_to_it() {
    let mut bench = prompt();
    stable(&mut bench);
    let response = bench.ask(
        6,
        DescribeGroupsRequest {
            groups: vec![GROUP.into(), "nowhere".into()],
            include_authorized_operations: true,
        },
    );
    let group = &response.groups[0];
    assert_eq!(
        (&*group.group_state, &*group.protocol_type, &*group.protocol_data),
        ("Stable", "consumer", "range")
    );
    assert_eq!(&*group.members[0].client_id, "tester");
    assert_eq!(&*group.members[0].client_host, "/127.0.0.1");
    // READ (3), DELETE (6), DESCRIBE (8), DESCRIBE_CONFIGS (10), ALTER_CONFIGS (11).
    assert_eq!(
        group.authorized_operations,
        1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11
    );
    let missing = &response.groups[1];
    assert_eq!(
        (code(missing.error_code), &*missing.group_state),
        (ErrorCode::GroupIdNotFound, "Dead")
    );
    assert_eq!(missing.authorized_operations, i32::MIN);
}

// Kafka: CoordinatorRuntime.append (RecordTooLargeException), GroupMetadataManager.classicGroupSyncToClassicGroup
#[test]
fn a_group_that_no_message_of_consumer_offsets_holds_does_not_become_stable() {
    let mut bench = Bench::with(&[
        ("group.initial.rebalance.delay.ms", "0"),
        ("message.max.bytes", "2000"),
    ]);
    find(&mut bench);
    let joined = join(&mut bench);
    let large = Bytes::from(vec![0; 2_000]);
    let mut sync = sync_request(&joined.member_id, joined.generation_id);
    sync.assignments[0].assignment = large.clone();
    let refused = bench.ask(5, sync);
    assert_eq!(code(refused.error_code), ErrorCode::UnknownServerError);
    let state = |bench: &mut Bench| {
        let listed = bench.ask(5, ListGroupsRequest::default());
        listed.groups[0].group_state.clone()
    };
    assert_eq!(state(&mut bench), "PreparingRebalance");
    // What members say of themselves is in it, too.
    let mut join = join_request(&joined.member_id);
    join.protocols[0].metadata = large;
    let joined = bench.ask(9, join);
    assert_eq!((joined.error_code, joined.generation_id), (0, 2));
    let refused = bench.ask(5, sync_request(&joined.member_id, 2));
    assert_eq!(code(refused.error_code), ErrorCode::UnknownServerError);
    let joined = bench.ask(9, join_request(&joined.member_id));
    let synced = bench.ask(5, sync_request(&joined.member_id, joined.generation_id));
    assert_eq!(code(synced.error_code), ErrorCode::None);
    assert_eq!(state(&mut bench), "Stable");
}

#[test]
fn members_that_say_more_than_all_may_hold_are_told_to_come_again_and_others_join() {
    let mut bench = Bench::with(&[
        ("group.initial.rebalance.delay.ms", "0"),
        ("queued.max.request.bytes", "20000000"),
    ]);
    find(&mut bench);
    let saying = |group: &str, bytes: usize| {
        let mut join = join_request("");
        join.group_id = group.into();
        join.protocols[0].metadata = Bytes::from(vec![0; bytes]);
        join
    };
    let conn = bench.connect();
    let mut actions = bench.send(conn, 3, saying("large", 9_000_000));
    actions.extend(bench.advance(0));
    let joined = reply::<JoinGroupRequest>(&actions, conn, 3).expect("the join phase has ended");
    assert_eq!(joined.error_code, 0);
    let refused = bench.ask(3, saying("larger", 9_000_000));
    assert_eq!(code(refused.error_code), ErrorCode::CoordinatorNotAvailable);
    stable(&mut bench);
    // The large one did not sync.
    bench.advance(60_000);
    let conn = bench.connect();
    bench.send(conn, 3, saying("larger", 9_000_000));
    assert_eq!(bench.harness.machine().waiting_group_requests(), 1);
}
