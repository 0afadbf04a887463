//! Which topics the client keeps metadata for, and what a change of metadata sets in motion.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Instant;
use kohort_protocol::ErrorCode;

use super::jobs::JobKind;
use super::{ConsumerEngine, PollError, ToCaller};
use crate::client::{ClusterChange, TopicChange};

/// What metadata is kept for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tracked {
    /// The whole cluster, because any topic may match the pattern.
    pub(super) is_whole: bool,
    topics: BTreeSet<Arc<str>>,
}

impl ConsumerEngine {
    /// Has the client keep metadata for what is subscribed, assigned, watched by the member, or looked for; and for nothing
    /// else, unless there is a pattern.
    pub(super) fn track_topics(&mut self, now: Instant) {
        let mut topics: BTreeSet<Arc<str>> = self.partitions.topics();
        topics.extend(self.subscription.iter().cloned());
        if let Some(membership) = &self.membership {
            topics.extend(membership.topics());
        }
        for job in self.jobs.iter() {
            if let JobKind::Offsets(offsets) = &job.kind {
                topics.extend(offsets.topics().cloned());
            }
        }
        if let Some(pattern) = &self.pattern {
            topics.extend(pattern.matching());
        }
        let is_whole = self.pattern.is_some();
        let tracked = Tracked { is_whole, topics };
        if tracked == self.tracked {
            return;
        }
        self.tracked = tracked.clone();
        match is_whole {
            true => self.client.track_all_topics(now, tracked.topics),
            false => self.client.track_topics(now, tracked.topics),
        }
    }

    pub(super) fn on_cluster_change(&mut self, now: Instant, change: &ClusterChange) {
        self.report_topic_errors(change);
        if change.has_new_brokers {
            self.forget_gone_brokers();
        }
        // A new leader is worth a try at once.
        let led_anew = change.topics.iter().filter_map(|topic| match topic {
            TopicChange::Leaders(name, _) | TopicChange::Appeared(name) | TopicChange::Recreated(name) => {
                Some(name)
            }
            _ => None,
        });
        let led_anew: BTreeSet<&Arc<str>> = led_anew.collect();
        if !led_anew.is_empty() {
            for (_, assigned) in self.partitions.iter_mut() {
                if led_anew.contains(&assigned.partition.topic) {
                    assigned.not_before = now;
                }
            }
        }
        let comes_or_goes = |topic: &TopicChange| {
            matches!(
                topic,
                TopicChange::Appeared(_)
                    | TopicChange::Failed(..)
                    | TopicChange::Gone(_)
                    | TopicChange::Recreated(_)
            )
        };
        self.on_names_changed(now, change.topics.iter().any(comes_or_goes));
        self.on_group_metadata(now, change.has_new_brokers || !change.topics.is_empty());
        for id in self
            .jobs
            .ids(|job| matches!(job.kind, JobKind::Offsets(_)) && !job.is_waiting())
        {
            self.attempt(now, id);
        }
    }

    // Kafka: Metadata.maybeThrowAnyException
    fn report_topic_errors(&mut self, change: &ClusterChange) {
        if !change
            .topics
            .iter()
            .any(|topic| matches!(topic, TopicChange::Failed(..)))
        {
            return;
        }
        let assigned = self.partitions.topics();
        let failed = |wanted: ErrorCode| {
            let failed = change.topics.iter().filter_map(|topic| match topic {
                TopicChange::Failed(name, code) if *code == wanted => Some(Arc::clone(name)),
                _ => None,
            });
            let wanted = |name: &Arc<str>| self.subscription.contains(name) || assigned.contains(name);
            failed.filter(wanted).collect::<Vec<_>>()
        };
        let invalid = failed(ErrorCode::InvalidTopicException);
        let unauthorized = failed(ErrorCode::TopicAuthorizationFailed);
        if !invalid.is_empty() {
            self.tell(ToCaller::Failed(PollError::InvalidTopics { topics: invalid }));
        }
        if !unauthorized.is_empty() {
            self.tell(ToCaller::Failed(PollError::TopicAuthorization {
                topics: unauthorized,
            }));
        }
    }
}
