//! `docs/protocol-support.md` says what the broker answers to ApiVersions. It is written by
//! `KOHORT_WRITE_DOCS=1 cargo test -p kohort-node protocol_support`.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::fs;

use kohort_protocol::messages::ApiVersionsRequest;
use kohort_protocol::{ApiKey, VersionRange};

use super::Bench;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol-support.md");

const HEAD: &str = "# Which of Kafka's APIs the embedded broker has

Written from the broker's answer to ApiVersions; do not edit. After a change:
`KOHORT_WRITE_DOCS=1 cargo test -p kohort-node protocol_support`.

Versions are those that the broker advertises, beside those that a broker of Apache Kafka 4.3.1 advertises with its default
settings. A request of another version or API closes the connection, as with Kafka; ApiVersions is answered in version 0.
";

/// What an API that is here leaves out.
fn limits(api: ApiKey) -> &'static str {
    match api {
        ApiKey::Produce => {
            "idempotent producers; a transactional batch is INVALID_TXN_STATE. Only record batches of format 2, as Kafka 4"
        }
        ApiKey::Fetch => {
            "incremental sessions, diverging epochs; no preferred replica, no aborted transactions"
        }
        ApiKey::ListOffsets => "local logs only: there is no remote storage",
        ApiKey::FindCoordinator => "of groups",
        ApiKey::InitProducerId => "of producers without transactions",
        ApiKey::DescribeConfigs => "topics, this broker, and what was changed for all brokers",
        ApiKey::AlterConfigs | ApiKey::IncrementalAlterConfigs => {
            "topics; of brokers those of Kafka's dynamic settings that are here, but `max.connections`"
        }
        ApiKey::DescribeLogDirs => "one directory; how large its medium is, is not told",
        ApiKey::ListPartitionReassignments => "always empty",
        ApiKey::CreateTopics | ApiKey::CreatePartitions => "one replica each",
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => "classic groups and groups without members",
        ApiKey::DescribeGroups | ApiKey::ListGroups => "classic groups",
        _ => "",
    }
}

/// Why an API that Kafka advertises is not here.
fn reason(api: ApiKey) -> &'static str {
    match api {
        ApiKey::AddPartitionsToTxn
        | ApiKey::AddOffsetsToTxn
        | ApiKey::EndTxn
        | ApiKey::WriteTxnMarkers
        | ApiKey::TxnOffsetCommit
        | ApiKey::DescribeTransactions
        | ApiKey::ListTransactions => "no transactions",
        ApiKey::SaslHandshake
        | ApiKey::SaslAuthenticate
        | ApiKey::CreateDelegationToken
        | ApiKey::RenewDelegationToken
        | ApiKey::ExpireDelegationToken
        | ApiKey::DescribeDelegationToken
        | ApiKey::DescribeUserScramCredentials
        | ApiKey::AlterUserScramCredentials => "no authentication",
        ApiKey::DescribeAcls | ApiKey::CreateAcls | ApiKey::DeleteAcls => "no authorization",
        ApiKey::DescribeClientQuotas | ApiKey::AlterClientQuotas => "no quotas",
        ApiKey::ConsumerGroupHeartbeat | ApiKey::ConsumerGroupDescribe => {
            "no groups of the new protocol (KIP-848); clients go on with classic groups"
        }
        ApiKey::ShareGroupHeartbeat
        | ApiKey::ShareGroupDescribe
        | ApiKey::ShareFetch
        | ApiKey::ShareAcknowledge
        | ApiKey::InitializeShareGroupState
        | ApiKey::ReadShareGroupState
        | ApiKey::WriteShareGroupState
        | ApiKey::DeleteShareGroupState
        | ApiKey::ReadShareGroupStateSummary
        | ApiKey::DescribeShareGroupOffsets
        | ApiKey::AlterShareGroupOffsets
        | ApiKey::DeleteShareGroupOffsets => "no share groups",
        ApiKey::StreamsGroupHeartbeat | ApiKey::StreamsGroupDescribe => "no streams groups",
        ApiKey::AlterReplicaLogDirs | ApiKey::AlterPartitionReassignments | ApiKey::ElectLeaders => {
            "a partition has one replica, in one place"
        }
        ApiKey::DescribeQuorum
        | ApiKey::UpdateFeatures
        | ApiKey::UnregisterBroker
        | ApiKey::AddRaftVoter
        | ApiKey::RemoveRaftVoter => "no quorum of controllers",
        ApiKey::ListConfigResources => "no settings of client metrics or groups",
        _ => "",
    }
}

/// What the broker answers to ApiVersions.
fn advertised() -> Vec<(ApiKey, VersionRange)> {
    let response = Bench::new().ask(0, ApiVersionsRequest::default());
    response
        .api_keys
        .iter()
        .filter_map(|row| {
            let (min, max) = (row.min_version, row.max_version);
            Some((ApiKey::from_i16(row.api_key)?, VersionRange { min, max }))
        })
        .collect()
}

fn versions(range: VersionRange) -> String {
    match range.min == range.max {
        true => range.min.to_string(),
        false => format!("{} to {}", range.min, range.max),
    }
}

fn page() -> String {
    let ours = advertised();
    let mut page = HEAD.to_owned();
    let mut row = |line: String| {
        page.push_str(&line);
        page.push('\n');
    };
    row("\n## Here\n\n| API | key | versions | Kafka 4.3.1 | |\n| --- | --- | --- | --- | --- |".to_owned());
    for (api, range) in &ours {
        let kafka = api
            .served_versions()
            .map_or("not advertised".to_owned(), versions);
        row(format!(
            "| {} | {} | {} | {kafka} | {} |",
            api.name(),
            api.code(),
            versions(*range),
            limits(*api)
        ));
    }
    row("\n## Not here\n\n| API | key | Kafka 4.3.1 | why not |\n| --- | --- | --- | --- |".to_owned());
    for api in ApiKey::all().filter(|api| ours.iter().all(|(known, _)| known != api)) {
        if let Some(range) = api.served_versions() {
            let why = reason(api);
            assert!(!why.is_empty(), "say in this test why {} is not here", api.name());
            row(format!(
                "| {} | {} | {} | {why} |",
                api.name(),
                api.code(),
                versions(range)
            ));
        }
    }
    page
}

#[test]
fn the_page_says_what_the_broker_advertises() {
    let page = page();
    if std::env::var_os("KOHORT_WRITE_DOCS").is_some() {
        fs::write(PAGE, &page).expect("the page can be written");
    }
    let kept = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        kept == page,
        "docs/protocol-support.md is out of date: KOHORT_WRITE_DOCS=1 cargo test -p kohort-node protocol_support"
    );
}
