//! How a request finds its connection: who its target is just now, whether there is a connection, and what is needed first.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_machine::{Instant, Machine};
use kohort_protocol::messages::FindCoordinatorRequest;
use kohort_protocol::{ApiKey, RequestBody, ResponseBody};

use super::config::MetadataRecovery;
use super::core::{Client, Timer};
use super::failure::RequestFailure;
use super::finder::{FinderAction, FinderEvent};
use super::link::{Asked, LinkKey, LinkState, Peer};
use super::net::{LinkId, NetAction};
use super::request::{Body, Owner, Stage};
use super::target::{LinkPurpose, RequestId, Target};

/// Where a request can go just now.
enum Route {
    Ready(LinkId),
    /// Something is under way or due at a timer.
    Wait,
    WaitForCoordinator(Arc<str>),
    WaitForMetadata,
    Fail(RequestFailure),
}

impl Client {
    /// Sends what can be sent, and starts what the rest waits for.
    pub(super) fn dispatch(&mut self, now: Instant) {
        if self.is_closed {
            return;
        }
        self.ask_for_metadata(now);
        loop {
            let mut groups: Vec<Arc<str>> = Vec::new();
            let mut needs_metadata = false;
            let mut next = self.queued.first().copied();
            while let Some(id) = next {
                next = self
                    .queued
                    .range((core::ops::Bound::Excluded(id), core::ops::Bound::Unbounded))
                    .next()
                    .copied();
                let Some(pending) = self.requests.get(&id) else {
                    continue;
                };
                match self.route(now, pending.target.clone()) {
                    Route::Ready(link) => self.send(now, id, link),
                    Route::Wait => {}
                    Route::WaitForCoordinator(group) => {
                        if groups.last() != Some(&group) {
                            groups.push(group);
                        }
                    }
                    Route::WaitForMetadata => needs_metadata = true,
                    Route::Fail(failure) => {
                        needs_metadata |= matches!(failure, RequestFailure::NoBroker { .. });
                        self.fail(now, id, failure, None);
                    }
                }
            }
            if !groups.is_empty() {
                groups.sort();
                groups.dedup();
                self.finder.handle(now, FinderEvent::Wanted(groups));
            }
            if needs_metadata {
                self.refresh.want_any();
            }
            let asks = self.ask_for_metadata(now);
            if !self.drain_finder(now) && !asks {
                break;
            }
        }
    }

    /// Starts a refresh that is due, else arms its timer; whether there is a new request.
    fn ask_for_metadata(&mut self, now: Instant) -> bool {
        match self.refresh.due() {
            Some(due) if due <= now => {
                self.timers.cancel(&Timer::Metadata);
                let body = self.refresh.ask(now, self.config.allow_auto_create_topics);
                let timeout = self.config.request_timeout;
                self.add(now, Owner::Metadata, Target::Any, ApiKey::Metadata, body, timeout);
                true
            }
            Some(due) => {
                if self.timers.at(&Timer::Metadata) != Some(due) {
                    self.timers.set(Timer::Metadata, due);
                }
                false
            }
            None => {
                self.timers.cancel(&Timer::Metadata);
                false
            }
        }
    }

    /// Does what the finder wants; whether there is a new request, or one that can go on.
    fn drain_finder(&mut self, now: Instant) -> bool {
        let mut has_news = false;
        while let Some(action) = self.finder.poll_action() {
            match action {
                FinderAction::Ask { token, groups } => {
                    let body = Body::PerVersion(Box::new(move |version| lookup_of(version, &groups)));
                    let timeout = self.config.request_timeout;
                    let owner = Owner::Finder(token);
                    self.add(now, owner, Target::Any, ApiKey::FindCoordinator, body, timeout);
                    has_news = true;
                }
                FinderAction::Found(_) => has_news = true,
                FinderAction::Refused { group, error } => {
                    let target = Target::Coordinator(group.clone());
                    for id in self.queued_for(&target) {
                        let group = group.clone();
                        self.fail(
                            now,
                            id,
                            RequestFailure::CoordinatorNotFound { group, error },
                            None,
                        );
                    }
                }
            }
        }
        has_news
    }

