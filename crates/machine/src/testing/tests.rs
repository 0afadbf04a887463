//! The harness catches what it promises to catch.

use std::vec;

use super::*;
use crate::{Outbox, Timers};

#[derive(Debug, Clone, PartialEq)]
enum Event {
    /// Ask the question with this token.
    Ask(Token),
    /// The question with this token is answered.
    Answer(Token),
    /// Ask the question with this token after so many milliseconds.
    AskLater(Token, u64),
}

#[derive(Debug, Clone, PartialEq)]
struct Question(Token);

impl Correlated for Event {
    fn closes(&self) -> Option<Token> {
        match self {
            Self::Answer(token) => Some(*token),
            _ => None,
        }
    }
}

impl Correlated for Question {
    fn opens(&self) -> Option<Token> {
        Some(self.0)
    }
}

/// Asks what it is told to; `flaw` says what it does wrong.
#[derive(Debug, Default)]
struct Asker {
    outbox: Outbox<Question>,
    timers: Timers<Token>,
    flaw: Flaw,
}

#[derive(Debug, Default, PartialEq)]
enum Flaw {
    #[default]
    None,
    /// Leaves a timer armed that fired.
    KeepsTimer,
    /// Asks although no timer is due.
    AsksUnasked,
    /// Asks with another token.
    Differs,
}

impl Machine for Asker {
    type Event = Event;
    type Action = Question;

    fn handle(&mut self, now: Instant, event: Event) {
        match event {
            Event::Ask(Token(number)) if self.flaw == Flaw::Differs => {
                self.outbox.push(Question(Token(number + 1)));
            }
            Event::Ask(token) => self.outbox.push(Question(token)),
            Event::Answer(_) => {}
            Event::AskLater(token, millis) => self.timers.set(token, now + Duration::from_millis(millis)),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self.flaw {
            Flaw::KeepsTimer => {}
            Flaw::AsksUnasked => self.outbox.push(Question(Token(99))),
            Flaw::None | Flaw::Differs => {
                while let Some(token) = self.timers.pop_due(now) {
                    self.outbox.push(Question(token));
                }
            }
        }
    }

    fn poll_action(&mut self) -> Option<Question> {
        self.outbox.pop()
    }

    fn next_deadline(&self) -> Option<Deadline> {
        self.timers.next_deadline(|_| "ask")
    }
}

fn harness(flaw: Flaw) -> Harness<Asker> {
    Harness::new(Asker {
        flaw,
        ..Asker::default()
    })
}

#[test]
fn timers_fire_at_their_own_times_and_questions_are_open_until_they_are_answered() {
    let mut harness = harness(Flaw::None);
    harness.step(Event::AskLater(Token(2), 20));
    harness.step(Event::AskLater(Token(1), 10));
    let asked = harness.advance(Duration::from_millis(50));
    assert_eq!(asked, [Question(Token(1)), Question(Token(2))]);
    assert_eq!(harness.now(), Instant::from_millis(50));
    let turns: Vec<_> = harness.record().iter().map(|turn| turn.at.as_millis()).collect();
    assert_eq!(turns, [0, 0, 10, 20]);
    harness.step(Event::Answer(Token(1)));
    assert_eq!(harness.open_tokens(), [Token(2)]);
}

#[test]
fn the_clock_goes_to_the_next_deadline_and_no_further() {
    let mut harness = harness(Flaw::None);
    assert_eq!(harness.advance_to_deadline(), None);
    harness.step(Event::AskLater(Token(1), 10));
    assert_eq!(
        harness.advance_to_deadline(),
        Some(("ask", vec![Question(Token(1))]))
    );
    assert_eq!(harness.now(), Instant::from_millis(10));
}

#[test]
fn a_run_is_replayed() {
    let mut harness = harness(Flaw::None);
    harness.step(Event::Ask(Token(1)));
    harness.step(Event::AskLater(Token(2), 10));
    harness.advance(Duration::from_millis(10));
    replay(Asker::default(), harness.record());
}

#[test]
#[should_panic(expected = "turn 0 at 0.000000ms differs")]
fn a_replay_that_differs_is_caught() {
    let mut harness = harness(Flaw::None);
    harness.step(Event::Ask(Token(1)));
    let flaw = Flaw::Differs;
    replay(
        Asker {
            flaw,
            ..Asker::default()
        },
        harness.record(),
    );
}

#[test]
#[should_panic(expected = "was asked twice")]
fn a_question_that_is_asked_again_before_its_answer_is_caught() {
    let mut harness = harness(Flaw::None);
    harness.step(Event::Ask(Token(1)));
    harness.step(Event::Ask(Token(1)));
}

#[test]
#[should_panic(expected = "which is not open")]
fn a_second_answer_is_caught() {
    let mut harness = harness(Flaw::None);
    harness.step(Event::Ask(Token(1)));
    harness.step(Event::Answer(Token(1)));
    harness.step(Event::Answer(Token(1)));
}

#[test]
#[should_panic(expected = "a spurious time-out did something")]
fn a_machine_that_acts_without_a_timer_is_caught() {
    harness(Flaw::AsksUnasked).advance(Duration::from_millis(1));
}

#[test]
#[should_panic(expected = "stays due")]
fn a_timer_that_stays_due_is_caught() {
    let mut harness = harness(Flaw::KeepsTimer);
    harness.step(Event::AskLater(Token(1), 1));
    harness.advance(Duration::from_millis(1));
}
