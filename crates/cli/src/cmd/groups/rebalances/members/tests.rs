//! Lines of several members as rebalances.

use serde_json::{Value, json};

use super::super::ByTopic;
use super::*;

/// A line of the member with this id, of a rebalance that began then and came to this generation.
fn line(member: &str, began_ms: i64, generation: i32, more: Value) -> Line {
    let mut line = json!({
        "version": 1,
        "group": "g",
        "member": member,
        "client_id": "app",
        "number": 1,
        "began_ms": began_ms,
        "took_ms": 100.0,
        "cause": {"name": "rebalance_in_progress", "reason": "told"},
        "generation_before": generation - 1,
        "generation": generation,
        "leader": "a",
        "assignor": "range",
        "outcome": "assigned",
        "giving_up_ms": 10.0,
        "joining_ms": 20.0,
        "syncing_ms": 30.0,
        "taking_ms": 40.0,
        "a_field_of_tomorrow": true,
    });
    let (fields, more) = (line.as_object_mut().unwrap(), more.as_object().unwrap());
    fields.extend(more.clone());
    line::parse(line.to_string().as_bytes()).unwrap()
}

fn first_join(member: &str, began_ms: i64, generation: i32, got: Value) -> Line {
    let cause = json!({"name": "first_join", "reason": "subscribed"});
    line(
        member,
        began_ms,
        generation,
        json!({"cause": cause, "generation_before": null, "got": got}),
    )
}

fn leaving(member: &str, began_ms: i64, generation: i32) -> Line {
    let more = json!({
        "cause": {"name": "leaving", "reason": "bye"}, "outcome": "left", "leader": null, "assignor": null,
        "took_ms": 1.0, "giving_up_ms": 1.0, "joining_ms": null, "syncing_ms": null, "taking_ms": null,
        "gave_up": {"t": [1]}, "stopped": [["t", 1, 0.0]],
    });
    line(member, began_ms, generation, more)
}

#[test]
fn lines_of_one_generation_are_one_rebalance_whose_phases_end_with_the_last_member() {
    let told = rebalances(vec![
        line("a", 1050, 2, json!({})),
        first_join("b", 1000, 2, json!({"t": [1]})),
        first_join("a", 0, 1, json!({"t": [0, 1]})),
    ]);
    let generations: Vec<_> = told
        .iter()
        .map(|told| (told.generation_before, told.generation))
        .collect();
    assert_eq!(generations, [(None, Some(1)), (Some(1), Some(2))]);
    let shared = &told[1];
    assert_eq!(
        (shared.began_ms, shared.outcome.as_deref()),
        (Some(1000), Some("assigned"))
    );
    // b joins after 10 ms, a after 60; a's join is answered after 80, its sync after 110, and it has taken all after 150.
    let phases = [shared.prepare_ms, shared.join_ms, shared.sync_ms, shared.take_ms];
    assert_eq!(phases, [Some(10.0), Some(70.0), Some(30.0), Some(40.0)]);
    let fates: Vec<_> = shared
        .members
        .iter()
        .map(|part| part.fate.as_deref().unwrap())
        .collect();
    assert_eq!(fates, ["joined", "stayed"]);
}

#[test]
fn that_members_were_told_of_a_rebalance_comes_after_what_made_it() {
    let told = rebalances(vec![
        line("a", 900, 2, json!({})),
        line("c", 950, 2, json!({})),
        first_join("b", 1000, 2, json!({})),
    ]);
    let cause = told[0].cause.as_ref().unwrap();
    assert_eq!(
        (cause.name.as_str(), cause.members[0].member.as_str()),
        ("first_join", "b")
    );
    let later: Vec<_> = told[0]
        .later_causes
        .iter()
        .map(|it| (it.name.as_str(), it.members.len()))
        .collect();
    assert_eq!(later, [("rebalance_in_progress", 2)]);
}

#[test]
fn a_group_that_began_anew_is_not_taken_for_the_one_before() {
    let told = rebalances(vec![
        first_join("a", 0, 1, json!({})),
        line("b", 9_000, 1, json!({"leader": "b"})),
    ]);
    assert_eq!(told.len(), 2);
}

fn parts(told: &[Told]) -> Vec<usize> {
    told.iter().map(|told| told.members.len()).collect()
}

