//! Cooperative rebalances (KIP-429): what stays goes on being read, what goes is handed over in a second round; and the way of a
//! group from eager to cooperative.

use std::collections::BTreeMap;

use kohort::TopicPartition;
use kohort::consumer::Cause;
use kohort_conformance::unique;

use crate::broker_groups::describe;
use crate::consumer_setup::{
    A_MOMENT, Diary, Reader, SOON, built, committed, identity, new_topic, numbers, of_group, offsets,
    producer, read, settle, soon, write, write_by,
};

const COOPERATIVE: &str = "cooperative-sticky";

/// A member that offers these assignors and writes down what its listener hears.
fn member(group: &str, topic: &str, name: &'static str, strategy: &[&str], diary: &Diary) -> Reader {
    let mut member = built(
        of_group(group)
            .client_id(name)
            .partition_assignment_strategy(strategy.to_vec()),
    );
    member
        .subscribe_with([topic], diary.listener(name))
        .expect("a topic");
    member
}

fn of<'a>(lines: &'a [String], name: &str) -> Vec<&'a str> {
    let own = lines.iter().filter(|line| line.starts_with(name));
    own.map(String::as_str).collect()
}

// Kafka: PlaintextConsumerAssignorsTest.testRebalanceAndRejoin
#[tokio::test]
async fn a_member_that_joins_a_cooperative_group_costs_two_generations_and_the_other_keeps_its_id() {
    let (topic, group, diary) = (new_topic(3).await, unique("group"), Diary::default());
    let coop = |name| member(&group, &topic, name, &[COOPERATIVE], &diary);
    let mut members = vec![coop("a")];
    settle(&mut members, |shares| shares[0].len() == 3).await;
    let (generation, id) = identity(&mut members[0]).await;
    members.push(coop("b"));
    settle(&mut members, |shares| {
        shares[0].len() == 2 && shares[1].len() == 1
    })
    .await;
    assert_eq!(identity(&mut members[0]).await, (generation + 2, id));
}

// Kafka: ConsumerCoordinator.onJoinPrepare and onJoinComplete; PlaintextConsumerCallbackTest.
// testOnPartitionsAssignedCalledWithNewPartitionsOnlyForClassicCooperative
#[tokio::test]
async fn in_a_cooperative_rebalance_only_what_moves_is_revoked_and_only_what_is_new_is_assigned() {
    let (topic, group, diary) = (new_topic(4).await, unique("group"), Diary::default());
    let coop = |name| member(&group, &topic, name, &[COOPERATIVE], &diary);
    let mut members = vec![coop("a")];
    settle(&mut members, |shares| shares[0].len() == 4).await;
    members.push(coop("b"));
    settle(&mut members, |shares| {
        shares[0].len() == 2 && shares[1].len() == 2
    })
    .await;
    let kept = numbers(&members[0]);
    let moved = numbers(&members[1]);
    members.pop().expect("two").close(SOON).await.expect("it leaves");
    settle(&mut members, |shares| shares[0].len() == 4).await;
    members.pop().expect("one").close(SOON).await.expect("it leaves");
    let lines = diary.lines();
    assert_eq!(kept.len() + moved.len(), 4);
    assert_eq!(
        of(&lines, "a"),
        [
            "a assigned [0, 1, 2, 3]".to_owned(),
            format!("a revoked {moved:?}"),
            "a assigned []".to_owned(),
            "a assigned []".to_owned(),
            format!("a assigned {moved:?}"),
            "a revoked [0, 1, 2, 3]".to_owned(),
        ]
    );
    assert_eq!(
        of(&lines, "b"),
        [
            "b assigned []".to_owned(),
            format!("b assigned {moved:?}"),
            format!("b revoked {moved:?}"),
        ]
    );
    let at = |line: String| lines.iter().position(|each| *each == line);
    assert!(
        at(format!("a revoked {moved:?}")) < at(format!("b assigned {moved:?}")),
        "{lines:?}"
    );
}

