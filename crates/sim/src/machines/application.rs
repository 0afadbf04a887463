//! What an application does with its consumer: it polls, processes, commits after processing, runs its listener, and tells the
//! ledger of all of it. It goes the way of the public consumer's `poll`, without tasks.

use core::time::Duration;

use kohort_engine::consumer::{
    CallbackKind, Change, Command, CommandError, CommitMode, Event, LeaveGroup, Position, SeekTo,
};
use kohort_engine::delivery::Due;
use kohort_groups::TopicPartition;
use kohort_machine::{Instant, Prng, Token};

use super::member::{Mail, Member};
use super::sink::{Brought, Reads, Refused, hand_out};
use super::tamper::Tamper;
use crate::ledger::Ledger;
use crate::logs::is_unreadable;
use crate::plan::{CommitStyle, PATIENCE};
use crate::story::Story;

/// Who waits this long between two polls does something else meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// Where an application is.
#[derive(Debug)]
pub(crate) enum State {
    /// It has just begun.
    Starting,
    /// It has records in hand, or does something else.
    Processing { until: Instant },
    /// It waits in a poll.
    Polling { deadline: Instant },
    /// Its listener runs inside of a poll or a close.
    Listening {
        step: u64,
        commit: Option<Token>,
        until: Instant,
        then: Then,
    },
    /// It waits for a commit.
    Committing { token: Token },
    /// It waits for the end of its consumer.
    Closing { token: Token },
    /// Its consumer is closed.
    Gone,
}

/// What goes on after the listener.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    Poll { deadline: Instant },
    Close { token: Token },
}

impl State {
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        match self {
            Self::Starting => Some(Instant::ZERO),
            Self::Processing { until }
            | Self::Listening {
                until, commit: None, ..
            } => Some(*until),
            Self::Polling { deadline } => Some(*deadline),
            Self::Listening { .. } | Self::Committing { .. } | Self::Closing { .. } | Self::Gone => None,
        }
    }
}

/// What an application reaches.
pub(crate) struct Around<'a> {
    pub(crate) now: Instant,
    pub(crate) prng: &'a mut Prng,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) story: &'a mut Story,
    pub(crate) tamper: &'a mut Tamper,
}

impl Member {
    /// Does what there is to do now.
    pub(crate) fn act(&mut self, cx: &mut Around<'_>) {
        // Each turn ends in another state, or has nothing to do.
        while self.turn(cx) {}
    }

    /// Whether something was done.
    fn turn(&mut self, cx: &mut Around<'_>) -> bool {
        match self.state {
            State::Starting => {
                let topics = self.topics.iter().cloned().collect();
                self.change(cx.now, Change::Subscribe { topics });
                self.begin_poll(cx);
                true
            }
            State::Processing { until } if until <= cx.now => {
                self.finish_processing(cx);
                true
            }
            State::Polling { deadline } => self.poll(cx, deadline),
            State::Listening {
                step,
                commit,
                until,
                then,
            } => self.listen(cx, step, commit, until, then),
            State::Committing { token } => match self.take_mail(cx, token) {
                Some(answer) => {
                    cx.story
                        .note(cx.now, || format!("m{} commit: {}", self.no, brief(&answer)));
                    self.after_commit(cx);
                    true
                }
                None => false,
            },
            State::Closing { token } => self.close(cx, token),
            State::Processing { .. } | State::Gone => false,
        }
    }

    /// Takes all mail in; the answer to `token`, if it is there.
    fn take_mail(&mut self, cx: &Around<'_>, token: Token) -> Option<Result<(), CommandError>> {
        self.is_woken = false;
        while let Some(mail) = self.mail.pop_front() {
            match mail {
                Mail::Told(told) => {
                    if let Some(due) = self.delivery.accept(cx.tamper.accept(told)) {
                        due.enqueue(&mut self.due);
                    }
                }
                Mail::Answer(answers, result) if answers == token => return Some(result.map(drop)),
                Mail::Answer(..) => {}
            }
        }
        None
    }