// Its generation stays, and so does its leader, hours later.
#[test]
fn a_static_member_that_returns_within_its_session_is_told_alone() {
    let of_till = |member, began_ms| {
        let cause = json!({"name": "first_join", "reason": "subscribed"});
        let more = json!({"cause": cause, "instance_id": "till-1", "generation_before": null});
        line(member, began_ms, 2, more)
    };
    let told = rebalances(vec![
        line("a", 1000, 2, json!({})),
        of_till("till-1-old", 1000),
        of_till("till-1-new", 1400),
        of_till("till-1-newer", 9_000_000),
    ]);
    assert_eq!(parts(&told), [2, 1, 1]);
    assert_eq!(told[2].began_ms, Some(9_000_000));
}

// Kafka answers with the generation that it is in when a member joins that follows and offers what it offered.
#[test]
fn a_member_that_joins_a_stable_group_again_is_told_alone() {
    let told = rebalances(vec![
        line("a", 1000, 2, json!({})),
        line("b", 1000, 2, json!({})),
        line("b", 5000, 2, json!({})),
    ]);
    assert_eq!(parts(&told), [2, 1]);
    // The same when the first line of it is missing.
    let told = rebalances(vec![
        line("a", 1000, 2, json!({})),
        line("b", 11_101, 2, json!({})),
        line("c", 11_150, 2, json!({})),
    ]);
    assert_eq!(parts(&told), [1, 2]);
}

#[test]
fn a_member_whose_clock_is_seconds_behind_is_told_with_the_others() {
    let told = rebalances(vec![
        line("a", 1000, 2, json!({})),
        line("b", 11_000, 2, json!({})),
    ]);
    assert_eq!(parts(&told), [2]);
}

#[test]
fn partitions_that_lines_leave_out_are_counted_together() {
    let told = rebalances(vec![
        line("a", 1000, 2, json!({"partitions_unlisted": 3})),
        line("b", 1000, 2, json!({"partitions_unlisted": 4})),
    ]);
    assert_eq!(told[0].partitions_unlisted, 7);
}

#[test]
fn who_leaves_is_told_with_the_generation_that_it_left() {
    let told = rebalances(vec![leaving("b", 2000, 2)]);
    let left = &told[0];
    assert_eq!((left.generation_before, left.generation), (Some(2), None));
    assert_eq!(left.outcome.as_deref(), Some("left"));
    assert_eq!((left.prepare_ms, left.members[0].giving_up_ms), (None, Some(1.0)));
    assert_eq!(
        left.members[0].gave_up,
        ByTopic::from([("t".to_owned(), vec![1])])
    );
}

#[test]
fn who_failed_is_told_with_the_generation_that_it_was_in() {
    let mut failed = leaving("b", 2000, 2);
    failed.outcome = "failed".to_owned();
    failed.cause.name = "failed".to_owned();
    let told = rebalances(vec![failed]);
    assert_eq!((told[0].generation_before, told[0].generation), (Some(2), None));
    assert_eq!(told[0].members[0].fate.as_deref(), Some("failed"));
}

#[test]
fn who_ends_and_stays_a_member_is_not_taken_for_one_that_was_assigned_again() {
    let mut stayed = leaving("b", 2000, 2);
    stayed.outcome = "stayed".to_owned();
    let told = rebalances(vec![stayed]);
    assert_eq!(told[0].outcome.as_deref(), Some("stayed"));
    assert_eq!(told[0].members[0].fate.as_deref(), Some("still_member"));
}

fn pauses(told: &Told) -> Vec<(&str, i32, f64)> {
    told.pauses
        .iter()
        .map(|(topic, number, ms)| (topic.as_str(), *number, *ms))
        .collect()
}

#[test]
fn a_partition_that_goes_to_another_member_pauses_from_its_end_there_to_its_beginning_here() {
    let told = rebalances(vec![
        // All of it stopped at 1000; partition 0 came back at 1100.
        line(
            "a",
            1000,
            2,
            json!({
                "gave_up": {"t": [0, 1]}, "stopped": [["t", 0, 0.0], ["t", 1, 0.0]],
                "got": {"t": [0]}, "pauses": [["t", 0, 100.0]],
            }),
        ),
        first_join("b", 1030, 2, json!({"t": [1]})),
        // It leaves at 2000, and who gets its share reads it from 2500 on.
        leaving("b", 2000, 2),
        line("a", 2400, 3, json!({"kept": 1, "got": {"t": [1]}})),
    ]);
    let all: Vec<_> = told.iter().map(pauses).collect();
    assert_eq!(
        all,
        [
            vec![("t", 0, 100.0), ("t", 1, 130.0)],
            vec![],
            vec![("t", 1, 500.0)]
        ]
    );
}

