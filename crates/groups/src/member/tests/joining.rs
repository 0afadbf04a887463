//! The way from a subscription to an assignment, as a follower and as the leader.

use super::*;

#[test]
fn a_first_join_calls_no_listener_and_carries_the_settings() {
    let mut member = driven(config());
    let actions = member.step(subscribe(&["u", "t", "u"]));
    assert_eq!(cause(&actions), Some(Cause::FirstJoin));
    let (_, join) = sent_join(&actions);
    assert_eq!(&*join.member_id, "");
    assert_eq!(join.session_timeout, 45 * SECOND);
    assert_eq!(join.rebalance_timeout, 300 * SECOND);
    let (name, subscription) = &join.protocols[0];
    assert_eq!(
        (&**name, &subscription.topics),
        ("range", &vec!["t".into(), "u".into()])
    );
    assert_eq!(subscription.generation, None);
}

#[test]
fn join_group_may_take_the_rebalance_timeout_and_five_seconds() {
    let timeout = |config| {
        let actions = driven(config).step(subscribe(&["t"]));
        actions.iter().find_map(|action| match action {
            Action::Send { timeout, .. } => Some(*timeout),
            _ => None,
        })
    };
    assert_eq!(timeout(config()), Some(305 * SECOND));
    let impatient = MemberConfig {
        rebalance_timeout: SECOND,
        ..config()
    };
    assert_eq!(
        timeout(impatient),
        Some(30 * SECOND),
        "never below request.timeout.ms"
    );
    let patient = MemberConfig {
        rebalance_timeout: Duration::MAX,
        ..config()
    };
    assert_eq!(timeout(patient), Some(Duration::MAX));
}

#[test]
fn a_follower_syncs_without_assignments_and_takes_its_own() {
    let (mut member, token) = joining(config());
    let (token, sync) = sent_sync(&member.step(reply(token, joined(7, "other", &[]))));
    assert!(sync.assignments.is_empty());
    assert_eq!((sync.identity.generation, &*sync.identity.member_id), (7, "m"));
    assert_eq!(&*sync.protocol, "range");
    let actions = member.step(reply(token, synced(&[("t", 1), ("t", 0)])));
    let (name, step, added) = called(&actions);
    assert_eq!((name, added), ("assigned", partitions(&[("t", 0), ("t", 1)])));
    assert!(!member.machine().is_stable());
    let actions = member.step(Event::Assigned { step });
    assert!(member.machine().is_stable());
    let [Action::Ended(rebalance)] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(
        (rebalance.number, rebalance.generation, rebalance.led()),
        (1, Some(7), false)
    );
    assert_eq!(
        (&rebalance.cause, rebalance.outcome),
        (&Cause::FirstJoin, Outcome::Assigned)
    );
    assert_eq!(rebalance.got, partitions(&[("t", 0), ("t", 1)]));
}

#[test]
fn the_leader_computes_and_every_member_gets_an_assignment() {
    let (mut member, token) = joining(config());
    let actions = member.step(reply(token, joined(1, "m", &["m", "n"])));
    let Some(Action::Compute {
        step,
        assignor,
        members,
        skip: false,
    }) = actions.last()
    else {
        panic!("{actions:?}");
    };
    assert_eq!((&**assignor, members.len()), ("range", 2));
    let (_, sync) = sent_sync(&member.step(computed(*step, &[("m", &[("t", 0)]), ("stranger", &[])], 1)));
    let names: Vec<_> = sync.assignments.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["m", "n"],
        "one that the assignor left out gets nothing, one that is no member is dropped"
    );
    assert!(member.machine().is_leader());
}

#[test]
fn a_returning_static_leader_keeps_the_old_assignment() {
    let (mut member, token) = joining(config());
    let MemberResponse::Join(mut response) = joined(1, "m", &["m", "n"]) else {
        unreachable!()
    };
    response.skip_assignment = true;
    let actions = member.step(reply(token, MemberResponse::Join(response)));
    let Some(Action::Compute { step, skip: true, .. }) = actions.last() else {
        panic!("{actions:?}");
    };
    let (_, sync) = sent_sync(&member.step(computed(*step, &[], 2)));
    assert!(sync.assignments.is_empty());
    assert!(member.machine().is_leader(), "it goes on watching the partitions");
}

