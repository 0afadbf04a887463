//! The classic coordinator: rebalances of a group that has members, static members among them.

use kohort_conformance::unique;
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::JoinGroupRequest;

use crate::broker_groups::{describe, heartbeat, leave};
use crate::setup::{Member, code, pair, subscription};

// Kafka: ClassicGroupState.PREPARING_REBALANCE; M4, M6
#[tokio::test]
async fn a_newcomer_makes_heartbeats_and_syncs_say_that_a_rebalance_is_in_progress() {
    let group = unique("group");
    let mut first = Member::new(&group).await;
    let generation = first.settle_alone().await;
    let mut second = Member::new(&group).await;
    second.begin_join().await;
    while heartbeat(&mut first, generation).await == 0 {}
    assert_eq!(
        heartbeat(&mut first, generation).await,
        code(ErrorCode::RebalanceInProgress)
    );
    assert_eq!(
        first.sync(generation, &[]).await.error_code,
        code(ErrorCode::RebalanceInProgress)
    );
    assert_eq!(describe(&group, 5).await.group_state, "PreparingRebalance");
}

// Kafka: GroupMetadataManager.classicGroupJoinExistingMember (Stable, follower)
#[tokio::test]
async fn a_follower_that_joins_again_unchanged_is_given_the_current_generation() {
    let (mut leader, mut follower, generation) = pair(&unique("group")).await;
    let again = follower.join().await;
    assert_eq!((again.error_code, again.generation_id), (0, generation));
    assert_eq!(heartbeat(&mut leader, generation).await, 0);
}

// Kafka: GroupMetadataManager.classicGroupJoinExistingMember (Stable, follower)
#[tokio::test]
async fn a_follower_whose_protocols_changed_starts_a_rebalance() {
    let (mut leader, mut follower, generation) = pair(&unique("group")).await;
    follower.metadata = subscription("another topic");
    follower.begin_join().await;
    while heartbeat(&mut leader, generation).await == 0 {}
    assert_eq!(leader.join().await.generation_id, generation + 1);
    assert_eq!(follower.end_join().await.generation_id, generation + 1);
}

// Kafka: GroupMetadataManager.classicGroupJoinExistingMember (Stable, leader)
#[tokio::test]
async fn the_leader_that_joins_again_always_starts_a_rebalance() {
    let (mut leader, mut follower, generation) = pair(&unique("group")).await;
    leader.begin_join().await;
    while heartbeat(&mut follower, generation).await == 0 {}
    assert_eq!(follower.join().await.generation_id, generation + 1);
    let joined = leader.end_join().await;
    assert_eq!(
        (joined.generation_id, joined.leader),
        (generation + 1, leader.id.clone())
    );
}

// Kafka: GroupMetadataManager.classicGroupJoinExistingMember (CompletingRebalance)
#[tokio::test]
async fn a_join_that_is_repeated_before_the_sync_is_answered_with_the_same_generation() {
    let mut member = Member::new(&unique("group")).await;
    let first = member.join().await;
    let again = member.join().await;
    assert_eq!(
        (again.generation_id, again.members.len()),
        (first.generation_id, 1)
    );
}

// Kafka: ClassicGroup.selectProtocol
#[tokio::test]
async fn the_protocol_that_most_members_prefer_among_the_common_ones_is_taken() {
    let group = unique("group");
    let with_protocols = |member: &Member, names: &[&str]| -> JoinGroupRequest {
        let mut request = member.join_request();
        let only = request.protocols.remove(0);
        for name in names {
            let mut protocol = only.clone();
            protocol.name = (*name).to_owned();
            request.protocols.push(protocol);
        }
        request
    };
    let mut members = Vec::new();
    for names in [["a", "b"], ["b", "a"], ["b", "a"]] {
        let mut member = Member::new(&group).await;
        let refused = {
            let request = with_protocols(&member, &names);
            member.wire.call(9, request).await
        };
        member.id = refused.member_id;
        members.push((member, names));
    }
    // The first member settles alone; without a delay it need not wait for the others. The next round waits for it and for all
    // that have an id.
    let (first, names) = &mut members[0];
    let request = with_protocols(first, names);
    let joined = first.wire.call(9, request).await;
    let mut request = first.sync_request(joined.generation_id, &[]);
    request.protocol_name = joined.protocol_name;
    assert_eq!(first.wire.call(5, request).await.error_code, 0);
    for (member, names) in members.iter_mut().rev() {
        let request = with_protocols(member, names);
        member.wire.send(9, request).await;
    }
    let mut chosen = Vec::new();
    for (member, _) in &mut members {
        chosen.push(member.end_join().await.protocol_name.expect("a protocol"));
    }
    assert_eq!(chosen, ["b", "b", "b"]);
}

