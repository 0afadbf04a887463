//! The client itself: what it holds, and how callers, network and time reach it. How requests find their connection lives in
//! `dispatch`, what connections bring in `answers`.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_machine::{Backoff, Deadline, Instant, Machine, Outbox, Prng, Timers};
use kohort_protocol::{ApiKey, RequestBody};

use super::cluster::{Broker, Cluster, ClusterChange};
use super::config::ClientConfig;
use super::failure::RequestFailure;
use super::finder::{Finder, FinderEvent};
use super::link::{Link, LinkKey, Peer};
use super::links::Links;
use super::metadata::Refresh;
use super::net::{LinkId, NetAction, NetEvent};
use super::request::{Body, BuildRequest, Owner, Pending, Reply, Stage};
use super::target::{LinkPurpose, RequestId, Target};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// When to answer a request with a time-out.
    Expire(RequestId),
    /// When to give up connecting and shaking hands.
    Setup(LinkId),
    /// When to give up a connection whose oldest request is not answered.
    Answer(LinkId),
    /// When to look whether a connection is idle.
    Idle(LinkId),
    /// When a connection may be used again after a throttle.
    Unthrottle(LinkId),
    /// When a peer that failed may be tried again.
    Reconnect(LinkKey),
    /// When to ask for metadata.
    Metadata,
}

/// Connections, versions, requests, metadata and coordinators of one Kafka client.
///
/// A plain struct that the machine of an engine holds: after each call drain [`Client::poll_net`], [`Client::poll_reply`] and
/// [`Client::poll_cluster_change`], and arm [`Client::next_deadline`].
///
/// ```
/// use core::time::Duration;
/// use kohort_engine::client::{Client, ClientConfig, NetAction, Target};
/// use kohort_machine::Instant;
/// use kohort_protocol::messages::ListGroupsRequest;
///
/// let mut client = Client::new(ClientConfig::new([("localhost".into(), 9092)]), 7);
/// let list = ListGroupsRequest::default().into();
/// client.request(Instant::ZERO, Target::Any, list, Duration::from_secs(30));
/// assert!(matches!(client.poll_net(), Some(NetAction::Connect { port: 9092, .. })));
/// ```
#[derive(Debug)]
pub struct Client {
    pub(super) config: ClientConfig,
    pub(super) prng: Prng,
    pub(super) timers: Timers<Timer>,
    pub(super) net: Outbox<NetAction>,
    pub(super) replies: VecDeque<Reply>,
    pub(super) changes: Outbox<ClusterChange>,
    pub(super) requests: BTreeMap<RequestId, Pending>,
    /// Those of `requests` that are not sent yet, oldest first.
    pub(super) queued: BTreeSet<RequestId>,
    next_request: u64,
    pub(super) links: Links,
    pub(super) cluster: Cluster,
    pub(super) refresh: Refresh,
    pub(super) finder: Finder,
    /// In which order [`Target::Any`] tries those that are not connected.
    pub(super) candidates: Vec<Peer>,
    /// Whether the known brokers are not to be trusted with [`Target::Any`]: before the first metadata, and again when none
    /// of them can be reached.
    pub(super) is_bootstrapping: bool,
    pub(super) last_connect_failure: Option<String>,
    /// How many connections were ended because of what the broker answered.
    pub(super) distrusted: u32,
    pub(super) is_closed: bool,
}

