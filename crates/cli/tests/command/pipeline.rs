//! Records in and out: topics, produce, consume, and what the views of topics and groups show.

use crate::process::{Serve, run, stdout_of};

#[test]
fn lines_come_back_as_they_went_in() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t"], "one\n\ntwo words\r\nlast");
    assert_eq!(serve.consume(&["-t", "t"]), "one\n\ntwo words\r\nlast\n");
}

#[test]
fn keys_are_split_off_and_printed_by_the_format() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t", "-K", ":"], "a:1\nno key\nb:2:3\n");
    assert_eq!(
        serve.consume(&["-t", "t", "-f", "%t[%p]@%o %k=%s\\n"]),
        "t[0]@0 a=1\nt[0]@1 =no key\nt[0]@2 b=2:3\n"
    );
    assert_eq!(
        serve.consume(&["-t", "t", "-K", "\\t"]),
        "a\t1\n\tno key\nb\t2:3\n"
    );
}

#[test]
fn every_codec_is_written_and_read() {
    let serve = Serve::start(&["--topic", "t:1"]);
    let text = "the same words again and again\n".repeat(100);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        serve.produce(&["-t", "t", "-z", codec], &text);
    }
    assert_eq!(serve.consume(&["-t", "t"]), text.repeat(5));
}

#[test]
fn reading_begins_where_it_is_told() {
    let serve = Serve::start(&["--topic", "t:1"]);
    serve.produce(&["-t", "t"], "0\n1\n2\n3\n4\n");
    for (offset, read) in [
        ("beginning", "0\n1\n2\n3\n4\n"),
        ("3", "3\n4\n"),
        ("-2", "3\n4\n"),
        ("-99", "0\n1\n2\n3\n4\n"),
        ("end", ""),
    ] {
        assert_eq!(serve.consume(&["-t", "t", "-o", offset]), read, "-o {offset}");
    }
    assert_eq!(serve.consume(&["-t", "t", "-o", "1", "-c", "2"]), "1\n2\n");
}

#[test]
fn one_partition_is_written_and_read_alone() {
    let serve = Serve::start(&["--topic", "t:3"]);
    serve.produce(&["-t", "t", "-p", "2"], "here\n");
    serve.produce(&["-t", "t", "-p", "0"], "there\n");
    assert_eq!(
        serve.consume(&["-t", "t", "-p", "2", "-f", "%p %s\\n"]),
        "2 here\n"
    );
    for command in ["consume", "produce"] {
        let output = run(&[command, "-b", &serve.bootstrap, "-t", "t", "-p", "9"]);
        assert!(String::from_utf8_lossy(&output.stderr).contains("no partition 9"));
        assert_eq!(output.status.code(), Some(1), "{command}");
    }
}

#[test]
fn a_group_goes_on_where_it_stopped() {
    let serve = Serve::start(&["--topic", "t:2", "-X", "group.initial.rebalance.delay.ms=0"]);
    let group = ["-t", "t", "-G", "readers", "-o", "beginning"];
    serve.produce(&["-t", "t"], "one\n");
    assert_eq!(serve.consume(&group), "one\n");
    serve.produce(&["-t", "t"], "two\n");
    assert_eq!(serve.consume(&group), "two\n");
    assert_eq!(serve.consume(&group), "");
}

#[test]
fn a_group_commits_no_record_that_was_not_printed() {
    let serve = Serve::start(&["--topic", "t:1", "-X", "group.initial.rebalance.delay.ms=0"]);
    serve.produce(&["-t", "t"], "1\n2\n3\n4\n5\n");
    let group = ["-t", "t", "-G", "readers", "-o", "beginning", "-c", "2"];
    assert_eq!(serve.consume(&group), "1\n2\n");
    assert_eq!(serve.consume(&group), "3\n4\n");
    assert_eq!(serve.consume(&group), "5\n");
}

#[test]
fn the_views_show_topics_and_what_a_group_committed() {
    let serve = Serve::start(&["-X", "group.initial.rebalance.delay.ms=0"]);
    let b = serve.bootstrap.as_str();
    stdout_of(&["topics", "create", "-b", b, "orders", "--partitions", "1"]);
    assert_eq!(stdout_of(&["topics", "list", "-b", b]), "orders\n");
    let again = run(&["topics", "create", "-b", b, "orders"]);
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("orders"),
        "and why"
    );
    assert_eq!(again.status.code(), Some(1));

    serve.produce(&["-t", "orders"], "1\n2\n3\n");
    let described = stdout_of(&["topics", "describe", "-b", b, "orders"]);
    let columns: Vec<&str> = described
        .lines()
        .nth(1)
        .expect("a row")
        .split_whitespace()
        .collect();
    assert_eq!(columns, ["orders", "0", "0", "0", "0", "0", "3"]);

    serve.consume(&["-t", "orders", "-G", "billing", "-o", "beginning"]);
    let listed = stdout_of(&["groups", "list", "-b", b]);
    assert!(
        listed.lines().any(|line| line.starts_with("billing  Empty")),
        "{listed}"
    );
    serve.produce(&["-t", "orders"], "4\n");
    let described = stdout_of(&["groups", "describe", "-b", b, "billing"]);
    assert!(
        described.starts_with("group billing: Empty, 0 members"),
        "{described}"
    );
    let row: Vec<&str> = described
        .lines()
        .last()
        .expect("a row")
        .split_whitespace()
        .collect();
    assert_eq!(
        row[..5],
        ["orders", "0", "3", "4", "1"],
        "topic, partition, committed, end, lag"
    );
    assert_eq!(
        run(&["groups", "describe", "-b", b, "nobody"]).status.code(),
        Some(1)
    );

    stdout_of(&["topics", "delete", "-b", b, "orders"]);
    assert_eq!(stdout_of(&["topics", "list", "-b", b]), "");
}

#[test]
fn settings_and_partitions_of_a_topic_are_shown_and_changed() {
    let serve = Serve::start(&[]);
    let topics = |args: &[&str]| run(&[&["topics"], args, &["-b", &serve.bootstrap]].concat());
    let row = || {
        let shown = topics(&["configs", "prices"]).stdout;
        let shown = String::from_utf8(shown).expect("text");
        let row = shown.lines().nth(1).unwrap_or_default();
        row.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let create = [
        "create",
        "prices",
        "--partitions",
        "1",
        "--config",
        "cleanup.policy=compact",
    ];
    assert!(topics(&create).status.success());
    assert_eq!(row(), ["prices", "cleanup.policy", "compact", "topic"]);

    let alter = [
        "alter",
        "prices",
        "--delete-config",
        "cleanup.policy",
        "--config",
        "retention.ms=1000",
    ];
    assert!(topics(&alter).status.success());
    assert_eq!(row(), ["prices", "retention.ms", "1000", "topic"]);
    assert!(topics(&["alter", "prices", "--partitions", "3"]).status.success());
    let described = topics(&["describe", "prices"]).stdout;
    assert_eq!(String::from_utf8_lossy(&described).lines().count(), 1 + 3);

    assert_eq!(topics(&["alter", "prices"]).status.code(), Some(2));
    for (args, why) in [
        (
            &["alter", "prices", "--partitions", "1"][..],
            "INVALID_PARTITIONS",
        ),
        (&["alter", "prices", "--config", "no.such=1"], "INVALID_CONFIG"),
        (&["configs", "nowhere"], "UNKNOWN_TOPIC_OR_PARTITION"),
    ] {
        let output = topics(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.code() == Some(1) && stderr.contains(why),
            "{args:?}: {stderr}"
        );
    }
}
