//! Commands that change topics.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_protocol::messages::create_partitions::CreatePartitionsTopic;
use kohort_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use kohort_protocol::messages::delete_topics::DeleteTopicState;
use kohort_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse,
};

use super::command::NewTopic;
use super::each::{Answers, Build, Each, always, when};
use super::reply::{AdminReply, CreatedTopic, Results};
use super::work::{Refused, millis};
use crate::client::{Cluster, Target};

/// CreateTopics.
// Kafka: KafkaAdminClient.createTopics
#[derive(Debug)]
pub(super) struct CreateTopics {
    pub(super) topics: BTreeMap<Arc<str>, NewTopic>,
    pub(super) validate_only: bool,
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(name, value): (&String, &String)| CreatableTopicConfig {
        name: name.clone(),
        value: Some(value.clone()),
    };
    CreatableTopic {
        name: topic.name.as_ref().into(),
        num_partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        configs: topic.configs.iter().map(config).collect(),
        ..Default::default()
    }
}

impl Each for CreateTopics {
    type Key = Arc<str>;
    type Value = CreatedTopic;
    type Request = CreateTopicsRequest;

    fn keys(&self) -> BTreeSet<Arc<str>> {
        self.topics.keys().cloned().collect()
    }

    fn target(&self, _: &Cluster, _: &Arc<str>) -> Option<Target> {
        Some(Target::Controller)
    }

    fn request(&self, topics: &[Arc<str>], timeout: Duration) -> Build<CreateTopicsRequest> {
        let wanted = topics.iter().filter_map(|name| self.topics.get(name));
        let request = CreateTopicsRequest {
            topics: wanted.map(creatable).collect(),
            timeout_ms: millis(timeout),
            validate_only: self.validate_only,
        };
        // KIP-464: versions before 4 have no defaults of the broker.
        let has_defaults = request
            .topics
            .iter()
            .any(|topic| topic.num_partitions < 0 || topic.replication_factor < 0);
        when(request, move |version| version >= 4 || !has_defaults)
    }

    fn read(
        &self,
        _: &[Arc<str>],
        _: Option<i32>,
        response: CreateTopicsResponse,
    ) -> Answers<Arc<str>, CreatedTopic> {
        let answers = response.topics.into_iter().map(|topic| {
            let answer = Refused::check(topic.error_code, topic.error_message).map(|()| CreatedTopic {
                id: Some(topic.topic_id).filter(|id| !id.is_zero()),
                partitions: Some(topic.num_partitions).filter(|count| *count >= 0),
                replication_factor: Some(topic.replication_factor).filter(|factor| *factor >= 0),
            });
            (topic.name.into(), answer)
        });
        answers.collect()
    }

    fn reply(results: Results<Arc<str>, CreatedTopic>) -> AdminReply {
        AdminReply::TopicsCreated(results)
    }
}

/// DeleteTopics.
// Kafka: KafkaAdminClient.handleDeleteTopicsUsingNames
#[derive(Debug)]
pub(super) struct DeleteTopics {
    pub(super) topics: BTreeSet<Arc<str>>,
}

impl Each for DeleteTopics {
    type Key = Arc<str>;
    type Value = ();
    type Request = DeleteTopicsRequest;

    fn keys(&self) -> BTreeSet<Arc<str>> {
        self.topics.clone()
    }

    fn target(&self, _: &Cluster, _: &Arc<str>) -> Option<Target> {
        Some(Target::Controller)
    }

    fn request(&self, topics: &[Arc<str>], timeout: Duration) -> Build<DeleteTopicsRequest> {
        let names: Vec<String> = topics.iter().map(|name| name.as_ref().into()).collect();
        alloc::boxed::Box::new(move |version| {
            let mut request = DeleteTopicsRequest {
                timeout_ms: millis(timeout),
                ..Default::default()
            };
            if version >= 6 {
                let state = |name| DeleteTopicState {
                    name: Some(name),
                    ..Default::default()
                };
                request.topics = names.iter().cloned().map(state).collect();
            } else {
                request.topic_names = names.clone();
            }
            Some(request)
        })
    }

    fn read(&self, _: &[Arc<str>], _: Option<i32>, response: DeleteTopicsResponse) -> Answers<Arc<str>, ()> {
        let answers = response.responses.into_iter().filter_map(|topic| {
            Some((
                topic.name?.into(),
                Refused::check(topic.error_code, topic.error_message),
            ))
        });
        answers.collect()
    }

    fn reply(results: Results<Arc<str>, ()>) -> AdminReply {
        AdminReply::Topics(results)
    }
}

/// CreatePartitions.
// Kafka: KafkaAdminClient.createPartitions
#[derive(Debug)]
pub(super) struct CreatePartitions {
    pub(super) totals: BTreeMap<Arc<str>, i32>,
    pub(super) validate_only: bool,
}

impl Each for CreatePartitions {
    type Key = Arc<str>;
    type Value = ();
    type Request = CreatePartitionsRequest;

    fn keys(&self) -> BTreeSet<Arc<str>> {
        self.totals.keys().cloned().collect()
    }

    fn target(&self, _: &Cluster, _: &Arc<str>) -> Option<Target> {
        Some(Target::Controller)
    }

    fn request(&self, topics: &[Arc<str>], timeout: Duration) -> Build<CreatePartitionsRequest> {
        let topic = |name: &Arc<str>| {
            Some(CreatePartitionsTopic {
                name: name.as_ref().into(),
                count: *self.totals.get(name)?,
                assignments: None,
            })
        };
        always(CreatePartitionsRequest {
            topics: topics.iter().filter_map(topic).collect(),
            timeout_ms: millis(timeout),
            validate_only: self.validate_only,
        })
    }

    fn read(
        &self,
        _: &[Arc<str>],
        _: Option<i32>,
        response: CreatePartitionsResponse,
    ) -> Answers<Arc<str>, ()> {
        let answers = response.results.into_iter().map(|topic| {
            (
                topic.name.into(),
                Refused::check(topic.error_code, topic.error_message),
            )
        });
        answers.collect()
    }

    fn reply(results: Results<Arc<str>, ()>) -> AdminReply {
        AdminReply::Topics(results)
    }
}
