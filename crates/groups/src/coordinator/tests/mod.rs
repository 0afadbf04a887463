//! The coordinator's rules, on a driven clock. [`Kit`] plays the node: it stores what is appended and keeps the replies.

mod commits;
mod describing;
mod expiry;
mod heartbeats;
mod joining;
mod journal;
mod leaving;
mod ordering;
mod random;
mod recovery;
mod saying;
mod sessions;
mod static_members;
mod syncing;
mod table;

use core::time::Duration;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::string::String;
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use bytes::Bytes;
use kohort_machine::Token;
use kohort_machine::testing::Harness;

use super::*;
use crate::OffsetAndMetadata;

/// Wall time at the harness's zero.
const EPOCH_MS: i64 = 1_700_000_000_000;
const GROUP: &str = "group";

/// The node: appends succeed at once unless held.
struct Kit {
    harness: Harness<Coordinator>,
    next: u64,
    asked: Vec<Token>,
    replies: BTreeMap<Token, GroupResponse>,
    log: Vec<(i32, CoordinatorRecord)>,
    hold: bool,
    held: Vec<(Token, i32, Vec<CoordinatorRecord>)>,
    appends: usize,
    /// The rebalances of [`GROUP`] that ended, oldest first.
    rebalanced: Vec<Arc<Rebalance>>,
}

impl Kit {
    fn new() -> Self {
        Self::with(CoordinatorConfig::default())
    }

    /// No initial rebalance delay.
    fn prompt() -> Self {
        Self::with(CoordinatorConfig {
            initial_rebalance_delay_ms: 0,
            ..CoordinatorConfig::default()
        })
    }

    fn with(config: CoordinatorConfig) -> Self {
        Self::recovered(config, &[])
    }

    /// A node that starts with a log.
    fn recovered(config: CoordinatorConfig, log: &[(i32, CoordinatorRecord)]) -> Self {
        let mut kit = Self::unloaded(config);
        for partition in 0..50 {
            let of_partition = log.iter().filter(|(of, _)| *of == partition);
            let records = of_partition.map(|(_, record)| record.clone()).collect();
            kit.step(Event::Load { partition, records });
            let wall_ms = kit.wall_ms();
            kit.step(Event::Loaded { partition, wall_ms });
        }
        kit.log = log.to_vec();
        kit
    }

    fn unloaded(config: CoordinatorConfig) -> Self {
        Self {
            harness: Harness::new(Coordinator::new(config, 42)),
            next: 0,
            asked: Vec::new(),
            replies: BTreeMap::new(),
            log: Vec::new(),
            hold: false,
            held: Vec::new(),
            appends: 0,
            rebalanced: Vec::new(),
        }
    }

