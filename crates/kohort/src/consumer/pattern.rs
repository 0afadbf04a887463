//! What a pattern of topics means: Java's `Pattern` matched as a whole, by the crate `regex`. When it is asked lives in the
//! engine.

use std::sync::Arc;

use kohort_engine::consumer::{Event, MatchTopics};
use regex::Regex;

use super::SubscribeError;

/// A pattern of topics, and what decides.
#[derive(Debug, Clone)]
pub(super) struct TopicPattern {
    pub(super) text: Arc<str>,
    whole: Regex,
}

impl TopicPattern {
    /// Checks the pattern as it was given, so that it cannot end the group that is put around it.
    pub(super) fn new(text: &str) -> Result<Self, SubscribeError> {
        let invalid = |error: regex::Error| SubscribeError::InvalidPattern {
            pattern: text.to_owned(),
            reason: error.to_string(),
        };
        // Kafka: ClassicKafkaConsumer.subscribe: no empty pattern
        if text.is_empty() {
            return Err(SubscribeError::InvalidPattern {
                pattern: String::new(),
                reason: "it is empty".to_owned(),
            });
        }
        Regex::new(text).map_err(invalid)?;
        // With `(?x)` the pattern may end in a comment, which only a line's end ends.
        let whole = Regex::new(&format!(r"\A(?:{text})\z"))
            .or_else(|_| Regex::new(&format!("\\A(?:{text}\n)\\z")))
            .map_err(invalid)?;
        Ok(Self {
            text: text.into(),
            whole,
        })
    }

    // Kafka: SubscriptionState.matchesSubscribedPattern
    pub(super) fn matches(&self, topic: &str) -> bool {
        self.whole.is_match(topic)
    }

    /// Answers the engine's question. One about another pattern is out of date, and gets an answer that nobody waits for.
    pub(super) fn answer(pattern: Option<&Self>, question: MatchTopics) -> Event {
        let pattern = pattern.filter(|pattern| pattern.text == question.pattern);
        let verdict = |topic: Arc<str>| {
            let matches = pattern.is_some_and(|pattern| pattern.matches(&topic));
            (topic, matches)
        };
        Event::TopicsMatched {
            step: question.step,
            verdicts: question.topics.into_iter().map(verdict).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, topic: &str) -> bool {
        TopicPattern::new(pattern).expect("a pattern").matches(topic)
    }

    #[test]
    fn a_pattern_matches_a_topic_as_a_whole() {
        assert!(matches("purchase.*", "purchase") && matches("purchase.*", "purchases.eu"));
        assert!(!matches("purchase.*", "my-purchase") && !matches("purchase", "purchases"));
        assert!(!matches("a.c", "abcd") && matches("a.c", "abc"));
    }

    #[test]
    fn alternatives_are_all_matched_as_a_whole() {
        // Found from the left, the first alternative alone would end before the topic does.
        assert!(matches("a|ab", "ab") && matches("a|ab", "a"));
        assert!(!matches("a|b", "ab"));
    }

    #[test]
    fn anchors_are_allowed_and_change_nothing() {
        assert!(matches("^orders-[0-9]+$", "orders-17") && !matches("^orders-[0-9]+$", "orders-"));
    }

    #[test]
    fn flags_and_comments_stay_inside_of_the_pattern() {
        assert!(matches("(?i)ORDERS", "orders"));
        assert!(matches("(?x) orders # all of them", "orders"));
        assert!(!matches("(?x) orders # all of them", "orders-eu"));
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_reason() {
        for wrong in ["", "a)|(?:b", "(", "[", "*", "(?=a)b"] {
            let Err(SubscribeError::InvalidPattern { pattern, reason }) = TopicPattern::new(wrong) else {
                panic!("{wrong} is no pattern");
            };
            assert_eq!(pattern, wrong);
            assert!(!reason.is_empty());
        }
    }
}
