//! The journal of rebalances as a topic.

use super::*;

const REBALANCES: &str = "__kohort_rebalances";

#[test]
fn each_rebalance_that_ended_is_a_record_of_an_internal_topic_under_the_groups_name() {
    let mut bench = prompt();
    let (member_id, generation_id) = stable(&mut bench);
    let leave = LeaveGroupRequest {
        group_id: GROUP.into(),
        members: vec![MemberIdentity {
            member_id: member_id.clone(),
            reason: Some("done".into()),
            ..Default::default()
        }],
        ..Default::default()
    };
    bench.ask(5, leave);
    let records = read(&mut bench, REBALANCES, 0);
    let texts: Vec<_> = records
        .iter()
        .map(|(key, value)| {
            assert_eq!(&key[..], GROUP.as_bytes());
            core::str::from_utf8(value.as_ref().expect("a value")).expect("JSON")
        })
        .collect();
    let joined = alloc::format!(r#""cause":{{"name":"member_joined","members":[{{"member":"{member_id}""#);
    assert!(texts[0].contains(&joined), "{}", texts[0]);
    assert!(texts[0].contains(r#""generation_before":0,"generation":1,"assignor":"range""#));
    assert!(
        texts[1].contains(r#""cause":{"name":"members_left""#),
        "{}",
        texts[1]
    );
    assert!(texts[1].contains(r#""reason":"done""#) && texts[1].contains(r#""outcome":"empty""#));
    assert_eq!((texts.len(), generation_id), (2, 1));
    let metadata = bench.ask(
        12,
        MetadataRequest {
            topics: None,
            ..Default::default()
        },
    );
    let topic = metadata
        .topics
        .iter()
        .find(|topic| topic.name.as_deref() == Some(REBALANCES));
    assert!(topic.is_some_and(|topic| topic.is_internal));
    bench.assert_replays();
}

#[test]
fn the_node_tells_the_same_and_what_is_under_way() {
    let mut bench = prompt();
    stable(&mut bench);
    let first = bench.ask(9, join_request(""));
    let conn = bench.connect();
    bench.send(conn, 9, join_request(&first.member_id));
    bench.advance(700);
    let now = bench.harness.now();
    let told = bench.harness.machine().rebalances(now, GROUP);
    let [ended, open] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(
        (ended.outcome, ended.generation),
        (RebalanceOutcome::Stable, Some(1))
    );
    assert_eq!((open.outcome, open.generation), (RebalanceOutcome::Open, None));
    assert_eq!(open.cause.name(), "member_joined");
    assert_eq!(bench.harness.machine().rebalances(now, "another"), []);
}

#[test]
fn without_its_setting_there_is_no_topic() {
    let mut bench = Bench::with(&[
        ("group.initial.rebalance.delay.ms", "0"),
        ("kohort.rebalances.topic.enable", "false"),
    ]);
    find(&mut bench);
    stable(&mut bench);
    let machine = bench.harness.machine();
    assert_eq!(machine.topic_id(REBALANCES), None);
    assert_eq!(machine.rebalances(bench.harness.now(), GROUP).len(), 1);
}