    pub(super) fn queued_for(&self, target: &Target) -> Vec<RequestId> {
        let is_for = |id: &&RequestId| self.requests.get(*id).is_some_and(|it| it.target == *target);
        self.queued.iter().filter(is_for).copied().collect()
    }

    fn route(&mut self, now: Instant, target: Target) -> Route {
        let (node, purpose) = match target {
            Target::Any => return self.route_any(now),
            Target::Controller => match self.cluster.controller() {
                Some(node) => (node, LinkPurpose::Control),
                None => return Route::WaitForMetadata,
            },
            Target::Broker(node) => (node, LinkPurpose::Control),
            Target::Fetch(node) => (node, LinkPurpose::Fetch),
            Target::Coordinator(group) => {
                let Some(coordinator) = self.finder.coordinator(&group) else {
                    return Route::WaitForCoordinator(group);
                };
                let (host, port) = (coordinator.host.clone(), coordinator.port);
                let key = LinkKey {
                    peer: Peer::Node(coordinator.id),
                    purpose: LinkPurpose::Coordinator,
                };
                return self.route_to(now, key, || (host, port));
            }
        };
        let key = LinkKey {
            peer: Peer::Node(node),
            purpose,
        };
        match self.cluster.broker(node) {
            Some(broker) => {
                let (host, port) = (broker.host.clone(), broker.port);
                self.route_to(now, key, || (host, port))
            }
            None if self.cluster.version() == 0 => Route::WaitForMetadata,
            None => Route::Fail(RequestFailure::NoBroker { node }),
        }
    }

    fn route_to(&mut self, now: Instant, key: LinkKey, address: impl FnOnce() -> (String, u16)) -> Route {
        match self.links.find(key) {
            Some((id, link)) if link.is_ready(now) => Route::Ready(id),
            Some(_) => Route::Wait,
            None if self.links.is_backing_off(key, now) => Route::Wait,
            None => {
                let (host, port) = address();
                self.connect(now, key, host, port);
                Route::Wait
            }
        }
    }

    /// The connected broker with the least to do, else one that is being connected, else the next candidate.
    // Kafka: NetworkClient.leastLoadedNode
    fn route_any(&mut self, now: Instant) -> Route {
        let is_trusted = |peer| !self.is_bootstrapping || matches!(peer, Peer::Bootstrap(_));
        let control = || {
            let of_use = |key: LinkKey| key.purpose == LinkPurpose::Control && is_trusted(key.peer);
            self.links.iter().filter(move |(_, link)| of_use(link.key))
        };
        let ready = control().filter(|(_, link)| link.is_ready(now));
        if let Some((id, _)) = ready.min_by_key(|(_, link)| link.in_flight_count()) {
            return Route::Ready(id);
        }
        if control().next().is_some() {
            return Route::Wait;
        }
        let key = |peer| LinkKey {
            peer,
            purpose: LinkPurpose::Control,
        };
        let usable = |client: &Self| {
            let mut candidates = client.candidates.iter().copied();
            candidates.find(|peer| !client.links.is_backing_off(key(*peer), now))
        };
        let mut found = usable(self);
        // Kafka: NetworkClient.DefaultMetadataUpdater.maybeUpdate, KIP-899
        if found.is_none() && !self.is_bootstrapping {
            self.rebootstrap();
            found = usable(self);
        }
        if let Some(peer) = found
            && let Some((host, port)) = self.address(peer)
        {
            // The one that was tried longest ago comes first: one that accepts connections and never answers keeps no other back.
            // Kafka: NetworkClient.leastLoadedNode
            self.candidates.retain(|candidate| *candidate != peer);
            self.candidates.push(peer);
            self.connect(now, key(peer), host, port);
        }
        Route::Wait
    }

