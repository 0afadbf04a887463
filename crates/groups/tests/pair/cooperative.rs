//! Cooperative groups (KIP-429), and the way there from an eager one.

use std::collections::BTreeSet;
use std::time::Duration;

use kohort_groups::TopicPartition;
use kohort_groups::member::{Event, LeaveOperation};

use crate::world::World;
use crate::{FAIR, assert_at_rest, calm_down};

const COOPERATIVE: &[&str] = &["cooperative-sticky"];

/// What the members that are alive read.
fn read(world: &World) -> Vec<BTreeSet<TopicPartition>> {
    let alive = world.alive().into_iter();
    alive.map(|index| world.processes[index].reads.clone()).collect()
}

fn group_of(count: usize, seed: u64) -> World {
    let mut world = World::new(seed, COOPERATIVE, FAIR);
    world.partitions.insert("t".into(), 60);
    for _ in 0..count {
        world.start(None, &["t"]);
    }
    calm_down(&mut world);
    world.pauses.ended.clear();
    world
}

/// The partitions that were stopped, and the longest pause of one.
fn pauses(world: &World) -> (BTreeSet<&TopicPartition>, Duration) {
    let stopped = world.pauses.ended.iter().map(|(partition, _)| partition);
    let longest = world.pauses.ended.iter().map(|(_, pause)| *pause).max();
    (stopped.collect(), longest.unwrap_or_default())
}

#[test]
fn when_a_member_joins_only_what_moves_stops_and_its_new_owner_has_it_within_half_a_second() {
    for seed in 0..50 {
        let mut world = group_of(3, seed);
        let before = read(&world);
        world.start(None, &["t"]);
        world.run(Duration::from_secs(10));
        assert_at_rest(&world, seed);
        let after = read(&world);
        let moved = &after[3];
        assert_eq!(moved.len(), 15, "seed {seed}");
        for (before, after) in before.iter().zip(&after) {
            assert!(
                after.is_subset(before),
                "seed {seed}: what is kept was kept all the time"
            );
        }
        let (stopped, longest) = pauses(&world);
        assert_eq!(stopped, moved.iter().collect(), "seed {seed}");
        // Two rounds over a network of up to 20 ms each way, listeners of up to 100 ms, and no heartbeat interval of 3 s.
        assert!(longest < Duration::from_millis(700), "seed {seed}: {longest:?}");
    }
}

#[test]
fn when_a_member_leaves_nothing_of_the_others_stops() {
    let mut world = group_of(4, 1);
    let before = read(&world);
    let (operation, reason) = (LeaveOperation::Default, "done".into());
    world.tell(3, Event::Leave { operation, reason });
    world.run(Duration::from_secs(1));
    world.crash(3);
    world.run(Duration::from_secs(10));
    assert_at_rest(&world, 1);
    for (before, after) in before.iter().zip(read(&world)) {
        assert!(before.is_subset(&after));
    }
    assert_eq!(pauses(&world).0, before[3].iter().collect());
}

#[test]
fn when_a_member_dies_its_partitions_go_on_with_the_end_of_its_session() {
    for seed in 0..20 {
        let mut world = group_of(3, seed);
        world.run(Duration::from_secs(17) + Duration::from_millis(seed * 130));
        world.crash(2);
        // Its last heartbeat was at most one interval ago, and the others beat in step with it.
        world.run(crate::world::SESSION + Duration::from_secs(1));
        assert_at_rest(&world, seed);
        assert!(
            world.pauses.ended.is_empty(),
            "seed {seed}: of the others nothing stops"
        );
    }
}

#[test]
fn a_leader_that_dies_between_join_and_sync_is_replaced() {
    let mut world = group_of(3, 1);
    world.kills_leader = true;
    world.start(None, &["t"]);
    world.run(Duration::from_secs(60));
    assert_eq!(world.alive().len(), 3);
    assert_at_rest(&world, 1);
}

#[test]
fn members_beyond_the_partitions_are_idle_and_cause_no_rebalance() {
    let mut world = World::new(1, COOPERATIVE, FAIR);
    for _ in 0..9 {
        world.start(None, &["t"]);
    }
    calm_down(&mut world);
    assert_at_rest(&world, 1);
    let idle = read(&world).iter().filter(|reads| reads.is_empty()).count();
    assert_eq!(idle, 3);
    let generations = world.generations();
    world.run(Duration::from_secs(600));
    assert_eq!(world.generations(), generations);
}

