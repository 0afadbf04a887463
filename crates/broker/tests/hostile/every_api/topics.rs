//! What is asked of topics, their records and settings, and of the broker itself.

use super::*;

impl World {
    pub(super) fn produce(&self, version: i16) -> ProduceRequest {
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

    pub(super) fn fetch(&self, version: i16) -> FetchRequest {
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

    pub(super) fn list_offsets(&self) -> ListOffsetsRequest {
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
    pub(super) fn metadata(&self) -> MetadataRequest {
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

    pub(super) fn api_versions(&self) -> ApiVersionsRequest {
        ApiVersionsRequest {
            client_software_name: "hostile".into(),
            client_software_version: "1.0".into(),
        }
    }

    pub(super) fn create_topics(&self) -> CreateTopicsRequest {
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

    pub(super) fn delete_topics(&self, version: i16) -> DeleteTopicsRequest {
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

    pub(super) fn delete_records(&self) -> DeleteRecordsRequest {
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

    pub(super) fn init_producer_id(&self) -> InitProducerIdRequest {
        InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        }
    }

    pub(super) fn leader_epochs(&self, version: i16) -> OffsetForLeaderEpochRequest {
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

    pub(super) fn describe_configs(&self) -> DescribeConfigsRequest {
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

    pub(super) fn alter_configs(&self) -> AlterConfigsRequest {
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

    pub(super) fn incremental_alter_configs(&self) -> IncrementalAlterConfigsRequest {
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

    pub(super) fn describe_log_dirs(&self) -> DescribeLogDirsRequest {
        DescribeLogDirsRequest {
            topics: Some(vec![dirs::DescribableLogDirTopic {
                topic: "a".into(),
                partitions: vec![0, 1],
            }]),
        }
    }

    pub(super) fn create_partitions(&self) -> CreatePartitionsRequest {
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

    pub(super) fn reassignments(&self) -> ListPartitionReassignmentsRequest {
        ListPartitionReassignmentsRequest {
            timeout_ms: 1_000,
            topics: Some(vec![moves::ListPartitionReassignmentsTopics {
                name: "a".into(),
                partition_indexes: vec![0, 1],
            }]),
        }
    }

    pub(super) fn describe_cluster(&self, version: i16) -> DescribeClusterRequest {
        DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            include_fenced_brokers: version >= 2,
            ..Default::default()
        }
    }

    pub(super) fn describe_producers(&self) -> DescribeProducersRequest {
        DescribeProducersRequest {
            topics: vec![producers::TopicRequest {
                name: "a".into(),
                partition_indexes: vec![0, 1],
            }],
        }
    }

    pub(super) fn describe_topic_partitions(&self) -> DescribeTopicPartitionsRequest {
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