#[test]
fn the_given_member_id_is_used_in_the_same_rebalance() {
    let (mut member, token) = joining(config());
    let actions = member.step(refuse(
        token,
        Refusal::MemberIdRequired {
            member_id: "m".into(),
        },
    ));
    assert_eq!(cause(&actions), None, "no new rebalance");
    let (_, join) = sent_join(&actions);
    assert_eq!(&*join.member_id, "m");
    assert!(join.reason.contains("given member id m"));
}

#[test]
fn a_changed_subscription_makes_a_stable_member_join_again() {
    let mut member = stable(config(), &[("t", 0)]);
    assert!(member.step(subscribe(&["t"])).is_empty(), "the same topics");
    let actions = member.step(subscribe(&["t", "u"]));
    assert_eq!(cause(&actions), Some(Cause::SubscriptionChanged));
    let (name, step, _) = called(&actions);
    assert_eq!(name, "revoked");
    let (_, join) = sent_join(&member.step(Event::Revoked { step }));
    assert_eq!(join.protocols[0].1.topics, vec!["t".into(), "u".into()]);
    assert_eq!(&*join.reason, "subscription has changed");
}

#[test]
fn a_subscription_that_changes_while_joining_is_remembered() {
    let (mut member, token) = joining(config());
    assert!(member.step(subscribe(&["t", "u"])).is_empty());
    let (token, _) = sent_sync(&member.step(reply(token, joined(1, "other", &[]))));
    let (_, step, _) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    let actions = member.step(Event::Assigned { step });
    assert_eq!(cause(&actions), Some(Cause::SubscriptionChanged));
    assert_eq!(called(&actions).0, "revoked");
}

#[test]
fn an_assignment_of_topics_no_longer_wanted_is_not_taken() {
    let (mut member, token) = joining(config());
    member.step(subscribe(&["u"]));
    let (token, _) = sent_sync(&member.step(reply(token, joined(1, "other", &[]))));
    let actions = member.step(reply(token, synced(&[("t", 0)])));
    let (name, step, given_up) = called(&actions);
    assert_eq!(
        (name, given_up),
        ("revoked", vec![]),
        "an eager member is always told"
    );
    let (_, join) = sent_join(&member.step(Event::Revoked { step }));
    assert_eq!(join.protocols[0].1.topics, vec!["u".into()]);
}

#[test]
fn a_pattern_trusts_the_leader_for_topics_not_seen_yet() {
    let mut member = driven(config());
    let (token, _) = sent_join(&member.step(Event::Subscribed {
        topics: vec![],
        by_pattern: true,
    }));
    let (token, _) = sent_sync(&member.step(reply(token, joined(1, "other", &[]))));
    let (name, step, _) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    assert_eq!(name, "assigned");
    member.step(Event::Assigned { step });
    assert!(member.machine().is_stable());
    assert!(member.machine().watched_topics().contains("t"));
}

#[test]
fn a_leader_joins_again_when_partitions_are_added() {
    let mut member = leading(config());
    assert!(
        member
            .step(Event::Partitions {
                topics: layouts(&[("t", 2), ("unrelated", 5)])
            })
            .is_empty()
    );
    let actions = member.step(Event::Partitions {
        topics: layouts(&[("t", 3)]),
    });
    assert_eq!(
        cause(&actions),
        Some(Cause::PartitionsChanged {
            topics: vec!["t".into()]
        })
    );
    assert_eq!(called(&actions).0, "revoked");
}

/// `t` with one partition on these racks.
fn on_racks(racks: &[&str]) -> GroupTopics {
    let layout = TopicLayout {
        partitions: 1,
        racks: vec![racks.iter().map(|rack| Arc::from(*rack)).collect()],
    };
    [("t".into(), layout)].into()
}

/// A member that led when `t` was on racks a and b, and hears now that it is on these.
fn moved(rack: Option<&str>, racks: &[&str]) -> Vec<Action> {
    let config = MemberConfig {
        rack: rack.map(Arc::from),
        ..config()
    };
    let (mut member, token) = joining(config);
    let actions = member.step(reply(token, joined(1, "m", &["m"])));
    let Some(Action::Compute { step, .. }) = actions.last() else {
        panic!("{actions:?}");
    };
    let assignment = Assignment {
        partitions: partitions(&[("t", 0)]),
        user_data: None,
    };
    let computed = Computed::of([("m".into(), assignment)].into(), on_racks(&["a", "b"]));
    let event = Event::Computed {
        step: *step,
        result: Ok(computed.into()),
    };
    let (token, _) = sent_sync(&member.step(event));
    let (_, step, _) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    member.step(Event::Assigned { step });
    let topics = on_racks(racks);
    member.step(Event::Partitions { topics })
}

