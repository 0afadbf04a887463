//! The member on a driven clock: what each phase's tests share.

mod heartbeats;
mod joining;
mod leaving;
mod listener;
mod random;
mod refusals;
mod table;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::Token;
use kohort_machine::testing::Harness;

use super::*;
use crate::assign::TopicLayout;
use crate::{Assignment, RebalanceProtocol, Subscription, TopicPartition};

pub(super) type Driven = Harness<Member>;

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn config() -> MemberConfig {
    MemberConfig::new("g", vec![offered("range", &[RebalanceProtocol::Eager])])
}

pub(super) fn cooperative() -> MemberConfig {
    let both = [RebalanceProtocol::Cooperative, RebalanceProtocol::Eager];
    MemberConfig::new("g", vec![offered("cooperative-sticky", &both)])
}

pub(super) fn offered(name: &str, protocols: &[RebalanceProtocol]) -> OfferedAssignor {
    OfferedAssignor::new(name, protocols)
}

pub(super) fn driven(config: MemberConfig) -> Driven {
    Harness::new(Member::new(config, 1).expect("valid settings"))
}

pub(super) fn partitions(list: &[(&str, i32)]) -> Vec<TopicPartition> {
    list.iter()
        .map(|(topic, partition)| TopicPartition::new(*topic, *partition))
        .collect()
}

pub(super) fn subscribe(topics: &[&str]) -> Event {
    Event::Subscribed {
        topics: topics.iter().map(|topic| Arc::from(*topic)).collect(),
        by_pattern: false,
    }
}

pub(super) fn reply(token: Token, response: MemberResponse) -> Event {
    Event::Reply {
        token,
        result: Ok(Box::new(response)),
    }
}

pub(super) fn refuse(token: Token, refusal: Refusal) -> Event {
    fail(token, Failure::Refused(refusal))
}

pub(super) fn fail(token: Token, failure: Failure) -> Event {
    Event::Reply {
        token,
        result: Err(failure),
    }
}

