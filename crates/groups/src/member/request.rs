//! What a member asks its coordinator and what it is answered, in the group's own words. The `wire` module maps these to
//! protocol messages of a version.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::{Assignment, Identity, Subscription};

/// The protocol type of consumer groups, as opposed to Kafka Connect's.
// Kafka: ConsumerProtocol.PROTOCOL_TYPE
pub const PROTOCOL_TYPE: &str = "consumer";

/// A request to the group's coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberRequest {
    /// JoinGroup.
    Join(Box<JoinRequest>),
    /// SyncGroup.
    Sync(Box<SyncRequest>),
    /// Heartbeat.
    Heartbeat(Box<HeartbeatRequest>),
    /// LeaveGroup.
    Leave(Box<LeaveRequest>),
}

impl MemberRequest {
    /// Which of the four requests it is.
    pub fn api(&self) -> MemberApi {
        match self {
            Self::Join(_) => MemberApi::JoinGroup,
            Self::Sync(_) => MemberApi::SyncGroup,
            Self::Heartbeat(_) => MemberApi::Heartbeat,
            Self::Leave(_) => MemberApi::LeaveGroup,
        }
    }
}

/// The requests of a classic member, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberApi {
    /// JoinGroup (11).
    JoinGroup,
    /// SyncGroup (14).
    SyncGroup,
    /// Heartbeat (12).
    Heartbeat,
    /// LeaveGroup (13).
    LeaveGroup,
    /// OffsetCommit (8): not sent by the member, but its answer may tell the member that it is out of the group.
    OffsetCommit,
}

/// Asks to become, or to stay, a member of the next generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// After how long without a heartbeat the member is taken for dead.
    pub session_timeout: Duration,
    /// How long the coordinator waits for the member to join again.
    pub rebalance_timeout: Duration,
    /// The id that the coordinator gave before; empty for a new member.
    pub member_id: Arc<str>,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// The assignors offered, the preferred first, each with the member's subscription under it.
    pub protocols: Vec<(Arc<str>, Subscription)>,
    /// Why the member joins (KIP-800).
    pub reason: Arc<str>,
}

/// Asks for the member's assignment; the leader's brings those of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// Who asks.
    pub identity: Identity,
    /// The assignor that the coordinator chose.
    pub protocol: Arc<str>,
    /// From the leader: what each member is assigned.
    pub assignments: BTreeMap<String, Assignment>,
}

/// Says that the member is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// Who beats.
    pub identity: Identity,
}

/// Says that the member goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaveRequest {
    /// The group.
    pub group_id: Arc<str>,
    /// Who leaves.
    pub member_id: Arc<str>,
    /// Why (KIP-800).
    pub reason: Arc<str>,
}

/// What the coordinator answered when it refused nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberResponse {
    /// To [`MemberRequest::Join`].
    Join(JoinResponse),
    /// To [`MemberRequest::Sync`].
    Sync(SyncResponse),
    /// To [`MemberRequest::Heartbeat`].
    Heartbeat,
    /// To [`MemberRequest::Leave`].
    Leave,
}

/// The member's place in a new generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinResponse {
    /// The new generation.
    pub generation: i32,
    /// The member's id.
    pub member_id: Arc<str>,
    /// The leader's id; the member leads when it is its own.
    pub leader: Arc<str>,
    /// The protocol type of the group, when the version carries it.
    pub protocol_type: Option<Arc<str>>,
    /// The assignor that the coordinator chose.
    pub protocol: Arc<str>,
    /// The leader came back as a static member and the old assignment stands (KIP-814).
    pub skip_assignment: bool,
    /// For the leader: every member and what it subscribes to.
    pub members: BTreeMap<String, Subscription>,
}

/// The member's assignment in its generation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncResponse {
    /// The protocol type of the group, when the version carries it.
    pub protocol_type: Option<Arc<str>>,
    /// The assignor by which it was made, when the version carries it.
    pub protocol: Option<Arc<str>>,
    /// What the member is assigned.
    pub assignment: Assignment,
}
