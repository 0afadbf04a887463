//! What DescribeGroups and ListGroups tell about a group.

use bytes::Bytes;

use super::{Classic, StateKind};
use crate::coordinator::{GroupDescription, ListedGroup, MemberDescription};

/// Kafka's name of the classic group type.
// Kafka: Group.GroupType.CLASSIC
const CLASSIC: &str = "classic";

impl Classic {
    /// Metadata and assignor are told of a stable group only.
    // Kafka: GroupMetadataManager.describeGroups
    pub(in crate::coordinator) fn description(&self) -> GroupDescription {
        let is_stable = self.kind() == StateKind::Stable;
        let protocol = self.protocol.as_deref();
        GroupDescription {
            state: self.state.name(),
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone().filter(|_| is_stable),
            members: self
                .members
                .values()
                .map(|member| MemberDescription {
                    member_id: member.id.clone(),
                    group_instance_id: member.group_instance_id.clone(),
                    client_id: member.client.id.clone(),
                    client_host: member.client.host.clone(),
                    metadata: if is_stable {
                        member.metadata(protocol)
                    } else {
                        Bytes::new()
                    },
                    assignment: member.assignment.clone(),
                })
                .collect(),
        }
    }

    // Kafka: ClassicGroup.asListedGroup
    pub(in crate::coordinator) fn listed(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: self.protocol_type.clone(),
            state: self.state.name(),
            group_type: CLASSIC,
        }
    }
}
