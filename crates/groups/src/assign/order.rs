//! The order of members in which Kafka's assignors serve them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use crate::Subscription;

/// Static members by instance id, then dynamic ones by member id.
// Kafka: AbstractPartitionAssignor.MemberInfo.compareTo
pub(super) fn in_order(members: &BTreeMap<String, Subscription>) -> Vec<(&String, &Subscription)> {
    let mut ordered: Vec<_> = members.iter().collect();
    ordered.sort_by(
        |(a_id, a), (b_id, b)| match (&a.group_instance_id, &b.group_instance_id) {
            (Some(a), Some(b)) => compare(a, b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => compare(a_id, b_id),
        },
    );
    ordered
}

/// By UTF-16 units, as Java compares strings: unlike Rust's order beyond the Basic Multilingual Plane.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}
