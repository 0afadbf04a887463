//! The form of most commands: the same is asked of several things, in one request for all that have the same target, and each
//! has a result of its own. What differs between commands is in their [`Each`]; when something is asked again is decided in
//! `engine`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::time::Duration;

use kohort_groups::TopicPartition;
use kohort_protocol::{ErrorCode, Request, RequestBody, ResponseBody};

use super::error::AdminError;
use super::reply::{AdminReply, Results};
use super::resource::ConfigResource;
use super::work::{Ask, Item, Refused, Work, may_pass};
use crate::client::{Cluster, Target};

/// Builds a request once the versions are known; none when it cannot be said in that version.
pub(super) type Build<R> = Box<dyn FnMut(i16) -> Option<R> + Send>;

/// What a response says of some of the things that were asked of.
pub(super) type Answers<K, V> = Vec<(K, Result<V, Refused>)>;

/// A command that asks the same of several things.
pub(super) trait Each: Debug + Send {
    /// A thing.
    type Key: Key;
    /// Its result.
    type Value: Debug + Send;
    /// What is asked.
    type Request: Request<Response: Default + TryFrom<ResponseBody>> + Into<RequestBody> + 'static;

    /// The things.
    fn keys(&self) -> BTreeSet<Self::Key>;

    /// Who is asked; none while newer metadata has to say it.
    fn target(&self, cluster: &Cluster, key: &Self::Key) -> Option<Target>;

    /// Topics whose leaders it needs to know.
    fn topics(&self) -> BTreeSet<Arc<str>> {
        BTreeSet::new()
    }

    /// The request for things of one target.
    fn request(&self, keys: &[Self::Key], timeout: Duration) -> Build<Self::Request>;

    /// Whether a thing with this error is asked for again.
    fn is_retriable(&self, error: ErrorCode) -> bool {
        may_pass(error)
    }

    /// What a response says. Things that it leaves out are asked for again.
    fn read(
        &self,
        asked: &[Self::Key],
        node: Option<i32>,
        response: <Self::Request as Request>::Response,
    ) -> Answers<Self::Key, Self::Value>;

    /// The command's answer.
    fn reply(results: Results<Self::Key, Self::Value>) -> AdminReply;
}

/// What a result is of.
pub(super) trait Key: Debug + Clone + Ord + Send {
    fn item(&self) -> Item;
    fn of(item: &Item) -> Option<Self>;
}

macro_rules! key {
    ($type:ty, $item:ident) => {
        impl Key for $type {
            fn item(&self) -> Item {
                Item::$item(self.clone())
            }

            fn of(item: &Item) -> Option<Self> {
                match item {
                    Item::$item(key) => Some(key.clone()),
                    _ => None,
                }
            }
        }
    };
}

key!(Arc<str>, Name);
key!(TopicPartition, Partition);
key!(ConfigResource, Resource);

/// A command with one result.
impl Key for () {
    fn item(&self) -> Item {
        Item::Whole
    }

    fn of(item: &Item) -> Option<Self> {
        (*item == Item::Whole).then_some(())
    }
}

/// Such a command under way.
#[derive(Debug)]
pub(super) struct Asking<E: Each> {
    each: E,
    results: Results<E::Key, E::Value>,
}

impl<E: Each + 'static> Asking<E> {
    pub(super) fn work(each: E) -> Box<dyn Work> {
        let results = BTreeMap::new();
        Box::new(Self { each, results })
    }
}

fn keys<K: Key>(items: &[Item]) -> Vec<K> {
    items.iter().filter_map(K::of).collect()
}

impl<E: Each> Work for Asking<E> {
    fn items(&self) -> BTreeSet<Item> {
        self.each.keys().iter().map(Key::item).collect()
    }

    fn topics(&self) -> BTreeSet<Arc<str>> {
        self.each.topics()
    }

