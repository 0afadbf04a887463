//! The suite of behaviours. One binary, one module a subject; each test runs on the embedded broker, or on the cluster that
//! `KOHORT_BOOTSTRAP` names.

mod broker_fetch;
mod broker_groups;
mod broker_list_offsets;
mod broker_offsets;
mod broker_produce;
mod broker_rejoin;
mod broker_requests;
mod broker_topics;
mod setup;