    fn wall_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.harness.now().as_millis()).expect("a short test")
    }

    fn step(&mut self, event: Event) {
        let actions = self.harness.step(event);
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Reply { token, response } => {
                    let asked = self.asked.iter().position(|asked| *asked == token);
                    self.asked.remove(asked.expect("each request is answered once"));
                    self.replies.insert(token, *response);
                }
                Action::Append {
                    token,
                    partition,
                    records,
                } => {
                    self.appends += 1;
                    if self.hold {
                        self.held.push((token, partition, records));
                    } else {
                        self.store(token, partition, records);
                    }
                }
                Action::Rebalanced { group_id, rebalance } => {
                    if &*group_id == GROUP {
                        self.rebalanced.push(rebalance);
                    }
                }
            }
        }
    }

    fn store(&mut self, token: Token, partition: i32, records: Vec<CoordinatorRecord>) {
        self.log
            .extend(records.into_iter().map(|record| (partition, record)));
        self.step(Event::Appended {
            token,
            result: Ok(()),
        });
    }

    /// Lets the held appends succeed.
    fn release(&mut self) {
        self.hold = false;
        for (token, partition, records) in core::mem::take(&mut self.held) {
            self.store(token, partition, records);
        }
    }

    /// Lets the held appends fail.
    fn fail(&mut self, failure: AppendFailure) {
        self.hold = false;
        for (token, ..) in core::mem::take(&mut self.held) {
            let result = Err(failure);
            self.step(Event::Appended { token, result });
        }
    }

    fn advance(&mut self, millis: u64) {
        // Step by step, so that what an append answers at a deadline happens at that deadline.
        let end = self.harness.now() + Duration::from_millis(millis);
        while let Some(next) = self
            .harness
            .machine()
            .next_deadline()
            .filter(|next| next.at <= end)
        {
            let by = next.at - self.harness.now();
            let actions = self.harness.advance(by);
            self.perform(actions);
        }
        let actions = self.harness.advance(end - self.harness.now());
        self.perform(actions);
    }

    fn send(&mut self, request: GroupRequest) -> Token {
        self.send_from("client", request)
    }

    fn send_from(&mut self, client_id: &str, request: GroupRequest) -> Token {
        let token = Token(self.next);
        self.next += 1;
        self.asked.push(token);
        let client = Client {
            id: client_id.into(),
            host: "/127.0.0.1".into(),
        };
        self.step(Event::Request {
            token,
            wall_ms: self.wall_ms(),
            client,
            request: Box::new(request),
        });
        // A delay of 0 is due now.
        self.advance(0);
        token
    }

    fn waits(&self, token: Token) -> bool {
        self.asked.contains(&token)
    }

    fn take(&mut self, token: Token) -> GroupResponse {
        self.replies.remove(&token).expect("the request was answered")
    }

    fn take_join(&mut self, token: Token) -> JoinResponse {
        match self.take(token) {
            GroupResponse::Join(response) => response,
            other => panic!("{other:?}"),
        }
    }

    fn take_joined(&mut self, token: Token) -> (Arc<str>, JoinedGroup) {
        let response = self.take_join(token);
        (response.member_id, response.outcome.expect("joined"))
    }

    fn take_join_refusal(&mut self, token: Token) -> Refusal {
        self.take_join(token).outcome.expect_err("refused")
    }

    fn take_sync(&mut self, token: Token) -> Result<Bytes, Refusal> {
        match self.take(token) {
            GroupResponse::Sync(result) => result.map(|synced| synced.assignment),
            other => panic!("{other:?}"),
        }
    }

    fn join(&mut self, join: JoinRequest) -> Token {
        self.send(GroupRequest::Join(join))
    }

    fn sync(&mut self, member_id: &str, generation: i32, assignments: &[(&str, &str)]) -> Token {
        self.send(GroupRequest::Sync(sync(member_id, generation, assignments)))
    }

    fn heartbeat(&mut self, member_id: &str, generation: i32) -> Result<(), Refusal> {
        let token = self.send(GroupRequest::Heartbeat(heartbeat(member_id, generation)));
        match self.take(token) {
            GroupResponse::Heartbeat(result) => result,
            other => panic!("{other:?}"),
        }
    }

    fn leave(&mut self, member_id: &str) -> Vec<LeftMember> {
        let members = vec![leaving(member_id, None)];
        self.leave_all(members)
    }

    fn leave_all(&mut self, members: Vec<LeavingMember>) -> Vec<LeftMember> {
        let group_id = GROUP.into();
        let token = self.send(GroupRequest::Leave(LeaveRequest { group_id, members }));
        match self.take(token) {
            GroupResponse::Leave(result) => result.expect("the members are answered"),
            other => panic!("{other:?}"),
        }
    }

    fn commit(&mut self, member_id: &str, generation: i32, offset: i64) -> Result<(), Refusal> {
        let token = self.send(GroupRequest::CommitOffsets(commit(member_id, generation, offset)));
        self.take_commit(token)
    }

    fn take_commit(&mut self, token: Token) -> Result<(), Refusal> {
        match self.take(token) {
            GroupResponse::CommitOffsets(topics) => topics[0].partitions[0].outcome,
            other => panic!("{other:?}"),
        }
    }

    fn committed(&mut self, topic: &str, partition: i32) -> Option<i64> {
        let topics = vec![partitions(topic, &[partition])];
        let groups = vec![FetchGroup {
            group_id: GROUP.into(),
            topics: Some(topics),
        }];
        let require_stable = true;
        let token = self.send(GroupRequest::FetchOffsets(FetchOffsetsRequest {
            groups,
            require_stable,
        }));
        match self.take(token) {
            GroupResponse::FetchOffsets(groups) => {
                let topics = groups[0].outcome.as_ref().expect("fetched");
                topics[0].partitions[0]
                    .committed
                    .as_ref()
                    .map(|committed| committed.offset)
            }
            other => panic!("{other:?}"),
        }
    }

    fn describe(&mut self) -> Option<GroupDescription> {
        let groups = vec![GROUP.into()];
        let names_missing_group = false;
        let token = self.send(GroupRequest::Describe(DescribeRequest {
            groups,
            names_missing_group,
        }));
        match self.take(token) {
            GroupResponse::Describe(mut groups) => groups.remove(0).outcome.expect("described"),
            other => panic!("{other:?}"),
        }
    }

    fn state(&mut self) -> &'static str {
        self.describe().map_or("Dead", |description| description.state)
    }

    fn cause(&self) -> Option<&RebalanceCause> {
        self.harness.machine().rebalance_cause(GROUP)
    }

    /// Members `a`, `b`, … join together: ids in the order of the clients, all in one generation, the first leading.
    fn joined(&mut self, members: usize) -> (Vec<Arc<str>>, i32) {
        let tokens: Vec<_> = (0..members).map(|_| self.join(anonymous_join())).collect();
        let delay = u64::try_from(CoordinatorConfig::default().initial_rebalance_delay_ms).expect("positive");
        self.advance(delay * 2);
        // Without an initial delay the first member joins alone, and the others make it rejoin.
        let mut ids = Vec::new();
        let mut generation = 0;
        for token in tokens {
            let (member_id, joined) = self.take_joined(token);
            generation = joined.generation;
            ids.push(member_id);
        }
        (ids, generation)
    }

    /// A stable group of `members`, each with its own index as assignment; the leader first.
    fn stable(&mut self, members: usize) -> (Vec<Arc<str>>, i32) {
        let (mut ids, generation) = self.joined(members);
        let description = self.describe().expect("a group");
        assert_eq!(description.state, "CompletingRebalance");
        let leader = self.leader();
        ids.sort_by_key(|id| *id != leader);
        self.sync_all(&ids, generation);
        assert_eq!(self.state(), "Stable");
        (ids, generation)
    }

    fn sync_all(&mut self, ids: &[Arc<str>], generation: i32) {
        let assignments: Vec<(&str, &str)> = ids.iter().map(|id| (&**id, &**id)).collect();
        let leader = self.leader();
        let mut tokens = Vec::new();
        for id in ids {
            let told = if *id == leader { &assignments[..] } else { &[] };
            tokens.push((id, self.sync(id, generation, told)));
        }
        for (id, token) in tokens {
            assert_eq!(self.take_sync(token), Ok(bytes(id)));
        }
    }

    /// The leader, as the group's own state has it.
    fn leader(&self) -> Arc<str> {
        let group = &self.harness.machine().groups[GROUP];
        let classic = group.classic.as_ref().expect("a group");
        classic.leader_id().expect("a leader")
    }
}

