//! A consumer for tests: the engine, the caller's side, and a small broker that serves logs from memory.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::member::{OfferedAssignor, Rebalance};
use kohort_groups::{RebalanceProtocol, TopicPartition};
use kohort_machine::Token;
use kohort_protocol::messages::FetchRequest;
use kohort_protocol::messages::metadata::MetadataResponsePartition;
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, ResponseBody};

use crate::client::ClientConfig;
use crate::client::testing::{Arrived, Driven, Network};
use crate::consumer::{
    Action, CallbackKind, Change, Command, CommandError, CommandReply, ConsumerConfig, ConsumerEngine, Event,
    FailedCommit, GroupConfig, HandedOut, LatePoll, PollError, RebalanceBegan, SeekTo,
};
use crate::delivery::{Delivery, Due, Taken};

use super::session::Session;

mod answers;
mod log;

pub(super) use log::Log;

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// What a broker that lies makes of an answer.
pub(super) type Lie = fn(&mut ResponseBody);

/// The cooperative assignor alone.
pub(super) fn cooperative() -> Vec<OfferedAssignor> {
    let both = [RebalanceProtocol::Cooperative, RebalanceProtocol::Eager];
    vec![OfferedAssignor::new("cooperative-sticky", both)]
}

/// A consumer and its broker.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) driven: Driven<ConsumerEngine>,
    pub(super) delivery: Delivery,
    pub(super) logs: BTreeMap<(&'static str, i32), Log>,
    pub(super) committed: BTreeMap<(Arc<str>, i32), i64>,
    /// Answers to commands.
    pub(super) replies: BTreeMap<Token, Result<CommandReply, CommandError>>,
    /// Tokens in the order in which they were answered.
    pub(super) answered: Vec<Token>,
    /// Calls of the listener.
    pub(super) calls: Vec<(CallbackKind, Vec<i32>)>,
    /// What is left to do in the next poll.
    dues: VecDeque<Due>,
    /// Answered to the next requests of an API instead of the truth.
    pub(super) refuse: BTreeMap<ApiKey, VecDeque<ErrorCode>>,
    /// What the broker makes of so many of its next answers.
    pub(super) lie: Option<(u32, Lie)>,
    /// The broker's fetch session, if it gives any.
    pub(super) session: Option<Session>,
    /// APIs whose requests wait.
    pub(super) hold: Vec<ApiKey>,
    /// Requests served, in order.
    pub(super) served: Vec<ApiKey>,
    pub(super) generation: i32,
    /// What another member that leads assigns in the next rounds; this one leads when there is none left.
    pub(super) shares: VecDeque<Vec<i32>>,
    /// What each OffsetCommit wrote of `t`.
    pub(super) commits: Vec<Vec<(i32, i64)>>,
    /// Of which partitions of `t` the committed offset was asked for.
    pub(super) looked_up: Vec<i32>,
    /// Rebalances that began.
    pub(super) rebalances_begun: Vec<RebalanceBegan>,
    /// Rebalances that ended.
    pub(super) rebalances: Vec<Rebalance>,
    /// Automatic commits that failed.
    pub(super) failed_commits: Vec<FailedCommit>,
    /// What the user keeps, when it keeps anything.
    pub(super) kept: Option<Vec<Taken>>,
    /// What the pattern of the subscription matches.
    pub(super) pattern: fn(&str) -> bool,
    /// What the application's own assignor is asked and told.
    pub(super) own_assignor: Vec<Action>,
    /// What the last poll handed out.
    handed_out: HandedOut,
    /// Polls that did not come in time.
    pub(super) late: Vec<LatePoll>,
    polls: u64,
    tokens: u64,
}

impl Rig {
    /// A consumer of one broker that has topic `t` with two partitions of ten records each.
    pub(super) fn new(configure: impl FnOnce(&mut ConsumerConfig)) -> Self {
        Self::with_brokers(1, configure)
    }

