//! Commands on topics and on the cluster.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_protocol::messages::create_partitions::CreatePartitionsTopic;
use kohort_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig};
use kohort_protocol::messages::delete_topics::DeleteTopicState;
use kohort_protocol::messages::metadata::MetadataRequestTopic;
use kohort_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, MetadataRequest, MetadataResponse,
};
use kohort_protocol::{ApiKey, ErrorCode, ResponseBody};

use super::command::{NewPartitions, NewTopic};
use super::error::AdminError;
use super::reply::{AdminReply, ClusterDescription, CreatedTopic, Results, TopicListing};
use super::work::{Answer, Ask, Item, Work, millis, names};
use crate::client::{Cluster, Target, Topic};

fn take_names(items: &mut BTreeSet<Item>) -> Vec<Item> {
    core::mem::take(items).into_iter().collect()
}

/// CreateTopics.
#[derive(Debug)]
pub(super) struct CreateTopics {
    topics: BTreeMap<Arc<str>, NewTopic>,
    validate_only: bool,
    results: Results<Arc<str>, CreatedTopic>,
}

impl CreateTopics {
    pub(super) fn new(topics: Vec<NewTopic>, validate_only: bool) -> Self {
        Self {
            topics: topics
                .into_iter()
                .map(|topic| (topic.name.clone(), topic))
                .collect(),
            validate_only,
            results: BTreeMap::new(),
        }
    }
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

impl Work for CreateTopics {
    fn items(&self) -> BTreeSet<Item> {
        self.topics.keys().cloned().map(Item::Name).collect()
    }

    // Kafka: KafkaAdminClient.createTopics
    fn plan(&self, _: &Cluster, pending: &mut BTreeSet<Item>, timeout: Duration) -> Vec<Ask> {
        let items = take_names(pending);
        let wanted = self
            .topics
            .values()
            .filter(|topic| items.contains(&Item::Name(topic.name.clone())));
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
        alloc::vec![Ask {
            target: Target::Controller,
            api: ApiKey::CreateTopics,
            build: Box::new(move |version| (version >= 4 || !has_defaults).then(|| request.clone().into())),
            items,
        }]
    }

    fn read(&mut self, _: &[Item], _: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let response = CreateTopicsResponse::try_from(response).unwrap_or_default();
        let mut answers = Vec::new();
        for topic in response.topics {
            let name: Arc<str> = topic.name.into();
            let answer = Answer::refused(topic.error_code, topic.error_message);
            if answer.is_none() {
                let created = CreatedTopic {
                    id: Some(topic.topic_id).filter(|id| !id.is_zero()),
                    partitions: Some(topic.num_partitions).filter(|count| *count >= 0),
                    replication_factor: Some(topic.replication_factor).filter(|factor| *factor >= 0),
                };
                self.results.insert(name.clone(), Ok(created));
            }
            answers.push((Item::Name(name), answer.unwrap_or(Answer::Done)));
        }
        answers
    }

    fn fail(&mut self, item: Item, error: AdminError) {
        if let Item::Name(name) = item {
            self.results.insert(name, Err(error));
        }
    }

    fn finish(self: Box<Self>) -> AdminReply {
        AdminReply::TopicsCreated(self.results)
    }
}

/// DeleteTopics.
#[derive(Debug)]
pub(super) struct DeleteTopics {
    topics: BTreeSet<Arc<str>>,
    results: Results<Arc<str>, ()>,
}

impl DeleteTopics {
    pub(super) fn new(topics: Vec<Arc<str>>) -> Self {
        Self {
            topics: topics.into_iter().collect(),
            results: BTreeMap::new(),
        }
    }
}

impl Work for DeleteTopics {
    fn items(&self) -> BTreeSet<Item> {
        self.topics.iter().cloned().map(Item::Name).collect()
    }

    // Kafka: KafkaAdminClient.handleDeleteTopicsUsingNames
    fn plan(&self, _: &Cluster, pending: &mut BTreeSet<Item>, timeout: Duration) -> Vec<Ask> {
        let items = take_names(pending);
        let topic_names = names(&items);
        let build = Box::new(move |version| {
            let mut request = DeleteTopicsRequest {
                timeout_ms: millis(timeout),
                ..Default::default()
            };
            if version >= 6 {
                let state = |name| DeleteTopicState {
                    name: Some(name),
                    ..Default::default()
                };
                request.topics = topic_names.iter().cloned().map(state).collect();
            } else {
                request.topic_names = topic_names.clone();
            }
            Some(request.into())
        });
        alloc::vec![Ask {
            target: Target::Controller,
            api: ApiKey::DeleteTopics,
            build,
            items,
        }]
    }

