//! A group by numbers: members, topics and partitions are indices, so that assignors count instead of comparing names.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::order::compare;
use super::{GroupTopics, Shares, TopicLayout};
use crate::{Assignment, Subscription, TopicPartition};

/// No member.
pub(super) const NONE: u32 = u32::MAX;

/// How many of the lists of topics seen last are compared with a member's before it is taken for a new one.
const REMEMBERED: usize = 8;

/// Members and the topics that they subscribe to, as far as these have partitions.
pub(super) struct Group<'a> {
    /// By name, as Java orders strings.
    pub(super) topics: Vec<Topic<'a>>,
    /// By member id, as Java orders strings.
    pub(super) members: Vec<Member<'a>>,
    /// The lists of topics that members subscribe to, each ascending and without repetition. Members with the same list share it.
    lists: Vec<Vec<u32>>,
    /// How many partitions there are; they are numbered topic by topic.
    pub(super) partitions: u32,
}

pub(super) struct Topic<'a> {
    pub(super) name: &'a Arc<str>,
    pub(super) layout: &'a TopicLayout,
    /// The number of its first partition among all partitions.
    pub(super) first: u32,
    pub(super) partitions: u32,
}

pub(super) struct Member<'a> {
    pub(super) id: &'a String,
    pub(super) subscription: &'a Subscription,
    list: u32,
}

impl<'a> Group<'a> {
    pub(super) fn new(topics: &'a GroupTopics, members: &'a BTreeMap<String, Subscription>) -> Self {
        let mut known: Vec<Topic<'a>> = topics
            .iter()
            .filter(|(_, layout)| layout.partitions > 0)
            .map(|(name, layout)| Topic {
                name,
                layout,
                first: 0,
                partitions: layout.partitions,
            })
            .collect();
        known.sort_by(|a, b| compare(a.name, b.name));
        let mut partitions = 0u32;
        for topic in &mut known {
            topic.first = partitions;
            // Partitions are counted in 32 bits: what is beyond is not assigned.
            topic.partitions = topic.partitions.min(NONE - 1 - partitions);
            partitions += topic.partitions;
        }
        let mut group = Self {
            topics: known,
            members: Vec::with_capacity(members.len()),
            lists: Vec::new(),
            partitions,
        };
        let mut ordered: Vec<(&'a String, &'a Subscription)> = members.iter().collect();
        ordered.sort_by(|(a, _), (b, _)| compare(a, b));
        let mut seen: Vec<(&'a [Arc<str>], u32)> = Vec::new();
        for (id, subscription) in ordered {
            let topics = subscription.topics.as_slice();
            let recent = &seen[seen.len().saturating_sub(REMEMBERED)..];
            let list = match recent
                .iter()
                .rev()
                .find(|(earlier, _)| same_names(earlier, topics))
            {
                Some((_, list)) => *list,
                None => {
                    let list = group.list(topics);
                    seen.push((topics, list));
                    list
                }
            };
            group.members.push(Member {
                id,
                subscription,
                list,
            });
        }
        group
    }

    /// The number of the list of these topics; an equal one may be there already, in another order.
    fn list(&mut self, topics: &[Arc<str>]) -> u32 {
        let mut list = Vec::with_capacity(topics.len());
        let mut guess = Guess::default();
        for topic in topics {
            list.extend(guess.find(&self.topics, topic));
        }
        list.sort_unstable();
        list.dedup();
        let recent = self.lists.len().saturating_sub(REMEMBERED);
        let found = self.lists[recent..].iter().position(|earlier| *earlier == list);
        let number = match found {
            Some(at) => recent + at,
            None => {
                self.lists.push(list);
                self.lists.len() - 1
            }
        };
        number as u32
    }

    /// The topics of a member, ascending.
    pub(super) fn topics_of(&self, member: usize) -> &[u32] {
        &self.lists[self.members[member].list as usize]
    }

    /// Whether all members subscribe to the same topics.
    pub(super) fn is_equal(&self) -> bool {
        self.lists.len() <= 1
    }

    /// The subscribers of each topic, in the order of `members`.
    pub(super) fn subscribers(&self, members: &[u32]) -> Vec<Vec<u32>> {
        let mut counts = vec![0; self.topics.len()];
        for member in members {
            for topic in self.topics_of(*member as usize) {
                counts[*topic as usize] += 1;
            }
        }
        let mut subscribers: Vec<Vec<u32>> = counts.into_iter().map(Vec::with_capacity).collect();
        for member in members {
            for topic in self.topics_of(*member as usize) {
                subscribers[*topic as usize].push(*member);
            }
        }
        subscribers
    }

    /// All members: static ones by instance id, then dynamic ones by member id.
    // Kafka: AbstractPartitionAssignor.MemberInfo.compareTo
    pub(super) fn static_first(&self) -> Vec<u32> {
        let mut ordered: Vec<u32> = (0..self.members.len() as u32).collect();
        let instance = |member: &u32| {
            self.members[*member as usize]
                .subscription
                .group_instance_id
                .as_deref()
        };
        // The sort is stable, and the members are in the order of their ids.
        ordered.sort_by(|a, b| match (instance(a), instance(b)) {
            (Some(a), Some(b)) => compare(a, b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        });
        ordered
    }

    /// What each member gets, from the owner of each partition ([`NONE`] for nobody).
    pub(super) fn shares(&self, owners: &[u32]) -> Shares {
        let mut counts = vec![0; self.members.len()];
        for owner in owners.iter().filter(|owner| **owner != NONE) {
            counts[*owner as usize] += 1;
        }
        let mut owned: Vec<Vec<TopicPartition>> = counts.into_iter().map(Vec::with_capacity).collect();
        for topic in &self.topics {
            let first = topic.first as usize;
            for (partition, owner) in owners[first..first + topic.partitions as usize]
                .iter()
                .enumerate()
            {
                if let Some(owned) = owned.get_mut(*owner as usize) {
                    owned.push(TopicPartition::new(Arc::clone(topic.name), partition as i32));
                }
            }
        }
        let of_member = |(member, partitions): (&Member<'_>, _)| {
            let assignment = Assignment {
                partitions,
                user_data: None,
            };
            (member.id.clone(), assignment)
        };
        self.members.iter().zip(owned).map(of_member).collect()
    }
}

/// Whether two members name the same topics in the same order.
fn same_names(a: &[Arc<str>], b: &[Arc<str>]) -> bool {
    let same = |(a, b): (&Arc<str>, &Arc<str>)| Arc::ptr_eq(a, b) || a == b;
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// Finds topics by name. Names mostly come in order, so the next one is looked for where it would be if they went on as before.
#[derive(Default)]
pub(super) struct Guess {
    last: usize,
    step: usize,
}

impl Guess {
    pub(super) fn find(&mut self, topics: &[Topic<'_>], name: &str) -> Option<u32> {
        let is_it = |at: usize| topics.get(at).is_some_and(|topic| **topic.name == *name);
        let at = if is_it(self.last) {
            self.last
        } else if is_it(self.last + self.step) {
            self.last + self.step
        } else {
            let at = topics.binary_search_by(|topic| compare(topic.name, name)).ok()?;
            self.step = at.saturating_sub(self.last).max(1);
            at
        };
        self.last = at;
        Some(at as u32)
    }
}
