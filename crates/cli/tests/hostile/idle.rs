//! Connections that say nothing, by the thousand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::broker::Broker;
use crate::client::Others;
use crate::memory::LONGEST_WAIT;

/// Lets this process and the broker that it starts open as many files as the system allows; how many that are.
fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, all).expect("the limit is ours to raise");
    let most = limit.maximum.unwrap_or(u64::MAX);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Connections that say nothing, as many as the limit of open files allows, up to 5,000.
#[test]
fn thousands_of_idle_connections_cost_little_memory_and_disturb_nobody() {
    let count = open_files().saturating_sub(200).min(5_000);
    assert!(
        count >= 2_000,
        "{count} are not thousands: raise the limit of open files"
    );
    let broker = Broker::start("idle", &["-X", "max.connections=6000"]);
    let before = broker.kib("VmRSS:");
    let idle: Vec<TcpStream> = (0..count)
        .map(|_| TcpStream::connect(&broker.address).expect("the broker accepts connections"))
        .collect();
    // Half of them have been used.
    for stream in idle.iter().step_by(2) {
        let mut stream = stream;
        stream
            .write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])
            .expect("it is written");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a time-out");
        let mut length = [0; 4];
        stream.read_exact(&mut length).expect("a reply");
        let mut reply = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut reply).expect("a reply");
    }
    // Their buffers are let go after a second of silence.
    std::thread::sleep(Duration::from_millis(1_500));
    let after = broker.kib("VmRSS:");
    let others = Others::begin(&broker.address);
    std::thread::sleep(Duration::from_millis(500));
    let (rounds, longest) = others.end();
    assert!(
        rounds > 0 && longest < LONGEST_WAIT,
        "{rounds} rounds, {longest:?}"
    );
    if let (Some(before), Some(after)) = (before, after) {
        let each = after.saturating_sub(before) * 1024 / count.max(1) as u64;
        println!("{count} idle connections: {before} KiB before, {after} KiB with them, {each} bytes each");
        assert!(each < 16 << 10, "{each} bytes for each idle connection");
    }
    drop(idle);
}
