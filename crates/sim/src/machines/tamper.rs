//! Where the mutants are put in: between machines, on what they say to each other. Without a mutant everything passes as it is.

use std::collections::BTreeMap;

use bytes::Bytes;
use kohort_engine::consumer::{CallbackKind, Event, FetchEpoch, Progress, Seek, SlotId, ToCaller};
use kohort_engine::delivery::Delivery;
use kohort_groups::TopicPartition;
use kohort_groups::wire::consumer_protocol::{decode_assignment, encode_assignment};
use kohort_machine::{Instant, Prng};
use kohort_node::ConnId;
use kohort_protocol::{ApiKey, ErrorCode, RequestBody, ResponseBody};

use super::member::Member;
use super::network::Client;
use crate::ledger::Ledger;
use crate::mutants::Mutant;

/// The mutant, and what it has to remember.
#[derive(Debug)]
pub(crate) struct Tamper {
    pub(crate) mutant: Option<Mutant>,
    prng: Prng,
    /// The generation that the coordinator told last.
    generation: i32,
    /// Where positions jumped to.
    epochs: BTreeMap<SlotId, FetchEpoch>,
    /// The last answer to each member, by API, and on which connection it came.
    answers: BTreeMap<(Client, ApiKey), (ConnId, ResponseBody)>,
}