    fn read(&mut self, _: &[Item], _: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let response = DeleteTopicsResponse::try_from(response).unwrap_or_default();
        let answers = response
            .responses
            .into_iter()
            .filter_map(|it| Some((it.name?, it.error_code, it.error_message)));
        read_unit(&mut self.results, answers)
    }

    fn fail(&mut self, item: Item, error: AdminError) {
        if let Item::Name(name) = item {
            self.results.insert(name, Err(error));
        }
    }

    fn finish(self: Box<Self>) -> AdminReply {
        AdminReply::Topics(self.results)
    }
}

/// Notes results that say nothing but whether it was done.
pub(super) fn read_unit(
    results: &mut Results<Arc<str>, ()>,
    answers: impl Iterator<Item = (String, i16, Option<String>)>,
) -> Vec<(Item, Answer)> {
    answers
        .map(|(name, error_code, message)| {
            let name: Arc<str> = name.into();
            let answer = Answer::refused(error_code, message).unwrap_or(Answer::Done);
            if answer == Answer::Done {
                results.insert(name.clone(), Ok(()));
            }
            (Item::Name(name), answer)
        })
        .collect()
}

/// CreatePartitions.
#[derive(Debug)]
pub(super) struct CreatePartitions {
    totals: BTreeMap<Arc<str>, i32>,
    validate_only: bool,
    results: Results<Arc<str>, ()>,
}

impl CreatePartitions {
    pub(super) fn new(topics: Vec<NewPartitions>, validate_only: bool) -> Self {
        Self {
            totals: topics.into_iter().map(|it| (it.topic, it.total)).collect(),
            validate_only,
            results: BTreeMap::new(),
        }
    }
}

impl Work for CreatePartitions {
    fn items(&self) -> BTreeSet<Item> {
        self.totals.keys().cloned().map(Item::Name).collect()
    }

    // Kafka: KafkaAdminClient.createPartitions
    fn plan(&self, _: &Cluster, pending: &mut BTreeSet<Item>, timeout: Duration) -> Vec<Ask> {
        let items = take_names(pending);
        let wanted = self
            .totals
            .iter()
            .filter(|(name, _)| items.contains(&Item::Name((*name).clone())));
        let topic = |(name, count): (&Arc<str>, &i32)| CreatePartitionsTopic {
            name: name.as_ref().into(),
            count: *count,
            assignments: None,
        };
        let request = CreatePartitionsRequest {
            topics: wanted.map(topic).collect(),
            timeout_ms: millis(timeout),
            validate_only: self.validate_only,
        };
        alloc::vec![Ask {
            target: Target::Controller,
            api: ApiKey::CreatePartitions,
            build: Box::new(move |_| Some(request.clone().into())),
            items,
        }]
    }

    fn read(&mut self, _: &[Item], _: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let response = CreatePartitionsResponse::try_from(response).unwrap_or_default();
        let answers = response
            .results
            .into_iter()
            .map(|it| (it.name, it.error_code, it.error_message));
        read_unit(&mut self.results, answers)
    }

    fn fail(&mut self, item: Item, error: AdminError) {
        if let Item::Name(name) = item {
            self.results.insert(name, Err(error));
        }
    }