    fn begin_poll(&mut self, cx: &mut Around<'_>) {
        self.polls += 1;
        self.is_inside = true;
        if cx.now.saturating_since(self.polled_at) > PAUSE {
            cx.ledger.was_busy(cx.now, self.no);
        }
        let deadline = cx.now + Duration::from_millis(50 + cx.prng.below(800));
        self.state = State::Polling { deadline };
    }

    fn end_poll(&mut self, now: Instant, until: Instant) {
        self.polls += 1;
        self.is_inside = false;
        self.polled_at = now;
        self.state = State::Processing { until };
    }

    fn poll(&mut self, cx: &mut Around<'_>, deadline: Instant) -> bool {
        self.take_mail(cx, Token(u64::MAX));
        if let Some(due) = self.due.pop_front() {
            self.do_due(cx, due, Then::Poll { deadline });
            return true;
        }
        let brought = match cx.tamper.holds_back(self) {
            true => Ok(Brought::default()),
            false => hand_out(
                &mut self.delivery,
                cx.prng,
                self.max_poll_records,
                self.is_picky,
                self.is_calm,
                cx.tamper.loses_what_was_decoded(),
            ),
        };
        match brought {
            Ok(brought) => {
                if let Some(seeks) = brought.taken_back {
                    cx.story.note(cx.now, || format!("** m{}'s sink panics", self.no));
                    cx.ledger.was_busy(cx.now, self.no);
                    self.change(cx.now, Change::Seek(seeks));
                    self.end_poll(cx.now, cx.now + PAUSE);
                    return true;
                }
                if let Some(progress) = self.delivery.progress() {
                    cx.tamper.progress(self, cx.now, progress);
                }
                if !brought.reads.is_empty() {
                    self.receive(cx, brought.reads);
                    return true;
                }
                if let Some(refused) = brought.refused {
                    self.refuse(cx, &refused);
                    return true;
                }
                if brought.is_declined {
                    cx.ledger.was_busy(cx.now, self.no);
                    self.end_poll(cx.now, cx.now + PAUSE);
                    return true;
                }
            }
            Err(error) => {
                cx.story.note(cx.now, || format!("m{} poll: {error}", self.no));
                self.end_poll(cx.now, cx.now + PAUSE);
                return true;
            }
        }
        if deadline <= cx.now || self.wants_to_close || self.subscribe_next.is_some() {
            cx.ledger.waited(cx.now, self.no);
            // Now and then it has something else to do for longer.
            let most = match !self.is_calm && cx.prng.chance(1, 6) {
                true => 800,
                false => 60,
            };
            let pause = cx.now + Duration::from_millis(cx.prng.below(most));
            self.end_poll(cx.now, pause);
            return true;
        }
        false
    }

    /// Records are in hand.
    fn receive(&mut self, cx: &mut Around<'_>, reads: Vec<Reads>) {
        cx.ledger.waited(cx.now, self.no);
        cx.ledger.was_busy(cx.now, self.no);
        let mut skips = cx.tamper.skips_a_record(cx.prng);
        for Reads {
            partition,
            records,
            next,
        } in reads
        {
            let mut from = None;
            for (offset, id) in records {
                if core::mem::take(&mut skips) {
                    continue;
                }
                from.get_or_insert(offset);
                cx.ledger.handed_out(self.no, &partition, offset, id);
            }
            if let Some(from) = from {
                cx.story.note(cx.now, || {
                    format!("m{} reads {partition} {from}..{next}", self.no)
                });
                self.in_hand.push((partition, from, next));
            }
        }
        let takes = match (self.slow.take(), self.is_calm) {
            (Some(slow), _) => slow,
            (None, true) => Duration::from_millis(cx.prng.below(20)),
            (None, false) => Duration::from_millis(cx.prng.below(120)),
        };
        self.end_poll(cx.now, cx.now + takes);
    }

