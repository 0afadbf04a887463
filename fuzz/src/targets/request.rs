//! Requests of every API and version, as the broker decodes them.

use bytes::Bytes;
use kohort_protocol::frame::{decode_request, encode_request, encode_request_segmented, peek_request};
use kohort_protocol::messages::RequestHeader;

use super::samples::{api, golden};
use super::{Shape, Target};

pub(super) const TARGET: Target = Target {
    name: "request",
    run,
    seeds,
    shape: Shape::Bytes,
    // Decoding may hold 52 times the frame; it is encoded twice, decoded twice, and compared.
    memory: |len| 300 * len + (64 << 10),
};

fn run(input: &[u8]) {
    let frame = Bytes::copy_from_slice(input);
    let peeked = peek_request(&frame);
    let Ok((header, body)) = decode_request(frame) else {
        return;
    };
    let peeked = peeked.expect("what can be decoded can be peeked");
    let version = peeked.version;
    let encoded = encode_request(&header, version, &body)
        .expect("what was decoded can be encoded")
        .freeze();
    let (header_again, body_again) =
        decode_request(encoded.slice(4..)).expect("what was encoded can be decoded");
    let again = encode_request(&header_again, version, &body_again).expect("and encoded");
    assert_eq!(again, encoded);
    let segments = encode_request_segmented(&header, version, &body).expect("in pieces, too");
    let pieces: Vec<Bytes> = segments.into_iter().collect();
    assert_eq!(pieces.concat(), encoded);
}

/// A request of each API and version, as Kafka encodes it.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let of_line = |(message, version, body): (&str, i16, Vec<u8>)| {
        let api = api(message, "Request")?;
        // The header is that of an empty ApiVersions request, whose versions differ in it alone.
        let header = RequestHeader {
            request_api_key: api.code(),
            request_api_version: version,
            correlation_id: 5,
            client_id: Some("fuzz".into()),
        };
        let mut frame = bytes::BytesMut::new();
        kohort_protocol::Message::encode(&header, api.request_header_version(version), &mut frame).ok()?;
        frame.extend_from_slice(&body);
        Some(frame.to_vec())
    };
    golden().into_iter().filter_map(of_line).collect()
}
