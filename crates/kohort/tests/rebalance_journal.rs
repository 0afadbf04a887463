//! What a broker tells of the rebalances of consumers: a test can ask it why its group rebalanced, and what that cost.

use std::time::Duration;

use kohort::Consumer;
use kohort::transport::Transport;
use kohort_broker::{Broker, MemberFate, Rebalance, RebalanceMember, RebalanceOutcome};

fn member(broker: &Broker, client_id: &str) -> Consumer<String, String> {
    let mut member: Consumer<String, String> = Consumer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .group_id("billing")
        .set("client.id", client_id)
        .transport(Transport::new(broker.connector().into_fn()))
        .build()
        .expect("valid settings");
    member.subscribe(["orders"]).expect("a group and a topic");
    member
}

fn part<'a>(rebalance: &'a Rebalance, client_id: &str) -> &'a RebalanceMember {
    let mut members = rebalance.members.iter();
    let found = members.find(|part| &*part.member.client_id == client_id);
    found.expect("it took part")
}

#[tokio::test(start_paused = true)]
async fn a_broker_tells_why_a_group_of_consumers_rebalanced_and_what_moved() {
    let broker = Broker::builder()
        .topic("orders", 4)
        .start()
        .await
        .expect("it starts");
    let poll = Duration::from_millis(100);
    let mut first = member(&broker, "first");
    while first.assignment().len() != 4 {
        first.poll(poll).await.expect("no error");
    }
    let mut second = member(&broker, "second");
    while first.assignment().len() != 2 || second.assignment().len() != 2 {
        first.poll(poll).await.expect("no error");
        second.poll(poll).await.expect("no error");
    }
    second.close(Duration::from_secs(1)).await.expect("it leaves");
    while first.assignment().len() != 4 {
        first.poll(poll).await.expect("no error");
    }

    let told = broker.rebalances("billing").await.expect("it runs");
    assert!(
        told.iter()
            .all(|rebalance| rebalance.outcome == RebalanceOutcome::Stable)
    );
    let causes: Vec<_> = told.iter().map(|rebalance| rebalance.cause.name()).collect();
    assert_eq!(causes, ["member_joined", "member_joined", "members_left"]);
    let of = |rebalance: &Rebalance| rebalance.cause.members()[0].client_id.to_string();
    assert_eq!(
        (of(&told[0]), of(&told[1]), of(&told[2])),
        ("first".into(), "second".into(), "second".into())
    );

    assert_eq!(part(&told[0], "first").got.len(), 4);
    assert!(told[0].pauses.is_empty());
    assert_eq!(
        (
            part(&told[1], "first").gave_up.len(),
            part(&told[1], "second").got.len()
        ),
        (2, 2)
    );
    let left = part(&told[2], "second");
    assert_eq!((left.fate, left.gave_up.len()), (MemberFate::Left, 2));
    assert_eq!(
        (part(&told[2], "first").kept, part(&told[2], "first").got.len()),
        (2, 2)
    );
    // The first member hears of it in a heartbeat, every 3 s; until then nobody reads what the second had.
    for partition in &left.gave_up {
        let mut pauses = told[2].pauses.iter();
        let pause = pauses
            .find(|pause| pause.partition == *partition)
            .expect("it paused");
        assert!(pause.duration <= Duration::from_secs(4), "{pause:?}");
        assert!(pause.duration >= told[2].prepare, "{pause:?}");
    }
}
