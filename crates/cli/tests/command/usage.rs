//! What a user sees who gets something wrong, and how commands end.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::process::{Serve, kohort, run, run_with, signal};

#[test]
fn a_wrong_address_is_told_in_one_line_within_seconds() {
    // Port 1 is reserved and nobody listens there.
    for command in [
        &["consume", "-t", "t"][..],
        &["produce", "-t", "t"],
        &["topics", "list"],
        &["groups", "list"],
    ] {
        let began = Instant::now();
        let output = run(&[command, &["-b", "127.0.0.1:1"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), stderr.lines().count()),
            (Some(1), 1),
            "{command:?}: {stderr}"
        );
        assert!(stderr.contains("127.0.0.1:1"), "{stderr}");
        assert!(
            output.stdout.is_empty() && began.elapsed() < Duration::from_secs(10),
            "{command:?}"
        );
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for args in [
        &["consume"][..],
        &["consume", "-t", "t", "-o", "soon"],
        &["nonsense"],
        &["consume", "-t", "t", "-f", "%q"],
    ] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_property_that_is_not_one_is_refused_by_name() {
    let serve = Serve::start(&["--topic", "t:1"]);
    let output = run(&[
        "consume",
        "-b",
        &serve.bootstrap,
        "-t",
        "t",
        "-X",
        "fetch.min.byte=1",
    ]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.contains("fetch.min.byte") && stderr.contains("fetch.min.bytes"),
        "{stderr}"
    );
}

#[test]
fn a_broker_that_is_told_to_stop_ends_well() {
    for name in ["INT", "TERM"] {
        let mut serve = Serve::start(&[]);
        signal(&serve.child, name);
        assert!(serve.child.wait().expect("it ends").success(), "SIG{name}");
    }
}

#[test]
fn an_address_that_others_can_reach_needs_to_be_asked_for() {
    let output = run(&["serve", "--listen", "0.0.0.0:0"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("insecure"), "{stderr}");
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_error() {
    let serve = Serve::start(&["--topic", "t:1"]);
    let lines = "some line of text\n".repeat(50_000);
    assert!(
        run_with(&["produce", "-b", &serve.bootstrap, "-t", "t"], lines.as_bytes())
            .status
            .success()
    );
    let mut consumer = kohort(&["consume", "-b", &serve.bootstrap, "-t", "t"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kohort starts");
    let mut first = String::new();
    BufReader::new(consumer.stdout.take().expect("a pipe"))
        .read_line(&mut first)
        .expect("a line");
    let output = consumer.wait_with_output().expect("it ends");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_topic_that_is_not_there_is_named() {
    let serve = Serve::start(&["-X", "auto.create.topics.enable=false"]);
    let output = run(&["consume", "-b", &serve.bootstrap, "-t", "nowhere", "-e"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere"));
}
