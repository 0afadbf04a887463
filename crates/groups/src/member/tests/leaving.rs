//! Ways out of the group.

use super::*;

fn leave(operation: LeaveOperation) -> Event {
    Event::Leave {
        operation,
        reason: "bye".into(),
    }
}

fn left(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Left { .. }))
}

fn static_config() -> MemberConfig {
    MemberConfig {
        group_instance_id: Some("i".into()),
        ..config()
    }
}

#[test]
fn a_dynamic_member_gives_up_its_partitions_and_tells_the_coordinator() {
    let mut member = stable(config(), &[("t", 0)]);
    let (name, step, revoked) = called(&member.step(leave(LeaveOperation::Default)));
    assert_eq!((name, revoked), ("revoked", partitions(&[("t", 0)])));
    assert!(member.machine().identity().is_some(), "the listener may commit");
    let (token, request) = sent_leave(&member.step(Event::Revoked { step }));
    assert_eq!((&*request.member_id, &*request.reason), ("m", "bye"));
    assert_eq!(member.machine().identity(), None);
    assert_eq!(
        member.step(reply(token, MemberResponse::Leave)),
        [Action::Left { result: Ok(()) }]
    );
    assert!(member.machine().is_unjoined());
    assert!(member.advance(600 * SECOND).is_empty());
}

#[test]
fn a_static_member_stays_in_its_group_unless_told_otherwise() {
    let mut member = stable(static_config(), &[]);
    assert!(left(&member.step(leave(LeaveOperation::Default))));
    let mut member = stable(static_config(), &[]);
    sent_leave(&member.step(leave(LeaveOperation::LeaveGroup)));
}

#[test]
fn a_dynamic_member_can_remain_in_its_group() {
    let mut member = stable(config(), &[]);
    assert!(left(&member.step(leave(LeaveOperation::RemainInGroup))));
}

#[test]
fn a_member_is_out_even_when_the_coordinator_cannot_be_told() {
    let mut member = stable(config(), &[]);
    let (token, _) = sent_leave(&member.step(leave(LeaveOperation::Default)));
    assert!(left(&member.step(fail(token, Failure::TimedOut))));
    assert!(member.machine().is_unjoined());
}

#[test]
fn a_member_that_has_not_joined_leaves_at_once() {
    assert!(left(&driven(config()).step(leave(LeaveOperation::Default))));
}

#[test]
fn leaving_while_joining_ignores_the_join() {
    let (mut member, token) = joining(config());
    assert!(
        left(&member.step(leave(LeaveOperation::Default))),
        "it has no id to leave with"
    );
    assert!(member.step(reply(token, joined(1, "other", &[]))).is_empty());
    assert!(member.machine().is_unjoined());
}

#[test]
fn leaving_waits_for_the_listener_that_runs_and_then_gives_up_the_rest() {
    let (mut member, step) = assigning(config(), &[("t", 0)]);
    assert!(!left(&member.step(leave(LeaveOperation::Default))));
    let (name, step, _) = called(&member.step(Event::Assigned { step }));
    assert_eq!(name, "revoked");
    sent_leave(&member.step(Event::Revoked { step }));
}

#[test]
fn a_cooperative_member_that_leaves_in_mid_rebalance_has_lost_its_partitions() {
    let mut member = stable(cooperative(), &[("t", 0)]);
    sent_join(&member.step(subscribe(&["t", "u"])));
    let (name, ..) = called(&member.step(leave(LeaveOperation::Default)));
    assert_eq!(name, "lost");
}

#[test]
fn unsubscribing_leaves_and_a_later_subscription_joins_as_a_new_member() {
    let mut member = stable(config(), &[]);
    let (token, _) = sent_leave(&member.step(Event::Unsubscribed));
    assert!(member.step(subscribe(&["u"])).is_empty(), "first out, then in");
    let actions = member.step(reply(token, MemberResponse::Leave));
    assert!(left(&actions));
    let (_, join) = sent_join(&actions);
    assert_eq!(&*join.member_id, "");
}

#[test]
fn leaving_twice_is_answered_once_and_forgets_the_subscription() {
    let mut member = stable(config(), &[]);
    let (token, _) = sent_leave(&member.step(Event::Unsubscribed));
    member.step(subscribe(&["u"]));
    assert!(member.step(leave(LeaveOperation::Default)).is_empty());
    assert_eq!(
        member.step(reply(token, MemberResponse::Leave)),
        [Action::Left { result: Ok(()) }]
    );
}

#[test]
fn a_rebalance_that_is_left_is_recorded_as_abandoned() {
    let (mut member, _) = syncing(config());
    let actions = member.step(leave(LeaveOperation::Default));
    let ended = actions.iter().find_map(|action| match action {
        Action::Ended(rebalance) => Some(rebalance.outcome),
        _ => None,
    });
    assert_eq!(ended, Some(Outcome::Abandoned));
}

