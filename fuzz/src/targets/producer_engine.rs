//! The producer's engine against a far end that answers anything (`bed`).
//!
//! Held: what `bed` holds every engine to; each record, flush and close is answered once, and in time; what is acknowledged
//! was sent, to the partition that was asked for; `buffer.memory` is kept, and given back to the last byte.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kohort_engine::producer::{
    Acks, ProducerAction, ProducerConfig, ProducerEngine, ProducerEvent, ProducerRecord, SendError,
};
use kohort_machine::Token;
use kohort_records::{Compression, Header};

use super::bed::{ADVANCE, ANSWER, Bed, Caller, client};
use super::node::Bench;
use super::ops::{Op, join, split};
use super::{Shape, Target};

pub(super) const TARGET: Target = Target {
    name: "producer_engine",
    run,
    seeds,
    shape: Shape::Operations { head: 1 },
    memory: |len| 2048 * len + (16 << 20),
};

/// More operations than these are not run.
const LONGEST: usize = 32;
/// `buffer.memory` where records are to wait for room.
const SMALL_BUFFER: usize = 600;

/// Sends a record: where to, then its value.
const SEND: u8 = 4;
/// Anything else that a caller does.
const COMMAND: u8 = 5;

/// What was asked for and is not answered.
enum Asked {
    Record { partition: Option<i32> },
    Wish,
}

struct User {
    acks: Acks,
    next: u64,
    open: BTreeMap<Token, Asked>,
}

impl User {
    fn ask(&mut self, asked: Asked) -> Token {
        let token = Token(self.next);
        self.next += 1;
        self.open.insert(token, asked);
        token
    }
}

impl Caller for User {
    type Engine = ProducerEngine;

    fn hear(&mut self, action: ProducerAction) -> Option<ProducerEvent> {
        match action {
            ProducerAction::Sent { token, result } => {
                let Some(Asked::Record { partition }) = self.open.remove(&token) else {
                    panic!("a record is answered once, and none unasked");
                };
                match result {
                    Ok(ack) => {
                        assert!(partition.is_none_or(|asked| asked == ack.partition));
                        assert!(ack.partition >= 0, "no partition has a number below 0");
                        assert!(ack.offset.is_none_or(|offset| offset >= 0));
                        assert!(self.acks != Acks::None || ack.offset.is_none());
                    }
                    Err(error) => assert!(!error.to_string().is_empty()),
                }
            }
            ProducerAction::Done { token } => {
                let asked = self.open.remove(&token);
                assert!(
                    matches!(asked, Some(Asked::Wish)),
                    "a wish is answered once, and none unasked"
                );
            }
            ProducerAction::Net(_) => {}
        }
        None
    }
}

fn producer(settings: u8) -> Bed<User> {
    let mut config = ProducerConfig::new(client());
    config.acks = match settings & 3 {
        0 => Acks::None,
        1 => Acks::Leader,
        _ => Acks::All,
    };
    config.enable_idempotence = settings & 4 == 0;
    // How a batch is compressed is nothing that the far end has a part in, and the tables of some codecs are large.
    config.compression = match settings >> 3 & 7 {
        6 => Compression::Snappy,
        7 => Compression::Lz4,
        _ => Compression::None,
    };
    if settings & 64 != 0 {
        config.buffer_memory = SMALL_BUFFER;
    }
    if settings & 128 != 0 {
        config.max_in_flight = 1;
        config.batch_size = 1;
        config.retries = 2;
    }
    config.max_block = Duration::from_secs(5);
    config.client.request_timeout = Duration::from_secs(3);
    config.delivery_timeout = Duration::from_secs(10);
    let user = User {
        acks: config.acks,
        next: 0,
        open: BTreeMap::new(),
    };
    Bed::new(ProducerEngine::new(config, 3), user)
}

