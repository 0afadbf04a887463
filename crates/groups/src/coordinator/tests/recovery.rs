//! A node that starts with a log.

use super::*;

#[test]
fn a_stable_group_lives_on_after_a_restart() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    kit.commit(&ids[0], generation, 5).expect("committed");
    let before = kit.describe();
    let mut kit = Kit::recovered(CoordinatorConfig::default(), &kit.log);
    assert_eq!(kit.describe(), before);
    assert_eq!(kit.committed("topic", 0), Some(5));
    for id in &ids {
        assert_eq!(kit.heartbeat(id, generation), Ok(()));
        let token = kit.sync(id, generation, &[]);
        assert_eq!(kit.take_sync(token), Ok(bytes(id)));
    }
    assert_eq!(kit.leader(), ids[0]);
}

#[test]
fn sessions_begin_anew_when_the_log_is_loaded() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    let mut kit = Kit::recovered(CoordinatorConfig::default(), &kit.log);
    kit.advance(9_999);
    assert_eq!(kit.heartbeat(&ids[0], generation), Ok(()));
    kit.advance(1);
    assert_eq!(kit.heartbeat(&ids[1], generation), Err(Refusal::UnknownMemberId));
}

#[test]
fn a_rebalance_that_was_not_finished_is_forgotten_and_its_members_join_again() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(2);
    kit.join(anonymous_join());
    assert_eq!(kit.state(), "PreparingRebalance");
    let mut kit = Kit::recovered(CoordinatorConfig::default(), &kit.log);
    assert_eq!(kit.state(), "Stable");
    assert_eq!(kit.heartbeat(&ids[0], generation), Ok(()));
}

#[test]
fn a_static_members_new_id_survives_a_restart() {
    let mut kit = Kit::new();
    let token = kit.join(static_join("one"));
    kit.advance(3_000);
    let (old, joined) = kit.take_joined(token);
    let token = kit.sync(&old, joined.generation, &[(&old, "all")]);
    kit.take_sync(token).expect("stable");
    let token = kit.join(static_join("one"));
    let (new, _) = kit.take_joined(token);
    let mut kit = Kit::recovered(CoordinatorConfig::default(), &kit.log);
    assert_eq!(kit.heartbeat(&new, joined.generation), Ok(()));
    assert_eq!(
        kit.heartbeat(&old, joined.generation),
        Err(Refusal::UnknownMemberId)
    );
    let token = kit.sync(&new, joined.generation, &[]);
    assert_eq!(kit.take_sync(token), Ok(bytes("all")));
}

#[test]
fn an_empty_group_keeps_its_generation_and_the_time_it_became_empty() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    kit.commit(&ids[0], generation, 5).expect("committed");
    kit.leave(&ids[0]);
    let mut kit = Kit::recovered(CoordinatorConfig::default(), &kit.log);
    assert_eq!(kit.state(), "Empty");
    let token = kit.join(anonymous_join());
    kit.advance(3_000);
    assert_eq!(kit.take_joined(token).1.generation, generation + 2);
}

#[test]
fn a_deleted_group_stays_deleted() {
    let mut kit = Kit::new();
    kit.commit("", -1, 5).expect("committed");
    let groups = vec![GROUP.into()];
    kit.send(GroupRequest::Delete(DeleteRequest { groups }));
    let mut kit = Kit::recovered(CoordinatorConfig::default(), &kit.log);
    assert_eq!((kit.state(), kit.committed("topic", 0)), ("Dead", None));
    assert_eq!(kit.harness.machine().group_count(), 0);
}

#[test]
fn a_loaded_group_that_is_too_large_rebalances() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(3);
    let small = CoordinatorConfig {
        max_size: 2,
        ..CoordinatorConfig::default()
    };
    let mut kit = Kit::recovered(small, &kit.log);
    assert_eq!(kit.cause(), Some(&RebalanceCause::GroupTooLarge { members: 3 }));
    assert_eq!(
        kit.heartbeat(&ids[0], generation),
        Err(Refusal::RebalanceInProgress)
    );
    let tokens = [kit.join(rejoin(&ids[0])), kit.join(rejoin(&ids[1]))];
    let late = kit.join(rejoin(&ids[2]));
    assert_eq!(kit.take_join_refusal(late), Refusal::GroupMaxSizeReached);
    kit.advance(60_000);
    for token in tokens {
        assert_eq!(kit.take_joined(token).1.generation, generation + 1);
    }
}

#[test]
fn a_member_stored_without_rebalance_timeout_gets_its_session_timeout() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(1);
    let mut log = kit.log.clone();
    for (_, record) in &mut log {
        if let CoordinatorRecord::Group {
            value: Some(stored), ..
        } = record
        {
            for member in &mut stored.members {
                member.rebalance_timeout_ms = -1;
            }
        }
    }
    let mut kit = Kit::recovered(CoordinatorConfig::default(), &log);
    let token = kit.join(anonymous_join());
    kit.advance(9_999);
    assert_eq!(
        kit.heartbeat(&ids[0], generation),
        Err(Refusal::RebalanceInProgress)
    );
    assert!(kit.waits(token));
    // The newcomer's rebalance timeout of 60 s is the larger.
    kit.advance(9_999);
    assert!(kit.waits(token));
}

#[test]
fn a_run_replays_exactly() {
    let mut kit = Kit::new();
    let (ids, generation) = kit.stable(3);
    kit.commit(&ids[0], generation, 5).expect("committed");
    kit.leave(&ids[1]);
    kit.advance(60_000);
    let again = Coordinator::new(CoordinatorConfig::default(), 42);
    kohort_machine::testing::replay(again, kit.harness.record());
}

#[test]
fn a_member_that_is_stored_twice_is_there_and_counts_once() {
    let mut kit = Kit::new();
    let (ids, _) = kit.stable(2);
    let mut log = kit.log.clone();
    let Some((
        _,
        CoordinatorRecord::Group {
            value: Some(stored), ..
        },
    )) = log.last_mut()
    else {
        panic!("the group is stored last");
    };
    let mut again = stored.members[0].clone();
    again.subscription = bytes("much longer than it was when it was stored first");
    stored.members.push(again.clone());
    let instance: Option<Arc<str>> = Some("instance".into());
    for (id, group_instance_id) in [("a", &instance), ("b", &instance)] {
        stored.members.push(StoredMember {
            member_id: id.into(),
            group_instance_id: group_instance_id.clone(),
            ..again.clone()
        });
    }
    stored.leader = Some("b".into());
    let mut kit = Kit::recovered(CoordinatorConfig::default(), &log);
    let members = kit.describe().expect("the group").members;
    let listed: Vec<_> = members.iter().map(|member| member.member_id.clone()).collect();
    let mut expected = vec!["a".into(), ids[0].clone(), ids[1].clone()];
    expected.sort();
    assert_eq!(listed, expected);
    let machine = kit.harness.machine();
    let classic = machine.groups[GROUP].classic.as_ref().expect("the group");
    classic.assert_consistent();
    assert_eq!(machine.cx.held.said, classic.recounted());
}
