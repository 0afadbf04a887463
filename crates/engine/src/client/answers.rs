//! What connections bring: handshakes, answers, ends, and the time-outs of all of them.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use kohort_machine::{Instant, Machine};
use kohort_protocol::messages::find_coordinator::Coordinator;
use kohort_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, FindCoordinatorResponse, MetadataResponse,
};
use kohort_protocol::{ApiKey, ErrorCode, ResponseBody};

use super::cluster::Broker;
use super::core::{Client, Timer};
use super::failure::{RequestFailure, WaitedFor};
use super::finder::{AskFailure, FinderEvent, Lookup};
use super::link::{AnswerFault, Asked, Link, LinkState, Peer};
use super::net::{LinkId, NetAction};
use super::plausible::without_impossible;
use super::request::{Owner, Pending, Reply, Stage};
use super::target::{LinkPurpose, RequestId, Target};
use super::throttle::throttle_time;
use super::versions::{BrokerVersions, handshake_version_after};

impl Client {
    pub(super) fn on_connected(&mut self, now: Instant, id: LinkId) {
        if self
            .links
            .get(id)
            .is_some_and(|link| matches!(link.state, LinkState::Connecting))
        {
            let newest = ApiKey::ApiVersions
                .supported_versions()
                .map_or(0, |range| range.max);
            self.shake_hands(now, id, newest);
        }
    }

