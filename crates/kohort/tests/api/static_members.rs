//! Static membership (KIP-345) on a paused clock: how many rebalances it costs a group when a member is away for a while, with
//! `session.timeout.ms=30000`.

use std::time::Duration;

use kohort::Consumer;
use kohort::consumer::{CommitError, MemberError, PollError, ReadError};
use kohort::transport::Transport;
use kohort_broker::Broker;

use crate::support::{Cable, SOON, broker, consumer, partition, transport};

type Reader = Consumer<Option<String>, String>;

const SESSION: Duration = Duration::from_secs(30);

/// A group of a member that stays and one that goes away for a while.
struct Group {
    broker: Broker,
    stays: Reader,
    other: Option<Reader>,
    /// The other's `group.instance.id`.
    instance: Option<&'static str>,
    /// The other's, one for each time that it came; a dropped one is cut.
    cables: Vec<Cable>,
}

impl Group {
    /// Both have one partition.
    async fn of_two(instance: Option<&'static str>) -> Self {
        let broker = broker("t", 2).await;
        let mut group = Self {
            stays: subscribed(&broker, None, transport(&broker)),
            other: None,
            instance,
            cables: Vec::new(),
            broker,
        };
        group.settle(2).await;
        group.come();
        group.settle(1).await;
        group
    }

    /// The other member starts, as a new process.
    fn come(&mut self) {
        let cable = Cable::new(&self.broker);
        self.other = Some(subscribed(&self.broker, self.instance, cable.transport()));
        self.cables.push(cable);
    }

    async fn close(&mut self) {
        let other = self.other.take().expect("it is there");
        other.close(SOON).await.expect("it closes");
    }

    /// Nothing of the process is heard any more.
    fn crash(&mut self) {
        self.cables.last().expect("it came").cut();
        self.other = None;
    }

    /// Time passes, in which all that are there poll.
    async fn pass(&mut self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            self.poll().await;
        }
    }

    async fn poll(&mut self) {
        for member in [Some(&mut self.stays), self.other.as_mut()].into_iter().flatten() {
            member.poll(Duration::from_millis(20)).await.expect("no error");
        }
    }

    /// All poll until the member that stays has so many partitions, and the other the rest.
    async fn settle(&mut self, share: usize) {
        let end = tokio::time::Instant::now() + 10 * SESSION;
        let other = |group: &Self| group.other.as_ref().map_or(2 - share, |it| it.assignment().len());
        while (self.stays.assignment().len(), other(&*self)) != (share, 2 - share) {
            assert!(tokio::time::Instant::now() < end, "it does not settle");
            self.poll().await;
        }
    }

    /// How often the member that stays took part in a rebalance.
    fn rebalances(&self) -> u64 {
        self.stays
            .rebalance_journal()
            .ended()
            .last()
            .map_or(0, |last| last.number)
    }
}

fn subscribed(broker: &Broker, instance: Option<&str>, transport: Transport) -> Reader {
    let mut builder = consumer(broker)
        .group_id("g")
        .session_timeout_ms(30_000)
        .transport(transport);
    if let Some(instance) = instance {
        builder = builder.group_instance_id(instance);
    }
    let mut member = builder.build().expect("valid settings");
    member.subscribe(["t"]).expect("a group and a topic");
    member
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_member_that_closes_and_returns_costs_two_rebalances() {
    let mut group = Group::of_two(None).await;
    let before = group.rebalances();
    group.close().await;
    group.settle(2).await;
    group.come();
    group.settle(1).await;
    assert_eq!(group.rebalances() - before, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_member_that_crashes_and_returns_after_its_session_costs_two_rebalances() {
    let mut group = Group::of_two(None).await;
    let before = group.rebalances();
    group.crash();
    group.pass(SESSION * 3 / 2).await;
    assert_eq!(group.rebalances() - before, 1, "its session expired");
    group.come();
    group.settle(1).await;
    assert_eq!(group.rebalances() - before, 2);
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_member_that_crashes_and_returns_within_its_session_costs_one_rebalance() {
    let mut group = Group::of_two(None).await;
    let before = group.rebalances();
    group.crash();
    group.pass(SESSION / 2).await;
    assert_eq!(group.rebalances(), before);
    group.come();
    group.settle(1).await;
    group.pass(2 * SESSION).await;
    assert_eq!(group.rebalances() - before, 1);
}

#[tokio::test(start_paused = true)]
async fn a_static_member_that_is_back_within_its_session_costs_no_rebalance_and_keeps_its_partitions() {
    let mut group = Group::of_two(Some("i")).await;
    let before = group.rebalances();
    let owned = group.other.as_ref().map(Consumer::assignment);
    group.crash();
    group.pass(SESSION / 2).await;
    group.come();
    group.settle(1).await;
    assert_eq!(group.other.as_ref().map(Consumer::assignment), owned);
    // A clean close is no different: a static member does not leave.
    group.close().await;
    group.pass(SESSION / 2).await;
    group.come();
    group.settle(1).await;
    group.pass(2 * SESSION).await;
    assert_eq!(group.other.as_ref().map(Consumer::assignment), owned);
    assert_eq!(group.rebalances(), before);
}

#[tokio::test(start_paused = true)]
async fn a_static_member_that_is_back_after_its_session_costs_two_rebalances() {
    for is_clean in [false, true] {
        let mut group = Group::of_two(Some("i")).await;
        let before = group.rebalances();
        match is_clean {
            true => group.close().await,
            false => group.crash(),
        }
        group.pass(SESSION * 3 / 2).await;
        assert_eq!(group.rebalances() - before, 1, "its session expired");
        group.come();
        group.settle(1).await;
        assert_eq!(group.rebalances() - before, 2, "closed: {is_clean}");
    }
}

fn assert_is_fenced(error: &PollError) {
    assert!(error.is_fatal());
    let PollError::Read(ReadError::Membership(error)) = error else {
        panic!("{error:?}");
    };
    assert!(
        matches!(&**error, MemberError::FencedInstanceId { group_instance_id, .. } if &**group_instance_id == "i"),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_old_holder_of_an_instance_id_is_fenced_for_good() {
    let mut group = Group::of_two(Some("i")).await;
    let mut old = group.other.take().expect("it is there");
    group.come();
    group.settle(1).await;
    let error = loop {
        if let Err(error) = old.poll(SOON).await {
            break error;
        }
    };
    assert_is_fenced(&error);
    // However often it polls: it does not take the id back.
    for _ in 0..3 {
        assert_is_fenced(&old.poll(SOON).await.expect_err("it is fenced"));
        group.pass(SESSION / 2).await;
    }
    let offset = kohort::OffsetAndMetadata::new(1);
    let refused = old.commit_sync_offsets([(partition(1), offset)]).await;
    assert_eq!(refused, Err(CommitError::FencedInstanceId));
}