// Kafka: KAFKA-14867
#[test]
fn a_leader_on_a_rack_joins_again_when_replicas_move_to_other_racks() {
    let topics = vec!["t".into()];
    let expected = Some(Cause::PartitionsChanged { topics });
    assert_eq!(cause(&moved(Some("a"), &["a", "c"])), expected);
    assert_eq!(cause(&moved(Some("a"), &[])), expected);
}

#[test]
fn the_order_of_replicas_is_no_change() {
    assert!(moved(Some("a"), &["b", "a", "b"]).is_empty());
}

#[test]
fn a_leader_without_a_rack_does_not_care_on_which_racks_replicas_are() {
    assert!(moved(None, &["c"]).is_empty());
}

#[test]
fn a_leader_joins_again_when_a_topic_is_gone() {
    let mut member = leading(config());
    let actions = member.step(Event::Partitions { topics: layouts(&[]) });
    assert_eq!(
        cause(&actions),
        Some(Cause::PartitionsChanged {
            topics: vec!["t".into()]
        })
    );
}

#[test]
fn a_follower_leaves_partition_counts_to_its_leader() {
    let mut member = stable(config(), &[("t", 0)]);
    assert!(
        member
            .step(Event::Partitions {
                topics: layouts(&[("t", 9)])
            })
            .is_empty()
    );
}

#[test]
fn an_own_assignor_may_leave_out_whom_it_gives_nothing() {
    let config = MemberConfig::new("g", vec![offered("own", &[RebalanceProtocol::Eager])]);
    let (mut member, token) = joining(config);
    let actions = member.step(reply(token, joined_by("own", 1, "m", &["m", "n"])));
    let Some(Action::Compute { step, .. }) = actions.last() else {
        panic!("{actions:?}");
    };
    let (_, sync) = sent_sync(&member.step(computed(*step, &[], 2)));
    let told: Vec<_> = sync
        .assignments
        .iter()
        .map(|(member, got)| (&**member, got.partitions.len()))
        .collect();
    assert_eq!(told, [("m", 0), ("n", 0)]);
}

#[test]
fn a_leader_sees_what_changed_while_it_synced() {
    let (mut member, token) = joining(config());
    let actions = member.step(reply(token, joined(1, "m", &["m"])));
    let Some(Action::Compute { step, .. }) = actions.last() else {
        panic!("{actions:?}");
    };
    let (token, _) = sent_sync(&member.step(computed(*step, &[("m", &[("t", 0)])], 1)));
    assert!(
        member
            .step(Event::Partitions {
                topics: layouts(&[("t", 2)])
            })
            .is_empty()
    );
    let (_, step, _) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    let actions = member.step(Event::Assigned { step });
    assert_eq!(
        cause(&actions),
        Some(Cause::PartitionsChanged {
            topics: vec!["t".into()]
        })
    );
}

#[test]
fn an_assignor_that_fails_is_reported_and_tried_again_after_a_poll() {
    let (mut member, token) = joining(config());
    let actions = member.step(reply(token, joined(1, "m", &["m"])));
    let Some(Action::Compute { step, .. }) = actions.last() else {
        panic!("{actions:?}");
    };
    let actions = member.step(Event::Computed {
        step: *step,
        result: Err("boom".into()),
    });
    assert!(matches!(error(&actions), Some(MemberError::Assignor { reason, .. }) if &*reason == "boom"));
    assert!(member.advance(600 * SECOND).is_empty());
    let actions = member.step(Event::Polled);
    assert_eq!(cause(&actions), Some(Cause::PolledAfterError));
}

#[test]
fn an_assignor_that_was_not_offered_is_an_inconsistent_protocol() {
    let (mut member, token) = joining(config());
    let actions = member.step(reply(token, joined_by("sticky", 1, "other", &[])));
    assert!(matches!(
        error(&actions),
        Some(MemberError::InconsistentProtocol { .. })
    ));
}

