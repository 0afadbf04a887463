//! Mutated requests, 100,000 of them: the broker goes on serving, and its memory stays bounded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kohort_machine::Prng;
use kohort_protocol::messages::RequestHeader;
use kohort_protocol::{ApiKey, Message};

use crate::broker::Broker;

/// How much memory the broker may have held at most, in KiB. What good requests made (topics, records, groups) is in it.
const MOST_KIB: u64 = 512 << 10;
/// How many requests a connection sends at most.
const PER_CONNECTION: u64 = 50;
/// How long a reply may take; a fetch or a join may rightly wait longer, and is left behind.
const PATIENCE: Duration = Duration::from_millis(20);
const WORKERS: u64 = 4;

/// A request of each API and version, without its length, as Kafka's own classes encode it.
fn samples() -> Vec<Vec<u8>> {
    let golden = include_str!("../../../protocol/tests/golden/golden.tsv");
    let sample = |line: &str| {
        let mut cells = line.split('\t');
        let (name, version) = (
            cells.next()?.strip_suffix("Request")?,
            cells.next()?.parse().ok()?,
        );
        let body = BASE64_STANDARD.decode(cells.nth(1)?).ok()?;
        let api = ApiKey::all().find(|api| api.name() == name)?;
        let header = RequestHeader {
            request_api_key: api.code(),
            request_api_version: version,
            correlation_id: 1,
            client_id: Some("hostile".into()),
        };
        let mut bytes = bytes::BytesMut::new();
        header
            .encode(api.request_header_version(version), &mut bytes)
            .ok()?;
        bytes.extend_from_slice(&body);
        Some(bytes.to_vec())
    };
    golden.lines().filter_map(sample).collect()
}

/// Some bytes changed, cut out, doubled or put in; now and then the length lies, too.
fn mutated(prng: &mut Prng, sample: &[u8]) -> Vec<u8> {
    const EDGES: [u8; 8] = [0x00, 0x01, 0x02, 0x7f, 0x80, 0xff, 0xfe, 0x40];
    let mut body = sample.to_vec();
    for _ in 0..=prng.index(3) {
        // Most changes leave the header alone, so that the request reaches its handler.
        let from = if prng.index(8) == 0 { 0 } else { 8.min(body.len()) };
        let at = from + prng.index(body.len() - from);
        match prng.index(7) {
            0 if at < body.len() => body[at] = EDGES[prng.index(EDGES.len())],
            1 if at < body.len() => body[at] ^= 1 << prng.index(8),
            2 if at < body.len() => body[at] = prng.next_u64() as u8,
            3 if prng.index(4) == 0 => body.truncate(at),
            4 => drop(body.splice(at..at, [0x7f, 0xff, 0xff, 0xff])),
            5 => {
                let copy = body[at..].iter().copied().take(16).collect::<Vec<_>>();
                body.splice(at..at, copy);
            }
            _ => {}
        }
    }
    let length = match prng.index(200) {
        0 => prng.next_u64() as u32,
        _ => body.len() as u32,
    };
    [&length.to_be_bytes()[..], &body].concat()
}

/// Reads one reply; whether the connection can go on.
fn has_reply(stream: &mut TcpStream) -> bool {
    let mut length = [0; 4];
    if stream.read_exact(&mut length).is_err() {
        return false;
    }
    let mut left = u32::from_be_bytes(length) as usize;
    let mut buffer = [0; 4096];
    while left > 0 {
        let most = left.min(buffer.len());
        match stream.read(&mut buffer[..most]) {
            Ok(read) if read > 0 => left -= read,
            _ => return false,
        }
    }
    true
}

/// Sends so many requests; gives how many got a reply.
fn attack(address: &str, seed: u64, requests: u64) -> u64 {
    let samples = samples();
    let mut prng = Prng::from_seed(seed);
    let (mut sent, mut replies) = (0, 0);
    while sent < requests {
        let mut stream = TcpStream::connect(address).expect("the broker accepts connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        for _ in 0..PER_CONNECTION.min(requests - sent) {
            sent += 1;
            let pick = prng.index(samples.len());
            let request = mutated(&mut prng, &samples[pick]);
            if stream.write_all(&request).is_err() || !has_reply(&mut stream) {
                break;
            }
            replies += 1;
        }
    }
    replies
}

fn setting(key: &str, default: u64) -> u64 {
    std::env::var(key)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

#[test]
fn a_hundred_thousand_mutated_requests_leave_the_broker_serving_within_bounded_memory() {
    let requests = setting("KOHORT_HOSTILE_REQUESTS", 100_000);
    let seed = setting("KOHORT_HOSTILE_SEED", 1);
    let broker = Broker::start("mutated", &[]);
    let before = broker.kib("VmRSS:");
    let began = Instant::now();
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let address = broker.address.clone();
            std::thread::spawn(move || attack(&address, seed ^ worker << 32, requests / WORKERS))
        })
        .collect();
    let replies: u64 = workers
        .into_iter()
        .map(|worker| worker.join().expect("no worker fails"))
        .sum();
    let took = began.elapsed();

    let log = std::fs::read_to_string(&broker.stderr).expect("the log");
    assert!(!log.contains("panicked"), "{log}");
    assert!(
        log.contains("WARN") && log.contains("closing the connection of"),
        "what ends a connection is in the log"
    );
    // It serves still: what was written is read.
    let mut produce = Command::new(env!("CARGO_BIN_EXE_kohort"))
        .args(["produce", "-b", &broker.address, "-t", "after"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("kohort starts");
    produce
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"still here\n")
        .expect("kohort reads");
    assert!(produce.wait().expect("kohort ends").success());
    let read = Command::new(env!("CARGO_BIN_EXE_kohort"))
        .args([
            "consume",
            "-b",
            &broker.address,
            "-t",
            "after",
            "-e",
            "-o",
            "beginning",
        ])
        .output()
        .expect("kohort ends");
    assert!(
        String::from_utf8_lossy(&read.stdout).contains("still here"),
        "{read:?}"
    );
    let (most, now) = (broker.kib("VmHWM:"), broker.kib("VmRSS:"));
    println!(
        "{requests} requests in {took:.1?}, {replies} replies; memory before {before:?} KiB, now {now:?} KiB, at most {most:?} KiB"
    );
    assert!(
        replies > requests / 10,
        "most requests must get somewhere: {replies}"
    );
    assert!(most.is_none_or(|most| most < MOST_KIB), "{most:?} KiB");
}
