//! Dropping a consumer whose broker is gone: the caller waits for nobody. The bound is 1 ms.
//!
//! `cargo bench -p kohort-bench --bench drop`

use std::time::Duration;

use kohort::config::AutoOffsetReset;
use kohort::consumer::ConsumerBuilder;
use kohort::transport::Transport;
use kohort::{Consumer, blocking};
use kohort_broker::Broker;
use tokio::runtime::{Builder, Runtime};

fn main() {
    divan::main();
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn started() -> Broker {
    let broker = Broker::builder().topic("t", 6).start().await;
    broker.expect("it starts")
}

fn member(broker: &Broker) -> ConsumerBuilder<(), ()> {
    Consumer::builder()
        .bootstrap_servers(broker.bootstrap_servers())
        .group_id("g")
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .enable_auto_commit(true)
        .transport(Transport::new(broker.connector().into_fn()))
}

/// A member with six partitions, whose broker has ended since.
async fn orphan() -> Consumer<(), ()> {
    let broker = started().await;
    let mut member = member(&broker).build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    while member.assignment().len() != 6 {
        member.poll(Duration::from_millis(10)).await.expect("no error");
    }
    broker.shutdown().await;
    member
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn a_member_whose_broker_is_gone(bencher: divan::Bencher<'_, '_>) {
    let runtime = runtime();
    bencher
        .with_inputs(|| runtime.block_on(orphan()))
        .bench_local_values(drop);
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn a_blocking_member_whose_broker_is_gone(bencher: divan::Bencher<'_, '_>) {
    let runtime = runtime();
    let orphan = || -> blocking::Consumer<(), ()> {
        let broker = runtime.block_on(started());
        let mut member = member(&broker).build_blocking().expect("valid settings");
        member.subscribe(["t"]).expect("a group and a topic");
        while member.assignment().len() != 6 {
            member.poll(Duration::from_millis(10)).expect("no error");
        }
        runtime.block_on(broker.shutdown());
        member
    };
    bencher.with_inputs(orphan).bench_local_values(drop);
}
