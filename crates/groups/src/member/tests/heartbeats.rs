//! Sessions: heartbeats, their answers, their absence, and `max.poll.interval.ms`.

use super::leaving::ended;
use super::*;

/// Sends and answers heartbeats for this long; when they were sent, in ms.
fn beats(member: &mut Driven, within: Duration) -> Vec<u64> {
    let end = member.now() + within;
    let mut beats = Vec::new();
    while member
        .machine()
        .next_deadline()
        .is_some_and(|next| next.at <= end)
    {
        let (timer, actions) = member.advance_to_deadline().expect("there is one");
        assert_eq!(timer, "heartbeat");
        let token = sent_heartbeat(&actions);
        assert!(member.step(reply(token, MemberResponse::Heartbeat)).is_empty());
        beats.push(member.now().as_millis());
    }
    assert!(member.advance(end - member.now()).is_empty());
    beats
}

#[test]
fn a_stable_member_beats_after_two_thirds_of_the_interval() {
    let mut member = stable(config(), &[("t", 0)]);
    beats(&mut member, 3 * SECOND);
    // 23 periods are the session of 45 s and 400 ms.
    assert_eq!(
        beats(&mut member, 10 * SECOND),
        [3_947, 5_921, 7_895, 9_869, 11_843]
    );
}

#[test]
fn after_a_round_a_member_beats_soon_and_then_ever_more_slowly() {
    let mut member = stable(config(), &[("t", 0)]);
    assert_eq!(
        beats(&mut member, 26 * SECOND / 10),
        [50, 100, 150, 225, 337, 506, 759, 1_139, 1_708, 1_973]
    );
}

#[test]
fn the_quick_heartbeats_begin_anew_when_the_assignment_comes() {
    let (mut member, token) = syncing(config());
    beats(&mut member, 2 * SECOND);
    let (_, step, _) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    assert_eq!(beats(&mut member, SECOND / 10), [2_050, 2_100]);
    member.step(Event::Assigned { step });
}

#[test]
fn with_a_first_heartbeat_after_the_interval_there_are_no_quick_ones() {
    let quiet = MemberConfig {
        first_heartbeat: 60 * SECOND,
        ..config()
    };
    let mut member = stable(quiet, &[("t", 0)]);
    assert_eq!(beats(&mut member, 7 * SECOND), [1_973, 3_947, 5_921]);
}

#[test]
fn a_member_beats_soon_after_the_session_of_one_that_died_at_any_time() {
    let session = 6 * SECOND;
    let short = || MemberConfig {
        session_timeout: session,
        ..config()
    };
    let session = u64::try_from(session.as_millis()).expect("small");
    let hears = beats(&mut stable(short(), &[]), 60 * SECOND);
    for lived in 0..40 {
        let mut dead = stable(short(), &[]);
        let last = beats(&mut dead, SECOND / 20 + lived * SECOND);
        let expired = last.last().expect("it beats") + session;
        let heard = hears.iter().find(|beat| **beat >= expired).expect("it beats");
        assert!(heard - expired <= 800, "{lived} s");
    }
}

// Kafka: ConsumerCoordinator.onJoinComplete, requestRejoin: what was given up goes to its new owner in a second round
#[test]
fn the_new_owner_of_what_others_give_up_hears_of_the_second_round_within_a_tenth_of_a_second() {
    let mut newcomer = stable(cooperative(), &[]);
    assert_eq!(beats(&mut newcomer, SECOND * 7 / 100), [50]);
    // Now the others join again.
    let token = sent_heartbeat(&newcomer.advance(SECOND * 3 / 100));
    sent_join(&newcomer.step(refuse(token, Refusal::RebalanceInProgress)));
    assert_eq!(newcomer.now().as_millis(), 100);
}

#[test]
fn heartbeats_go_on_while_the_listener_runs() {
    let (mut member, step) = assigning(config(), &[("t", 0)]);
    sent_heartbeat(&member.advance(3 * SECOND));
    member.step(Event::Assigned { step });
    let mut member = stable(config(), &[("t", 0)]);
    let (_, step, _) = called(&member.step(subscribe(&["u"])));
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    assert!(
        member
            .step(refuse(token, Refusal::RebalanceInProgress))
            .is_empty(),
        "no news while preparing"
    );
    sent_join(&member.step(Event::Revoked { step }));
    assert!(
        member.advance(60 * SECOND).is_empty(),
        "JoinGroup itself keeps the session"
    );
}