    fn plan(&self, cluster: &Cluster, pending: &mut BTreeSet<Item>, timeout: Duration) -> Vec<Ask> {
        let mut by_target: BTreeMap<Target, Vec<Item>> = BTreeMap::new();
        pending.retain(|item| {
            let target = E::Key::of(item).and_then(|key| self.each.target(cluster, &key));
            match target {
                Some(target) => {
                    by_target.entry(target).or_default().push(item.clone());
                    false
                }
                None => true,
            }
        });
        let ask = |(target, items): (Target, Vec<Item>)| {
            let mut request = self.each.request(&keys(&items), timeout);
            Ask {
                target,
                api: E::Request::KEY,
                build: Box::new(move |version| request(version).map(Into::into)),
                items,
            }
        };
        by_target.into_iter().map(ask).collect()
    }

    fn is_retriable(&self, error: ErrorCode) -> bool {
        self.each.is_retriable(error)
    }

    fn read(
        &mut self,
        asked: &[Item],
        node: Option<i32>,
        response: ResponseBody,
    ) -> Vec<(Item, Result<(), Refused>)> {
        // The client gives the answer of the API that was asked.
        let response = TryFrom::try_from(response).unwrap_or_default();
        let answers = self.each.read(&keys(asked), node, response);
        let asked: BTreeSet<&Item> = asked.iter().collect();
        let mut read = Vec::new();
        for (key, answer) in answers {
            let item = key.item();
            // Nobody wants to know what was not asked.
            if !asked.contains(&item) {
                continue;
            }
            let answer = answer.map(|value| {
                self.results.insert(key, Ok(value));
            });
            read.push((item, answer));
        }
        read
    }

    fn fail(&mut self, item: Item, error: AdminError) {
        if let Some(key) = E::Key::of(&item) {
            self.results.insert(key, Err(error));
        }
    }

    fn finish(self: Box<Self>) -> AdminReply {
        E::reply(self.results)
    }
}

/// A request that every version can say.
pub(super) fn always<R: Clone + Send + 'static>(request: R) -> Build<R> {
    when(request, |_| true)
}

/// A request that some versions can say.
pub(super) fn when<R: Clone + Send + 'static>(
    request: R,
    can_say: impl Fn(i16) -> bool + Send + 'static,
) -> Build<R> {
    Box::new(move |version| can_say(version).then(|| request.clone()))
}

/// What a response says that is about the whole of it: the same of everything that was asked of.
pub(super) fn of_all<K: Clone, V>(asked: &[K], refused: &Refused) -> Answers<K, V> {
    let answer = |key: &K| (key.clone(), Err(refused.clone()));
    asked.iter().map(answer).collect()
}

/// The one result of a command about a whole.
pub(super) fn whole<V>(mut results: Results<(), V>) -> Result<V, AdminError> {
    let never = AdminError::Nonsense {
        what: "it does not say what was asked",
    };
    results.remove(&()).unwrap_or(Err(never))
}

/// Things of partitions by topic.
pub(super) fn by_topic<T>(
    partitions: impl IntoIterator<Item = (TopicPartition, T)>,
) -> BTreeMap<Arc<str>, Vec<T>> {
    let mut topics: BTreeMap<Arc<str>, Vec<T>> = BTreeMap::new();
    for (partition, thing) in partitions {
        topics.entry(partition.topic).or_default().push(thing);
    }
    topics
}

/// What a response says of partitions, which it has by topic.
pub(super) fn of_partitions<P, V>(
    topics: impl IntoIterator<Item = (impl Into<Arc<str>>, Vec<P>)>,
    mut read: impl FnMut(P) -> (i32, Result<V, Refused>),
) -> Answers<TopicPartition, V> {
    let mut answers = Vec::new();
    for (topic, partitions) in topics {
        let topic: Arc<str> = topic.into();
        for partition in partitions {
            let (index, answer) = read(partition);
            answers.push((TopicPartition::new(topic.clone(), index), answer));
        }
    }
    answers
}
