//! Commands on groups and their members.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::wire::consumer_protocol::decode_assignment;
use kohort_protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use kohort_protocol::messages::leave_group::MemberIdentity;
use kohort_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
};
use kohort_protocol::{ApiKey, ResponseBody};

use super::each::{Answers, Build, Each, always, of_all, when};
use super::error::AdminError;
use super::reply::{AdminReply, GroupDescription, GroupListing, GroupMember, Results};
use super::work::{Ask, Item, Refused, Work};
use crate::client::{Cluster, Target};

/// ListGroups: asks every broker.
#[derive(Debug)]
pub(super) struct ListGroups {
    states: Vec<String>,
    types: Vec<String>,
    groups: BTreeMap<Arc<str>, GroupListing>,
    failed: BTreeMap<i32, AdminError>,
}

impl ListGroups {
    pub(super) fn new(states: Vec<String>, types: Vec<String>) -> Self {
        Self {
            states,
            types,
            groups: BTreeMap::new(),
            failed: BTreeMap::new(),
        }
    }
}

impl Work for ListGroups {
    fn items(&self) -> BTreeSet<Item> {
        BTreeSet::from([Item::Whole])
    }

    fn needs_fresh_metadata(&self) -> bool {
        true
    }

    // Kafka: KafkaAdminClient.listGroups
    fn plan(&self, cluster: &Cluster, pending: &mut BTreeSet<Item>, _: Duration) -> Vec<Ask> {
        if cluster.version() == 0 {
            return Vec::new();
        }
        if pending.remove(&Item::Whole) {
            pending.extend(cluster.brokers().map(|broker| Item::Broker(broker.id)));
        }
        let asks = core::mem::take(pending).into_iter().filter_map(|item| {
            let Item::Broker(node) = item else {
                return None;
            };
            let request = ListGroupsRequest {
                states_filter: self.states.clone(),
                types_filter: self.types.clone(),
            };
            let (has_states, has_types) = (!self.states.is_empty(), !self.types.is_empty());
            let can_say = move |version| (version >= 4 || !has_states) && (version >= 5 || !has_types);
            Some(Ask {
                target: Target::Broker(node),
                api: ApiKey::ListGroups,
                build: Box::new(move |version| can_say(version).then(|| request.clone().into())),
                items: alloc::vec![item],
            })
        });
        asks.collect()
    }

    fn read(
        &mut self,
        asked: &[Item],
        node: Option<i32>,
        response: ResponseBody,
    ) -> Vec<(Item, Result<(), Refused>)> {
        let response = ListGroupsResponse::try_from(response).unwrap_or_default();
        let answer = Refused::check(response.error_code, None);
        if answer.is_ok() {
            for group in response.groups {
                let id: Arc<str> = group.group_id.into();
                let listing = GroupListing {
                    id: id.clone(),
                    protocol_type: group.protocol_type,
                    state: group.group_state,
                    group_type: group.group_type,
                    coordinator: node.unwrap_or(-1),
                };
                self.groups.insert(id, listing);
            }
        }
        asked.iter().map(|item| (item.clone(), answer.clone())).collect()
    }

    fn fail(&mut self, item: Item, error: AdminError) {
        let node = match item {
            Item::Broker(node) => node,
            _ => -1,
        };
        self.failed.insert(node, error);
    }

    fn finish(self: Box<Self>) -> AdminReply {
        AdminReply::GroupsListed {
            groups: self.groups.into_values().collect(),
            failed: self.failed,
        }
    }
}

/// DescribeGroups: each may have its own coordinator.
// Kafka: DescribeConsumerGroupsHandler
#[derive(Debug)]
pub(super) struct DescribeGroups {
    pub(super) groups: BTreeSet<Arc<str>>,
}

impl Each for DescribeGroups {
    type Key = Arc<str>;
    type Value = GroupDescription;
    type Request = DescribeGroupsRequest;

    fn keys(&self) -> BTreeSet<Arc<str>> {
        self.groups.clone()
    }

    fn target(&self, _: &Cluster, group: &Arc<str>) -> Option<Target> {
        Some(Target::Coordinator(group.clone()))
    }

    fn request(&self, groups: &[Arc<str>], _: Duration) -> Build<DescribeGroupsRequest> {
        always(DescribeGroupsRequest {
            groups: groups.iter().map(|group| group.as_ref().into()).collect(),
            ..Default::default()
        })
    }

