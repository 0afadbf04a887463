//! A request of every API that the broker serves, each with elements in all of its arrays, which does what it can do when it is
//! carried out; the world that these requests are made for; and what can be seen of it, so that it shows whether one was.

mod groups;
mod topics;

use std::fmt::Debug;
use std::fmt::Write;

use kohort_broker::ApiKey;
use kohort_protocol::Message;
use kohort_protocol::Uuid;
use kohort_protocol::consumer_protocol::{ConsumerProtocolSubscription, encode_versioned};
use kohort_protocol::messages::*;
use kohort_protocol::messages::{
    alter_configs as alter, create_partitions as partitions, create_topics as create,
    delete_records as cutting, delete_topics as delete, describe_configs as configs,
    describe_log_dirs as dirs, describe_producers as producers, describe_topic_partitions as described,
    fetch, incremental_alter_configs as incremental, join_group as join, leave_group as leave,
    list_offsets as list, list_partition_reassignments as moves, metadata, offset_commit as commit,
    offset_delete as forget, offset_fetch as committed, offset_for_leader_epoch as epochs,
    sync_group as sync,
};

use super::*;

/// The longest session that a broker allows: nothing ends by itself while a test runs.
const SESSION_MS: i32 = 1_800_000;

/// A topic's setting in the two APIs that change it.
const SETTING: (&str, &str) = ("retention.ms", "86400000");

/// A tagged field that nobody knows, instead of none.
const TAGS: [u8; 5] = [1, 0x7f, 2, b'c', b'u'];

/// A member of a group, as the broker told it.
#[derive(Debug, Default)]
struct Member {
    id: String,
    generation: i32,
}

/// Topics `a` of two partitions with records, `gone` and `gone-too`; groups `still` with offsets and no member, `stable` with a
/// member, `joined` whose member has not synced.
#[derive(Debug, Default)]
pub(crate) struct World {
    a: Uuid,
    gone_too: Uuid,
    broker: i32,
    stable: Member,
    joined: Member,
    /// Producer ids that were asked for to see which is next.
    producer_ids: i64,
}

impl World {
    pub(crate) async fn new(client: &mut Client<TcpStream>) -> Self {
        let mut world = Self::default();
        let topics = [("a", 2), ("gone", 1), ("gone-too", 1)];
        let create = CreateTopicsRequest {
            topics: topics.map(|(name, count)| new_topic(name, count)).to_vec(),
            timeout_ms: 1_000,
            ..Default::default()
        };
        let created = client.ask(7, create).await;
        let id = |name: &str| {
            created
                .topics
                .iter()
                .find(|topic| topic.name == name)
                .unwrap()
                .topic_id
        };
        (world.a, world.gone_too) = (id("a"), id("gone-too"));
        fine(&created);
        let all = client.ask(12, MetadataRequest::default()).await;
        world.broker = all.brokers[0].node_id;
        fine(&client.ask(9, world.produce(9)).await);
        let find = FindCoordinatorRequest {
            coordinator_keys: vec!["still".into()],
            ..Default::default()
        };
        fine(&client.ask(4, find).await);
        let still = OffsetCommitRequest {
            group_id: "still".into(),
            generation_id_or_member_epoch: -1,
            member_id: String::new(),
            group_instance_id: None,
            ..world.commit(9)
        };
        fine(&client.ask(9, still).await);
        world.stable = member(client, world.join(9, "stable")).await;
        fine(&client.ask(5, world.sync(5, "stable", &world.stable)).await);
        fine(&client.ask(9, world.commit(9)).await);
        world.joined = member(client, world.join(9, "joined")).await;
        world
    }

