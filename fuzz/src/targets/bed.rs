//! What the targets of the client's engines share: an engine, the far end of its connections, and the time. The far end
//! answers anything: good answers changed at will, answers to other questions, wrong correlation ids, silence, connections
//! that end. What an engine says to its caller, and what the caller does, lives in each target.
//!
//! Held for every engine: no event makes more than so many actions, time-outs at one instant come to an end, and every request
//! can be read.

use std::collections::VecDeque;

use bytes::Bytes;
use kohort_engine::client::{ClientConfig, LinkId, NetAction, NetEvent, NetMachine};
use kohort_machine::Instant;
use kohort_protocol::frame::{decode_request, peek_request};

use super::ops::Op;
use super::samples::seal;

const MOST_ACTIONS: usize = 2000;
const MOST_STEPS: usize = 20_000;
const LONGEST_PAUSE: u64 = 12_000;

/// Answers a waiting request with the payload as body, under the right correlation id.
pub(super) const ANSWER: u8 = 0;
/// Answers with the payload as the whole frame.
const RAW: u8 = 1;
/// Ends the connection of a waiting request.
const DISCONNECT: u8 = 2;
pub(super) const ADVANCE: u8 = 3;
/// As `ANSWER`, but lengths and checksums of record batches in it are made right.
pub(super) const SEALED: u8 = 6;
/// Ends all connections and refuses the next ones.
const OUTAGE: u8 = 7;

/// Who uses an engine.
pub(super) trait Caller: Sized {
    type Engine: NetMachine;

    /// Takes what is not for the network; what is done about it at once, if anything.
    fn hear(&mut self, action: Action<Self>) -> Option<Event<Self>>;
}

type Action<C> = <<C as Caller>::Engine as kohort_machine::Machine>::Action;
type Event<C> = <<C as Caller>::Engine as kohort_machine::Machine>::Event;

/// A request without an answer.
pub(super) struct Waiting {
    pub(super) link: LinkId,
    correlation_id: i32,
    pub(super) request: Bytes,
}

/// An engine, its caller, and the far end.
pub(super) struct Bed<C: Caller> {
    pub(super) engine: C::Engine,
    pub(super) caller: C,
    pub(super) waiting: Vec<Waiting>,
    now: Instant,
    links: Vec<LinkId>,
    /// How many connections are still to be refused.
    refused: u32,
}

/// The settings of every engine's connections: backoffs are long, so that little time is spent on trying again.
pub(super) fn client() -> ClientConfig {
    let mut client = ClientConfig::new([("localhost".into(), 9092)]);
    client.client_id = "fuzz".into();
    client.reconnect_backoff = std::time::Duration::from_secs(1);
    client.reconnect_backoff_max = std::time::Duration::from_secs(10);
    client
}

impl<C: Caller> Bed<C> {
    pub(super) fn new(engine: C::Engine, caller: C) -> Self {
        Self {
            engine,
            caller,
            waiting: Vec::new(),
            now: Instant::ZERO,
            links: Vec::new(),
            refused: 0,
        }
    }

    pub(super) fn event(&mut self, event: Event<C>) {
        use kohort_machine::Machine;
        let mut events = VecDeque::from([event]);
        let mut actions = 0;
        while let Some(event) = events.pop_front() {
            self.engine.handle(self.now, event);
            self.drain(&mut events, &mut actions);
        }
    }

    fn drain(&mut self, events: &mut VecDeque<Event<C>>, actions: &mut usize) {
        use kohort_machine::Machine;
        while let Some(action) = self.engine.poll_action() {
            *actions += 1;
            assert!(
                *actions <= MOST_ACTIONS,
                "one event causes more than {MOST_ACTIONS} actions"
            );
            let event = match C::Engine::split(action) {
                Ok(action) => self.net(action).map(C::Engine::net),
                Err(action) => self.caller.hear(action),
            };
            events.extend(event);
        }
    }