impl Tamper {
    pub(crate) fn new(mutant: Option<Mutant>, seed: u64) -> Self {
        Self {
            mutant,
            prng: Prng::from_seed(seed),
            generation: 0,
            epochs: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// What the engine tells the caller's side; `None` when it is kept from it.
    pub(super) fn told(&self, now: Instant, member: &mut Member, told: ToCaller) -> Option<ToCaller> {
        match (self.mutant, told) {
            (Some(Mutant::RevocationSkipped | Mutant::HandOutAfterRevoke), ToCaller::Suspended(_)) => None,
            (
                Some(Mutant::RevocationSkipped),
                ToCaller::Callback {
                    step,
                    kind: CallbackKind::Revoked,
                    ..
                },
            ) => {
                member.tell(now, Event::ListenerDone { step });
                None
            }
            (Some(Mutant::HandOutAfterRevoke), ToCaller::Partitions { added, .. }) => {
                Some(ToCaller::Partitions {
                    removed: Vec::new(),
                    added,
                })
            }
            (Some(Mutant::CommitGuardSkipped), ToCaller::ProgressWanted { step }) if !member.is_polling() => {
                member.report_too_early(now, step);
                None
            }
            (_, told) => Some(told),
        }
    }

    /// The listener has given up.
    pub(super) fn give_up(&self, delivery: &mut Delivery, partitions: &[TopicPartition]) {
        if !self.is(Mutant::HandOutAfterRevoke) && !self.is(Mutant::RevokedStaysConsumed) {
            delivery.give_up(partitions);
        }
    }

    /// What the caller's side takes in.
    pub(super) fn accept(&self, told: ToCaller) -> ToCaller {
        match told {
            ToCaller::Batches(mut fetched) if self.is(Mutant::StaleFetchAccepted) => {
                for batches in &mut fetched {
                    if let Some(epoch) = self.epochs.get(&batches.slot) {
                        batches.epoch = batches.epoch.max(*epoch);
                    }
                }
                ToCaller::Batches(fetched)
            }
            told => told,
        }
    }

    /// What the caller's side reports.
    pub(super) fn progress(&self, member: &mut Member, now: Instant, mut progress: Progress) {
        if self.is(Mutant::ProgressNotReported) {
            for position in &mut progress.positions {
                position.freed = 0;
            }
        }
        member.tell(now, Event::Progress(Box::new(progress)));
    }

    /// Whether the caller's side keeps what was fetched to itself.
    pub(super) fn holds_back(&self, member: &Member) -> bool {
        let is_stable = member.engine.member().is_none_or(|it| it.is_stable());
        self.is(Mutant::RetainedIsPaused) && !is_stable
    }

    pub(super) fn sought(&mut self, seek: Seek) {
        self.epochs.insert(seek.slot, seek.epoch);
    }

    pub(super) fn skips_a_record(&self, prng: &mut Prng) -> bool {
        self.is(Mutant::PositionBeforeDelivery) && prng.chance(1, 40)
    }

    /// Whether requests of this API have to be read.
    pub(crate) fn reads_request(&self, api: ApiKey) -> bool {
        // The ledger wants to know of each commit.
        let is_tampered_with = match self.mutant {
            Some(Mutant::GenerationFenceSkipped | Mutant::EpochNotBumped) => {
                matches!(api, ApiKey::Heartbeat | ApiKey::SyncGroup)
            }
            Some(Mutant::SessionTimerNotArmed) => api == ApiKey::JoinGroup,
            Some(Mutant::SharedTwice) => api == ApiKey::SyncGroup,
            _ => false,
        };
        is_tampered_with || api == ApiKey::OffsetCommit
    }

    /// What the broker is given.
    pub(crate) fn request(&self, ledger: &Ledger, mut body: RequestBody) -> RequestBody {
        match self.mutant {
            Some(Mutant::GenerationFenceSkipped) => {
                if let Some((member, generation)) = identity_of(&mut body)
                    && *generation >= 0
                    && ledger.is_member(member)
                {
                    *generation = (*generation).max(ledger.generation());
                }
            }
            Some(Mutant::EpochNotBumped) => {
                if let Some((_, generation)) = identity_of(&mut body)
                    && *generation >= 0
                {
                    *generation = self.generation;
                }
            }
            Some(Mutant::CommitOfOldMember) => {
                if let RequestBody::OffsetCommit(commit) = &mut body
                    && !ledger.is_member(&commit.member_id)
                    && let Some(member) = ledger.some_member()
                {
                    commit.member_id = member.to_string();
                    commit.group_instance_id = None;
                    commit.generation_id_or_member_epoch = ledger.generation();
                }
            }
            Some(Mutant::SessionTimerNotArmed) => {
                if let RequestBody::JoinGroup(join) = &mut body {
                    join.session_timeout_ms = 1_800_000;
                }
            }
            Some(Mutant::SharedTwice) => share_twice(&mut body),
            _ => {}
        }
        body
    }

    /// Whether replies of this API have to be read.
    pub(crate) fn reads_reply(&self, api: ApiKey) -> bool {
        match self.mutant {
            Some(Mutant::HeartbeatOfOldGeneration | Mutant::RebalanceWithoutCause) => {
                api == ApiKey::Heartbeat
            }
            Some(Mutant::EpochNotBumped) => api == ApiKey::JoinGroup,
            Some(Mutant::CommittedPlusOne | Mutant::CommittedForgotten) => api == ApiKey::OffsetFetch,
            Some(Mutant::OldConnectionBelieved) => !matches!(api, ApiKey::ApiVersions | ApiKey::Metadata),
            _ => false,
        }
    }

    /// What the client gets.
    pub(crate) fn reply(
        &mut self,
        client: Client,
        conn: ConnId,
        api: ApiKey,
        mut body: ResponseBody,
    ) -> ResponseBody {
        if self.is(Mutant::OldConnectionBelieved) {
            return self.repeat(client, conn, api, body);
        }
        match (self.mutant, &mut body) {
            (Some(Mutant::HeartbeatOfOldGeneration), ResponseBody::Heartbeat(heartbeat)) => {
                heartbeat.error_code = 0;
            }
            (Some(Mutant::RebalanceWithoutCause), ResponseBody::Heartbeat(heartbeat))
                if self.prng.chance(1, 25) =>
            {
                heartbeat.error_code = ErrorCode::RebalanceInProgress.code();
            }
            (Some(Mutant::EpochNotBumped), ResponseBody::JoinGroup(join)) if join.generation_id >= 0 => {
                self.generation = join.generation_id;
                join.generation_id = 1;
            }
            (Some(mutant), ResponseBody::OffsetFetch(fetch)) => {
                let groups = fetch.groups.iter_mut().flat_map(|group| &mut group.topics);
                for partition in groups.flat_map(|topic| &mut topic.partitions) {
                    match mutant {
                        Mutant::CommittedPlusOne if partition.committed_offset >= 0 => {
                            partition.committed_offset += 1
                        }
                        Mutant::CommittedForgotten => partition.committed_offset = -1,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        body
    }

    /// The first answer of a new connection is the last one of the connection before.
    fn repeat(&mut self, client: Client, conn: ConnId, api: ApiKey, body: ResponseBody) -> ResponseBody {
        match self.answers.insert((client, api), (conn, body.clone())) {
            Some((before, old)) if before != conn => old,
            _ => body,
        }
    }
}

fn identity_of(body: &mut RequestBody) -> Option<(&str, &mut i32)> {
    match body {
        RequestBody::OffsetCommit(it) => Some((it.member_id.as_str(), &mut it.generation_id_or_member_epoch)),
        RequestBody::Heartbeat(it) => Some((it.member_id.as_str(), &mut it.generation_id)),
        RequestBody::SyncGroup(it) => Some((it.member_id.as_str(), &mut it.generation_id)),
        _ => None,
    }
}

fn share_twice(body: &mut RequestBody) {
    let RequestBody::SyncGroup(sync) = body else {
        return;
    };
    let decode = |bytes: &Bytes| decode_assignment(bytes.clone()).ok();
    let first = sync
        .assignments
        .iter()
        .find_map(|it| decode(&it.assignment)?.partitions.first().cloned());
    let Some(first) = first else { return };
    for share in &mut sync.assignments {
        if let Some(mut assignment) = decode(&share.assignment)
            && !assignment.partitions.contains(&first)
        {
            assignment.partitions.push(first.clone());
            if let Ok(bytes) = encode_assignment(&assignment) {
                share.assignment = bytes;
            }
        }
    }
}
