//! What the listener is asked for: giving partitions up, and taking an assignment. In between nothing of them is handed out.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use kohort_groups::TopicPartition;
use kohort_groups::member::{Assigned, Event as MemberEvent};
use kohort_machine::{Instant, Token};

use crate::consumer::asks::Ask;
use crate::consumer::jobs::JobOwner;
use crate::consumer::{CallbackKind, CommandError, CommitMode, ConsumerEngine, SlotId, ToCaller};

/// One call of the listener.
#[derive(Debug)]
pub(super) struct Listening {
    step: Token,
    kind: CallbackKind,
    partitions: Vec<TopicPartition>,
    slots: Vec<SlotId>,
}

impl ConsumerEngine {
    /// What is about to be revoked is lost once the member is out of its generation.
    pub(super) fn look_for_loss(&mut self) {
        let Some(membership) = &mut self.membership else {
            return;
        };
        let is_out = membership.member.generation().is_none();
        if let Some(listening) = &mut membership.listening
            && listening.kind == CallbackKind::Revoked
            && is_out
        {
            listening.kind = CallbackKind::Lost;
            self.listener_became_lost();
        }
    }

    /// The member gives partitions up: revoked or lost.
    pub(super) fn give_up(&mut self, step: Token, kind: CallbackKind, partitions: Vec<TopicPartition>) {
        let gone: BTreeSet<&TopicPartition> = partitions.iter().collect();
        let slots = self
            .partitions
            .iter()
            .filter(|(_, assigned)| gone.contains(&*assigned.partition));
        let slots: Vec<SlotId> = slots.map(|(slot, _)| slot).collect();
        for slot in &slots {
            if let Some(assigned) = self.partitions.get_mut(*slot) {
                assigned.suspended = true;
            }
        }
        if !slots.is_empty() {
            self.tell(ToCaller::Suspended(slots.clone()));
        }
        let commits = kind == CallbackKind::Revoked && self.is_auto_commit() && !slots.is_empty();
        let Some(membership) = &mut self.membership else {
            return;
        };
        let commits = commits && membership.commits_on_leave;
        membership.listening = Some(Listening {
            step,
            kind,
            partitions,
            slots,
        });
        if commits && self.closing.is_none() {
            self.ask_report(Ask::BeforeRevoke);
        } else {
            self.call_after_commit();
        }
    }

    // Kafka: ConsumerCoordinator.onJoinPrepare, maybeAutoCommitOffsetsAsync
    pub(in crate::consumer) fn commit_before_revoke(&mut self, now: Instant) {
        let Some(membership) = &self.membership else {
            return;
        };
        // The caller may have unsubscribed meanwhile, or be gone.
        if !membership.commits_on_leave || !self.is_auto_commit() {
            return self.call_after_commit();
        }
        let timeout = membership.polls.interval;
        let slots = membership.listening.as_ref().map(|it| it.slots.clone());
        let mode = CommitMode::Sync { timeout };
        // Of these only: what stays goes on being consumed, and a late attempt must not take a newer commit of it back.
        self.commit_consumed(now, JobOwner::BeforeRevoke, slots.as_deref(), mode, timeout);
    }

    /// Runs the listener for what is being given up.
    pub(in crate::consumer) fn call_after_commit(&mut self) {
        let listening = self.membership.as_ref().and_then(|it| it.listening.as_ref());
        if let Some((kind, partitions)) = listening.map(|it| (it.kind, it.partitions.clone())) {
            self.ask_listener(kind, partitions);
        }
    }

    /// The member takes an assignment.
    pub(super) fn take(&mut self, now: Instant, step: Token, assignment: Assigned) {
        let known: BTreeSet<TopicPartition> = self
            .partitions
            .iter()
            .map(|(_, assigned)| TopicPartition::clone(&assigned.partition))
            .collect();
        let mut added = Vec::new();
        for partition in assignment
            .all
            .into_iter()
            .filter(|partition| !known.contains(partition))
        {
            added.push(self.partitions.add_of_group(partition));
        }
        let slots = added.iter().map(|(slot, _)| *slot).collect();
        if !added.is_empty() {
            let removed = Vec::new();
            self.tell(ToCaller::Partitions { removed, added });
        }
        if let Some(membership) = &mut self.membership {
            membership.listening = Some(Listening {
                step,
                kind: CallbackKind::Assigned,
                partitions: assignment.added.clone(),
                slots,
            });
        }
        self.check_assigned(now, &assignment.added);
        self.track_topics(now);
        self.ask_listener(CallbackKind::Assigned, assignment.added);
    }

    /// The listener ran: what it gave up is gone, what it took is fetched.
    pub(in crate::consumer) fn on_listener_done(&mut self, now: Instant) {
        let Some(Listening {
            step, kind, slots, ..
        }) = self.membership.as_mut().and_then(|it| it.listening.take())
        else {
            return;
        };
        let event = match kind {
            CallbackKind::Assigned => {
                for slot in slots {
                    if let Some(assigned) = self.partitions.get_mut(slot) {
                        assigned.untaken = false;
                    }
                }
                self.start_auto_commit(now);
                MemberEvent::Assigned { step }
            }
            CallbackKind::Revoked | CallbackKind::Lost => {
                self.remove_slots(now, slots);
                match kind {
                    CallbackKind::Revoked => MemberEvent::Revoked { step },
                    _ => MemberEvent::Lost { step },
                }
            }
        };
        self.member_event(now, event);
        self.track_topics(now);
    }

    /// Takes partitions out of the table, on both sides.
    pub(in crate::consumer) fn remove_slots(&mut self, now: Instant, slots: Vec<SlotId>) {
        if slots.is_empty() {
            return;
        }
        for slot in &slots {
            self.partitions.remove(*slot);
            self.fail_position_jobs(now, *slot, &CommandError::NotAssigned);
        }
        let added = Vec::new();
        self.tell(ToCaller::Partitions {
            removed: slots,
            added,
        });
    }
}
