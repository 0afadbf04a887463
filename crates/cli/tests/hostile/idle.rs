//! Connections that say nothing, by the thousand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::broker::Broker;

/// Connections that say nothing, as many as the limit of open files allows, up to 5,000.
#[test]
fn thousands_of_idle_connections_cost_little_memory_and_disturb_nobody() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let files = files.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
    let count = files.unwrap_or(1024).saturating_sub(200).min(5_000);
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
    let listed = Command::new(env!("CARGO_BIN_EXE_kohort"))
        .args(["topics", "list", "-b", &broker.address])
        .output()
        .expect("kohort ends");
    assert!(listed.status.success());
    if let (Some(before), Some(after)) = (before, after) {
        let each = after.saturating_sub(before) * 1024 / count.max(1) as u64;
        println!("{count} idle connections: {before} KiB before, {after} KiB with them, {each} bytes each");
        assert!(each < 16 << 10, "{each} bytes for each idle connection");
    }
    drop(idle);
}
