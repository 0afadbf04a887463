//! Responses of every API and version, as the client decodes them.

use bytes::Bytes;
use kohort_protocol::ApiKey;
use kohort_protocol::frame::{decode_response, encode_response, encode_response_segmented};

use super::samples::{api, golden};
use super::{Shape, Target};

pub(super) const TARGET: Target = Target {
    name: "response",
    run,
    seeds,
    shape: Shape::Bytes,
    memory: |len| 300 * len + (64 << 10),
};

/// The first two bytes are API and version.
fn run(input: &[u8]) {
    let [key, version, frame @ ..] = input else {
        return;
    };
    let version = i16::from(*version);
    let Some(api) = ApiKey::from_i16(i16::from(*key)) else {
        return;
    };
    if !api
        .message_versions()
        .is_some_and(|versions| versions.contains(version))
    {
        return;
    }
    let Ok((correlation_id, body)) = decode_response(Bytes::copy_from_slice(frame), api, version) else {
        return;
    };
    // ApiVersions falls back to version 0.
    let Ok(encoded) = encode_response(correlation_id, version, &body) else {
        assert_eq!(api, ApiKey::ApiVersions, "what was decoded can be encoded");
        return;
    };
    let encoded = encoded.freeze();
    let (id_again, body_again) =
        decode_response(encoded.slice(4..), api, version).expect("what was encoded can be decoded");
    let again = encode_response(id_again, version, &body_again).expect("and encoded");
    assert_eq!(again, encoded);
    let segments = encode_response_segmented(correlation_id, version, &body).expect("in pieces, too");
    let pieces: Vec<Bytes> = segments.into_iter().collect();
    assert_eq!(pieces.concat(), encoded);
}

/// A response of each API and version, as Kafka encodes it.
fn seeds() -> Vec<Vec<u8>> {
    let of_line = |(message, version, body): (&str, i16, Vec<u8>)| {
        let api = api(message, "Response")?;
        let mut seed = vec![
            u8::try_from(api.code()).ok()?,
            u8::try_from(version).ok()?,
            0,
            0,
            0,
            7,
        ];
        seed.extend((api.response_header_version(version) == 1).then_some(0));
        seed.extend_from_slice(&body);
        Some(seed)
    };
    golden().into_iter().filter_map(of_line).collect()
}