    // KIP-511
    fn shake_hands(&mut self, now: Instant, id: LinkId, version: i16) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.state = LinkState::Handshaking { version };
        // Kafka: NetworkClient.handleInitiateApiVersionRequests: a request like any other
        self.timers
            .set(Timer::Setup(id), now + self.config.request_timeout);
        let request = ApiVersionsRequest {
            client_software_name: "kohort".into(),
            client_software_version: env!("CARGO_PKG_VERSION").into(),
        };
        let asked = Asked {
            request: None,
            patience: Duration::MAX,
            is_answered: true,
        };
        match link.send(now, &self.config.client_id, version, &request.into(), asked) {
            Ok(segments) => self.net.push(NetAction::Send { link: id, segments }),
            Err(error) => self.drop_link(now, id, &error.to_string()),
        }
    }

    fn on_handshake(&mut self, now: Instant, id: LinkId, version: i16, response: &ApiVersionsResponse) {
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {
                let Some(link) = self.links.get_mut(id) else {
                    return;
                };
                let versions = BrokerVersions::new(response);
                link.state = LinkState::Ready { versions };
                let key = link.key;
                self.links.forgive(key);
                self.timers.cancel(&Timer::Setup(id));
                self.timers.cancel(&Timer::Reconnect(key));
                self.timers
                    .set(Timer::Idle(id), now + self.config.connections_max_idle);
            }
            ErrorCode::UnsupportedVersion => match handshake_version_after(version, response) {
                Some(older) => self.shake_hands(now, id, older),
                None => self.drop_link(
                    now,
                    id,
                    "the broker supports no version of ApiVersions that this client has",
                ),
            },
            error => self.drop_link(now, id, &alloc::format!("ApiVersions was answered with {error}")),
        }
    }

    pub(super) fn on_received(&mut self, now: Instant, id: LinkId, frame: Bytes) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let (answered, body) = match link.answer(now, frame) {
            Ok(answer) => answer,
            Err(fault) => {
                self.distrust(now, id, &fault);
                return;
            }
        };
        if let LinkState::Handshaking { version } = link.state {
            match ApiVersionsResponse::try_from(body) {
                Ok(response) => self.on_handshake(now, id, version, &response),
                Err(error) => self.drop_link(now, id, &error.to_string()),
            }
            return;
        }
        let node = link.node();
        let pause = throttle_time(&body, answered.version);
        if !pause.is_zero() {
            link.throttled_until = now + pause;
            self.timers.set(Timer::Unthrottle(id), now + pause);
        }
        self.arm_answer(id);
        if let Some(request) = answered.request {
            self.succeed(now, request, without_impossible(body), node);
        }
    }

    /// The other side ended the connection, or it could not be made.
    pub(super) fn on_lost(&mut self, now: Instant, id: LinkId, reason: &str) {
        if let Some(link) = self.forget_link(id) {
            self.on_link_down(now, link, reason, None);
        }
    }

    /// Ends a connection from this side.
    fn drop_link(&mut self, now: Instant, id: LinkId, reason: &str) {
        if let Some(link) = self.forget_link(id) {
            self.net.push(NetAction::Disconnect { link: id });
            self.on_link_down(now, link, reason, None);
        }
    }

    /// What came is no frame.
    pub(super) fn on_unreadable(&mut self, now: Instant, id: LinkId, reason: String) {
        if let Some(link) = self.links.get(id) {
            let fault = link.no_frame(reason);
            self.distrust(now, id, &fault);
        }
    }

    fn distrust(&mut self, now: Instant, id: LinkId, fault: &AnswerFault) {
        if let Some(link) = self.forget_link(id) {
            self.net.push(NetAction::Disconnect { link: id });
            // During a handshake it is a connection that cannot be made, which is told as such.
            if matches!(link.state, LinkState::Ready { .. }) {
                self.distrusted = self.distrusted.saturating_add(1);
                let (name, times) = (link.name(), self.distrusted);
                self.warn(times, || {
                    alloc::format!(
                        "the connection to {name} is closed: {fault} (connections closed for such reasons so far: {times})"
                    )
                });
            }
            self.on_link_down(now, link, &fault.to_string(), Some(fault));
        }
    }

    pub(super) fn forget_link(&mut self, id: LinkId) -> Option<Link> {
        let link = self.links.remove(id)?;
        for timer in [
            Timer::Setup(id),
            Timer::Answer(id),
            Timer::Idle(id),
            Timer::Unthrottle(id),
        ] {
            self.timers.cancel(&timer);
        }
        Some(link)
    }

    /// A connection is gone: its requests are answered, its peer is left alone for a while, what it told is looked up again.
    fn on_link_down(&mut self, now: Instant, link: Link, reason: &str, fault: Option<&AnswerFault>) {
        let (key, name, node) = (link.key, link.name(), link.node());
        let was_ready = matches!(link.state, LinkState::Ready { .. });
        let not_before = self.links.blame(now, key, &mut self.prng);
        self.timers.set(Timer::Reconnect(key), not_before);
        self.last_connect_failure = Some(alloc::format!("{name}: {reason}"));
        // Kafka: NetworkClient.processDisconnection
        if !was_ready {
            let failures = self.links.failures(key);
            self.warn(failures, || {
                alloc::format!(
                    "cannot connect to {name}: {reason}; trying again (failures in a row: {failures})"
                )
            });
        }
        // Kafka: NetworkClient.DefaultMetadataUpdater.handleServerDisconnect
        if !self.is_bootstrapping {
            self.refresh.want();
        }
        if let (LinkPurpose::Coordinator, Peer::Node(node)) = (key.purpose, key.peer) {
            self.finder.handle(now, FinderEvent::NodeLost(node));
        }
        let mut fault = fault;
        for lost in link.into_in_flight() {
            let malformed = match fault.take() {
                Some(AnswerFault::Malformed { api, version, error }) => Some(RequestFailure::Malformed {
                    api: *api,
                    version: *version,
                    node: name.clone(),
                    error: *error,
                }),
                _ => None,
            };
            let failure = malformed.unwrap_or_else(|| RequestFailure::Disconnected {
                api: lost.api,
                node: name.clone(),
                reason: reason.into(),
            });
            if let Some(request) = lost.request {
                self.fail(now, request, failure, node);
            }
        }
        let target = match (key.peer, key.purpose) {
            (Peer::Node(node), LinkPurpose::Control) => Target::Broker(node),
            (Peer::Node(node), LinkPurpose::Fetch) => Target::Fetch(node),
            // These go on waiting for another broker, or for the coordinator to be looked up again.
            (Peer::Bootstrap(_), _) | (_, LinkPurpose::Coordinator) => return,
        };
        if was_ready {
            return;
        }
        // Kafka: ConsumerNetworkClient.checkDisconnects
        for id in self.queued_for(&target) {
            let Some(pending) = self.requests.get(&id) else {
                continue;
            };
            let failure = RequestFailure::ConnectFailed {
                api: pending.api,
                node: name.clone(),
                reason: reason.into(),
            };
            self.fail(now, id, failure, node);
        }
    }

    pub(super) fn expire_request(&mut self, now: Instant, id: RequestId) {
        let Some(pending) = self.requests.get(&id) else {
            return;
        };
        let (api, timeout) = (pending.api, pending.timeout);
        let failure = self.last_connect_failure.clone();
        let (waited_for, node) = match (&pending.stage, &pending.target) {
            (Stage::Sent { link, .. }, _) => match self.links.get_mut(*link) {
                Some(link) => {
                    link.abandon(id);
                    (WaitedFor::Answer(link.name()), link.node())
                }
                None => (WaitedFor::Connection(failure), None),
            },
            (_, Target::Coordinator(group)) if self.finder.coordinator(group).is_none() => {
                let error = self.finder.last_error(group).map(|error| error.to_string());
                (WaitedFor::Coordinator(error.or(failure)), None)
            }
            (_, Target::Controller) if self.cluster.controller().is_none() => {
                let error = self.refresh.last_failure().cloned();
                (WaitedFor::Metadata(error.or(failure)), None)
            }
            _ => (WaitedFor::Connection(failure), None),
        };
        let failure = RequestFailure::TimedOut {
            api,
            timeout,
            waited_for,
        };
        self.fail(now, id, failure, node);
    }

    pub(super) fn expire_setup(&mut self, now: Instant, id: LinkId) {
        let reason = match self.links.get(id).map(|link| &link.state) {
            Some(LinkState::Connecting) => "no connection within socket.connection.setup.timeout.ms",
            _ => "ApiVersions was not answered within request.timeout.ms",
        };
        self.drop_link(now, id, reason);
    }

    // Kafka: NetworkClient.handleTimedOutRequests
    pub(super) fn expire_answer(&mut self, now: Instant, id: LinkId) {
        self.drop_link(now, id, "a request was not answered within request.timeout.ms");
    }

    pub(super) fn expire_idle(&mut self, now: Instant, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let idle_at = match link.in_flight_count() {
            0 => link.last_used + self.config.connections_max_idle,
            _ => now + self.config.connections_max_idle,
        };
        if idle_at > now {
            self.timers.set(Timer::Idle(id), idle_at);
        } else if self.forget_link(id).is_some() {
            self.net.push(NetAction::Disconnect { link: id });
        }
    }

    pub(super) fn succeed(&mut self, now: Instant, id: RequestId, body: ResponseBody, node: Option<i32>) {
        self.finish(now, id, Ok(body), node);
    }

    pub(super) fn fail(&mut self, now: Instant, id: RequestId, failure: RequestFailure, node: Option<i32>) {
        self.finish(now, id, Err(failure), node);
    }

    fn finish(
        &mut self,
        now: Instant,
        id: RequestId,
        result: Result<ResponseBody, RequestFailure>,
        node: Option<i32>,
    ) {
        let Some(Pending { owner, stage, .. }) = self.take(now, id) else {
            return;
        };
        match owner {
            Owner::Caller => {
                let version = match stage {
                    Stage::Queued(_) => 0,
                    Stage::Sent { version, .. } => version,
                };
                self.replies.push_back(Reply {
                    id,
                    result,
                    version,
                    node,
                });
            }
            Owner::Metadata => self.on_metadata(now, result),
            Owner::Finder(token) => {
                let groups = self.finder.asked(token).to_vec();
                let result = lookups(result, &groups);
                self.finder.handle(now, FinderEvent::Answered { token, result });
                for group in groups {
                    self.warn_of_coordinator(&group);
                }
            }
        }
    }

    fn warn_of_coordinator(&mut self, group: &str) {
        let failures = self.finder.failures(group);
        if let Some(error) = self.finder.last_error(group) {
            self.warn(failures, || {
                alloc::format!("the coordinator of group {group} is not found: {error}; asking again (failures in a row: {failures})")
            });
        }
    }

    fn on_metadata(&mut self, now: Instant, result: Result<ResponseBody, RequestFailure>) {
        let response = result
            .map_err(|failure| failure.to_string())
            .and_then(|body| MetadataResponse::try_from(body).map_err(|error| error.to_string()));
        let response = match response {
            Ok(response) => response,
            Err(reason) => return self.on_metadata_failure(now, reason),
        };
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None if response.brokers.is_empty() => {
                self.on_metadata_failure(now, String::from("the metadata names no broker"));
            }
            ErrorCode::None => {
                let wanted = self.refresh.asked();
                let change = self.cluster.apply(response, wanted.as_ref());
                self.refresh.on_success(now, &self.cluster, &mut self.prng);
                self.warn_of_metadata();
                if change.has_new_brokers || self.is_bootstrapping {
                    self.is_bootstrapping = false;
                    self.shuffle_candidates();
                }
                let brokers: Vec<&Broker> = self.cluster.brokers().collect();
                for broker in brokers {
                    self.links.adopt(broker.id, &broker.host, broker.port);
                }
                self.changes.push(change);
            }
            // KIP-1102
            ErrorCode::RebootstrapRequired => {
                self.on_metadata_failure(now, ErrorCode::RebootstrapRequired.to_string());
                self.rebootstrap();
            }
            error => self.on_metadata_failure(now, error.to_string()),
        }
    }

    // Kafka: NetworkClient.DefaultMetadataUpdater.handleSuccessfulResponse
    fn warn_of_metadata(&mut self) {
        let failures = self.refresh.failures();
        if let Some(failure) = self.refresh.last_failure().cloned() {
            self.warn(failures, || {
                alloc::format!(
                    "the metadata is not complete: {failure}; asking again (failures in a row: {failures})"
                )
            });
        }
    }

    fn on_metadata_failure(&mut self, now: Instant, reason: String) {
        self.refresh.on_failure(now, reason, &mut self.prng);
        self.warn_of_metadata();
        // KIP-1102
        let trigger = self.config.rebootstrap_trigger;
        if self
            .refresh
            .failing_since()
            .is_some_and(|since| since + trigger <= now)
        {
            self.rebootstrap();
        }
    }
}

