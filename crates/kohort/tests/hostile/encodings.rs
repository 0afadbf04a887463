//! Answers whose bytes are no message: cut at every byte, with lengths that are not there, varints without end, very many
//! tagged fields. Each ends its connection and costs no record. What the log says of it is in `unreadable.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use kohort_broker::ApiKey;

use super::liar::{Answer, Wire};
use super::*;

/// How many answers in a row are cut.
const IN_A_ROW: usize = 16;

/// Reads all records of `t` as a member; which lines the log got at the level `warn`.
async fn read_under(what: &str, lie: impl Fn(&mut Answer) + Send + Sync + 'static) -> Vec<String> {
    let log = log::Lines::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let broker = broker().await;
    let mut reader = consumer(broker.bootstrap_servers(), liar::transport(&broker, lie))
        .group_id("g")
        .build()
        .expect("valid settings");
    reader.subscribe(["t"]).expect("a group");
    read_all(&mut reader, what, (2_000, 600 * SECOND)).await;
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
async fn an_answer_cut_at_any_byte_costs_its_connection_and_no_record() {
    for api in lies::APIS {
        let len = Arc::new(AtomicUsize::new(0));
        let measured = Arc::clone(&len);
        let measure = first(1, api, move |answer| {
            measured.store(answer.encoded(0).len(), Ordering::Relaxed);
        });
        assert!(read_under("the truth", measure).await.is_empty());
        let len = len.load(Ordering::Relaxed);
        // All is read before the first heartbeat, which `cuts.rs` cuts.
        if api == ApiKey::Heartbeat && len == 0 {
            continue;
        }
        assert!(len > 8, "{api} is answered");
        // Every byte of the fields; of records, which are checked by themselves, some. Several answers in a row are cut, each at
        // the next place.
        let places: Vec<usize> = (0..len.min(300)).chain((300..len).step_by(97)).collect();
        for places in places.chunks(IN_A_ROW) {
            for is_short in [false, true] {
                let (at, cuts) = (AtomicUsize::new(0), places.to_vec());
                let what = format!("{api} of {len} bytes ends after {places:?}, short: {is_short}");
                let cut = first(places.len(), api, move |answer| {
                    let cut = cuts[at.fetch_add(1, Ordering::Relaxed)];
                    answer.wire = match is_short {
                        // Four bytes are the length.
                        true => Wire::Short(cut.saturating_sub(4)),
                        false => Wire::Ends(cut),
                    };
                });
                read_under(&what, cut).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lengths_that_are_not_there_cost_a_connection_and_no_record() {
    let hostile: [(&str, &[u8]); 8] = [
        ("null that may not be", &[0, 0, 0, 0, 0, 0, 0, 0]),
        ("a compact length of 2^32-2", &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        ("a compact length of 2^31-1", &[0x80, 0x80, 0x80, 0x80, 0x08]),
        ("a varint of six bytes", &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
        ("a varint that does not end", &[0xff; 64]),
        ("a length of 2^31-1", &[0x7f, 0xff, 0xff, 0xff, 0xff]),
        ("a length of -2", &[0xff, 0xff, 0xff, 0xfe]),
        ("nothing", &[]),
    ];
    for api in lies::APIS {
        for (what, bytes) in hostile {
            // After the header's tags; after these and throttle_time_ms or what else comes first.
            for before in [0, 1, 5, 7] {
                // Six zeros are well formed: a broker that has no API at all, as version 0 says it.
                if api == ApiKey::ApiVersions && (before > 1 || what == "null that may not be") {
                    continue;
                }
                let body: Bytes = [&[0; 7][..before], bytes].concat().into();
                let what = format!("{api}: {what} after {before}");
                read_under(
                    &what,
                    first(2, api, move |answer| answer.wire = Wire::Bytes(body.clone())),
                )
                .await;
            }
        }
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
        read_under(
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
