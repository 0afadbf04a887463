//! Static members (KIP-345): what it costs their group when they are away for a while, who wins an instance id, and how they
//! leave. The same with 30 s, as in the book, is on a paused clock in `crates/kohort/tests/api/static_members.rs`.

use std::time::{Duration, Instant};

use kohort::Admin;
use kohort::consumer::{LeaveGroup, MemberError, PollError, ReadError};
use kohort_conformance::{cluster, unique};

use crate::broker_groups::describe;
use crate::consumer_setup::{
    A_MOMENT, Reader, SOON, built, failure, new_topic, numbers, of_group, settle, soon,
};

/// The least session time-out that a broker allows by default.
const SESSION: Duration = Duration::from_secs(6);

/// A group of one member that stays, and one that goes away for a while; each has one partition.
struct Group {
    topic: String,
    id: String,
    /// The instance id of the one that goes away, if it is static.
    instance: Option<&'static str>,
    members: Vec<Reader>,
}

impl Group {
    async fn of_two(instance: Option<&'static str>) -> Self {
        let mut group = Self {
            topic: new_topic(2).await,
            id: unique("group"),
            instance,
            members: Vec::new(),
        };
        group.add(None);
        settle(&mut group.members, |shares| shares[0].len() == 2).await;
        group.come().await;
        group
    }

    fn add(&mut self, instance: Option<&str>) {
        let mut builder = of_group(&self.id).session_timeout_ms(6_000);
        if let Some(instance) = instance {
            builder = builder.group_instance_id(instance);
        }
        let mut member = built(builder);
        member.subscribe([&*self.topic]).expect("a topic");
        self.members.push(member);
    }

    /// The other starts, and gets its partition.
    async fn come(&mut self) {
        self.add(self.instance);
        settle(&mut self.members, |shares| {
            shares[0].len() == 1 && shares[1].len() == 1
        })
        .await;
    }

    /// The other ends; without a word to the coordinator it is as if it had crashed.
    async fn go(&mut self, leave: LeaveGroup) {
        let other = self.members.pop().expect("it is there");
        soon("closing", other.close_with(SOON, leave))
            .await
            .expect("it closes");
    }

    async fn pass(&mut self, time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {
            for member in &mut self.members {
                member.poll(A_MOMENT).await.expect("no error");
            }
        }
    }

    /// How often the member that stays took part in a rebalance.
    fn rebalances(&self) -> u64 {
        let journal = self.members[0].rebalance_journal();
        journal.ended().last().map_or(0, |last| last.number)
    }
}

// M8; Kafka: GroupMetadataManager.classicGroupLeaveToClassicGroup
#[tokio::test]
async fn a_dynamic_member_that_closes_and_returns_costs_two_rebalances() {
    let mut group = Group::of_two(None).await;
    let before = group.rebalances();
    group.go(LeaveGroup::Default).await;
    settle(&mut group.members, |shares| shares[0].len() == 2).await;
    group.come().await;
    assert_eq!(group.rebalances() - before, 2);
}

// M8; Kafka: GroupMetadataManager.expireClassicGroupMemberHeartbeat
#[tokio::test]
async fn a_dynamic_member_that_crashes_and_returns_after_its_session_costs_two_rebalances() {
    let mut group = Group::of_two(None).await;
    let before = group.rebalances();
    group.go(LeaveGroup::Remain).await;
    group.pass(SESSION * 3 / 2).await;
    assert_eq!(group.rebalances() - before, 1, "its session expired");
    group.come().await;
    assert_eq!(group.rebalances() - before, 2);
}

// M8; Kafka: GroupMetadataManager.prepareRebalance waits for the one that is gone, until its session expires
#[tokio::test]
async fn a_dynamic_member_that_crashes_and_returns_within_its_session_costs_one_rebalance() {
    let mut group = Group::of_two(None).await;
    let before = group.rebalances();
    group.go(LeaveGroup::Remain).await;
    group.pass(SESSION / 3).await;
    assert_eq!(group.rebalances(), before);
    group.come().await;
    group.pass(SESSION).await;
    assert_eq!(group.rebalances() - before, 1);
}

// M8; Kafka: GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin
#[tokio::test]
async fn a_static_member_that_is_back_within_its_session_costs_no_rebalance_and_keeps_its_partitions() {
    let mut group = Group::of_two(Some("i")).await;
    let (before, owned) = (group.rebalances(), numbers(&group.members[1]));
    for leave in [LeaveGroup::Remain, LeaveGroup::Default] {
        group.go(leave).await;
        group.pass(SESSION / 3).await;
        group.come().await;
        assert_eq!(numbers(&group.members[1]), owned);
    }
    group.pass(SESSION).await;
    assert_eq!(group.rebalances(), before);
}

// M8; Kafka: GroupMetadataManager.expireClassicGroupMemberHeartbeat
#[tokio::test]
async fn a_static_member_that_is_back_after_its_session_costs_two_rebalances() {
    let mut group = Group::of_two(Some("i")).await;
    let before = group.rebalances();
    group.go(LeaveGroup::Default).await;
    group.pass(SESSION * 3 / 2).await;
    assert_eq!(group.rebalances() - before, 1, "its session expired");
    group.come().await;
    assert_eq!(group.rebalances() - before, 2);
}

// Kafka: AbstractCoordinator.HeartbeatResponseHandler, FENCED_INSTANCE_ID
#[tokio::test]
async fn a_newcomer_takes_an_instance_id_over_and_the_old_holder_fails_for_good() {
    let mut group = Group::of_two(Some("i")).await;
    let mut old = group.members.pop().expect("it is there");
    group.come().await;
    let error = failure(&mut old).await;
    assert!(error.is_fatal(), "{error:?}");
    let PollError::Read(ReadError::Membership(error)) = error else {
        panic!("{error:?}");
    };
    assert!(matches!(
        &*error,
        MemberError::FencedInstanceId { group_instance_id, .. } if &**group_instance_id == "i"
    ));
    // The group does not notice, not even when it polls on.
    assert!(matches!(
        failure(&mut old).await,
        PollError::Read(ReadError::Membership(error)) if matches!(*error, MemberError::FencedInstanceId { .. })
    ));
    group.pass(A_MOMENT).await;
    assert_eq!(describe(&group.id, 5).await.members.len(), 2);
}

// Kafka: KafkaAdminClient.removeMembersFromConsumerGroup
#[tokio::test]
async fn a_static_member_leaves_by_admin_and_the_others_take_over_long_before_its_session_ends() {
    let mut group = Group::of_two(Some("i")).await;
    group.go(LeaveGroup::Default).await;
    assert_eq!(
        describe(&group.id, 5).await.members.len(),
        2,
        "it is a member still"
    );
    let admin = Admin::builder()
        .bootstrap_servers(&*cluster().bootstrap)
        .build()
        .expect("valid settings");
    let removed = admin.remove_members_from_group(&*group.id, ["i"], None);
    let removed = soon("the removal", removed).await.expect("an answer");
    assert!(removed.values().all(Result::is_ok), "{removed:?}");
    let began = Instant::now();
    settle(&mut group.members, |shares| shares[0].len() == 2).await;
    assert!(began.elapsed() < SESSION / 2, "{:?}", began.elapsed());
}
