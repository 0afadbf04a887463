//! The records of `__consumer_offsets`, as the coordinator reads them when it loads a partition.

use bytes::Bytes;
use kohort_groups::wire::coordinator::{decode_record, encode_record};
use kohort_protocol::group_records::GroupRecordKey;

use super::samples::golden;
use super::{Shape, Target};

pub(super) const TARGET: Target = Target {
    name: "group_records",
    run,
    seeds,
    shape: Shape::Bytes,
    memory: |len| 500 * len + (64 << 10),
};

/// Two bytes: the length of the key; the value follows it, unless the first bit is set.
fn run(input: &[u8]) {
    let [high, low, rest @ ..] = input else {
        return;
    };
    let len = usize::from(u16::from_be_bytes([*high & 0x7f, *low])).min(rest.len());
    let (key, value) = rest.split_at(len);
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    let value = (high & 0x80 == 0).then_some(value);
    if let Ok(Some(key)) = GroupRecordKey::decode(key.clone()) {
        let encoded = key.encode().expect("what was decoded can be encoded");
        let again = GroupRecordKey::decode(encoded).expect("what was encoded can be decoded");
        assert_eq!(again, Some(key));
    }
    if let Ok(Some(record)) = decode_record(key, value) {
        let (key, value) = encode_record(&record).expect("what was decoded can be encoded");
        let again = decode_record(key, value).expect("what was encoded can be decoded");
        assert_eq!(again, Some(record));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let golden = golden();
    let mut seeds = Vec::new();
    let keys = golden.iter().filter(|(message, ..)| message.ends_with("Key"));
    for (message, version, key) in keys {
        let value_of = message.replace("Key", "Value");
        let key = [&version.to_be_bytes()[..], key].concat();
        let length = (key.len() as u16).to_be_bytes();
        let values = golden.iter().filter(|(message, ..)| *message == value_of);
        for (_, version, value) in values {
            let version = version.to_be_bytes();
            seeds.push([&length[..], &key, &version, value].concat());
        }
        seeds.push([&[length[0] | 0x80, length[1]][..], &key].concat());
    }
    seeds
}
