//! The other side of a machine's network, for tests: a scripted cluster that accepts connections, shakes hands, and hands every
//! request to the test; and a driver that runs a machine against it on a driven clock.
//!
//! What a test does not want to spell out the cluster answers itself: ApiVersions always, Metadata, FindCoordinator and InitProducerId when
//! [`Network::metadata`], [`Network::coordinator`] and [`Network::producer_id`] are set.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use kohort_machine::Instant;
use kohort_protocol::messages::api_versions::ApiVersion;
use kohort_protocol::messages::find_coordinator::Coordinator;
use kohort_protocol::messages::metadata::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kohort_protocol::messages::{
    ApiVersionsResponse, FindCoordinatorResponse, InitProducerIdResponse, MetadataResponse,
};
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, ResponseBody, Uuid, VersionRange, frame};

use super::{LinkId, NetAction, NetEvent, NetMachine};

/// A request that reached the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrived {
    /// On which connection.
    pub link: LinkId,
    /// To which port; the cluster's brokers differ by port.
    pub port: u16,
    /// In which version.
    pub version: i16,
    /// What the answer must carry.
    pub correlation_id: i32,
    /// The request.
    pub body: RequestBody,
}

/// A scripted cluster: broker `n` listens on port `9000 + n`, and every other port leads to some broker, too.
#[derive(Debug, Default)]
pub struct Network {
    /// Ports that refuse connections.
    pub down: BTreeSet<u16>,
    /// Ports that never answer a connection attempt.
    pub silent: BTreeSet<u16>,
    /// Versions that brokers advertise instead of all that this client has.
    pub versions: BTreeMap<ApiKey, VersionRange>,
    /// Whether ApiVersions is handed to the test, too.
    pub is_handshake_manual: bool,
    /// The answer to Metadata requests, cut to the topics asked for; none: they are handed to the test.
    pub metadata: Option<MetadataResponse>,
    /// Node id of the coordinator of all groups; none: FindCoordinator is handed to the test.
    pub coordinator: Option<i32>,
    /// The producer id that is given out; none: InitProducerId is handed to the test.
    pub producer_id: Option<i64>,
    links: BTreeMap<LinkId, u16>,
    /// Cut from this side: what a machine sends before it learns of it is lost.
    cut: BTreeSet<LinkId>,
    connects: Vec<u16>,
    warnings: Vec<String>,
    arrived: VecDeque<Arrived>,
    events: VecDeque<NetEvent>,
}