    fn net(&mut self, action: NetAction) -> Option<NetEvent> {
        match action {
            NetAction::Connect { link, .. } if self.refused > 0 => {
                self.refused -= 1;
                let reason = "refused".into();
                return Some(NetEvent::ConnectFailed { link, reason });
            }
            NetAction::Connect { link, .. } => {
                self.links.push(link);
                return Some(NetEvent::Connected { link });
            }
            NetAction::Send { link, segments } => {
                let request = Bytes::from(segments.concat()).slice(4..);
                let peeked = peek_request(&request).expect("requests have headers");
                assert!(decode_request(request.clone()).is_ok(), "requests can be read");
                self.waiting.push(Waiting {
                    link,
                    correlation_id: peeked.correlation_id,
                    request,
                });
            }
            NetAction::Disconnect { link } => self.forget(link),
            NetAction::Warn { message } => assert!(!message.is_empty()),
        }
        None
    }

    fn forget(&mut self, link: LinkId) {
        self.links.retain(|known| *known != link);
        self.waiting.retain(|waiting| waiting.link != link);
    }

    fn disconnect(&mut self, link: LinkId) {
        self.forget(link);
        let reason = "cut".into();
        self.event(C::Engine::net(NetEvent::Disconnected { link, reason }));
    }

    /// Ends all connections, and refuses the next ones.
    pub(super) fn outage(&mut self, refused: u32) {
        self.refused = refused;
        for link in self.links.clone() {
            self.disconnect(link);
        }
    }

    pub(super) fn receive(&mut self, link: LinkId, frame: Bytes) {
        self.event(C::Engine::net(NetEvent::Received { link, frame }));
    }

    pub(super) fn advance(&mut self, ms: u64) {
        use kohort_machine::Machine;
        let until = Instant::from_millis(self.now.as_millis().saturating_add(ms));
        let (mut steps, mut still) = (0, 0);
        let mut events = VecDeque::new();
        while let Some(next) = self.engine.next_deadline().filter(|next| next.at <= until) {
            still = if next.at <= self.now { still + 1 } else { 0 };
            assert!(
                still < 100,
                "deadlines at one instant come without end: {}",
                next.timer
            );
            steps += 1;
            assert!(steps < MOST_STEPS, "deadlines come without end: {}", next.timer);
            self.now = self.now.max(next.at);
            self.engine.handle_timeout(self.now);
            self.drain(&mut events, &mut 0);
            while let Some(event) = events.pop_front() {
                self.event(event);
            }
        }
        self.now = self.now.max(until);
    }

    /// Carries out an operation on the network or the time; gives back those of the target.
    pub(super) fn perform<'a>(&mut self, op: &'a Op) -> Option<&'a Op> {
        let pick = usize::from(op.kind >> 3);
        match op.kind & 7 {
            ANSWER | SEALED => {
                if self.waiting.is_empty() {
                    return None;
                }
                let waiting = self.waiting.remove(pick % self.waiting.len());
                let mut frame = Vec::with_capacity(4 + op.payload.len());
                frame.extend_from_slice(&waiting.correlation_id.to_be_bytes());
                frame.extend_from_slice(&op.payload);
                if op.kind & 7 == SEALED {
                    seal_batches(&mut frame[4..]);
                }
                self.receive(waiting.link, frame.into());
            }
            RAW => {
                if let Some(link) = self.links.get(pick % self.links.len().max(1)).copied() {
                    self.receive(link, Bytes::copy_from_slice(&op.payload));
                }
            }
            DISCONNECT => {
                if let Some(link) = self.links.get(pick % self.links.len().max(1)).copied() {
                    self.disconnect(link);
                }
            }
            ADVANCE => {
                let ms = op
                    .payload
                    .iter()
                    .take(3)
                    .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
                self.advance(ms % LONGEST_PAUSE);
            }
            OUTAGE => self.outage(u32::from(op.kind >> 3)),
            _ => return Some(op),
        }
        None
    }
}

/// Makes the first record batch in a body right, wherever it begins: at its magic, 16 bytes in, behind a length.
fn seal_batches(body: &mut [u8]) {
    let starts = (0..body.len().saturating_sub(61)).find(|at| {
        let length = i32::from_be_bytes([body[at + 8], body[at + 9], body[at + 10], body[at + 11]]);
        body[at + 16] == 2
            && usize::try_from(length).is_ok_and(|length| length >= 49 && at + 12 + length <= body.len())
    });
    if let Some(at) = starts {
        let length = i32::from_be_bytes([body[at + 8], body[at + 9], body[at + 10], body[at + 11]]);
        let end = at + 12 + usize::try_from(length).unwrap_or(0);
        seal(&mut body[at..end]);
    }
}
