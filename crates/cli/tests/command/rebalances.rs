//! `kohort groups describe --rebalances`, and a broker that is killed under a live group. Most run on `kohort serve` alone; what the
//! records of `__consumer_offsets` tell is asked of the cluster that `KOHORT_BOOTSTRAP` names, too.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Member, Serve, kohort, run, signal, stdout_of};

/// A consumer of this client id whose session is short.
pub(crate) fn join(bootstrap: &str, topic: &str, group: &str, client_id: &str, more: &[&str]) -> Member {
    let client_id = format!("client.id={client_id}");
    let of_all = [
        "-X",
        &client_id,
        "-X",
        "session.timeout.ms=6000",
        "-X",
        "heartbeat.interval.ms=200",
    ];
    Member::join(bootstrap, topic, group, &[&of_all, more].concat())
}

/// What `describe -J --rebalances` tells of a group.
pub(crate) fn described(bootstrap: &str, group: &str) -> Value {
    let output = run(&["groups", "describe", "-b", bootstrap, group, "-J", "--rebalances"]);
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// The description of the group once it is stable with so many members.
pub(crate) fn settled(bootstrap: &str, group: &str, members: usize) -> Value {
    let began = Instant::now();
    loop {
        let shown = described(bootstrap, group);
        if shown["state"] == "Stable"
            && shown["members"]
                .as_array()
                .is_some_and(|all| all.len() == members)
        {
            return shown;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{shown}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn last(shown: &Value) -> &Value {
    let rebalances = shown["rebalances"].as_array().expect("rebalances");
    rebalances.last().expect("one")
}

/// The part of the member with this client id.
pub(crate) fn part<'a>(rebalance: &'a Value, client_id: &str) -> &'a Value {
    let mut members = rebalance["members"].as_array().expect("members").iter();
    let found = members.find(|member| member["client_id"] == client_id);
    found.unwrap_or_else(|| panic!("{client_id} in {rebalance}"))
}

fn partitions(by_topic: &Value, topic: &str) -> usize {
    by_topic[topic].as_array().map_or(0, Vec::len)
}

#[test]
fn a_rebalance_is_told_with_when_why_who_what_moved_and_for_how_long_partitions_paused() {
    let serve = Serve::start(&["--topic", "orders:4", "-X", "group.initial.rebalance.delay.ms=0"]);
    let _first = join(&serve.bootstrap, "orders", "billing", "first", &[]);
    settled(&serve.bootstrap, "billing", 1);
    let mut second = join(&serve.bootstrap, "orders", "billing", "second", &[]);
    let shown = settled(&serve.bootstrap, "billing", 2);
    assert_eq!(shown["rebalances_from"], "journal");
    let joined = last(&shown);
    assert_eq!(joined["cause"]["name"], "member_joined");
    assert_eq!(joined["cause"]["members"][0]["client_id"], "second");
    assert_eq!(
        (
            &joined["generation_before"],
            &joined["generation"],
            &joined["outcome"]
        ),
        (&Value::from(1), &Value::from(2), &Value::from("stable"))
    );
    assert_eq!(part(joined, "first")["fate"], "stayed");
    assert_eq!(partitions(&part(joined, "first")["gave_up"], "orders"), 2);
    assert_eq!(partitions(&part(joined, "second")["got"], "orders"), 2);

    second.0.kill().expect("it runs");
    second.0.wait().expect("it ends");
    let shown = settled(&serve.bootstrap, "billing", 1);
    let expired = last(&shown);
    assert_eq!(expired["cause"]["name"], "session_expired");
    assert_eq!(expired["cause"]["members"][0]["client_id"], "second");
    assert_eq!(part(expired, "second")["fate"], "session_expired");
    let pauses = expired["pauses"].as_array().expect("pauses");
    let long = pauses
        .iter()
        .filter(|pause| pause[2].as_f64().expect("ms") >= 6000.0);
    assert_eq!(
        long.count(),
        2,
        "a whole session passed without its owner: {expired}"
    );

    let text = stdout_of(&[
        "groups",
        "describe",
        "-b",
        &serve.bootstrap,
        "billing",
        "--rebalances=1",
    ]);
    assert!(text.starts_with("group billing: Stable, 1 member, "), "{text}");
    for expected in [
        "generation 2 -> 3, stable after ",
        "  why     session expired: second-",
        " until the first joined, ",
        "  by      range of first-",
        "  paused  orders:",
        "gave up",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert!(!text.contains("generation 1 -> 2"), "one was asked for: {text}");
}

#[test]
fn a_broker_without_a_journal_says_so_and_shows_what_its_records_of_the_group_tell() {
    let named = std::env::var("KOHORT_BOOTSTRAP").ok();
    let serve = named.is_none().then(|| {
        Serve::start(&[
            "-X",
            "group.initial.rebalance.delay.ms=0",
            "-X",
            "kohort.rebalances.topic.enable=false",
        ])
    });
    let bootstrap = serve
        .as_ref()
        .map_or_else(|| named.unwrap_or_default(), |serve| serve.bootstrap.clone());
    let unique = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_millis();
    let topic = &format!("told-{unique:x}");
    stdout_of(&["topics", "create", "-b", &bootstrap, topic, "--partitions", "4"]);
    let _first = join(&bootstrap, topic, topic, "first", &[]);
    settled(&bootstrap, topic, 1);
    let _second = join(&bootstrap, topic, topic, "second", &[]);
    let shown = settled(&bootstrap, topic, 2);
    assert_eq!(shown["rebalances_from"], "offsets_topic");
    let joined = last(&shown);
    assert_eq!(
        (&joined["cause"], &joined["prepare_ms"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&joined["generation_before"], &joined["generation"]),
        (&Value::from(1), &Value::from(2))
    );
    assert_eq!(part(joined, "second")["fate"], "joined");
    assert_eq!(partitions(&part(joined, "second")["got"], topic), 2);
    let text = stdout_of(&["groups", "describe", "-b", &bootstrap, topic, "--rebalances"]);
    assert!(
        text.contains("This broker keeps no journal of rebalances"),
        "{text}"
    );
    assert!(text.contains("generation 1 -> 2, stable\n"), "{text}");
}

/// A file of this test's own.
fn journal_of(topic: &str, name: &str) -> String {
    let file = std::env::temp_dir().join(format!("kohort-{topic}-{name}-{}.jsonl", std::process::id()));
    file.to_str().expect("a name in UTF-8").to_owned()
}

// Runs on `kohort serve` without a journal of its own, or on the cluster that `KOHORT_BOOTSTRAP` names.
#[test]
fn members_that_write_journals_tell_at_any_broker_what_each_rebalance_was_and_who_left() {
    let named = std::env::var("KOHORT_BOOTSTRAP").ok();
    let own = [
        "-X",
        "group.initial.rebalance.delay.ms=0",
        "-X",
        "kohort.rebalances.topic.enable=false",
    ];
    let serve = named.is_none().then(|| Serve::start(&own));
    let bootstrap = serve
        .as_ref()
        .map_or_else(|| named.unwrap_or_default(), |serve| serve.bootstrap.clone());
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let topic = &format!("written-{:x}", since.expect("after 1970").as_millis());
    stdout_of(&["topics", "create", "-b", &bootstrap, topic, "--partitions", "4"]);
    let files = [journal_of(topic, "first"), journal_of(topic, "second")];
    let set = |file: &str| format!("kohort.rebalance.journal.file={file}");
    let mut first = join(&bootstrap, topic, topic, "first", &["-X", &set(&files[0])]);
    settled(&bootstrap, topic, 1);
    let mut second = join(&bootstrap, topic, topic, "second", &["-X", &set(&files[1])]);
    settled(&bootstrap, topic, 2);
    for (member, left) in [(&mut second, 1), (&mut first, 0)] {
        signal(&member.0, "INT");
        member.0.wait().expect("it ends");
        if left > 0 {
            settled(&bootstrap, topic, left);
        }
    }

    // Nobody is asked for what the files tell.
    let asked = |more: &[&str]| {
        let all = [
            &["groups", "describe", "-b", "127.0.0.1:1", topic, "--rebalances"],
            more,
        ];
        stdout_of(&[&all.concat()[..], &["--journal", &files[0], &files[1]]].concat())
    };
    let shown: Value = serde_json::from_str(&asked(&["-J"])).expect("a line of JSON");
    assert_eq!(
        (&shown["group"], &shown["rebalances_from"]),
        (&Value::from(topic.as_str()), &Value::from("members"))
    );
    let rebalances = shown["rebalances"].as_array().expect("rebalances");
    let outcomes: Vec<_> = rebalances
        .iter()
        .map(|told| told["outcome"].as_str().expect("one"))
        .collect();
    assert_eq!(
        outcomes,
        ["assigned", "assigned", "left", "assigned", "left"],
        "{shown}"
    );
    let shared = &rebalances[1];
    assert_eq!(shared["cause"]["name"], "first_join");
    assert_eq!(shared["cause"]["members"][0]["client_id"], "second");
    assert_eq!(
        (&shared["generation_before"], &shared["generation"]),
        (&Value::from(1), &Value::from(2))
    );
    assert_eq!(partitions(&part(shared, "first")["gave_up"], topic), 4);
    assert_eq!(partitions(&part(shared, "second")["got"], topic), 2);
    assert_eq!(part(shared, "first")["fate"], "stayed");
    assert!(part(shared, "second")["joining_ms"].is_number());
    // Two came back to the first, two went to the second.
    assert_eq!(shared["pauses"].as_array().map(Vec::len), Some(4), "{shared}");
    assert_eq!(rebalances[2]["cause"]["name"], "leaving");
    assert_eq!(
        rebalances[3]["pauses"].as_array().map(Vec::len),
        Some(4),
        "{shown}"
    );

    let text = asked(&[]);
    assert!(
        text.starts_with(&format!(
            "group {topic}: rebalances as its members wrote them\n\n"
        )),
        "{text}"
    );
    for expected in [
        "generation 1 -> 2, assigned after ",
        "  why     first join: ",
        "  then    rebalance in progress: ",
        " until all had taken it",
        "  by      range of first-",
        &format!("  paused  {topic}:"),
        "giving up",
        "generation 2 -> ?, left",
        "the consumer is being closed",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    let none = run(&[
        "groups",
        "describe",
        "another",
        "--rebalances",
        "--journal",
        &files[0],
    ]);
    assert_eq!(none.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no rebalance of group another is in"));
    for file in files {
        std::fs::remove_file(file).expect("it was written");
    }
}

#[test]
fn a_broker_that_is_killed_and_started_again_under_a_live_group_rebalances_nothing() {
    let dir = std::env::temp_dir().join(format!("kohort-rebalances-{}", std::process::id()));
    let dir_text = dir.to_str().expect("a name in UTF-8").to_owned();
    let start = |address: &str| {
        let mut command = kohort(&[
            "serve",
            "--listen",
            address,
            "--data-dir",
            &dir_text,
            "--topic",
            "orders:4",
        ]);
        command
            .args(["-X", "group.initial.rebalance.delay.ms=0"])
            .stderr(Stdio::null());
        Serve::spawn(command)
    };
    let serve = start("127.0.0.1:0");
    let bootstrap = serve.bootstrap.clone();
    // A session longer than the broker is away, and one member that is static.
    let patient = ["-X", "session.timeout.ms=30000"];
    let _first = join(&bootstrap, "orders", "billing", "first", &patient);
    settled(&bootstrap, "billing", 1);
    let of_till = [&patient[..], &["-X", "group.instance.id=till-1"]].concat();
    let _second = join(&bootstrap, "orders", "billing", "second", &of_till);
    let before = settled(&bootstrap, "billing", 2);
    drop(serve);

    let serve = start(&bootstrap);
    let records: String = (0..40).map(|number| format!("{number}:{number}\n")).collect();
    serve.produce(&["-t", "orders", "-K", ":"], records);
    let began = Instant::now();
    loop {
        let after = described(&bootstrap, "billing");
        // Both read on, and commit, as the members they were.
        if after["lag"] == 0
            && after["partitions"]
                .as_array()
                .is_some_and(|all| all.iter().all(|of| of["committed"] != Value::Null))
        {
            assert_eq!(
                after["rebalances"], before["rebalances"],
                "the journal outlives the broker"
            );
            let who = |shown: &Value| -> Vec<(Value, Value)> {
                let members = shown["members"].as_array().expect("members").iter();
                members
                    .map(|member| (member["member"].clone(), member["partitions"].clone()))
                    .collect()
            };
            assert_eq!(who(&after), who(&before));
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{after}");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(serve);
    // What is left of it is the system's to remove.
    let _ = std::fs::remove_dir_all(dir);
}