    fn finish(self: Box<Self>) -> AdminReply {
        AdminReply::Topics(self.results)
    }
}

/// A Metadata request that creates nothing; `None` asks for all topics.
fn metadata(topics: Option<Vec<String>>, items: Vec<Item>) -> Ask {
    let named = |name| MetadataRequestTopic {
        name: Some(name),
        ..Default::default()
    };
    let request = MetadataRequest {
        topics: topics.map(|topics| topics.into_iter().map(named).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    Ask {
        target: Target::Any,
        api: ApiKey::Metadata,
        // Versions before 4 might create the topics.
        build: Box::new(move |version| (version >= 4).then(|| request.clone().into())),
        items,
    }
}

/// What a Metadata response says, read as a cluster of its own.
fn cluster_of(response: ResponseBody) -> Result<Cluster, Answer> {
    let response = MetadataResponse::try_from(response).unwrap_or_default();
    match Answer::refused(response.error_code, None) {
        Some(refused) => Err(refused),
        None => Ok(Cluster::from(response)),
    }
}

/// ListTopics and DescribeCluster: one request, one result.
#[derive(Debug)]
pub(super) struct Listing {
    is_cluster_wanted: bool,
    include_internal: bool,
    found: Result<Cluster, AdminError>,
}

impl Listing {
    pub(super) fn topics(include_internal: bool) -> Self {
        Self {
            is_cluster_wanted: false,
            include_internal,
            found: Ok(Cluster::default()),
        }
    }

    pub(super) fn cluster() -> Self {
        Self {
            is_cluster_wanted: true,
            include_internal: false,
            found: Ok(Cluster::default()),
        }
    }
}

impl Work for Listing {
    fn items(&self) -> BTreeSet<Item> {
        BTreeSet::from([Item::Whole])
    }

    fn plan(&self, _: &Cluster, pending: &mut BTreeSet<Item>, _: Duration) -> Vec<Ask> {
        let topics = self.is_cluster_wanted.then(Vec::new);
        alloc::vec![metadata(topics, take_names(pending))]
    }

    fn read(&mut self, _: &[Item], _: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let answer = match cluster_of(response) {
            Ok(cluster) => {
                self.found = Ok(cluster);
                Answer::Done
            }
            Err(refused) => refused,
        };
        alloc::vec![(Item::Whole, answer)]
    }

    fn fail(&mut self, _: Item, error: AdminError) {
        self.found = Err(error);
    }

    fn finish(self: Box<Self>) -> AdminReply {
        if self.is_cluster_wanted {
            return AdminReply::ClusterDescribed(self.found.map(|cluster| ClusterDescription {
                id: cluster.id().map(String::from),
                controller: cluster.controller(),
                brokers: cluster.brokers().cloned().collect(),
            }));
        }
        let is_wanted =
            |topic: &&Topic| topic.error.is_none() && (self.include_internal || !topic.is_internal);
        AdminReply::TopicsListed(self.found.map(|cluster| {
            let listing = |topic: &Topic| TopicListing {
                name: topic.name.clone(),
                id: topic.id,
                is_internal: topic.is_internal,
            };
            cluster.topics().filter(is_wanted).map(listing).collect()
        }))
    }
}

/// DescribeTopics.
#[derive(Debug)]
pub(super) struct DescribeTopics {
    topics: BTreeSet<Arc<str>>,
    results: Results<Arc<str>, Topic>,
}

impl DescribeTopics {
    pub(super) fn new(topics: Vec<Arc<str>>) -> Self {
        Self {
            topics: topics.into_iter().collect(),
            results: BTreeMap::new(),
        }
    }
}

impl Work for DescribeTopics {
    fn items(&self) -> BTreeSet<Item> {
        self.topics.iter().cloned().map(Item::Name).collect()
    }

    fn plan(&self, _: &Cluster, pending: &mut BTreeSet<Item>, _: Duration) -> Vec<Ask> {
        let items = take_names(pending);
        alloc::vec![metadata(Some(names(&items)), items)]
    }

    fn is_retriable(&self, error: ErrorCode) -> bool {
        error == ErrorCode::LeaderNotAvailable
    }

    fn read(&mut self, asked: &[Item], _: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let cluster = match cluster_of(response) {
            Ok(cluster) => cluster,
            Err(refused) => return asked.iter().map(|item| (item.clone(), refused.clone())).collect(),
        };
        let mut answers = Vec::new();
        for topic in cluster.topics() {
            let answer = match topic.error {
                Some(error) => Answer::Refused { error, message: None },
                None => {
                    self.results.insert(topic.name.clone(), Ok(topic.clone()));
                    Answer::Done
                }
            };
            answers.push((Item::Name(topic.name.clone()), answer));
        }
        answers
    }

    fn fail(&mut self, item: Item, error: AdminError) {
        if let Item::Name(name) = item {
            self.results.insert(name, Err(error));
        }
    }

    fn finish(self: Box<Self>) -> AdminReply {
        AdminReply::TopicsDescribed(self.results)
    }
}
