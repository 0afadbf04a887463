//! Every request is answered exactly once.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use kohort_protocol::messages::{ListGroupsRequest, ListGroupsResponse, ProduceRequest, ProduceResponse};
use kohort_protocol::{ApiKey, RequestBody, ResponseBody, VersionRange};

use super::probe::{Event, Probe, SECOND, ask, load_metadata, probe, probe_with, replies};
use crate::client::testing::{Driven, Network};
use crate::client::{RequestFailure, RequestId, Target, WaitedFor};

fn response() -> ListGroupsResponse {
    ListGroupsResponse::default()
}

#[test]
fn a_request_waits_for_connection_and_handshake_and_is_answered() {
    let mut probe = probe(&[9001], Network::default());
    assert!(probe.step(ask(Target::Any, SECOND)).is_empty());
    let arrived = probe.expect(ApiKey::ListGroups);
    assert_eq!(arrived.version, 5);
    let replies = replies(probe.answer(&arrived, response()));
    assert_eq!(replies.len(), 1);
    assert_eq!(replies[0].id, RequestId(0));
    assert_eq!(replies[0].version, 5);
    assert_eq!(replies[0].result, Ok(response().into()));
}

#[test]
fn the_newest_version_of_the_broker_is_spoken() {
    let mut network = Network::default();
    network
        .versions
        .insert(ApiKey::ListGroups, VersionRange { min: 0, max: 2 });
    let mut probe = probe(&[9001], network);
    probe.step(ask(Target::Any, SECOND));
    assert_eq!(probe.expect(ApiKey::ListGroups).version, 2);
}

#[test]
fn an_api_without_a_common_version_is_a_typed_failure() {
    let mut network = Network::default();
    network
        .versions
        .insert(ApiKey::ListGroups, VersionRange { min: 90, max: 99 });
    let mut probe = probe(&[9001], network);
    let replies = replies(probe.step(ask(Target::Any, SECOND)));
    assert!(matches!(
        &replies[0].result,
        Err(RequestFailure::UnsupportedVersion {
            api: ApiKey::ListGroups,
            ..
        })
    ));
}

#[test]
fn a_request_that_cannot_be_said_in_the_version_is_unsupported() {
    let mut probe = probe(&[9001], Network::default());
    let actions = probe.step(Event::Call(|client, now| {
        let build = Box::new(|version| (version > 90).then(|| ListGroupsRequest::default().into()));
        client.request_with(now, Target::Any, ApiKey::ListGroups, build, SECOND);
    }));
    let replies = replies(actions);
    assert!(matches!(
        &replies[0].result,
        Err(RequestFailure::UnsupportedVersion { .. })
    ));
}

#[test]
fn a_request_that_is_not_sent_in_time_says_what_it_waited_for() {
    let mut network = Network::default();
    network.silent.insert(9001);
    let mut probe = probe(&[9001], network);
    probe.step(ask(Target::Any, SECOND));
    let replies = replies(probe.advance(SECOND));
    assert_eq!(replies.len(), 1);
    assert!(matches!(
        &replies[0].result,
        Err(RequestFailure::TimedOut {
            waited_for: WaitedFor::Connection(None),
            ..
        })
    ));
}

#[test]
fn a_time_out_shorter_than_the_request_time_out_leaves_the_connection_alone() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, SECOND));
    let late = probe.expect(ApiKey::ListGroups);
    let timed_out = replies(probe.advance(SECOND));
    assert!(matches!(
        &timed_out[0].result,
        Err(RequestFailure::TimedOut {
            waited_for: WaitedFor::Answer(_),
            ..
        })
    ));
    probe.step(ask(Target::Any, SECOND));
    let next = probe.expect(ApiKey::ListGroups);
    assert_eq!(next.link, late.link);
    assert!(
        replies(probe.answer(&late, response())).is_empty(),
        "a late answer is dropped"
    );
    assert_eq!(replies(probe.answer(&next, response())).len(), 1);
}

#[test]
fn a_connection_that_does_not_answer_within_the_request_time_out_is_closed_with_all_its_requests() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, 30 * SECOND));
    probe.step(ask(Target::Any, 60 * SECOND));
    let first = probe.expect(ApiKey::ListGroups);
    let replies = replies(probe.advance(30 * SECOND));
    assert_eq!(replies.len(), 2);
    assert!(matches!(&replies[0].result, Err(RequestFailure::TimedOut { .. })));
    assert!(matches!(
        &replies[1].result,
        Err(RequestFailure::Disconnected { .. })
    ));
    assert!(probe.network.links().all(|(link, _)| link != first.link));
}

#[test]
fn a_request_behind_a_slow_one_does_not_end_the_connection() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, 300 * SECOND));
    let slow = probe.expect(ApiKey::ListGroups);
    probe.step(ask(Target::Any, 30 * SECOND));
    let behind = probe.expect(ApiKey::ListGroups);
    let timed_out = replies(probe.advance(100 * SECOND));
    assert_eq!(timed_out.len(), 1);
    assert_eq!(timed_out[0].id, RequestId(1));
    assert_eq!(replies(probe.answer(&slow, response())).len(), 1);
    assert!(replies(probe.answer(&behind, response())).is_empty());
}

