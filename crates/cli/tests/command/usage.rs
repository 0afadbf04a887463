//! What a user sees who gets something wrong, and how commands end.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::process::{Serve, kohort, run, run_with, signal, stdout_of};

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

/// A server whose connections are accepted, by the system, and never answered.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    (listener, address)
}

#[test]
fn a_bootstrap_server_that_stays_silent_does_not_keep_the_other_from_answering() {
    let (_listener, silent) = silent();
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t"], "a\n");
    let both = format!("{silent},{}", serve.bootstrap);
    // Clients try the servers in any order.
    for _ in 0..4 {
        let began = Instant::now();
        let short = ["-X", "request.timeout.ms=500"];
        let records = stdout_of(&[&["consume", "-b", &both, "-t", "t", "-e"], &short[..]].concat());
        assert_eq!(records, "a\n");
        assert_eq!(stdout_of(&["topics", "list", "-b", &both]), "t\n");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

#[test]
fn a_server_that_stays_silent_alone_is_told_within_seconds() {
    let (_listener, silent) = silent();
    for command in [&["consume", "-t", "t"][..], &["topics", "list"]] {
        let began = Instant::now();
        let output = run(&[command, &["-b", &silent, "-X", "request.timeout.ms=500"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command:?}: {stderr}");
        assert!(stderr.contains(&silent), "{stderr}");
        assert!(began.elapsed() < Duration::from_secs(10), "{command:?}");
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
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr.contains("fetch.min.byte") && stderr.contains("fetch.min.bytes"),
        "{stderr}"
    );
}

#[test]
fn no_command_ignores_a_property_that_is_not_one() {
    // It is told before anybody listens, too.
    for command in [
        &["topics", "list"][..],
        &["topics", "describe", "t"],
        &["groups", "list"],
        &["groups", "reset", "g", "--all-topics", "--to", "latest"],
        &["produce", "-t", "t"],
        &["consume", "-t", "t"],
    ] {
        let output = run(&[command, &["-b", "127.0.0.1:1", "-X", "nonsense=1"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{command:?}: {stderr}");
        assert!(stderr.contains("nonsense"), "{command:?}: {stderr}");
    }
    let output = run(&["serve", "--listen", "127.0.0.1:0", "-X", "nonsense=1"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_range_of_times_is_not_for_groups() {
    for offset in ["s@1000", "e@1000", "stored"] {
        let group: &[&str] = if offset == "stored" { &[] } else { &["-G", "g"] };
        let args = [&["consume", "-t", "t", "-b", "127.0.0.1:1", "-o", offset], group].concat();
        assert_eq!(run(&args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn a_pattern_of_topics_is_for_groups() {
    let failed = run(&["consume", "-b", "127.0.0.1:1", "-t", "^orders-.*"]);
    assert_eq!(failed.status.code(), Some(2));
    let told = String::from_utf8_lossy(&failed.stderr);
    assert!(told.contains("needs -G"), "{told}");
}

#[test]
fn a_name_that_no_topic_can_have_is_told_as_it_was_typed() {
    let serve = Serve::start(&[]);
    let output = run(&["consume", "-b", &serve.bootstrap, "-t", "bad name", "-e"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.contains("topic \"bad name\": INVALID_TOPIC_EXCEPTION"),
        "{stderr}"
    );
}

#[test]
fn ctrl_c_ends_a_producer_that_waits_for_lines() {
    let serve = Serve::start(&["--topic", "t:1"]);
    let mut producer = kohort(&["produce", "-b", &serve.bootstrap, "-t", "t"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kohort starts");
    let mut stdin = producer.stdin.take().expect("stdin is a pipe");
    stdin.write_all(b"one\n").expect("kohort reads");
    // Only a line that was written can be read, and the handler of signals stands before the first line is sent.
    let read = run(&["consume", "-b", &serve.bootstrap, "-t", "t", "-c", "1"]);
    assert_eq!(read.stdout, b"one\n");
    signal(&producer, "INT");
    let output = producer.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("1 records written"), "{stderr}");
}

#[test]
fn two_signals_at_once_are_one_and_a_member_leaves_its_group() {
    let serve = Serve::start(&["--topic", "t:1", "-X", "group.initial.rebalance.delay.ms=0"]);
    serve.produce(&["-t", "t"], "one\n");
    let args = [
        "consume",
        "-b",
        &serve.bootstrap,
        "-t",
        "t",
        "-G",
        "g",
        "-o",
        "beginning",
    ];
    let mut member = kohort(&args)
        .stdout(Stdio::piped())
        .spawn()
        .expect("kohort starts");
    let mut first = String::new();
    BufReader::new(member.stdout.as_mut().expect("a pipe"))
        .read_line(&mut first)
        .expect("a line");
    signal(&member, "INT");
    signal(&member, "INT");
    assert_eq!(member.wait().expect("it ends").code(), Some(130));
    let described = serve.groups(&["describe", "g"]);
    let shown = String::from_utf8_lossy(&described.stdout);
    assert!(shown.starts_with("group g: Empty, 0 members, lag 0"), "{shown}");
}

#[test]
fn a_second_ctrl_c_ends_a_producer_whose_broker_is_gone() {
    let mut serve = Serve::start(&["--topic", "t:1"]);
    let mut producer = kohort(&["produce", "-b", &serve.bootstrap, "-t", "t"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("kohort starts");
    let mut stdin = producer.stdin.take().expect("stdin is a pipe");
    stdin.write_all(b"one\n").expect("kohort reads");
    run(&["consume", "-b", &serve.bootstrap, "-t", "t", "-c", "1"]);
    serve.child.kill().expect("the broker runs");
    stdin.write_all(b"two\n").expect("kohort reads");
    let began = Instant::now();
    while producer.try_wait().expect("a child").is_none() {
        assert!(began.elapsed() < Duration::from_secs(20), "it still waits");
        signal(&producer, "INT");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(producer.wait().expect("a child").code(), Some(130));
}

#[test]
fn a_verbose_member_tells_of_its_rebalances() {
    let serve = Serve::start(&["--topic", "t:1", "-X", "group.initial.rebalance.delay.ms=0"]);
    let args = ["consume", "-b", &serve.bootstrap, "-t", "t", "-G", "g", "-e"];
    assert!(run(&args).stderr.is_empty());
    let output = run(&[&args[..], &["-v"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.stdout.is_empty() && stderr.contains("rebalanced"),
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
    assert!(stderr.contains("--insecure-listen"), "{stderr}");
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

#[test]
fn a_misspelt_topic_is_not_created_by_reading_it() {
    let serve = Serve::start(&[]);
    for group in [&[][..], &["-G", "g"]] {
        let args = [&["consume", "-b", &serve.bootstrap, "-t", "nowhere", "-e"], group].concat();
        assert_eq!(run(&args).status.code(), Some(1), "{args:?}");
    }
    assert!(run(&["topics", "list", "-b", &serve.bootstrap]).stdout.is_empty());
}