#[test]
fn a_member_that_joins_during_a_rebalance_is_in_the_next_round() {
    for delay in (0..400).step_by(20) {
        let mut world = group_of(2, delay);
        world.start(None, &["t"]);
        world.run(Duration::from_millis(1_900 + delay));
        world.start(None, &["t"]);
        world.run(Duration::from_secs(15));
        assert_at_rest(&world, delay);
        assert!(
            read(&world).iter().all(|reads| reads.len() == 15),
            "delay {delay}"
        );
    }
}

#[test]
fn a_member_that_subscribes_to_a_topic_less_goes_on_with_the_other_one() {
    let mut world = World::new(1, COOPERATIVE, FAIR);
    for _ in 0..2 {
        world.start(None, &["t", "u"]);
    }
    calm_down(&mut world);
    world.pauses.ended.clear();
    let mut kept = read(&world).swap_remove(0);
    kept.retain(|partition| &*partition.topic == "t");
    assert!(!kept.is_empty());
    world.subscribe(0, &["t"]);
    world.run(Duration::from_secs(15));
    assert_at_rest(&world, 1);
    let (stopped, _) = pauses(&world);
    assert!(kept.iter().all(|partition| !stopped.contains(partition)));
    assert!(kept.is_subset(&read(&world)[0]));
}

#[test]
fn a_topic_that_is_deleted_and_created_again_is_given_up_and_shared_out_anew() {
    let mut world = World::new(1, COOPERATIVE, FAIR);
    for _ in 0..2 {
        world.start(None, &["t", "u"]);
    }
    calm_down(&mut world);
    world.partitions.remove("u");
    world.tell_all_partitions();
    world.run(Duration::from_secs(15));
    assert_eq!(read(&world).iter().map(BTreeSet::len).sum::<usize>(), 6);
    world.partitions.insert("u".into(), 3);
    world.tell_all_partitions();
    world.run(Duration::from_secs(15));
    assert_at_rest(&world, 1);
}

#[test]
fn partitions_that_are_added_are_shared_out_and_nothing_else_stops() {
    let mut world = group_of(3, 1);
    world.partitions.insert("t".into(), 66);
    world.tell_all_partitions();
    world.run(Duration::from_secs(15));
    assert_at_rest(&world, 1);
    assert!(read(&world).iter().all(|reads| reads.len() == 22));
    assert!(world.pauses.ended.is_empty());
}

/// Each of three members in turn is replaced by one with these assignors.
fn bounce(world: &mut World, seed: u64, assignors: &[&str]) {
    for index in world.alive() {
        let (operation, reason) = (LeaveOperation::Default, "bounce".into());
        world.tell(index, Event::Leave { operation, reason });
        world.run(Duration::from_secs(1));
        world.crash(index);
        world.start_with(None, &["t", "u"], assignors);
        world.run(Duration::from_secs(15));
        assert_at_rest(world, seed);
    }
}

// KIP-429, "Upgrade"
#[test]
fn from_the_default_list_one_rolling_bounce_makes_a_group_cooperative() {
    for seed in 0..10 {
        let mut world = World::new(seed, &["range", "cooperative-sticky"], FAIR);
        for _ in 0..3 {
            world.start(None, &["t", "u"]);
        }
        calm_down(&mut world);
        bounce(&mut world, seed, COOPERATIVE);
        assert_is_cooperative(&mut world, seed);
    }
}

// KIP-429, "Upgrade"
#[test]
fn from_range_alone_two_rolling_bounces_make_a_group_cooperative() {
    for seed in 0..10 {
        let mut world = World::new(seed, &["range"], FAIR);
        for _ in 0..3 {
            world.start(None, &["t", "u"]);
        }
        calm_down(&mut world);
        bounce(&mut world, seed, &["cooperative-sticky", "range"]);
        bounce(&mut world, seed, COOPERATIVE);
        assert_is_cooperative(&mut world, seed);
    }
}

/// One more member does not stop what the others keep.
fn assert_is_cooperative(world: &mut World, seed: u64) {
    world.pauses.ended.clear();
    world.start_with(None, &["t", "u"], COOPERATIVE);
    world.run(Duration::from_secs(15));
    assert_at_rest(world, seed);
    let moved = read(world).pop().expect("four members");
    assert_eq!(pauses(world).0, moved.iter().collect(), "seed {seed}");
}
