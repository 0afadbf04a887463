//! The form of a record, as readers rely on it.

use alloc::string::String;
use alloc::vec;
use core::time::Duration;

use kohort_groups::TopicPartition;
use kohort_groups::coordinator::{
    MemberFate, Participant, Pause, Rebalance, RebalanceCause, RebalanceMember, RebalanceOutcome,
};

use super::line::Line;

fn who(member_id: &str) -> Participant {
    Participant {
        member_id: member_id.into(),
        group_instance_id: None,
        client_id: "app".into(),
        client_host: "/127.0.0.1".into(),
    }
}

fn rebalance() -> Rebalance {
    let at = |partition| TopicPartition::new("orders", partition);
    Rebalance {
        number: 2,
        began_ms: 1_700_000_000_000,
        cause: RebalanceCause::SessionExpired { member: who("b") },
        later_causes: vec![RebalanceCause::GroupTooLarge { members: 3 }],
        later_causes_unlisted: 0,
        generation_before: 1,
        generation: Some(2),
        protocol: Some("range".into()),
        leader: Some("a".into()),
        prepare: Duration::from_millis(1500),
        join: Some(Duration::from_micros(250)),
        sync: Some(Duration::from_nanos(1_999)),
        outcome: RebalanceOutcome::Stable,
        members: vec![RebalanceMember {
            member: who("a"),
            fate: MemberFate::Stayed,
            joined: Some(Duration::from_millis(1500)),
            synced: None,
            kept: 1,
            gave_up: vec![],
            got: vec![at(1), at(2)],
        }],
        is_ownership_known: true,
        pauses: vec![Pause {
            partition: at(1),
            duration: Duration::from_millis(11_500),
        }],
        unowned: vec![at(3)],
        members_unlisted: 0,
        departed_unlisted: 0,
        unlisted: 0,
    }
}

fn json(line: &Line<'_>) -> String {
    serde_json::to_string(line).expect("it is written")
}

#[test]
fn a_record_tells_when_why_who_how_long_and_what_moved() {
    let expected = concat!(
        r#"{"version":1,"group":"billing","number":2,"began_ms":1700000000000,"#,
        r#""cause":{"name":"session_expired","members":[{"member":"b","instance_id":null,"client_id":"app","host":"127.0.0.1"}],"reason":null},"#,
        r#""later_causes":[{"name":"group_too_large","members":[],"reason":null,"size":3}],"later_causes_unlisted":0,"#,
        r#""generation_before":1,"generation":2,"assignor":"range","leader":"a","outcome":"stable","#,
        r#""prepare_ms":1500.0,"join_ms":0.25,"sync_ms":0.001,"#,
        r#""members":[{"member":"a","instance_id":null,"client_id":"app","host":"127.0.0.1","fate":"stayed","joined_ms":1500.0,"synced_ms":null,"kept":1,"gave_up":{},"got":{"orders":[1,2]}}],"#,
        r#""departed_unlisted":0,"ownership_known":true,"pauses":[["orders",1,11500.0]],"unowned":{"orders":[3]},"partitions_unlisted":0}"#,
    );
    assert_eq!(json(&Line::of("billing", &rebalance())), expected);
}

#[test]
fn a_record_that_would_be_too_long_counts_the_partitions_instead() {
    let rebalance = rebalance();
    let short = json(&Line::of("billing", &rebalance).without_partitions());
    assert!(short.contains(r#""gave_up":{},"got":{}"#), "{short}");
    assert!(
        short.ends_with(r#""pauses":[],"unowned":{},"partitions_unlisted":4}"#),
        "{short}"
    );
}
