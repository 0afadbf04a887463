//! Groups on several racks (KIP-881): their members read what is on their own rack, as far as balance allows. Apart from the suite,
//! because it needs a broker on each of the racks `a`, `b` and `c`, and the embedded broker is one node without a rack:
//!
//! ```sh
//! KOHORT_RACKS_BOOTSTRAP=$(scripts/real-kafka/real-kafka start --racks a,b,c) cargo test -p kohort-conformance --test racks -- --ignored
//! scripts/real-kafka/real-kafka stop
//! ```
//!
//! Replicas are put where each test says, so what an assignor must make of them is known by reasoning. Ids of members begin with their
//! `client.id`, which is the name of their rack, so that "a" comes before "b".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kohort::config::AutoOffsetReset;
use kohort::{Admin, Consumer, Producer, ProducerRecord};
use kohort_conformance::{Wire, unique};
use kohort_protocol::messages::{
    CreateTopicsRequest,
    create_topics::{CreatableReplicaAssignment, CreatableTopic},
};

const RACK_AWARE: [&str; 3] = ["range", "sticky", "cooperative-sticky"];
/// What takes longer than this does not come at all.
const SOON: Duration = Duration::from_secs(60);
/// The time of one poll where several members are polled in turn.
const A_MOMENT: Duration = Duration::from_millis(20);

type Member = Consumer<(), String>;

fn bootstrap() -> String {
    std::env::var("KOHORT_RACKS_BOOTSTRAP").expect("KOHORT_RACKS_BOOTSTRAP: see the top of this file")
}

fn admin() -> Admin {
    Admin::builder()
        .bootstrap_servers(bootstrap())
        .build()
        .expect("valid settings")
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future)
        .await
        .unwrap_or_else(|_| panic!("not within {SOON:?}: {what}"))
}

