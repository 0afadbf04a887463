//! Commands under way: their time-outs, attempts, and answers. What an attempt does lives in `lookups` and `commits`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use kohort_groups::{Identity, TopicPartition};
use kohort_machine::{Instant, Token};
use kohort_protocol::{ErrorCode, ResponseBody};

use super::commits::CommitJob;
use super::engine::{Purpose, Timer};
use super::lookups::OffsetsJob;
use super::offset_wire::Names;
use super::{AutomaticCommit, Command, CommandError, CommandReply, CommitMode, ConsumerEngine, SlotId};
use crate::client::{BuildRequest, RequestFailure, RequestId, Target};

/// Names one job. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct JobId(u64);

/// Who is told of the end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobOwner {
    /// The caller.
    Caller(Token),
    /// Nobody but the timer of the automatic commit.
    AutoCommit,
    /// The revocation that waits for it.
    BeforeRevoke,
    /// The closing that waits for it.
    BeforeClose,
}

/// What a job does.
#[derive(Debug)]
pub(super) enum JobKind {
    Position(SlotId),
    Committed(Vec<TopicPartition>),
    Commit(CommitJob),
    Offsets(OffsetsJob),
    PartitionsFor(alloc::sync::Arc<str>),
    ListTopics,
    /// Waits for the member to be out of its group.
    Unsubscribe,
}

impl JobKind {
    fn what(&self) -> &'static str {
        match self {
            Self::Position(_) => "finding the position",
            Self::Committed(_) => "fetching committed offsets",
            Self::Commit(_) => "committing offsets",
            Self::Offsets(_) => "listing offsets",
            Self::PartitionsFor(_) => "finding partitions",
            Self::ListTopics => "listing topics",
            Self::Unsubscribe => "unsubscribing",
        }
    }
}

/// What one request of a job is.
#[derive(Debug)]
pub(super) enum JobRequest {
    Committed {
        names: Names,
    },
    Commit {
        names: Names,
        identity: Option<Box<Identity>>,
    },
    Offsets,
    Metadata,
}

/// One command under way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) owner: JobOwner,
    pub(super) kind: JobKind,
    timeout: Duration,
    deadline: Instant,
    failures: u32,
    last: Option<CommandError>,
    requests: BTreeSet<RequestId>,
}

impl Job {
    pub(super) fn what(&self) -> &'static str {
        self.kind.what()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Whether an automatic commit that a revocation or a close waits for is not tried again although that may help: the topic
    /// is most likely deleted, and what waits must not wait for it to the end of its time.
    fn is_given_up_for(&self, error: &CommandError) -> bool {
        const ENOUGH: u32 = 3;
        let is_waited_for = matches!(self.owner, JobOwner::BeforeRevoke | JobOwner::BeforeClose);
        let code = ErrorCode::UnknownTopicOrPartition;
        let is_unknown = matches!(error, CommandError::Refused { code: refused, .. } if *refused == code);
        is_waited_for && is_unknown && self.failures >= ENOUGH
    }

    fn can_retry(&self) -> bool {
        !matches!(&self.kind, JobKind::Commit(commit) if commit.mode == CommitMode::Async)
    }
}

/// All commands under way.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    open: BTreeMap<JobId, Job>,
    issued: u64,
    /// Asynchronous commits of the caller in their order, with the results that wait for an earlier one's.
    in_order: VecDeque<(Token, Option<Result<CommandReply, CommandError>>)>,
}

impl Jobs {
    pub(super) fn get(&self, id: JobId) -> Option<&Job> {
        self.open.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.open.get_mut(&id)
    }

    pub(super) fn ids(&self, mut wanted: impl FnMut(&Job) -> bool) -> Vec<JobId> {
        self.open
            .iter()
            .filter(|(_, job)| wanted(job))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Whether an asynchronous commit of the caller has no answer yet.
    pub(super) fn has_async_commits(&self) -> bool {
        !self.in_order.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.open.values()
    }
}

impl ConsumerEngine {
    pub(super) fn start_job(&mut self, now: Instant, token: Token, command: Command) {
        let (kind, timeout) = match command {
            Command::Position { slot, timeout } => (JobKind::Position(slot), timeout),
            Command::Committed { partitions, timeout } => (JobKind::Committed(partitions), timeout),
            Command::Commit { offsets, mode } => {
                let timeout = match mode {
                    CommitMode::Sync { timeout } => timeout,
                    CommitMode::Async => {
                        self.jobs.in_order.push_back((token, None));
                        self.config.client.request_timeout
                    }
                };
                (JobKind::Commit(CommitJob::new(offsets, mode)), timeout)
            }
            Command::ListOffsets { partitions, timeout } => {
                (JobKind::Offsets(OffsetsJob::new(partitions)), timeout)
            }
            Command::PartitionsFor { topic, timeout } => (JobKind::PartitionsFor(topic), timeout),
            Command::ListTopics { timeout } => (JobKind::ListTopics, timeout),
            // Answered at once, before a job is made of it.
            Command::GroupMetadata => return,
            // These two have their own way in.
            Command::Unsubscribe { timeout } | Command::Close { timeout, .. } => {
                (JobKind::Unsubscribe, timeout)
            }
        };
        self.add_job(now, JobOwner::Caller(token), kind, timeout);
    }