    pub(super) fn with_brokers(brokers: i32, configure: impl FnOnce(&mut ConsumerConfig)) -> Self {
        let mut config = ConsumerConfig::new(ClientConfig::new([("kafka".into(), 9001)]));
        configure(&mut config);
        let mut logs = BTreeMap::new();
        for partition in 0..2 {
            let mut log = Log::default();
            for _ in 0..2 {
                log.append(5, 10);
            }
            logs.insert(("t", partition), log);
        }
        logs.insert(("u", 0), Log::default());
        let delivery = Delivery::new(&config);
        let engine = ConsumerEngine::new(config, 7, 1_700_000_000_000).unwrap();
        Self {
            driven: Driven::new(engine, Network::with_cluster(brokers, &[("t", 2), ("u", 1)])),
            delivery,
            logs,
            committed: BTreeMap::new(),
            replies: BTreeMap::new(),
            answered: Vec::new(),
            calls: Vec::new(),
            dues: VecDeque::new(),
            refuse: BTreeMap::new(),
            lie: None,
            session: None,
            hold: Vec::new(),
            served: Vec::new(),
            generation: 0,
            shares: VecDeque::new(),
            commits: Vec::new(),
            looked_up: Vec::new(),
            rebalances_begun: Vec::new(),
            rebalances: Vec::new(),
            failed_commits: Vec::new(),
            kept: None,
            pattern: |_| true,
            own_assignor: Vec::new(),
            handed_out: HandedOut::default(),
            late: Vec::new(),
            polls: 0,
            tokens: 0,
        }
    }

    /// As [`Rig::new`] in group `g`.
    pub(super) fn in_group(configure: impl FnOnce(&mut ConsumerConfig)) -> Self {
        Self::new(|config| {
            config.group = Some(GroupConfig::new("g"));
            configure(config);
        })
    }

    pub(super) fn event(&mut self, event: Event) {
        let actions = self.driven.step(event);
        self.absorb(actions);
        self.serve();
    }

    pub(super) fn change(&mut self, change: Change) {
        self.event(Event::Change(Box::new(change)));
    }

    pub(super) fn command(&mut self, command: Command) -> Token {
        let token = Token(self.tokens);
        self.tokens += 1;
        self.event(Event::Command {
            token,
            command: Box::new(command),
        });
        token
    }

    pub(super) fn assign(&mut self, partitions: &[i32]) {
        let partitions: Vec<_> = partitions.iter().map(|p| of_t(*p)).collect();
        let change = self.delivery.assign(&partitions);
        self.change(change);
    }

    pub(super) fn subscribe(&mut self) {
        self.change(Change::Subscribe {
            topics: vec!["t".into()],
        });
        self.begin_polling();
    }

    /// The first thing that a poll does after a subscription, which counts from then on.
    pub(super) fn begin_polling(&mut self) {
        let first = self.dues.pop_front();
        let Some(Due::Report { step }) = first else {
            panic!("{first:?}");
        };
        self.report(step);
    }

    fn report(&mut self, step: u64) {
        let report = self.delivery.report(Some(step));
        self.event(Event::Progress(Box::new(report)));
    }

    pub(super) fn seek(&mut self, partition: i32, to: SeekTo) {
        let seek = self.delivery.seek(&of_t(partition), to).unwrap();
        self.change(Change::Seek(vec![seek]));
    }

    pub(super) fn advance(&mut self, by: Duration) {
        // In small steps, so that the broker answers in time.
        let step = by.min(Duration::from_millis(50));
        let end = self.driven.now() + by;
        while self.driven.now() < end {
            let actions = self.driven.advance(step.min(end - self.driven.now()));
            self.absorb(actions);
            self.serve();
        }
    }

