//! Requests of very many very small parts: tagged fields, and elements of arrays. A few bytes each, they are dozens of bytes
//! in memory, and their answers are dozens more.

use kohort_protocol::{ApiKey, Message, messages::RequestHeader};

/// A request: of what, and which bytes, its length at the beginning.
pub(crate) struct Crowd {
    pub(crate) what: &'static str,
    pub(crate) frame: Vec<u8>,
}

/// An array in a request: what is before it, each of its elements, and what is behind it. How many there are is in the compact
/// form.
struct Shape {
    what: &'static str,
    key: ApiKey,
    version: i16,
    before: &'static [u8],
    each: &'static [u8],
    behind: &'static [u8],
}

const TAGGED: &[u8] = &[10, 0];

/// In the order of the fields on the wire; all versions are flexible ones. `t` is a topic that exists.
const ARRAYS: &[Shape] = &[
    Shape {
        what: "topics without a name in Metadata",
        key: ApiKey::Metadata,
        version: 9,
        before: &[],
        each: &[1, 0],
        behind: &[0; 4],
    },
    Shape {
        what: "groups without a name in OffsetFetch",
        key: ApiKey::OffsetFetch,
        version: 8,
        before: &[],
        each: &[1, 0, 0],
        behind: &[0; 2],
    },
    Shape {
        what: "topics without partitions in Fetch",
        key: ApiKey::Fetch,
        version: 12,
        // Replica, waiting time, bytes, isolation level, session.
        before: &[
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0xff, 0xff,
            0xff, 0xff,
        ],
        each: &[1, 1, 0],
        behind: &[1, 1, 0],
    },
    Shape {
        what: "partitions without records in Produce",
        key: ApiKey::Produce,
        version: 9,
        before: &[0, 0xff, 0xff, 0, 0, 0, 9, 2, 2, b't'],
        each: &[0, 0, 0, 0, 0, 0],
        behind: &[0; 2],
    },
    Shape {
        what: "keys without a name in FindCoordinator",
        key: ApiKey::FindCoordinator,
        version: 4,
        before: &[0],
        each: &[1],
        behind: &[0],
    },
    Shape {
        what: "topics without a name in CreateTopics",
        key: ApiKey::CreateTopics,
        version: 5,
        before: &[],
        each: &[1, 0, 0, 0, 1, 0, 1, 1, 1, 0],
        behind: &[0, 0, 0, 9, 0, 0],
    },
    Shape {
        what: "resources without a name in DescribeConfigs",
        key: ApiKey::DescribeConfigs,
        version: 4,
        before: &[],
        each: &[2, 1, 0, 0],
        behind: &[0; 3],
    },
    Shape {
        what: "partitions of one topic in ListOffsets",
        key: ApiKey::ListOffsets,
        version: 7,
        before: &[0xff, 0xff, 0xff, 0xff, 0, 2, 2, b't'],
        each: &[
            0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,
        ],
        behind: &[0; 2],
    },
];

/// Arrays of so many elements, one request of each kind.
pub(crate) fn arrays(count: impl Fn(usize) -> usize) -> Vec<Crowd> {
    let crowd = |shape: &Shape| {
        let count = count(shape.each.len());
        let body = [
            shape.before,
            &varint(count + 1),
            &shape.each.repeat(count),
            shape.behind,
        ];
        Crowd {
            what: shape.what,
            frame: request(shape.key, shape.version, &[0], &body.concat()),
        }
    };
    ARRAYS.iter().map(crowd).collect()
}

/// So many tagged fields, wherever a request has a place for them.
pub(crate) fn tagged_fields(count: usize) -> Vec<Crowd> {
    let fields = [&varint(count)[..], &TAGGED.repeat(count)].concat();
    let within = |before: &[u8], behind: &[u8]| [before, &fields, behind].concat();
    let metadata = |header: &[u8], body: &[u8]| request(ApiKey::Metadata, 9, header, body);
    vec![
        Crowd {
            what: "tagged fields of a header",
            frame: metadata(&fields, &[1, 0, 0, 0, 0]),
        },
        Crowd {
            what: "tagged fields of a body",
            frame: metadata(&[0], &within(&[1, 0, 0, 0], &[])),
        },
        Crowd {
            what: "tagged fields of a topic in Metadata",
            frame: metadata(&[0], &within(&[2, 2, b't'], &[0; 4])),
        },
        Crowd {
            what: "tagged fields of a partition in Produce",
            frame: request(
                ApiKey::Produce,
                9,
                &[0],
                &within(
                    &[0, 0xff, 0xff, 0, 0, 0, 9, 2, 2, b't', 2, 0, 0, 0, 0, 0],
                    &[0; 2],
                ),
            ),
        },
    ]
}

fn request(key: ApiKey, version: i16, header_fields: &[u8], body: &[u8]) -> Vec<u8> {
    let header = RequestHeader {
        request_api_key: key.code(),
        request_api_version: version,
        correlation_id: 1,
        client_id: None,
    };
    let mut bytes = bytes::BytesMut::new();
    // Version 1 ends where the tagged fields of version 2 begin.
    header.encode(1, &mut bytes).expect("a header");
    let length = u32::try_from(bytes.len() + header_fields.len() + body.len()).expect("no more than 4 GiB");
    [&length.to_be_bytes()[..], &bytes, header_fields, body].concat()
}

fn varint(value: usize) -> Vec<u8> {
    let mut value = u32::try_from(value).expect("32 bits");
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}
