//! The suite of behaviours. One binary, one module a subject; each test runs on the embedded broker, or on the cluster that
//! `KOHORT_BOOTSTRAP` names.

mod broker_admin;
mod broker_configs;
mod broker_fetch;
mod broker_fetch_sessions;
mod broker_groups;
mod broker_idempotence;
mod broker_leader_epochs;
mod broker_list_offsets;
mod broker_offsets;
mod broker_produce;
mod broker_rejoin;
mod broker_requests;
mod broker_topics;
mod client_admin;
mod client_idempotence;
mod consumer_assignors;
mod consumer_autocommit;
mod consumer_blocking;
mod consumer_commits;
mod consumer_cooperative;
mod consumer_fetch;
mod consumer_groups;
mod consumer_leaving;
mod consumer_lookups;
mod consumer_own_assignors;
mod consumer_positions;
mod consumer_producer;
mod consumer_rebalance;
mod consumer_settings;
mod consumer_setup;
mod consumer_standalone;
mod consumer_static;
mod consumer_types;
mod setup;
