//! Settings.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

use kohort_protocol::messages::describe_configs::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kohort_protocol::messages::incremental_alter_configs::AlterConfigsResourceResponse;
use kohort_protocol::messages::{DescribeConfigsResponse, IncrementalAlterConfigsResponse};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody};

use super::{cluster, refused, reply, run};
use crate::admin::{AdminCommand, AdminReply, AlterConfigOp, ConfigResource, ConfigSource, ConfigType};

fn describe(resources: &[ConfigResource]) -> AdminCommand {
    AdminCommand::DescribeConfigs {
        resources: resources.iter().cloned().collect(),
        include_synonyms: true,
        include_documentation: false,
    }
}

#[test]
fn a_brokers_settings_are_asked_of_the_broker_and_topics_together_of_any() {
    let mut admin = cluster();
    let (t, u) = (ConfigResource::topic("t"), ConfigResource::topic("u"));
    let (all, second) = (ConfigResource::Broker(None), ConfigResource::broker(2));
    run(
        &mut admin,
        describe(&[t.clone(), u.clone(), all.clone(), second.clone()]),
    );
    let mut asked = BTreeMap::new();
    for _ in 0..2 {
        let arrived = admin.expect(ApiKey::DescribeConfigs);
        let RequestBody::DescribeConfigs(request) = &arrived.body else {
            panic!("{arrived:?}");
        };
        let resources = request.resources.iter();
        let resources: BTreeSet<_> = resources
            .map(|it| (it.resource_type, it.resource_name.clone()))
            .collect();
        asked.insert(resources.len(), (arrived.port, resources));
    }
    let of_all = [(2, "t".into()), (2, "u".into()), (4, "".into())];
    assert_eq!(asked[&3].1, BTreeSet::from(of_all));
    assert_eq!(asked[&1], (9002, BTreeSet::from([(4, "2".into())])));
}

#[test]
fn settings_are_told_with_their_sources() {
    let mut admin = cluster();
    let t = ConfigResource::topic("t");
    run(&mut admin, describe(&[t.clone(), ConfigResource::topic("x")]));
    let arrived = admin.expect(ApiKey::DescribeConfigs);
    let synonym = |name: &str, value: &str, source| DescribeConfigsSynonym {
        name: name.into(),
        value: Some(value.into()),
        source,
    };
    let retention = DescribeConfigsResourceResult {
        name: "retention.ms".into(),
        value: Some("1000".into()),
        config_source: 1,
        config_type: 5,
        synonyms: vec![
            synonym("retention.ms", "1000", 1),
            synonym("log.retention.ms", "7", 99),
        ],
        ..Default::default()
    };
    let result = |name: &str, error: ErrorCode, configs: Vec<_>| DescribeConfigsResult {
        error_code: error.code(),
        resource_type: 2,
        resource_name: name.into(),
        configs,
        ..Default::default()
    };
    let response = DescribeConfigsResponse {
        results: vec![
            result("t", ErrorCode::None, vec![retention]),
            result("x", ErrorCode::UnknownTopicOrPartition, vec![]),
            result("not asked for", ErrorCode::None, vec![]),
        ],
        ..Default::default()
    };
    let AdminReply::ConfigsDescribed(results) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    assert_eq!(results.len(), 2);
    let entry = &results[&t].as_ref().unwrap()["retention.ms"];
    assert_eq!(entry.value.as_deref(), Some("1000"));
    assert_eq!(
        (entry.source, entry.config_type),
        (ConfigSource::DynamicTopicConfig, ConfigType::Long)
    );
    assert!(!entry.is_default());
    assert_eq!(entry.synonyms[1].source, ConfigSource::Unknown);
    assert_eq!(
        results[&ConfigResource::topic("x")],
        Err(refused(ErrorCode::UnknownTopicOrPartition))
    );
}

#[test]
fn settings_are_changed_one_by_one() {
    let mut admin = cluster();
    let t = ConfigResource::topic("t");
    let append = AlterConfigOp::Append {
        name: "cleanup.policy".into(),
        value: "compact".into(),
    };
    let ops = vec![
        AlterConfigOp::set("retention.ms", "1"),
        AlterConfigOp::delete("segment.ms"),
        append,
    ];
    let command = AdminCommand::AlterConfigs {
        changes: BTreeMap::from([(t.clone(), ops)]),
        validate_only: false,
    };
    run(&mut admin, command);
    let arrived = admin.expect(ApiKey::IncrementalAlterConfigs);
    let RequestBody::IncrementalAlterConfigs(request) = &arrived.body else {
        panic!("{arrived:?}");
    };
    let configs = request.resources[0].configs.iter();
    let asked: Vec<_> = configs
        .map(|it| (&*it.name, it.config_operation, it.value.as_deref()))
        .collect();
    assert_eq!(
        asked,
        [
            ("retention.ms", 0, Some("1")),
            ("segment.ms", 1, None),
            ("cleanup.policy", 2, Some("compact"))
        ]
    );
    let answer = AlterConfigsResourceResponse {
        resource_type: 2,
        resource_name: "t".into(),
        ..Default::default()
    };
    let response = IncrementalAlterConfigsResponse {
        responses: vec![answer],
        ..Default::default()
    };
    let AdminReply::ConfigsAltered(results) = reply(admin.answer(&arrived, response)) else {
        panic!();
    };
    assert_eq!(results[&t], Ok(()));
}