/// The member as the journal names it.
fn who(member_id: &str) -> Participant {
    Participant {
        member_id: member_id.into(),
        group_instance_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// A subscription (version 0) to these topics, as consumers send it.
fn subscription(topics: &[&str]) -> Bytes {
    let mut encoded = vec![0, 0];
    encoded.extend(u32::try_from(topics.len()).expect("few").to_be_bytes());
    for topic in topics {
        encoded.extend(u16::try_from(topic.len()).expect("short").to_be_bytes());
        encoded.extend(topic.as_bytes());
    }
    encoded.extend((-1i32).to_be_bytes());
    Bytes::from(encoded)
}

fn protocol(name: &str, metadata: Bytes) -> JoinProtocol {
    let name = name.into();
    JoinProtocol { name, metadata }
}

/// A member that needs no id beforehand (JoinGroup before version 4), subscribed to `topic`.
fn anonymous_join() -> JoinRequest {
    JoinRequest {
        group_id: GROUP.into(),
        member_id: UNKNOWN_MEMBER_ID.into(),
        group_instance_id: None,
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", subscription(&["topic"]))],
        reason: None,
        requires_known_member_id: false,
        supports_skipping_assignment: true,
    }
}

fn rejoin(member_id: &str) -> JoinRequest {
    JoinRequest {
        member_id: member_id.into(),
        ..anonymous_join()
    }
}

fn static_join(instance: &str) -> JoinRequest {
    JoinRequest {
        group_instance_id: Some(instance.into()),
        ..anonymous_join()
    }
}

/// A join as consumers of today send it first.
fn modern_join() -> JoinRequest {
    JoinRequest {
        requires_known_member_id: true,
        ..anonymous_join()
    }
}

fn sync(member_id: &str, generation: i32, assignments: &[(&str, &str)]) -> SyncRequest {
    SyncRequest {
        group_id: GROUP.into(),
        generation,
        member_id: member_id.into(),
        group_instance_id: None,
        protocol_type: Some("consumer".into()),
        protocol: Some("range".into()),
        assignments: assignments
            .iter()
            .map(|(id, text)| ((*id).into(), bytes(text)))
            .collect(),
    }
}

fn heartbeat(member_id: &str, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: GROUP.into(),
        generation,
        member_id: member_id.into(),
        group_instance_id: None,
    }
}

fn leaving(member_id: &str, instance: Option<&str>) -> LeavingMember {
    LeavingMember {
        member_id: member_id.into(),
        group_instance_id: instance.map(Arc::from),
        reason: None,
    }
}

/// Commits `offset` for partition 0 of `topic`.
fn commit(member_id: &str, generation: i32, offset: i64) -> CommitOffsetsRequest {
    CommitOffsetsRequest {
        group_id: GROUP.into(),
        generation,
        member_id: member_id.into(),
        group_instance_id: None,
        retention_ms: None,
        names_missing_group: true,
        topics: vec![TopicPartitions {
            name: "topic".into(),
            id: None,
            partitions: vec![CommittedPartition {
                partition: 0,
                offset: OffsetAndMetadata::new(offset),
            }],
        }],
    }
}

fn partitions(topic: &str, partitions: &[i32]) -> TopicPartitions<i32> {
    TopicPartitions {
        name: topic.into(),
        id: None,
        partitions: partitions.to_vec(),
    }
}

fn reason(text: &str) -> Option<String> {
    Some(String::from(text))
}