    fn address(&self, peer: Peer) -> Option<(String, u16)> {
        match peer {
            Peer::Bootstrap(index) => self.config.bootstrap.get(index).cloned(),
            Peer::Node(id) => self
                .cluster
                .broker(id)
                .map(|broker| (broker.host.clone(), broker.port)),
        }
    }

    /// Goes back to `bootstrap.servers` for [`Target::Any`], if the strategy says so.
    pub(super) fn rebootstrap(&mut self) {
        if self.config.metadata_recovery == MetadataRecovery::Rebootstrap && !self.is_bootstrapping {
            self.is_bootstrapping = true;
            self.shuffle_candidates();
            self.refresh.want_any();
        }
    }

    pub(super) fn shuffle_candidates(&mut self) {
        self.candidates = match self.is_bootstrapping {
            true => (0..self.config.bootstrap.len()).map(Peer::Bootstrap).collect(),
            false => self
                .cluster
                .brokers()
                .map(|broker| Peer::Node(broker.id))
                .collect(),
        };
        for last in (1..self.candidates.len()).rev() {
            let other = self.prng.index(last + 1);
            self.candidates.swap(last, other);
        }
    }

    fn connect(&mut self, now: Instant, key: LinkKey, host: String, port: u16) {
        let (link, give_up_at) = self.links.open(now, key, host.clone(), port, &mut self.prng);
        self.timers.set(Timer::Setup(link), give_up_at);
        self.net.push(NetAction::Connect { link, host, port });
    }

    /// Sends a queued request on a connection that is ready.
    fn send(&mut self, now: Instant, id: RequestId, link_id: LinkId) {
        let (Some(pending), Some(link)) = (self.requests.get_mut(&id), self.links.get_mut(link_id)) else {
            return;
        };
        let LinkState::Ready { versions } = &link.state else {
            return;
        };
        let api = pending.api;
        let versions = versions.common(api);
        let stage = Stage::Sent {
            link: link_id,
            version: 0,
        };
        let Stage::Queued(body) = core::mem::replace(&mut pending.stage, stage) else {
            return;
        };
        self.queued.remove(&id);
        let (node, name) = (link.node(), link.name());
        let built = versions.and_then(|versions| body.build(versions));
        if let Some((version, _)) = &built {
            pending.stage = Stage::Sent {
                link: link_id,
                version: *version,
            };
        }
        let Some((version, body)) = built else {
            self.fail(
                now,
                id,
                RequestFailure::UnsupportedVersion { api, node: name },
                node,
            );
            return;
        };
        let is_answered = !matches!(&body, RequestBody::Produce(produce) if produce.acks == 0);
        let asked = Asked {
            request: Some(id),
            patience: self.config.request_timeout.max(pending.deadline - now),
            is_answered,
        };
        match link.send(now, &self.config.client_id, version, &body, asked) {
            Ok(segments) => {
                self.net.push(NetAction::Send {
                    link: link_id,
                    segments,
                });
                self.arm_answer(link_id);
                if !is_answered {
                    self.succeed(now, id, ResponseBody::Produce(Box::default()), node);
                }
            }
            Err(error) => self.fail(now, id, RequestFailure::Unencodable { api, version, error }, node),
        }
    }

    pub(super) fn arm_answer(&mut self, id: LinkId) {
        match self.links.get(id).and_then(|link| link.gives_up_at()) {
            Some(at) if self.timers.at(&Timer::Answer(id)) != Some(at) => {
                self.timers.set(Timer::Answer(id), at)
            }
            Some(_) => {}
            None => self.timers.cancel(&Timer::Answer(id)),
        }
    }
}

// Kafka: FindCoordinatorRequest.Builder; from version 4 on several groups share a request (KIP-699).
fn lookup_of(version: i16, groups: &[Arc<str>]) -> Option<RequestBody> {
    let mut request = FindCoordinatorRequest::default();
    if version >= 4 {
        request.coordinator_keys = groups.iter().map(|group| group.as_ref().into()).collect();
    } else {
        let [group] = groups else {
            return None;
        };
        request.key = group.as_ref().into();
    }
    Some(request.into())
}
