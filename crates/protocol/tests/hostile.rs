//! Decoding what was not encoded by anyone: it never panics, and what it allocates is bounded by the bytes there.
//! One test alone, because the allocator counts for the whole process.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

#[path = "golden/lines.rs"]
mod lines;
#[path = "golden/list.rs"]
mod list;

use bytes::{BufMut, Bytes, BytesMut};
use kohort_machine::Prng;
use kohort_protocol::{Message, Reader};
use lines::lines;
use list::all_messages;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes of memory per byte of the frame. No struct is more than 32 times as large in memory as its fewest bytes on the
/// wire (`Reader` refuses to compile else); a vector starts with as many bytes as are left and doubles, so it ends with at most 32 for each byte, and holds
/// its old block of half of that while it grows. The lists around it begin with one for each byte at most.
const PER_BYTE: usize = 52;

/// Bytes for what does not depend on the frame's size: the message itself.
const FIXED: usize = 2048;

type Decode = fn(Bytes, i16) -> bool;

fn any<M: Message>() -> (&'static str, Decode) {
    (M::NAME, |bytes, version| {
        M::decode(&mut Reader::new(bytes), version).is_ok()
    })
}

struct Worst {
    per_byte: f64,
    what: String,
    decodes: usize,
    accepted: usize,
}

impl Worst {
    fn check(&mut self, what: &str, decode: Decode, bytes: Bytes, version: i16) {
        let len = bytes.len();
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        self.accepted += usize::from(decode(bytes, version));
        let used = MEMORY.peak_usage().saturating_sub(before);
        assert!(
            used <= PER_BYTE * len + FIXED,
            "{what} {version}: {used} bytes for {len}"
        );
        self.decodes += 1;
        let per_byte = used.saturating_sub(FIXED) as f64 / len.max(1) as f64;
        if per_byte > self.per_byte {
            self.per_byte = per_byte;
            self.what = format!("{what} {version}, {len} bytes, {used} used");
        }
    }
}

/// Some bytes changed, cut out, doubled or put in.
fn mutate(prng: &mut Prng, bytes: &[u8]) -> Bytes {
    const EDGES: [u8; 8] = [0x00, 0x01, 0x02, 0x7f, 0x80, 0xff, 0xfe, 0x40];
    let mut out = bytes.to_vec();
    for _ in 0..=prng.index(3) {
        let at = prng.index(out.len());
        match prng.index(5) {
            0 if !out.is_empty() => out[at] = EDGES[prng.index(EDGES.len())],
            1 if !out.is_empty() => out[at] ^= 1 << prng.index(8),
            2 => out.truncate(at),
            3 => out.splice(at..at, [0x7f, 0xff, 0xff, 0xff]).for_each(drop),
            _ => out
                .splice(at..at, bytes[..at.min(bytes.len())].to_vec())
                .for_each(drop),
        }
    }
    out.into()
}

/// The beginning of a true message, then an announcement of very many elements or bytes, then filling.
fn bombs(bytes: &[u8], at: usize) -> impl Iterator<Item = Bytes> {
    const FILLING: usize = 3000;
    const ANNOUNCED: [&[u8]; 5] = [
        &[0x7f, 0xff, 0xff, 0xff],
        // 3000 as int32, 1000 as int32, 3000 and 1000 as compact lengths.
        &[0x00, 0x00, 0x0b, 0xb8],
        &[0x00, 0x00, 0x03, 0xe8],
        &[0xb9, 0x17],
        &[0xe9, 0x07],
    ];
    let before = bytes[..at].to_vec();
    ANNOUNCED.into_iter().flat_map(move |announced| {
        let before = before.clone();
        [0u8, 1, 2].into_iter().map(move |filling| {
            let mut out = BytesMut::new();
            out.put_slice(&before);
            out.put_slice(announced);
            out.put_bytes(filling, FILLING);
            out.freeze()
        })
    })
}

#[test]
fn no_bytes_make_decoding_panic_or_allocate_more_than_their_number_allows() {
    let known: Vec<(&'static str, Decode)> = all_messages!(any);
    let mut worst = Worst {
        per_byte: 0.0,
        what: String::new(),
        decodes: 0,
        accepted: 0,
    };
    let mut prng = Prng::from_seed(1);
    for (message, version, variant, bytes, _) in lines() {
        let decode = known.iter().find(|(name, _)| *name == message).unwrap().1;
        worst.check(message, decode, bytes.clone(), version);
        for _ in 0..200 {
            worst.check(message, decode, mutate(&mut prng, &bytes), version);
        }
        if variant == "default" {
            for len in 0..64 {
                let noise: Vec<u8> = (0..len * 7).map(|_| prng.next_u64() as u8).collect();
                worst.check(message, decode, noise.into(), version);
            }
        }
        if variant == "full" {
            for at in 0..bytes.len() {
                bombs(&bytes, at).for_each(|bomb| worst.check(message, decode, bomb, version));
            }
        }
    }
    // The dearest list that is whole: a group of OffsetFetch version 8 is an empty group id, no topics, no tagged
    // fields. RequireStable and the request's own tags follow.
    let offset_fetch = known
        .iter()
        .find(|(name, _)| *name == "OffsetFetchRequest")
        .unwrap()
        .1;
    let mut groups = BytesMut::from(&[0xb1, 0xea, 0x01][..]);
    (0..30_000).for_each(|_| groups.put_slice(&[1, 0, 0]));
    groups.put_slice(&[0, 0]);
    assert!(offset_fetch(groups.clone().freeze(), 8));
    worst.check("OffsetFetchRequest", offset_fetch, groups.freeze(), 8);
    println!(
        "{} decodes, {} accepted; most memory per byte: {:.1}, {}",
        worst.decodes, worst.accepted, worst.per_byte, worst.what
    );
    // The inputs must be hard enough to come near the bound: lists of the smallest elements were decoded.
    assert!(worst.per_byte > 10.0, "{}", worst.what);
}
