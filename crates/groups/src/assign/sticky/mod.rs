//! The sticky assignors: balanced, and with as few moves as that allows. `Sticky` is eager; `CooperativeSticky` leaves out what
//! moves, until its owner has given it up (KIP-429).
//!
//! Members that told their `client.rack` get what has a replica on their rack where balance allows it (KIP-881).
//!
//! Who owned what is settled in `claims`. Members with equal subscriptions are served by `constrained`, others by `general`.
//! `user_data` is what members tell the leader's assignor.

mod claims;
mod constrained;
mod even;
mod general;
mod rings;
mod user_data;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::group::{Group, NONE};
use super::racks::Racks;
use super::{AssignError, Assigned, Assignor, GroupTopics, Shares};
use crate::{RebalanceProtocol, Subscription};
use claims::Claims;

/// Balanced and sticky, for eager groups: each member tells what it was assigned before in its user data.
// Kafka: StickyAssignor
#[derive(Debug, Clone, Copy, Default)]
pub struct Sticky;

impl Assignor for Sticky {
    fn name(&self) -> &str {
        "sticky"
    }

    // Kafka: StickyAssignor.subscriptionUserData
    fn subscription_user_data(&self, _: &[Arc<str>], last: Option<&Assigned>) -> Option<Bytes> {
        last.map(|last| user_data::encode_sticky(&last.assignment.partitions, last.identity.generation))
    }

    fn assign(
        &self,
        topics: &GroupTopics,
        members: &BTreeMap<String, Subscription>,
    ) -> Result<Shares, AssignError> {
        let group = Group::new(topics, members);
        let claims = Claims::of_user_data(&group);
        Ok(group.shares(&owners(&group, &claims)))
    }
}

/// Balanced and sticky, for cooperative groups, whose members go on consuming what they keep: what moves from one member to
/// another is left out of the assignment. Its owner gives it up then and joins again, and the next assignment gives it away.
// Kafka: CooperativeStickyAssignor
#[derive(Debug, Clone, Copy, Default)]
pub struct CooperativeSticky;

impl Assignor for CooperativeSticky {
    fn name(&self) -> &str {
        "cooperative-sticky"
    }

    fn protocols(&self) -> &[RebalanceProtocol] {
        &[RebalanceProtocol::Cooperative, RebalanceProtocol::Eager]
    }

    // Kafka: CooperativeStickyAssignor.subscriptionUserData
    fn subscription_user_data(&self, _: &[Arc<str>], last: Option<&Assigned>) -> Option<Bytes> {
        let generation = last.map(|last| last.identity.generation);
        Some(user_data::encode_generation(generation))
    }

    // Kafka: CooperativeStickyAssignor.assignPartitions, adjustAssignment
    fn assign(
        &self,
        topics: &GroupTopics,
        members: &BTreeMap<String, Subscription>,
    ) -> Result<Shares, AssignError> {
        let group = Group::new(topics, members);
        let claims = Claims::of_owned(&group);
        let mut owners = owners(&group, &claims);
        for (partition, owner) in owners.iter_mut().enumerate() {
            if claims.holds_back(partition, *owner) {
                *owner = NONE;
            }
        }
        Ok(group.shares(&owners))
    }
}

/// The new owner of each partition.
// Kafka: AbstractStickyAssignor.assignPartitions
fn owners(group: &Group<'_>, claims: &Claims) -> Vec<u32> {
    let everybody = 0..group.members.len() as u32;
    let racks = Racks::new(group).filter(|racks| racks.matter(everybody, 0..group.partitions as usize));
    if !group.is_equal() {
        return general::assign(group, claims, racks.as_ref());
    }
    let owners = constrained::assign(group, claims, racks.as_ref());
    match &racks {
        None => owners,
        Some(racks) => general::change_hands(group, claims, racks, owners),
    }
}
