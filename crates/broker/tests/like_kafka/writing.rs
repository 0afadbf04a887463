//! What Produce and InitProducerId answer.

use bytes::{Bytes, BytesMut};
use kohort_protocol::messages::InitProducerIdRequest;
use kohort_records::codec::Compression;
use kohort_records::{BatchBuilder, stored};

use crate::{Session, batch, changed, code, now_ms};

/// Where the header of a batch has its magic.
const MAGIC: usize = 16;

fn compressed(compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(compression, None).unwrap();
    builder
        .append(now_ms(), Some(b"key"), Some(b"value"), &[])
        .unwrap();
    builder.build(0).unwrap()
}

pub(crate) async fn validation(session: &mut Session) {
    let plain = session.topic("plain", &[]).await;
    let small = session.topic("small", &[("max.message.bytes", "100")]).await;
    let compacted = session.topic("compacted", &[("cleanup.policy", "compact")]).await;
    let stamped = session
        .topic("stamped", &[("message.timestamp.type", "LogAppendTime")])
        .await;
    let strict = session.topic("strict", &[("min.insync.replicas", "2")]).await;
    let absent = session.name("absent");
    let sound = batch(&[now_ms()]);
    let mut with_offset = BytesMut::from(&sound[..]);
    stored::set_base_offset(&mut with_offset, 5).unwrap();
    let mut with_append_time = BytesMut::from(&sound[..]);
    stored::set_log_append_time(&mut with_append_time, 5).unwrap();
    let mut keyless = BatchBuilder::new(Compression::None, None).unwrap();
    keyless
        .append(now_ms(), Some(b"key"), Some(b"value"), &[])
        .unwrap();
    keyless.append(now_ms(), None, Some(b"value"), &[]).unwrap();
    let mut control = BatchBuilder::new(Compression::None, None).unwrap();
    control.set_control(true);
    control
        .append(now_ms(), Some(&[0, 0, 0, 0]), Some(&[0; 6]), &[])
        .unwrap();
    let mut large = BatchBuilder::new(Compression::None, None).unwrap();
    large.append(now_ms(), None, Some(&[0; 100]), &[]).unwrap();
    let two = Bytes::from([&sound[..], &sound[..]].concat());
    let cases = [
        ("a batch", 12, &plain, -1, Some(sound.clone())),
        ("two batches", 12, &plain, -1, Some(two)),
        ("no bytes", 12, &plain, -1, Some(Bytes::new())),
        ("half a batch", 12, &plain, -1, Some(sound.slice(..40))),
        (
            "a damaged batch",
            12,
            &plain,
            -1,
            Some(changed(&sound, sound.len() - 2, |byte| byte ^ 1)),
        ),
        ("magic 1", 12, &plain, -1, Some(changed(&sound, MAGIC, |_| 1))),
        ("magic 3", 12, &plain, -1, Some(changed(&sound, MAGIC, |_| 3))),
        ("a base offset", 12, &plain, -1, Some(with_offset.freeze())),
        ("a control batch", 12, &plain, -1, Some(control.build(0).unwrap())),
        (
            "the broker's timestamp type",
            12,
            &plain,
            -1,
            Some(with_append_time.clone().freeze()),
        ),
        (
            "the broker's timestamp type where it is the topic's",
            12,
            &stamped,
            -1,
            Some(with_append_time.freeze()),
        ),
        ("a batch too large", 12, &small, -1, Some(large.build(0).unwrap())),
        (
            "no key where there must be one",
            12,
            &compacted,
            -1,
            Some(keyless.build(0).unwrap()),
        ),
        (
            "a time in the far future",
            12,
            &plain,
            -1,
            Some(batch(&[now_ms() + 4_000_000])),
        ),
        ("no time", 12, &plain, -1, Some(batch(&[-1]))),
        (
            "zstd in version 6",
            6,
            &plain,
            -1,
            Some(compressed(Compression::Zstd)),
        ),
        (
            "zstd in version 7",
            7,
            &plain,
            -1,
            Some(compressed(Compression::Zstd)),
        ),
        ("lz4", 12, &plain, -1, Some(compressed(Compression::Lz4))),
        ("acks 2", 12, &plain, 2, Some(sound.clone())),
        ("acks 1", 12, &plain, 1, Some(sound.clone())),
        (
            "acks all with too few replicas",
            12,
            &strict,
            -1,
            Some(sound.clone()),
        ),
        (
            "acks 1 with too few replicas",
            12,
            &strict,
            1,
            Some(sound.clone()),
        ),
        ("an unknown topic", 12, &absent, -1, Some(sound.clone())),
    ];
    for (case, version, topic, acks, records) in cases {
        let response = session.produce(version, topic, acks, records).await;
        let at_fault: Vec<_> = response
            .record_errors
            .iter()
            .map(|error| error.batch_index)
            .collect();
        let is_stamped = response.log_append_time_ms >= 0;
        session.observe(
            &format!("produce {case}"),
            format!(
                "{} offset={} start={} stamped={is_stamped} records={at_fault:?}",
                code(response.error_code),
                response.base_offset,
                response.log_start_offset
            ),
        );
    }
}

pub(crate) async fn sequences(session: &mut Session) {
    let topic = session.topic("sequences", &[]).await;
    let numbered = |producer, epoch, sequence| {
        let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
        builder.set_producer(producer, epoch, sequence);
        builder.append(now_ms(), None, Some(b"value"), &[]).unwrap();
        builder.build(0).unwrap()
    };
    for (case, producer, epoch, sequence) in [
        ("the first", 900_001, 0, 0),
        ("the second", 900_001, 0, 1),
        ("the first again", 900_001, 0, 0),
        ("a gap", 900_001, 0, 5),
        ("a new epoch in the middle", 900_001, 1, 5),
        ("a new epoch", 900_001, 1, 0),
        ("the old epoch", 900_001, 0, 2),
        ("an unknown producer in the middle", 900_002, 0, 7),
        ("after that", 900_002, 0, 8),
        ("no sequence", 900_003, 0, -1),
    ] {
        let response = session
            .produce(12, &topic, -1, Some(numbered(producer, epoch, sequence)))
            .await;
        session.observe(
            &format!("sequence {case}"),
            format!("{} offset={}", code(response.error_code), response.base_offset),
        );
    }
}

pub(crate) async fn producer_ids(session: &mut Session) {
    for (case, transactional_id, producer_id, producer_epoch) in [
        ("a new one", None, -1, -1),
        ("going on", None, 900_001, 3),
        ("an empty transactional id", Some(""), -1, -1),
    ] {
        let request = InitProducerIdRequest {
            transactional_id: transactional_id.map(Into::into),
            transaction_timeout_ms: 1000,
            producer_id,
            producer_epoch,
            ..Default::default()
        };
        let response = session.client.ask(4, request).await;
        session.observe(
            &format!("producer id {case}"),
            format!(
                "{} given={} same={} epoch={}",
                code(response.error_code),
                response.producer_id >= 0,
                response.producer_id == 900_001,
                response.producer_epoch
            ),
        );
    }
}