#[test]
fn a_lost_connection_answers_what_was_sent_on_it() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, 30 * SECOND));
    let arrived = probe.expect(ApiKey::ListGroups);
    probe.network.cut(arrived.link);
    let replies = replies(probe.settle());
    assert!(
        matches!(&replies[0].result, Err(RequestFailure::Disconnected { reason, .. }) if reason == "connection reset")
    );
}

#[test]
fn answers_are_matched_in_order() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, 30 * SECOND));
    probe.step(ask(Target::Any, 30 * SECOND));
    let first = probe.expect(ApiKey::ListGroups);
    let second = probe.expect(ApiKey::ListGroups);
    assert_eq!(replies(probe.answer(&first, response()))[0].id, RequestId(0));
    assert_eq!(replies(probe.answer(&second, response()))[0].id, RequestId(1));
}

#[test]
fn an_answer_out_of_order_closes_the_connection() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, 30 * SECOND));
    probe.step(ask(Target::Any, 30 * SECOND));
    probe.expect(ApiKey::ListGroups);
    let second = probe.expect(ApiKey::ListGroups);
    let failed = replies(probe.answer(&second, response()));
    assert_eq!(failed.len(), 2);
    for reply in failed {
        assert!(matches!(reply.result, Err(RequestFailure::Disconnected { .. })));
    }
    assert_eq!(probe.network.links().count(), 0);
    assert_warned(&mut probe, &["kafka:9001", "ListGroups", "is for request"]);
}

/// One warning, with all of these words.
fn assert_warned(probe: &mut Driven<Probe>, words: &[&str]) {
    let warnings = probe.network.take_warnings();
    assert!(
        warnings.len() == 1 && words.iter().all(|word| warnings[0].contains(word)),
        "{warnings:?}"
    );
}

#[test]
fn what_is_no_frame_closes_the_connection_and_is_told_with_what_was_asked() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, 30 * SECOND));
    let arrived = probe.expect(ApiKey::ListGroups);
    probe.network.receive_no_frame(arrived.link);
    let failed = replies(probe.settle());
    assert!(matches!(
        &failed[0].result,
        Err(RequestFailure::Disconnected { .. })
    ));
    assert_eq!(probe.network.links().count(), 0);
    assert_warned(&mut probe, &["kafka:9001", "ListGroups", "is no frame"]);
}

#[test]
fn an_answer_that_cannot_be_decoded_closes_the_connection() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, 30 * SECOND));
    let arrived = probe.expect(ApiKey::ListGroups);
    let mut frame = arrived.correlation_id.to_be_bytes().to_vec();
    frame.extend([0, 0xff]);
    probe.network.receive(arrived.link, Bytes::from(frame));
    let failed = replies(probe.settle());
    assert!(matches!(&failed[0].result, Err(RequestFailure::Malformed { .. })));
    assert_eq!(probe.network.links().count(), 0);
    assert_warned(&mut probe, &["kafka:9001", "ListGroups", "cannot be decoded"]);
}

#[test]
fn an_answer_that_nobody_asked_for_closes_the_connection() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, 30 * SECOND));
    let arrived = probe.expect(ApiKey::ListGroups);
    probe.answer(&arrived, response());
    probe.network.receive(arrived.link, Bytes::from_static(&[0; 64]));
    assert!(probe.settle().is_empty());
    assert_eq!(probe.network.links().count(), 0);
}

#[test]
fn a_cancelled_request_has_no_reply() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, SECOND));
    let arrived = probe.expect(ApiKey::ListGroups);
    probe.step(Event::Call(|client, now| client.cancel(now, RequestId(0))));
    assert!(probe.answer(&arrived, response()).is_empty());
    assert!(replies(probe.advance(40 * SECOND)).is_empty());
}

#[test]
fn fetches_have_a_connection_of_their_own() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[]));
    load_metadata(&mut probe);
    probe.step(ask(Target::Fetch(1), SECOND));
    probe.step(ask(Target::Broker(1), SECOND));
    let fetch = probe.expect(ApiKey::ListGroups);
    let control = probe.expect(ApiKey::ListGroups);
    assert_ne!(fetch.link, control.link);
    assert_eq!((fetch.port, control.port), (9001, 9001));
}

#[test]
fn a_broker_that_metadata_does_not_have_is_a_typed_failure() {
    let mut probe = probe(&[9001], Network::with_cluster(1, &[]));
    load_metadata(&mut probe);
    let failed = replies(probe.step(ask(Target::Broker(9), SECOND)));
    assert_eq!(failed[0].result, Err(RequestFailure::NoBroker { node: 9 }));
}

#[test]
fn a_request_for_a_broker_waits_for_the_first_metadata() {
    let mut probe = probe(&[9001], Network::with_cluster(2, &[]));
    probe.step(ask(Target::Broker(2), SECOND));
    assert_eq!(probe.expect(ApiKey::ListGroups).port, 9002);
}

