//! Records that the broker reads from files, and that nobody takes.

use kohort_protocol::messages::FetchRequest;
use kohort_protocol::messages::fetch::{FetchPartition, FetchTopic};
use kohort_records::{BatchBuilder, Compression};

use crate::broker::Broker;
use crate::client::{Client, framed, produce};
use crate::memory::{BESIDE, MIB, within};

/// A Fetch of the first partition of `t`, so many times.
fn fetch_often(times: usize) -> Vec<u8> {
    let partition = FetchPartition {
        current_leader_epoch: -1,
        partition_max_bytes: 4 << 20,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: "t".into(),
        partitions: vec![partition; times],
        ..Default::default()
    };
    let fetch = FetchRequest {
        max_wait_ms: 1_000,
        min_bytes: 1,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    };
    framed(12, fetch)
}

#[test]
fn records_from_files_that_nobody_reads_share_one_bound_and_clients_get_on_all_the_same() {
    const CONNECTIONS: usize = 40;
    let dir = std::env::temp_dir().join(format!("kohort-hostile-files-{}", std::process::id()));
    let path = dir.to_str().expect("a path in UTF-8");
    let args = ["--data-dir", path, "-X", "queued.max.request.bytes=67108864"];
    let broker = Broker::start("files", &args);
    let mut client = Client::connect(&broker.address);
    let value = vec![7; 900_000];
    for _ in 0..5 {
        let mut builder = BatchBuilder::new(Compression::None, None).expect("no level");
        builder.append(0, None, Some(&value), &[]).expect("it fits");
        let answer = client.ask(9, produce("t", vec![builder.build(0).expect("a record")]));
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
    // Each answer would have 55 MiB.
    let fetch = fetch_often(20);
    // Of those beyond the bound each has a batch.
    let most = 64 * MIB + 55 * MIB + CONNECTIONS as u64 * MIB + BESIDE;
    within(most, &broker, || {
        let mut clients: Vec<Client> = (0..CONNECTIONS)
            .map(|_| Client::connect(&broker.address))
            .collect();
        clients.iter_mut().for_each(|client| client.send(&fetch));
        // The last has its answer when the broker has made all.
        let mut answers: Vec<usize> = Vec::new();
        for client in clients.iter_mut().rev() {
            answers.push(client.answer().expect("an answer").len());
        }
        assert!(answers.iter().all(|bytes| *bytes > value.len()), "{answers:?}");
        println!("answers of {answers:?} bytes");
    });
    drop(broker);
    std::fs::remove_dir_all(dir).expect("the directory of the broker");
}
