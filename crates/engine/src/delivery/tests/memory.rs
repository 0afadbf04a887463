//! What counts as held, and what is not handed out while too much is.

use super::*;

/// As [`delivery`] with this budget.
fn delivery_with(budget: u64, partitions: u64) -> Delivery {
    let mut config = config();
    config.memory_budget = budget;
    delivery_of(&config, partitions)
}

/// A batch of ten records of 1000 bytes that are hard to guess from its size.
fn large(base: i64, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(compression, None).unwrap();
    for offset in base..base + 10 {
        builder.append(offset, None, Some(&[7; 1000]), &[]).unwrap();
    }
    builder.build(base).unwrap()
}

#[test]
fn a_batch_counts_until_the_last_handle_of_a_record_is_dropped() {
    let mut delivery = delivery(1);
    let records = large(0, Compression::None);
    let size = records.len() as u64;
    give(&mut delivery, 0, records);
    assert_eq!(delivery.held(), 0, "it is buffered");
    let taken = delivery.take(500).unwrap();
    assert_eq!(delivery.held(), size);
    assert_eq!(delivery.report(None).held, size);
    let record = taken.chunks().next().unwrap().records().iter().next().unwrap();
    let (shared, copied) = (record.to_owned(), record.to_copy());
    drop(taken);
    assert_eq!(delivery.held(), size);
    drop(shared);
    assert_eq!(delivery.held(), 0);
    assert_eq!(copied.value.unwrap().len(), 1000);
}

#[test]
fn what_one_fetch_brought_counts_as_a_whole_and_under_the_partitions_that_are_kept() {
    let mut delivery = delivery_with(20_000, 2);
    let (one, two) = (large(0, Compression::None), large(0, Compression::None));
    let size = (one.len() + two.len()) as u64;
    delivery.accept(ToCaller::Batches(vec![fetched(0, one), fetched(2, two)]));
    drop(delivery.take(10).unwrap());
    let kept = delivery.take(10).unwrap();
    assert_eq!(delivery.held(), size);
    assert!(delivery.take(10).unwrap().is_empty());
    let held_up = delivery.held_up().unwrap();
    assert_eq!(held_up.partitions, [partition(1)]);
    assert_eq!((held_up.held, held_up.budget), (size, 20_000));
    drop(kept);
    assert_eq!((delivery.held(), delivery.held_up()), (0, None));
}

#[test]
fn nothing_more_is_decompressed_while_half_of_the_budget_is_kept_decompressed() {
    for compression in [
        Compression::Lz4,
        Compression::Zstd,
        Compression::Gzip,
        Compression::Snappy,
    ] {
        let mut delivery = delivery_with(30_000, 1);
        let batches: Vec<_> = (0..4).map(|n| large(n * 10, compression)).collect();
        give(&mut delivery, 0, run(&batches));
        // The second passes the half.
        let mut kept = delivery.take(500).unwrap();
        assert_eq!(kept.len(), 20, "{compression}");
        assert!(delivery.take(500).unwrap().is_empty());
        let held_up = delivery.held_up().unwrap();
        assert_eq!(held_up.partitions, [partition(0)]);
        assert!(
            (20_000..30_000).contains(&held_up.held),
            "{compression}: {}",
            held_up.held
        );
        kept = Taken::default();
        assert_eq!(delivery.held_up(), None);
        drop(kept);
        assert_eq!(take(&mut delivery, 500).len(), 20, "{compression}");
    }
}

#[test]
fn a_batch_larger_than_the_budget_is_opened_when_nothing_else_is() {
    let mut delivery = delivery_with(1, 1);
    give(
        &mut delivery,
        0,
        run(&[large(0, Compression::Lz4), large(10, Compression::Lz4)]),
    );
    for _ in 0..2 {
        assert_eq!(take(&mut delivery, 500).len(), 10);
    }
}

#[test]
fn batches_that_are_not_compressed_are_handed_out_whatever_is_held() {
    let mut delivery = delivery_with(1_000, 1);
    give(
        &mut delivery,
        0,
        run(&[large(0, Compression::None), large(10, Compression::None)]),
    );
    let one = delivery.take(10).unwrap();
    let two = delivery.take(10).unwrap();
    assert_eq!((one.len(), two.len()), (10, 10));
}

#[test]
fn progress_is_due_when_nothing_is_there_and_less_is_held_than_was_reported() {
    let mut delivery = delivery(1);
    give(&mut delivery, 0, large(0, Compression::None));
    let kept = delivery.take(500).unwrap();
    assert!(delivery.report(None).held > 0);
    assert!(delivery.take(500).unwrap().is_empty());
    assert_eq!(delivery.progress(), None);
    drop(kept);
    assert_eq!(delivery.progress(), None, "only when there is nothing to take");
    assert!(delivery.take(500).unwrap().is_empty());
    assert_eq!(delivery.progress().unwrap().held, 0);
}