#[test]
fn a_cooperative_members_share_pauses_until_the_generation_after() {
    let told = rebalances(vec![
        line(
            "a",
            1000,
            2,
            json!({"gave_up": {"t": [1]}, "stopped": [["t", 1, 60.0]], "kept": 1}),
        ),
        first_join("b", 1000, 2, json!({})),
        line("b", 1150, 3, json!({"got": {"t": [1]}})),
    ]);
    assert_eq!(pauses(&told[1]), [("t", 1, 190.0)]);
}

#[test]
fn nothing_is_said_of_a_partition_that_was_with_somebody_unknown_in_between() {
    let told = rebalances(vec![
        leaving("b", 1000, 2),
        line("a", 9000, 5, json!({"got": {"t": [1]}})),
    ]);
    assert_eq!(pauses(&told[1]), []);
}

/// What b got of a partition that a gave up so many ms after 1000, on the way from generation 1 to 2.
fn pauses_of_what_stopped(after: f64, generation: i32, more: Value) -> Vec<(String, i32, f64)> {
    let mut gave_up = json!({"gave_up": {"t": [1]}, "stopped": [["t", 1, after]]});
    let (fields, more) = (gave_up.as_object_mut().unwrap(), more.as_object().unwrap());
    fields.extend(more.clone());
    let told = rebalances(vec![
        line("a", 1000, 2, gave_up),
        // In another rebalance than a's, be it of the same generation.
        line("b", 9000, generation, json!({"leader": "b", "got": {"t": [1]}})),
    ]);
    told[1].pauses.clone()
}

fn at_1(ms: f64) -> Vec<(String, i32, f64)> {
    vec![("t".to_owned(), 1, ms)]
}

// An eager member's share is read in the generation that it joins; who reads it in the next one had it from somebody else.
#[test]
fn what_is_given_up_before_joining_is_read_again_in_that_generation() {
    assert_eq!(pauses_of_what_stopped(5.0, 2, json!({})), at_1(8095.0));
    assert_eq!(pauses_of_what_stopped(5.0, 3, json!({})), []);
}

#[test]
fn what_is_given_up_after_syncing_is_read_again_in_the_generation_after() {
    assert_eq!(pauses_of_what_stopped(60.0, 2, json!({})), []);
    assert_eq!(pauses_of_what_stopped(60.0, 3, json!({})), at_1(8040.0));
    assert_eq!(pauses_of_what_stopped(60.0, 4, json!({})), []);
}

#[test]
fn what_is_lost_is_read_again_in_the_generation_after_the_one_that_was_lost() {
    let lost = |generation, before: Option<i32>| {
        let more = json!({"lost": {"t": [1]}, "generation": 8, "generation_before": before});
        pauses_of_what_stopped(0.0, generation, more)
    };
    assert_eq!(lost(6, Some(5)), at_1(8100.0));
    for (generation, before) in [(8, Some(5)), (9, Some(5)), (6, None)] {
        assert_eq!(lost(generation, before), []);
    }
}

#[test]
fn a_beginning_that_seems_to_come_just_before_the_end_is_no_pause_and_one_long_before_is_none_of_it() {
    let at = |began_ms| {
        let told = rebalances(vec![
            leaving("b", 2000, 2),
            line("a", began_ms, 3, json!({"got": {"t": [1]}})),
        ]);
        let all = told.iter().flat_map(|told| told.pauses.clone());
        all.collect::<Vec<_>>()
    };
    // It takes 100 ms.
    assert_eq!(at(1896), at_1(0.0));
    assert_eq!(at(1800), []);
}

#[test]
fn what_two_clocks_tell_is_told_in_whole_milliseconds() {
    let told = rebalances(vec![
        leaving("b", 2000, 2),
        line("a", 2400, 3, json!({"began_ms": 2400.75, "got": {"t": [1]}})),
    ]);
    assert_eq!(pauses(&told[1]), [("t", 1, 501.0)]);
}

#[test]
fn a_line_that_is_cut_or_of_a_newer_form_is_none() {
    assert!(line::parse(br#"{"version":1,"grou"#).is_none());
    assert!(line::parse(br#"{"version":2,"group":"g"}"#).is_none());
    assert!(line::parse(br#"{}"#).is_none());
}
