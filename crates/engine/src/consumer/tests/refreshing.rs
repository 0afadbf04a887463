//! `metadata.max.age.ms`: what a consumer learns of its topics without a cause.

use super::rig::*;
use crate::consumer::{CallbackKind, ConsumerConfig, OffsetReset};
use alloc::vec;
use core::time::Duration;

fn config(config: &mut ConsumerConfig) {
    config.auto_offset_reset = OffsetReset::Earliest;
    config.client.metadata_max_age = Duration::from_secs(20);
}

// Kafka: ConsumerCoordinatorTest.testMetadataChangeTriggersRebalance
#[test]
fn a_member_joins_again_for_new_partitions_when_its_metadata_are_old_and_not_before() {
    let mut rig = Rig::in_group(config);
    rig.subscribe();
    rig.poll_all();
    let began = rig.driven.now();
    let mut read = vec![];
    rig.add_partition();
    while rig.generation == 1 {
        rig.advance(Duration::from_millis(50));
        read.extend(rig.poll().unwrap());
    }
    let took = rig.driven.now() - began;
    assert!(
        took <= Duration::from_secs(20) && took > Duration::from_secs(18),
        "a rejoin after {took:?}"
    );
    read.extend(rig.poll().unwrap());
    assert_eq!(rig.calls.last(), Some(&(CallbackKind::Assigned, vec![0, 1, 2])));
    read.extend(rig.poll_all());
    assert!(records(2, 0, 5).iter().all(|new| read.contains(new)));
}

#[test]
fn a_standalone_consumer_keeps_its_partitions_and_knows_new_ones_after_a_refresh() {
    let mut rig = Rig::new(config);
    rig.assign(&[0, 1]);
    rig.poll_all();
    rig.add_partition();
    rig.advance(Duration::from_secs(21));
    // Its metadata have the leader already: newer ones are not needed.
    let metadata = rig.driven.network.metadata.as_mut().unwrap();
    metadata.topics[0].partitions.pop();
    rig.assign(&[0, 1, 2]);
    assert_eq!(rig.poll_all(), records(2, 0, 5));
}
