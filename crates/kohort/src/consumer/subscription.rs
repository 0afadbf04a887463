//! What is read: subscribe, assign, unsubscribe.

use std::collections::BTreeSet;
use std::sync::Arc;

use kohort_engine::consumer::{Change, Command};
use kohort_groups::TopicPartition;

use super::closing::leave;
use super::pattern::TopicPattern;
use super::{CloseError, Consumer, Interest, RebalanceListener, SubscribeError};

impl<K, V> Consumer<K, V> {
    /// Reads these topics as a member of the group; replaces an earlier subscription and its listener. The group is joined by
    /// `poll`.
    ///
    /// # Errors
    /// Without `group.id`, without a topic, or after `assign` or `subscribe_pattern`.
    // Kafka: KafkaConsumer.subscribe
    pub fn subscribe<T: Into<Arc<str>>>(
        &mut self,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<(), SubscribeError> {
        let topics: BTreeSet<Arc<str>> = topics.into_iter().map(Into::into).collect();
        let is_compatible = matches!(self.core.interest, Interest::Nothing | Interest::Topics(_));
        self.check_subscribing(is_compatible)?;
        if topics.is_empty() || topics.iter().any(|topic| topic.trim().is_empty()) {
            return Err(SubscribeError::NoTopic);
        }
        let wanted: Vec<Arc<str>> = topics.iter().cloned().collect();
        self.core.is_unsubscribing = false;
        self.core.subscribing = Some(wanted.clone());
        self.core.change(Change::Subscribe { topics: wanted });
        self.core.interest = Interest::Topics(topics);
        self.listener = None;
        Ok(())
    }

    /// As [`subscribe`](Self::subscribe), with a listener.
    ///
    /// # Errors
    /// As `subscribe`.
    pub fn subscribe_with<T: Into<Arc<str>>>(
        &mut self,
        topics: impl IntoIterator<Item = T>,
        listener: impl RebalanceListener,
    ) -> Result<(), SubscribeError> {
        self.subscribe(topics)?;
        self.listener = Some(Box::new(listener));
        Ok(())
    }

    /// Reads the topics whose names match this regular expression as a whole, as a member of the group; replaces an earlier
    /// pattern and its listener. The group is joined by `poll`.
    ///
    /// The client asks for the metadata of *all* topics of the cluster, at the start, every `metadata.max.age.ms`, and when an
    /// error shows that what it knows is old; it matches each name once, and joins the group again when a topic that matches was
    /// created or deleted. So a new topic is read after at most `metadata.max.age.ms` (5 minutes by default), and each member
    /// of the group pays for its own copy of the metadata. On a cluster of many topics prefer [`subscribe`](Self::subscribe);
    /// `docs/subscribing.md` has figures. Kafka's own topics, such as `__consumer_offsets`, match only with
    /// `exclude.internal.topics=false`.
    ///
    /// The syntax is that of the crate [`regex`](https://docs.rs/regex/latest/regex/#syntax): most of Java's `Pattern`, without
    /// look-around and back-references, which are refused here.
    ///
    /// # Errors
    /// Without `group.id`, when the pattern is none, or after `assign` or `subscribe`.
    ///
    /// ```no_run
    /// # fn example(mut consumer: kohort::Consumer<String, String>) -> Result<(), kohort::consumer::SubscribeError> {
    /// consumer.subscribe_pattern("purchase.*")?;
    /// # Ok(())
    /// # }
    /// ```
    // Kafka: KafkaConsumer.subscribe(Pattern)
    pub fn subscribe_pattern(&mut self, pattern: &str) -> Result<(), SubscribeError> {
        let is_compatible = matches!(self.core.interest, Interest::Nothing | Interest::Pattern(_));
        self.check_subscribing(is_compatible)?;
        let pattern = TopicPattern::new(pattern)?;
        if self.core.interest != Interest::Pattern(Arc::clone(&pattern.text)) {
            self.core.delivery.forget_subscribed();
        }
        self.core.is_unsubscribing = false;
        self.core.subscribing = None;
        self.core.interest = Interest::Pattern(Arc::clone(&pattern.text));
        self.core.channel.give_pattern(pattern);
        self.listener = None;
        Ok(())
    }

    /// As [`subscribe_pattern`](Self::subscribe_pattern), with a listener.
    ///
    /// # Errors
    /// As `subscribe_pattern`.
    pub fn subscribe_pattern_with(
        &mut self,
        pattern: &str,
        listener: impl RebalanceListener,
    ) -> Result<(), SubscribeError> {
        self.subscribe_pattern(pattern)?;
        self.listener = Some(Box::new(listener));
        Ok(())
    }

    fn check_subscribing(&self, is_compatible: bool) -> Result<(), SubscribeError> {
        if self.group_id().is_none() {
            return Err(SubscribeError::NoGroup);
        }
        match is_compatible {
            true => Ok(()),
            false => Err(SubscribeError::Exclusive),
        }
    }

    /// Reads exactly these partitions, without a group's coordination; replaces an earlier assignment. Partitions that stay
    /// keep their position. No partition at all reads nothing.
    ///
    /// # Errors
    /// After `subscribe`, or when one is no partition.
    // Kafka: KafkaConsumer.assign
    pub fn assign(
        &mut self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), SubscribeError> {
        let partitions: Vec<TopicPartition> = partitions.into_iter().collect();
        if matches!(self.core.interest, Interest::Topics(_) | Interest::Pattern(_)) {
            return Err(SubscribeError::Exclusive);
        }
        if let Some(wrong) = partitions
            .iter()
            .find(|p| p.partition < 0 || p.topic.trim().is_empty())
        {
            return Err(SubscribeError::NoPartition(wrong.clone()));
        }
        let change = self.core.delivery.assign(&partitions);
        self.core.change(change);
        self.core.is_unsubscribing = false;
        self.core.interest = match partitions.is_empty() {
            true => Interest::Nothing,
            false => Interest::Partitions,
        };
        Ok(())
    }

    /// Has this member join its group again with the next `poll`, although nothing has changed that the group knows of: for an
    /// [`Assignor`](super::Assignor) of your own whose [user data](super::Assignor::subscription_user_data) have changed. `reason`
    /// is in the broker's log (KIP-800) and in [`rebalance_journal`](Self::rebalance_journal)
    /// ([`Cause::Enforced`](super::Cause::Enforced)); an empty one is Kafka's `rebalance enforced by user`. The last call before a
    /// poll counts.
    ///
    /// All members join again, as in every rebalance. One that is under way is not repeated for it, and without a subscription
    /// nothing happens.
    ///
    /// # Errors
    /// [`SubscribeError::NoGroup`] without `group.id`.
    // Kafka: ClassicKafkaConsumer.enforceRebalance (KIP-568)
    pub fn enforce_rebalance(&mut self, reason: &str) -> Result<(), SubscribeError> {
        if self.group_id().is_none() {
            return Err(SubscribeError::NoGroup);
        }
        let reason = match reason {
            // Kafka: ClassicKafkaConsumer.DEFAULT_REASON
            "" => "rebalance enforced by user",
            reason => reason,
        };
        let reason = reason.into();
        self.core.change(Change::EnforceRebalance { reason });
        Ok(())
    }

    /// Gives up the subscription or the assignment: the listener runs, the group is left. Nothing is committed. A coordinator
    /// that is not known or does not answer learns of it at the end of the session.
    ///
    /// Cancel safety: when it is dropped halfway, nothing more is read, as `poll` says; call it again, or subscribe anew.
    ///
    /// # Errors
    /// When the listener failed or took longer than `default.api.timeout.ms`, or the network task is gone; the subscription is given
    /// up all the same.
    // Kafka: KafkaConsumer.unsubscribe
    pub async fn unsubscribe(&mut self) -> Result<(), CloseError> {
        let timeout = self.core.api_timeout;
        self.core.is_unsubscribing = true;
        let command = Command::Unsubscribe { timeout };
        let result = leave(&mut self.core, self.listener.as_mut(), command).await;
        self.core.is_unsubscribing = false;
        if self.core.interest == Interest::Partitions {
            let change = self.core.delivery.assign(&[]);
            self.core.change(change);
        }
        self.core.interest = Interest::Nothing;
        self.core.subscribing = None;
        self.core.delivery.forget_subscribed();
        self.core.late = None;
        self.listener = None;
        result
    }

    /// The partitions that are assigned now: by the group, or by [`assign`](Self::assign).
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.core.assignment()
    }

    /// The topics that are subscribed to; with a pattern those that matched when the metadata came last, none before the first.
    pub fn subscription(&self) -> Vec<Arc<str>> {
        match &self.core.interest {
            Interest::Topics(topics) => topics.iter().cloned().collect(),
            Interest::Pattern(_) => self.core.delivery.subscribed().to_vec(),
            Interest::Nothing | Interest::Partitions => Vec::new(),
        }
    }
}
