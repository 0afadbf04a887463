//! A subscription by pattern: which topics of the cluster match it. The engine knows the names and asks for a verdict on each
//! once; the driver knows the pattern. When metadata is asked for lives in the client.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::TopicPartition;
use kohort_groups::member::Event as MemberEvent;
use kohort_machine::{Instant, Token};

use super::engine::Timer;
use super::{Action, ConsumerEngine, MatchTopics, ToCaller};

/// A pattern, and what is known of the names.
#[derive(Debug)]
pub(super) struct PatternSubscription {
    pattern: Arc<str>,
    /// Every topic that was asked about and still exists, be it in error, and whether it matches.
    verdicts: BTreeMap<Arc<str>, bool>,
    /// The question that has no answer yet.
    open: Option<u64>,
    /// Whether the topics that match are known; the member is told of them, once the caller polls.
    is_settled: bool,
    /// Until when the topics are known well enough to join with.
    good_until: Option<Instant>,
    /// A JoinGroup that waits until they are.
    waiting: Option<Token>,
}

impl PatternSubscription {
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// The topics that match, be they in error.
    pub(super) fn matching(&self) -> impl Iterator<Item = Arc<str>> + '_ {
        let matching = self.verdicts.iter().filter(|(_, matches)| **matches);
        matching.map(|(name, _)| Arc::clone(name))
    }
}

impl ConsumerEngine {
    /// The subscription is replaced by a pattern. The group is joined when the topics of the whole cluster have been matched.
    // Kafka: ClassicKafkaConsumer.subscribeInternal, ConsumerCoordinator.poll (fresh metadata before the first join)
    pub(super) fn on_subscribe_pattern(&mut self, now: Instant, pattern: Arc<str>) {
        let waiting = self.pattern.take().and_then(|before| before.waiting);
        self.pattern = Some(PatternSubscription {
            pattern,
            verdicts: BTreeMap::new(),
            open: None,
            is_settled: false,
            good_until: None,
            waiting,
        });
        self.activate_membership();
        let was_whole = self.tracked.is_whole;
        self.track_topics(now);
        // Else they are asked for already.
        if was_whole {
            self.client.refresh_metadata(now);
        }
        self.match_topics(now);
    }

    /// The subscription is one by names from now on.
    pub(super) fn end_pattern(&mut self, now: Instant) {
        self.timers.cancel(&Timer::Names);
        if let Some(token) = self.pattern.take().and_then(|before| before.waiting) {
            self.member_event(now, MemberEvent::JoinAnew { token });
        }
    }

    /// Whether a JoinGroup has to wait until the topics were looked at again. Whoever notices a new topic makes the whole group
    /// join again; if the others look before they do, one rebalance is enough for all.
    // Kafka: ConsumerCoordinator.poll, "For consumer group that uses pattern-based subscription"
    pub(super) fn waits_for_names(&mut self, now: Instant, token: Token) -> bool {
        let Some(subscription) = &mut self.pattern else {
            return false;
        };
        if subscription.good_until.is_some_and(|until| until >= now) {
            return false;
        }
        subscription.waiting = Some(token);
        // Brokers that do not answer must not keep the group waiting, nor the session, which nothing keeps alive meanwhile.
        let session = self.config.group.as_ref().map(|group| group.session_timeout / 3);
        let patience = self.config.client.retry_backoff_max;
        let patience = session.map_or(patience, |session| patience.min(session));
        self.timers.set(Timer::Names, now + patience);
        self.client.refresh_metadata(now);
        true
    }

    /// The topics were looked at just now, or cannot be: the JoinGroup that waited for that is made.
    pub(super) fn on_names_good(&mut self, now: Instant) {
        let Some(subscription) = self.pattern.as_mut().filter(|_| self.closing.is_none()) else {
            return;
        };
        // Kafka: Metadata.timeToAllowUpdate
        subscription.good_until = Some(now + self.config.client.retry_backoff);
        if let Some(token) = subscription.waiting.take() {
            self.timers.cancel(&Timer::Names);
            self.member_event(now, MemberEvent::JoinAnew { token });
        }
    }

