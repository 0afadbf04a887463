//! Records that a sink does not take: where the position is then, and what comes next.

use std::panic::AssertUnwindSafe;

use super::*;

#[test]
fn a_record_that_is_not_taken_comes_again_before_anything_else() {
    let mut delivery = delivery(2);
    give(&mut delivery, 0, run(&[batch(0, 3), batch(3, 2)]));
    give(&mut delivery, 2, batch(0, 1));
    let mut until = Until::offset(1);
    assert_eq!(delivery.hand_out(500, &mut until).unwrap(), 1);
    assert_eq!(until.taken, [(0, 0)]);
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(1)));
    for _ in 0..2 {
        let mut until = Until::offset(1);
        assert_eq!(delivery.hand_out(500, &mut until).unwrap(), 0);
        assert!(delivery.in_hand().is_empty());
    }
    let mut until = Until::offset(4);
    assert_eq!(delivery.hand_out(500, &mut until).unwrap(), 3);
    assert_eq!(until.taken, [(0, 1), (0, 2), (0, 3)]);
    assert_eq!(until.next, [3, 4]);
    assert_eq!(
        delivery.in_hand(),
        [InHand {
            slot: SlotId(0),
            first: 1,
            last: 3
        }]
    );
    assert_eq!(take(&mut delivery, 500), [(0, 4), (1, 0)]);
}

#[test]
fn after_a_seek_a_record_that_was_not_taken_does_not_come_again() {
    let mut delivery = delivery(1);
    give(&mut delivery, 0, batch(0, 3));
    delivery.hand_out(500, &mut Until::offset(2)).unwrap();
    delivery
        .seek(&partition(0), SeekTo::Position(Position::new(9)))
        .unwrap();
    assert_eq!(take(&mut delivery, 500), []);
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(9)));
}

#[test]
fn the_position_stands_at_a_record_that_is_not_taken_be_it_behind_a_gap() {
    let mut delivery = delivery(1);
    give(&mut delivery, 0, batch(4, 3));
    delivery.hand_out(500, &mut Until::offset(4)).unwrap();
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(4)));
    assert_eq!(take(&mut delivery, 500), [(0, 4), (0, 5), (0, 6)]);
}

#[test]
fn a_record_that_is_not_taken_behind_a_gap_is_of_its_own_leader_epoch() {
    let mut delivery = delivery(1);
    let at_four = Position {
        offset: 4,
        leader_epoch: Some(1),
    };
    delivery.seek(&partition(0), SeekTo::Position(at_four)).unwrap();
    let epoch = delivery.table.entry(&partition(0)).unwrap().epoch;
    let mut batch = BytesMut::from(&batch(10, 2)[..]);
    stored::set_partition_leader_epoch(&mut batch, 2).unwrap();
    let batches = FetchedBatches {
        epoch,
        ..fetched(0, batch.freeze())
    };
    delivery.accept(ToCaller::Batches(vec![batches]));
    delivery.hand_out(500, &mut Until::offset(10)).unwrap();
    let at_ten = Position {
        offset: 10,
        leader_epoch: Some(2),
    };
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(at_ten));
}

#[test]
fn the_next_offset_of_the_last_records_is_that_after_the_batch_be_its_end_compacted_away() {
    let mut builder = BatchBuilder::new(Compression::None, None).unwrap();
    for offset in 0..4 {
        builder.append(offset, None, Some(b"v"), &[]).unwrap();
    }
    builder.set_last_offset_delta(9);
    let mut delivery = delivery(1);
    give(&mut delivery, 0, builder.build(0).unwrap());
    let (mut some, mut rest) = (Until::offset(-1), Until::offset(-1));
    assert_eq!(delivery.hand_out(3, &mut some).unwrap(), 3);
    assert_eq!(delivery.hand_out(3, &mut rest).unwrap(), 1);
    assert_eq!((some.next, rest.next), (vec![3], vec![10]));
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(10)));
}

#[test]
fn a_compressed_batch_goes_on_at_the_record_that_was_not_taken() {
    let mut delivery = delivery(1);
    let two = run(&[
        compressed(0, 5, Compression::Lz4),
        compressed(5, 5, Compression::Lz4),
    ]);
    give(&mut delivery, 0, two);
    assert_eq!(delivery.hand_out(500, &mut Until::offset(7)).unwrap(), 7);
    let rest: Vec<_> = (7..10).map(|offset| (0, offset)).collect();
    assert_eq!(take(&mut delivery, 500), rest);
}

