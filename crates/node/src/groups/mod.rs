//! The group coordinators inside the node: one for each broker that it plays. A group API's handler hands its request to the
//! coordinator of the broker that was asked; the answer comes when the coordinator gives it. The rules of groups are in
//! `kohort-groups`; what is stored is in [`store`], the journal of rebalances in [`rebalances`].

mod answer;
mod rebalances;
mod store;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::coordinator::{
    self, Action, AppendFailure, Client, Coordinator, CoordinatorConfig, Event, GroupResponse, TopicId,
};
use kohort_groups::wire::coordinator as wire;
use kohort_machine::{Deadline, Instant, Machine, Prng, Token, TokenSource};
use kohort_protocol::{RequestBody, ResponseBody, Uuid};

pub(crate) use answer::Rest;

use crate::cluster::{BrokerId, Cluster};
use crate::config::Config;
use crate::context::{Call, Cx, Outcome};
use crate::interface::CloseReason;

/// What members of groups may say of themselves in any case, however little `queued.max.request.bytes` is.
const LEAST_SAID: usize = 16 << 20;

/// The coordinators of a node, and the requests that wait for them.
pub(crate) struct Groups {
    by_broker: BTreeMap<BrokerId, Coordinator>,
    /// Which broker hosts each partition of `__consumer_offsets`.
    hosts: BTreeMap<i32, BrokerId>,
    /// Brokers that host nothing.
    stopped: BTreeSet<BrokerId>,
    /// For coordinators that begin anew.
    config: CoordinatorConfig,
    tokens: TokenSource,
    waiting: BTreeMap<Token, (Call, Rest)>,
}

