//! How records look: JSON, headers, sizes, null, and ranges of time. What is expected is what kcat 1.7.1 prints, unless it says
//! otherwise.

use crate::process::{Serve, kohort, run, run_with};
use std::process::Stdio;

/// Timestamps of the test's own are not to be typed; so a range lies between what two records got.
fn timestamps(serve: &Serve) -> Vec<i64> {
    let lines = serve.consume(&["-t", "t", "-f", "%T\\n"]);
    lines.lines().map(|line| line.parse().expect("ms")).collect()
}

/// Three records, each at least 2 ms after the one before.
fn apart(serve: &Serve) -> Vec<i64> {
    for value in ["one", "two", "three"] {
        serve.produce(&["-t", "t"], value);
        // The broker keeps the producer's time, which has whole milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(3));
    }
    timestamps(serve)
}

#[test]
fn json_is_kcats_envelope() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t", "-K", ":"], "x:y\n");
    let timestamp = timestamps(&serve)[0];
    assert_eq!(
        serve.consume(&["-t", "t", "-J"]),
        format!(
            "{{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"tstype\":\"create\",\"ts\":{timestamp},\"key\":\"x\",\"payload\":\"y\"}}\n"
        )
    );
}

#[test]
fn headers_are_a_flat_list_in_json_and_pairs_in_a_format() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t", "-H", "h1=v1", "-H", "h2", "-H", "h3="], "a\n");
    assert_eq!(serve.consume(&["-t", "t", "-f", "%h\\n"]), "h1=v1,h2=NULL,h3=\n");
    let json = serve.consume(&["-t", "t", "-J"]);
    assert!(
        json.contains(r#","headers":["h1","v1","h2",null,"h3",""],"key":null,"payload":"a"}"#),
        "{json}"
    );
}

#[test]
fn sizes_tell_null_from_empty() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t", "-K", ":"], "key:value\n:\n");
    serve.produce(&["-t", "t"], "value");
    assert_eq!(serve.consume(&["-t", "t", "-f", "%K %S\\n"]), "3 5\n0 0\n-1 5\n");
}

#[test]
fn an_empty_value_becomes_a_tombstone_and_is_shown_as_one() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t", "-K", ":", "-Z"], "x:\n:z\n");
    assert_eq!(
        serve.consume(&["-t", "t", "-Z", "-f", "%k(%K) %s(%S)\\n"]),
        "x(1) NULL(-1)\nNULL(-1) z(1)\n"
    );
    assert!(
        serve
            .consume(&["-t", "t", "-J"])
            .contains(r#""key":"x","payload":null}"#)
    );
}

#[test]
fn a_key_of_the_line_goes_before_the_one_of_all() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t", "-K", ":", "-k", "fixed"], "own:1\n2\n");
    assert_eq!(serve.consume(&["-t", "t", "-K", "="]), "own=1\nfixed=2\n");
}

#[test]
fn any_bytes_pass_through_json() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t", "-K", "\\x00"], b"\xff\x00\x80A\n");
    // printf '\xff' | base64; printf '\x80A' | base64. kcat prints such bytes as they are, which is no JSON.
    let json = serve.consume(&["-t", "t", "-J"]);
    assert!(
        json.ends_with(
            "\"key\":\"\u{fffd}\",\"key_base64\":\"/w==\",\"payload\":\"\u{fffd}A\",\"payload_base64\":\"gEE=\"}\n"
        ),
        "{json}"
    );
}

#[test]
fn records_may_be_separated_by_other_than_line_ends() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t", "-D", ";"], "one\ntwo;three");
    assert_eq!(serve.consume(&["-t", "t", "-D", "|"]), "one\ntwo|three|");
}

#[test]
fn producing_stops_after_the_count() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t", "-c", "2"], "1\n2\n3\n");
    assert_eq!(serve.consume(&["-t", "t"]), "1\n2\n");
}

#[test]
fn reading_begins_at_a_time() {
    let serve = Serve::start(&["--topic", "t:1"]);
    let times = apart(&serve);
    let since = format!("s@{}", times[1]);
    assert_eq!(serve.consume(&["-t", "t", "-o", &since]), "two\nthree\n");
    let later = format!("s@{}", times[1] + 1);
    assert_eq!(serve.consume(&["-t", "t", "-o", &later]), "three\n");
    // kcat: where no record is that young, reading begins at the end.
    let never = format!("s@{}", times[2] + 1);
    assert_eq!(serve.consume(&["-t", "t", "-o", &never]), "");
}

#[test]
fn reading_stops_before_a_time_without_waiting_for_the_end() {
    let serve = Serve::start(&["--topic", "t:1"]);
    let times = apart(&serve);
    let stop = format!("e@{}", times[2]);
    let args = ["consume", "-b", &serve.bootstrap, "-t", "t", "-o", &stop];
    assert_eq!(run(&args).stdout, b"one\ntwo\n");
    let since = format!("s@{}", times[1]);
    assert_eq!(run(&[&args[..], &["-o", &since]].concat()).stdout, b"two\n");
}

#[test]
fn a_partition_that_never_reaches_the_time_is_read_until_its_end_with_e() {
    let serve = Serve::start(&["--topic", "t:1"]);
    let times = apart(&serve);
    let stop = format!("e@{}", times[2] + 1000);
    assert_eq!(serve.consume(&["-t", "t", "-o", &stop]), "one\ntwo\nthree\n");
}

#[test]
fn progress_is_for_terminals_alone() {
    let serve = Serve::start(&["--topic", "t:1"]);
    let mut producer = kohort(&["produce", "-b", &serve.bootstrap, "-t", "t"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kohort starts");
    let stdin = producer.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut &stdin, b"one\n").expect("kohort reads");
    // Longer than the line of a terminal would take to appear.
    std::thread::sleep(std::time::Duration::from_millis(500));
    drop(stdin);
    let output = producer.wait_with_output().expect("it ends");
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "kohort: 1 records written to t\n"
    );
}

#[test]
fn a_wrong_header_is_wrong_usage() {
    let output = run_with(&["produce", "-t", "t", "-H", "=v"], b"");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_pattern_reads_the_topics_of_a_group_that_match_as_a_whole() {
    let serve = Serve::start(&[
        "--topic",
        "orders-eu:1",
        "--topic",
        "orders-us:1",
        "--topic",
        "my-orders-eu:1",
    ]);
    for topic in ["orders-eu", "orders-us", "my-orders-eu"] {
        serve.produce(&["-t", topic], topic);
    }
    let read = serve.consume(&["-t", "^orders-.*", "-G", "g", "-o", "beginning", "-c", "2"]);
    let mut lines: Vec<&str> = read.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["orders-eu", "orders-us"]);
}
