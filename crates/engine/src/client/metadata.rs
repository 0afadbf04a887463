//! When metadata is asked for, and for which topics. What it says lives in `cluster`.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::{Backoff, Instant, Prng};
use kohort_protocol::messages::MetadataRequest;
use kohort_protocol::messages::metadata::MetadataRequestTopic;

use super::cluster::Cluster;
use super::request::Body;

/// The topics that metadata is kept for; none means all.
pub(super) type TrackedTopics = Option<BTreeSet<Arc<str>>>;

#[derive(Debug)]
pub(super) struct Refresh {
    backoff: Backoff,
    max_age: Duration,
    tracked: TrackedTopics,
    /// Those whose errors matter while all topics are tracked.
    needed: BTreeSet<Arc<str>>,
    /// What the request under way asks for.
    asked: Option<TrackedTopics>,
    is_wanted: bool,
    /// Wanted again while a request is under way, which may miss what it is wanted for.
    is_wanted_again: bool,
    /// New topics do not wait for the backoff.
    is_urgent: bool,
    not_before: Instant,
    expires: Option<Instant>,
    /// Refreshes in a row that failed or left something open.
    failures: u32,
    /// Since when no refresh succeeded, though one was tried.
    failing_since: Option<Instant>,
    last_failure: Option<String>,
}

impl Refresh {
    pub(super) fn new(backoff: Backoff, max_age: Duration) -> Self {
        Self {
            backoff,
            max_age,
            tracked: Some(BTreeSet::new()),
            needed: BTreeSet::new(),
            asked: None,
            is_wanted: false,
            is_wanted_again: false,
            is_urgent: false,
            not_before: Instant::ZERO,
            expires: None,
            failures: 0,
            failing_since: None,
            last_failure: None,
        }
    }

    pub(super) fn last_failure(&self) -> Option<&String> {
        self.last_failure.as_ref()
    }

    /// Refreshes in a row that failed or left something open.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn failing_since(&self) -> Option<Instant> {
        self.failing_since
    }

    /// Makes the next refresh come as soon as the backoff allows.
    pub(super) fn want(&mut self) {
        match self.asked {
            Some(_) => self.is_wanted_again = true,
            None => self.is_wanted = true,
        }
    }

    /// Wants a refresh unless one is under way already.
    pub(super) fn want_any(&mut self) {
        if self.asked.is_none() {
            self.is_wanted = true;
        }
    }

    /// Changes what is tracked. Topics that are new are asked for at once.
    // Kafka: Metadata.requestUpdateForNewTopics
    pub(super) fn track(&mut self, tracked: TrackedTopics) {
        let is_larger = match (&self.tracked, &tracked) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(old), Some(new)) => !new.is_subset(old),
        };
        if self.tracked != tracked {
            self.tracked = tracked;
            self.is_urgent |= is_larger;
            self.want();
        }
    }

    /// Says of which topics an error matters while all are tracked.
    pub(super) fn need(&mut self, needed: BTreeSet<Arc<str>>) {
        self.needed = needed;
    }

    pub(super) fn track_also(&mut self, topic: Arc<str>) {
        if let Some(tracked) = &mut self.tracked
            && tracked.insert(topic)
        {
            self.is_urgent = true;
            self.want();
        }
    }

    /// When to ask next; none while a request is under way or nothing was ever wanted.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.asked.is_some() {
            return None;
        }
        match (self.is_wanted, self.is_urgent) {
            (true, true) => Some(Instant::ZERO),
            (true, false) => Some(self.not_before),
            (false, _) => self.expires,
        }
    }

    /// The request to send now.
    pub(super) fn ask(&mut self, now: Instant, allow_auto_topic_creation: bool) -> Body {
        self.is_wanted = false;
        self.is_wanted_again = false;
        self.is_urgent = false;
        self.failing_since = self.failing_since.or(Some(now));
        self.asked = Some(self.tracked.clone());
        let topics = self.tracked.clone();
        Body::PerVersion(Box::new(move |version| {
            let topics = topics
                .clone()
                .map(|topics| topics.into_iter().map(named).collect::<Vec<_>>());
            // Version 0 says "all" by an empty list, and knows no other way.
            let topics = if version == 0 {
                Some(topics.unwrap_or_default())
            } else {
                topics
            };
            let request = MetadataRequest {
                topics,
                allow_auto_topic_creation,
                ..Default::default()
            };
            (version >= 4 || allow_auto_topic_creation).then(|| request.into())
        }))
    }

    /// What the response just received was asked for.
    pub(super) fn asked(&self) -> TrackedTopics {
        self.asked.clone().unwrap_or_else(|| self.tracked.clone())
    }

    pub(super) fn on_success(&mut self, now: Instant, cluster: &Cluster, prng: &mut Prng) {
        // Topics that are no longer tracked do not keep the client asking.
        let is_needed = |name: &Arc<str>| self.tracked.is_some() || self.needed.contains(name);
        let mut topics = cluster.topics().filter(|topic| is_needed(&topic.name));
        let open = topics.find_map(|topic| {
            let leaderless = || topic.partitions.values().find_map(|partition| partition.error);
            topic
                .error
                .or_else(leaderless)
                .filter(|error| error.refreshes_metadata())
                .map(|error| alloc::format!("topic {}: {error}", topic.name))
        });
        self.failing_since = None;
        self.expires = Some(now + self.max_age);
        self.finish(now, open, prng);
    }

    pub(super) fn on_failure(&mut self, now: Instant, reason: String, prng: &mut Prng) {
        self.finish(now, Some(reason), prng);
    }

    // Kafka: Metadata.timeToAllowUpdate
    fn finish(&mut self, now: Instant, open: Option<String>, prng: &mut Prng) {
        self.asked = None;
        self.failures = match open {
            Some(_) => self.failures.saturating_add(1),
            None => 0,
        };
        self.is_wanted = open.is_some() || self.is_wanted_again;
        self.is_wanted_again = false;
        self.last_failure = open;
        self.not_before = now + self.backoff.delay(self.failures.max(1), prng);
    }
}

fn named(topic: Arc<str>) -> MetadataRequestTopic {
    MetadataRequestTopic {
        name: Some(topic.as_ref().into()),
        ..Default::default()
    }
}
