//! Answers whose bytes are no message: cut at every byte, with lengths that are not there, varints without end, very many
//! tagged fields. Each ends its connection, with a line in the log, and costs no record.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use kohort_broker::ApiKey;
use tokio::time::Instant;

use super::liar::{Answer, Wire};
use super::*;

/// Reads all records of `t` as a member; which lines the log got at the level `warn`.
async fn read_all(what: &str, lie: impl Fn(&mut Answer) + Send + Sync + 'static) -> Vec<String> {
    let log = log::Lines::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let broker = broker().await;
    let mut reader = consumer(broker.bootstrap_servers(), liar::transport(&broker, lie))
        .group_id("g")
        .build()
        .expect("valid settings");
    reader.subscribe(["t"]).expect("a group");
    let (mut values, mut polls) = (Vec::new(), 0);
    let began = Instant::now();
    while values.len() < 20 {
        polls += 1;
        assert!(polls < 2_000, "{what}: poll spins");
        assert!(began.elapsed() < 600 * SECOND, "{what}: {values:?}");
        match reader.poll(SECOND).await {
            Ok(records) => values.extend(records.into_iter().map(|record| record.value)),
            Err(error) => assert!(
                !error.is_fatal() && !error.to_string().is_empty(),
                "{what}: {error}"
            ),
        }
    }
    let expected: Vec<String> = (0..20).map(|value| value.to_string()).collect();
    assert_eq!(values, expected, "{what}");
    reader.close(60 * SECOND).await.expect(what);
    log.take()
}

/// Changes the first `times` answers of an API.
fn first(
    times: usize,
    api: ApiKey,
    change: impl Fn(&mut Answer) + Send + Sync + 'static,
) -> impl Fn(&mut Answer) + Send + Sync + 'static {
    let left = AtomicUsize::new(times);
    move |answer| {
        if answer.api == api
            && left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
        {
            change(answer);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_leaves_a_line_in_the_log() {
    for api in [
        ApiKey::ApiVersions,
        ApiKey::Metadata,
        ApiKey::FindCoordinator,
        ApiKey::Fetch,
    ] {
        let lines = read_all(
            "noise",
            first(3, api, |answer| {
                answer.wire = Wire::Bytes(Bytes::from_static(&[0xff; 40]));
            }),
        )
        .await;
        assert!(
            lines.iter().any(|line| line.contains(api.name())),
            "{api}: {lines:?}"
        );
    }
}

fn varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[tokio::test(start_paused = true)]
async fn very_many_tagged_fields_are_skipped() {
    for api in [
        ApiKey::Metadata,
        ApiKey::Fetch,
        ApiKey::JoinGroup,
        ApiKey::OffsetFetch,
    ] {
        read_all(
            "300,000 tagged fields",
            first(1, api, |answer| {
                let whole = answer.encoded(0);
                // The last byte says that there are none.
                let mut bytes = whole[8..whole.len() - 1].to_vec();
                let count = 300_000;
                varint(&mut bytes, count);
                for tag in 0..count {
                    varint(&mut bytes, tag + 1_000);
                    bytes.push(0);
                }
                answer.wire = Wire::Bytes(bytes.into());
            }),
        )
        .await;
    }
}
