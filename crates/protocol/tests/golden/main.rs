//! Bytes of Kafka's own classes against ours, both ways: every message of the tables in every version.
//!
//! golden.tsv is written by Golden.java, which fills each message through Kafka's JsonConverters. Here its bytes are
//! decoded, compared with the JSON field by field, and encoded again to the identical bytes: so what we encode is
//! decoded by Kafka to the same message, too.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod debug_form;
mod fixture;
mod lines;
mod list;

use std::collections::BTreeSet;

use bytes::Bytes;
use debug_form::{bare, to_json};
use fixture::{AnyMessage, Decoded, Golden, every_message, golden};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

fn each(mut check: impl FnMut(&AnyMessage, &Golden, Decoded)) {
    let known = every_message();
    for line in golden() {
        let any = known.iter().find(|any| any.name == line.message).unwrap();
        let decoded = (any.decode)(line.bytes.clone(), line.version)
            .unwrap_or_else(|error| panic!("{} {} {}: {error}", line.message, line.version, line.variant));
        check(any, &line, decoded);
    }
}

#[test]
fn kafkas_bytes_are_decoded_whole_and_encoded_to_the_same_bytes() {
    each(|_, line, decoded| {
        let at = format!("{} {} {}", line.message, line.version, line.variant);
        assert_eq!(decoded.left, 0, "{at}");
        assert_eq!(decoded.encoded, line.bytes, "{at}: {}", decoded.debug);
    });
}

#[test]
fn what_is_decoded_is_what_kafkas_json_says() {
    each(|any, line, decoded| {
        if line.variant == "default" {
            return;
        }
        let at = format!("{} {} {}", line.message, line.version, line.variant);
        let json: Value = serde_json::from_str(line.json).unwrap();
        let ours = to_json(&decoded.debug);
        compare(&at, &json, &ours);
        // What the version does not have is left at its default.
        let default = to_json(&(any.default)(any.max).debug);
        let named: BTreeSet<String> = json.as_object().unwrap().keys().map(|name| bare(name)).collect();
        for (name, value) in ours.as_object().unwrap() {
            if !named.contains(name) {
                assert_eq!(*value, default[name], "{at} {name}");
            }
        }
    });
}

/// Every field that Kafka's JSON names is in ours with the same value.
fn compare(at: &str, kafka: &Value, ours: &Value) {
    match (kafka, ours) {
        (Value::Object(kafka), Value::Object(ours)) => {
            for (name, value) in kafka {
                let at = format!("{at}.{name}");
                compare(
                    &at,
                    value,
                    ours.get(&bare(name)).unwrap_or_else(|| panic!("{at} is missing")),
                );
            }
        }
        (Value::Array(kafka), Value::Array(ours)) => {
            assert_eq!(kafka.len(), ours.len(), "{at}");
            for (i, (kafka, ours)) in kafka.iter().zip(ours).enumerate() {
                compare(&format!("{at}[{i}]"), kafka, ours);
            }
        }
        _ => assert_eq!(kafka, ours, "{at}"),
    }
}

#[test]
fn a_default_message_is_the_one_that_kafkas_constructor_makes() {
    each(|any, line, decoded| {
        if line.variant == "default" {
            let default = (any.default)(line.version);
            assert_eq!(default.encoded, line.bytes, "{} {}", line.message, line.version);
            assert_eq!(default.debug, decoded.debug, "{} {}", line.message, line.version);
        }
    });
}

/// (message, version) of every row of the tables; the group records have a key and a value each.
fn expected() -> BTreeSet<(String, i16)> {
    let mut all = BTreeSet::new();
    let mut add = |name: String, versions: &str| {
        let (min, max) = versions.split_once('-').unwrap_or((versions, versions));
        let (min, max): (i16, i16) = (min.parse().unwrap(), max.parse().unwrap());
        all.extend((min..=max).map(|version| (name.clone(), version)));
    };
    for row in include_str!("../../tables/messages.tsv").lines().skip(1) {
        let row: Vec<&str> = row.split('\t').collect();
        add(row[2].to_owned(), row[3]);
    }
    for row in include_str!("../../tables/group-records.tsv").lines().skip(1) {
        let row: Vec<&str> = row.split('\t').collect();
        add(format!("{}Key", row[1]), "0");
        add(format!("{}Value", row[1]), row[3]);
    }
    all
}

#[test]
fn no_message_and_no_version_is_without_golden_bytes() {
    let (known, lines) = (every_message(), golden());
    let mut holes = Vec::new();
    for (message, version) in expected() {
        let has = |variant| {
            lines
                .iter()
                .any(|it| it.message == message && it.version == version && it.variant == variant)
        };
        let typed = known
            .iter()
            .any(|it| it.name == message && (it.min..=it.max).contains(&version));
        let golden = typed && has("default") && has("full") && has("null");
        println!(
            "{message} {version} golden: {}",
            if golden { "yes" } else { "no" }
        );
        if !golden {
            holes.push((message, version));
        }
    }
    assert_eq!(holes, []);
}

#[test]
fn every_cut_of_kafkas_bytes_is_an_error_that_names_a_field_and_a_position() {
    let known = every_message();
    for line in golden().iter().filter(|line| line.variant == "full") {
        let any = known.iter().find(|any| any.name == line.message).unwrap();
        for len in 0..line.bytes.len() {
            let Err(error) = (any.decode)(line.bytes.slice(..len), line.version) else {
                panic!("{} {} cut to {len} bytes decodes", line.message, line.version);
            };
            assert!(error.at <= len, "{error}");
            assert!(!error.field.is_empty(), "{error}");
        }
    }
}

#[test]
fn bytes_after_a_message_are_left_in_the_reader() {
    let known = every_message();
    for line in golden().iter().filter(|line| line.variant == "full") {
        let any = known.iter().find(|any| any.name == line.message).unwrap();
        let longer = Bytes::from([&line.bytes[..], b"more"].concat());
        assert_eq!((any.decode)(longer, line.version).unwrap().left, 4);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_decodes_can_be_encoded_and_decoded_to_the_same(
        line: Index,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let lines = lines::lines();
        let (message, version, _, bytes, _) = line.get(&lines);
        let mut bytes = bytes.to_vec();
        for (at, byte) in changes {
            if !bytes.is_empty() {
                *at.get_mut(&mut bytes) = byte;
            }
        }
        let known = every_message();
        let any = known.iter().find(|any| any.name == *message).unwrap();
        if let Ok(once) = (any.decode)(bytes.into(), *version) {
            let twice = (any.decode)(once.encoded.clone(), *version).unwrap();
            prop_assert_eq!(once.debug, twice.debug);
            prop_assert_eq!(once.encoded, twice.encoded);
            prop_assert_eq!(twice.left, 0);
        }
    }
}