#[test]
fn a_rebalance_in_progress_revokes_and_joins() {
    let mut member = stable(config(), &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let actions = member.step(refuse(token, Refusal::RebalanceInProgress));
    let api = MemberApi::Heartbeat;
    assert_eq!(cause(&actions), Some(Cause::RebalanceInProgress { api }));
    let (name, step, revoked) = called(&actions);
    assert_eq!((name, revoked), ("revoked", partitions(&[("t", 0)])));
    assert!(member.machine().identity().is_some(), "the listener may commit");
    let (_, join) = sent_join(&member.step(Event::Revoked { step }));
    assert_eq!(&*join.member_id, "m");
    assert!(member.machine().owned().is_empty());
    assert_eq!(member.machine().identity(), None);
}

#[test]
fn a_rebalance_in_progress_while_the_listener_takes_an_assignment_is_remembered() {
    let (mut member, step) = assigning(config(), &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    assert!(
        member
            .step(refuse(token, Refusal::RebalanceInProgress))
            .is_empty()
    );
    let actions = member.step(Event::Assigned { step });
    assert_eq!(called(&actions).0, "revoked");
}

#[test]
fn an_unknown_member_loses_its_partitions_and_joins_as_a_new_one() {
    let mut member = stable(config(), &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let actions = member.step(refuse(token, Refusal::UnknownMemberId));
    let api = MemberApi::Heartbeat;
    assert_eq!(cause(&actions), Some(Cause::UnknownMemberId { api }));
    let (name, step, lost) = called(&actions);
    assert_eq!((name, lost), ("lost", partitions(&[("t", 0)])));
    assert_eq!(member.machine().identity(), None);
    let (_, join) = sent_join(&member.step(Event::Lost { step }));
    assert_eq!(&*join.member_id, "");
}

#[test]
fn an_illegal_generation_loses_the_partitions_and_keeps_the_member_id() {
    let mut member = stable(config(), &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let (name, step, _) = called(&member.step(refuse(token, Refusal::IllegalGeneration)));
    assert_eq!(name, "lost");
    let (_, join) = sent_join(&member.step(Event::Lost { step }));
    assert_eq!(&*join.member_id, "m");
    assert_eq!(join.protocols[0].1.generation, None);
}

#[test]
fn an_identity_lost_while_the_listener_takes_an_assignment_is_acted_on_afterwards() {
    let (mut member, step) = assigning(config(), &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    assert!(member.step(refuse(token, Refusal::UnknownMemberId)).is_empty());
    assert_eq!(member.machine().identity(), None, "a commit would be refused");
    let actions = member.step(Event::Assigned { step });
    let api = MemberApi::Heartbeat;
    assert_eq!(cause(&actions), Some(Cause::UnknownMemberId { api }));
    let (name, step, lost) = called(&actions);
    assert_eq!((name, lost), ("lost", partitions(&[("t", 0)])));
    sent_join(&member.step(Event::Lost { step }));
}

#[test]
fn an_identity_lost_while_the_listener_revokes_joins_as_a_new_member() {
    let mut member = stable(config(), &[("t", 0)]);
    let (_, step, _) = called(&member.step(subscribe(&["u"])));
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    assert!(member.step(refuse(token, Refusal::UnknownMemberId)).is_empty());
    let (_, join) = sent_join(&member.step(Event::Revoked { step }));
    assert_eq!(&*join.member_id, "");
}

#[test]
fn a_heartbeat_of_an_older_attempt_is_ignored() {
    let mut member = stable(config(), &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let (_, step, _) = called(&member.step(subscribe(&["t", "u"])));
    member.step(Event::Revoked { step });
    assert!(
        member.step(fail(token, Failure::TimedOut)).is_empty(),
        "the coordinator has not moved for it"
    );
}

#[test]
fn a_heartbeat_that_fails_is_tried_again_sooner() {
    for failure in [
        Failure::TimedOut,
        Failure::Disconnected,
        Failure::Refused(Refusal::NotCoordinator),
        Failure::Refused(Refusal::CoordinatorNotAvailable),
    ] {
        let mut member = stable(config(), &[("t", 0)]);
        let token = sent_heartbeat(&member.advance(3 * SECOND));
        assert_eq!(member.step(fail(token, failure)), [Action::CoordinatorMoved]);
        assert!(member.machine().is_stable());
        sent_heartbeat(&member.advance(120 * SECOND / 1000));
    }
}

#[test]
fn a_loading_coordinator_is_asked_again_without_looking_for_another() {
    let mut member = stable(config(), &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    assert!(
        member
            .step(refuse(token, Refusal::CoordinatorLoadInProgress))
            .is_empty()
    );
    sent_heartbeat(&member.advance(120 * SECOND / 1000));
}

#[test]
fn a_session_without_an_answer_looks_for_the_coordinator_again() {
    let mut member = stable(config(), &[("t", 0)]);
    let old = sent_heartbeat(&member.advance(3 * SECOND));
    assert!(
        member.advance(41_999 * SECOND / 1000).is_empty(),
        "45 s from the join's answer"
    );
    let actions = member.advance(SECOND / 1000);
    assert_eq!(actions[0], Action::CoordinatorMoved);
    let token = sent_heartbeat(&actions);
    assert!(
        member.machine().is_stable(),
        "whether it is still a member is for the coordinator to say"
    );
    assert!(
        member.step(fail(old, Failure::TimedOut)).is_empty(),
        "the old heartbeat is of no interest"
    );
    let (name, ..) = called(&member.step(refuse(token, Refusal::UnknownMemberId)));
    assert_eq!(name, "lost");
}

#[test]
fn a_fenced_static_member_loses_its_partitions_and_stops() {
    let config = MemberConfig {
        group_instance_id: Some("i".into()),
        ..config()
    };
    let mut member = stable(config, &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let actions = member.step(refuse(token, Refusal::FencedInstanceId));
    assert!(
        matches!(error(&actions), Some(MemberError::FencedInstanceId { group_instance_id, .. }) if &*group_instance_id == "i")
    );
    let (name, step, _) = called(&actions);
    assert_eq!(name, "lost");
    let actions = member.step(Event::Lost { step });
    assert!(matches!(actions[..], [Action::Ended(_)]), "{actions:?}");
    assert!(member.advance(600 * SECOND).is_empty());
}

#[test]
fn a_fenced_member_records_what_it_lost_and_why_also_when_it_is_polled_before_its_listener_is_done() {
    let config = MemberConfig {
        group_instance_id: Some("i".into()),
        ..config()
    };
    let mut member = stable(config, &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let actions = member.step(refuse(token, Refusal::FencedInstanceId));
    assert_eq!(cause(&actions).map(|cause| cause.name()), Some("failed"));
    let (_, step, _) = called(&actions);
    member.advance(SECOND);
    assert!(ended(&member.step(Event::Polled)).is_empty());
    let failed = ended(&member.step(Event::Lost { step })).remove(0);
    assert_eq!(failed.outcome, Outcome::Failed);
    assert!(
        failed.cause.reason().contains("was taken over"),
        "{}",
        failed.cause
    );
    assert_eq!(
        (failed.generation, failed.member_id.as_deref()),
        (Some(1), Some("m"))
    );
    let all = partitions(&[("t", 0)]);
    assert_eq!((&failed.gave_up, &failed.lost), (&all, &all));
    let stopped = [(TopicPartition::new("t", 0), Duration::ZERO)];
    assert_eq!(
        (&failed.stopped[..], failed.phases().giving_up),
        (&stopped[..], Some(SECOND))
    );
}

#[test]
fn a_member_that_fails_without_partitions_has_nothing_to_record() {
    let mut member = stable(config(), &[]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let actions = member.step(refuse(token, Refusal::GroupAuthorizationFailed));
    assert_eq!(cause(&actions), None);
    assert!(error(&actions).is_some());
}

#[test]
fn what_a_listener_gives_up_while_its_member_fails_is_in_the_record_of_the_failure() {
    let mut member = stable(config(), &[("t", 0)]);
    let (_, step, _) = called(&member.step(subscribe(&["t", "u"])));
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let actions = member.step(refuse(token, Refusal::GroupAuthorizationFailed));
    assert_eq!(ended(&actions)[0].outcome, Outcome::Abandoned);
    let failed = ended(&member.step(Event::Revoked { step })).remove(0);
    assert_eq!(
        (failed.outcome, failed.gave_up),
        (Outcome::Failed, partitions(&[("t", 0)]))
    );
}

#[test]
fn a_fenced_static_member_does_not_take_its_id_back_when_it_is_polled() {
    let config = MemberConfig {
        group_instance_id: Some("i".into()),
        ..config()
    };
    let mut member = stable(config, &[]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    member.step(refuse(token, Refusal::FencedInstanceId));
    for _ in 0..2 {
        let actions = member.step(Event::Polled);
        assert!(
            matches!(&actions[..], [Action::Failed { error }] if matches!(**error, MemberError::FencedInstanceId { .. })),
            "{actions:?}"
        );
    }
    // To subscribe anew is to say so.
    member.step(Event::Unsubscribed);
    let (_, join) = sent_join(&member.step(subscribe(&["t"])));
    assert_eq!(join.group_instance_id.as_deref(), Some("i"));
}

#[test]
fn a_member_that_failed_while_its_listener_ran_loses_its_partitions_afterwards() {
    let (mut member, step) = assigning(config(), &[("t", 0)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let actions = member.step(refuse(token, Refusal::GroupAuthorizationFailed));
    assert!(error(&actions).is_some());
    let (name, step, _) = called(&member.step(Event::Assigned { step }));
    assert_eq!(name, "lost");
    assert!(
        member.step(Event::Polled).is_empty(),
        "not before the listener has run"
    );
    // Nobody else says that there was a poll.
    let actions = member.step(Event::Lost { step });
    assert_eq!(cause(&actions), Some(Cause::PolledAfterError));
}

#[test]
fn a_dynamic_member_that_is_not_polled_leaves_loses_and_joins_when_polled() {
    let mut member = stable(config(), &[("t", 0)]);
    let actions = member.step(Event::PollExpired);
    assert_eq!(actions[0], Action::PollExpired);
    let (token, leave) = sent_leave(&actions);
    assert_eq!(&*leave.member_id, "m");
    assert_eq!(cause(&actions), Some(Cause::PollExpired));
    let (name, step, _) = called(&actions);
    assert_eq!(name, "lost");
    assert!(member.advance(60 * SECOND).is_empty());
    assert!(member.step(reply(token, MemberResponse::Leave)).is_empty());
    let (_, join) = sent_join(&member.step(Event::Lost { step }));
    assert_eq!(&*join.member_id, "");
}

#[test]
fn a_static_member_that_is_not_polled_just_stops_its_heartbeats() {
    let config = MemberConfig {
        group_instance_id: Some("i".into()),
        ..config()
    };
    let mut member = stable(config, &[("t", 0)]);
    let actions = member.step(Event::PollExpired);
    assert_eq!(called(&actions).0, "lost");
    assert!(!actions.iter().any(|action| matches!(action, Action::Send { .. })));
    assert!(member.advance(600 * SECOND).is_empty());
}

#[test]
fn a_member_without_partitions_that_is_not_polled_waits_for_a_poll() {
    let mut member = stable(config(), &[]);
    sent_leave(&member.step(Event::PollExpired));
    assert!(member.advance(600 * SECOND).is_empty());
    let actions = member.step(Event::Polled);
    assert_eq!(cause(&actions), Some(Cause::PollExpired));
    sent_join(&actions);
}

#[test]
fn a_member_that_is_not_polled_while_it_joins_has_one_more_interval() {
    let (mut member, token) = joining(config());
    assert!(member.step(Event::PollExpired).is_empty());
    let (token, _) = sent_sync(&member.step(reply(token, joined(1, "other", &[]))));
    let (_, step, _) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    let (mut leaves, mut told) = (0, 0);
    for _ in 0..300 {
        for action in member.advance(SECOND) {
            match action {
                Action::Send { token, request, .. } if request.api() == MemberApi::Heartbeat => {
                    member.step(reply(token, MemberResponse::Heartbeat));
                }
                Action::Send { request, .. } if request.api() == MemberApi::LeaveGroup => leaves += 1,
                Action::PollExpired => told += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!((leaves, told), (1, 1), "its partitions are free for others");
    assert_eq!(called(&member.step(Event::Assigned { step })).0, "lost");
}

#[test]
fn a_poll_that_is_late_while_the_group_is_joined_is_in_time() {
    let (mut member, token) = joining(config());
    member.step(Event::PollExpired);
    let (token, _) = sent_sync(&member.step(reply(token, joined(1, "other", &[]))));
    let (_, step, _) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    member.step(Event::Assigned { step });
    while member.now().as_millis() < 400_000 {
        let (timer, actions) = member.advance_to_deadline().expect("heartbeats go on");
        assert_eq!(timer, "heartbeat");
        let token = sent_heartbeat(&actions);
        member.step(reply(token, MemberResponse::Heartbeat));
    }
    assert!(member.machine().is_stable());
}