/// The rebalances that ended.
pub(super) fn ended(actions: &[Action]) -> Vec<Rebalance> {
    let ended = |action: &Action| match action {
        Action::Ended(rebalance) => Some((**rebalance).clone()),
        _ => None,
    };
    actions.iter().filter_map(ended).collect()
}

#[test]
fn leaving_is_recorded_with_its_reason_and_what_was_given_up_when_before_the_coordinator_is_told() {
    let mut member = stable(config(), &[("t", 0)]);
    let (_, step, _) = called(&member.step(leave(LeaveOperation::Default)));
    member.advance(2 * SECOND);
    let actions = member.step(Event::Revoked { step });
    let [Action::Ended(_), Action::Send { .. }] = &actions[..] else {
        panic!("{actions:?}");
    };
    let left = ended(&actions).remove(0);
    assert_eq!((left.outcome, left.cause.name()), (Outcome::Left, "leaving"));
    assert_eq!(&*left.cause.reason(), "bye");
    assert_eq!((left.generation, left.member_id.as_deref()), (Some(1), Some("m")));
    assert_eq!((&left.gave_up, &left.lost), (&partitions(&[("t", 0)]), &vec![]));
    let stopped = [(TopicPartition::new("t", 0), core::time::Duration::ZERO)];
    assert_eq!(left.stopped, stopped);
    assert_eq!(left.phases().giving_up, Some(2 * SECOND));
}

#[test]
fn who_ends_without_telling_the_coordinator_is_recorded_as_a_member_still() {
    use LeaveOperation::{Default, LeaveGroup, RemainInGroup};
    let outcome = |config, operation| {
        let mut member = stable(config, &[("t", 0)]);
        let (_, step, _) = called(&member.step(leave(operation)));
        ended(&member.step(Event::Revoked { step })).remove(0).outcome
    };
    assert_eq!(outcome(static_config(), Default), Outcome::Stayed);
    assert_eq!(outcome(static_config(), LeaveGroup), Outcome::Left);
    assert_eq!(outcome(config(), RemainInGroup), Outcome::Stayed);
    assert_eq!(outcome(config(), Default), Outcome::Left);
}

#[test]
fn a_static_member_that_was_forgotten_on_its_way_out_is_a_member_no_more() {
    let mut member = stable(static_config(), &[("t", 0)]);
    let (_, step, _) = called(&member.step(leave(LeaveOperation::Default)));
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    member.step(refuse(token, Refusal::UnknownMemberId));
    let left = ended(&member.step(Event::Revoked { step })).remove(0);
    assert_eq!(left.outcome, Outcome::Left);
}

#[test]
fn what_a_member_drops_without_its_listener_is_recorded_as_given_up() {
    for first in [None, Some(leave(LeaveOperation::Default))] {
        let mut member = stable(config(), &[("t", 0)]);
        if let Some(first) = first {
            member.step(first);
        }
        let actions = member.step(Event::LeaveNow {
            operation: LeaveOperation::Default,
            reason: "late".into(),
        });
        let left = ended(&actions).remove(0);
        assert_eq!(
            (left.outcome, left.gave_up),
            (Outcome::Left, partitions(&[("t", 0)]))
        );
    }
}

// A poll that is dropped inside `revoked`, then a close.
#[test]
fn what_a_rebalance_had_stopped_when_the_member_left_is_told_as_stopped_then() {
    let leave_now = || Event::LeaveNow {
        operation: LeaveOperation::Default,
        reason: "late".into(),
    };
    for (leaves, is_late) in [(true, false), (true, true), (false, true)] {
        let mut member = stable(config(), &[("t", 0)]);
        let (_, step, _) = called(&member.step(subscribe(&["t", "u"])));
        member.advance(SECOND);
        let mut told = Vec::new();
        if leaves {
            told = ended(&member.step(Event::Unsubscribed));
            member.advance(SECOND);
        }
        let end = if is_late {
            leave_now()
        } else {
            Event::Revoked { step }
        };
        told.extend(ended(&member.step(end)));
        let [interrupted, left] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!(
            (interrupted.outcome, &interrupted.gave_up),
            (Outcome::Abandoned, &vec![])
        );
        assert_eq!(left.gave_up, partitions(&[("t", 0)]));
        // It was before the beginning.
        let stopped = [(TopicPartition::new("t", 0), core::time::Duration::ZERO)];
        assert_eq!(left.stopped, stopped);
    }
}