/// The one request among the actions.
pub(super) fn sent(actions: &[Action]) -> (Token, MemberRequest) {
    let requests: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Send { token, request, .. } => Some((*token, request.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(requests.len(), 1, "not one request in {actions:?}");
    requests.into_iter().next().expect("there is one")
}

pub(super) fn sent_join(actions: &[Action]) -> (Token, JoinRequest) {
    match sent(actions) {
        (token, MemberRequest::Join(request)) => (token, *request),
        other => panic!("not a JoinGroup: {other:?}"),
    }
}

pub(super) fn sent_sync(actions: &[Action]) -> (Token, SyncRequest) {
    match sent(actions) {
        (token, MemberRequest::Sync(request)) => (token, *request),
        other => panic!("not a SyncGroup: {other:?}"),
    }
}

pub(super) fn sent_heartbeat(actions: &[Action]) -> Token {
    match sent(actions) {
        (token, MemberRequest::Heartbeat(_)) => token,
        other => panic!("not a Heartbeat: {other:?}"),
    }
}

pub(super) fn sent_leave(actions: &[Action]) -> (Token, LeaveRequest) {
    match sent(actions) {
        (token, MemberRequest::Leave(request)) => (token, *request),
        other => panic!("not a LeaveGroup: {other:?}"),
    }
}

/// The one call of the listener among the actions: its name, step and partitions (for an assignment, the added ones).
pub(super) fn called(actions: &[Action]) -> (&'static str, Token, Vec<TopicPartition>) {
    let calls: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Revoke { step, partitions } => Some(("revoked", *step, partitions.clone())),
            Action::Lost { step, partitions } => Some(("lost", *step, partitions.clone())),
            Action::Assign { step, assignment } => Some(("assigned", *step, assignment.added.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(calls.len(), 1, "not one call in {actions:?}");
    calls.into_iter().next().expect("there is one")
}

pub(super) fn cause(actions: &[Action]) -> Option<Cause> {
    actions.iter().find_map(|action| match action {
        Action::Began { cause, .. } => Some((**cause).clone()),
        _ => None,
    })
}

pub(super) fn error(actions: &[Action]) -> Option<MemberError> {
    actions.iter().find_map(|action| match action {
        Action::Failed { error } => Some((**error).clone()),
        _ => None,
    })
}

pub(super) fn joined(generation: i32, leader: &str, members: &[&str]) -> MemberResponse {
    joined_by("range", generation, leader, members)
}

pub(super) fn joined_by(assignor: &str, generation: i32, leader: &str, members: &[&str]) -> MemberResponse {
    let subscription = Subscription {
        topics: vec!["t".into()],
        ..Subscription::default()
    };
    MemberResponse::Join(JoinResponse {
        generation,
        member_id: "m".into(),
        leader: leader.into(),
        protocol_type: Some(PROTOCOL_TYPE.into()),
        protocol: assignor.into(),
        skip_assignment: false,
        members: members
            .iter()
            .map(|member| (member.to_string(), subscription.clone()))
            .collect(),
    })
}

pub(super) fn synced(assigned: &[(&str, i32)]) -> MemberResponse {
    MemberResponse::Sync(SyncResponse {
        assignment: Assignment {
            partitions: partitions(assigned),
            user_data: None,
        },
        ..SyncResponse::default()
    })
}

/// A follower "m" whose JoinGroup for topic "t" is under way.
pub(super) fn joining(config: MemberConfig) -> (Driven, Token) {
    let mut member = driven(config);
    let (token, _) = sent_join(&member.step(subscribe(&["t"])));
    (member, token)
}

pub(super) fn syncing(config: MemberConfig) -> (Driven, Token) {
    let assignor = config.assignors[0].name.clone();
    let (mut member, token) = joining(config);
    let (token, _) = sent_sync(&member.step(reply(token, joined_by(&assignor, 1, "other", &[]))));
    (member, token)
}

pub(super) fn assigning(config: MemberConfig, assigned: &[(&str, i32)]) -> (Driven, Token) {
    let (mut member, token) = syncing(config);
    let (name, step, _) = called(&member.step(reply(token, synced(assigned))));
    assert_eq!(name, "assigned");
    (member, step)
}

/// A follower "m" in generation 1 that owns these partitions of "t".
pub(super) fn stable(config: MemberConfig, assigned: &[(&str, i32)]) -> Driven {
    let (mut member, step) = assigning(config, assigned);
    member.step(Event::Assigned { step });
    assert!(member.machine().is_stable());
    member
}

/// A leader "m" of itself and "n" in generation 1, with `t` of two partitions.
pub(super) fn leading(config: MemberConfig) -> Driven {
    let (mut member, token) = joining(config);
    let actions = member.step(reply(token, joined(1, "m", &["m", "n"])));
    let Some(Action::Compute { step, .. }) = actions.last() else {
        panic!("no computation in {actions:?}");
    };
    let (token, _) = sent_sync(&member.step(computed(*step, &[("m", &[("t", 0)]), ("n", &[("t", 1)])], 2)));
    let (_, step, _) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    member.step(Event::Assigned { step });
    member
}

pub(super) fn computed(step: Token, assigned: &[(&str, &[(&str, i32)])], count: u32) -> Event {
    let assignments: BTreeMap<String, Assignment> = assigned
        .iter()
        .map(|(member, list)| {
            let assignment = Assignment {
                partitions: partitions(list),
                user_data: None,
            };
            (member.to_string(), assignment)
        })
        .collect();
    Event::Computed {
        step,
        result: Ok(Box::new(Computed {
            assignments,
            topics: layouts(&[("t", count)]),
        })),
    }
}

pub(super) fn layouts(list: &[(&str, u32)]) -> GroupTopics {
    list.iter()
        .map(|(topic, count)| (Arc::from(*topic), TopicLayout::new(*count)))
        .collect()
}

#[test]
fn events_and_actions_are_small() {
    assert!(size_of::<Event>() <= 64, "{}", size_of::<Event>());
    assert!(size_of::<Action>() <= 64, "{}", size_of::<Action>());
}

#[test]
fn a_heartbeat_that_is_slower_than_the_session_is_refused() {
    let mut config = config();
    config.heartbeat_interval = config.session_timeout;
    assert!(matches!(
        Member::new(config, 1),
        Err(ConfigError::HeartbeatTooSlow {
            interval_ms: 45_000,
            session_ms: 45_000
        })
    ));
}

#[test]
fn heartbeats_without_a_pause_are_refused() {
    let mut config = config();
    config.heartbeat_interval = Duration::ZERO;
    assert_eq!(
        Member::new(config, 1).err(),
        Some(ConfigError::NoHeartbeatInterval)
    );
}

#[test]
fn assignors_without_a_common_protocol_are_refused() {
    let lists = [
        offered("range", &[RebalanceProtocol::Eager]),
        offered("x", &[RebalanceProtocol::Cooperative]),
    ];
    let config = MemberConfig::new("g", lists.to_vec());
    assert_eq!(Member::new(config, 1).err(), Some(ConfigError::NoCommonProtocol));
    assert_eq!(
        Member::new(MemberConfig::new("g", vec![]), 1).err(),
        Some(ConfigError::NoAssignor)
    );
}