    fn absorb(&mut self, actions: Vec<Action>) {
        let mut more = VecDeque::from(actions);
        while let Some(action) = more.pop_front() {
            match action {
                Action::ToCaller(told) => {
                    if let Some(due) = self.delivery.accept(*told) {
                        due.enqueue(&mut self.dues);
                    }
                }
                Action::Reply { token, result } => {
                    self.answered.push(token);
                    let old = self.replies.insert(token, *result);
                    assert!(old.is_none(), "{token:?} is answered twice");
                }
                Action::ReadPollCounter => {
                    let polls = self.polls;
                    let handed_out = self.handed_out.clone();
                    let event = Event::PollCounter {
                        polls,
                        inside: false,
                        handed_out,
                    };
                    more.extend(self.driven.step(event));
                }
                Action::MatchTopics(question) => {
                    let verdict = |topic: Arc<str>| {
                        let matches = (self.pattern)(&topic);
                        (topic, matches)
                    };
                    let event = Event::TopicsMatched {
                        step: question.step,
                        verdicts: question.topics.into_iter().map(verdict).collect(),
                    };
                    more.extend(self.driven.step(event));
                }
                Action::Describe(_) | Action::OnAssignment(_) | Action::Compute(_) => {
                    self.own_assignor.push(action);
                }
                Action::RebalanceBegan(began) => self.rebalances_begun.push(*began),
                Action::Rebalanced(rebalance) => self.rebalances.push(*rebalance),
                Action::PollLate(late) => self.late.push(*late),
                Action::CommitFailed(failed) => self.failed_commits.push(*failed),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Polls once, without waiting: partition and offset of each record.
    pub(super) fn poll(&mut self) -> Result<Vec<(i32, i64)>, PollError> {
        self.poll_max(500)
    }

    pub(super) fn poll_max(&mut self, max: usize) -> Result<Vec<(i32, i64)>, PollError> {
        self.polls += 1;
        self.do_due()?;
        let taken = self.delivery.take(max);
        if let Some(progress) = self.delivery.progress() {
            self.event(Event::Progress(Box::new(progress)));
        }
        let of_chunk = |chunk: &crate::delivery::TakenChunk| {
            let number = chunk.partition().partition;
            chunk
                .records()
                .iter()
                .map(|record| (number, record.offset))
                .collect::<Vec<_>>()
        };
        let taken = taken?;
        let records: Vec<_> = taken.chunks().flat_map(of_chunk).collect();
        self.handed_out = HandedOut {
            runs: self.delivery.in_hand().to_vec(),
            more_runs: 0,
            records: records.len(),
        };
        if let Some(kept) = &mut self.kept {
            kept.push(taken);
        }
        Ok(records)
    }

    /// Polls until nothing more comes, not even when `fetch.max.wait.ms` has passed.
    pub(super) fn poll_all(&mut self) -> Vec<(i32, i64)> {
        let mut all = Vec::new();
        let mut empty = 0;
        while empty < 3 {
            let some = self.poll().unwrap();
            if some.is_empty() {
                empty += 1;
                self.expire_fetches();
            }
            all.extend(some);
        }
        all
    }

    /// Does what is due inside of a poll, an unsubscribe or a close.
    pub(super) fn do_due(&mut self) -> Result<(), PollError> {
        while let Some(due) = self.dues.pop_front() {
            match due {
                Due::Callback {
                    step,
                    kind,
                    partitions,
                } => {
                    self.calls
                        .push((kind, partitions.iter().map(|p| p.partition).collect()));
                    self.event(Event::ListenerDone { step });
                }
                Due::Report { step } => self.report(step),
                Due::Fail(error) => return Err(error),
                Due::BecameLost { .. } => {}
            }
        }
        Ok(())
    }

    pub(super) fn next_due(&self) -> Option<&Due> {
        self.dues.front()
    }

    /// Answers what waits, but for APIs on hold and fetches that find nothing.
    pub(super) fn serve(&mut self) {
        while self.serve_one() {}
    }

    /// Answers one request; whether there was one.
    pub(super) fn serve_one(&mut self) -> bool {
        let waiting: Vec<Arrived> = self.driven.network.waiting().cloned().collect();
        let hold = self.hold.clone();
        let mut wanted = waiting.iter().filter(|it| !hold.contains(&it.body.api_key()));
        let Some((arrived, mut answer)) = wanted.find_map(|it| Some((it.clone(), self.answer_to(it)?)))
        else {
            return false;
        };
        self.take_exact(&arrived);
        self.served.push(arrived.body.api_key());
        if let (Some(session), RequestBody::Fetch(request), ResponseBody::Fetch(response)) =
            (&mut self.session, &arrived.body, &mut answer)
        {
            session.answered(request, response);
        }
        if let Some((left @ 1.., lie)) = &mut self.lie {
            *left -= 1;
            lie(&mut answer);
        }
        let actions = self.driven.answer(&arrived, answer);
        self.absorb(actions);
        true
    }

    fn take_exact(&mut self, wanted: &Arrived) {
        let api = wanted.body.api_key();
        let mut others = Vec::new();
        while let Some(taken) = self.driven.network.take(api) {
            if taken == *wanted {
                break;
            }
            others.push(taken);
        }
        self.driven.network.put_back(others);
    }

    pub(super) fn refuse(&mut self, api: ApiKey, codes: &[ErrorCode]) {
        self.refuse.entry(api).or_default().extend(codes);
    }

    /// Topic `t` gets one partition more, of five records, led by the first broker.
    pub(super) fn add_partition(&mut self) {
        let metadata = self.driven.network.metadata.as_mut().unwrap();
        let partitions = &mut metadata.topics[0].partitions;
        let number = i32::try_from(partitions.len()).unwrap();
        partitions.push(MetadataResponsePartition {
            partition_index: number,
            leader_id: 1,
            ..Default::default()
        });
        let mut log = Log::default();
        log.append(5, 10);
        self.logs.insert(("t", number), log);
    }

    /// `fetch.max.wait.ms` passes: the fetches that wait are answered with what there is.
    pub(super) fn expire_fetches(&mut self) {
        let is_fetch = |it: &&Arrived| it.body.api_key() == ApiKey::Fetch;
        for _ in 0..self.driven.network.waiting().filter(is_fetch).count() {
            let arrived = self.driven.expect(ApiKey::Fetch);
            let RequestBody::Fetch(request) = &arrived.body else {
                return;
            };
            let whole = self
                .session
                .as_ref()
                .map_or(Ok((**request).clone()), |it| it.expand(request));
            let mut whole = whole.expect("the session is known");
            whole.min_bytes = 0;
            let mut answer = self.fetched(&whole, None).unwrap();
            if let Some(session) = &mut self.session {
                session.answered(request, &mut answer);
            }
            let actions = self.driven.answer(&arrived, answer);
            self.absorb(actions);
        }
        self.serve();
    }

    /// Answers a request that was taken out.
    pub(super) fn answer_with(&mut self, arrived: &Arrived, body: impl Into<ResponseBody>) {
        let actions = self.driven.answer(arrived, body);
        self.absorb(actions);
        self.serve();
    }

    /// How many requests of this API were served.
    pub(super) fn count(&self, api: ApiKey) -> usize {
        self.served.iter().filter(|served| **served == api).count()
    }

    pub(super) fn committed(&self, partition: i32) -> Option<i64> {
        self.committed.get(&("t".to_string().into(), partition)).copied()
    }

    /// The Fetch that waits on the broker.
    pub(super) fn waiting_fetch(&self) -> Option<FetchRequest> {
        self.driven
            .network
            .waiting()
            .find_map(|arrived| match &arrived.body {
                RequestBody::Fetch(request) => Some(FetchRequest::clone(request)),
                _ => None,
            })
    }
}

/// Partition `number` of `t`.
pub(super) fn of_t(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

/// Partition and offset of each record from `from` up to `to`.
pub(super) fn records(partition: i32, from: i64, to: i64) -> Vec<(i32, i64)> {
    (from..to).map(|offset| (partition, offset)).collect()
}
