//! `kohort consume -e` in a group that has a member already: it gets its share, reads that to the end, and goes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::process::{Serve, kohort};
use crate::rebalances::{described, join, settled};

const PARTITIONS: i64 = 4;
const RECORDS: i64 = 25;

/// What the group gave to the newcomer, in whichever round.
fn share(shown: &Value) -> BTreeSet<i64> {
    let rebalances = shown["rebalances"].as_array().expect("rebalances").iter();
    let members = rebalances.flat_map(|each| each["members"].as_array().expect("members"));
    let newcomers = members.filter(|member| member["client_id"] == "newcomer");
    let got = newcomers.filter_map(|member| member["got"]["t"].as_array());
    got.flatten()
        .map(|partition| partition.as_i64().expect("a number"))
        .collect()
}

/// A member has all partitions and commits nothing; a newcomer reads to the end.
fn reads_its_share_and_ends(strategy: &str) {
    let serve = Serve::start(&["--topic", "t:4", "-X", "group.initial.rebalance.delay.ms=0"]);
    for partition in 0..PARTITIONS {
        let lines: String = (0..RECORDS)
            .map(|number| format!("{partition}-{number}\n"))
            .collect();
        serve.produce(&["-t", "t", "-p", &partition.to_string()], lines);
    }
    let strategy = format!("partition.assignment.strategy={strategy}");
    let of_all = ["-o", "beginning", "-X", &*strategy];
    let more = [&of_all[..], &["-X", "enable.auto.commit=false"]].concat();
    let _member = join(&serve.bootstrap, "t", "g", "member", &more);
    settled(&serve.bootstrap, "g", 1);
    let mut newcomer = kohort(&["consume", "-b", &serve.bootstrap, "-t", "t", "-G", "g", "-e"]);
    newcomer
        .args(of_all)
        .args(["-X", "client.id=newcomer", "-f", "%p %o %s\\n"]);
    let output = newcomer.output().expect("kohort runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");

    let mut printed: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let (partition, record) = line.split_once(' ').expect("a partition first");
        let of_partition = printed.entry(partition.parse().expect("a number")).or_default();
        of_partition.push(record.to_owned());
    }
    let share = share(&described(&serve.bootstrap, "g"));
    assert_eq!(share.len(), 2, "half of four: {share:?}");
    let all_of = |partition: &i64| {
        let records = (0..RECORDS).map(|number| format!("{number} {partition}-{number}"));
        (*partition, records.collect())
    };
    assert_eq!(printed, share.iter().map(all_of).collect());
}

#[test]
fn a_newcomer_to_a_cooperative_group_gets_its_share_in_the_second_round_reads_it_to_the_end_and_goes() {
    reads_its_share_and_ends("cooperative-sticky");
}

#[test]
fn a_newcomer_to_an_eager_group_gets_its_share_reads_it_to_the_end_and_goes() {
    reads_its_share_and_ends("range");
}