/// What a lookup for `asked` brought.
fn lookups(
    result: Result<ResponseBody, RequestFailure>,
    asked: &[Arc<str>],
) -> Result<Vec<Lookup>, AskFailure> {
    let body = result.map_err(|failure| match failure {
        RequestFailure::UnsupportedVersion { .. } => AskFailure::NotBatched,
        _ => AskFailure::Failed,
    })?;
    let response = FindCoordinatorResponse::try_from(body).map_err(|_| AskFailure::Failed)?;
    if let ([group], true) = (asked, response.coordinators.is_empty()) {
        // Before version 4 the answer is about the one group asked for, without naming it.
        let result = located(
            response.error_code,
            response.node_id,
            response.host,
            response.port,
        );
        let group = group.clone();
        return Ok(alloc::vec![Lookup { group, result }]);
    }
    let lookup = |it: Coordinator| Lookup {
        group: Arc::from(it.key),
        result: located(it.error_code, it.node_id, it.host, it.port),
    };
    Ok(response.coordinators.into_iter().map(lookup).collect())
}

fn located(error_code: i16, id: i32, host: String, port: i32) -> Result<Broker, ErrorCode> {
    let error = ErrorCode::from_code(error_code);
    if error.is_error() {
        return Err(error);
    }
    // A coordinator without an address is none: look again.
    Broker::advertised(id, host, port, None)
        .filter(|broker| broker.port != 0 && !broker.host.is_empty())
        .ok_or(ErrorCode::CoordinatorNotAvailable)
}