    /// Metadata came. A leader that moves on a big cluster is no reason to look at all names.
    pub(super) fn on_names_changed(&mut self, now: Instant, changed: bool) {
        if changed || self.pattern.as_ref().is_some_and(|it| !it.is_settled) {
            self.match_topics(now);
        }
        let is_whole = self.client.cluster().is_whole();
        if is_whole && self.pattern.as_ref().is_some_and(|it| it.open.is_none()) {
            self.on_names_good(now);
        }
    }

    /// Asks for a verdict on the topics that are new, and forgets those that are gone.
    // Kafka: ConsumerCoordinator.updatePatternSubscription, ConsumerMetadata.retainTopic
    fn match_topics(&mut self, now: Instant) {
        let Some(subscription) = self.pattern.as_mut().filter(|_| self.closing.is_none()) else {
            return;
        };
        let cluster = self.client.cluster();
        // Before that some topics are known, and a group joined for these would be joined again at once.
        if !cluster.is_whole() {
            return;
        }
        let excludes = self.config.exclude_internal_topics;
        let is_eligible = |name: &str| {
            let topic = cluster.topic(name);
            topic.is_some_and(|topic| !(excludes && topic.is_internal))
        };
        subscription.verdicts.retain(|name, _| is_eligible(name));
        let is_new = |name: &&Arc<str>| !subscription.verdicts.contains_key(*name) && is_eligible(name);
        let new: Vec<Arc<str>> = cluster
            .topics()
            .map(|topic| &topic.name)
            .filter(is_new)
            .cloned()
            .collect();
        if new.is_empty() {
            return self.apply_verdicts(now);
        }
        let step = self.questions;
        self.questions += 1;
        subscription.open = Some(step);
        self.outbox.push(Action::MatchTopics(Box::new(MatchTopics {
            step,
            pattern: Arc::clone(&subscription.pattern),
            topics: new,
        })));
    }

    /// The verdicts on the topics of a question.
    pub(super) fn on_topics_matched(&mut self, now: Instant, step: u64, verdicts: Vec<(Arc<str>, bool)>) {
        let Some(subscription) = &mut self.pattern else {
            return;
        };
        // A later question is about the same topics and more, or the pattern is another one.
        if subscription.open != Some(step) {
            return;
        }
        subscription.open = None;
        subscription.verdicts.extend(verdicts);
        self.apply_verdicts(now);
        self.on_names_good(now);
    }

    /// Subscribes to what matches; the member joins again if that differs from what it joined with.
    // Kafka: SubscriptionState.subscribeFromPattern
    fn apply_verdicts(&mut self, now: Instant) {
        let Some(subscription) = self.pattern.as_mut().filter(|_| self.closing.is_none()) else {
            return;
        };
        let cluster = self.client.cluster();
        let is_usable = |name: &Arc<str>| cluster.topic(name).is_some_and(|topic| topic.error.is_none());
        let matching: BTreeSet<Arc<str>> = subscription.matching().filter(|name| is_usable(name)).collect();
        if subscription.is_settled && matching == self.subscription {
            return self.track_topics(now);
        }
        subscription.is_settled = true;
        let topics: Vec<Arc<str>> = matching.iter().cloned().collect();
        self.subscription = matching;
        self.tell(ToCaller::Subscribed(topics));
        self.tell_subscription(now);
        self.track_topics(now);
    }

    /// The leader may know topics that this member does not, or have assigned for an older pattern of it: the topics are looked
    /// at again, and the member is told which match even if these are the same as before.
    // Kafka: ConsumerCoordinator.maybeUpdateJoinedSubscription, SubscriptionState.checkAssignmentMatchedSubscription
    pub(super) fn check_assigned(&mut self, now: Instant, assigned: &[TopicPartition]) {
        let is_known = |partition: &TopicPartition| self.subscription.contains(&partition.topic);
        if let Some(subscription) = &mut self.pattern
            && !assigned.iter().all(is_known)
        {
            subscription.is_settled = false;
            self.client.refresh_metadata(now);
        }
    }
}