    /// A record is not taken: it is tried again, or passed over as if it were processed.
    fn refuse(&mut self, cx: &mut Around<'_>, refused: &Refused) {
        let Refused {
            partition,
            offset,
            id,
        } = refused;
        cx.story.note(cx.now, || {
            format!("m{} cannot take {partition}@{offset}", self.no)
        });
        cx.ledger.was_busy(cx.now, self.no);
        cx.ledger.refused(self.no, partition, *offset, *id);
        self.end_poll(cx.now, cx.now + Duration::from_millis(cx.prng.below(60)));
        let is_forgotten = cx.tamper.passes_over_failures();
        let is_known = is_unreadable(*id) && (self.is_calm || cx.prng.chance(1, 2));
        if !is_forgotten && !is_known && !cx.prng.chance(1, 8) {
            return;
        }
        let to = SeekTo::Position(Position::new(offset + 1));
        if let Ok(seek) = self.delivery.seek(partition, to) {
            cx.story.note(cx.now, || {
                format!("m{} passes over {partition}@{offset}", self.no)
            });
            self.change(cx.now, Change::Seek(vec![seek]));
            if !is_forgotten {
                cx.ledger.processed(partition, *offset, offset + 1);
                cx.ledger.sought(cx.now, self.no, partition, offset + 1);
            }
        }
    }

    /// Between two polls.
    pub(super) fn after_commit(&mut self, cx: &mut Around<'_>) {
        if self.wants_to_close {
            cx.story.note(cx.now, || format!("m{} closes", self.no));
            let leave = LeaveGroup::Default;
            let timeout = PATIENCE;
            let token = self.command(cx.now, Command::Close { timeout, leave });
            self.state = State::Closing { token };
            return;
        }
        if let Some(topics) = self.subscribe_next.take() {
            cx.story
                .note(cx.now, || format!("m{} subscribes to {topics:?}", self.no));
            self.topics.clone_from(&topics);
            let topics = topics.into_iter().collect();
            self.change(cx.now, Change::Subscribe { topics });
        }
        self.wander(cx);
        self.begin_poll(cx);
    }

    /// Pauses, resumes, jumps back.
    fn wander(&mut self, cx: &mut Around<'_>) {
        let paused: Vec<TopicPartition> = self.delivery.paused().map(|it| (**it).clone()).collect();
        for partition in paused {
            if (self.is_calm || cx.prng.chance(1, 6))
                && let Ok(slot) = self.delivery.resume(&partition)
            {
                cx.ledger.goes_on(cx.now, self.no, &partition);
                self.change(cx.now, Change::Resume(vec![slot]));
            }
        }
        if self.is_calm || !cx.prng.chance(1, 25) {
            return;
        }
        // An assignment may be known before the next poll has told the listener; where reading begins is looked at from there.
        let assigned = self.delivery.assignment().map(|it| (**it).clone());
        let mine: Vec<TopicPartition> = assigned
            .filter(|it| cx.ledger.holds(self.no).any(|held| held == it))
            .collect();
        let chosen = usize::try_from(cx.prng.below(mine.len() as u64)).unwrap_or(0);
        let Some(partition) = mine.get(chosen) else { return };
        if cx.prng.chance(1, 2) {
            if let Ok(slot) = self.delivery.pause(partition) {
                cx.ledger.stops(self.no, [partition]);
                self.change(cx.now, Change::Pause(vec![slot]));
            }
        } else if let Ok(Some(position)) = self.delivery.position(partition) {
            let back = cx.prng.below(12).min(u64::try_from(position.offset).unwrap_or(0));
            let offset = position.offset - i64::try_from(back).unwrap_or(0);
            let to = SeekTo::Position(Position::new(offset));
            if let Ok(seek) = self.delivery.seek(partition, to) {
                cx.story
                    .note(cx.now, || format!("m{} seeks {partition} to {offset}", self.no));
                cx.ledger.sought(cx.now, self.no, partition, offset);
                cx.tamper.sought(seek);
                self.change(cx.now, Change::Seek(vec![seek]));
            }
        }
    }