    /// All that a request of [`World::request`] could change.
    pub(crate) async fn seen(&mut self, client: &mut Client<TcpStream>) -> String {
        let mut seen = String::new();
        let mut see = |what: &dyn Debug| writeln!(seen, "{what:?}").unwrap();
        let all = MetadataRequest {
            topics: None,
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        see(&client.ask(12, all).await.topics);
        let mut settings = self.describe_configs();
        settings.resources.remove(1);
        settings.resources[0].configuration_keys = None;
        see(&client.ask(4, settings).await);
        for timestamp in [-2, -1] {
            let mut ends = self.list_offsets();
            for partition in &mut ends.topics[0].partitions {
                partition.timestamp = timestamp;
            }
            see(&client.ask(7, ends).await);
        }
        see(&client.ask(5, ListGroupsRequest::default()).await);
        let groups = DescribeGroupsRequest {
            groups: ["still", "stable", "joined", "new"].map(String::from).to_vec(),
            ..Default::default()
        };
        see(&client.ask(5, groups).await);
        see(&client.ask(9, self.offset_fetch(9)).await);
        // Each is one more than the one before.
        let next = client.ask(4, self.init_producer_id()).await;
        fine(&next);
        see(&(next.producer_id - self.producer_ids));
        self.producer_ids += 1;
        seen
    }

    /// The request of an API, in any version that the broker serves.
    pub(crate) fn request(&self, api: ApiKey, version: i16) -> RequestBody {
        match api {
            ApiKey::Produce => self.produce(version).into(),
            ApiKey::Fetch => self.fetch(version).into(),
            ApiKey::ListOffsets => self.list_offsets().into(),
            ApiKey::Metadata => self.metadata().into(),
            ApiKey::OffsetCommit => self.commit(version).into(),
            ApiKey::OffsetFetch => self.offset_fetch(version).into(),
            ApiKey::FindCoordinator => self.find_coordinator(version).into(),
            ApiKey::JoinGroup => self.join(version, "new").into(),
            ApiKey::Heartbeat => self.heartbeat(version).into(),
            ApiKey::LeaveGroup => self.leave(version).into(),
            ApiKey::SyncGroup => self.sync(version, "joined", &self.joined).into(),
            ApiKey::DescribeGroups => self.describe_groups(version).into(),
            ApiKey::ListGroups => self.list_groups(version).into(),
            ApiKey::ApiVersions => self.api_versions().into(),
            ApiKey::CreateTopics => self.create_topics().into(),
            ApiKey::DeleteTopics => self.delete_topics(version).into(),
            ApiKey::DeleteRecords => self.delete_records().into(),
            ApiKey::InitProducerId => self.init_producer_id().into(),
            ApiKey::OffsetForLeaderEpoch => self.leader_epochs(version).into(),
            ApiKey::DescribeConfigs => self.describe_configs().into(),
            ApiKey::AlterConfigs => self.alter_configs().into(),
            ApiKey::DescribeLogDirs => self.describe_log_dirs().into(),
            ApiKey::CreatePartitions => self.create_partitions().into(),
            ApiKey::DeleteGroups => self.delete_groups().into(),
            ApiKey::IncrementalAlterConfigs => self.incremental_alter_configs().into(),
            ApiKey::ListPartitionReassignments => self.reassignments().into(),
            ApiKey::OffsetDelete => self.offset_delete().into(),
            ApiKey::DescribeCluster => self.describe_cluster(version).into(),
            ApiKey::DescribeProducers => self.describe_producers().into(),
            ApiKey::DescribeTopicPartitions => self.describe_topic_partitions().into(),
            _ => panic!("{api} is served and has no request here"),
        }
    }
}

/// Whether the request of this API changes what can be seen.
pub(crate) fn changes(api: ApiKey) -> bool {
    matches!(
        api,
        ApiKey::Produce
            | ApiKey::Metadata
            | ApiKey::OffsetCommit
            | ApiKey::JoinGroup
            | ApiKey::SyncGroup
            | ApiKey::LeaveGroup
            | ApiKey::CreateTopics
            | ApiKey::DeleteTopics
            | ApiKey::DeleteRecords
            | ApiKey::InitProducerId
            | ApiKey::AlterConfigs
            | ApiKey::IncrementalAlterConfigs
            | ApiKey::CreatePartitions
            | ApiKey::DeleteGroups
            | ApiKey::OffsetDelete
    )
}

/// The APIs that the broker serves, each in its lowest version, its highest and one between. (Produce 0 to 2 are only told of, as by
/// Kafka.)
pub(crate) async fn served(client: &mut Client<TcpStream>) -> Vec<(ApiKey, i16)> {
    let answer = client.ask(3, World::default().api_versions()).await;
    let served = answer.api_keys.iter().flat_map(|served| {
        let api = ApiKey::from_i16(served.api_key).unwrap();
        let min = served.min_version.max(api.message_versions().unwrap().min);
        let max = served.max_version;
        let mut versions = vec![min, i16::midpoint(min, max) + (max - min) % 2, max];
        versions.dedup();
        versions.into_iter().map(move |version| (api, version))
    });
    served.collect()
}

/// A request with its length, and a tagged field that nobody knows in header and body where they can have one.
pub(crate) fn written(api: ApiKey, version: i16, body: &RequestBody) -> Vec<u8> {
    let header = RequestHeader {
        request_api_key: api.code(),
        request_api_version: version,
        correlation_id: 7,
        client_id: Some("hostile".into()),
    };
    let mut bytes = bytes::BytesMut::new();
    let header_version = api.request_header_version(version);
    header.encode(header_version, &mut bytes).unwrap();
    let frame = frame::encode_request(&header, version, body).unwrap();
    let (mut head, mut tail) = (bytes.to_vec(), frame[4 + bytes.len()..].to_vec());
    if header_version == 2 {
        for part in [&mut head, &mut tail] {
            assert_eq!(
                part.pop(),
                Some(0),
                "{api} {version}: it ends with the number of tagged fields"
            );
            part.extend(TAGS);
        }
    }
    prefixed(&[head, tail].concat())
}

/// An answer without an error anywhere.
pub(crate) fn fine(answer: &impl Debug) {
    let answer = format!("{answer:?}");
    let mut codes = answer.split("error_code: ").skip(1);
    assert!(
        codes.all(|code| code.starts_with("0,") || code.starts_with("0 ")),
        "{answer}"
    );
}

async fn member(client: &mut Client<TcpStream>, join: JoinGroupRequest) -> Member {
    let joined = client.ask(9, join).await;
    fine(&joined);
    Member {
        id: joined.member_id,
        generation: joined.generation_id,
    }
}

fn new_topic(name: &str, num_partitions: i32) -> create::CreatableTopic {
    create::CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor: 1,
        ..Default::default()
    }
}

/// A name where the version has one.
fn named(name: &str, has_one: bool) -> String {
    if has_one { name.into() } else { String::new() }
}

/// A field that came with a version.
fn since(version: i16, first: i16, value: impl FnOnce() -> String) -> Option<String> {
    (version >= first).then(value)
}
