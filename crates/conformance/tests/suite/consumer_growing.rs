//! What a live group reads becomes more and less: partitions are added to its topic, topics that match its pattern are created and
//! deleted, while records are written and read all the time. None is missed and none comes twice.

use std::collections::BTreeMap;

use kohort::consumer::ConsumerBuilder;
use kohort::{OffsetAndMetadata, TopicPartition};
use kohort_conformance::unique;

use crate::broker_topics;
use crate::consumer_setup::{
    A_MOMENT, Diary, Reader, SOON, built, delete_topic, new_topic, numbers, of_group, settle, soon, write,
};
use crate::setup::{create_topic, topic_ready, wire};

const STRATEGIES: [&str; 2] = ["range", "cooperative-sticky"];

/// Adds partitions to a topic until it has this many.
pub(crate) async fn grow(topic: &str, count: i32) {
    let mut wire = wire().await;
    let grown = wire.call(3, broker_topics::grow(topic, count)).await;
    assert_eq!(grown.results[0].error_code, 0);
    topic_ready(&mut wire, topic, count).await;
}

async fn create(topic: &str) {
    let mut wire = wire().await;
    let created = wire.call(5, create_topic(topic, 2)).await;
    assert_eq!(created.topics[0].error_code, 0);
    topic_ready(&mut wire, topic, 2).await;
}

/// A member's settings, with metadata that are soon old. What it could not commit in the middle of a cooperative rebalance it commits when
/// it gives the partition up.
fn looking_often(group: &str, strategy: &str) -> ConsumerBuilder<Option<String>, String> {
    of_group(group)
        .enable_auto_commit(true)
        .metadata_max_age_ms(300)
        .partition_assignment_strategy([strategy])
}

/// Two members that read and commit, what was written, and how often each record came.
struct Group {
    members: Vec<Reader>,
    /// Offset of the next record.
    written: BTreeMap<TopicPartition, i64>,
    seen: BTreeMap<(TopicPartition, i64), usize>,
    uncommitted: [BTreeMap<TopicPartition, OffsetAndMetadata>; 2],
}

impl Group {
    fn of(members: [Reader; 2]) -> Self {
        Self {
            members: members.into(),
            written: BTreeMap::new(),
            seen: BTreeMap::new(),
            uncommitted: [BTreeMap::new(), BTreeMap::new()],
        }
    }

    async fn write(&mut self, topic: &str, partitions: i32) {
        for partition in 0..partitions {
            let next = self
                .written
                .entry(TopicPartition::new(topic, partition))
                .or_default();
            write(topic, partition, *next..*next + 3).await;
            *next += 3;
        }
    }

    /// Polls each member once; it commits what it read.
    async fn read(&mut self) {
        for (member, uncommitted) in self.members.iter_mut().zip(&mut self.uncommitted) {
            for record in member.poll(A_MOMENT).await.expect("no error") {
                let (partition, next) = record.next_offset();
                uncommitted.insert(partition.clone(), next);
                *self.seen.entry((partition, record.offset)).or_default() += 1;
            }
            let given = uncommitted
                .iter()
                .map(|(partition, next)| (partition.clone(), next.clone()));
            if !uncommitted.is_empty() {
                match member.commit_sync_offsets(given).await {
                    Ok(()) => uncommitted.clear(),
                    // A cooperative member reads on in the middle of a rebalance, and commits when it is over.
                    Err(error) => assert!(error.is_retriable(), "{error}"),
                }
            }
        }
    }

    /// Writes and reads until each member has this many partitions.
    async fn settle(&mut self, topics: &[(&str, i32)], count: usize) {
        let settling = async {
            while self.members.iter().any(|member| numbers(member).len() != count) {
                for (topic, partitions) in topics {
                    self.write(topic, *partitions).await;
                }
                self.read().await;
            }
        };
        let settled = tokio::time::timeout(SOON, settling).await;
        let shares: Vec<_> = self.members.iter().map(Reader::assignment).collect();
        settled.unwrap_or_else(|_| panic!("not {count} each within {SOON:?}: {shares:?}"));
    }