    /// Does one thing that is due inside of a poll or a close.
    fn do_due(&mut self, cx: &mut Around<'_>, due: Due, then: Then) {
        match due {
            Due::Fail(error) => {
                cx.story.note(cx.now, || format!("m{} fails: {error}", self.no));
                if error.is_fatal() {
                    // The process ends, and whoever watches it starts another.
                    self.state = State::Gone;
                } else if let Then::Poll { .. } = then {
                    let again = cx.now + Duration::from_millis(cx.prng.below(200));
                    self.end_poll(cx.now, again);
                }
            }
            Due::BecameLost { .. } => {}
            Due::Report { step } => {
                let progress = self.delivery.report(Some(step));
                cx.tamper.progress(self, cx.now, progress);
            }
            Due::Callback {
                step,
                kind,
                partitions,
            } => self.call_listener(cx, step, kind, &partitions, then),
        }
    }

    fn call_listener(
        &mut self,
        cx: &mut Around<'_>,
        step: u64,
        kind: CallbackKind,
        partitions: &[TopicPartition],
        then: Then,
    ) {
        let names = |partitions: &[TopicPartition]| {
            let names: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            names.join(" ")
        };
        let generation = self.generations.remove(&step).flatten();
        cx.story.note(cx.now, || {
            format!("m{} {kind:?} {} in {generation:?}", self.no, names(partitions))
        });
        let mut commit = None;
        match kind {
            CallbackKind::Assigned => cx.ledger.assigned(cx.now, self.no, generation, partitions),
            CallbackKind::Revoked | CallbackKind::Lost => {
                if kind == CallbackKind::Revoked && self.commits != CommitStyle::Auto && cx.prng.chance(1, 2)
                {
                    let offsets = self.delivery.consumed();
                    let mode = CommitMode::Sync { timeout: PATIENCE };
                    commit = Some(self.command(cx.now, Command::Commit { offsets, mode }));
                }
                cx.ledger.given_up(cx.now, self.no, partitions);
                self.giving_up = partitions.to_vec();
            }
        }
        self.polls += 1;
        self.is_inside = false;
        let takes = match self.is_calm {
            true => 0,
            false => cx.prng.below(60),
        };
        self.state = State::Listening {
            step,
            commit,
            until: cx.now + Duration::from_millis(takes),
            then,
        };
    }

    fn listen(
        &mut self,
        cx: &mut Around<'_>,
        step: u64,
        commit: Option<Token>,
        until: Instant,
        then: Then,
    ) -> bool {
        match commit {
            Some(token) => match self.take_mail(cx, token) {
                Some(answer) => cx.story.note(cx.now, || {
                    format!("m{} commit in listener: {}", self.no, brief(&answer))
                }),
                None => return false,
            },
            None if until > cx.now => return false,
            None => {}
        }
        cx.ledger.was_busy(cx.now, self.no);
        self.state = match then {
            Then::Poll { deadline } => {
                self.is_inside = true;
                // Now and then the poll is over with that.
                let is_over = !self.is_calm && cx.prng.chance(1, 4);
                let deadline = if is_over { cx.now } else { deadline };
                State::Polling { deadline }
            }
            Then::Close { token } => State::Closing { token },
        };
        cx.tamper
            .give_up(&mut self.delivery, &core::mem::take(&mut self.giving_up));
        self.tell(cx.now, Event::ListenerDone { step });
        true
    }

    fn close(&mut self, cx: &mut Around<'_>, token: Token) -> bool {
        if let Some(answer) = self.take_mail(cx, token) {
            cx.story
                .note(cx.now, || format!("m{} closed: {}", self.no, brief(&answer)));
            self.state = State::Gone;
            return true;
        }
        match self.due.pop_front() {
            Some(due) => {
                self.do_due(cx, due, Then::Close { token });
                true
            }
            None => false,
        }
    }

    /// Answers a report although the application is not in a poll: the mutant that skips the guard of commits.
    pub(super) fn report_too_early(&mut self, now: Instant, step: u64) {
        let progress = self.delivery.report(Some(step));
        self.tell(now, Event::Progress(Box::new(progress)));
    }
}

fn brief(answer: &Result<(), CommandError>) -> String {
    match answer {
        Ok(()) => "done".to_owned(),
        Err(error) => error.to_string(),
    }
}