impl Client {
    /// A client that is not connected. It connects when the first request is made or the first topic is tracked.
    pub fn new(config: ClientConfig, seed: u64) -> Self {
        let mut prng = Prng::from_seed(seed);
        let retry = Backoff::new(config.retry_backoff, config.retry_backoff_max);
        let reconnect = Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max);
        let setup = Backoff::new(
            config.connection_setup_timeout,
            config.connection_setup_timeout_max,
        );
        let mut client = Self {
            timers: Timers::new(),
            net: Outbox::new(),
            replies: VecDeque::new(),
            changes: Outbox::new(),
            requests: BTreeMap::new(),
            queued: BTreeSet::new(),
            next_request: 0,
            links: Links::new(reconnect, setup),
            cluster: Cluster::default(),
            refresh: Refresh::new(retry, config.metadata_max_age),
            finder: Finder::new(retry, prng.next_u64()),
            candidates: Vec::new(),
            is_bootstrapping: true,
            last_connect_failure: None,
            distrusted: 0,
            is_closed: false,
            config,
            prng,
        };
        client.shuffle_candidates();
        client
    }

    /// Makes a request. It is answered exactly once by [`Client::poll_reply`], after `timeout` at the latest; until then it waits
    /// for metadata, the coordinator, the connection and the answer, whatever it needs.
    pub fn request(
        &mut self,
        now: Instant,
        target: Target,
        body: RequestBody,
        timeout: Duration,
    ) -> RequestId {
        let api = body.api_key();
        self.enqueue(now, Owner::Caller, target, api, Body::Ready(body), timeout)
    }

    /// As [`Client::request`], for a request whose content depends on the version: `build` is called when the connection is
    /// ready, with the versions that both sides have, newest first, until it gives a request; if it gives none the answer is
    /// [`UnsupportedVersion`](super::RequestFailure::UnsupportedVersion).
    pub fn request_with(
        &mut self,
        now: Instant,
        target: Target,
        api: ApiKey,
        build: BuildRequest,
        timeout: Duration,
    ) -> RequestId {
        self.enqueue(now, Owner::Caller, target, api, Body::PerVersion(build), timeout)
    }

    /// Whether a request to this broker would be sent at once; `false` for targets that are not known by node id.
    pub fn is_ready(&self, now: Instant, target: &Target) -> bool {
        let (node, purpose) = match target {
            Target::Broker(node) => (*node, LinkPurpose::Control),
            Target::Fetch(node) => (*node, LinkPurpose::Fetch),
            Target::Any | Target::Controller | Target::Coordinator(_) => return false,
        };
        let key = LinkKey {
            peer: Peer::Node(node),
            purpose,
        };
        self.links.find(key).is_some_and(|(_, link)| link.is_ready(now))
    }

    /// Takes a request back: it will have no reply. If it was sent already the broker may do it all the same.
    pub fn cancel(&mut self, now: Instant, id: RequestId) {
        if let Some(Pending {
            stage: Stage::Sent { link, .. },
            ..
        }) = self.take(now, id)
            && let Some(link) = self.links.get_mut(link)
        {
            link.abandon(id);
        }
        self.dispatch(now);
    }

    /// As [`Client::cancel`], for a Fetch that waits on the broker for data nobody wants any more: its connection is closed, so
    /// that the next Fetch goes out on a new one instead of waiting behind it. A connection with other requests stays.
    pub fn hang_up(&mut self, now: Instant, id: RequestId) {
        if let Some(Pending {
            stage: Stage::Sent { link, .. },
            ..
        }) = self.take(now, id)
        {
            let is_alone =
                |link: &&Link| link.key.purpose == LinkPurpose::Fetch && link.in_flight_count() == 1;
            if self.links.get(link).as_ref().is_some_and(is_alone) {
                self.forget_link(link);
                self.net.push(NetAction::Disconnect { link });
            } else if let Some(link) = self.links.get_mut(link) {
                link.abandon(id);
            }
        }
        self.dispatch(now);
    }

    /// The newest metadata.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Keeps metadata for exactly these topics; new ones are asked for at once.
    pub fn track_topics(&mut self, now: Instant, topics: impl IntoIterator<Item = Arc<str>>) {
        self.refresh.track(Some(topics.into_iter().collect()));
        self.dispatch(now);
    }

    /// Keeps metadata for this topic, too.
    pub fn track_topic(&mut self, now: Instant, topic: Arc<str>) {
        self.refresh.track_also(topic);
        self.dispatch(now);
    }

    /// Keeps metadata for all topics of the cluster. An error of one of `needed` makes it be asked for again soon, of another
    /// topic not.
    // Kafka: Metadata.handleMetadataResponse (only retained topics count)
    pub fn track_all_topics(&mut self, now: Instant, needed: impl IntoIterator<Item = Arc<str>>) {
        self.refresh.need(needed.into_iter().collect());
        self.refresh.track(None);
        self.dispatch(now);
    }

    /// Asks for metadata as soon as the retry backoff allows. [`Client::poll_cluster_change`] tells when it came, even when
    /// nothing changed; what was asked before this call does not count.
    pub fn refresh_metadata(&mut self, now: Instant) {
        self.refresh.want();
        self.dispatch(now);
    }

    /// Takes in a leader that a Fetch or Produce response named (KIP-951), with its address if the response had it. It is
    /// ignored unless its epoch is newer.
    pub fn update_leader(
        &mut self,
        now: Instant,
        topic: &str,
        partition: i32,
        leader: i32,
        leader_epoch: i32,
        endpoint: Option<Broker>,
    ) {
        if let Some(change) = self
            .cluster
            .apply_leader(topic, partition, leader, leader_epoch, endpoint)
        {
            self.changes.push(change);
        }
        self.dispatch(now);
    }

    /// Takes in a leader epoch that a committed offset, a position or a response named; one that is newer than the metadata's
    /// makes the metadata be asked for.
    // Kafka: Metadata.updateLastSeenEpochIfNewer
    pub fn note_leader_epoch(&mut self, now: Instant, topic: &str, partition: i32, leader_epoch: i32) {
        if self.cluster.note_leader_epoch(topic, partition, leader_epoch) {
            self.refresh.want();
            self.dispatch(now);
        }
    }

    /// The group's coordinator moved or is not there (NOT_COORDINATOR, COORDINATOR_NOT_AVAILABLE): the next request looks it
    /// up again. A lost connection to it is noticed without being told.
    pub fn forget_coordinator(&mut self, now: Instant, group: &Arc<str>) {
        self.finder.handle(now, FinderEvent::Forget(group.clone()));
        self.dispatch(now);
    }

    /// The group's coordinator, if it is known.
    pub fn coordinator(&self, group: &str) -> Option<&Broker> {
        self.finder.coordinator(group)
    }

    /// Whether the broker cannot be asked just now, because a connection failed and the backoff has not passed.
    // Kafka: ConsumerNetworkClient.isUnavailable
    pub fn is_unavailable(&self, now: Instant, node: i32, purpose: LinkPurpose) -> bool {
        let peer = Peer::Node(node);
        self.links.is_backing_off(LinkKey { peer, purpose }, now)
    }

    /// Tells whoever runs the program of the `nth` trouble of a kind in a row: of the first, and then ever more rarely.
    pub(super) fn warn(&mut self, nth: u32, message: impl FnOnce() -> String) {
        if nth.is_power_of_two() {
            let message = alloc::format!("{}: {}", self.config.client_id, message());
            self.net.push(NetAction::Warn { message });
        }
    }

    /// Takes in what happened on the network.
    pub fn handle_net(&mut self, now: Instant, event: NetEvent) {
        match event {
            NetEvent::Connected { link } => self.on_connected(now, link),
            NetEvent::ConnectFailed { link, reason } | NetEvent::Disconnected { link, reason } => {
                self.on_lost(now, link, &reason);
            }
            NetEvent::Received { link, frame } => self.on_received(now, link, frame),
            NetEvent::Unreadable { link, reason } => self.on_unreadable(now, link, reason),
        }
        self.dispatch(now);
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut is_due = false;
        while let Some(timer) = self.timers.pop_due(now) {
            is_due = true;
            match timer {
                Timer::Expire(id) => self.expire_request(now, id),
                Timer::Setup(link) => self.expire_setup(now, link),
                Timer::Answer(link) => self.expire_answer(now, link),
                Timer::Idle(link) => self.expire_idle(now, link),
                // The dispatch below does what these wait for.
                Timer::Unthrottle(_) | Timer::Reconnect(_) | Timer::Metadata => {}
            }
        }
        if self.finder.next_deadline().is_some_and(|next| next.at <= now) {
            is_due = true;
            self.finder.handle_timeout(now);
        }
        if is_due {
            self.dispatch(now);
        }
    }

    /// Ends all connections. What has no answer fails with [`Closed`](super::RequestFailure::Closed), and so does every later
    /// request; nothing is due any more.
    pub fn close(&mut self) {
        self.is_closed = true;
        for id in self.links.remove_all() {
            self.net.push(NetAction::Disconnect { link: id });
        }
        self.timers.clear();
        self.queued.clear();
        for (id, pending) in core::mem::take(&mut self.requests) {
            self.refuse(id, &pending);
        }
    }

    fn refuse(&mut self, id: RequestId, pending: &Pending) {
        if pending.owner == Owner::Caller {
            let api = pending.api;
            self.replies.push_back(Reply {
                id,
                result: Err(RequestFailure::Closed { api }),
                version: 0,
                node: None,
            });
        }
    }

    /// What the network is to do next, oldest first.
    pub fn poll_net(&mut self) -> Option<NetAction> {
        self.net.pop()
    }

    /// The next answer, oldest first.
    pub fn poll_reply(&mut self) -> Option<Reply> {
        self.replies.pop_front()
    }

    /// The next change of metadata, oldest first.
    pub fn poll_cluster_change(&mut self) -> Option<ClusterChange> {
        self.changes.pop()
    }

    /// When [`Client::handle_timeout`] has something to do.
    pub fn next_deadline(&self) -> Option<Deadline> {
        if self.is_closed {
            return None;
        }
        let own = self.timers.next_deadline(|timer| match timer {
            Timer::Expire(_) => "answer a request with a time-out",
            Timer::Setup(_) => "give up connecting",
            Timer::Answer(_) => "give up a connection that does not answer",
            Timer::Idle(_) => "close an idle connection",
            Timer::Unthrottle(_) => "use a throttled connection again",
            Timer::Reconnect(_) => "connect again",
            Timer::Metadata => "refresh metadata",
        });
        Deadline::earliest(own, self.finder.next_deadline())
    }

    pub(super) fn enqueue(
        &mut self,
        now: Instant,
        owner: Owner,
        target: Target,
        api: ApiKey,
        body: Body,
        timeout: Duration,
    ) -> RequestId {
        let id = self.add(now, owner, target, api, body, timeout);
        self.dispatch(now);
        id
    }

    /// Adds a request without looking for its connection yet.
    pub(super) fn add(
        &mut self,
        now: Instant,
        owner: Owner,
        target: Target,
        api: ApiKey,
        body: Body,
        timeout: Duration,
    ) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let deadline = now + timeout;
        let pending = Pending {
            owner,
            target,
            api,
            timeout,
            deadline,
            stage: Stage::Queued(body),
        };
        if self.is_closed {
            self.refuse(id, &pending);
            return id;
        }
        self.timers.set(Timer::Expire(id), deadline);
        self.queued.insert(id);
        self.requests.insert(id, pending);
        id
    }

    /// Ends a request on this side, without a reply.
    pub(super) fn take(&mut self, now: Instant, id: RequestId) -> Option<Pending> {
        let pending = self.requests.remove(&id)?;
        self.timers.cancel(&Timer::Expire(id));
        if self.queued.remove(&id)
            && let Target::Coordinator(group) = &pending.target
        {
            let is_wanted = self.queued.iter().any(|id| {
                self.requests
                    .get(id)
                    .is_some_and(|other| other.target == pending.target)
            });
            if !is_wanted {
                self.finder.handle(now, FinderEvent::Unwanted(group.clone()));
            }
        }
        Some(pending)
    }
}
