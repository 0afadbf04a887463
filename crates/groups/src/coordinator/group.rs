//! One group as the coordinator hosts it: its classic state, its offsets, what is stored of it, the open append and the inbox.
//! It orders the group's work; the rules are in `classic` and `offsets`.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use kohort_machine::Token;

use super::classic::Classic;
use super::cx::{Cx, Held, Timer};
use super::gather::Part;
use super::offsets::{self, Offsets};
use super::work::{Then, Work, Write, outcomes};
use super::{
    AppendFailure, CoordinatorRecord, DeletedGroup, GroupResponse, HeartbeatRequest, Refusal, StoredGroup,
};

/// How many bytes commits that share an append may have together: well below the largest batch of a log, so that none is refused
/// for the company it is in.
const SHARED_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: Arc<str>,
    pub(super) partition: i32,
    /// `None`: there is no such group (yet, or any more).
    pub(super) classic: Option<Classic>,
    pub(super) offsets: Offsets,
    /// What the log says the group is. Only [`Group::apply`] changes it.
    pub(super) stored: Option<StoredGroup>,
    /// How much of [`Cx::held`] is this group's.
    pub(super) counted: Held,
    open: Option<OpenAppend>,
    inbox: VecDeque<Work>,
}

#[derive(Debug)]
struct OpenAppend {
    token: Token,
    records: Vec<CoordinatorRecord>,
    then: Vec<Then>,
}

impl Group {
    pub(super) fn new(id: Arc<str>, partition: i32) -> Self {
        Self {
            id,
            partition,
            classic: None,
            offsets: Offsets::default(),
            stored: None,
            counted: Held::default(),
            open: None,
            inbox: VecDeque::new(),
        }
    }

    /// Whether nothing is left of the group.
    pub(super) fn is_vacant(&self) -> bool {
        self.classic.is_none()
            && self.offsets.is_empty()
            && self.stored.is_none()
            && self.open.is_none()
            && self.inbox.is_empty()
    }

    /// Does the work, or lets it wait for the open append. What nobody would ask for again waits over the bound, too.
    pub(super) fn handle_work(&mut self, cx: &mut Cx, work: Work) {
        let is_full = self.open.is_some() && self.inbox.len() >= cx.config.inbox_limit;
        if is_full && !matches!(work, Work::ForgetTopics(_)) {
            return work.refuse(cx, &self.id.clone(), Refusal::NotAvailable);
        }
        self.inbox.push_back(work);
        self.run(cx);
    }

    /// Answers at once, also while an append is open.
    pub(super) fn handle_heartbeat(&self, cx: &mut Cx, request: &HeartbeatRequest) -> Result<(), Refusal> {
        match &self.classic {
            Some(classic) => classic.handle_heartbeat(cx, request),
            None => Err(Refusal::UnknownMemberId),
        }
    }

    pub(super) fn expire_timer(&mut self, cx: &mut Cx, timer: Timer) {
        if self.open.is_some() {
            return cx.defer(timer);
        }
        let write = self.expire(cx, &timer);
        self.count_said(cx);
        self.append(cx, write);
        self.run(cx);
    }

    /// Whether this append is the one that is open.
    pub(super) fn waits_for(&self, token: Token) -> bool {
        self.open.as_ref().is_some_and(|open| open.token == token)
    }

    /// The open append ended.
    pub(super) fn handle_appended(&mut self, cx: &mut Cx, result: Result<(), AppendFailure>) {
        let Some(open) = self.open.take() else {
            return;
        };
        if result.is_ok() {
            for record in open.records {
                self.apply(record);
            }
        }
        for then in open.then {
            let write = self.on_appended(cx, then, result);
            // What waits must know of it.
            self.count_said(cx);
            self.append(cx, write);
        }
        self.run(cx);
    }

    /// Does what waits, until an append is open again.
    fn run(&mut self, cx: &mut Cx) {
        while self.open.is_none() {
            let write = if let Some(timer) = cx.take_deferred(&self.id) {
                self.expire(cx, &timer)
            } else if let Some(work) = self.inbox.pop_front() {
                self.perform(cx, work)
            } else {
                break;
            };
            // What comes next must know of it.
            self.count_said(cx);
            self.append(cx, write);
        }
    }

    /// Opens an append; commits that wait right behind a commit share it, as far as they are small together.
    fn append(&mut self, cx: &mut Cx, write: Option<Write>) {
        let Some(Write { mut records, then }) = write else {
            return;
        };
        let mut room = match then {
            Then::Committed(..) => SHARED_BYTES.saturating_sub(offsets::weight_of_records(&records)),
            _ => 0,
        };
        let mut thens = vec![then];
        while let Some(Work::CommitOffsets(_, request)) = self.inbox.front()
            && let Some(left) = room.checked_sub(offsets::weight_of_request(request))
        {
            room = left;
            let Some(work) = self.inbox.pop_front() else { break };
            if let Some(write) = self.perform(cx, work) {
                records.extend(write.records);
                thens.push(write.then);
            }
        }
        let token = cx.append(&self.id, self.partition, records.clone());
        self.open = Some(OpenAppend {
            token,
            records,
            then: thens,
        });
    }

