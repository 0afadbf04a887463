//! `kohort groups`: what it shows of a group, and how it moves and deletes what a group has committed.

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Member, Serve, kohort};

/// A broker on which the group `billing` has read 5 records of the only partition of `orders`.
fn read_to_the_end() -> Serve {
    let serve = Serve::start(&["--topic", "orders:1", "-X", "group.initial.rebalance.delay.ms=0"]);
    serve.produce(&["-t", "orders"], "0\n1\n2\n3\n4\n");
    assert_eq!(replayed(&serve), 5);
    serve
}

/// How many records the group reads when it goes on.
fn replayed(serve: &Serve) -> usize {
    let args = ["-t", "orders", "-G", "billing", "-o", "beginning"];
    serve.consume(&args).lines().count()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The cells of the line that begins with `first`.
fn row(shown: &str, first: &str) -> Vec<String> {
    let line = shown.lines().find(|line| line.starts_with(first));
    let line = line.unwrap_or_else(|| panic!("no line {first}: {shown}"));
    line.split("  ")
        .map(str::trim)
        .filter(|cell| !cell.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A member of `billing` that stays until it is dropped.
fn join(serve: &Serve, more: &[&str]) -> Member {
    Member::join(&serve.bootstrap, "orders", "billing", more)
}

/// The description of `billing` once it is stable with so many members.
fn settled(serve: &Serve, members: &str) -> String {
    let began = Instant::now();
    loop {
        let shown = text(&serve.groups(&["describe", "billing"]).stdout);
        if shown.starts_with(&format!("group billing: Stable, {members},")) {
            return shown;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{shown}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_description_says_who_owns_what_and_how_far_behind() {
    let serve = read_to_the_end();
    let _member = join(
        &serve,
        &["-X", "client.id=reader", "-X", "group.instance.id=till-1"],
    );
    settled(&serve, "1 member");
    let shown = good(&serve.groups(&["describe", "billing"]));
    assert!(
        shown.starts_with(
            "group billing: Stable, 1 member, lag 0, assignor range, coordinator 0 at 127.0.0.1:"
        ),
        "{shown}"
    );
    let partition = row(&shown, "orders");
    assert_eq!(partition[..5], ["orders", "0", "5", "5", "0"]);
    assert_eq!(partition[6..], ["reader", "127.0.0.1"]);
    let member = row(&shown, "till-1-");
    assert_eq!(member[1..], ["till-1", "reader", "127.0.0.1", "0", "orders:0"]);
}

#[test]
fn a_member_without_partitions_is_shown_idle() {
    let serve = read_to_the_end();
    let _owner = join(&serve, &["-X", "client.id=one"]);
    let _idle = join(&serve, &["-X", "client.id=two"]);
    let shown = settled(&serve, "2 members");
    let idle = shown
        .lines()
        .filter(|line| line.ends_with("127.0.0.1  -    -"))
        .count();
    assert_eq!(idle, 1, "{shown}");
}

#[test]
fn a_description_in_json_has_null_where_nothing_is_known() {
    let serve = read_to_the_end();
    assert_eq!(
        good(&serve.groups(&["describe", "billing", "-J"])),
        concat!(
            r#"{"group":"billing","state":"Empty","assignor":null,"coordinator":0,"lag":0,"#,
            r#""partitions":[{"topic":"orders","partition":0,"committed":5,"end":5,"lag":0,"member":null}],"members":[]}"#,
            "\n"
        )
    );
    let _member = join(&serve, &["-X", "client.id=reader"]);
    settled(&serve, "1 member");
    let shown = good(&serve.groups(&["describe", "billing", "-J"]));
    assert!(
        shown.ends_with(
            "\"instance_id\":null,\"client_id\":\"reader\",\"host\":\"127.0.0.1\",\"lag\":0,\"partitions\":[[\"orders\",0]]}]}\n"
        ),
        "{shown}"
    );
}

#[test]
fn several_groups_or_all_are_described() {
    let serve = read_to_the_end();
    serve.consume(&["-t", "orders", "-G", "audit", "-o", "beginning"]);
    let named = good(&serve.groups(&["describe", "billing", "audit"]));
    let all = good(&serve.groups(&["describe", "--all"]));
    for shown in [named, all] {
        assert_eq!(
            shown.lines().filter(|line| line.starts_with("group ")).count(),
            2,
            "{shown}"
        );
    }
    let nobody = serve.groups(&["describe", "nobody"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("there is no group nobody"));
}

#[test]
fn a_list_is_filtered_by_state_and_type() {
    let serve = read_to_the_end();
    assert!(good(&serve.groups(&["list", "--state", "stable,empty"])).contains("\nbilling  Empty  "));
    assert!(good(&serve.groups(&["list", "--type", "classic"])).contains("billing"));
    for other in [["--state", "Stable"], ["--type", "consumer"]] {
        assert!(!good(&serve.groups(&[&["list"], &other[..]].concat())).contains("billing"));
    }
}

#[test]
fn a_plan_shows_what_would_be_replayed_and_changes_nothing() {
    let serve = read_to_the_end();
    for plan in [&[][..], &["--plan"]] {
        let args = [&["reset", "billing", "--topic", "orders", "--to", "2"], plan].concat();
        let output = serve.groups(&args);
        let shown = good(&output);
        assert_eq!(
            row(&shown, "orders"),
            ["orders", "0", "5", "2", "0", "5", "3", "replays 3"],
            "topic, partition, committed, to, first, end, lag then, effect"
        );
        assert!(
            shown.ends_with("1 of 1 partitions change; skips 0 records, replays 3\n"),
            "{shown}"
        );
        assert!(text(&output.stderr).contains("nothing was changed"));
    }
    assert_eq!(replayed(&serve), 0);
}

#[test]
fn a_reset_is_where_the_group_goes_on() {
    let serve = read_to_the_end();
    for (to, count) in [("2", 3), ("earliest", 5), ("latest", 0), ("99", 0)] {
        let reset = serve.groups(&["reset", "billing", "--topic", "orders:0", "--to", to, "--execute"]);
        good(&reset);
        assert_eq!(replayed(&serve), count, "--to {to}");
    }
    let by = |by: &str| serve.groups(&["reset", "billing", "--all-topics", "--shift-by", by, "--execute"]);
    good(&by("-2"));
    assert_eq!(replayed(&serve), 2);
}

#[test]
fn a_reset_to_a_time_takes_the_first_record_since() {
    let serve = read_to_the_end();
    let timestamp: i64 = serve
        .consume(&["-t", "orders", "-o", "4", "-f", "%T"])
        .parse()
        .expect("ms");
    std::thread::sleep(Duration::from_millis(5));
    serve.produce(&["-t", "orders"], "5\n");
    let last: i64 = serve
        .consume(&["-t", "orders", "-o", "5", "-f", "%T"])
        .parse()
        .expect("ms");
    assert!(last > timestamp);
    let to = |to: &str| {
        let plan = good(&serve.groups(&["reset", "billing", "--topic", "orders", "--to", to]));
        row(&plan, "orders")[3].clone()
    };
    // 1970 and an hour ago are before all records; no record is as young as in 2100.
    assert_eq!(to("1970-01-01"), "0");
    assert_eq!(to("1h ago"), "0");
    assert_eq!(to("PT0S"), "6");
    assert_eq!(to("2100-01-01T00:00:00Z"), "6");
}

#[test]
fn active_members_block_a_reset_and_are_named() {
    let serve = read_to_the_end();
    let member = join(&serve, &["-X", "client.id=reader"]);
    settled(&serve, "1 member");
    let reset = ["reset", "billing", "--topic", "orders", "--to", "earliest"];
    let plan = good(&serve.groups(&reset));
    assert!(
        plan.contains("Blocked until these members are stopped:"),
        "{plan}"
    );
    assert!(plan.contains("reader") && plan.contains("replays 5"), "{plan}");

    let refused = serve.groups(&[&reset[..], &["--execute"]].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("nothing was changed: group billing is Stable (1 member)"),
        "{}",
        text(&refused.stderr)
    );
    let committed = row(&good(&serve.groups(&["describe", "billing"])), "orders");
    assert_eq!(committed[2], "5");
    drop(member);
}

#[test]
fn exported_offsets_are_read_back() {
    let serve = read_to_the_end();
    let saved = good(&serve.groups(&["reset", "billing", "--all-topics", "--to", "current", "--export"]));
    assert_eq!(saved, "orders,0,5\n");
    good(&serve.groups(&[
        "reset",
        "billing",
        "--all-topics",
        "--to",
        "earliest",
        "--execute",
    ]));
    let path = std::env::temp_dir().join(format!("kohort-offsets-{}.csv", std::process::id()));
    std::fs::write(&path, saved).expect("written");
    let file = path.to_str().expect("text");
    good(&serve.groups(&["reset", "billing", "--from-file", file, "--execute"]));
    std::fs::remove_file(&path).expect("it is there");
    assert_eq!(replayed(&serve), 0);
}

#[test]
fn a_group_that_is_not_there_is_made_by_a_reset() {
    let serve = read_to_the_end();
    let reset = serve.groups(&["reset", "fresh", "--topic", "orders", "--to", "3", "--execute"]);
    assert!(good(&reset).contains("group fresh: not there yet"));
    assert_eq!(
        serve.consume(&["-t", "orders", "-G", "fresh", "-o", "beginning"]),
        "3\n4\n"
    );
}

#[test]
fn what_cannot_be_reset_is_told_before_anything_is_changed() {
    let serve = read_to_the_end();
    for (args, why) in [
        (&["billing", "--topic", "nowhere", "--to", "0"][..], "nowhere"),
        (&["billing", "--topic", "orders:7", "--to", "0"], "no partition 7"),
        (&["fresh", "--all-topics", "--to", "0"], "committed nothing"),
        (
            &["fresh", "--topic", "orders", "--shift-by", "1"],
            "committed nothing",
        ),
        (&["billing", "--from-file", "/nowhere/at/all"], "/nowhere/at/all"),
    ] {
        let output = serve.groups(&[&["reset"], args, &["--execute"]].concat());
        let stderr = text(&output.stderr);
        assert!(
            output.status.code() == Some(1) && stderr.contains(why),
            "{args:?}: {stderr}"
        );
    }
}

#[test]
fn a_group_is_deleted_once_it_has_no_members() {
    let serve = read_to_the_end();
    let member = join(&serve, &[]);
    settled(&serve, "1 member");
    let refused = serve.groups(&["delete", "billing"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("nothing was deleted: group billing is Stable"));
    assert!(text(&refused.stdout).contains("kohort-cli"), "and who is in it");

    crate::process::signal(&member.0, "INT");
    let began = Instant::now();
    while !serve.groups(&["delete", "billing"]).status.success() {
        assert!(began.elapsed() < Duration::from_secs(30), "it still has members");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(serve.groups(&["describe", "billing"]).status.code(), Some(1));
    let nobody = serve.groups(&["delete", "billing"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(text(&nobody.stderr).contains("GROUP_ID_NOT_FOUND"));
}

#[test]
fn a_watched_group_shows_how_fast_it_is_read() {
    let serve = read_to_the_end();
    let mut watch = kohort(&[
        "groups",
        "describe",
        "billing",
        "--watch",
        "1",
        "-b",
        &serve.bootstrap,
    ])
    .stdout(Stdio::piped())
    .spawn()
    .expect("kohort starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    let mut header = || loop {
        let line = lines.next().expect("it goes on").expect("text");
        if line.starts_with("topic") {
            return line;
        }
    };
    assert!(!header().contains("committed/s"), "nothing is known of before");
    assert!(header().contains("committed/s  written/s"));
    crate::process::signal(&watch, "INT");
    assert_eq!(watch.wait().expect("it ends").code(), Some(130));
}

#[test]
fn offsets_are_deleted_alone() {
    let serve = read_to_the_end();
    let nothing = serve.groups(&["delete-offsets", "billing", "--topic", "orders:7"]);
    assert_eq!(nothing.status.code(), Some(1));
    let deleted = serve.groups(&["delete-offsets", "billing", "--topic", "orders"]);
    assert!(deleted.status.success());
    assert_eq!(
        text(&deleted.stderr),
        "kohort: deleted the offset 5 of orders-0\n"
    );
    assert_eq!(replayed(&serve), 5);
}

#[test]
fn offsets_of_a_topic_that_members_read_are_kept() {
    let serve = read_to_the_end();
    let _member = join(&serve, &[]);
    settled(&serve, "1 member");
    let refused = serve.groups(&["delete-offsets", "billing", "--topic", "orders"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("GROUP_SUBSCRIBED_TO_TOPIC"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn a_static_member_that_is_gone_is_removed() {
    let serve = read_to_the_end();
    let mut gone = join(&serve, &["-X", "group.instance.id=till-1"]);
    settled(&serve, "1 member");
    gone.0.kill().expect("it runs");
    gone.0.wait().expect("it ends");
    let other = serve.groups(&["remove-members", "billing", "--instance-id", "till-2"]);
    assert_eq!(other.status.code(), Some(1));
    let told = text(&other.stderr);
    assert!(told.contains("the static members of billing: till-1"), "{told}");
    let removed = serve.groups(&["remove-member", "billing", "--instance-id", "till-1"]);
    assert!(removed.status.success(), "{}", text(&removed.stderr));
    let shown = good(&serve.groups(&["describe", "billing"]));
    assert!(shown.starts_with("group billing: Empty, 0 members"), "{shown}");
    let unknown = serve.groups(&["remove-members", "billing", "--instance-id", "till-1"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("group billing has no static members"));
}