// Kafka: GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin; KIP-345; M8
#[tokio::test]
async fn a_static_member_that_returns_unchanged_is_given_its_assignment_without_a_rebalance() {
    let group = unique("group");
    let mut first = Member::with_instance(&group, "i").await;
    let generation = first.settle_alone().await;
    let mut returned = Member::with_instance(&group, "i").await;
    let joined = returned.join().await;
    assert_eq!((joined.error_code, joined.generation_id), (0, generation));
    assert!(joined.member_id.starts_with("i-") && joined.member_id != first.id);
    assert!(
        joined.skip_assignment,
        "the returning leader must not assign anew"
    );
    assert_eq!(returned.sync(generation, &[]).await.assignment.as_ref(), b"mine");
}

// Kafka: ClassicGroup.validateMember; KIP-345; M8: the newcomer takes the id over and the old member is fenced
#[tokio::test]
async fn the_old_holder_of_an_instance_id_is_fenced() {
    let group = unique("group");
    let mut old = Member::with_instance(&group, "i").await;
    let generation = old.settle_alone().await;
    let mut new = Member::with_instance(&group, "i").await;
    new.join().await;
    assert_eq!(
        heartbeat(&mut old, generation).await,
        code(ErrorCode::FencedInstanceId)
    );
    assert_eq!(
        old.sync(generation, &[]).await.error_code,
        code(ErrorCode::FencedInstanceId)
    );
    let request = old.join_request();
    assert_eq!(
        old.wire.call(9, request).await.error_code,
        code(ErrorCode::FencedInstanceId)
    );
    assert_eq!(leave(&mut old).await, (0, code(ErrorCode::FencedInstanceId)));
    assert_eq!(heartbeat(&mut new, generation).await, 0);
}

// Kafka: GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin compares the selected protocol's name only
#[tokio::test]
async fn a_static_member_that_returns_with_other_topics_does_not_start_a_rebalance_by_itself() {
    let group = unique("group");
    let generation = Member::with_instance(&group, "i").await.settle_alone().await;
    let mut returned = Member::with_instance(&group, "i").await;
    returned.metadata = subscription("another topic");
    assert_eq!(returned.join().await.generation_id, generation);
}

// Kafka: ClassicGroup.transitionTo; a member that was removed with the group's last one starts anew
#[tokio::test]
async fn a_group_that_became_empty_goes_on_counting_its_generations() {
    let group = unique("group");
    let mut member = Member::new(&group).await;
    let generation = member.settle_alone().await;
    leave(&mut member).await;
    let mut next = Member::new(&group).await;
    assert_eq!(
        next.settle_alone().await,
        generation + 2,
        "one for becoming empty, one for the new round"
    );
}

// Kafka: GroupMetadataManager.expireClassicGroupMemberHeartbeat; M6
#[tokio::test]
async fn a_silent_member_is_removed_after_its_session_timeout() {
    let group = unique("group");
    let mut silent = Member::new(&group).await;
    silent.session_timeout_ms = 6_000;
    silent.settle_alone().await;
    let began = std::time::Instant::now();
    while describe(&group, 5).await.group_state != "Empty" {
        assert!(began.elapsed().as_secs() < 20, "still there");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(began.elapsed().as_millis() >= 5_500, "{:?}", began.elapsed());
}
