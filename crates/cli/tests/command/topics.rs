//! `kohort topics`: what it says of topics in JSON, and how it deletes their oldest records.

use std::process::Output;

use crate::process::{Serve, run};

/// A broker with 5 records in one partition of `orders`, and 3 in the other.
fn serve() -> Serve {
    let serve = Serve::start(&["--topic", "orders:2"]);
    serve.produce(&["-t", "orders", "-p", "0"], "0\n1\n2\n3\n4\n");
    serve.produce(&["-t", "orders", "-p", "1"], "0\n1\n2\n");
    serve
}

fn topics(serve: &Serve, args: &[&str]) -> Output {
    run(&[&["topics"], args, &["-b", &serve.bootstrap]].concat())
}

fn good(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The first offset and the end of each partition.
fn bounds(serve: &Serve) -> Vec<(i64, i64)> {
    let described = good(&topics(serve, &["describe", "orders", "-J"]));
    let described: serde_json::Value = serde_json::from_str(&described).expect("one line of JSON");
    let partitions = described["partitions"].as_array().expect("a list");
    let offset = |partition: &serde_json::Value, name| partition[name].as_i64().expect("an offset");
    let bounds = partitions
        .iter()
        .map(|partition| (offset(partition, "first"), offset(partition, "end")));
    bounds.collect()
}

/// The cells below the header, without the summary.
fn rows(plan: &str) -> Vec<Vec<String>> {
    let lines = plan.lines().skip(1).take_while(|line| !line.is_empty());
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    lines.map(cells).collect()
}

#[test]
fn a_list_and_a_description_are_lines_of_json() {
    let serve = serve();
    let listed = good(&topics(&serve, &["list", "-J"]));
    let line: serde_json::Value = serde_json::from_str(&listed).expect("one line of JSON");
    assert_eq!(line["topic"], "orders");
    // A Uuid of Kafka: 16 bytes in base64.
    let id = line["id"].as_str().expect("an id");
    assert_eq!(id.len(), 22);
    assert_eq!(
        good(&topics(&serve, &["describe", "-J"])),
        format!(
            concat!(
                r#"{{"topic":"orders","id":"{}","internal":false,"partitions":["#,
                r#"{{"partition":0,"leader":0,"replicas":[0],"in_sync":[0],"first":0,"end":5}},"#,
                r#"{{"partition":1,"leader":0,"replicas":[0],"in_sync":[0],"first":0,"end":3}}]}}"#,
                "\n"
            ),
            id
        )
    );
}

#[test]
fn a_plan_says_what_would_be_deleted_and_deletes_nothing() {
    let serve = serve();
    for plan in [&[][..], &["--plan"]] {
        let args = [&["delete-records", "orders", "--before", "2"], plan].concat();
        let planned = topics(&serve, &args);
        let shown = good(&planned);
        assert_eq!(
            rows(&shown),
            [
                ["orders", "0", "0", "2", "5", "2"],
                ["orders", "1", "0", "2", "3", "2"]
            ]
        );
        assert!(
            shown.ends_with("2 of 2 partitions change; 4 offsets go\n"),
            "{shown}"
        );
        assert!(String::from_utf8_lossy(&planned.stderr).contains("nothing was deleted"));
    }
    assert_eq!(bounds(&serve), [(0, 5), (0, 3)]);
}

#[test]
fn records_are_deleted_before_an_offset_or_all_of_them() {
    let serve = serve();
    good(&topics(
        &serve,
        &["delete-records", "orders:0", "--before", "2", "--execute"],
    ));
    assert_eq!(bounds(&serve), [(2, 5), (0, 3)]);
    assert_eq!(
        serve.consume(&["-t", "orders", "-p", "0", "-o", "beginning"]),
        "2\n3\n4\n"
    );
    good(&topics(
        &serve,
        &["delete-records", "orders", "--before", "latest", "--execute"],
    ));
    assert_eq!(bounds(&serve), [(5, 5), (3, 3)]);
}

#[test]
fn a_duration_keeps_what_is_younger() {
    let serve = serve();
    good(&topics(
        &serve,
        &["delete-records", "orders", "--before", "1 day ago", "--execute"],
    ));
    assert_eq!(bounds(&serve), [(0, 5), (0, 3)]);
    good(&topics(
        &serve,
        &["delete-records", "orders", "--before", "2200-01-01", "--execute"],
    ));
    assert_eq!(bounds(&serve), [(5, 5), (3, 3)]);
}

#[test]
fn a_file_has_an_offset_for_each_partition() {
    let serve = serve();
    let path = std::env::temp_dir().join(format!("kohort-delete-{}.csv", std::process::id()));
    std::fs::write(&path, "orders,0,4\norders,1,1\n").expect("room");
    let file = path.to_str().expect("a path of text");
    good(&topics(
        &serve,
        &["delete-records", "--from-file", file, "--execute"],
    ));
    assert_eq!(bounds(&serve), [(4, 5), (1, 3)]);
    std::fs::remove_file(path).expect("it is there");
}

#[test]
fn an_offset_beyond_the_end_deletes_nothing_at_all() {
    let serve = serve();
    let refused = topics(
        &serve,
        &["delete-records", "orders", "--before", "4", "--execute"],
    );
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("orders-1 ends at 3"), "{said}");
    assert_eq!(bounds(&serve), [(0, 5), (0, 3)]);
}

#[test]
fn a_topic_or_partition_that_is_not_there_is_named() {
    let serve = serve();
    for (scope, named) in [("nowhere", "nowhere"), ("orders:7", "no partition 7")] {
        let refused = topics(&serve, &["delete-records", scope, "--before", "1"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(named), "{said}");
    }
}
