//! Fetch sessions: what is named when, and what happens when the broker does not know the session.

use alloc::vec;
use alloc::vec::Vec;

use kohort_protocol::{ApiKey, ErrorCode, RequestBody, ResponseBody, VersionRange};

use super::rig::*;
use super::session::Session;
use crate::client::LinkId;
use crate::consumer::{Change, Command, ConsumerConfig, LeaveGroup, OffsetReset, Position, SeekTo};

fn earliest(config: &mut ConsumerConfig) {
    config.auto_offset_reset = OffsetReset::Earliest;
}

/// A consumer of both partitions, at their ends, whose broker gives sessions.
fn at_the_end() -> Rig {
    let mut rig = Rig::new(earliest);
    rig.session = Some(Session::default());
    rig.assign(&[0, 1]);
    assert_eq!(rig.poll_all(), [records(0, 0, 10), records(1, 0, 10)].concat());
    rig
}

/// The Fetch that waits: session, epoch, partitions and offsets named, partitions forgotten.
fn waiting(rig: &Rig) -> (i32, i32, Vec<(i32, i64)>, Vec<i32>) {
    let fetch = rig.waiting_fetch().unwrap();
    let named = fetch.topics.iter().flat_map(|topic| &topic.partitions);
    let forgotten = fetch.forgotten_topics_data.iter();
    (
        fetch.session_id,
        fetch.session_epoch,
        named.map(|it| (it.partition, it.fetch_offset)).collect(),
        forgotten.flat_map(|topic| topic.partitions.clone()).collect(),
    )
}

/// Closes a consumer whose broker answers no Fetch any more; those that wait then: port, connection, session and epoch.
fn close(rig: &mut Rig) -> Vec<(u16, LinkId, i32, i32)> {
    rig.hold.push(ApiKey::Fetch);
    let token = rig.command(Command::Close {
        timeout: SECOND,
        leave: LeaveGroup::Default,
    });
    assert!(rig.replies[&token].is_ok());
    let waiting = rig.driven.network.waiting();
    let of_fetch = waiting.filter_map(|it| match &it.body {
        RequestBody::Fetch(fetch) => Some((it.port, it.link, fetch.session_id, fetch.session_epoch)),
        _ => None,
    });
    of_fetch.collect()
}

fn append(rig: &mut Rig, partition: i32) {
    rig.logs.get_mut(&("t", partition)).unwrap().append(1, 10);
    rig.serve();
}

#[test]
fn the_first_fetch_names_all_and_the_next_ones_what_has_moved() {
    let mut rig = at_the_end();
    let (session, epoch, named, forgotten) = waiting(&rig);
    assert_eq!((session, named, forgotten), (1, vec![], vec![]));
    append(&mut rig, 1);
    assert_eq!(waiting(&rig), (1, epoch + 1, vec![(1, 11)], vec![]));
    assert_eq!(rig.poll_all(), records(1, 10, 11));
    let log = &rig.session.as_ref().unwrap().log;
    assert_eq!(log[0], (0, 0, vec![0, 1], vec![]));
    assert!(
        log[1..]
            .iter()
            .all(|(id, epoch, ..)| (*id, *epoch > 0) == (1, true))
    );
}

#[test]
fn what_is_paused_is_forgotten_and_named_again_when_it_is_resumed() {
    let mut rig = at_the_end();
    let slot = rig.delivery.pause(&of_t(0)).unwrap();
    rig.change(Change::Pause(vec![slot]));
    append(&mut rig, 1);
    let (.., named, forgotten) = waiting(&rig);
    assert_eq!((named, forgotten), (vec![(1, 11)], vec![0]));
    let slot = rig.delivery.resume(&of_t(0)).unwrap();
    rig.change(Change::Resume(vec![slot]));
    append(&mut rig, 1);
    let (.., named, forgotten) = waiting(&rig);
    assert_eq!((named, forgotten), (vec![(0, 10), (1, 12)], vec![]));
    append(&mut rig, 0);
    assert_eq!(rig.poll_all(), [records(1, 10, 12), records(0, 10, 11)].concat());
}

#[test]
fn a_seek_is_told_even_to_where_the_session_was() {
    let mut rig = at_the_end();
    rig.seek(0, SeekTo::Position(Position::new(8)));
    append(&mut rig, 1);
    let mut all = rig.poll_all();
    all.sort_unstable();
    assert_eq!(all, [records(0, 8, 10), records(1, 10, 11)].concat());
    rig.seek(0, SeekTo::Position(Position::new(10)));
    append(&mut rig, 0);
    assert_eq!(rig.poll_all(), records(0, 10, 11));
}

