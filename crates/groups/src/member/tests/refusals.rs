//! What refused and failed joins and syncs lead to.

use super::*;

type IsExpected = fn(&MemberError) -> bool;

/// The time until the member joins again, in ms.
fn backoff(member: &mut Driven) -> u64 {
    let before = member.now();
    let (timer, actions) = member.advance_to_deadline().expect("a timer is armed");
    assert_eq!(timer, "join again");
    sent_join(&actions);
    (member.now() - before).as_millis() as u64
}

#[test]
fn a_moved_coordinator_is_looked_for_and_joined_after_a_backoff() {
    for failure in [
        Failure::TimedOut,
        Failure::Disconnected,
        Failure::Refused(Refusal::NotCoordinator),
        Failure::Refused(Refusal::CoordinatorNotAvailable),
    ] {
        for setup in [joining, syncing] {
            let (mut member, token) = setup(config());
            assert_eq!(
                member.step(fail(token, failure.clone())),
                [Action::CoordinatorMoved]
            );
            assert!((80..=120).contains(&backoff(&mut member)));
        }
    }
}

#[test]
fn a_loading_or_unreachable_coordinator_is_asked_again_after_a_backoff() {
    for failure in [
        Failure::Unreachable,
        Failure::Refused(Refusal::CoordinatorLoadInProgress),
    ] {
        let (mut member, token) = joining(config());
        assert!(member.step(fail(token, failure)).is_empty());
        assert!((80..=120).contains(&backoff(&mut member)));
    }
}

#[test]
fn the_backoff_doubles_until_a_sync_succeeds() {
    let (mut member, mut token) = joining(config());
    for base in [100, 200, 400, 800, 1000, 1000] {
        member.step(fail(token, Failure::Unreachable));
        let (_, actions) = member.advance_to_deadline().expect("a timer is armed");
        let waited = member.record().len();
        assert!(waited > 0 && base > 0);
        (token, _) = sent_join(&actions);
    }
    let waits: Vec<u64> = member
        .record()
        .windows(2)
        .map(|turns| (turns[1].at - turns[0].at).as_millis() as u64)
        .filter(|wait| *wait > 0)
        .collect();
    for (wait, base) in waits.iter().zip([100, 200, 400, 800, 1000, 1000]) {
        assert!((base * 8 / 10..=base * 12 / 10).contains(wait), "{waits:?}");
    }
    let (token, _) = sent_sync(&member.step(reply(token, joined(1, "other", &[]))));
    let (_, step, _) = called(&member.step(reply(token, synced(&[]))));
    member.step(Event::Assigned { step });
    let (_, step, _) = called(&member.step(subscribe(&["u"])));
    let (token, _) = sent_join(&member.step(Event::Revoked { step }));
    member.step(fail(token, Failure::Unreachable));
    assert!((80..=120).contains(&backoff(&mut member)));
}

#[test]
fn an_unknown_member_id_is_dropped_and_the_group_joined_at_once() {
    let (mut member, token) = joining(config());
    let (token, _) = sent_join(&member.step(refuse(
        token,
        Refusal::MemberIdRequired {
            member_id: "m".into(),
        },
    )));
    let (_, join) = sent_join(&member.step(refuse(token, Refusal::UnknownMemberId)));
    assert_eq!(&*join.member_id, "");
    assert_eq!(&*join.reason, "UNKNOWN_MEMBER_ID from JOIN_GROUP");
}

#[test]
fn a_rebalance_during_the_sync_is_joined_at_once_without_calling_the_listener() {
    let (mut member, token) = syncing(config());
    let (_, join) = sent_join(&member.step(refuse(token, Refusal::RebalanceInProgress)));
    assert_eq!(&*join.member_id, "m");
}

#[test]
fn an_unknown_member_or_an_old_generation_at_the_sync_joins_anew() {
    for (refusal, member_id) in [(Refusal::UnknownMemberId, ""), (Refusal::IllegalGeneration, "m")] {
        let (mut member, token) = syncing(config());
        let (_, join) = sent_join(&member.step(refuse(token, refusal)));
        assert_eq!(
            (&*join.member_id, join.protocols[0].1.generation),
            (member_id, None)
        );
    }
}

#[test]
fn a_coordinator_that_always_refuses_is_not_asked_without_a_pause() {
    let (mut member, mut token) = joining(config());
    let mut at_once = 0;
    loop {
        let actions = member.step(refuse(token, Refusal::UnknownMemberId));
        if actions.is_empty() {
            break;
        }
        at_once += 1;
        assert!(at_once < 10);
        (token, _) = sent_join(&actions);
    }
    assert!(backoff(&mut member) > 0);
}