impl Bed<User> {
    fn send(&mut self, payload: &[u8]) {
        let (place, value) = payload.split_first().unwrap_or((&0, &[]));
        let partition = match place & 7 {
            0..4 => None,
            4 | 5 => Some(i32::from(place & 1)),
            6 => Some(7),
            _ => Some(-1),
        };
        let record = ProducerRecord {
            topic: Arc::from(if place & 64 == 0 { "t" } else { "c" }),
            partition,
            timestamp: if place & 128 == 0 { 1_700_000_000_000 } else { -1 },
            key: (place & 8 != 0).then(|| Bytes::copy_from_slice(&value[..value.len().min(2)])),
            value: (place & 16 == 0).then(|| Bytes::copy_from_slice(value)),
            headers: match place & 32 {
                0 => Vec::new(),
                _ => vec![Header::new("h", "x"), Header::null("n")],
            },
        };
        let token = self.caller.ask(Asked::Record { partition });
        let record = Box::new(record);
        self.event(ProducerEvent::Send { token, record });
    }

    fn command(&mut self, payload: &[u8]) {
        let number = payload.get(1).copied().unwrap_or(0);
        match payload.first().copied().unwrap_or(0) % 4 {
            0 => {
                let token = self.caller.ask(Asked::Wish);
                self.event(ProducerEvent::Flush { token });
            }
            1 => {
                let token = self.caller.ask(Asked::Wish);
                let timeout = Duration::from_millis(u64::from(number) * 10);
                self.event(ProducerEvent::Close { token, timeout });
            }
            // Many records at once.
            _ => {
                for index in 0..number % 16 {
                    self.send(&[index & 0x0f, number, index]);
                }
            }
        }
    }

    fn carry_out(&mut self, op: &Op) {
        match self.perform(op) {
            Some(op) if op.kind & 7 == SEND => self.send(&op.payload),
            Some(op) => self.command(&op.payload),
            None => {}
        }
        assert!(self.engine.memory_in_use() <= 32 << 20);
    }
}

fn run(input: &[u8]) {
    let (settings, ops) = split(input, 1);
    let mut bed = producer(settings[0]);
    for op in ops.iter().take(LONGEST) {
        bed.carry_out(op);
        if settings[0] & 64 != 0 {
            assert!(
                bed.engine.memory_in_use() <= SMALL_BUFFER,
                "buffer.memory is kept"
            );
        }
    }
    // Whatever came before, everything is answered in time, and nothing spins.
    bed.outage(u32::MAX);
    bed.advance(31_000);
    assert!(bed.caller.open.is_empty(), "everything is answered");
    assert_eq!(bed.engine.memory_in_use(), 0);
    // A closed producer takes nothing.
    let token = bed.caller.ask(Asked::Wish);
    let timeout = Duration::ZERO;
    bed.event(ProducerEvent::Close { token, timeout });
    bed.advance(1);
    bed.send(&[0, 1]);
    assert!(bed.caller.open.is_empty(), "a closed producer answers at once");
    assert!(!SendError::Closed.is_retriable());
}

/// Conversations with a good broker, as operations: every answer is what the broker said.
fn seeds() -> Vec<Vec<u8>> {
    let settings = [0, 1, 2, 6, 2 | 48, 2 | 56, 2 | 64, 2 | 128, 6 | 128, 2 | 64 | 128];
    settings.map(conversation).into()
}

fn conversation(settings: u8) -> Vec<u8> {
    let mut bed = producer(settings);
    let mut broker = Bench::new();
    let mut ops: Vec<Op> = Vec::new();
    let own = |kind, payload: &[u8]| Op {
        kind,
        payload: payload.to_vec(),
    };
    let script = [
        own(SEND, &[0, b'a']),
        own(SEND, &[8, b'k', b'b']),
        own(ADVANCE, &[0, 10]),
        own(SEND, &[4 | 32, b'c']),
        own(COMMAND, &[2, 5]),
        own(ADVANCE, &[0, 200]),
        own(COMMAND, &[0]),
        own(SEND, &[16 | 64, b'd']),
        own(ADVANCE, &[0, 20]),
        own(ADVANCE, &[0, 20]),
        own(COMMAND, &[1, 100]),
        own(ADVANCE, &[0, 20]),
    ];
    for next in script {
        bed.carry_out(&next);
        ops.push(next);
        while !bed.waiting.is_empty() {
            let waiting = bed.waiting.remove(0);
            let Some(reply) = broker.serve(waiting.request) else {
                continue;
            };
            ops.push(Op {
                kind: ANSWER,
                payload: reply.slice(4..).to_vec(),
            });
            bed.receive(waiting.link, reply);
        }
    }
    join(&[settings], &ops)
}
