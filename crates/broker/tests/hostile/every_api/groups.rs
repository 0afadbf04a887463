//! What members of groups ask, and who looks at groups or removes them.

use super::*;

impl World {
    pub(super) fn commit(&self, version: i16) -> OffsetCommitRequest {
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

    pub(super) fn offset_fetch(&self, version: i16) -> OffsetFetchRequest {
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

    pub(super) fn find_coordinator(&self, version: i16) -> FindCoordinatorRequest {
        let groups = ["still", "stable"].map(String::from);
        FindCoordinatorRequest {
            key: named("still", version < 4),
            coordinator_keys: if version < 4 { vec![] } else { groups.to_vec() },
            ..Default::default()
        }
    }

    /// A static member, which is no member before it is told its id.
    pub(super) fn join(&self, version: i16, group: &str) -> JoinGroupRequest {
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

    pub(super) fn sync(&self, version: i16, group: &str, member: &Member) -> SyncGroupRequest {
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

    pub(super) fn heartbeat(&self, version: i16) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: "stable".into(),
            generation_id: self.stable.generation,
            member_id: self.stable.id.clone(),
            group_instance_id: since(version, 3, || "stable".into()),
        }
    }

    pub(super) fn leave(&self, version: i16) -> LeaveGroupRequest {
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

    pub(super) fn describe_groups(&self, version: i16) -> DescribeGroupsRequest {
        DescribeGroupsRequest {
            groups: ["still", "stable"].map(String::from).to_vec(),
            include_authorized_operations: version >= 3,
        }
    }

    pub(super) fn list_groups(&self, version: i16) -> ListGroupsRequest {
        ListGroupsRequest {
            states_filter: since(version, 4, || "Stable".into()).into_iter().collect(),
            types_filter: since(version, 5, || "classic".into()).into_iter().collect(),
        }
    }

    pub(super) fn delete_groups(&self) -> DeleteGroupsRequest {
        DeleteGroupsRequest {
            groups_names: vec!["still".into()],
        }
    }

    pub(super) fn offset_delete(&self) -> OffsetDeleteRequest {
        let partition = |partition_index| forget::OffsetDeleteRequestPartition { partition_index };
        OffsetDeleteRequest {
            group_id: "still".into(),
            topics: vec![forget::OffsetDeleteRequestTopic {
                name: "a".into(),
                partitions: [0, 1].map(partition).to_vec(),
            }],
        }
    }
}
