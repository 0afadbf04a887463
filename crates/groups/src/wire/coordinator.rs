//! The coordinator's requests, responses and durable records to and from Kafka's messages.

mod records;

pub(crate) use records::subscribed_topics;