    /// Reads all that was written; each record came once.
    async fn read_all(&mut self) {
        let wanted: BTreeMap<_, _> = self
            .written
            .iter()
            .flat_map(|(partition, end)| (0..*end).map(|offset| ((partition.clone(), offset), 1)))
            .collect();
        let reading = async {
            while self.seen.len() < wanted.len() || self.uncommitted.iter().any(|each| !each.is_empty()) {
                self.read().await;
            }
        };
        soon("all records", reading).await;
        let not_once: Vec<_> = self.seen.iter().filter(|(_, count)| **count != 1).collect();
        assert!(not_once.is_empty(), "not once: {not_once:?}");
        assert_eq!(self.seen, wanted);
    }
}

// Kafka: ConsumerCoordinator.rejoinNeededOrPending: the leader's metadata are others than those it assigned by
#[tokio::test]
async fn partitions_that_are_added_to_a_topic_of_a_live_group_are_assigned_and_read() {
    for strategy in STRATEGIES {
        let (topic, group, diary) = (new_topic(2).await, unique("group"), Diary::default());
        let mut members = [
            built(looking_often(&group, strategy)),
            built(looking_often(&group, strategy)),
        ];
        for (member, name) in members.iter_mut().zip(["a", "b"]) {
            let listener = diary.listener(name);
            member.subscribe_with([&*topic], listener).expect("a topic");
        }
        settle(&mut members, |shares| shares.iter().all(|share| share.len() == 1)).await;
        let (begun, mut group) = (diary.lines().len(), Group::of(members));
        group.write(&topic, 2).await;
        grow(&topic, 6).await;
        group.settle(&[(&*topic, 6)], 3).await;
        group.read_all().await;
        let since = diary.lines().split_off(begun);
        let is_revoked = since.iter().any(|line| line.contains("revoked"));
        // Nothing has to move, and a cooperative member gives up nothing else.
        assert_eq!(is_revoked, strategy == "range", "{since:?}");
    }
}

// Kafka: ConsumerCoordinator.maybeUpdateSubscriptionMetadata
#[tokio::test]
async fn topics_that_match_are_created_and_deleted_under_a_live_group() {
    for strategy in STRATEGIES {
        let (stem, group) = (unique("matching"), unique("group"));
        let topics = [0, 1, 2].map(|number| format!("{stem}-{number}"));
        let mut members = [
            built(looking_often(&group, strategy)),
            built(looking_often(&group, strategy)),
        ];
        for member in &mut members {
            member
                .subscribe_pattern(&format!("{stem}-.*"))
                .expect("a pattern");
        }
        create(&topics[0]).await;
        let mut group = Group::of(members);
        group.settle(&[(&*topics[0], 2)], 1).await;
        for topic in &topics[1..] {
            create(topic).await;
            group.write(topic, 2).await;
        }
        group
            .settle(&[(&*topics[0], 2), (&*topics[1], 2), (&*topics[2], 2)], 3)
            .await;
        group.read_all().await;
        delete_topic(&topics[0]).await;
        group.settle(&[(&*topics[1], 2), (&*topics[2], 2)], 2).await;
        group.read_all().await;
    }
}

// Kafka: PlaintextConsumerTest.testClassicConsumerStaticConsumerDetectsNewPartitionCreatedAfterRestart
#[tokio::test]
async fn a_static_member_that_came_back_is_given_partitions_that_are_added_later() {
    let (topic, group) = (new_topic(1).await, unique("group"));
    let fixed = || {
        let mut member = built(looking_often(&group, "range").group_instance_id("one"));
        member.subscribe([&*topic]).expect("a topic");
        member
    };
    let mut members = [fixed()];
    settle(&mut members, |shares| shares[0] == [0]).await;
    let [member] = members;
    member.close(SOON).await.expect("it closes");
    let mut members = [fixed()];
    settle(&mut members, |shares| shares[0] == [0]).await;
    grow(&topic, 2).await;
    settle(&mut members, |shares| shares[0] == [0, 1]).await;
}
