//! `compression.type`: in which codec a broker keeps what producers send.

use bytes::Bytes;
use kohort_conformance::{Wire, unique};
use kohort_protocol::ErrorCode;
use kohort_protocol::messages::create_topics::CreatableTopicConfig;
use kohort_records::{Batch, BatchBuilder, Compression, batches};

use crate::broker_fetch::{fetch_one, values};
use crate::broker_produce::produce;
use crate::setup::{code, create_topic, topic_ready, wire};

async fn topic_with(wire: &mut Wire, settings: &[(&str, &str)]) -> String {
    let topic = unique("compressed");
    let mut request = create_topic(&topic, 1);
    let settings = settings.iter().map(|(name, value)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
    });
    request.topics[0].configs.extend(settings);
    let answer = wire.call(7, request).await;
    assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    topic_ready(wire, &topic, 1).await;
    topic
}

fn batch(codec: Compression, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(codec, None).expect("the default level");
    for timestamp in [1_000, 1_001] {
        builder
            .append(timestamp, Some(b"key"), Some(value.as_bytes()), &[])
            .expect("a small record");
    }
    builder.build(0).expect("a batch")
}

async fn kept(wire: &mut Wire, topic: &str) -> Vec<Batch> {
    let mut kept = Vec::new();
    while kept.len() < Compression::ALL.len() {
        let next = kept.last().map_or(0, Batch::next_offset);
        let fetched = fetch_one(wire, topic, 0, next).await;
        kept.extend(batches(fetched.records.expect("records")).map(|batch| batch.expect("a batch")));
    }
    kept
}

// Kafka: BrokerCompressionTypeTest.testBrokerSideCompression
#[tokio::test]
async fn a_topic_keeps_what_is_produced_in_its_own_codec() {
    let mut wire = wire().await;
    for (setting, codec) in [
        ("uncompressed", Some(Compression::None)),
        ("gzip", Some(Compression::Gzip)),
        ("snappy", Some(Compression::Snappy)),
        ("lz4", Some(Compression::Lz4)),
        ("zstd", Some(Compression::Zstd)),
        ("producer", None),
    ] {
        let topic = topic_with(&mut wire, &[("compression.type", setting)]).await;
        for (sent, base_offset) in Compression::ALL.into_iter().zip([0, 2, 4, 6, 8]) {
            let answer = produce(&mut wire, &topic, 0, batch(sent, sent.name())).await;
            assert_eq!(
                (answer.error_code, answer.base_offset),
                (0, base_offset),
                "{sent} to {setting}"
            );
        }
        for (sent, batch) in Compression::ALL.into_iter().zip(kept(&mut wire, &topic).await) {
            assert_eq!(
                batch.compression(),
                Ok(codec.unwrap_or(sent)),
                "{sent} in {setting}"
            );
            assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (1_000, 1_001));
            assert_eq!(batch.records_count(), 2);
            batch.verify_crc().expect("the checksum is that of the bytes");
            let bytes = batch.bytes().slice(..batch.size());
            assert_eq!(values(bytes), [sent.name(), sent.name()]);
        }
    }
}

#[tokio::test]
async fn what_is_too_large_in_the_topics_codec_is_refused() {
    let mut wire = wire().await;
    let settings = [
        ("compression.type", "uncompressed"),
        ("max.message.bytes", "1000"),
    ];
    let topic = topic_with(&mut wire, &settings).await;
    let refused = produce(&mut wire, &topic, 0, batch(Compression::Zstd, &"a".repeat(1_000))).await;
    assert_eq!(refused.error_code, code(ErrorCode::MessageTooLarge));
    let taken = produce(&mut wire, &topic, 0, batch(Compression::Zstd, "a")).await;
    assert_eq!((taken.error_code, taken.base_offset), (0, 0));
}

#[tokio::test]
async fn what_is_sent_too_large_is_refused_whatever_the_topics_codec() {
    let mut wire = wire().await;
    let settings = [("compression.type", "zstd"), ("max.message.bytes", "1000")];
    let topic = topic_with(&mut wire, &settings).await;
    let refused = produce(&mut wire, &topic, 0, batch(Compression::None, &"a".repeat(1_000))).await;
    assert_eq!(refused.error_code, code(ErrorCode::MessageTooLarge));
}

// Kafka: CompressionType.levelValidator
#[tokio::test]
async fn codecs_and_levels_that_there_are_not_are_refused() {
    let mut wire = wire().await;
    for (setting, value) in [
        ("compression.type", "none"),
        ("compression.type", "brotli"),
        ("compression.gzip.level", "0"),
        ("compression.gzip.level", "10"),
        ("compression.lz4.level", "0"),
        ("compression.lz4.level", "18"),
        ("compression.zstd.level", "23"),
    ] {
        let mut request = create_topic(&unique("compressed"), 1);
        request.topics[0].configs = vec![CreatableTopicConfig {
            name: setting.to_owned(),
            value: Some(value.to_owned()),
        }];
        let answer = wire.call(7, request).await;
        let refused = answer.topics[0].error_code;
        assert_eq!(refused, code(ErrorCode::InvalidConfig), "{setting}={value}");
    }
    for (setting, value) in [
        ("compression.gzip.level", "-1"),
        ("compression.lz4.level", "17"),
        ("compression.zstd.level", "-131072"),
    ] {
        topic_with(&mut wire, &[("compression.type", "gzip"), (setting, value)]).await;
    }
}
