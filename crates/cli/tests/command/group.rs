//! A group of three processes, one of which is killed. Runs on `kohort serve`, or on the cluster that `KOHORT_BOOTSTRAP`
//! names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::process::{Serve, kohort, run_with, stdout_of};

const PARTITIONS: usize = 6;
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// A record that a member printed: the member, partition and offset.
type Line = (usize, i32, i64);

/// Starts a member of the group; its lines go to `lines`.
fn member(number: usize, bootstrap: &str, topic: &str, lines: Sender<Line>) -> Child {
    let mut child = kohort(&[
        "consume",
        "-b",
        bootstrap,
        "-t",
        topic,
        "-G",
        topic,
        "-o",
        "beginning",
        "-f",
        "%p %o\\n",
    ])
    .args([
        "-X",
        "session.timeout.ms=6000",
        "-X",
        "heartbeat.interval.ms=300",
        "-X",
        "auto.commit.interval.ms=100",
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::inherit())
    .spawn()
    .expect("kohort starts");
    let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let (partition, offset) = line.split_once(' ').expect("partition and offset");
            let line = (
                number,
                partition.parse().expect("a partition"),
                offset.parse().expect("an offset"),
            );
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    child
}

/// Takes lines until `enough` says so.
fn read_until(lines: &Receiver<Line>, seen: &mut Vec<Line>, enough: impl Fn(&[Line]) -> bool) {
    let began = Instant::now();
    while !enough(seen) {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{} records after 60 s",
            seen.len()
        );
        match lines.recv_timeout(Duration::from_millis(100)) {
            Ok(line) => seen.push(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => panic!("every member has ended"),
        }
    }
}

fn produce(bootstrap: &str, topic: &str, count: usize) {
    let lines: String = (0..count).map(|number| format!("{number}:{number}\n")).collect();
    assert!(
        run_with(
            &["produce", "-b", bootstrap, "-t", topic, "-K", ":"],
            lines.as_bytes()
        )
        .status
        .success()
    );
}

/// The lag of each partition, as `kohort groups describe` shows it, and the members that own one.
fn lags_and_owners(bootstrap: &str, group: &str) -> (Vec<String>, BTreeSet<String>) {
    let described = stdout_of(&["groups", "describe", "-b", bootstrap, group]);
    let rows: Vec<Vec<&str>> = described
        .lines()
        .skip(3)
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().collect())
        .collect();
    let lags = rows.iter().map(|row| row[4].to_owned()).collect();
    let owners = rows
        .iter()
        .map(|row| row[5].to_owned())
        .filter(|owner| owner != "-")
        .collect();
    (lags, owners)
}

fn settled(bootstrap: &str, group: &str, members: usize) {
    let began = Instant::now();
    loop {
        let (lags, owners) = lags_and_owners(bootstrap, group);
        if lags == ["0"; PARTITIONS] && owners.len() == members {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "lags {lags:?}, owners {owners:?}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a figure for who reads the test's output")]
fn when_one_of_three_members_is_killed_the_others_read_on_without_loss_or_repetition_of_what_was_committed() {
    let named = std::env::var("KOHORT_BOOTSTRAP").ok();
    let serve = named
        .is_none()
        .then(|| Serve::start(&["-X", "group.initial.rebalance.delay.ms=0"]));
    let bootstrap = serve
        .as_ref()
        .map_or_else(|| named.unwrap_or_default(), |serve| serve.bootstrap.clone());
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis();
    let topic = format!("killed-{millis:x}");
    stdout_of(&[
        "topics",
        "create",
        "-b",
        &bootstrap,
        &topic,
        "--partitions",
        &PARTITIONS.to_string(),
    ]);

    let (sender, lines) = channel();
    let mut members: Vec<Child> = (0..3)
        .map(|number| member(number, &bootstrap, &topic, sender.clone()))
        .collect();
    drop(sender);
    produce(&bootstrap, &topic, 3000);
    let mut seen = Vec::new();
    let distinct = |seen: &[Line]| {
        seen.iter()
            .map(|line| (line.1, line.2))
            .collect::<BTreeSet<_>>()
            .len()
    };
    read_until(&lines, &mut seen, |seen| distinct(seen) == 3000);
    // All is read, committed, and shared by three: from here on nothing may be read again.
    settled(&bootstrap, &topic, 3);
    let before_the_kill = seen.len();

    // SIGKILL: no farewell.
    members[0].kill().expect("the member runs");
    members[0].wait().expect("the member is gone");
    let killed = Instant::now();
    produce(&bootstrap, &topic, 3000);
    read_until(&lines, &mut seen, |seen| distinct(seen) == 6000);
    let taken_over = killed.elapsed();
    settled(&bootstrap, &topic, 2);

    let mut times = BTreeMap::new();
    for (_, partition, offset) in &seen[before_the_kill..] {
        *times.entry((*partition, *offset)).or_insert(0) += 1;
    }
    let again: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    let old: BTreeSet<_> = seen[..before_the_kill]
        .iter()
        .map(|line| (line.1, line.2))
        .collect();
    let committed_again: Vec<_> = times.keys().filter(|at| old.contains(at)).collect();
    eprintln!(
        "all partitions were read again {taken_over:?} after the kill (session.timeout.ms = {SESSION_TIMEOUT:?})"
    );
    assert!(
        committed_again.is_empty(),
        "committed and read again: {committed_again:?}"
    );
    // The survivors gave up what they had for the rebalance, and had committed it before.
    assert!(again.is_empty(), "read twice: {again:?}");
    for mut member in members.drain(1..) {
        member.kill().expect("the member runs");
        member.wait().expect("the member is gone");
    }
}
