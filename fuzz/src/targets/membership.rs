//! What members of a group tell each other through the coordinator: subscriptions and assignments.

use std::collections::BTreeSet;

use bytes::Bytes;
use kohort_groups::wire::consumer_protocol::{
    decode_assignment, decode_subscription, encode_assignment, encode_subscription,
};
use kohort_protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, decode_versioned, encode_versioned,
};

use super::samples::golden;
use super::{Shape, Target};

pub(super) const TARGET: Target = Target {
    name: "membership",
    run,
    seeds,
    shape: Shape::Bytes,
    memory: |len| 500 * len + (64 << 10),
};

/// The first byte says which of the two it is.
fn run(input: &[u8]) {
    let Some((kind, bytes)) = input.split_first() else {
        return;
    };
    let bytes = Bytes::copy_from_slice(bytes);
    if kind & 1 == 0 {
        if let Ok((version, message)) = decode_versioned::<ConsumerProtocolSubscription>(bytes.clone()) {
            let _ = encode_versioned(&message, version);
        }
        if let Ok(subscription) = decode_subscription(bytes) {
            let encoded = encode_subscription(&subscription).expect("what was decoded can be encoded");
            let again = decode_subscription(encoded).expect("what was encoded can be decoded");
            assert_eq!(sorted(again.topics), sorted(subscription.topics));
        }
    } else {
        if let Ok((version, message)) = decode_versioned::<ConsumerProtocolAssignment>(bytes.clone()) {
            let _ = encode_versioned(&message, version);
        }
        if let Ok(assignment) = decode_assignment(bytes) {
            let encoded = encode_assignment(&assignment).expect("what was decoded can be encoded");
            let again = decode_assignment(encoded).expect("what was encoded can be decoded");
            assert_eq!(sorted(again.partitions), sorted(assignment.partitions));
            assert_eq!(again.user_data, assignment.user_data);
        }
    }
}

/// What is encoded is in order and has nothing twice, whatever came.
fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}

fn seeds() -> Vec<Vec<u8>> {
    let of_line = |(message, version, body): (&str, i16, Vec<u8>)| {
        let kind = match message {
            "ConsumerProtocolSubscription" => 0,
            "ConsumerProtocolAssignment" => 1,
            _ => return None,
        };
        Some([&[kind][..], &version.to_be_bytes(), &body].concat())
    };
    golden().into_iter().filter_map(of_line).collect()
}
