//! A member of a classic group.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_machine::{Instant, Token};

use super::said::of_protocols;
use crate::coordinator::{
    Client, JoinProtocol, JoinRequest, JoinedMember, MemberFate, Participant, StoredMember,
};

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: Arc<str>,
    pub(super) group_instance_id: Option<Arc<str>>,
    pub(super) client: Client,
    pub(super) rebalance_timeout_ms: i32,
    pub(super) session_timeout_ms: i32,
    pub(super) protocols: Vec<JoinProtocol>,
    pub(super) assignment: Bytes,
    /// How many bytes its protocols had when it came, or was loaded. They are a little more once it owns something.
    pub(super) came_with: usize,
    /// Its first join was not answered yet.
    pub(super) is_new: bool,
    /// The JoinGroup to answer when the join phase ends.
    pub(super) awaiting_join: Option<Token>,
    /// The SyncGroup to answer when the assignment is there.
    pub(super) awaiting_sync: Option<Token>,
}

impl Member {
    pub(super) fn joining(id: Arc<str>, client: Client, request: &JoinRequest) -> Self {
        Self {
            id,
            group_instance_id: request.group_instance_id.clone(),
            client,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            came_with: of_protocols(&request.protocols),
            is_new: true,
            awaiting_join: None,
            awaiting_sync: None,
        }
    }

    // Kafka: GroupMetadataManager.replay(GroupMetadataKey, GroupMetadataValue)
    pub(super) fn from_stored(stored: &StoredMember, protocol: &Arc<str>) -> Self {
        let protocols = Vec::from([JoinProtocol {
            name: protocol.clone(),
            metadata: stored.subscription.clone(),
        }]);
        Self {
            id: stored.member_id.clone(),
            group_instance_id: stored.group_instance_id.clone(),
            client: Client {
                id: stored.client_id.clone(),
                host: stored.client_host.clone(),
            },
            rebalance_timeout_ms: match stored.rebalance_timeout_ms {
                -1 => stored.session_timeout_ms,
                millis => millis,
            },
            session_timeout_ms: stored.session_timeout_ms,
            came_with: of_protocols(&protocols),
            protocols,
            assignment: stored.assignment.clone(),
            is_new: false,
            awaiting_join: None,
            awaiting_sync: None,
        }
    }

    pub(super) fn to_stored(&self, protocol: Option<&str>, assignment: Bytes) -> StoredMember {
        StoredMember {
            member_id: self.id.clone(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client.id.clone(),
            client_host: self.client.host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            subscription: self.metadata(protocol),
            assignment,
        }
    }

    /// Takes over what it says when it joins again.
    pub(super) fn take_over(&mut self, request: &JoinRequest) {
        self.protocols = request.protocols.clone();
        self.rebalance_timeout_ms = request.rebalance_timeout_ms;
        self.session_timeout_ms = request.session_timeout_ms;
    }

    pub(super) fn participant(&self) -> Participant {
        Participant {
            member_id: self.id.clone(),
            group_instance_id: self.group_instance_id.clone(),
            client_id: self.client.id.clone(),
            client_host: self.client.host.clone(),
        }
    }

    /// Since when it reads nothing any more, if it goes now: one whose session ended was last heard when that began.
    pub(super) fn unread_since(&self, now: Instant, fate: MemberFate) -> Instant {
        if fate != MemberFate::SessionExpired {
            return now;
        }
        let millis = u64::try_from(self.session_timeout_ms).unwrap_or(0);
        let silent = Duration::from_millis(millis);
        Instant::ZERO + now.saturating_since(Instant::ZERO + silent)
    }

    pub(super) fn is_static(&self) -> bool {
        self.group_instance_id.is_some()
    }

    /// The metadata for an assignor; empty when the member does not have it.
    pub(super) fn metadata(&self, protocol: Option<&str>) -> Bytes {
        let offered = |offered: &&JoinProtocol| Some(&*offered.name) == protocol;
        let found = self.protocols.iter().find(offered);
        found.map_or_else(Bytes::new, |offered| offered.metadata.clone())
    }

    /// Whether silence is excused: a request of the member waits here.
    // Kafka: ClassicGroupMember.hasSatisfiedHeartbeat
    pub(super) fn is_heard(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    pub(super) fn to_joined(&self, protocol: Option<&str>) -> JoinedMember {
        JoinedMember {
            member_id: self.id.clone(),
            group_instance_id: self.group_instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }
}
