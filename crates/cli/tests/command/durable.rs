//! `kohort serve --data-dir` that is stopped, or has to do with less than it wants: one directory, no room, few descriptors.

use std::path::Path;
#[cfg(unix)]
use std::process::{Command, Stdio};

use kohort::ProducerRecord;

#[cfg(unix)]
use crate::data_dir::{EACH, PARTITIONS, Records};
use crate::data_dir::{Scratch, TOPIC, consumer, producer, read_all, serve};
#[cfg(unix)]
use crate::process::{Serve, kohort};
use crate::process::{run, signal};

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
