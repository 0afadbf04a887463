//! What several targets begin with: messages that Kafka's own classes encoded, and batches of every codec.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use kohort_protocol::ApiKey;
use kohort_records::{BatchBuilder, Compression, Header};

/// Message, version, bytes.
pub(super) fn golden() -> Vec<(&'static str, i16, Vec<u8>)> {
    let text = include_str!("../../../crates/protocol/tests/golden/golden.tsv");
    let line = |line: &'static str| {
        let mut cells = line.split('\t');
        let (message, version) = (cells.next()?, cells.next()?.parse().ok()?);
        let bytes = BASE64_STANDARD.decode(cells.nth(1)?).ok()?;
        Some((message, version, bytes))
    };
    text.lines().filter_map(line).collect()
}

/// The API that a message of this name belongs to, by the end of its name (`Request` or `Response`).
pub(super) fn api(message: &str, end: &str) -> Option<ApiKey> {
    let name = message.strip_suffix(end)?;
    ApiKey::all().find(|api| api.name() == name)
}

/// A batch of some records with headers.
pub(super) fn batch(codec: Compression, records: usize, base_offset: i64) -> Bytes {
    let mut builder = BatchBuilder::new(codec, None).expect("the default level is valid");
    for index in 0..records {
        let value = format!("value {index} of {codec}");
        let headers = [Header::new("h", "x"), Header::null("n")];
        let (key, value) = ((index % 2 == 0).then_some(&b"key"[..]), Some(value.as_bytes()));
        let appended = builder.append(1_700_000_000_000, key, value, &headers[..index % 3]);
        appended.expect("a small record fits");
    }
    builder.build(base_offset).expect("records were appended")
}

/// Makes length and checksum of the batch that `bytes` begin with right, if there is room for a header.
pub(super) fn seal(bytes: &mut [u8]) {
    let Some(length) = bytes
        .len()
        .checked_sub(12)
        .and_then(|length| i32::try_from(length).ok())
    else {
        return;
    };
    if bytes.len() < 61 {
        return;
    }
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[16] = 2;
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}
