//! What the tests of brokers start from: a connection, a topic, a batch, a member. No behaviour is asserted here beyond that
//! it worked.

use bytes::Bytes;
use kohort_conformance::{Wire, cluster, unique};
use kohort_protocol::ErrorCode;
use kohort_protocol::consumer_protocol::{ConsumerProtocolSubscription, encode_versioned};
use kohort_protocol::messages::{
    CreateTopicsRequest, FindCoordinatorRequest, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse,
    ListOffsetsRequest, MetadataRequest, MetadataResponse, SyncGroupRequest, SyncGroupResponse,
    create_topics::{CreatableTopic, CreatableTopicConfig},
    join_group::JoinGroupRequestProtocol,
    list_offsets::{ListOffsetsPartition, ListOffsetsTopic},
    metadata::MetadataRequestTopic,
    sync_group::SyncGroupRequestAssignment,
};
use kohort_records::{BatchBuilder, Compression};

/// Kafka's code of an error, as messages carry it.
pub(crate) fn code(error: ErrorCode) -> i16 {
    error.code()
}

/// A connection to the cluster under test.
pub(crate) async fn wire() -> Wire {
    Wire::connect(&cluster().bootstrap)
        .await
        .expect("the cluster answers")
}

/// A topic with a name of its own; returns it once each partition is led by a broker that knows it.
pub(crate) async fn topic(wire: &mut Wire, partitions: i32) -> String {
    let name = unique("topic");
    let created = wire.call(5, create_topic(&name, partitions)).await;
    assert_eq!(
        created.topics[0].error_code, 0,
        "{:?}",
        created.topics[0].error_message
    );
    topic_ready(wire, &name, partitions).await;
    name
}

/// Waits until each partition of a created topic is led: real Kafka answers CreateTopics before its broker has caught up.
pub(crate) async fn topic_ready(wire: &mut Wire, name: &str, partitions: i32) {
    let partition = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: -1,
        ..ListOffsetsPartition::default()
    };
    let topic = ListOffsetsTopic {
        name: name.to_owned(),
        partitions: (0..partitions).map(partition).collect(),
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![topic],
        ..ListOffsetsRequest::default()
    };
    loop {
        let listed = wire.call(7, request.clone()).await.topics.remove(0);
        if listed
            .partitions
            .iter()
            .all(|partition| partition.error_code == 0)
        {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// A request to create one topic with one replica. Its records are of 1970, and real Kafka removes what is older than
/// `retention.ms` half a minute after its start and every five minutes.
pub(crate) fn create_topic(name: &str, partitions: i32) -> CreateTopicsRequest {
    let for_ever = CreatableTopicConfig {
        name: "retention.ms".to_owned(),
        value: Some("-1".to_owned()),
    };
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: vec![for_ever],
        ..CreatableTopic::default()
    };
    CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    }
}

/// What the broker says of one topic, which it must not create.
pub(crate) async fn metadata(wire: &mut Wire, topic: &str) -> MetadataResponse {
    let topic = MetadataRequestTopic {
        name: Some(topic.to_owned()),
        ..MetadataRequestTopic::default()
    };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    wire.call(12, request).await
}

/// A batch of records with these values, the first at timestamp 1000, each 1 ms later.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None, None).expect("no level to refuse");
    for (index, value) in values.iter().enumerate() {
        builder
            .append(1000 + index as i64, None, Some(value.as_bytes()), &[])
            .expect("a small record");
    }
    builder.build(0).expect("a batch that is not empty")
}

/// Waits until the group's coordinator answers for it: real Kafka creates `__consumer_offsets` when first asked, and loads it.
pub(crate) async fn coordinator_ready(wire: &mut Wire, group: &str) {
    let request = HeartbeatRequest {
        group_id: group.to_owned(),
        ..HeartbeatRequest::default()
    };
    loop {
        let find = FindCoordinatorRequest {
            key: group.to_owned(),
            ..FindCoordinatorRequest::default()
        };
        if wire.call(3, find).await.error_code == 0 {
            let answer = ErrorCode::from_code(wire.call(4, request.clone()).await.error_code);
            if answer == ErrorCode::UnknownMemberId {
                return;
            }
        }
        tokio::task::yield_now().await;
    }
}

/// The metadata of a member that wants one topic, as consumers write it: Kafka's coordinator reads it, too.
pub(crate) fn subscription(topic: &str) -> Bytes {
    let subscription = ConsumerProtocolSubscription {
        topics: vec![topic.to_owned()],
        ..Default::default()
    };
    encode_versioned(&subscription, 1).expect("version 1 carries topics")
}

