//! Where each request goes. What is refused here needs no group: an empty id, a session out of bounds, a partition that is not
//! hosted or not yet loaded.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::Token;

use super::gather::PartOf;
use super::work::Work;
use super::{
    Client, Coordinator, DeleteRequest, DescribeRequest, DescribedGroup, FetchOffsetsRequest, GroupRequest,
    GroupResponse, HeartbeatRequest, Hosting, JoinRequest, ListRequest, ListedGroup, Refusal,
};

impl Coordinator {
    pub(super) fn on_request(&mut self, token: Token, client: Client, request: GroupRequest) {
        match request {
            GroupRequest::Join(request) => {
                let admitted = self.admit_join(&request);
                let group_id = request.group_id.clone();
                self.route(&group_id, admitted, Work::Join(token, client, request));
            }
            GroupRequest::Sync(request) => {
                let group_id = request.group_id.clone();
                self.route(
                    &group_id,
                    self.admit_member(&group_id),
                    Work::Sync(token, request),
                );
            }
            GroupRequest::Heartbeat(request) => {
                let outcome = self.on_heartbeat(&request);
                self.cx.reply(token, GroupResponse::Heartbeat(outcome));
            }
            GroupRequest::Leave(request) => {
                let group_id = request.group_id.clone();
                self.route(
                    &group_id,
                    self.admit_member(&group_id),
                    Work::Leave(token, request),
                );
            }
            GroupRequest::CommitOffsets(request) => {
                let group_id = request.group_id.clone();
                self.route(
                    &group_id,
                    self.admit(&group_id),
                    Work::CommitOffsets(token, request),
                );
            }
            GroupRequest::DeleteOffsets(request) => {
                let group_id = request.group_id.clone();
                self.route(
                    &group_id,
                    self.admit_member(&group_id),
                    Work::DeleteOffsets(token, request),
                );
            }
            GroupRequest::FetchOffsets(request) => self.on_fetch_offsets(token, request),
            GroupRequest::Delete(request) => self.on_delete(token, request),
            GroupRequest::Describe(request) => self.on_describe(token, request),
            GroupRequest::List(request) => {
                let listed = self.list(&request);
                self.cx.reply(token, GroupResponse::List(listed));
            }
        }
    }

    fn route(&mut self, group_id: &Arc<str>, admitted: Result<(), Refusal>, work: Work) {
        match admitted {
            Ok(()) => self.with_group(group_id, |group, cx| group.handle_work(cx, work)),
            Err(refusal) => work.refuse(&mut self.cx, group_id, refusal),
        }
    }

    /// Whether the group is served here and now.
    fn admit(&self, group_id: &str) -> Result<(), Refusal> {
        match self.partitions.get(&self.partition_of(group_id)) {
            Some(Hosting::Active) => Ok(()),
            Some(Hosting::Loading) => Err(Refusal::LoadInProgress),
            None => Err(Refusal::NotCoordinator),
        }
    }

    /// Members need a group id that is not empty; clients that only commit do not.
    // Kafka: GroupCoordinatorService.isGroupIdNotEmpty
    fn admit_member(&self, group_id: &str) -> Result<(), Refusal> {
        if group_id.is_empty() {
            return Err(Refusal::InvalidGroupId);
        }
        self.admit(group_id)
    }

    // Kafka: GroupCoordinatorService.joinGroup
    fn admit_join(&self, request: &JoinRequest) -> Result<(), Refusal> {
        let bounds = self.cx.config.min_session_timeout_ms..=self.cx.config.max_session_timeout_ms;
        if request.group_id.is_empty() {
            return Err(Refusal::InvalidGroupId);
        }
        if !bounds.contains(&request.session_timeout_ms) {
            return Err(Refusal::InvalidSessionTimeout);
        }
        self.admit(&request.group_id)
    }

    fn on_heartbeat(&mut self, request: &HeartbeatRequest) -> Result<(), Refusal> {
        match self.admit_member(&request.group_id) {
            // Kafka: GroupCoordinatorService.heartbeat: a member need not rejoin because its coordinator is loading
            Err(Refusal::LoadInProgress) => return Ok(()),
            admitted => admitted?,
        }
        self.with_group(&request.group_id, |group, cx| group.handle_heartbeat(cx, request))
    }

    fn on_fetch_offsets(&mut self, token: Token, request: FetchOffsetsRequest) {
        let empty = GroupResponse::FetchOffsets(Vec::new());
        self.cx.gather(token, request.groups.len(), empty);
        for (index, group) in request.groups.into_iter().enumerate() {
            let group_id = group.group_id.clone();
            let of = PartOf { token, index };
            self.route(&group_id, self.admit(&group_id), Work::FetchOffsets(of, group));
        }
    }

    fn on_delete(&mut self, token: Token, request: DeleteRequest) {
        let empty = GroupResponse::Delete(Vec::new());
        self.cx.gather(token, request.groups.len(), empty);
        for (index, group_id) in request.groups.into_iter().enumerate() {
            let of = PartOf { token, index };
            self.route(&group_id, self.admit(&group_id), Work::Delete(of));
        }
    }

    // Kafka: GroupMetadataManager.describeGroups
    fn on_describe(&mut self, token: Token, request: DescribeRequest) {
        let describe = |group_id: Arc<str>| {
            let classic = self
                .groups
                .get(&group_id)
                .and_then(|group| group.classic.as_ref());
            let outcome = match (self.admit(&group_id), classic) {
                (Err(refusal), _) => Err(refusal),
                (Ok(()), None) if request.names_missing_group => Err(Refusal::GroupIdNotFound),
                (Ok(()), classic) => Ok(classic.map(|classic| classic.description())),
            };
            DescribedGroup { group_id, outcome }
        };
        let described = request.groups.into_iter().map(describe).collect();
        self.cx.reply(token, GroupResponse::Describe(described));
    }

    /// Groups of partitions that are not hosted here are none of ours; a partition that loads hides all.
    // Kafka: GroupCoordinatorService.listGroups, GroupMetadataManager.listGroups
    fn list(&self, request: &ListRequest) -> Result<Vec<ListedGroup>, Refusal> {
        if self
            .partitions
            .values()
            .any(|hosting| *hosting == Hosting::Loading)
        {
            return Err(Refusal::LoadInProgress);
        }
        // A request may have a million of these, and there may be many groups.
        let filter = |names: &[String]| -> BTreeSet<String> {
            names
                .iter()
                .map(|name| name.trim().to_ascii_lowercase())
                .collect()
        };
        let (states, types) = (filter(&request.states), filter(&request.types));
        let is_in = |filter: &BTreeSet<String>, name: &str| {
            filter.is_empty() || filter.contains(&name.to_ascii_lowercase())
        };
        let is_wanted = |group: &ListedGroup| is_in(&states, group.state) && is_in(&types, group.group_type);
        let classic = self.groups.values().filter_map(|group| group.classic.as_ref());
        Ok(classic
            .map(|classic| classic.listed())
            .filter(is_wanted)
            .collect())
    }
}