    pub(super) fn add_job(&mut self, now: Instant, owner: JobOwner, kind: JobKind, timeout: Duration) {
        let id = JobId(self.jobs.issued);
        self.jobs.issued += 1;
        let deadline = now + timeout;
        let job = Job {
            owner,
            kind,
            timeout,
            deadline,
            failures: 0,
            last: None,
            requests: BTreeSet::new(),
        };
        self.jobs.open.insert(id, job);
        self.timers.set(Timer::Deadline(id), deadline);
        self.attempt(now, id);
    }

    /// Does what the job needs next.
    pub(super) fn attempt(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.jobs.open.get(&id) else {
            return;
        };
        self.timers.cancel(&Timer::Retry(id));
        match &job.kind {
            JobKind::Position(slot) => {
                let slot = *slot;
                self.attempt_position(now, id, slot);
            }
            JobKind::Committed(_) => self.attempt_committed(now, id),
            JobKind::Commit(_) => self.attempt_commit(now, id),
            JobKind::Offsets(_) => self.attempt_offsets(now, id),
            JobKind::PartitionsFor(_) | JobKind::ListTopics => self.attempt_metadata(now, id),
            JobKind::Unsubscribe => {}
        }
    }

    /// How long a request of this job may take.
    fn patience(&self, now: Instant, id: JobId) -> Duration {
        let left = self
            .jobs
            .open
            .get(&id)
            .map_or(Duration::ZERO, |job| job.deadline - now);
        left.min(self.config.client.request_timeout)
    }

    /// Makes a request of a job whose content depends on the version.
    pub(super) fn ask_with(
        &mut self,
        now: Instant,
        id: JobId,
        target: Target,
        api: kohort_protocol::ApiKey,
        build: BuildRequest,
        detail: JobRequest,
    ) {
        let timeout = self.patience(now, id);
        let request = self.client.request_with(now, target, api, build, timeout);
        self.note_request(id, request, detail);
    }

    /// Makes a request of a job.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        id: JobId,
        target: Target,
        body: kohort_protocol::RequestBody,
        detail: JobRequest,
    ) {
        let timeout = self.patience(now, id);
        let request = self.client.request(now, target, body, timeout);
        self.note_request(id, request, detail);
    }

    fn note_request(&mut self, id: JobId, request: RequestId, detail: JobRequest) {
        self.requests.insert(request, Purpose::Job { job: id, detail });
        if let Some(job) = self.jobs.open.get_mut(&id) {
            job.requests.insert(request);
        }
    }

    pub(super) fn on_job_reply(
        &mut self,
        now: Instant,
        id: JobId,
        request: RequestId,
        detail: JobRequest,
        result: Result<ResponseBody, RequestFailure>,
    ) {
        let Some(job) = self.jobs.open.get_mut(&id) else {
            return;
        };
        job.requests.remove(&request);
        let what = job.what();
        match result {
            Ok(body) => match detail {
                JobRequest::Committed { names } => self.on_committed(now, id, body, &names),
                JobRequest::Commit { names, identity } => {
                    self.on_commit_answered(now, id, body, &names, identity)
                }
                JobRequest::Offsets => self.on_offsets(now, id, body),
                JobRequest::Metadata => self.on_metadata(now, id, body),
            },
            Err(RequestFailure::CoordinatorNotFound { error, .. }) => {
                let error = CommandError::Refused {
                    what,
                    partition: None,
                    code: error,
                };
                self.fail_attempt(now, id, error);
            }
            Err(failure) => self.fail_attempt(now, id, CommandError::Request { what, failure }),
        }
    }