#[test]
fn a_session_that_the_broker_does_not_know_is_begun_anew_at_once() {
    for code in [
        ErrorCode::FetchSessionIdNotFound,
        ErrorCode::InvalidFetchSessionEpoch,
    ] {
        let mut rig = at_the_end();
        let session = rig.session.as_mut().unwrap();
        match code {
            ErrorCode::FetchSessionIdNotFound => session.id = 40,
            _ => session.epoch = 40,
        }
        rig.serve();
        // The one that it ends is named, if there may be one.
        let ended = if code == ErrorCode::FetchSessionIdNotFound {
            0
        } else {
            1
        };
        assert_eq!(
            waiting(&rig),
            (ended, 0, vec![(0, 10), (1, 10)], vec![]),
            "{code:?}"
        );
        append(&mut rig, 0);
        assert_eq!(rig.poll_all(), records(0, 10, 11));
    }
}

#[test]
fn a_broker_that_refuses_every_session_is_not_asked_without_a_pause() {
    let mut rig = Rig::new(earliest);
    rig.lie = Some((u32::MAX, |body| {
        if let ResponseBody::Fetch(response) = body {
            response.responses.clear();
            response.error_code = ErrorCode::FetchSessionIdNotFound.code();
        }
    }));
    rig.assign(&[0, 1]);
    rig.advance(SECOND);
    assert!(rig.count(ApiKey::Fetch) < 30, "{}", rig.count(ApiKey::Fetch));
}

#[test]
fn after_a_broken_connection_all_is_named_again() {
    let mut rig = at_the_end();
    let link = rig.driven.network.waiting().last().unwrap().link;
    rig.driven.network.cut(link);
    rig.advance(SECOND);
    append(&mut rig, 0);
    let log = &rig.session.as_ref().unwrap().log;
    let (id, epoch, named, _) = log.last().unwrap();
    assert_eq!((*id, *epoch, &**named), (1, 0, &[0, 1][..]));
}

#[test]
fn an_answer_with_something_that_nobody_asked_for_ends_the_session() {
    let mut rig = at_the_end();
    rig.lie = Some((1, |body| {
        if let ResponseBody::Fetch(response) = body {
            response.responses[0].partitions[0].partition_index = 7;
        }
    }));
    append(&mut rig, 0);
    let log = &rig.session.as_ref().unwrap().log;
    let (_, epoch, named, _) = log.last().unwrap();
    assert_eq!((*epoch, &**named), (0, &[0, 1][..]));
    assert_eq!(rig.poll_all(), records(0, 10, 11));
}

#[test]
fn a_first_answer_that_leaves_partitions_out_begins_no_session() {
    let mut rig = Rig::new(earliest);
    rig.session = Some(Session::default());
    rig.lie = Some((3, |body| {
        if let ResponseBody::Fetch(response) = body {
            response.responses.clear();
        }
    }));
    rig.assign(&[0, 1]);
    assert_eq!(rig.poll_all(), [records(0, 0, 10), records(1, 0, 10)].concat());
}

#[test]
fn partitions_that_are_assigned_anew_are_named_with_all_the_others() {
    let mut rig = at_the_end();
    rig.assign(&[0]);
    rig.assign(&[0, 1]);
    rig.seek(1, SeekTo::Position(Position::new(10)));
    append(&mut rig, 0);
    append(&mut rig, 1);
    let mut all = rig.poll_all();
    all.sort_unstable();
    assert_eq!(all, [records(0, 10, 11), records(1, 10, 11)].concat());
}

#[test]
fn an_old_broker_is_asked_without_sessions() {
    let mut rig = Rig::new(earliest);
    rig.session = Some(Session::default());
    let old = VersionRange { min: 4, max: 6 };
    rig.driven.network.versions.insert(ApiKey::Fetch, old);
    rig.assign(&[0, 1]);
    rig.poll_all();
    let arrived = rig.driven.network.waiting().find_map(|it| match &it.body {
        RequestBody::Fetch(fetch) => Some((it.version, fetch.session_epoch, fetch.topics.len())),
        _ => None,
    });
    assert_eq!(arrived, Some((6, -1, 1)));
}

#[test]
fn closing_ends_the_session_on_a_connection_that_no_fetch_waits_on() {
    let mut rig = at_the_end();
    let waiting = close(&mut rig);
    let [(_, busy, 1, 1..), (_, free, 1, -1)] = waiting[..] else {
        panic!("{waiting:?}");
    };
    assert_ne!(busy, free);
}

#[test]
fn closing_ends_sessions_behind_fetches_that_wait_where_there_is_no_other_connection() {
    let mut rig = Rig::with_brokers(2, earliest);
    rig.session = Some(Session::default());
    rig.assign(&[0]);
    assert_eq!(rig.poll_all(), records(0, 0, 10));
    let bootstrap = 9001;
    let leader = rig.driven.network.waiting().last().unwrap().port;
    let waiting = close(&mut rig);
    let ended = waiting.last().unwrap();
    assert_eq!((ended.0, ended.2, ended.3), (leader, 1, -1), "{waiting:?}");
    assert_eq!(waiting[0].1 == ended.1, leader != bootstrap, "{waiting:?}");
}

#[test]
fn closing_asks_nothing_of_brokers_that_gave_no_session() {
    let mut rig = Rig::new(earliest);
    rig.assign(&[0, 1]);
    rig.poll_all();
    assert_eq!(close(&mut rig).len(), 1);
}
