//! Commands on groups.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::wire::consumer_protocol::decode_assignment;
use kohort_protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use kohort_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    ListGroupsRequest, ListGroupsResponse,
};
use kohort_protocol::{ApiKey, ResponseBody};

use super::error::AdminError;
use super::reply::{AdminReply, GroupDescription, GroupListing, GroupMember, Results};
use super::topics::read_unit;
use super::work::{Answer, Ask, Item, Work};
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

    fn read(&mut self, asked: &[Item], node: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let response = ListGroupsResponse::try_from(response).unwrap_or_default();
        let answer = Answer::refused(response.error_code, None).unwrap_or(Answer::Done);
        if answer == Answer::Done {
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

/// One request per group, because each may have its own coordinator.
fn ask_each(
    pending: &mut BTreeSet<Item>,
    api: ApiKey,
    build: impl Fn(String) -> crate::client::BuildRequest,
) -> Vec<Ask> {
    let asks = core::mem::take(pending).into_iter().filter_map(|item| {
        let Item::Name(group) = &item else {
            return None;
        };
        Some(Ask {
            target: Target::Coordinator(group.clone()),
            api,
            build: build(group.as_ref().into()),
            items: alloc::vec![item],
        })
    });
    asks.collect()
}

/// DescribeGroups.
#[derive(Debug)]
pub(super) struct DescribeGroups {
    groups: BTreeSet<Arc<str>>,
    results: Results<Arc<str>, GroupDescription>,
}

impl DescribeGroups {
    pub(super) fn new(groups: Vec<Arc<str>>) -> Self {
        Self {
            groups: groups.into_iter().collect(),
            results: BTreeMap::new(),
        }
    }
}

impl Work for DescribeGroups {
    fn items(&self) -> BTreeSet<Item> {
        self.groups.iter().cloned().map(Item::Name).collect()
    }

    fn plan(&self, _: &Cluster, pending: &mut BTreeSet<Item>, _: Duration) -> Vec<Ask> {
        ask_each(pending, ApiKey::DescribeGroups, |group| {
            let request = DescribeGroupsRequest {
                groups: alloc::vec![group],
                ..Default::default()
            };
            Box::new(move |_| Some(request.clone().into()))
        })
    }

    // Kafka: DescribeConsumerGroupsHandler
    fn read(&mut self, _: &[Item], node: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let response = DescribeGroupsResponse::try_from(response).unwrap_or_default();
        let mut answers = Vec::new();
        for group in response.groups {
            let id: Arc<str> = group.group_id.as_str().into();
            let answer =
                Answer::refused(group.error_code, group.error_message.clone()).unwrap_or(Answer::Done);
            if answer == Answer::Done {
                self.results
                    .insert(id.clone(), Ok(described(id.clone(), group, node)));
            }
            answers.push((Item::Name(id), answer));
        }
        answers
    }

    fn fail(&mut self, item: Item, error: AdminError) {
        if let Item::Name(name) = item {
            self.results.insert(name, Err(error));
        }
    }

    fn finish(self: Box<Self>) -> AdminReply {
        AdminReply::GroupsDescribed(self.results)
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

/// DeleteGroups.
#[derive(Debug)]
pub(super) struct DeleteGroups {
    groups: BTreeSet<Arc<str>>,
    results: Results<Arc<str>, ()>,
}

impl DeleteGroups {
    pub(super) fn new(groups: Vec<Arc<str>>) -> Self {
        Self {
            groups: groups.into_iter().collect(),
            results: BTreeMap::new(),
        }
    }
}

impl Work for DeleteGroups {
    fn items(&self) -> BTreeSet<Item> {
        self.groups.iter().cloned().map(Item::Name).collect()
    }

    fn plan(&self, _: &Cluster, pending: &mut BTreeSet<Item>, _: Duration) -> Vec<Ask> {
        ask_each(pending, ApiKey::DeleteGroups, |group| {
            let request = DeleteGroupsRequest {
                groups_names: alloc::vec![group],
            };
            Box::new(move |_| Some(request.clone().into()))
        })
    }

    fn read(&mut self, _: &[Item], _: Option<i32>, response: ResponseBody) -> Vec<(Item, Answer)> {
        let response = DeleteGroupsResponse::try_from(response).unwrap_or_default();
        let answers = response
            .results
            .into_iter()
            .map(|it| (it.group_id, it.error_code, None));
        read_unit(&mut self.results, answers)
    }

    fn fail(&mut self, item: Item, error: AdminError) {
        if let Item::Name(name) = item {
            self.results.insert(name, Err(error));
        }
    }

    fn finish(self: Box<Self>) -> AdminReply {
        AdminReply::GroupsDeleted(self.results)
    }
}
