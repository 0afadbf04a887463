//! Commands against a scripted cluster on a driven clock.

mod configs;
mod groups;
mod logs;
mod offsets;
mod topics;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::Token;
use kohort_protocol::messages::CreateTopicsResponse;
use kohort_protocol::messages::create_topics::CreatableTopicResult;
use kohort_protocol::{ApiKey, ErrorCode, RequestBody};

use super::{AdminAction, AdminCommand, AdminEngine, AdminError, AdminEvent, AdminReply, NewTopic};
use crate::client::ClientConfig;
use crate::client::testing::{Driven, Network};

const SECOND: Duration = Duration::from_secs(1);

fn admin(network: Network) -> Driven<AdminEngine> {
    let config = ClientConfig::new([(String::from("kafka"), 9001)]);
    Driven::new(AdminEngine::new(config, 7), network)
}

fn cluster() -> Driven<AdminEngine> {
    admin(Network::with_cluster(2, &[("t", 2), ("u", 1)]))
}

fn run(admin: &mut Driven<AdminEngine>, command: AdminCommand) -> Vec<AdminAction> {
    admin.step(AdminEvent::Command {
        token: Token(1),
        timeout: 10 * SECOND,
        command: Box::new(command),
    })
}

fn reply(mut actions: Vec<AdminAction>) -> AdminReply {
    match (actions.pop(), actions.is_empty()) {
        (
            Some(AdminAction::Reply {
                token: Token(1),
                reply,
            }),
            true,
        ) => *reply,
        other => panic!("{other:?}"),
    }
}

fn names(of: &[&str]) -> Vec<Arc<str>> {
    of.iter().map(|name| Arc::from(*name)).collect()
}

fn refused(error: ErrorCode) -> AdminError {
    AdminError::Refused { error, message: None }
}

fn created(topics: &[(&str, ErrorCode)]) -> CreateTopicsResponse {
    let topic = |(name, error): &(&str, ErrorCode)| CreatableTopicResult {
        name: (*name).into(),
        error_code: error.code(),
        num_partitions: 3,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsResponse {
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn create(topics: &[&str]) -> AdminCommand {
    AdminCommand::CreateTopics {
        topics: topics.iter().map(|name| NewTopic::new(*name)).collect(),
        validate_only: false,
    }
}

#[test]
fn a_controller_that_moved_is_looked_for_and_only_what_is_open_is_asked_again() {
    let mut admin = admin(Network::with_cluster(2, &[]));
    run(&mut admin, create(&["a", "b"]));
    let arrived = admin.expect(ApiKey::CreateTopics);
    assert_eq!(arrived.port, 9001);
    admin.network.metadata.as_mut().unwrap().controller_id = 2;
    let response = created(&[("a", ErrorCode::None), ("b", ErrorCode::NotController)]);
    assert!(admin.answer(&arrived, response).is_empty());
    admin.advance(SECOND);
    let again = admin.expect(ApiKey::CreateTopics);
    assert_eq!(again.port, 9002);
    let RequestBody::CreateTopics(request) = &again.body else {
        panic!("{again:?}");
    };
    assert_eq!(request.topics.len(), 1);
    let AdminReply::TopicsCreated(results) = reply(admin.answer(&again, created(&[("b", ErrorCode::None)])))
    else {
        panic!();
    };
    assert!(results.values().all(Result::is_ok));
}

#[test]
fn what_is_not_done_in_time_says_what_it_failed_with_last() {
    let mut admin = cluster();
    run(&mut admin, create(&["a"]));
    let mut actions = Vec::new();
    for _ in 0..100 {
        if let Some(arrived) = admin.network.take(ApiKey::CreateTopics) {
            actions.extend(admin.answer(&arrived, created(&[("a", ErrorCode::NotController)])));
        }
        actions.extend(admin.advance(SECOND / 10));
    }
    let AdminReply::TopicsCreated(results) = reply(actions) else {
        panic!();
    };
    let Err(AdminError::TimedOut { last: Some(last), .. }) = &results["a"] else {
        panic!("{results:?}");
    };
    assert_eq!(last, "NOT_CONTROLLER");
}

#[test]
fn a_lost_connection_is_asked_again() {
    let mut admin = cluster();
    run(&mut admin, create(&["a"]));
    let arrived = admin.expect(ApiKey::CreateTopics);
    admin.network.cut(arrived.link);
    assert!(admin.advance(SECOND).is_empty());
    let again = admin.expect(ApiKey::CreateTopics);
    reply(admin.answer(&again, created(&[("a", ErrorCode::None)])));
}

#[test]
fn a_topic_that_the_answer_leaves_out_is_asked_for_again() {
    let mut admin = cluster();
    run(&mut admin, create(&["a"]));
    let arrived = admin.expect(ApiKey::CreateTopics);
    assert!(
        admin
            .answer(&arrived, created(&[("x", ErrorCode::None)]))
            .is_empty()
    );
    admin.advance(SECOND);
    admin.expect(ApiKey::CreateTopics);
}

#[test]
fn a_command_without_items_is_answered_at_once() {
    let mut admin = cluster();
    assert_eq!(
        reply(run(&mut admin, create(&[]))),
        AdminReply::TopicsCreated(BTreeMap::new())
    );
}

#[test]
fn an_abandoned_command_has_no_reply() {
    let mut admin = cluster();
    run(&mut admin, create(&["a"]));
    let arrived = admin.expect(ApiKey::CreateTopics);
    admin.step(AdminEvent::Abandon { token: Token(1) });
    assert!(
        admin
            .answer(&arrived, created(&[("a", ErrorCode::None)]))
            .is_empty()
    );
    assert!(admin.advance(60 * SECOND).is_empty());
}

#[test]
fn closing_answers_what_is_under_way() {
    let mut admin = cluster();
    run(&mut admin, create(&["a"]));
    let AdminReply::TopicsCreated(results) = reply(admin.step(AdminEvent::Close)) else {
        panic!();
    };
    assert!(matches!(results["a"], Err(AdminError::TimedOut { .. })));
    assert_eq!(admin.network.links().count(), 0);
}

#[test]
fn commands_run_side_by_side() {
    let mut admin = cluster();
    for token in 1..=3 {
        admin.step(AdminEvent::Command {
            token: Token(token),
            timeout: 10 * SECOND,
            command: Box::new(create(&["a"])),
        });
    }
    let mut tokens = Vec::new();
    while let Some(arrived) = admin.network.take(ApiKey::CreateTopics) {
        for action in admin.answer(&arrived, created(&[("a", ErrorCode::None)])) {
            if let AdminAction::Reply { token, .. } = action {
                tokens.push(token.0);
            }
        }
    }
    assert_eq!(tokens, [1, 2, 3]);
}

#[test]
fn events_and_actions_are_small() {
    assert!(size_of::<AdminEvent>() <= 64);
    assert!(size_of::<AdminAction>() <= 64);
}
