//! A record to write, and what is known of it once it is written.

use std::sync::Arc;

use kohort_records::Header;

/// A record to write.
///
/// ```
/// use kohort::ProducerRecord;
///
/// let record = ProducerRecord::new("orders", Some("customer-7"), "3 apples")
///     .partition(2)
///     .timestamp(1_700_000_000_000)
///     .header("trace", "4bf92f35");
/// assert_eq!(record.partition, Some(2));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProducerRecord<K, V> {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition; none: chosen by the key as Java does, or in turn when there is no key.
    pub partition: Option<i32>,
    /// Milliseconds since 1970; none: now.
    pub timestamp: Option<i64>,
    /// The key.
    pub key: K,
    /// The value.
    pub value: V,
    /// The headers.
    pub headers: Vec<Header>,
}

impl<K, V> ProducerRecord<K, V> {
    /// A record for `topic`, without headers.
    pub fn new(topic: impl Into<Arc<str>>, key: K, value: V) -> Self {
        Self {
            topic: topic.into(),
            partition: None,
            timestamp: None,
            key,
            value,
            headers: Vec::new(),
        }
    }

    /// Goes to this partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Has this timestamp, ms since 1970.
    #[must_use]
    pub fn timestamp(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Has this header, too.
    #[must_use]
    pub fn header(mut self, key: impl Into<bytes::Bytes>, value: impl Into<bytes::Bytes>) -> Self {
        self.headers.push(Header::new(key, value));
        self
    }
}

/// Where a record was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordMetadata {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset; none with `acks=0`, and where the broker does not say it: of a batch that came again after it forgot the offset
    /// (DUPLICATE_SEQUENCE_NUMBER).
    pub offset: Option<i64>,
    /// Milliseconds since 1970: the record's own, or the time of the append where the topic says so.
    pub timestamp: i64,
}
