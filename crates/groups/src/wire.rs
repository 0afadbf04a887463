//! The one place where the group's words meet Kafka's messages. No rule lives here.
//!
//! `consumer_protocol` has the bytes that members exchange through their coordinator, `member` the requests and responses of
//! a classic member, `coordinator` those of the coordinator and its durable records.

pub mod consumer_protocol;
pub mod coordinator;
pub mod member;