    fn perform(&mut self, cx: &mut Cx, work: Work) -> Option<Write> {
        match work {
            Work::Join(token, client, request) => self.handle_join(cx, token, client, request),
            Work::Sync(token, request) => match &mut self.classic {
                Some(classic) => classic.handle_sync(cx, token, request),
                None => self.refuse(cx, Work::Sync(token, request), Refusal::UnknownMemberId),
            },
            Work::Leave(token, request) => match &mut self.classic {
                Some(classic) => classic.handle_leave(cx, token, request),
                None => self.refuse(cx, Work::Leave(token, request), Refusal::UnknownMemberId),
            },
            Work::CommitOffsets(token, request) => self.handle_commit_offsets(cx, token, request),
            Work::FetchOffsets(of, request) => {
                cx.answer_part(of, Part::Fetched(self.offsets.fetch(request)));
                None
            }
            Work::DeleteOffsets(token, request) => self.handle_delete_offsets(cx, token, request),
            Work::Delete(of) => self.handle_delete(cx, of),
            Work::ForgetTopics(topics) => self.forget_topics(&topics),
            Work::CleanUp => self.expire_offsets(cx),
        }
    }

    /// Answers the work with an error; there is nothing to write.
    pub(super) fn refuse(&self, cx: &mut Cx, work: Work, refusal: Refusal) -> Option<Write> {
        work.refuse(cx, &self.id, refusal);
        None
    }

    fn expire(&mut self, cx: &mut Cx, timer: &Timer) -> Option<Write> {
        let classic = self.classic.as_mut()?;
        match timer {
            Timer::Join(_) => classic.expire_join(cx),
            Timer::Sync(_) => classic.expire_sync(cx),
            Timer::Session(_, member_id) => classic.expire_session(cx, member_id),
            Timer::Retention => None,
        }
    }

    fn on_appended(&mut self, cx: &mut Cx, then: Then, result: Result<(), AppendFailure>) -> Option<Write> {
        let result = result.map_err(Refusal::from);
        let failed = |outcome: super::PartitionOutcome| (outcome.partition, outcome.outcome.and(result));
        match then {
            Then::Nothing => None,
            Then::Created => {
                if let Err(refusal) = result {
                    self.on_create_failed(cx, refusal);
                }
                None
            }
            Then::Assigned(assignments) => {
                self.classic
                    .as_mut()?
                    .on_assignment_stored(cx, assignments, result)
            }
            Then::Replaced(replacement) => {
                self.classic
                    .as_mut()?
                    .on_replacement_stored(cx, *replacement, result);
                None
            }
            Then::Committed(token, topics) => {
                cx.reply(token, GroupResponse::CommitOffsets(outcomes(topics, failed)));
                None
            }
            Then::OffsetsDeleted(token, topics) => {
                cx.reply(token, GroupResponse::DeleteOffsets(result.map(|()| topics)));
                None
            }
            Then::Deleted(of) => {
                let group_id = self.id.clone();
                cx.answer_part(
                    of,
                    Part::Deleted(DeletedGroup {
                        group_id,
                        outcome: result,
                    }),
                );
                None
            }
        }
    }

    // Kafka: a write that fails is reverted, and the new group with it; its joins get the error
    fn on_create_failed(&mut self, cx: &mut Cx, refusal: Refusal) {
        if let Some(classic) = self.classic.take() {
            classic.abandon(cx, refusal);
        }
        cx.disarm_group(&self.id);
        if !self.offsets.is_empty() {
            self.classic = Some(Classic::new(self.id.clone(), cx.wall_ms()));
        }
    }

    /// Replays one record: the only way in which durable state changes.
    // Kafka: GroupMetadataManager.replay, OffsetMetadataManager.replay
    pub(super) fn apply(&mut self, record: CoordinatorRecord) {
        match record {
            CoordinatorRecord::Offset {
                topic,
                partition,
                value: Some(value),
                ..
            } => self.offsets.insert(topic, partition, value),
            CoordinatorRecord::Offset { topic, partition, .. } => self.offsets.remove(&topic, partition),
            CoordinatorRecord::Group { value, .. } => {
                if value.is_none() {
                    self.classic = None;
                }
                self.stored = value;
            }
        }
    }

    /// The log was read to its end: the group lives again as it is stored.
    // Kafka: GroupMetadataManager.onLoaded
    pub(super) fn on_loaded(&mut self, cx: &mut Cx) {
        self.classic = match &self.stored {
            Some(stored) => Some(Classic::from_stored(self.id.clone(), stored)),
            None if self.offsets.is_empty() => None,
            None => Some(Classic::new(self.id.clone(), cx.wall_ms())),
        };
        if let Some(classic) = &mut self.classic {
            let write = classic.on_loaded(cx);
            self.append(cx, write);
        }
    }

    /// The group is forgotten; what waits gets NOT_COORDINATOR.
    // Kafka: GroupMetadataManager.onUnloaded
    pub(super) fn abandon(mut self, cx: &mut Cx) {
        cx.held.replace(self.counted, Held::default());
        let refusal = Refusal::NotCoordinator;
        if let Some(open) = self.open.take() {
            for then in open.then {
                self.on_unloaded(cx, then);
            }
        }
        for work in core::mem::take(&mut self.inbox) {
            work.refuse(cx, &self.id, refusal);
        }
        if let Some(classic) = self.classic.take() {
            classic.abandon(cx, refusal);
        }
        cx.disarm_group(&self.id);
    }

    fn on_unloaded(&mut self, cx: &mut Cx, then: Then) {
        let failure = Err(AppendFailure::NotLeader);
        match then {
            // Those who wait for it are answered with the rest of the group.
            Then::Nothing | Then::Created | Then::Assigned(_) => {}
            then => {
                // None of these writes again after a failure.
                let write = self.on_appended(cx, then, failure);
                debug_assert!(write.is_none());
            }
        }
    }
}