#[test]
fn what_a_member_got_back_stops_anew() {
    let mut member = stable(cooperative(), &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let (_, step, _) = called(&member.step(refuse(token, Refusal::UnknownMemberId)));
    let (token, _) = sent_join(&member.step(Event::Lost { step }));
    let assigned = |member: &mut Driven, token, generation, list: &[(&str, i32)]| {
        let joined = joined_by("cooperative-sticky", generation, "other", &[]);
        let (token, _) = sent_sync(&member.step(reply(token, joined)));
        called(&member.step(reply(token, synced(list)))).1
    };
    let step = assigned(&mut member, token, 2, &[("t", 0)]);
    member.step(Event::Assigned { step });
    let (token, _) = sent_join(&member.step(subscribe(&["t", "u"])));
    member.advance(SECOND);
    let step = assigned(&mut member, token, 3, &[]);
    let (_, step, _) = called(&member.step(Event::Revoked { step }));
    let stopped = [(TopicPartition::new("t", 0), SECOND)];
    assert_eq!(ended(&member.step(Event::Assigned { step }))[0].stopped, stopped);
}

#[test]
fn what_was_lost_is_told_apart() {
    let mut member = stable(cooperative(), &[("t", 0)]);
    sent_join(&member.step(subscribe(&["t", "u"])));
    let actions = member.step(leave(LeaveOperation::Default));
    let (_, step, _) = called(&actions);
    let left = ended(&member.step(Event::Lost { step })).remove(0);
    assert_eq!(
        (&left.lost, &left.gave_up),
        (&left.gave_up, &partitions(&[("t", 0)]))
    );
}

#[test]
fn what_is_dropped_in_mid_rebalance_or_out_of_the_generation_is_lost() {
    let leave_now = || Event::LeaveNow {
        operation: LeaveOperation::Default,
        reason: "late".into(),
    };
    let rebalancing = || {
        let mut member = stable(cooperative(), &[("t", 0)]);
        sent_join(&member.step(subscribe(&["t", "u"])));
        member
    };
    let mut leaving = rebalancing();
    called(&leaving.step(leave(LeaveOperation::Default)));
    let mut forgotten = stable(config(), &[("t", 0)]);
    let token = sent_heartbeat(&forgotten.advance(3 * SECOND));
    forgotten.step(refuse(token, Refusal::UnknownMemberId));
    for mut member in [rebalancing(), leaving, forgotten] {
        let left = ended(&member.step(leave_now())).pop().expect("it left");
        assert_eq!(
            (&left.lost, &left.outcome),
            (&partitions(&[("t", 0)]), &Outcome::Left)
        );
        assert_eq!(left.gave_up, left.lost);
    }
}

#[test]
fn who_never_was_in_a_generation_leaves_no_record() {
    assert!(ended(&driven(config()).step(leave(LeaveOperation::Default))).is_empty());
    let (mut member, _) = joining(config());
    let outcomes: Vec<_> = ended(&member.step(leave(LeaveOperation::Default)))
        .iter()
        .map(|rebalance| rebalance.outcome)
        .collect();
    assert_eq!(outcomes, [Outcome::Abandoned]);
}

#[test]
fn a_long_reason_is_cut() {
    let mut member = stable(config(), &[]);
    let event = Event::Leave {
        operation: LeaveOperation::Default,
        reason: "x".repeat(300).into(),
    };
    assert_eq!(sent_leave(&member.step(event)).1.reason.len(), 255);
}

// Kafka: AbstractCoordinator.close
#[test]
fn a_member_whose_time_to_leave_is_over_tells_the_coordinator_without_its_listener() {
    let leave_now = || Event::LeaveNow {
        operation: LeaveOperation::Default,
        reason: "no time".into(),
    };
    let mut member = stable(config(), &[("t", 0)]);
    let (name, step, _) = called(&member.step(Event::Unsubscribed));
    assert_eq!(name, "revoked");
    let (_, leave) = sent_leave(&member.step(leave_now()));
    assert_eq!(&*leave.member_id, "m");
    assert!(member.step(Event::Revoked { step }).is_empty());
    assert!(member.step(leave_now()).is_empty(), "it is told once");

    let mut member = stable(config(), &[("t", 0)]);
    sent_leave(&member.step(leave_now()));
    assert!(member.machine().owned().is_empty());
}

#[test]
fn a_static_member_whose_time_to_leave_is_over_stays_unless_it_is_to_leave() {
    let leave_now = |operation| Event::LeaveNow {
        operation,
        reason: "no time".into(),
    };
    let mut member = stable(static_config(), &[("t", 0)]);
    let actions = member.step(leave_now(LeaveOperation::Default));
    let is_told = |action: &Action| matches!(action, Action::Send { .. });
    assert!(left(&actions) && !actions.iter().any(is_told), "{actions:?}");
    let mut member = stable(static_config(), &[("t", 0)]);
    sent_leave(&member.step(leave_now(LeaveOperation::LeaveGroup)));
    // What is said last counts.
    let mut member = stable(static_config(), &[("t", 0)]);
    member.step(Event::Unsubscribed);
    sent_leave(&member.step(leave_now(LeaveOperation::LeaveGroup)));
}
