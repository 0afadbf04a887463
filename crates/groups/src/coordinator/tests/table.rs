//! Every state with every event, as one table: what a member of the group is answered, and the state after.

use core::fmt::Write;

use super::*;

/// A group of two (leader first) in `state`; the third is where a join that waits may be.
fn in_state(state: &str) -> (Kit, Vec<Arc<str>>, i32) {
    let mut kit = Kit::new();
    let (ids, generation) = match state {
        "Stable" => kit.stable(2),
        "PreparingRebalance" => {
            let (ids, generation) = kit.stable(2);
            kit.join(rejoin(&ids[0]));
            (ids, generation)
        }
        "CompletingRebalance" => {
            let (mut ids, generation) = kit.joined(2);
            let leader = kit.leader();
            ids.sort_by_key(|id| *id != leader);
            (ids, generation)
        }
        "Empty" => {
            let (ids, generation) = kit.stable(2);
            kit.leave(&ids[0]);
            kit.leave(&ids[1]);
            (ids, generation + 1)
        }
        _ => (vec!["leader".into(), "follower".into()], 1),
    };
    assert_eq!(kit.state(), state);
    (kit, ids, generation)
}

fn answer(kit: &mut Kit, token: Token) -> String {
    let Some(response) = kit.replies.remove(&token) else {
        return String::from("waits");
    };
    let told = |result: Result<(), Refusal>| match result {
        Ok(()) => String::from("ok"),
        Err(refusal) => std::format!("{refusal:?}"),
    };
    match response {
        GroupResponse::Join(join) => told(join.outcome.map(drop)),
        GroupResponse::Sync(result) => told(result.map(drop)),
        GroupResponse::Heartbeat(result) => told(result),
        GroupResponse::Leave(result) => told(result.and_then(|left| left[0].outcome)),
        GroupResponse::CommitOffsets(topics) => told(topics[0].partitions[0].outcome),
        GroupResponse::Delete(groups) => told(groups[0].outcome),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_state_answers_each_event_as_the_table_says() {
    type Ask = fn(&mut Kit, &[Arc<str>], i32) -> Option<Token>;
    let events: [(&str, Ask); 11] = [
        ("new member joins", |kit, _, _| Some(kit.join(anonymous_join()))),
        ("new member asks for an id", |kit, _, _| {
            Some(kit.join(modern_join()))
        }),
        ("leader rejoins", |kit, ids, _| Some(kit.join(rejoin(&ids[0])))),
        ("follower rejoins", |kit, ids, _| Some(kit.join(rejoin(&ids[1])))),
        ("leader syncs", |kit, ids, generation| {
            Some(kit.sync(&ids[0], generation, &[]))
        }),
        ("follower syncs", |kit, ids, generation| {
            Some(kit.sync(&ids[1], generation, &[]))
        }),
        ("follower heartbeats", |kit, ids, generation| {
            Some(kit.send(GroupRequest::Heartbeat(heartbeat(&ids[1], generation))))
        }),
        ("follower commits", |kit, ids, generation| {
            Some(kit.send(GroupRequest::CommitOffsets(commit(&ids[1], generation, 1))))
        }),
        ("stranger commits", |kit, _, _| {
            Some(kit.send(GroupRequest::CommitOffsets(commit("", -1, 1))))
        }),
        ("follower leaves", |kit, ids, _| {
            let (group_id, members) = (GROUP.into(), vec![leaving(&ids[1], None)]);
            Some(kit.send(GroupRequest::Leave(LeaveRequest { group_id, members })))
        }),
        ("group is deleted", |kit, _, _| {
            let groups = vec![GROUP.into()];
            Some(kit.send(GroupRequest::Delete(DeleteRequest { groups })))
        }),
    ];
    let mut table = String::new();
    for state in [
        "Dead",
        "Empty",
        "PreparingRebalance",
        "CompletingRebalance",
        "Stable",
    ] {
        writeln!(table, "{state}").expect("a string takes all");
        for (name, ask) in events {
            let (mut kit, ids, generation) = in_state(state);
            let token = ask(&mut kit, &ids, generation).expect("asked");
            let answer = answer(&mut kit, token);
            let after = kit.state();
            writeln!(table, "  {name:<26}{answer:<20}{after}").expect("a string takes all");
        }
        let (mut kit, _, _) = in_state(state);
        kit.advance(10_000);
        let (silence, after) = ("sessions end", kit.state());
        writeln!(table, "  {silence:<46}{after}").expect("a string takes all");
    }
    let expected = include_str!("table.txt");
    assert_eq!(table, expected, "\n{table}");
}
