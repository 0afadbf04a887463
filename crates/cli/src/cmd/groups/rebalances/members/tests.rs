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
    line(member, began_ms, generation, json!({"cause": cause, "got": got}))
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

#[test]
fn a_line_that_is_cut_or_of_a_newer_form_is_none() {
    assert!(line::parse(br#"{"version":1,"grou"#).is_none());
    assert!(line::parse(br#"{"version":2,"group":"g"}"#).is_none());
    assert!(line::parse(br#"{}"#).is_none());
}
