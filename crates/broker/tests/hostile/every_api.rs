//! A request of every API that the broker serves, each with elements in all of its arrays, which does what it can do when it is
//! carried out; the world that these requests are made for; and what can be seen of it, so that it shows whether one was.

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

    fn produce(&self, version: i16) -> ProduceRequest {
        let codecs = [(0, Compression::Lz4), (1, Compression::None)];
        ProduceRequest {
            acks: -1,
            timeout_ms: 1_000,
            topic_data: vec![TopicProduceData {
                name: named("a", version < 13),
                topic_id: self.a,
                partition_data: codecs
                    .map(|(index, codec)| PartitionProduceData {
                        index,
                        records: Some(batch(codec, 2)),
                    })
                    .to_vec(),
            }],
            ..Default::default()
        }
    }

    fn fetch(&self, version: i16) -> FetchRequest {
        let name = named("a", version < 13);
        let partition = |partition| fetch::FetchPartition {
            partition,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        };
        let forgotten = fetch::ForgottenTopic {
            topic: name.clone(),
            topic_id: self.a,
            partitions: vec![0, 1],
        };
        FetchRequest {
            min_bytes: 1,
            max_bytes: 1 << 20,
            session_epoch: if version < 7 { -1 } else { 0 },
            topics: vec![fetch::FetchTopic {
                topic: name,
                topic_id: self.a,
                partitions: [0, 1].map(partition).to_vec(),
            }],
            forgotten_topics_data: if version < 7 { vec![] } else { vec![forgotten] },
            rack_id: "rack".into(),
            ..Default::default()
        }
    }

    fn list_offsets(&self) -> ListOffsetsRequest {
        let partition = |(partition_index, timestamp)| list::ListOffsetsPartition {
            partition_index,
            current_leader_epoch: -1,
            timestamp,
        };
        ListOffsetsRequest {
            replica_id: -1,
            topics: vec![list::ListOffsetsTopic {
                name: "a".into(),
                partitions: [(0, -1), (1, 1)].map(partition).to_vec(),
            }],
            ..Default::default()
        }
    }

    /// It creates a topic.
    fn metadata(&self) -> MetadataRequest {
        let topic = |name: &str| metadata::MetadataRequestTopic {
            name: Some(name.into()),
            ..Default::default()
        };
        MetadataRequest {
            topics: Some(["a", "new"].map(topic).to_vec()),
            allow_auto_topic_creation: true,
            ..Default::default()
        }
    }

    fn commit(&self, version: i16) -> OffsetCommitRequest {
        let partition = |partition_index| commit::OffsetCommitRequestPartition {
            partition_index,
            // What the world is made with is another version's.
            committed_offset: if self.joined.id.is_empty() { 1 } else { 2 },
            committed_metadata: Some("a note".into()),
            ..Default::default()
        };
        OffsetCommitRequest {
            group_id: "stable".into(),
            generation_id_or_member_epoch: self.stable.generation,
            member_id: self.stable.id.clone(),
            group_instance_id: since(version, 7, || "stable".into()),
            topics: vec![commit::OffsetCommitRequestTopic {
                name: named("a", version < 10),
                topic_id: self.a,
                partitions: [0, 1].map(partition).to_vec(),
            }],
            ..Default::default()
        }
    }

    fn offset_fetch(&self, version: i16) -> OffsetFetchRequest {
        if version < 8 {
            return OffsetFetchRequest {
                group_id: "still".into(),
                topics: Some(vec![committed::OffsetFetchRequestTopic {
                    name: "a".into(),
                    partition_indexes: vec![0, 1],
                }]),
                require_stable: version == 7,
                ..Default::default()
            };
        }
        let group = |group: &str| committed::OffsetFetchRequestGroup {
            group_id: group.into(),
            topics: Some(vec![committed::OffsetFetchRequestTopics {
                name: named("a", version < 10),
                topic_id: self.a,
                partition_indexes: vec![0, 1],
            }]),
            ..Default::default()
        };
        OffsetFetchRequest {
            groups: ["still", "stable"].map(group).to_vec(),
            ..Default::default()
        }
    }

    fn find_coordinator(&self, version: i16) -> FindCoordinatorRequest {
        let groups = ["still", "stable"].map(String::from);
        FindCoordinatorRequest {
            key: named("still", version < 4),
            coordinator_keys: if version < 4 { vec![] } else { groups.to_vec() },
            ..Default::default()
        }
    }

    /// A static member, which is no member before it is told its id.
    fn join(&self, version: i16, group: &str) -> JoinGroupRequest {
        let subscription = ConsumerProtocolSubscription {
            topics: vec!["a".into(), "gone".into()],
            ..Default::default()
        };
        let metadata = encode_versioned(&subscription, 1).unwrap();
        JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: if version < 1 { -1 } else { SESSION_MS },
            group_instance_id: since(version, 5, || group.into()),
            protocol_type: "consumer".into(),
            protocols: ["range", "roundrobin"]
                .map(|name| join::JoinGroupRequestProtocol {
                    name: name.into(),
                    metadata: metadata.clone(),
                })
                .to_vec(),
            reason: since(version, 8, || "it is new".into()),
            ..Default::default()
        }
    }

    fn sync(&self, version: i16, group: &str, member: &Member) -> SyncGroupRequest {
        let assignment = |id: &str| sync::SyncGroupRequestAssignment {
            member_id: id.into(),
            assignment: Bytes::from_static(b"all of it"),
        };
        SyncGroupRequest {
            group_id: group.into(),
            generation_id: member.generation,
            member_id: member.id.clone(),
            group_instance_id: since(version, 3, || group.into()),
            protocol_type: since(version, 5, || "consumer".into()),
            protocol_name: since(version, 5, || "range".into()),
            assignments: [&*member.id, "a stranger"].map(assignment).to_vec(),
        }
    }

    fn heartbeat(&self, version: i16) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: "stable".into(),
            generation_id: self.stable.generation,
            member_id: self.stable.id.clone(),
            group_instance_id: since(version, 3, || "stable".into()),
        }
    }

    fn leave(&self, version: i16) -> LeaveGroupRequest {
        let member = leave::MemberIdentity {
            member_id: self.stable.id.clone(),
            group_instance_id: Some("stable".into()),
            reason: since(version, 5, || "it is enough".into()),
        };
        LeaveGroupRequest {
            group_id: "stable".into(),
            member_id: named(&self.stable.id, version < 3),
            members: if version < 3 { vec![] } else { vec![member] },
        }
    }

    fn describe_groups(&self, version: i16) -> DescribeGroupsRequest {
        DescribeGroupsRequest {
            groups: ["still", "stable"].map(String::from).to_vec(),
            include_authorized_operations: version >= 3,
        }
    }

    fn list_groups(&self, version: i16) -> ListGroupsRequest {
        ListGroupsRequest {
            states_filter: since(version, 4, || "Stable".into()).into_iter().collect(),
            types_filter: since(version, 5, || "classic".into()).into_iter().collect(),
        }
    }

    fn api_versions(&self) -> ApiVersionsRequest {
        ApiVersionsRequest {
            client_software_name: "hostile".into(),
            client_software_version: "1.0".into(),
        }
    }

    fn create_topics(&self) -> CreateTopicsRequest {
        let placed = create::CreatableTopic {
            name: "placed".into(),
            num_partitions: -1,
            replication_factor: -1,
            assignments: [0, 1]
                .map(|partition_index| create::CreatableReplicaAssignment {
                    partition_index,
                    broker_ids: vec![self.broker],
                })
                .to_vec(),
            ..Default::default()
        };
        let mut set = new_topic("new", 2);
        set.configs = vec![create::CreatableTopicConfig {
            name: SETTING.0.into(),
            value: Some(SETTING.1.into()),
        }];
        CreateTopicsRequest {
            topics: vec![set, placed],
            timeout_ms: 1_000,
            ..Default::default()
        }
    }

    fn delete_topics(&self, version: i16) -> DeleteTopicsRequest {
        let names = ["gone", "gone-too"].map(String::from).to_vec();
        let by_name = delete::DeleteTopicState {
            name: Some("gone".into()),
            ..Default::default()
        };
        let by_id = delete::DeleteTopicState {
            name: None,
            topic_id: self.gone_too,
        };
        DeleteTopicsRequest {
            topics: if version < 6 { vec![] } else { vec![by_name, by_id] },
            topic_names: if version < 6 { names } else { vec![] },
            timeout_ms: 1_000,
        }
    }

    fn delete_records(&self) -> DeleteRecordsRequest {
        let partition = |partition_index| cutting::DeleteRecordsPartition {
            partition_index,
            offset: 1,
        };
        DeleteRecordsRequest {
            topics: vec![cutting::DeleteRecordsTopic {
                name: "a".into(),
                partitions: [0, 1].map(partition).to_vec(),
            }],
            timeout_ms: 1_000,
        }
    }

    fn init_producer_id(&self) -> InitProducerIdRequest {
        InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        }
    }

    fn leader_epochs(&self, version: i16) -> OffsetForLeaderEpochRequest {
        let partition = |partition| epochs::OffsetForLeaderPartition {
            partition,
            current_leader_epoch: -1,
            leader_epoch: 0,
        };
        OffsetForLeaderEpochRequest {
            replica_id: if version < 3 { -2 } else { -1 },
            topics: vec![epochs::OffsetForLeaderTopic {
                topic: "a".into(),
                partitions: [0, 1].map(partition).to_vec(),
            }],
        }
    }

    fn describe_configs(&self) -> DescribeConfigsRequest {
        let resource = |resource_type, name: String, keys: Option<&str>| configs::DescribeConfigsResource {
            resource_type,
            resource_name: name,
            configuration_keys: keys.map(|key| vec![key.into()]),
        };
        DescribeConfigsRequest {
            resources: vec![
                resource(2, "a".into(), Some(SETTING.0)),
                resource(4, self.broker.to_string(), Some("message.max.bytes")),
                resource(2, "gone".into(), None),
            ],
            include_synonyms: true,
            ..Default::default()
        }
    }

    fn alter_configs(&self) -> AlterConfigsRequest {
        let resource = |name: &str| alter::AlterConfigsResource {
            resource_type: 2,
            resource_name: name.into(),
            configs: vec![alter::AlterableConfig {
                name: SETTING.0.into(),
                value: Some(SETTING.1.into()),
            }],
        };
        AlterConfigsRequest {
            resources: ["a", "gone"].map(resource).to_vec(),
            ..Default::default()
        }
    }

    fn incremental_alter_configs(&self) -> IncrementalAlterConfigsRequest {
        let resource = |name: &str| incremental::AlterConfigsResource {
            resource_type: 2,
            resource_name: name.into(),
            configs: vec![incremental::AlterableConfig {
                name: SETTING.0.into(),
                config_operation: 0,
                value: Some(SETTING.1.into()),
            }],
        };
        IncrementalAlterConfigsRequest {
            resources: ["a", "gone"].map(resource).to_vec(),
            ..Default::default()
        }
    }

    fn describe_log_dirs(&self) -> DescribeLogDirsRequest {
        DescribeLogDirsRequest {
            topics: Some(vec![dirs::DescribableLogDirTopic {
                topic: "a".into(),
                partitions: vec![0, 1],
            }]),
        }
    }

    fn create_partitions(&self) -> CreatePartitionsRequest {
        let placed = partitions::CreatePartitionsAssignment {
            broker_ids: vec![self.broker],
        };
        let more = |(name, count, assignments): (&str, _, _)| partitions::CreatePartitionsTopic {
            name: name.into(),
            count,
            assignments,
        };
        CreatePartitionsRequest {
            topics: [("a", 3, Some(vec![placed])), ("gone", 2, None)]
                .map(more)
                .to_vec(),
            timeout_ms: 1_000,
            ..Default::default()
        }
    }

    fn delete_groups(&self) -> DeleteGroupsRequest {
        DeleteGroupsRequest {
            groups_names: vec!["still".into()],
        }
    }

    fn reassignments(&self) -> ListPartitionReassignmentsRequest {
        ListPartitionReassignmentsRequest {
            timeout_ms: 1_000,
            topics: Some(vec![moves::ListPartitionReassignmentsTopics {
                name: "a".into(),
                partition_indexes: vec![0, 1],
            }]),
        }
    }

    fn offset_delete(&self) -> OffsetDeleteRequest {
        let partition = |partition_index| forget::OffsetDeleteRequestPartition { partition_index };
        OffsetDeleteRequest {
            group_id: "still".into(),
            topics: vec![forget::OffsetDeleteRequestTopic {
                name: "a".into(),
                partitions: [0, 1].map(partition).to_vec(),
            }],
        }
    }

    fn describe_cluster(&self, version: i16) -> DescribeClusterRequest {
        DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            include_fenced_brokers: version >= 2,
            ..Default::default()
        }
    }

    fn describe_producers(&self) -> DescribeProducersRequest {
        DescribeProducersRequest {
            topics: vec![producers::TopicRequest {
                name: "a".into(),
                partition_indexes: vec![0, 1],
            }],
        }
    }

    fn describe_topic_partitions(&self) -> DescribeTopicPartitionsRequest {
        let topic = |name: &str| described::TopicRequest { name: name.into() };
        DescribeTopicPartitionsRequest {
            topics: ["a", "gone"].map(topic).to_vec(),
            response_partition_limit: 100,
            cursor: Some(described::Cursor {
                topic_name: "a".into(),
                partition_index: 0,
            }),
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
