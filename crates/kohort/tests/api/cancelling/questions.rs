//! Questions that are dropped anywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Read, everywhere, filled, member};
use crate::support::{broker, consumer, partition};

#[tokio::test(start_paused = true)]
async fn the_group_metadata_name_the_member_once_it_has_joined() {
    let broker = broker("t", 1).await;
    let mut member = member(&broker);
    assert_eq!(member.group_metadata().await.expect("an answer"), None);
    while member.assignment().is_empty() {
        member.poll(Duration::from_millis(20)).await.expect("no error");
    }
    let identity = member
        .group_metadata()
        .await
        .expect("an answer")
        .expect("it has joined");
    assert!(
        identity.generation > 0 && identity.member_id.starts_with("consumer-g-"),
        "{identity:?}"
    );
}

/// A question dropped anywhere is answered when it is asked again, and reading goes on.
macro_rules! question {
    ($name:ident, |$member:ident| $ask:expr, $expected:expr) => {
        #[tokio::test(start_paused = true)]
        async fn $name() {
            everywhere(|cut| async move {
                let broker = filled(1, 4).await;
                let mut $member = consumer(&broker)
                    .group_id("g")
                    .max_poll_records(2)
                    .build()
                    .expect("valid settings");
                $member.assign([partition(0)]).expect("a partition");
                let is_done = cut.run($ask).await.is_some();
                assert_eq!($ask.await.expect("an answer"), $expected, "{cut:?}");
                let mut read = Read::default();
                read.until(4, &mut $member).await;
                assert_eq!(read.0, [0, 1, 2, 3], "{cut:?}");
                is_done
            })
            .await;
        }
    };
}

question!(
    a_question_for_a_position_can_be_dropped_anywhere,
    |member| member.position(&partition(0)),
    0
);
question!(
    a_question_for_committed_offsets_can_be_dropped_anywhere,
    |member| member.committed([partition(0)]),
    BTreeMap::from([(partition(0), None)])
);
question!(
    a_question_for_the_ends_can_be_dropped_anywhere,
    |member| member.end_offsets([partition(0)]),
    BTreeMap::from([(partition(0), 4)])
);
question!(
    a_question_for_the_beginnings_can_be_dropped_anywhere,
    |member| member.beginning_offsets([partition(0)]),
    BTreeMap::from([(partition(0), 0)])
);
question!(
    a_question_for_offsets_by_time_can_be_dropped_anywhere,
    |member| async {
        let found = member.offsets_for_times([(partition(0), 0)]).await;
        found.map(|found| found[&partition(0)].map(|found| found.offset))
    },
    Some(0)
);
question!(
    a_question_for_partitions_can_be_dropped_anywhere,
    |member| async {
        let found = member.partitions_for("t").await;
        found.map(|found| found.len())
    },
    1
);
question!(
    a_question_for_all_topics_can_be_dropped_anywhere,
    |member| async {
        let found = member.list_topics().await;
        found.map(|found| found.keys().filter(|topic| &***topic == "t").count())
    },
    1
);
question!(
    a_question_for_the_group_metadata_can_be_dropped_anywhere,
    |member| member.group_metadata(),
    None
);