impl Network {
    /// A cluster whose brokers `1..=brokers` have these topics with so many partitions each, led in turn.
    pub fn with_cluster(brokers: i32, topics: &[(&str, i32)]) -> Self {
        let broker = |node_id| MetadataResponseBroker {
            node_id,
            host: "kafka".into(),
            port: 9000 + node_id,
            ..Default::default()
        };
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: 1 + partition_index % brokers,
            leader_epoch: 0,
            ..Default::default()
        };
        let topic = |(index, (name, partitions)): (usize, &(&str, i32))| MetadataResponseTopic {
            name: Some((*name).into()),
            topic_id: Uuid([u8::try_from(index + 1).expect("a test has few topics"); 16]),
            partitions: (0..*partitions).map(partition).collect(),
            ..Default::default()
        };
        let metadata = MetadataResponse {
            brokers: (1..=brokers).map(broker).collect(),
            controller_id: 1,
            topics: topics.iter().enumerate().map(topic).collect(),
            ..Default::default()
        };
        Self {
            metadata: Some(metadata),
            coordinator: Some(1),
            producer_id: Some(4_000),
            ..Self::default()
        }
    }

    /// Does what a machine wants of the network.
    ///
    /// # Panics
    ///
    /// When the machine sends on a connection that it closed or never had, or sends what is no request.
    pub fn perform(&mut self, action: NetAction) {
        match action {
            NetAction::Connect { link, port, .. } => {
                self.connects.push(port);
                if self.silent.contains(&port) {
                    return;
                }
                if self.down.contains(&port) {
                    let reason = String::from("connection refused");
                    self.events.push_back(NetEvent::ConnectFailed { link, reason });
                    return;
                }
                self.links.insert(link, port);
                self.events.push_back(NetEvent::Connected { link });
            }
            NetAction::Send { link, segments } => self.on_send(link, &segments),
            NetAction::Disconnect { link } => {
                self.links.remove(&link);
                self.events.retain(|event| link_of(event) != link);
                self.arrived.retain(|arrived| arrived.link != link);
            }
            NetAction::Warn { message } => self.warnings.push(message),
        }
    }

    fn on_send(&mut self, link: LinkId, segments: &[Bytes]) {
        if self.cut.contains(&link) {
            return;
        }
        let port = *self
            .links
            .get(&link)
            .expect("a request is sent on a connection that stands");
        let mut buffer: BytesMut = segments
            .iter()
            .flat_map(|segment| segment.iter().copied())
            .collect();
        let frame = frame::split_frame(&mut buffer, usize::MAX)
            .expect("a frame has a valid length")
            .expect("a frame is sent whole");
        assert!(buffer.is_empty(), "only one frame is sent at a time");
        let (header, body) = frame::decode_request(frame).expect("the client sends valid requests");
        let arrived = Arrived {
            link,
            port,
            version: header.request_api_version,
            correlation_id: header.correlation_id,
            body,
        };
        let answer = match &arrived.body {
            RequestBody::ApiVersions(_) if !self.is_handshake_manual => Some(self.api_versions().into()),
            RequestBody::Metadata(request) => self.metadata.as_ref().map(|metadata| {
                let mut metadata = metadata.clone();
                if let Some(topics) = &request.topics {
                    let is_known = |name: &Option<String>| metadata.topics.iter().any(|it| it.name == *name);
                    let unknown = topics.iter().filter(|topic| !is_known(&topic.name)).map(|topic| {
                        MetadataResponseTopic {
                            name: topic.name.clone(),
                            error_code: ErrorCode::UnknownTopicOrPartition.code(),
                            ..Default::default()
                        }
                    });
                    let unknown: Vec<_> = unknown.collect();
                    metadata
                        .topics
                        .retain(|known| topics.iter().any(|topic| topic.name == known.name));
                    metadata.topics.extend(unknown);
                }
                metadata.into()
            }),
            RequestBody::FindCoordinator(request) => self.coordinator.map(|node_id| {
                let coordinator = |key: &String| Coordinator {
                    key: key.clone(),
                    node_id,
                    host: "kafka".into(),
                    port: 9000 + node_id,
                    ..Default::default()
                };
                let coordinators = request.coordinator_keys.iter().map(coordinator).collect();
                FindCoordinatorResponse {
                    coordinators,
                    ..Default::default()
                }
                .into()
            }),
            RequestBody::InitProducerId(_) => self.producer_id.map(|producer_id| {
                InitProducerIdResponse {
                    producer_id,
                    ..Default::default()
                }
                .into()
            }),
            _ => None,
        };
        match answer {
            Some(body) => self.answer(&arrived, body),
            None => self.arrived.push_back(arrived),
        }
    }

    /// What a broker of this cluster advertises.
    pub fn api_versions(&self) -> ApiVersionsResponse {
        let api = |api: ApiKey| {
            let range = self
                .versions
                .get(&api)
                .copied()
                .or_else(|| api.supported_versions())?;
            Some(ApiVersion {
                api_key: api.code(),
                min_version: range.min,
                max_version: range.max,
            })
        };
        ApiVersionsResponse {
            api_keys: ApiKey::all().filter_map(api).collect(),
            ..Default::default()
        }
    }

    /// Answers a request.
    ///
    /// # Panics
    ///
    /// When the body is no valid answer in the request's version.
    pub fn answer(&mut self, to: &Arrived, body: ResponseBody) {
        let mut frame = frame::encode_response(to.correlation_id, to.version, &body)
            .expect("the test gives an answer that the version has");
        self.receive(to.link, frame.split_off(4).freeze());
    }

    /// Lets a frame, of whatever content, come in on a connection.
    pub fn receive(&mut self, link: LinkId, frame: Bytes) {
        self.events.push_back(NetEvent::Received { link, frame });
    }

    /// Ends a connection from the cluster's side.
    pub fn cut(&mut self, link: LinkId) {
        if self.links.remove(&link).is_some() {
            self.cut.insert(link);
            self.arrived.retain(|arrived| arrived.link != link);
            let reason = String::from("connection reset");
            self.events.push_back(NetEvent::Disconnected { link, reason });
        }
    }

    /// Lets something come in on a connection that is no frame, which ends it.
    pub fn receive_no_frame(&mut self, link: LinkId) {
        if self.links.remove(&link).is_some() {
            self.cut.insert(link);
            self.arrived.retain(|arrived| arrived.link != link);
            let reason = String::from("a frame announces -1 bytes");
            self.events.push_back(NetEvent::Unreadable { link, reason });
        }
    }

    /// Ends all connections to a port, and refuses new ones.
    pub fn crash(&mut self, port: u16) {
        self.down.insert(port);
        let to_port = |(link, to): (&LinkId, &u16)| (*to == port).then_some(*link);
        let links: Vec<LinkId> = self.links.iter().filter_map(to_port).collect();
        for link in links {
            self.cut(link);
        }
    }

    /// The next event for the machine.
    pub fn poll_event(&mut self) -> Option<NetEvent> {
        self.events.pop_front()
    }

    /// Takes the oldest request of this API that waits for an answer.
    pub fn take(&mut self, api: ApiKey) -> Option<Arrived> {
        let index = self
            .arrived
            .iter()
            .position(|arrived| arrived.body.api_key() == api)?;
        self.arrived.remove(index)
    }

    /// Puts requests that were taken back, as the oldest ones.
    pub fn put_back(&mut self, arrived: impl IntoIterator<Item = Arrived>) {
        let mut arrived: VecDeque<Arrived> = arrived.into_iter().collect();
        arrived.append(&mut self.arrived);
        self.arrived = arrived;
    }

    /// The requests that wait for an answer, oldest first.
    pub fn waiting(&self) -> impl Iterator<Item = &Arrived> {
        self.arrived.iter()
    }

    /// The connections that stand, with their ports.
    pub fn links(&self) -> impl Iterator<Item = (LinkId, u16)> {
        self.links.iter().map(|(link, port)| (*link, *port))
    }

    /// What was to be told to whoever runs the program, since the last call.
    pub fn take_warnings(&mut self) -> Vec<String> {
        core::mem::take(&mut self.warnings)
    }

    /// The ports that were connected to, or tried, since the last call.
    pub fn take_connects(&mut self) -> Vec<u16> {
        core::mem::take(&mut self.connects)
    }
}

