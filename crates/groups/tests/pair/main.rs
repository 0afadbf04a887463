//! Several members and one coordinator in memory, without a network: they join, leave, crash, stall and lose connections by
//! seed, and then must come to rest with every partition owned once.

mod cooperative;
mod translate;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kohort_groups::TopicPartition;
use kohort_groups::member::{Event, LeaveOperation};

use world::{REBALANCE, SESSION, Weather, World};

const FAIR: Weather = Weather {
    loses_one_in: 0,
    stalls_one_in: 0,
};
const FOUL: Weather = Weather {
    loses_one_in: 12,
    stalls_one_in: 25,
};

/// One thing that the outside does to the group.
fn disturb(world: &mut World) {
    let alive = world.alive();
    let any = |world: &mut World| alive[world.prng.index(alive.len())];
    let topics: &[&str] = match world.prng.below(4) {
        0 => &["t"],
        1 => &["u"],
        _ => &["t", "u"],
    };
    match world.prng.below(16) {
        0..=3 if alive.len() < 5 => world.start(None, topics),
        4 | 5 if alive.len() < 5 => {
            // Now and then a process runs already under that instance id: that one is fenced.
            let instance = ["i", "j"][world.prng.below(2) as usize];
            world.start(Some(instance.into()), topics);
        }
        6 | 7 if alive.len() > 1 => {
            let index = any(world);
            world.crash(index);
        }
        8 | 9 if alive.len() > 1 => {
            let index = any(world);
            let (operation, reason) = (LeaveOperation::LeaveGroup, "done".into());
            world.tell(index, Event::Leave { operation, reason });
            world.run(Duration::from_millis(500));
            world.crash(index);
        }
        10 if !alive.is_empty() => {
            let index = any(world);
            world.subscribe(index, topics);
        }
        11 if !alive.is_empty() => {
            let index = any(world);
            world.tell(index, Event::PollExpired);
        }
        12 => {
            let count = 1 + world.prng.below(8) as u32;
            world.partitions.insert("t".into(), count);
            world.tell_all_partitions();
        }
        14 => {
            // A topic is deleted, or created again.
            if world.partitions.remove("u").is_none() {
                world.partitions.insert("u".into(), 3);
            }
            world.tell_all_partitions();
        }
        13 if world.weather.loses_one_in > 0 => world.fail_over(),
        _ => {}
    }
}

/// No one disturbs any more: sessions of the dead expire, the living come to rest.
fn calm_down(world: &mut World) {
    world.weather = FAIR;
    world.partitions.entry("u".into()).or_insert(3);
    world.tell_all_partitions();
    if world.alive().is_empty() {
        world.start(None, &["t"]);
    }
    for _ in 0..10 {
        for index in world.alive() {
            world.tell(index, Event::Polled);
        }
        world.run(SESSION + REBALANCE);
    }
}

fn assert_at_rest(world: &World, seed: u64) {
    let mut owned: BTreeSet<&TopicPartition> = BTreeSet::new();
    let mut generations = BTreeSet::new();
    let mut wanted: BTreeSet<&Arc<str>> = BTreeSet::new();
    for index in world.alive() {
        let process = &world.processes[index];
        assert!(
            process.member.is_stable(),
            "seed {seed}: process {index} is {:?}",
            process.member
        );
        generations.extend(process.member.generation());
        wanted.extend(&process.topics);
        for partition in process.member.owned() {
            assert!(
                process.topics.contains(&partition.topic),
                "seed {seed}: {partition} is not wanted"
            );
            assert!(owned.insert(partition), "seed {seed}: {partition} has two owners");
        }
    }
    assert_eq!(generations.len(), 1, "seed {seed}: {generations:?}");
    let expected: usize = wanted.iter().map(|topic| world.partitions[*topic] as usize).sum();
    // Kafka: ConsumerCoordinator.onLeaderElected takes the metadata of now for those of the assignment that it does not make, so
    // that nobody sees what changed while the leader was away.
    if !world.is_assignment_old {
        assert_eq!(owned.len(), expected, "seed {seed}: partitions without an owner");
    }
}

/// Runs one seed and returns how many generations there were.
fn live(seed: u64, weather: Weather) -> usize {
    const ASSIGNORS: [&[&str]; 5] = [
        &["range"],
        &["cooperative-sticky"],
        &["roundrobin"],
        &["cooperative-sticky"],
        &["range", "cooperative-sticky"],
    ];
    let assignors = ASSIGNORS[(seed % ASSIGNORS.len() as u64) as usize];
    let mut world = World::new(seed, assignors, weather);
    for _ in 0..40 {
        disturb(&mut world);
        let pause = Duration::from_millis(world.prng.below(6_000));
        world.run(pause);
    }
    calm_down(&mut world);
    assert_at_rest(&world, seed);
    let generations = world.generations();
    let began: Vec<u64> = world.processes.iter().map(|process| process.began).collect();
    world.run(Duration::from_secs(900));
    assert_at_rest(&world, seed);
    let later: Vec<u64> = world.processes.iter().map(|process| process.began).collect();
    assert_eq!(began, later, "seed {seed}: a stable group rebalanced");
    assert_eq!(generations, world.generations());
    generations
}

#[test]
fn a_group_that_is_only_disturbed_comes_to_rest_with_every_partition_owned_once() {
    let generations: usize = (0..100).map(|seed| live(seed, FAIR)).sum();
    assert!(generations > 1_000, "{generations} generations");
}

#[test]
fn a_group_in_foul_weather_comes_to_rest_with_every_partition_owned_once() {
    let generations: usize = (1_000..1_120).map(|seed| live(seed, FOUL)).sum();
    assert!(generations > 800, "{generations} generations");
}

#[test]
fn the_same_seed_lives_the_same_life() {
    assert_eq!(live(7, FOUL), live(7, FOUL));
}

#[test]
fn a_static_member_that_restarts_within_its_session_causes_no_rebalance() {
    let mut world = World::new(1, &["range"], FAIR);
    world.start(Some("i".into()), &["t"]);
    world.start(Some("j".into()), &["t"]);
    calm_down(&mut world);
    let (generations, began) = (world.generations(), world.processes[1].began);
    for restarted in 0..2 {
        world.crash(restarted);
        world.run(Duration::from_secs(1));
        let instance = ["i", "j"][restarted];
        world.start(Some(instance.into()), &["t"]);
        world.run(Duration::from_secs(60));
        assert_at_rest(&world, 1);
    }
    assert_eq!(
        (world.generations(), world.processes[1].began),
        (generations, began)
    );
}

#[test]
fn the_older_of_two_processes_with_one_instance_id_is_fenced() {
    let mut world = World::new(1, &["range"], FAIR);
    world.start(Some("i".into()), &["t"]);
    calm_down(&mut world);
    world.start(Some("i".into()), &["t"]);
    calm_down(&mut world);
    assert_eq!(world.alive(), [1]);
    assert_at_rest(&world, 1);
}