#[test]
fn a_record_that_is_not_taken_may_be_the_first_behind_a_full_poll_or_a_marker() {
    let mut delivery = delivery(1);
    let commit = ControlRecord::Commit { coordinator_epoch: 0 };
    let marker = control::build_marker(2, 0, 0, 7, 0, commit).unwrap();
    give(&mut delivery, 0, run(&[batch(0, 2), marker, batch(3, 2)]));
    assert_eq!(delivery.hand_out(2, &mut Until::offset(3)).unwrap(), 2);
    for _ in 0..2 {
        let mut until = Until::offset(3);
        assert_eq!(delivery.hand_out(2, &mut until).unwrap(), 0);
        assert_eq!(until.taken, []);
    }
    assert_eq!(delivery.position(&partition(0)).unwrap().unwrap().offset, 3);
    assert_eq!(take(&mut delivery, 500), [(0, 3), (0, 4)]);
}

#[test]
fn a_sink_that_takes_nothing_ends_the_handing_out() {
    struct Lazy(usize);
    impl Sink for Lazy {
        fn take(&mut self, _portion: &mut Portion<'_>) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
    }
    let mut delivery = delivery(1);
    give(&mut delivery, 0, batch(0, 2));
    let mut lazy = Lazy(0);
    assert_eq!(delivery.hand_out(500, &mut lazy).unwrap(), 0);
    assert_eq!(lazy.0, 1);
    assert_eq!(take(&mut delivery, 500), [(0, 0), (0, 1)]);
}

/// Hands out until the record at `offset`, at which the sink panics.
fn panic_at(delivery: &mut Delivery, offset: i64) {
    struct Panics(i64);
    impl Sink for Panics {
        fn take(&mut self, portion: &mut Portion<'_>) -> ControlFlow<()> {
            let at = self.0;
            let _never: Result<(), ()> = portion.try_for_each(|record| {
                assert!(record.offset != at, "no such record");
                Ok(())
            });
            ControlFlow::Continue(())
        }
    }
    let handing = AssertUnwindSafe(|| delivery.hand_out(500, &mut Panics(offset)).is_ok());
    assert!(std::panic::catch_unwind(handing).is_err());
}

#[test]
fn nothing_of_the_batch_that_a_sink_panics_in_is_taken() {
    let mut delivery = delivery(1);
    give(&mut delivery, 0, batch(0, 4));
    panic_at(&mut delivery, 2);
    assert_eq!(delivery.take_back(), []);
    assert_eq!(delivery.position(&partition(0)).unwrap(), Some(Position::new(0)));
    assert_eq!(take(&mut delivery, 500), [(0, 0), (0, 1), (0, 2), (0, 3)]);
}

#[test]
fn what_was_handed_out_before_a_panic_can_be_taken_back() {
    let mut delivery = delivery(2);
    give(&mut delivery, 2, batch(0, 1));
    give(&mut delivery, 0, run(&[batch(0, 2), batch(2, 2), batch(4, 2)]));
    panic_at(&mut delivery, 5);
    let jumps = delivery.take_back();
    let to = |seek: &Seek| (seek.slot, seek.to);
    let zero = SeekTo::Position(Position::new(0));
    assert_eq!(
        jumps.iter().map(to).collect::<Vec<_>>(),
        [(SlotId(2), zero), (SlotId(0), zero)]
    );
    for number in [0, 1] {
        assert_eq!(
            delivery.position(&partition(number)).unwrap(),
            Some(Position::new(0))
        );
    }
    // It is fetched again.
    assert_eq!(take(&mut delivery, 500), []);
    assert_eq!(delivery.take_back(), []);
}

#[test]
fn a_panic_forgets_no_bytes() {
    let mut delivery = delivery(1);
    let commit = ControlRecord::Commit { coordinator_epoch: 0 };
    let marker = control::build_marker(0, 0, 0, 7, 0, commit).unwrap();
    let records = run(&[marker, batch(1, 2)]);
    give(&mut delivery, 0, records.clone());
    panic_at(&mut delivery, 2);
    assert_eq!(take(&mut delivery, 500), [(0, 1), (0, 2)]);
    assert_eq!(delivery.report(None).positions[0].freed, records.len() as u64);
}
