//! `assign MEMBERS TOPICS PARTITIONS_PER_TOPIC ROUNDS equal|unequal [racks]`: how many milliseconds each of Kafka's assignors takes, from
//! nothing ("fresh") and after the first member has left and a new one has joined ("rejoin"), and how many partitions moved then.
//! One line of JSON for each assignor.
//!
//! `unequal`: each member subscribes to every second topic, odd or even by its number, and to topic 0.
//! `racks`: three of them, the members in turn on one each; each partition has replicas on two, in turn, too.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use kohort_groups::assign::{Assigned, Assignor, GroupTopics, Shares, TopicLayout, by_name};
use kohort_groups::{Identity, Subscription, TopicPartition};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unwritable = std::io::stderr().write_fmt(format_args!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// What is assigned.
struct Load {
    members: usize,
    topics: Vec<Arc<str>>,
    partitions: u32,
    rounds: usize,
    is_unequal: bool,
    has_racks: bool,
}

/// How many racks there are.
const RACKS: usize = 3;

fn rack(number: usize) -> Arc<str> {
    format!("rack-{}", number % RACKS).into()
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [members, topics, partitions, rounds, subscriptions, racks @ ..] = &arguments[..] else {
        return Err("usage: assign MEMBERS TOPICS PARTITIONS_PER_TOPIC ROUNDS equal|unequal [racks]".into());
    };
    let load = Load {
        members: members.parse()?,
        topics: (0..topics.parse()?)
            .map(|topic: usize| format!("topic-{topic:05}").into())
            .collect(),
        partitions: partitions.parse()?,
        rounds: rounds.parse::<usize>()?.max(1),
        is_unequal: subscriptions == "unequal",
        has_racks: racks.first().is_some_and(|racks| racks == "racks"),
    };
    for name in ["range", "roundrobin", "sticky", "cooperative-sticky"] {
        let assignor = by_name(name).ok_or("an assignor of Kafka's is missing")?;
        let line = measure(&load, assignor, subscriptions)?;
        std::io::stdout().write_all(line.as_bytes())?;
    }
    Ok(())
}

fn measure(load: &Load, assignor: &dyn Assignor, subscriptions: &str) -> Result<String, Box<dyn Error>> {
    let layout = |topic: &Arc<str>| (Arc::clone(topic), load.layout());
    let topics: GroupTopics = load.topics.iter().map(layout).collect();
    let (mut fresh, mut rejoin, mut moved) = (Vec::new(), Vec::new(), 0);
    for _ in 0..load.rounds {
        let members = (0..load.members)
            .map(|number| load.member(assignor, number, None))
            .collect();
        let (first, took) = timed(assignor, &topics, &members)?;
        fresh.push(took);
        let members = (1..=load.members)
            .map(|number| load.member(assignor, number, Some(&first)))
            .collect();
        let (second, took) = timed(assignor, &topics, &members)?;
        rejoin.push(took);
        moved = moved_or_new(&first, &second);
    }
    fresh.sort_by(f64::total_cmp);
    rejoin.sort_by(f64::total_cmp);
    let middle = load.rounds / 2;
    let mut line = String::new();
    writeln!(
        line,
        "{{\"assignor\":\"{}\",\"members\":{},\"partitions\":{},\"subscriptions\":\"{subscriptions}\",\"fresh_ms_min\":{:.2},\"fresh_ms_med\":{:.2},\"rejoin_ms_min\":{:.2},\"rejoin_ms_med\":{:.2},\"moved_or_newly_assigned\":{moved}}}",
        assignor.name(),
        load.members,
        load.topics.len() * load.partitions as usize,
        fresh[0],
        fresh[middle],
        rejoin[0],
        rejoin[middle],
    )?;
    Ok(line)
}

fn timed(
    assignor: &dyn Assignor,
    topics: &GroupTopics,
    members: &BTreeMap<String, Subscription>,
) -> Result<(Shares, f64), Box<dyn Error>> {
    let start = Instant::now();
    let shares = assignor.assign(topics, members)?;
    Ok((shares, start.elapsed().as_secs_f64() * 1e3))
}

impl Load {
    fn layout(&self) -> TopicLayout {
        let mut layout = TopicLayout::new(self.partitions);
        if self.has_racks {
            let racks = |partition| vec![rack(partition), rack(partition + 1)];
            layout.racks = (0..self.partitions as usize).map(racks).collect();
        }
        layout
    }

    /// What member `number` says when it joins, after it got its part of `before`.
    fn member(
        &self,
        assignor: &dyn Assignor,
        number: usize,
        before: Option<&Shares>,
    ) -> (String, Subscription) {
        let id = format!("member-{number:05}");
        let is_wanted = |at: &usize| !self.is_unequal || *at == 0 || (at + number).is_multiple_of(2);
        let topics: Vec<Arc<str>> = (0..self.topics.len())
            .filter(is_wanted)
            .map(|at| Arc::clone(&self.topics[at]))
            .collect();
        let last = before.and_then(|before| before.get(&id)).map(|share| Assigned {
            assignment: share.clone(),
            identity: Identity {
                member_id: id.as_str().into(),
                generation: 1,
                group_instance_id: None,
            },
        });
        let subscription = Subscription {
            user_data: assignor.subscription_user_data(&topics, last.as_ref()),
            topics,
            owned: last.map_or(Vec::new(), |last| last.assignment.partitions),
            generation: before.map(|_| 1),
            rack: self.has_racks.then(|| rack(number)),
            ..Subscription::default()
        };
        (id, subscription)
    }
}

fn moved_or_new(before: &Shares, after: &Shares) -> usize {
    let owners: BTreeMap<&TopicPartition, &String> = before
        .iter()
        .flat_map(|(id, share)| share.partitions.iter().map(move |partition| (partition, id)))
        .collect();
    let is_new = |(id, partition): &(&String, &TopicPartition)| owners.get(partition) != Some(id);
    after
        .iter()
        .flat_map(|(id, share)| share.partitions.iter().map(move |partition| (id, partition)))
        .filter(is_new)
        .count()
}