/// A topic whose partitions have their replicas on these racks, a letter each, the leader's first.
async fn topic_on(partitions: &[&str]) -> String {
    let admin = admin();
    let cluster = soon("the cluster", admin.describe_cluster()).await;
    let of_rack: BTreeMap<String, i32> = cluster
        .expect("an answer")
        .brokers
        .into_iter()
        .map(|broker| (broker.rack.expect("each broker has a rack"), broker.id))
        .collect();
    let assignment = |(partition_index, racks): (i32, &&str)| CreatableReplicaAssignment {
        partition_index,
        broker_ids: racks.chars().map(|rack| of_rack[&rack.to_string()]).collect(),
    };
    let name = unique("topic");
    let topic = CreatableTopic {
        name: name.clone(),
        num_partitions: -1,
        replication_factor: -1,
        assignments: (0..).zip(partitions).map(assignment).collect(),
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    let mut wire = Wire::connect(&bootstrap()).await.expect("a broker answers");
    let created = wire.call(7, request).await.topics.remove(0);
    assert_eq!(created.error_code, 0, "{:?}", created.error_message);
    name
}

/// A member on the rack of its name's first letter, if it is to tell it.
fn member(group: &str, topic: &str, assignor: &str, name: &str, tells_rack: bool) -> Member {
    let mut member: Member = Consumer::builder()
        .bootstrap_servers(bootstrap())
        .group_id(group)
        .client_id(name)
        .client_rack(if tells_rack { name } else { "" })
        .partition_assignment_strategy([assignor])
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .enable_auto_commit(false)
        .heartbeat_interval_ms(200)
        .build()
        .expect("valid settings");
    member.subscribe([topic]).expect("a topic");
    member
}

/// A topic, a group of its own, and the assignor that its members use.
struct Scene {
    topic: String,
    group: String,
    assignor: &'static str,
    partitions: i32,
    admin: Admin,
}

impl Scene {
    async fn new(assignor: &'static str, partitions: &[&str]) -> Self {
        Self {
            topic: topic_on(partitions).await,
            group: unique("group"),
            assignor,
            partitions: partitions.len() as i32,
            admin: admin(),
        }
    }

    fn member(&self, rack: &str) -> Member {
        member(&self.group, &self.topic, self.assignor, rack, true)
    }

    /// Polls the members in turn until these are their shares, by their own words and by the coordinator's; what is written then
    /// is read by them.
    async fn settles(&self, members: &mut [Member], expected: &[&[i32]]) {
        let mut seen = Vec::new();
        let polling = async {
            loop {
                for member in members.iter_mut() {
                    member.poll(A_MOMENT).await.expect("no error");
                }
                seen = members.iter().map(share).collect::<Vec<_>>();
                if seen == expected && self.described(members).await == expected {
                    return;
                }
            }
        };
        if tokio::time::timeout(SOON, polling).await.is_err() {
            panic!(
                "{}: expected {expected:?}, the members have {seen:?}",
                self.assignor
            );
        }
        self.is_read_by_owners(members, expected).await;
    }

    /// The shares of a stable group as its coordinator has them, in the order of these members; empty until it is stable.
    async fn described(&self, members: &[Member]) -> Vec<Vec<i32>> {
        let described = soon("the group", self.admin.describe_groups([&*self.group])).await;
        let group = described.expect("the task runs").remove(&*self.group);
        let group = group.expect("an entry").expect("a group");
        if group.state != "Stable" || group.members.len() != members.len() {
            return Vec::new();
        }
        assert_eq!(group.assignor, self.assignor);
        let of = |member: &Member| {
            let id = member.client_id();
            let found = group.members.iter().find(|each| each.client_id == id);
            let assigned = found.map(|it| it.assigned.iter().map(|partition| partition.partition));
            assigned.into_iter().flatten().collect()
        };
        members.iter().map(of).collect()
    }

    async fn is_read_by_owners(&self, members: &mut [Member], expected: &[&[i32]]) {
        let round = unique("round");
        let producer: Producer<(), String> = Producer::builder()
            .bootstrap_servers(bootstrap())
            .build()
            .expect("valid settings");
        for number in 0..self.partitions {
            let record = ProducerRecord::new(&*self.topic, (), round.clone()).partition(number);
            let written = soon("an acknowledgement", producer.send(record)).await;
            written.expect("it is written");
        }
        let mut read = vec![BTreeSet::new(); members.len()];
        let reading = async {
            while read.iter().map(BTreeSet::len).sum::<usize>() < self.partitions as usize {
                for (member, read) in members.iter_mut().zip(&mut read) {
                    let records = member.poll(A_MOMENT).await.expect("no error");
                    let of_now = records.iter().filter(|record| record.value == round);
                    read.extend(of_now.map(|record| record.partition()));
                }
            }
        };
        soon("what was written", reading).await;
        let expected: Vec<BTreeSet<i32>> = expected
            .iter()
            .map(|share| share.iter().copied().collect())
            .collect();
        assert_eq!(read, expected, "{}: who read which partition", self.assignor);
    }
}

/// The numbers of the partitions that a member has.
fn share(member: &Member) -> Vec<i32> {
    let assignment = member.assignment();
    assignment.iter().map(|partition| partition.partition).collect()
}

/// Each rack leads two of six partitions, and no rack those that a range would give to its member.
const EVEN: [&str; 6] = ["c", "a", "b", "a", "c", "b"];

// KIP-881; the leader that assigns is another one after "a" left
#[tokio::test]
#[ignore = "needs brokers on three racks: see the top of this file"]
async fn who_is_on_the_rack_of_a_partition_gets_it_while_members_come_and_go() {
    for assignor in RACK_AWARE {
        let scene = Scene::new(assignor, &EVEN).await;
        let mut members = vec![scene.member("a")];
        scene.settles(&mut members, &[&[0, 1, 2, 3, 4, 5]]).await;
        // Nobody is on the rack of 0 and 4: they are shared as ever.
        members.push(scene.member("b"));
        scene.settles(&mut members, &[&[0, 1, 3], &[2, 4, 5]]).await;
        members.push(scene.member("c"));
        scene.settles(&mut members, &[&[1, 3], &[2, 5], &[0, 4]]).await;
        members.remove(0).close(SOON).await.expect("it leaves");
        scene.settles(&mut members, &[&[1, 2, 5], &[0, 3, 4]]).await;
        members.insert(0, scene.member("a"));
        scene.settles(&mut members, &[&[1, 3], &[2, 5], &[0, 4]]).await;
    }
}

// KIP-881: racks never make shares uneven
#[tokio::test]
#[ignore = "needs brokers on three racks: see the top of this file"]
async fn a_member_gets_no_more_of_its_rack_than_its_share_and_one_on_an_empty_rack_gets_the_rest() {
    for assignor in RACK_AWARE {
        let scene = Scene::new(assignor, &["a", "b", "a", "a", "b", "a"]).await;
        let mut members = ["a", "b", "c"].map(|rack| scene.member(rack));
        scene.settles(&mut members, &[&[0, 2], &[1, 4], &[3, 5]]).await;
    }
}

// Kafka: RangeAssignor.TopicAssignmentState and AbstractStickyAssignor.RackInfo take the racks of all replicas
#[tokio::test]
#[ignore = "needs brokers on three racks: see the top of this file"]
async fn a_replica_that_follows_counts_like_one_that_leads() {
    for assignor in RACK_AWARE {
        // All are led on a rack without a member.
        let scene = Scene::new(assignor, &["cb", "ca", "cb", "ca"]).await;
        let mut members = ["a", "b"].map(|rack| scene.member(rack));
        scene.settles(&mut members, &[&[1, 3], &[0, 2]]).await;
    }
}

// Kafka: RoundRobinAssignor looks at no racks
#[tokio::test]
#[ignore = "needs brokers on three racks: see the top of this file"]
async fn roundrobin_and_members_that_tell_no_rack_share_as_if_there_were_none() {
    let scene = Scene::new("roundrobin", &EVEN).await;
    let mut members = ["a", "b", "c"].map(|rack| scene.member(rack));
    scene.settles(&mut members, &[&[0, 3], &[1, 4], &[2, 5]]).await;
    let scene = Scene::new("range", &EVEN).await;
    let untold = |name| member(&scene.group, &scene.topic, "range", name, false);
    let mut members = ["a", "b", "c"].map(untold);
    scene.settles(&mut members, &[&[0, 1], &[2, 3], &[4, 5]]).await;
}