// Kafka: SubscriptionState.assignFromSubscribed keeps the positions of what stays
#[tokio::test]
async fn what_stays_goes_on_at_its_position_and_what_is_new_begins_at_the_commit() {
    let (topic, group, diary) = (new_topic(2).await, unique("group"), Diary::default());
    for partition in 0..2 {
        write(&topic, partition, 0..10).await;
    }
    let mut members = vec![member(&group, &topic, "a", &[COOPERATIVE], &diary)];
    assert_eq!(read(&mut members[0], 20).await.len(), 20);
    let at = |partition: i32, offset: i64| {
        let offset = kohort::OffsetAndMetadata::new(offset);
        (TopicPartition::new(&*topic, partition), offset)
    };
    members[0]
        .commit_sync_offsets([at(0, 3), at(1, 4)])
        .await
        .expect("a commit");
    members.push(member(&group, &topic, "b", &[COOPERATIVE], &diary));
    let again = settle(&mut members, |shares| {
        shares[0].len() == 1 && shares[1].len() == 1
    })
    .await;
    let moved = numbers(&members[1])[0];
    let begins = if moved == 0 { 3 } else { 4 };
    let mut new = again;
    new.extend(read(&mut members[1], 10 - begins as usize - new.len()).await);
    assert!(
        new.iter().all(|record| record.partition() == moved),
        "what stays comes once"
    );
    assert_eq!(offsets(&new), (begins..10).collect::<Vec<_>>());
    let kept = numbers(&members[0])[0];
    write(&topic, kept, 10..12).await;
    assert_eq!(offsets(&read(&mut members[0], 2).await), [10, 11]);
    assert_eq!(
        committed(&group, &topic, kept).await,
        Some(if kept == 0 { 3 } else { 4 })
    );
}

/// Reads and commits; how often each record came.
async fn process(member: &mut Reader, seen: &mut BTreeMap<(i32, i64), usize>) {
    let mut is_empty = true;
    for record in member.poll(A_MOMENT).await.expect("no error") {
        *seen.entry((record.partition(), record.offset)).or_default() += 1;
        is_empty = false;
    }
    // What is revoked in the next poll is committed by then; what stays may be in the middle of a rebalance.
    if !is_empty {
        match member.commit_sync().await {
            Err(error) if !error.is_retriable() => panic!("{error}"),
            _ => {}
        }
    }
}

// KIP-429
#[tokio::test]
async fn no_record_is_missed_and_each_comes_once_while_members_come_and_go() {
    let (topic, group) = (new_topic(6).await, unique("group"));
    let new = || {
        let mut member = built(
            of_group(&group)
                .enable_auto_commit(true)
                .partition_assignment_strategy([COOPERATIVE]),
        );
        member.subscribe([&*topic]).expect("a topic");
        member
    };
    let writer = producer().build().expect("valid settings");
    let mut seen = BTreeMap::new();
    let mut members: Vec<Reader> = vec![new()];
    let mut written = 0;
    for size in [1, 2, 3, 2, 3, 2, 1] {
        while members.len() > size {
            members.remove(0).close(SOON).await.expect("it leaves");
        }
        while members.len() < size {
            members.push(new());
        }
        let phase = async {
            loop {
                for partition in 0..6 {
                    write_by(&writer, &topic, partition, written..written + 5).await;
                }
                written += 5;
                for member in &mut members {
                    process(member, &mut seen).await;
                }
                if members.iter().all(|member| numbers(member).len() == 6 / size) {
                    return;
                }
            }
        };
        soon("the phase", phase).await;
        // A member that closes in the middle of a rebalance cannot commit.
        for member in &mut members {
            while member.commit_sync().await.is_err() {
                process(member, &mut seen).await;
            }
        }
    }
    let rest = async {
        while seen.len() < 6 * usize::try_from(written).expect("small") {
            process(&mut members[0], &mut seen).await;
        }
    };
    if tokio::time::timeout(SOON, rest).await.is_err() {
        let is_missing = |at: &(i32, i64)| !seen.contains_key(at);
        let all = (0..6).flat_map(|partition| (0..written).map(move |offset| (partition, offset)));
        let missing: Vec<_> = all.filter(is_missing).collect();
        panic!(
            "not within {SOON:?}: {missing:?} of {written}; {:?}; {:?}",
            members[0],
            members[0].rebalance_journal().ended()
        );
    }
    let doubled: Vec<_> = seen.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty(), "read twice: {doubled:?}");
}

/// Which assignor the coordinator chose.
async fn assignor(group: &str) -> String {
    describe(group, 5).await.protocol_data
}

/// One bounce: each member in turn leaves and comes back with this list.
async fn bounce(members: &mut Vec<Reader>, group: &str, topic: &str, strategy: &[&str], diary: &Diary) {
    for name in ["x", "y"] {
        members.remove(0).close(SOON).await.expect("it leaves");
        members.push(member(group, topic, name, strategy, diary));
        settle(members, |shares| shares.iter().all(|share| share.len() == 2)).await;
    }
}