#[test]
fn a_cooperative_member_keeps_what_stays_and_gives_up_the_rest_after_the_sync() {
    let mut member = stable(cooperative(), &[("t", 0), ("t", 1)]);
    let token = sent_heartbeat(&member.advance(3 * SECOND));
    let actions = member.step(refuse(token, Refusal::RebalanceInProgress));
    let (token, join) = sent_join(&actions);
    assert_eq!(join.protocols[0].1.owned, partitions(&[("t", 0), ("t", 1)]));
    assert_eq!(join.protocols[0].1.generation, Some(1));
    let (token, _) = sent_sync(&member.step(reply(token, joined_by("cooperative-sticky", 2, "other", &[]))));
    let (name, step, revoked) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    assert_eq!((name, revoked), ("revoked", partitions(&[("t", 1)])));
    let (name, step, added) = called(&member.step(Event::Revoked { step }));
    assert_eq!(
        (name, added),
        ("assigned", vec![]),
        "told even when nothing is new"
    );
    let actions = member.step(Event::Assigned { step });
    assert_eq!(cause(&actions), Some(Cause::GaveUpPartitions));
    let (_, join) = sent_join(&actions);
    assert_eq!(join.protocols[0].1.owned, partitions(&[("t", 0)]));
}

#[test]
fn a_cooperative_member_gives_up_unsubscribed_topics_before_it_joins() {
    let mut member = stable(cooperative(), &[("t", 0)]);
    let actions = member.step(subscribe(&["u"]));
    let (name, _, revoked) = called(&actions);
    assert_eq!((name, revoked), ("revoked", partitions(&[("t", 0)])));
}

#[test]
fn a_cooperative_assignor_must_not_move_what_is_still_owned() {
    let both = [RebalanceProtocol::Cooperative, RebalanceProtocol::Eager];
    let (mut member, token) = joining(MemberConfig::new("g", vec![offered("mine", &both)]));
    let MemberResponse::Join(mut response) = joined_by("mine", 1, "m", &["m", "n"]) else {
        unreachable!()
    };
    response.members.get_mut("n").expect("a member").owned = partitions(&[("t", 0)]);
    let actions = member.step(reply(token, MemberResponse::Join(response)));
    let Some(Action::Compute { step, .. }) = actions.last() else {
        panic!("{actions:?}");
    };
    let actions = member.step(computed(*step, &[("m", &[("t", 0)]), ("n", &[])], 1));
    assert!(matches!(error(&actions), Some(MemberError::Assignor { .. })));
}

#[test]
fn a_join_that_was_not_sent_is_made_anew_with_what_is_subscribed_to_now() {
    let (mut member, token) = joining(config());
    assert!(member.step(subscribe(&["t", "u"])).is_empty());
    let (newer, join) = sent_join(&member.step(Event::JoinAnew { token }));
    let topics: Vec<&str> = join.protocols[0].1.topics.iter().map(|it| &**it).collect();
    assert_eq!(topics, ["t", "u"]);
    member.step(reply(newer, joined(1, "m", &["m"])));
}

// Kafka: AbstractCoordinator.requestRejoin (KIP-568), JoinGroupRequest.maybeTruncateReason (KIP-800)
#[test]
fn a_member_that_is_to_join_again_does_and_says_why() {
    let reason: String = core::iter::repeat_n('é', 300).collect();
    for (config, gives_up) in [(config(), true), (cooperative(), false)] {
        let mut member = stable(config, &[("t", 0)]);
        let mut actions = member.step(Event::Enforced {
            reason: reason.as_str().into(),
        });
        let enforced = Cause::Enforced {
            reason: reason.as_str().into(),
        };
        assert_eq!(cause(&actions), Some(enforced));
        if gives_up {
            let (_, step, _) = called(&actions);
            actions = member.step(Event::Revoked { step });
        }
        let (_, join) = sent_join(&actions);
        assert_eq!((&*join.member_id, &*join.reason), ("m", &reason[..2 * 255]));
    }
}

#[test]
fn a_member_that_is_to_join_again_while_it_joins_does_so_once() {
    let enforced = || Event::Enforced {
        reason: "because".into(),
    };
    let (mut member, token) = joining(config());
    assert_eq!(member.step(enforced()), []);
    let (token, _) = sent_sync(&member.step(reply(token, joined(1, "other", &[]))));
    assert_eq!(member.step(enforced()), []);
    let (_, step, _) = called(&member.step(reply(token, synced(&[("t", 0)]))));
    let actions = member.step(Event::Assigned { step });
    assert!(member.machine().is_stable(), "{actions:?}");
}

#[test]
fn a_member_that_is_to_join_again_while_its_listener_takes_the_assignment_does_so_after_it() {
    let (mut member, step) = assigning(cooperative(), &[("t", 0)]);
    let enforced = Event::Enforced {
        reason: "because".into(),
    };
    assert_eq!(member.step(enforced), []);
    let (_, join) = sent_join(&member.step(Event::Assigned { step }));
    assert_eq!(&*join.reason, "because");
}
