//! How inputs are changed. Bytes are changed as such; inputs made of operations (see [`crate::targets::ops`]) also by
//! leaving out, doubling, moving and borrowing whole operations.

use kohort_machine::Prng;

use crate::targets::Shape;
use crate::targets::ops::{Op, join, split};

/// The longest input.
const LONGEST: usize = 1 << 16;
const EDGES: [u8; 10] = [0x00, 0x01, 0x02, 0x7f, 0x80, 0x81, 0xff, 0xfe, 0x40, 0x10];
const WORDS: [&[u8]; 16] = [
    &[0x7f, 0xff],
    &[0xff, 0xff],
    &[0x80, 0x00],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0x00, 0x00, 0x00],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x00, 0x10, 0x00, 0x00],
    &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    // Varints: the largest, one that is too long, the largest of 64 bits.
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x00],
    b"..",
    b"__consumer_offsets",
];

/// A new input made of `input` and parts of `other`.
pub fn mutate(prng: &mut Prng, shape: Shape, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = match shape {
        Shape::Bytes => {
            let mut out = input.to_vec();
            for _ in 0..=prng.below(4) {
                change_bytes(prng, &mut out, other);
            }
            out
        }
        Shape::Operations { head } => {
            let (mut settings, mut ops) = split(input, head);
            let (_, others) = split(other, head);
            for _ in 0..=prng.below(4) {
                change_ops(prng, &mut ops, &others);
            }
            if head > 0 && prng.chance(1, 20) {
                change_bytes(prng, &mut settings, &[]);
                settings.resize(head, 0);
            }
            join(&settings, &ops)
        }
    };
    out.truncate(LONGEST);
    out
}

fn below(prng: &mut Prng, bound: usize) -> usize {
    usize::try_from(prng.below(bound.max(1) as u64)).unwrap_or(0)
}

fn change_ops(prng: &mut Prng, ops: &mut Vec<Op>, others: &[Op]) {
    let at = below(prng, ops.len());
    match prng.below(10) {
        0 if ops.len() > 1 => drop(ops.remove(at)),
        1 if !ops.is_empty() && ops.len() < 64 => ops.insert(at, ops[at].clone()),
        2 if !ops.is_empty() => {
            let to = below(prng, ops.len());
            ops.swap(at, to);
        }
        3 if !others.is_empty() && ops.len() < 64 => {
            ops.insert(at, others[below(prng, others.len())].clone());
        }
        4 if !ops.is_empty() => ops[at].kind = EDGES[below(prng, EDGES.len())] ^ prng.next_u64() as u8 & 0x0f,
        5 => ops.insert(
            at,
            Op {
                kind: prng.next_u64() as u8,
                payload: (0..prng.below(8)).map(|_| prng.next_u64() as u8).collect(),
            },
        ),
        _ if !ops.is_empty() => {
            let other = match others.is_empty() {
                true => Vec::new(),
                false => others[below(prng, others.len())].payload.clone(),
            };
            change_bytes(prng, &mut ops[at].payload, &other);
        }
        _ => {}
    }
}

fn change_bytes(prng: &mut Prng, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = below(prng, bytes.len() + 1);
    let len = bytes.len();
    match prng.below(12) {
        0 if at < len => bytes[at] ^= 1 << prng.below(8),
        1 if at < len => bytes[at] = EDGES[below(prng, EDGES.len())],
        2 if at < len => bytes[at] = prng.next_u64() as u8,
        3 if at < len => bytes[at] = bytes[at].wrapping_add(1),
        4 if at < len => bytes[at] = bytes[at].wrapping_sub(1),
        5 => {
            let word = WORDS[below(prng, WORDS.len())];
            bytes.splice(at..at, word.iter().copied());
        }
        6 => {
            let word = WORDS[below(prng, WORDS.len())];
            let end = (at + word.len()).min(len);
            bytes.splice(at..end, word.iter().copied());
        }
        7 => {
            let end = (at + 1 + below(prng, 16)).min(len);
            bytes.drain(at.min(end)..end);
        }
        8 if prng.chance(1, 3) => bytes.truncate(at),
        8 | 9 => {
            let end = (at + 1 + below(prng, 64)).min(len);
            let copied = bytes[at.min(end)..end].to_vec();
            let to = below(prng, len + 1);
            bytes.splice(to..to, copied);
        }
        10 if !other.is_empty() => {
            let from = below(prng, other.len());
            let end = (from + 1 + below(prng, 128)).min(other.len());
            let over = match prng.chance(1, 2) {
                true => at,
                false => (at + end - from).min(len),
            };
            bytes.splice(at..over.max(at), other[from..end].iter().copied());
        }
        _ => {
            for _ in 0..=prng.below(3) {
                let byte = prng.next_u64() as u8;
                bytes.insert(at, byte);
            }
        }
    }
}