#[test]
fn a_request_for_the_controller_goes_there() {
    let mut network = Network::with_cluster(2, &[]);
    network.metadata.as_mut().unwrap().controller_id = 2;
    let mut probe = probe(&[9001], network);
    probe.step(ask(Target::Controller, SECOND));
    assert_eq!(probe.expect(ApiKey::ListGroups).port, 9002);
}

#[test]
fn what_a_throttle_holds_back_is_sent_after_it() {
    let mut probe = probe(&[9001], Network::default());
    probe.step(ask(Target::Any, 30 * SECOND));
    let arrived = probe.expect(ApiKey::ListGroups);
    let throttle = ListGroupsResponse {
        throttle_time_ms: 2000,
        ..response()
    };
    probe.answer(&arrived, throttle);
    probe.step(ask(Target::Any, 30 * SECOND));
    probe.advance(Duration::from_millis(1999));
    assert_eq!(probe.network.waiting().count(), 0);
    probe.advance(Duration::from_millis(1));
    assert_eq!(probe.network.waiting().count(), 1);
}

fn produce(acks: i16, records: Bytes) -> RequestBody {
    let partition = PartitionProduceData {
        index: 0,
        records: Some(records),
    };
    let topic = TopicProduceData {
        name: "t".into(),
        partition_data: vec![partition],
        ..Default::default()
    };
    ProduceRequest {
        acks,
        topic_data: vec![topic],
        ..Default::default()
    }
    .into()
}

#[test]
fn a_produce_request_that_wants_no_answer_is_answered_when_it_is_sent() {
    let mut probe = probe(&[9001], Network::default());
    let request = Event::Request(Target::Any, produce(0, Bytes::new()), SECOND);
    let sent = replies(probe.step(request));
    assert_eq!(sent[0].result, Ok(ProduceResponse::default().into()));
    probe.expect(ApiKey::Produce);
    assert!(replies(probe.advance(60 * SECOND)).is_empty());
}

#[test]
fn record_bytes_are_sent_without_being_copied() {
    use crate::client::{Client, ClientConfig, NetAction, NetEvent};
    use kohort_machine::Instant;

    let now = Instant::ZERO;
    let mut client = Client::new(ClientConfig::new([("kafka".into(), 9001)]), 7);
    let records = Bytes::from(vec![7; 4096]);
    client.request(now, Target::Any, produce(1, records.clone()), SECOND);
    let mut network = Network::default();
    let mut shared = Vec::new();
    loop {
        while let Some(action) = client.poll_net() {
            if let NetAction::Send { segments, .. } = &action {
                shared.extend(
                    segments
                        .iter()
                        .filter(|it| it.as_ptr() == records.as_ptr())
                        .map(Bytes::len),
                );
            }
            network.perform(action);
        }
        let Some(event) = network.poll_event() else {
            break;
        };
        let _: &NetEvent = &event;
        client.handle_net(now, event);
    }
    assert_eq!(shared, [4096]);
}

#[test]
fn every_request_is_answered_once_whatever_the_network_does() {
    use kohort_machine::Prng;

    for seed in 0..200 {
        let mut prng = Prng::from_seed(seed);
        let mut probe = probe_with(&[9001, 9002], Network::with_cluster(3, &[("t", 3)]), |config| {
            config.request_timeout = 2 * SECOND;
        });
        let (mut asked, mut answers) = (0u64, Vec::new());
        for _ in 0..60 {
            let actions = match prng.below(9) {
                0..=2 => {
                    asked += 1;
                    let target = match prng.below(5) {
                        0 => Target::Any,
                        1 => Target::Controller,
                        2 => Target::Broker(prng.below(4) as i32),
                        3 => Target::Fetch(1 + prng.below(3) as i32),
                        _ => Target::Coordinator("g".into()),
                    };
                    probe.step(ask(target, Duration::from_millis(prng.below(5000))))
                }
                3 | 4 => match probe.network.take(ApiKey::ListGroups) {
                    Some(arrived) => probe.answer(&arrived, response()),
                    None => vec![],
                },
                5 => {
                    probe.network.crash(9001 + prng.below(3) as u16);
                    probe.settle()
                }
                6 => {
                    probe.network.down.clear();
                    vec![]
                }
                7 => {
                    let link = probe.network.links().next();
                    if let Some((link, _)) = link {
                        probe.network.cut(link);
                    }
                    probe.settle()
                }
                _ => probe.advance(Duration::from_millis(prng.below(1500))),
            };
            answers.extend(replies(actions));
        }
        answers.extend(replies(probe.advance(60 * SECOND)));
        let mut ids: Vec<u64> = answers.iter().map(|reply| reply.id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(
            ids.len(),
            answers.len(),
            "seed {seed}: a request was answered twice"
        );
        assert_eq!(ids.len() as u64, asked, "seed {seed}: a request was not answered");
        assert!(answers.iter().all(|reply| match &reply.result {
            Ok(ResponseBody::ListGroups(_)) => true,
            Ok(_) => false,
            Err(_) => true,
        }));
    }
}