#[test]
fn what_only_the_application_can_settle_stops_the_member_until_it_is_polled() {
    let fatal: Vec<(Failure, IsExpected)> = vec![
        (Failure::Refused(Refusal::GroupAuthorizationFailed), |e| {
            matches!(e, MemberError::GroupAuthorization { .. })
        }),
        (Failure::Refused(Refusal::InconsistentGroupProtocol), |e| {
            matches!(e, MemberError::InconsistentProtocol { .. })
        }),
        (Failure::Refused(Refusal::InvalidSessionTimeout), |e| {
            matches!(
                e,
                MemberError::InvalidSessionTimeout {
                    session_timeout_ms: 45_000,
                    ..
                }
            )
        }),
        (Failure::Refused(Refusal::InvalidGroupId), |e| {
            matches!(e, MemberError::InvalidGroupId { .. })
        }),
        (Failure::Refused(Refusal::GroupMaxSizeReached), |e| {
            matches!(e, MemberError::GroupMaxSizeReached { .. }) && e.is_retriable()
        }),
        (Failure::Refused(Refusal::UnsupportedVersion), |e| {
            matches!(e, MemberError::UnsupportedVersion { .. })
        }),
        (Failure::Unsupported { detail: "x".into() }, |e| {
            matches!(e, MemberError::UnsupportedVersion { .. })
        }),
        (Failure::Malformed { detail: "x".into() }, |e| {
            matches!(e, MemberError::Malformed { .. })
        }),
        (Failure::Refused(Refusal::Other(42)), |e| {
            matches!(
                e,
                MemberError::Unexpected {
                    refusal: Refusal::Other(42),
                    ..
                }
            )
        }),
    ];
    for (failure, expected) in fatal {
        for setup in [joining, syncing] {
            let (mut member, token) = setup(config());
            let actions = member.step(fail(token, failure.clone()));
            let error = error(&actions).unwrap_or_else(|| panic!("{failure:?}: {actions:?}"));
            assert!(expected(&error), "{failure:?}: {error:?}");
            assert!(member.advance(600 * SECOND).is_empty());
            sent_join(&member.step(Event::Polled));
        }
    }
}

#[test]
fn a_member_that_is_fenced_on_its_way_in_does_not_try_again() {
    for setup in [joining, syncing] {
        let (mut member, token) = setup(config());
        let actions = member.step(refuse(token, Refusal::FencedInstanceId));
        let is_fenced = |actions: &[Action]| {
            matches!(error(actions), Some(MemberError::FencedInstanceId { .. })) && actions.len() <= 2
        };
        assert!(is_fenced(&actions), "{actions:?}");
        assert!(member.advance(600 * SECOND).is_empty());
        let actions = member.step(Event::Polled);
        assert!(is_fenced(&actions), "{actions:?}");
    }
}

#[test]
fn a_refused_commit_of_the_present_generation_concerns_the_member() {
    let refused = |refusal| {
        let mut member = stable(config(), &[("t", 0)]);
        let identity = Box::new(member.machine().identity().cloned().expect("in a generation"));
        member.step(Event::CommitRefused { identity, refusal })
    };
    assert_eq!(called(&refused(Refusal::RebalanceInProgress)).0, "revoked");
    assert_eq!(called(&refused(Refusal::UnknownMemberId)).0, "lost");
    assert_eq!(called(&refused(Refusal::IllegalGeneration)).0, "lost");
    assert!(refused(Refusal::FencedInstanceId).is_empty());
    let mut member = stable(config(), &[("t", 0)]);
    let mut identity = member.machine().identity().cloned().expect("in a generation");
    identity.generation = 0;
    let old = Event::CommitRefused {
        identity: identity.into(),
        refusal: Refusal::UnknownMemberId,
    };
    assert!(member.step(old).is_empty(), "a commit of an older generation");
}

#[test]
fn answers_that_make_no_sense_are_errors() {
    let (mut member, token) = joining(config());
    assert!(error(&member.step(reply(token, MemberResponse::Heartbeat))).is_some());
    let (mut member, token) = syncing(config());
    assert!(error(&member.step(reply(token, joined(1, "m", &[])))).is_some());
    let (mut member, token) = joining(config());
    assert!(error(&member.step(reply(token, joined(-1, "m", &[])))).is_some());
    let (mut member, token) = syncing(config());
    let other = SyncResponse {
        protocol: Some("roundrobin".into()),
        ..SyncResponse::default()
    };
    assert!(error(&member.step(reply(token, MemberResponse::Sync(other)))).is_some());
}

#[test]
fn reasons_fit_into_255_characters() {
    let topics = vec!["ä".repeat(400).into()];
    assert_eq!(Cause::PartitionsChanged { topics }.reason().chars().count(), 255);
}
