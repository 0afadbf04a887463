//! The finder on a driven clock.

use alloc::string::String;
use alloc::vec;
use core::time::Duration;

use kohort_machine::testing::Harness;

use super::*;

fn finder() -> Harness<Finder> {
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    Harness::new(Finder::new(backoff, 7))
}

fn broker(id: i32) -> Broker {
    Broker {
        id,
        host: String::from("kafka"),
        port: 9092,
        rack: None,
    }
}

fn wanted(group: &str) -> FinderEvent {
    FinderEvent::Wanted(vec![group.into()])
}

fn answered(token: u64, group: &str, result: Result<Broker, ErrorCode>) -> FinderEvent {
    let group = group.into();
    FinderEvent::Answered {
        token: Token(token),
        result: Ok(vec![Lookup { group, result }]),
    }
}

fn asks(token: u64, groups: &[&str]) -> FinderAction {
    FinderAction::Ask {
        token: Token(token),
        groups: groups.iter().map(|group| Arc::from(*group)).collect(),
    }
}

#[test]
fn many_waiters_share_one_lookup() {
    let mut finder = finder();
    assert_eq!(finder.step(wanted("g")), [asks(0, &["g"])]);
    assert_eq!(finder.step(wanted("g")), []);
    assert_eq!(
        finder.step(answered(0, "g", Ok(broker(1)))),
        [FinderAction::Found("g".into())]
    );
    assert_eq!(finder.machine().coordinator("g"), Some(&broker(1)));
    assert_eq!(finder.step(wanted("g")), [FinderAction::Found("g".into())]);
}

#[test]
fn groups_wanted_together_are_asked_for_in_one_request() {
    let mut finder = finder();
    let actions = finder.step(FinderEvent::Wanted(vec!["a".into(), "b".into()]));
    assert_eq!(actions, [asks(0, &["a", "b"])]);
}

#[test]
fn a_broker_that_cannot_batch_is_asked_for_one_group_at_a_time() {
    let mut finder = finder();
    finder.step(FinderEvent::Wanted(vec!["a".into(), "b".into()]));
    let actions = finder.step(FinderEvent::Answered {
        token: Token(0),
        result: Err(AskFailure::NotBatched),
    });
    assert_eq!(actions, [asks(1, &["a"]), asks(2, &["b"])]);
    let actions = finder.step(FinderEvent::Wanted(vec!["c".into(), "d".into()]));
    assert_eq!(actions, [asks(3, &["c"]), asks(4, &["d"])]);
}

#[test]
fn coordinator_not_available_is_retried_with_growing_delays() {
    let mut finder = finder();
    finder.step(wanted("g"));
    let mut delays = Vec::new();
    for token in 0..6 {
        let actions = finder.step(answered(token, "g", Err(ErrorCode::CoordinatorNotAvailable)));
        assert_eq!(actions, []);
        let before = finder.now();
        let (_, actions) = finder.advance_to_deadline().unwrap();
        assert_eq!(actions, [asks(token + 1, &["g"])]);
        delays.push((finder.now() - before).as_millis());
    }
    for (delay, base) in delays.into_iter().zip([100, 200, 400, 800, 1000, 1000]) {
        assert!(
            (base * 8 / 10..=base * 12 / 10).contains(&delay),
            "{delay} is not about {base}"
        );
    }
}

#[test]
fn a_lost_request_is_retried_too() {
    let mut finder = finder();
    finder.step(wanted("g"));
    let lost = FinderEvent::Answered {
        token: Token(0),
        result: Err(AskFailure::Failed),
    };
    assert_eq!(finder.step(lost), []);
    assert_eq!(finder.advance(Duration::from_millis(120)), [asks(1, &["g"])]);
}

#[test]
fn a_group_that_the_answer_leaves_out_is_asked_for_again() {
    let mut finder = finder();
    finder.step(FinderEvent::Wanted(vec!["a".into(), "b".into()]));
    assert_eq!(
        finder.step(answered(0, "a", Ok(broker(1)))),
        [FinderAction::Found("a".into())]
    );
    assert_eq!(finder.advance(Duration::from_millis(120)), [asks(1, &["b"])]);
}

#[test]
fn a_group_that_nobody_asked_for_is_ignored() {
    let mut finder = finder();
    finder.step(wanted("a"));
    assert_eq!(finder.step(answered(0, "x", Ok(broker(1)))), []);
    assert_eq!(finder.machine().coordinator("x"), None);
}

#[test]
fn a_fatal_error_ends_the_lookup() {
    let mut finder = finder();
    finder.step(wanted("g"));
    let error = ErrorCode::GroupAuthorizationFailed;
    let group = "g".into();
    assert_eq!(
        finder.step(answered(0, "g", Err(error))),
        [FinderAction::Refused { group, error }]
    );
    assert_eq!(finder.machine().next_deadline(), None);
    assert_eq!(finder.step(wanted("g")), [asks(1, &["g"])]);
}

#[test]
fn a_forgotten_coordinator_is_looked_up_at_the_next_wish() {
    let mut finder = finder();
    finder.step(wanted("g"));
    finder.step(answered(0, "g", Ok(broker(1))));
    assert_eq!(finder.step(FinderEvent::Forget("g".into())), []);
    assert_eq!(finder.machine().coordinator("g"), None);
    assert_eq!(finder.step(wanted("g")), [asks(1, &["g"])]);
}

#[test]
fn forgetting_does_not_disturb_a_lookup_under_way() {
    let mut finder = finder();
    finder.step(wanted("g"));
    assert_eq!(finder.step(FinderEvent::Forget("g".into())), []);
    assert_eq!(
        finder.step(answered(0, "g", Ok(broker(1)))),
        [FinderAction::Found("g".into())]
    );
}

#[test]
fn a_lost_node_takes_all_its_groups_along() {
    let mut finder = finder();
    for (token, group, node) in [(0, "a", 1), (1, "b", 1), (2, "c", 2)] {
        finder.step(wanted(group));
        finder.step(answered(token, group, Ok(broker(node))));
    }
    finder.step(FinderEvent::NodeLost(1));
    assert_eq!(finder.machine().coordinator("a"), None);
    assert_eq!(finder.machine().coordinator("b"), None);
    assert_eq!(finder.machine().coordinator("c"), Some(&broker(2)));
}

#[test]
fn an_unwanted_group_is_not_retried() {
    let mut finder = finder();
    finder.step(wanted("g"));
    finder.step(FinderEvent::Unwanted("g".into()));
    finder.step(answered(0, "g", Err(ErrorCode::CoordinatorNotAvailable)));
    assert_eq!(finder.machine().next_deadline(), None);

    finder.step(wanted("g"));
    finder.step(answered(1, "g", Err(ErrorCode::CoordinatorNotAvailable)));
    assert!(finder.machine().next_deadline().is_some());
    finder.step(FinderEvent::Unwanted("g".into()));
    assert_eq!(finder.machine().next_deadline(), None);
}

#[test]
fn events_and_actions_are_small() {
    assert!(size_of::<FinderEvent>() <= 64);
    assert!(size_of::<FinderAction>() <= 64);
}