    /// The attempt failed: again later if that can help, else the job is over.
    pub(super) fn fail_attempt(&mut self, now: Instant, id: JobId, error: CommandError) {
        let Some(job) = self.jobs.open.get_mut(&id) else {
            return;
        };
        let is_over = matches!(error, CommandError::RebalanceInProgress) || job.is_given_up_for(&error);
        if !error.is_retriable() || is_over || !job.can_retry() {
            return self.finish(now, id, Err(error));
        }
        job.failures = job.failures.saturating_add(1);
        job.last = Some(error);
        let failures = job.failures;
        let at = now + self.delay(failures);
        self.timers.set(Timer::Retry(id), at);
    }

    pub(super) fn expire_job(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.jobs.open.get_mut(&id) else {
            return;
        };
        let error = CommandError::TimedOut {
            what: job.what(),
            timeout: job.timeout,
            last: job.last.take().map(Box::new),
        };
        self.finish(now, id, Err(error));
    }

    /// The job is over: its requests are taken back, its owner is told.
    pub(super) fn finish(&mut self, now: Instant, id: JobId, result: Result<CommandReply, CommandError>) {
        let Some(job) = self.drop_job(now, id) else {
            return;
        };
        let is_commit = matches!(job.kind, JobKind::Commit(_));
        match job.owner {
            JobOwner::Caller(token) => {
                let is_ordered =
                    matches!(&job.kind, JobKind::Commit(commit) if commit.mode == CommitMode::Async);
                if is_ordered {
                    self.reply_in_order(token, result);
                } else {
                    self.reply(token, result);
                }
            }
            JobOwner::AutoCommit => {
                self.note_commit(AutomaticCommit::Interval, job.kind, &result);
                self.on_auto_committed(now, &result);
            }
            JobOwner::BeforeRevoke => {
                self.note_commit(AutomaticCommit::BeforeRevocation, job.kind, &result);
                self.call_after_commit();
            }
            JobOwner::BeforeClose => {
                self.note_commit(AutomaticCommit::BeforeClose, job.kind, &result);
                self.on_committed_before_close(now, result);
            }
        }
        if is_commit {
            self.attempt_empty_commits(now);
            self.on_commit_over(now);
        }
    }

    /// Commits of nothing wait for the asynchronous ones before them.
    fn attempt_empty_commits(&mut self, now: Instant) {
        let is_empty = |job: &Job| matches!(&job.kind, JobKind::Commit(commit) if commit.offsets.is_empty());
        for id in self.jobs.ids(is_empty) {
            self.attempt(now, id);
        }
    }

    fn drop_job(&mut self, now: Instant, id: JobId) -> Option<Job> {
        let job = self.jobs.open.remove(&id)?;
        self.timers.cancel(&Timer::Retry(id));
        self.timers.cancel(&Timer::Deadline(id));
        for request in &job.requests {
            self.requests.remove(request);
            self.client.cancel(now, *request);
        }
        Some(job)
    }

    fn reply_in_order(&mut self, token: Token, result: Result<CommandReply, CommandError>) {
        if let Some((_, slot)) = self
            .jobs
            .in_order
            .iter_mut()
            .find(|(waiting, _)| *waiting == token)
        {
            *slot = Some(result);
        }
        self.reply_ordered();
    }

    fn reply_ordered(&mut self) {
        while let Some((token, Some(result))) =
            self.jobs.in_order.pop_front_if(|(_, result)| result.is_some())
        {
            self.reply(token, result);
        }
    }

    pub(super) fn on_abandon(&mut self, now: Instant, token: Token) {
        self.jobs.in_order.retain(|(waiting, _)| *waiting != token);
        // The results of later ones may have waited for this one's.
        self.reply_ordered();
        for id in self.jobs.ids(|job| job.owner == JobOwner::Caller(token)) {
            if let Some(job) = self.drop_job(now, id)
                && matches!(job.kind, JobKind::Commit(_))
            {
                self.attempt_empty_commits(now);
                self.on_commit_over(now);
            }
        }
        if let Some(closing) = &mut self.closing {
            closing.tokens.retain(|waiting| *waiting != token);
        }
    }

    /// Ends everything that is under way.
    pub(super) fn finish_all(&mut self, now: Instant) {
        for id in self.jobs.ids(|_| true) {
            let Some(job) = self.drop_job(now, id) else {
                continue;
            };
            if let JobOwner::Caller(token) = job.owner
                && !self.jobs.in_order.iter().any(|(waiting, _)| *waiting == token)
            {
                self.reply(token, Err(CommandError::Closed));
            }
        }
        // Each of these has a callback, and some have waited only for the result of an earlier one.
        for (token, result) in core::mem::take(&mut self.jobs.in_order) {
            self.reply(token, result.unwrap_or(Err(CommandError::Closed)));
        }
    }
}
