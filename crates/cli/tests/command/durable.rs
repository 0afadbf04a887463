//! `kohort serve --data-dir` that is stopped, or has to do with less than it wants: one directory, no room, few descriptors.

use std::path::Path;
#[cfg(unix)]
use std::process::{Command, Stdio};

use kohort::ProducerRecord;

#[cfg(unix)]
use crate::data_dir::{EACH, PARTITIONS, Records};
use crate::data_dir::{Scratch, TOPIC, consumer, producer, read_all, serve};
#[cfg(unix)]
use crate::process::kohort;
use crate::process::{Serve, run, signal, stdout_of};

/// A broker to which the system gives no more than these lines of a shell let it.
#[cfg(unix)]
fn serve_within(limits: &str, dir: &Scratch, more: &[&str]) -> Serve {
    let binary = kohort(&[]);
    let script = format!(
        "{limits}; exec {} serve --listen 127.0.0.1:0 --data-dir {} {}",
        binary.get_program().to_string_lossy(),
        dir.text(),
        more.join(" ")
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).stdin(Stdio::null());
    Serve::spawn(shell)
}

#[test]
fn a_second_broker_on_a_directory_refuses_with_one_line() {
    let dir = Scratch::new("second");
    let _first = serve(&dir, &[]);
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", dir.text()]);
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("in use by another broker"), "{said}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
}

#[test]
fn the_usual_lines_of_a_server_properties_are_taken() {
    let dir = Scratch::new("properties");
    let logs = format!("log.dirs={}", dir.text());
    let args = ["--topic", "orders:1", "-X", "broker.id=3", "-X", &logs];
    let hours = [
        "-X",
        "log.retention.hours=2",
        "-X",
        "log.retention.minutes=5",
        "-X",
        "log.roll.hours=1",
    ];
    let first = Serve::start(&[&args[..], &hours].concat());
    let b = first.bootstrap.as_str();
    let configs = stdout_of(&["topics", "configs", "orders", "-b", b, "--all"]);
    let value = |key: &str| {
        let line = configs
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(key));
        let line = line.unwrap_or_else(|| panic!("no {key}: {configs}"));
        line.split_whitespace().nth(2).expect("a value").to_owned()
    };
    assert_eq!(value("retention.ms"), "300000");
    assert_eq!(value("segment.ms"), "3600000");
    let described = stdout_of(&["topics", "describe", "orders", "-b", b, "-J"]);
    assert!(described.contains(r#""leader":3"#), "{described}");
    drop(first);
    // The directory knows whose it is.
    let again = Serve::start(&["--data-dir", dir.text()]);
    let described = stdout_of(&["topics", "describe", "orders", "-b", &again.bootstrap, "-J"]);
    assert!(described.contains(r#""leader":3"#), "{described}");
    drop(again);
    for (args, said) in [
        (["-X", "node.id=4"], "belongs to the node 3"),
        (["-X", "log.dir=elsewhere"], "one setting"),
        (["-X", "log.dirs=a,b"], "one directory"),
    ] {
        let refused = run(&[
            &["serve", "--listen", "127.0.0.1:0", "--data-dir", dir.text()][..],
            &args,
        ]
        .concat());
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && stderr.contains(said), "{stderr}");
    }
}

#[test]
fn a_broker_that_was_stopped_finds_its_records_and_says_nothing_of_recovery() {
    let dir = Scratch::new("stopped");
    let mut first = serve(&dir, &[]);
    let producer = producer(&first.bootstrap);
    for count in 0..100 {
        let record = ProducerRecord::new(TOPIC, (), format!("{count}")).partition(0);
        producer.send(record).expect("the broker answers");
    }
    signal(&first.child, "TERM");
    assert!(first.child.wait().expect("it ends").success());
    assert!(Path::new(dir.text()).join(".kafka_cleanshutdown").exists());
    let second = serve(&dir, &[]);
    assert_eq!(read_all(&mut consumer(&second.bootstrap)).len(), 100);
}

/// The system lets the broker write files of 64 or 128 KiB, as a disk would that is full.
#[test]
#[cfg(unix)]
fn a_broker_whose_disk_is_full_refuses_records_and_keeps_those_before() {
    let dir = Scratch::new("full");
    drop(serve(&dir, &[]));
    let serve = serve_within("trap '' XFSZ; ulimit -f 128", &dir, &[]);
    let producer = producer(&serve.bootstrap);
    let mut acknowledged = Records::new();
    let error = loop {
        let value = "x".repeat(5000 + acknowledged.len());
        match producer.send(ProducerRecord::new(TOPIC, (), value.clone()).partition(0)) {
            Ok(metadata) => acknowledged.insert((0, metadata.offset.expect("acknowledged")), value),
            Err(error) => break error.to_string(),
        };
        assert!(acknowledged.len() < 1000, "the disk is not full");
    };
    assert!(error.contains("KAFKA_STORAGE_ERROR"), "{error}");
    // Other files have room.
    let record = ProducerRecord::new(TOPIC, (), "other".to_owned()).partition(1);
    assert_eq!(producer.send(record).expect("there is room").offset, Some(0));
    assert_eq!(
        read_all(&mut consumer(&serve.bootstrap)).len(),
        acknowledged.len() + 1
    );
    drop(serve);
    let again = self::serve(&dir, &[]);
    acknowledged.insert((1, 0), "other".to_owned());
    assert_eq!(read_all(&mut consumer(&again.bootstrap)), acknowledged);
}

/// The system gives the broker 100 descriptors, and connections that do nothing take all that are left.
#[test]
#[cfg(unix)]
fn connections_that_take_all_descriptors_leave_the_logs_writable() {
    let dir = Scratch::new("descriptors");
    drop(self::serve(&dir, &["-X", EACH]));
    let serve = serve_within("ulimit -n 100", &dir, &["-X", EACH]);
    let producer = producer(&serve.bootstrap);
    let send = |number: i32, value: String| {
        let record = ProducerRecord::new(TOPIC, (), value.clone()).partition(number);
        let metadata = producer.send(record).expect("the logs are writable");
        ((number, metadata.offset.expect("acknowledged")), value)
    };
    let mut acknowledged = Records::from([send(0, "first".to_owned())]);
    let idle: Vec<_> = (0..150)
        .map(|_| std::net::TcpStream::connect(&serve.bootstrap).expect("the port is open"))
        .collect();
    for count in 0..30 {
        for number in 0..PARTITIONS {
            acknowledged.extend([send(number, format!("{count}"))]);
        }
    }
    let open = std::fs::read_dir(format!("/proc/{}/fd", serve.child.id()));
    if let Ok(open) = open {
        assert!(open.count() >= 95, "connections did not take all");
    }
    drop((idle, producer, serve));
    let again = self::serve(&dir, &[]);
    assert_eq!(read_all(&mut consumer(&again.bootstrap)), acknowledged);
}
