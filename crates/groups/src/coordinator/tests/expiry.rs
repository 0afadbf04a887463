//! The expiry of committed offsets.

use super::*;

const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;
/// `offsets.retention.check.interval.ms`.
const CHECK: u64 = 10 * MINUTE;

/// Keeps a stable member alive for `millis`, with sessions as long as they may be.
fn keep_alive(kit: &mut Kit, member_id: &str, generation: i32, millis: u64) {
    for _ in 0..millis.div_ceil(CHECK) {
        assert_eq!(kit.heartbeat(member_id, generation), Ok(()));
        kit.advance(CHECK);
    }
}

/// A stable group of one patient member.
fn patient(kit: &mut Kit, protocol_type: &str) -> (Arc<str>, i32) {
    let token = kit.join(JoinRequest {
        session_timeout_ms: 1_800_000,
        protocol_type: protocol_type.into(),
        ..anonymous_join()
    });
    kit.advance(3_000);
    let (member_id, joined) = kit.take_joined(token);
    let token = kit.send(GroupRequest::Sync(SyncRequest {
        protocol_type: None,
        ..sync(&member_id, joined.generation, &[])
    }));
    kit.take_sync(token).expect("stable");
    (member_id, joined.generation)
}

fn commit_to(kit: &mut Kit, topic: &str, member_id: &str, generation: i32) {
    let mut request = commit(member_id, generation, 5);
    request.topics[0].name = topic.into();
    let token = kit.send(GroupRequest::CommitOffsets(request));
    assert_eq!(kit.take_commit(token), Ok(()));
}

#[test]
fn offsets_of_a_client_that_only_commits_expire_seven_days_after_the_commit_and_the_group_with_them() {
    let mut kit = Kit::new();
    kit.commit("", -1, 5).expect("committed");
    kit.advance(7 * DAY - CHECK);
    assert_eq!(kit.committed("topic", 0), Some(5));
    kit.advance(2 * CHECK);
    assert_eq!(kit.committed("topic", 0), None);
    assert_eq!(kit.state(), "Dead");
    assert_eq!(kit.harness.machine().group_count(), 0);
}

#[test]
fn offsets_of_an_empty_group_expire_seven_days_after_it_became_empty() {
    let mut kit = Kit::new();
    let (member_id, generation) = patient(&mut kit, "consumer");
    kit.commit(&member_id, generation, 5).expect("committed");
    keep_alive(&mut kit, &member_id, generation, DAY);
    kit.leave(&member_id);
    kit.advance(7 * DAY - CHECK);
    assert_eq!(kit.committed("topic", 0), Some(5));
    kit.advance(2 * CHECK);
    assert_eq!(kit.committed("topic", 0), None);
    assert_eq!(kit.state(), "Dead");
}

#[test]
fn offsets_of_topics_that_a_stable_group_no_longer_reads_expire_and_those_it_reads_do_not() {
    let mut kit = Kit::new();
    let (member_id, generation) = patient(&mut kit, "consumer");
    commit_to(&mut kit, "topic", &member_id, generation);
    commit_to(&mut kit, "old", &member_id, generation);
    keep_alive(&mut kit, &member_id, generation, 7 * DAY + 2 * CHECK);
    assert_eq!(kit.committed("topic", 0), Some(5));
    assert_eq!(kit.committed("old", 0), None);
    assert_eq!(kit.state(), "Stable");
}

#[test]
fn offsets_of_a_stable_group_that_is_not_of_consumers_never_expire() {
    let mut kit = Kit::new();
    let (member_id, generation) = patient(&mut kit, "connect");
    commit_to(&mut kit, "topic", &member_id, generation);
    keep_alive(&mut kit, &member_id, generation, 7 * DAY + 2 * CHECK);
    assert_eq!(kit.committed("topic", 0), Some(5));
}

#[test]
fn a_commit_with_a_retention_of_its_own_expires_by_it() {
    let mut kit = Kit::new();
    let request = CommitOffsetsRequest {
        retention_ms: Some(30 * 60_000),
        ..commit("", -1, 5)
    };
    kit.send(GroupRequest::CommitOffsets(request));
    kit.advance(20 * MINUTE);
    assert_eq!(kit.committed("topic", 0), Some(5));
    kit.advance(20 * MINUTE);
    assert_eq!(kit.committed("topic", 0), None);
}

#[test]
fn an_empty_group_without_offsets_goes_at_the_next_check() {
    let mut kit = Kit::new();
    let (ids, _) = kit.stable(1);
    kit.leave(&ids[0]);
    assert_eq!(kit.state(), "Empty");
    kit.advance(CHECK);
    assert_eq!(kit.state(), "Dead");
}

#[test]
fn nothing_expires_while_a_group_rebalances() {
    let mut kit = Kit::with(CoordinatorConfig {
        initial_rebalance_delay_ms: 0,
        offsets_retention_ms: 1_000,
        retention_check_interval_ms: 1_000,
        ..CoordinatorConfig::default()
    });
    let (ids, generation) = kit.stable(1);
    commit_to(&mut kit, "other", &ids[0], generation);
    // The newcomer makes the group wait for the first member, up to a minute.
    kit.join(anonymous_join());
    assert_eq!(kit.state(), "PreparingRebalance");
    for _ in 0..6 {
        kit.advance(5_000);
        assert_eq!(
            kit.heartbeat(&ids[0], generation),
            Err(Refusal::RebalanceInProgress)
        );
    }
    assert_eq!(kit.committed("other", 0), Some(5));
}
