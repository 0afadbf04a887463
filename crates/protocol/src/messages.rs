//! Requests, responses and headers: one generated module per API, its messages re-exported here.
//!
//! Fields carry Kafka's names in snake case and Kafka's defaults. A field that a version lacks is left at its default
//! when that version is decoded; encoding it in such a version is an error unless the schema calls it ignorable.

include!(concat!(env!("OUT_DIR"), "/messages.rs"));