#[test]
fn a_paused_partition_holds_its_own_bytes_alone() {
    let mut delivery = delivery(2);
    let two = run(&[large(0, Compression::Lz4), large(10, Compression::Lz4)]);
    delivery.accept(ToCaller::Batches(vec![
        fetched(0, two.clone()),
        fetched(2, large(0, Compression::None)),
    ]));
    // Its first batch is open.
    assert_eq!(take(&mut delivery, 4).len(), 4);
    delivery.pause(&partition(0)).unwrap();
    assert_eq!(take(&mut delivery, 500).len(), 10);
    assert!(delivery.held() == 0, "{}", delivery.held());
    delivery.resume(&partition(0)).unwrap();
    let rest: Vec<_> = (4..20).map(|offset| (0, offset)).collect();
    assert_eq!(take(&mut delivery, 500), rest);
    assert_eq!(delivery.held(), 0);
}

#[test]
fn what_is_kept_of_a_partition_that_was_revoked_still_counts_and_has_its_name() {
    let mut delivery = delivery_with(8_000, 1);
    give(&mut delivery, 0, large(0, Compression::None));
    let kept = delivery.take(500).unwrap();
    delivery.accept(ToCaller::Partitions {
        removed: vec![SlotId(0)],
        added: vec![(SlotId(4), Arc::new(partition(5)))],
    });
    assert!(delivery.take(500).unwrap().is_empty());
    assert_eq!(delivery.held_up().unwrap().partitions, [partition(0)]);
    drop(kept);
    assert_eq!(delivery.held_up(), None);
}

/// Whether the value lies in the bytes.
fn lies_in(bytes: &Bytes, value: &Bytes) -> bool {
    bytes.as_ptr_range().contains(&value.as_ptr())
}

#[test]
fn records_are_copied_out_from_a_quarter_of_the_budget_on_that_is_with_the_user() {
    let size = large(0, Compression::None).len() as u64;
    for (budget, is_copied) in [(4 * size, true), (4 * size + 4, false)] {
        let mut delivery = delivery_with(budget, 1);
        let batches = [0, 10, 20].map(|base| large(base, Compression::None));
        for batch in &batches {
            give(&mut delivery, 0, batch.clone());
        }
        // The first is with the user as soon as the second is asked for.
        let (mut kept, mut next) = (Until::offset(-1), Until::offset(-1));
        assert_eq!(delivery.hand_out(10, &mut kept).unwrap(), 10);
        assert!(kept.values.iter().all(|value| lies_in(&batches[0], value)));
        assert_eq!(delivery.hand_out(10, &mut next).unwrap(), 10);
        assert!(
            next.values
                .iter()
                .all(|value| lies_in(&batches[1], value) != is_copied)
        );
        drop(kept);
        let mut last = Until::offset(-1);
        drop(next);
        assert_eq!(delivery.hand_out(10, &mut last).unwrap(), 10);
        assert!(last.values.iter().all(|value| lies_in(&batches[2], value)));
    }
}

#[test]
fn copies_count_by_their_own_size() {
    let size = large(0, Compression::None).len() as u64;
    let mut delivery = delivery_with(4 * size, 1);
    give(&mut delivery, 0, large(0, Compression::None));
    let kept = delivery.take(500).unwrap();
    give(&mut delivery, 0, large(10, Compression::None));
    let mut copies = Until::offset(-1);
    assert_eq!(delivery.hand_out(500, &mut copies).unwrap(), 10);
    assert_eq!(take(&mut delivery, 500), []);
    copies.values.drain(2..);
    drop(kept);
    // Their values, and a little for headers and allocations.
    assert!((2_150..2_500).contains(&delivery.held()), "{}", delivery.held());
    drop(copies);
    assert_eq!(delivery.held(), 0);
}

#[test]
fn a_record_in_a_batch_of_its_own_does_not_keep_what_was_fetched_with_it() {
    let size = large(0, Compression::None).len() as u64;
    let mut delivery = delivery_with(4 * size, 1);
    give(&mut delivery, 0, large(0, Compression::None));
    let kept = delivery.take(500).unwrap();
    let single = |offset: i64| {
        let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
        builder.append(offset, None, Some(&[7; 1000]), &[]).unwrap();
        builder.build(offset).unwrap()
    };
    give(&mut delivery, 0, run(&(10..20).map(single).collect::<Vec<_>>()));
    let mut singles = Until::offset(-1);
    assert_eq!(delivery.hand_out(500, &mut singles).unwrap(), 10);
    drop(kept);
    singles.values.drain(..9);
    assert!((1_075..1_250).contains(&delivery.held()), "{}", delivery.held());
}