    fn read(
        &self,
        _: &[Arc<str>],
        node: Option<i32>,
        response: DescribeGroupsResponse,
    ) -> Answers<Arc<str>, GroupDescription> {
        let answers = response.groups.into_iter().map(|group| {
            let id: Arc<str> = group.group_id.as_str().into();
            let answer = Refused::check(group.error_code, group.error_message.clone());
            (id.clone(), answer.map(|()| described(id, group, node)))
        });
        answers.collect()
    }

    fn reply(results: Results<Arc<str>, GroupDescription>) -> AdminReply {
        AdminReply::GroupsDescribed(results)
    }
}

fn described(id: Arc<str>, group: DescribedGroup, coordinator: Option<i32>) -> GroupDescription {
    let is_of_consumers = group.protocol_type == "consumer";
    let member = |member: DescribedGroupMember| {
        // An assignment that cannot be read is shown as bytes alone.
        let assigned = match is_of_consumers && !member.member_assignment.is_empty() {
            true => {
                decode_assignment(member.member_assignment.clone())
                    .unwrap_or_default()
                    .partitions
            }
            false => Vec::new(),
        };
        GroupMember {
            id: member.member_id.into(),
            group_instance_id: member.group_instance_id.map(Arc::from),
            client_id: member.client_id,
            host: member.client_host,
            assigned,
            metadata: member.member_metadata,
            assignment: member.member_assignment,
        }
    };
    GroupDescription {
        id,
        state: group.group_state,
        protocol_type: group.protocol_type,
        assignor: group.protocol_data,
        coordinator,
        members: group.members.into_iter().map(member).collect(),
    }
}

/// DeleteGroups: each may have its own coordinator.
// Kafka: DeleteConsumerGroupsHandler
#[derive(Debug)]
pub(super) struct DeleteGroups {
    pub(super) groups: BTreeSet<Arc<str>>,
}

impl Each for DeleteGroups {
    type Key = Arc<str>;
    type Value = ();
    type Request = DeleteGroupsRequest;

    fn keys(&self) -> BTreeSet<Arc<str>> {
        self.groups.clone()
    }

    fn target(&self, _: &Cluster, group: &Arc<str>) -> Option<Target> {
        Some(Target::Coordinator(group.clone()))
    }

    fn request(&self, groups: &[Arc<str>], _: Duration) -> Build<DeleteGroupsRequest> {
        always(DeleteGroupsRequest {
            groups_names: groups.iter().map(|group| group.as_ref().into()).collect(),
        })
    }

    fn read(&self, _: &[Arc<str>], _: Option<i32>, response: DeleteGroupsResponse) -> Answers<Arc<str>, ()> {
        let answers = response
            .results
            .into_iter()
            .map(|group| (group.group_id.into(), Refused::check(group.error_code, None)));
        answers.collect()
    }

    fn reply(results: Results<Arc<str>, ()>) -> AdminReply {
        AdminReply::GroupsDeleted(results)
    }
}

/// RemoveMembers: static members, by `group.instance.id` (KIP-345).
// Kafka: RemoveMembersFromConsumerGroupHandler
#[derive(Debug)]
pub(super) struct RemoveMembers {
    pub(super) group: Arc<str>,
    pub(super) instances: BTreeSet<Arc<str>>,
    pub(super) reason: Option<String>,
}

impl Each for RemoveMembers {
    type Key = Arc<str>;
    type Value = ();
    type Request = LeaveGroupRequest;

    fn keys(&self) -> BTreeSet<Arc<str>> {
        self.instances.clone()
    }

    fn target(&self, _: &Cluster, _: &Arc<str>) -> Option<Target> {
        Some(Target::Coordinator(self.group.clone()))
    }

    fn request(&self, instances: &[Arc<str>], _: Duration) -> Build<LeaveGroupRequest> {
        let member = |instance: &Arc<str>| MemberIdentity {
            group_instance_id: Some(instance.as_ref().into()),
            reason: self.reason.clone(),
            ..Default::default()
        };
        let request = LeaveGroupRequest {
            group_id: self.group.as_ref().into(),
            members: instances.iter().map(member).collect(),
            ..Default::default()
        };
        when(request, |version| version >= 3)
    }

    fn read(
        &self,
        asked: &[Arc<str>],
        _: Option<i32>,
        response: LeaveGroupResponse,
    ) -> Answers<Arc<str>, ()> {
        if let Err(refused) = Refused::check(response.error_code, None) {
            return of_all(asked, &refused);
        }
        let answers = response.members.into_iter().filter_map(|member| {
            Some((
                member.group_instance_id?.into(),
                Refused::check(member.error_code, None),
            ))
        });
        answers.collect()
    }

    fn reply(results: Results<Arc<str>, ()>) -> AdminReply {
        AdminReply::MembersRemoved(results)
    }
}
