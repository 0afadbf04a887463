//! Commits: those of the caller and the automatic ones.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kohort_groups::member::Event as MemberEvent;
use kohort_groups::wire::member::refusal;
use kohort_groups::{Identity, OffsetAndMetadata, TopicPartition};
use kohort_machine::Instant;
use kohort_protocol::messages::OffsetCommitResponse;
use kohort_protocol::{ApiKey, ErrorCode, ResponseBody};

use super::asks::Ask;
use super::engine::Timer;
use super::jobs::{JobId, JobKind, JobOwner, JobRequest};
use super::offset_wire::{self, Names};
use super::{
    Action, AutomaticCommit, CommandError, CommandReply, CommitMode, ConsumerEngine, FailedCommit, SlotId,
};
use crate::client::Target;

/// Offsets that are committed.
#[derive(Debug)]
pub(super) struct CommitJob {
    pub(super) offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    pub(super) mode: CommitMode,
    /// The member and generation of the first attempt. In a later one the partitions may be others', who may have committed more.
    made_by: Option<Box<Identity>>,
}

impl CommitJob {
    fn is_outdated(&self, identity: Option<&Identity>) -> bool {
        self.made_by
            .as_deref()
            .is_some_and(|first| Some(first) != identity)
    }

    pub(super) fn new(offsets: Vec<(TopicPartition, OffsetAndMetadata)>, mode: CommitMode) -> Self {
        Self {
            offsets,
            mode,
            made_by: None,
        }
    }
}