impl Groups {
    /// `offsets_partitions` is how many partitions `__consumer_offsets` has, when it is there.
    // Kafka: BrokerMetadataPublisher.initializeManagers: else offsets.topic.num.partitions
    pub(crate) fn new(
        config: &Config,
        offsets_partitions: Option<usize>,
        cluster: &Cluster,
        prng: &mut Prng,
    ) -> Self {
        let mut config = coordinator_config(config);
        if let Some(there) = offsets_partitions.and_then(|there| i32::try_from(there).ok()) {
            config.offsets_partitions = there;
        }
        let coordinator = |seed| Coordinator::new(config.clone(), seed);
        Self {
            by_broker: cluster
                .brokers
                .iter()
                .map(|broker| (broker.id, coordinator(prng.next_u64())))
                .collect(),
            hosts: BTreeMap::new(),
            stopped: BTreeSet::new(),
            config,
            tokens: TokenSource::new(),
            waiting: BTreeMap::new(),
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Deadline> {
        let each = self.by_broker.values();
        each.fold(None, |first, next| {
            Deadline::earliest(first, next.next_deadline())
        })
    }

    pub(crate) fn is_stopped(&self, broker: BrokerId) -> bool {
        self.stopped.contains(&broker)
    }

    /// How many requests wait for their coordinator.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Over how many partitions the groups are spread. It stays until the next start, however the topic grows: a group must not
    /// lose what it committed.
    pub(crate) fn offsets_partitions(&self) -> i32 {
        self.config.offsets_partitions
    }

    /// How many groups the coordinators host.
    pub(crate) fn count(&self) -> usize {
        self.by_broker.values().map(Coordinator::group_count).sum()
    }

    fn tell(&mut self, now: Instant, broker: BrokerId, event: Event) {
        if let Some(coordinator) = self.by_broker.get_mut(&broker) {
            coordinator.handle(now, event);
        }
    }

    fn poll_action(&mut self) -> Option<(BrokerId, Action)> {
        let mut each = self.by_broker.iter_mut();
        each.find_map(|(broker, coordinator)| Some((*broker, coordinator.poll_action()?)))
    }
}

fn coordinator_config(config: &Config) -> CoordinatorConfig {
    let millis = |key: &str| i32::try_from(config.int(key)).unwrap_or(i32::MAX);
    let count = |key: &str| usize::try_from(config.int(key)).unwrap_or_default();
    let mut own = CoordinatorConfig::default();
    own.offsets_partitions = millis("offsets.topic.num.partitions");
    own.min_session_timeout_ms = millis("group.min.session.timeout.ms");
    own.max_session_timeout_ms = millis("group.max.session.timeout.ms");
    own.max_size = count("group.max.size");
    own.initial_rebalance_delay_ms = millis("group.initial.rebalance.delay.ms");
    own.offset_metadata_max = count("offset.metadata.max.bytes");
    let queued = usize::try_from(config.int("queued.max.request.bytes"));
    own.most_said = queued.map_or(usize::MAX, |bytes| bytes.max(LEAST_SAID));
    own.offsets_retention_ms = config.int("offsets.retention.minutes").saturating_mul(60_000);
    own.retention_check_interval_ms =
        u64::try_from(config.int("offsets.retention.check.interval.ms")).unwrap_or(1);
    own
}

impl Cx<'_> {
    /// Hands a request to the coordinator of the broker that was asked. `rest` is what the handler adds to the answer.
    pub(crate) fn ask_coordinator(&mut self, call: &Call, request: RequestBody, rest: Rest) -> Outcome {
        self.host_groups();
        let Some(request) = wire::request(request, call.version) else {
            return Outcome::Close(CloseReason::UnknownApi(call.api.code()));
        };
        let token = self.groups.tokens.issue();
        self.groups.waiting.insert(token, (call.clone(), rest));
        let event = Event::Request {
            token,
            wall_ms: self.wall_ms,
            client: Client {
                id: Arc::from(call.client_id.as_deref().unwrap_or_default()),
                host: call.peer.clone(),
            },
            request: Box::new(request),
        };
        self.groups.tell(self.now, call.broker, event);
        Outcome::Later
    }

    /// Does what the coordinators want, until they want nothing more; returns the answers.
    pub(crate) fn run_groups(&mut self) -> Vec<(Call, ResponseBody)> {
        let mut answers = Vec::new();
        while let Some((broker, action)) = self.groups.poll_action() {
            match action {
                Action::Reply { token, response } => answers.extend(self.answer(token, *response)),
                Action::Append {
                    token,
                    partition,
                    records,
                } => match self.append_group_records(broker, partition, &records) {
                    Ok(Some(wait)) => self.append_waits(wait, broker, token),
                    Ok(None) => self.tell_appended(broker, token, Ok(())),
                    Err(failure) => self.tell_appended(broker, token, Err(failure)),
                },
                Action::Rebalanced { group_id, rebalance } => {
                    self.record_rebalance(&group_id, &rebalance);
                }
            }
        }
        answers
    }

    /// Tells a coordinator what became of its records.
    pub(crate) fn tell_appended(
        &mut self,
        broker: BrokerId,
        token: Token,
        result: Result<(), AppendFailure>,
    ) {
        self.groups
            .tell(self.now, broker, Event::Appended { token, result });
    }

    fn answer(&mut self, token: Token, response: GroupResponse) -> Option<(Call, ResponseBody)> {
        let (call, rest) = self.groups.waiting.remove(&token)?;
        let body = rest.add_to(wire::response(response, call.version), self.topics);
        Some((call, body))
    }

    /// A broker ends, and loses what it knew of its groups; or begins.
    pub(crate) fn set_groups_stopped(&mut self, broker: BrokerId, stopped: bool) {
        if !stopped {
            self.groups.stopped.remove(&broker);
        } else if self.groups.stopped.insert(broker) {
            let seed = self.prng.next_u64();
            let empty = Coordinator::new(self.groups.config.clone(), seed);
            self.groups.by_broker.insert(broker, empty);
            self.groups.waiting.retain(|_, (call, _)| call.broker != broker);
            self.groups.hosts.retain(|_, host| *host != broker);
            self.durability.forget_appends(broker);
        }
    }

    /// Fires the coordinators' timers that were due at `due`.
    pub(crate) fn expire_groups(&mut self, due: Instant) {
        for coordinator in self.groups.by_broker.values_mut() {
            coordinator.handle_timeout_of(self.now, due);
        }
    }

    /// A topic is gone, and its committed offsets with it.
    pub(crate) fn forget_offsets(&mut self, topic: &Arc<str>, id: Uuid) {
        for coordinator in self.groups.by_broker.values_mut() {
            let topics = Vec::from([(topic.clone(), TopicId(id.0))]);
            coordinator.handle(self.now, Event::TopicsDeleted { topics });
        }
    }

    /// The broker that coordinates a group, and creates `__consumer_offsets` for it when that is not there.
    pub(crate) fn coordinator_of(&self, group_id: &str) -> Option<BrokerId> {
        let number = coordinator::partition_for(group_id, self.groups.offsets_partitions());
        let topic = self.topics.get(crate::topics::CONSUMER_OFFSETS)?;
        topic.partition(number).map(|partition| partition.leader)
    }
}