/// One member of a group, on its own connection, which speaks the newest versions.
pub(crate) struct Member {
    pub(crate) wire: Wire,
    pub(crate) group: String,
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) metadata: Bytes,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
}

impl Member {
    /// A dynamic member that has not joined.
    pub(crate) async fn new(group: &str) -> Self {
        let mut wire = wire().await;
        coordinator_ready(&mut wire, group).await;
        let (id, metadata) = (String::new(), subscription("topic"));
        Self {
            wire,
            group: group.to_owned(),
            id,
            instance: None,
            metadata,
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
        }
    }

    /// A static member (KIP-345) that has not joined.
    pub(crate) async fn with_instance(group: &str, instance: &str) -> Self {
        Self {
            instance: Some(instance.to_owned()),
            ..Self::new(group).await
        }
    }

    /// Its JoinGroup, with one protocol `p` of the type `consumer`.
    pub(crate) fn join_request(&self) -> JoinGroupRequest {
        let protocol = JoinGroupRequestProtocol {
            name: "p".to_owned(),
            metadata: self.metadata.clone(),
        };
        JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: self.session_timeout_ms,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: vec![protocol],
            ..JoinGroupRequest::default()
        }
    }

    /// Asks for an id if it has none, so that its next join is one the broker keeps.
    pub(crate) async fn obtain_id(&mut self) {
        if self.id.is_empty() && self.instance.is_none() {
            let refused = self.wire.call(9, self.join_request()).await;
            assert_eq!(refused.error_code, code(ErrorCode::MemberIdRequired));
            self.id = refused.member_id;
        }
    }

    /// Sends JoinGroup and does not wait: the broker answers when the round is complete.
    pub(crate) async fn begin_join(&mut self) {
        self.obtain_id().await;
        let request = self.join_request();
        self.wire.send(9, request).await;
    }

    /// The answer to [`Member::begin_join`].
    pub(crate) async fn end_join(&mut self) -> JoinGroupResponse {
        let (_, joined) = self
            .wire
            .receive::<JoinGroupRequest>(9)
            .await
            .expect("an answer to JoinGroup");
        self.id.clone_from(&joined.member_id);
        joined
    }

    /// Joins and waits.
    pub(crate) async fn join(&mut self) -> JoinGroupResponse {
        self.begin_join().await;
        self.end_join().await
    }

    /// A SyncGroup of this member.
    pub(crate) fn sync_request(
        &self,
        generation: i32,
        assignments: &[(&str, &'static str)],
    ) -> SyncGroupRequest {
        let assignment = |(member, bytes): &(&str, &'static str)| SyncGroupRequestAssignment {
            member_id: (*member).to_owned(),
            assignment: Bytes::from_static(bytes.as_bytes()),
        };
        SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("p".to_owned()),
            assignments: assignments.iter().map(assignment).collect(),
        }
    }

    /// Syncs as leader (with assignments) or follower (without).
    pub(crate) async fn sync(
        &mut self,
        generation: i32,
        assignments: &[(&str, &'static str)],
    ) -> SyncGroupResponse {
        let request = self.sync_request(generation, assignments);
        self.wire.call(5, request).await
    }

    /// Joins alone and syncs: the group is stable with this member as its leader; returns the generation.
    pub(crate) async fn settle_alone(&mut self) -> i32 {
        let joined = self.join().await;
        assert_eq!(joined.error_code, 0);
        let id = self.id.clone();
        let synced = self.sync(joined.generation_id, &[(&id, "mine")]).await;
        assert_eq!(synced.error_code, 0);
        joined.generation_id
    }
}

/// A stable group of a leader and a follower; returns both and the generation.
pub(crate) async fn pair(group: &str) -> (Member, Member, i32) {
    pair_of(Member::new(group).await, Member::new(group).await).await
}

/// A stable group of these two, the first leading.
pub(crate) async fn pair_of(mut leader: Member, mut follower: Member) -> (Member, Member, i32) {
    let alone = leader.settle_alone().await;
    follower.begin_join().await;
    if follower.instance.is_some() {
        // A dynamic member is waited for since it was given its id; of a static one the broker must have heard.
        while crate::broker_groups::heartbeat(&mut leader, alone).await == 0 {}
    }
    let generation = leader.join().await.generation_id;
    follower.end_join().await;
    let (first, second) = (leader.id.clone(), follower.id.clone());
    leader
        .sync(generation, &[(&first, "first"), (&second, "second")])
        .await;
    assert_eq!(
        follower.sync(generation, &[]).await.assignment.as_ref(),
        b"second"
    );
    (leader, follower, generation)
}