// KIP-429, "Upgrade": from Kafka's default list one bounce is enough
#[tokio::test]
async fn from_the_default_list_one_rolling_bounce_makes_a_group_cooperative() {
    let (topic, group, diary) = (new_topic(4).await, unique("group"), Diary::default());
    let both = ["range", COOPERATIVE];
    let mut members = vec![
        member(&group, &topic, "a", &both, &diary),
        member(&group, &topic, "b", &both, &diary),
    ];
    settle(&mut members, |shares| shares.iter().all(|share| share.len() == 2)).await;
    assert_eq!(assignor(&group).await, "range");
    bounce(&mut members, &group, &topic, &[COOPERATIVE], &diary).await;
    assert_eq!(assignor(&group).await, COOPERATIVE);
    assert!(
        diary.lines().iter().all(|line| !line.contains("lost")),
        "{:?}",
        diary.lines()
    );
}

// KIP-429, "Upgrade": from an eager assignor alone it takes two
#[tokio::test]
async fn from_range_alone_two_rolling_bounces_make_a_group_cooperative() {
    let (topic, group, diary) = (new_topic(4).await, unique("group"), Diary::default());
    let mut members = vec![
        member(&group, &topic, "a", &["range"], &diary),
        member(&group, &topic, "b", &["range"], &diary),
    ];
    settle(&mut members, |shares| shares.iter().all(|share| share.len() == 2)).await;
    bounce(&mut members, &group, &topic, &[COOPERATIVE, "range"], &diary).await;
    bounce(&mut members, &group, &topic, &[COOPERATIVE], &diary).await;
    assert_eq!(assignor(&group).await, COOPERATIVE);
    assert!(
        diary.lines().iter().all(|line| !line.contains("lost")),
        "{:?}",
        diary.lines()
    );
}

// Kafka: ConsumerCoordinator.onJoinPrepare: cooperative members give up what they do not subscribe to any more
#[tokio::test]
async fn a_topic_that_is_not_subscribed_any_more_is_revoked_and_the_other_one_stays() {
    let (one, two) = (new_topic(1).await, new_topic(1).await);
    let (group, diary) = (unique("group"), Diary::default());
    write(&one, 0, 0..3).await;
    let mut members = [built(
        of_group(&group).partition_assignment_strategy([COOPERATIVE]),
    )];
    let listening = |members: &mut [Reader; 1], topics: &[&str]| {
        members[0]
            .subscribe_with(topics.iter().copied(), diary.listener("a"))
            .expect("topics");
    };
    listening(&mut members, &[&one, &two]);
    settle(&mut members, |shares| shares[0].len() == 2).await;
    listening(&mut members, &[&one]);
    settle(&mut members, |shares| shares[0].len() == 1).await;
    assert_eq!(
        diary.lines()[..2],
        ["a assigned [0, 0]".to_owned(), "a revoked [0]".to_owned()]
    );
    let of_one = TopicPartition::new(&*one, 0);
    assert_eq!(members[0].assignment(), [of_one]);
}

/// Polls until the journal has an entry with this cause.
async fn until_caused(reader: &mut Reader, is_it: impl Fn(&Cause) -> bool) {
    let polling = async {
        while !reader
            .rebalance_journal()
            .ended()
            .iter()
            .any(|each| is_it(&each.cause))
        {
            reader.poll(A_MOMENT).await.expect("no error");
        }
    };
    soon("the rebalance", polling).await;
}

// KIP-429: the journal of a member that gave partitions up
#[tokio::test]
async fn the_journal_of_one_that_gave_up_partitions_has_both_rounds() {
    let (topic, group, diary) = (new_topic(2).await, unique("group"), Diary::default());
    let mut members = vec![member(&group, &topic, "a", &[COOPERATIVE], &diary)];
    settle(&mut members, |shares| shares[0].len() == 2).await;
    members.push(member(&group, &topic, "b", &[COOPERATIVE], &diary));
    settle(&mut members, |shares| {
        shares[0].len() == 1 && shares[1].len() == 1
    })
    .await;
    until_caused(&mut members[0], |cause| *cause == Cause::GaveUpPartitions).await;
    let ended = members[0].rebalance_journal().ended();
    let rounds: Vec<_> = ended
        .iter()
        .map(|each| (each.gave_up.len(), each.kept, each.got.len()))
        .collect();
    assert_eq!(rounds, [(0, 0, 2), (1, 1, 0), (0, 1, 0)]);
}