#[test]
fn what_is_drained_and_still_in_the_queue_is_not_taken_for_the_users() {
    for compression in [Compression::None, Compression::Lz4] {
        let mut delivery = delivery_with(40_000, 1);
        let batches = (0..2).map(|n| large(n * 10, compression));
        let records = run(&batches.collect::<Vec<_>>());
        give(&mut delivery, 0, records.clone());
        for _ in 0..4 {
            let mut until = Until::offset(-1);
            assert_eq!(delivery.hand_out(5, &mut until).unwrap(), 5);
            let first = &until.values[0];
            match compression {
                Compression::None => assert!(until.values.iter().all(|value| lies_in(&records, value))),
                // The values of one batch follow each other in memory.
                _ => assert!(until.values[1].as_ptr().addr() - first.as_ptr().addr() < 1_100),
            }
        }
    }
}

#[test]
fn a_copied_record_that_is_not_taken_comes_again() {
    let size = large(0, Compression::None).len() as u64;
    let mut delivery = delivery_with(4 * size, 1);
    give(&mut delivery, 0, large(0, Compression::None));
    let _kept = delivery.take(500).unwrap();
    let second = large(10, Compression::None);
    give(&mut delivery, 0, second.clone());
    let mut until = Until::offset(17);
    assert_eq!(delivery.hand_out(500, &mut until).unwrap(), 7);
    assert!(until.values.iter().all(|value| !lies_in(&second, value)));
    assert_eq!(until.next, [17]);
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(17)));
    assert_eq!(take(&mut delivery, 500), [(0, 17), (0, 18), (0, 19)]);
}

#[test]
fn nothing_more_is_decompressed_while_the_whole_budget_is_used() {
    let mut delivery = delivery_with(30_000, 2);
    let plain: Vec<_> = (0..3).map(|n| large(n * 10, Compression::None)).collect();
    give(&mut delivery, 0, run(&plain));
    give(
        &mut delivery,
        2,
        run(&[large(0, Compression::Lz4), large(10, Compression::Lz4)]),
    );
    let kept = delivery.take(500).unwrap();
    // One is let in as none is decompressed, and it is less than the half.
    assert_eq!(kept.len(), 40);
    assert!(delivery.take(500).unwrap().is_empty());
    assert!(delivery.held_up().is_some());
    drop(kept);
    assert_eq!(take(&mut delivery, 500).len(), 10);
}

#[test]
fn who_was_stopped_looks_again_even_if_the_records_were_dropped_right_after() {
    let mut delivery = delivery_with(16_000, 1);
    give(
        &mut delivery,
        0,
        run(&[large(0, Compression::Lz4), large(10, Compression::Lz4)]),
    );
    let kept = delivery.take(10).unwrap();
    assert!(delivery.take(500).unwrap().is_empty());
    drop(kept);
    assert_eq!(delivery.held_up(), None);
    assert!(delivery.is_waiting_for_memory());
    assert_eq!(take(&mut delivery, 10).len(), 10);
    assert!(!delivery.is_waiting_for_memory());
}

#[test]
fn while_the_engine_believes_that_the_budget_is_held_the_caller_looks_again() {
    let mut delivery = delivery_with(8_000, 1);
    give(&mut delivery, 0, large(0, Compression::None));
    let kept = delivery.take(500).unwrap();
    assert!(delivery.report(None).held >= 8_000);
    assert!(delivery.take(500).unwrap().is_empty());
    assert_eq!(delivery.progress(), None);
    drop(kept);
    assert_eq!(delivery.held_up(), None);
    assert!(delivery.is_waiting_for_memory());
    assert!(delivery.take(500).unwrap().is_empty());
    assert_eq!(delivery.progress().unwrap().held, 0);
    assert!(!delivery.is_waiting_for_memory());
}

#[test]
fn a_partition_that_is_resumed_in_front_of_an_open_batch_is_handed_out() {
    let mut delivery = delivery_with(16_000, 2);
    give(&mut delivery, 0, large(0, Compression::Lz4));
    give(&mut delivery, 2, large(0, Compression::Lz4));
    delivery.pause(&partition(0)).unwrap();
    assert_eq!(take(&mut delivery, 4), [(1, 0), (1, 1), (1, 2), (1, 3)]);
    delivery.resume(&partition(0)).unwrap();
    assert_eq!(take(&mut delivery, 10).len(), 10);
    let rest: Vec<_> = (4..10).map(|offset| (1, offset)).collect();
    assert_eq!(take(&mut delivery, 500), rest);
}

#[test]
fn what_was_not_taken_and_is_paused_keeps_nothing_decompressed() {
    let mut delivery = delivery_with(30_000, 2);
    let two = run(&[large(0, Compression::Lz4), large(10, Compression::Lz4)]);
    give(&mut delivery, 0, two);
    assert_eq!(delivery.hand_out(500, &mut Until::offset(3)).unwrap(), 3);
    delivery.pause(&partition(0)).unwrap();
    give(&mut delivery, 2, large(0, Compression::Lz4));
    assert_eq!(take(&mut delivery, 500).len(), 10);
    assert!(delivery.held() < 1_000, "{}", delivery.held());
    delivery.resume(&partition(0)).unwrap();
    let rest: Vec<_> = (3..20).map(|offset| (0, offset)).collect();
    assert_eq!(take(&mut delivery, 500), rest);
}