fn link_of(event: &NetEvent) -> LinkId {
    match event {
        NetEvent::Connected { link }
        | NetEvent::ConnectFailed { link, .. }
        | NetEvent::Received { link, .. }
        | NetEvent::Disconnected { link, .. }
        | NetEvent::Unreadable { link, .. } => *link,
    }
}

/// A machine that runs against a scripted cluster on a driven clock.
#[derive(Debug)]
pub struct Driven<M> {
    /// The machine, to ask it questions.
    pub machine: M,
    /// The cluster, to script it.
    pub network: Network,
    now: Instant,
}

impl<M: NetMachine> Driven<M> {
    /// A machine that has done nothing yet, at [`Instant::ZERO`].
    pub fn new(machine: M, network: Network) -> Self {
        Self {
            machine,
            network,
            now: Instant::ZERO,
        }
    }

    /// The driven clock.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Gives an event and lets the network do what it can at this moment; returns the machine's other actions.
    pub fn step(&mut self, event: M::Event) -> Vec<M::Action> {
        self.machine.handle(self.now, event);
        self.settle()
    }

    /// Answers a request and settles.
    pub fn answer(&mut self, to: &Arrived, body: impl Into<ResponseBody>) -> Vec<M::Action> {
        self.network.answer(to, body.into());
        self.settle()
    }

    /// Takes the oldest request of this API.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn expect(&mut self, api: ApiKey) -> Arrived {
        let waiting: Vec<ApiKey> = self
            .network
            .waiting()
            .map(|arrived| arrived.body.api_key())
            .collect();
        match self.network.take(api) {
            Some(arrived) => arrived,
            None => panic!("no {api} request waits, only {waiting:?}"),
        }
    }

    /// Moves actions and events between machine and network until neither has any.
    pub fn settle(&mut self) -> Vec<M::Action> {
        let mut others = Vec::new();
        loop {
            while let Some(action) = self.machine.poll_action() {
                match M::split(action) {
                    Ok(action) => self.network.perform(action),
                    Err(other) => others.push(other),
                }
            }
            match self.network.poll_event() {
                Some(event) => self.machine.handle(self.now, M::net(event)),
                None => return others,
            }
        }
    }

    /// Moves the clock, firing each deadline on its way and settling after each.
    ///
    /// # Panics
    ///
    /// When a deadline stays due.
    pub fn advance(&mut self, by: Duration) -> Vec<M::Action> {
        let end = self.now + by;
        let mut others = self.settle();
        let mut turns = 0;
        while let Some(next) = self.machine.next_deadline().filter(|next| next.at <= end) {
            turns += 1;
            assert!(turns < 1_000_000, "the deadline {:?} stays due", next.timer);
            self.now = self.now.max(next.at);
            self.machine.handle_timeout(self.now);
            others.append(&mut self.settle());
        }
        self.now = end;
        others
    }
}
