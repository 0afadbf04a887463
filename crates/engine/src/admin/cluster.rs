//! Commands that read metadata: of the cluster, of topics.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_protocol::ErrorCode;
use kohort_protocol::messages::metadata::MetadataRequestTopic;
use kohort_protocol::messages::{MetadataRequest, MetadataResponse};

use super::each::{Answers, Build, Each, of_all, when, whole};
use super::reply::{AdminReply, ClusterDescription, Results, TopicListing};
use super::work::Refused;
use crate::client::{Cluster, Target, Topic};

/// A Metadata request that creates nothing; `None` asks for all topics.
fn metadata(topics: Option<&[Arc<str>]>) -> Build<MetadataRequest> {
    let named = |name: &Arc<str>| MetadataRequestTopic {
        name: Some(name.as_ref().into()),
        ..Default::default()
    };
    let request = MetadataRequest {
        topics: topics.map(|topics| topics.iter().map(named).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    // Versions before 4 might create the topics.
    when(request, |version| version >= 4)
}

/// What a response says, read as a cluster of its own.
fn cluster_of(response: MetadataResponse) -> Result<Cluster, Refused> {
    Refused::check(response.error_code, None).map(|()| Cluster::from(response))
}

/// ListTopics.
#[derive(Debug)]
pub(super) struct ListTopics {
    pub(super) include_internal: bool,
}

impl Each for ListTopics {
    type Key = ();
    type Value = Vec<TopicListing>;
    type Request = MetadataRequest;

    fn keys(&self) -> BTreeSet<()> {
        BTreeSet::from([()])
    }

    fn target(&self, _: &Cluster, (): &()) -> Option<Target> {
        Some(Target::Any)
    }

    fn request(&self, _: &[()], _: Duration) -> Build<MetadataRequest> {
        metadata(None)
    }

    fn read(&self, _: &[()], _: Option<i32>, response: MetadataResponse) -> Answers<(), Vec<TopicListing>> {
        let is_wanted =
            |topic: &&Topic| topic.error.is_none() && (self.include_internal || !topic.is_internal);
        let listing = |topic: &Topic| TopicListing {
            name: topic.name.clone(),
            id: topic.id,
            is_internal: topic.is_internal,
        };
        let list = |cluster: Cluster| cluster.topics().filter(is_wanted).map(listing).collect();
        alloc::vec![((), cluster_of(response).map(list))]
    }

    fn reply(results: Results<(), Vec<TopicListing>>) -> AdminReply {
        AdminReply::TopicsListed(whole(results))
    }
}

/// DescribeCluster.
#[derive(Debug)]
pub(super) struct DescribeCluster;

impl Each for DescribeCluster {
    type Key = ();
    type Value = ClusterDescription;
    type Request = MetadataRequest;

    fn keys(&self) -> BTreeSet<()> {
        BTreeSet::from([()])
    }

    fn target(&self, _: &Cluster, (): &()) -> Option<Target> {
        Some(Target::Any)
    }

    fn request(&self, _: &[()], _: Duration) -> Build<MetadataRequest> {
        metadata(Some(&[]))
    }

    fn read(&self, _: &[()], _: Option<i32>, response: MetadataResponse) -> Answers<(), ClusterDescription> {
        let describe = |cluster: Cluster| ClusterDescription {
            id: cluster.id().map(String::from),
            controller: cluster.controller(),
            brokers: cluster.brokers().cloned().collect(),
        };
        alloc::vec![((), cluster_of(response).map(describe))]
    }

    fn reply(results: Results<(), ClusterDescription>) -> AdminReply {
        AdminReply::ClusterDescribed(whole(results))
    }
}

/// DescribeTopics.
#[derive(Debug)]
pub(super) struct DescribeTopics {
    pub(super) topics: BTreeSet<Arc<str>>,
}

impl Each for DescribeTopics {
    type Key = Arc<str>;
    type Value = Topic;
    type Request = MetadataRequest;

    fn keys(&self) -> BTreeSet<Arc<str>> {
        self.topics.clone()
    }

    fn target(&self, _: &Cluster, _: &Arc<str>) -> Option<Target> {
        Some(Target::Any)
    }

    fn request(&self, topics: &[Arc<str>], _: Duration) -> Build<MetadataRequest> {
        metadata(Some(topics))
    }

    fn is_retriable(&self, error: ErrorCode) -> bool {
        error == ErrorCode::LeaderNotAvailable
    }

    fn read(
        &self,
        asked: &[Arc<str>],
        _: Option<i32>,
        response: MetadataResponse,
    ) -> Answers<Arc<str>, Topic> {
        let cluster = match cluster_of(response) {
            Ok(cluster) => cluster,
            Err(refused) => return of_all(asked, &refused),
        };
        let answer = |topic: &Topic| {
            let answer = match topic.error {
                Some(error) => Err(Refused { error, message: None }),
                None => Ok(topic.clone()),
            };
            (topic.name.clone(), answer)
        };
        cluster.topics().map(answer).collect()
    }

    fn reply(results: Results<Arc<str>, Topic>) -> AdminReply {
        AdminReply::TopicsDescribed(results)
    }
}