impl ConsumerEngine {
    // Kafka: ConsumerCoordinator.sendOffsetCommitRequest
    pub(super) fn attempt_commit(&mut self, now: Instant, id: JobId) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let what = job.what();
        let JobKind::Commit(commit) = &job.kind else {
            return;
        };
        let Some(group) = &self.config.group else {
            return self.finish(now, id, Err(CommandError::NoGroup { what }));
        };
        if commit.offsets.is_empty() {
            // Kafka: ConsumerCoordinator.commitOffsetsSync, invokePendingAsyncCommits
            let waits = matches!(commit.mode, CommitMode::Sync { .. })
                && matches!(job.owner, JobOwner::Caller(_))
                && self.jobs.has_async_commits();
            if !waits {
                self.finish(now, id, Ok(CommandReply::Done));
            }
            return;
        }
        let identity = match self.commit_identity() {
            Ok(identity) => identity,
            Err(error) => return self.finish(now, id, Err(error)),
        };
        // Kafka: a group is joined within KafkaConsumer.poll only, so no commit and its retries see two generations.
        if commit.is_outdated(identity.as_deref()) {
            return self.finish(now, id, Err(CommandError::RebalanceInProgress));
        }
        let names = Names::new(
            self.client.cluster(),
            commit.offsets.iter().map(|(partition, _)| &partition.topic),
        );
        let build = offset_wire::commit(
            &group.group_id,
            identity.as_deref(),
            &commit.offsets,
            names.clone(),
        );
        let target = Target::Coordinator(Arc::clone(&group.group_id));
        if let Some(job) = self.jobs.get_mut(id)
            && let JobKind::Commit(commit) = &mut job.kind
        {
            commit.made_by.clone_from(&identity);
        }
        let detail = JobRequest::Commit { names, identity };
        self.ask_with(now, id, target, ApiKey::OffsetCommit, build, detail);
    }

    /// As whom to commit: as the member while the group assigns, else as nobody.
    fn commit_identity(&self) -> Result<Option<Box<Identity>>, CommandError> {
        let Some(membership) = self.membership.as_ref().filter(|it| it.is_active()) else {
            return Ok(None);
        };
        let member = membership.member();
        match member.identity() {
            Some(identity) => Ok(Some(Box::new(identity.clone()))),
            // Java's member asks the coordinator once more, which says so.
            None if member.is_fenced() => Err(CommandError::FencedInstanceId),
            // Kafka: ConsumerCoordinator.sendOffsetCommitRequest, "generation == null"
            None if member.is_rebalancing() => Err(CommandError::RebalanceInProgress),
            None => Err(CommandError::CommitRefused {
                code: ErrorCode::UnknownMemberId,
            }),
        }
    }

    // Kafka: ConsumerCoordinator.OffsetCommitResponseHandler
    pub(super) fn on_commit_answered(
        &mut self,
        now: Instant,
        id: JobId,
        body: ResponseBody,
        names: &Names,
        identity: Option<Box<Identity>>,
    ) {
        let Some(job) = self.jobs.get(id) else {
            return;
        };
        let what = job.what();
        let JobKind::Commit(commit) = &job.kind else {
            return;
        };
        let Ok(response) = OffsetCommitResponse::try_from(body) else {
            return;
        };
        let mut asked: BTreeSet<_> = commit.offsets.iter().map(|(partition, _)| partition).collect();
        let mut failed = None;
        for (partition, code) in offset_wire::commit_results(response, names) {
            if asked.remove(&partition) && code.is_error() && failed.is_none() {
                failed = Some((partition, code));
            }
        }
        // Nothing says that a partition that the answer leaves out is committed.
        let left_out = asked
            .pop_first()
            .map(|partition| (partition.clone(), ErrorCode::UnknownTopicOrPartition));
        let Some((partition, code)) = failed.or(left_out) else {
            return self.finish(now, id, Ok(CommandReply::Done));
        };
        if let Some(identity) = identity
            && let Some(refusal) = refusal(code)
        {
            self.member_event(now, MemberEvent::CommitRefused { identity, refusal });
        }
        let error = match code {
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration | ErrorCode::GroupIdNotFound => {
                CommandError::CommitRefused { code }
            }
            ErrorCode::RebalanceInProgress => CommandError::RebalanceInProgress,
            ErrorCode::FencedInstanceId => CommandError::FencedInstanceId,
            code => {
                let is_whole =
                    self.is_coordinator_trouble(now, code) || code == ErrorCode::GroupAuthorizationFailed;
                CommandError::Refused {
                    what,
                    partition: (!is_whole).then_some(partition),
                    code,
                }
            }
        };
        self.fail_attempt(now, id, error);
    }

    /// Whether commits are automatic.
    pub(super) fn is_auto_commit(&self) -> bool {
        self.config.enable_auto_commit && self.config.group.is_some() && !self.is_caller_gone
    }

    /// Starts the interval, if it does not run.
    pub(super) fn start_auto_commit(&mut self, now: Instant) {
        if self.is_auto_commit() && !self.partitions.is_empty() && !self.timers.is_set(&Timer::AutoCommit) {
            self.plan_auto_commit(now);
        }
    }

    fn plan_auto_commit(&mut self, now: Instant) {
        self.auto_commit_due = now + self.config.auto_commit_interval;
        // With one right after the last commit, commits would be many more.
        let earliest = now + self.config.auto_commit_interval / 4;
        let beat = self.heartbeat_before_auto_commit();
        let at = beat
            .filter(|beat| *beat > earliest)
            .unwrap_or(self.auto_commit_due);
        self.timers.set(Timer::AutoCommit, at);
    }

    /// The last heartbeat of the interval: a commit then does not disturb the rhythm by which the others notice an end.
    fn heartbeat_before_auto_commit(&self) -> Option<Instant> {
        let membership = self.membership.as_ref().filter(|it| it.is_active())?;
        membership.member().heartbeat_by(self.auto_commit_due)
    }

    /// The interval is over, or has no later heartbeat: what the next poll finds handed out by earlier ones is committed.
    // Kafka: ConsumerCoordinator.maybeAutoCommitOffsetsAsync
    pub(super) fn expire_auto_commit(&mut self, now: Instant) {
        // A round may have moved the heartbeats meanwhile.
        let at = self
            .heartbeat_before_auto_commit()
            .unwrap_or(self.auto_commit_due);
        if at > now {
            self.timers.set(Timer::AutoCommit, at);
        } else if !self.partitions.is_empty() {
            self.ask_report(Ask::AutoCommit);
        }
    }

    pub(super) fn auto_commit(&mut self, now: Instant) {
        if self.closing.is_some() || !self.is_auto_commit() {
            return;
        }
        self.plan_auto_commit(now);
        let timeout = self.config.client.request_timeout;
        self.commit_consumed(now, JobOwner::AutoCommit, None, CommitMode::Async, timeout);
    }

    /// Commits what is consumed of all partitions, or of these.
    pub(super) fn commit_consumed(
        &mut self,
        now: Instant,
        owner: JobOwner,
        only: Option<&[SlotId]>,
        mode: CommitMode,
        timeout: core::time::Duration,
    ) {
        let offsets = self.partitions.consumed(only);
        self.add_job(
            now,
            owner,
            JobKind::Commit(CommitJob::new(offsets, mode)),
            timeout,
        );
    }

    /// Nobody waits for an automatic commit, so its failure is told to whoever writes the log.
    // Kafka: ConsumerCoordinator.maybeAutoCommitOffsetsAsync, "Auto-commit of offsets failed"
    pub(super) fn note_commit(
        &mut self,
        when: AutomaticCommit,
        kind: JobKind,
        result: &Result<CommandReply, CommandError>,
    ) {
        let is_repeated = core::mem::replace(&mut self.is_commit_failing, result.is_err());
        if let Err(error) = result
            && let JobKind::Commit(commit) = kind
        {
            self.outbox.push(Action::CommitFailed(Box::new(FailedCommit {
                when,
                offsets: commit.offsets,
                error: error.clone(),
                is_repeated,
            })));
        }
    }

    /// A failed automatic commit is tried again soon, with the positions of that time.
    // Kafka: ConsumerCoordinator.autoCommitOffsetsAsync
    pub(super) fn on_auto_committed(&mut self, now: Instant, result: &Result<CommandReply, CommandError>) {
        if let Err(error) = result
            && error.is_retriable()
        {
            let at = now + self.config.client.retry_backoff;
            self.auto_commit_due = self.auto_commit_due.min(at);
            self.timers.set_no_later(Timer::AutoCommit, at);
        }
    }
}
