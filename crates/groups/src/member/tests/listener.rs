//! Steps of the listener that are answered late, and runs that are replayed.

use kohort_machine::testing::replay;
use kohort_machine::{Instant, Machine};

use super::*;

#[test]
fn an_answer_to_a_step_that_is_not_open_does_nothing() {
    let mut member = Member::new(config(), 1).expect("valid settings");
    for step in [Token(0), Token(99)] {
        member.handle(Instant::ZERO, Event::Revoked { step });
        member.handle(Instant::ZERO, Event::Lost { step });
        member.handle(Instant::ZERO, Event::Assigned { step });
        member.handle(
            Instant::ZERO,
            Event::Computed {
                step,
                result: Err("late".into()),
            },
        );
        member.handle(Instant::ZERO, fail(step, Failure::TimedOut));
    }
    assert_eq!(member.poll_action(), None);
}

#[test]
fn a_computation_that_ends_after_the_generation_does_nothing() {
    let (mut member, token) = joining(config());
    let actions = member.step(reply(token, joined(1, "m", &["m"])));
    let Some(Action::Compute { step, .. }) = actions.last() else {
        panic!("{actions:?}");
    };
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    sent_join(&member.step(refuse(token, Refusal::UnknownMemberId)));
    assert!(member.step(computed(*step, &[], 1)).is_empty());
}

/// While the listener gives up something, the coordinator forgets the member: what it has left, `t-0`, is lost after that.
fn loses_its_identity_and_the_rest(member: &mut Driven, step: Token) {
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    member.step(refuse(token, Refusal::UnknownMemberId));
    let (name, step, lost) = called(&member.step(Event::Revoked { step }));
    assert_eq!((name, lost), ("lost", partitions(&[("t", 0)])));
    sent_join(&member.step(Event::Lost { step }));
    assert!(member.machine().owned().is_empty());
}

#[test]
fn a_step_answered_after_the_identity_was_lost_does_not_bring_partitions_back() {
    let mut member = stable(cooperative(), &[("t", 0), ("t", 1)]);
    let (token, _) = sent_join(&member.step(subscribe(&["t", "u"])));
    let (token, _) = sent_sync(&member.step(reply(token, joined_by("cooperative-sticky", 2, "other", &[]))));
    let (_, step, _) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    loses_its_identity_and_the_rest(&mut member, step);
}

#[test]
fn what_stays_is_lost_when_the_identity_is_lost_while_what_goes_is_revoked() {
    let mut static_member = cooperative();
    static_member.group_instance_id = Some("i".into());
    let mut member = stable(static_member, &[("t", 0)]);
    let (token, _) = sent_join(&member.step(subscribe(&["t", "u"])));
    let (token, _) = sent_sync(&member.step(reply(token, joined_by("cooperative-sticky", 2, "other", &[]))));
    let (_, step, _) = called(&member.step(reply(token, synced(&[("t", 0), ("u", 0)]))));
    member.step(Event::Assigned { step });
    let (name, step, revoked) = called(&member.step(subscribe(&["t"])));
    assert_eq!((name, revoked), ("revoked", partitions(&[("u", 0)])));
    loses_its_identity_and_the_rest(&mut member, step);
}

#[test]
fn a_run_is_replayed_exactly() {
    let mut member = leading(config());
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    member.step(fail(token, Failure::Disconnected));
    member.advance(SECOND);
    replay(Member::new(config(), 1).expect("valid settings"), member.record());
}
