//! Commits that fail because their connection ends, before the broker heard of them or after it wrote them; which of them may be
//! tried again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use kohort::{OffsetAndMetadata, TopicPartition};
use kohort_conformance::{Cable, Loss, unique};
use kohort_protocol::ApiKey;

use crate::consumer_setup::{A_MOMENT, Reader, built, committed, new_topic, of_group, settle, soon};

/// A group of one member whose connections may end. It commits without waiting, and says in which order the commits ended, and how;
/// what failed may be tried again only while nothing newer was given: the number of a commit decides.
struct Place {
    topic: String,
    group: String,
    cable: Cable,
    member: Reader,
    newest: Arc<AtomicU64>,
    ended: Arc<Mutex<Vec<Ended>>>,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ended {
    offset: i64,
    is_written: bool,
    may_be_tried_again: bool,
}

impl Place {
    async fn find() -> Self {
        let (topic, group, cable) = (new_topic(1).await, unique("group"), Cable::default());
        let mut members = [built(of_group(&group).transport(cable.transport()))];
        members[0].subscribe([&*topic]).expect("a topic");
        settle(&mut members, |shares| shares[0] == [0]).await;
        let [member] = members;
        Self {
            topic,
            group,
            cable,
            member,
            newest: Arc::default(),
            ended: Arc::default(),
        }
    }

    fn at(&self, offset: i64) -> [(TopicPartition, OffsetAndMetadata); 1] {
        [(
            TopicPartition::new(&*self.topic, 0),
            OffsetAndMetadata::new(offset),
        )]
    }

    fn commit(&mut self, offset: i64) {
        let number = self.newest.fetch_add(1, Ordering::Relaxed) + 1;
        let (newest, ended) = (Arc::clone(&self.newest), Arc::clone(&self.ended));
        let offsets = self.at(offset);
        self.member.commit_async_offsets(offsets, move |_, result| {
            let is_newest = newest.load(Ordering::Relaxed) == number;
            let how = Ended {
                offset,
                is_written: result.is_ok(),
                may_be_tried_again: result.is_err_and(|error| error.is_retriable()) && is_newest,
            };
            ended.lock().expect("no panic").push(how);
        });
    }

    /// Commits on a connection that ends under it, and waits until the client knows; no callback has run yet.
    async fn commit_in_vain(&mut self, offset: i64, loss: Loss) {
        let noticed = self.cable.lose(ApiKey::OffsetCommit, loss);
        self.commit(offset);
        soon("the client connects anew", noticed).await;
        assert!(self.ended.lock().expect("no panic").is_empty());
    }

    /// Polls until this many commits have ended.
    async fn ended(&mut self, count: usize) -> Vec<Ended> {
        let ended = Arc::clone(&self.ended);
        let polling = async {
            while ended.lock().expect("no panic").len() < count {
                self.member.poll(A_MOMENT).await.expect("no error");
            }
        };
        soon("the callbacks", polling).await;
        ended.lock().expect("no panic").clone()
    }

    async fn committed(&self) -> Option<i64> {
        committed(&self.group, &self.topic, 0).await
    }
}

const WRITTEN: Ended = Ended {
    offset: 3000,
    is_written: true,
    may_be_tried_again: false,
};

// The book's case: 2000 fails, 3000 succeeds, and 2000 must not be tried again.
// Kafka: ConsumerCoordinator.commitOffsetsAsync: no retry, since it could overwrite a newer commit
#[tokio::test]
async fn a_commit_that_failed_is_not_tried_again_once_a_newer_one_was_given() {
    for (loss, meanwhile) in [(Loss::Request, None), (Loss::Answer, Some(2000))] {
        let mut place = Place::find().await;
        place.commit_in_vain(2000, loss).await;
        assert_eq!(place.committed().await, meanwhile, "{loss:?}");
        place.commit(3000);
        let failed = Ended {
            offset: 2000,
            is_written: false,
            may_be_tried_again: false,
        };
        assert_eq!(place.ended(2).await, [failed, WRITTEN], "{loss:?}");
        assert_eq!(place.committed().await, Some(3000), "{loss:?}");
    }
}

#[tokio::test]
async fn a_commit_that_failed_may_be_tried_again_while_it_is_the_newest() {
    let mut place = Place::find().await;
    place.commit_in_vain(3000, Loss::Request).await;
    let failed = Ended {
        is_written: false,
        may_be_tried_again: true,
        ..WRITTEN
    };
    assert_eq!(place.ended(1).await, [failed]);
    assert_eq!(place.committed().await, None);
    place.commit(3000);
    assert_eq!(place.ended(2).await, [failed, WRITTEN]);
    assert_eq!(place.committed().await, Some(3000));
}

// Kafka: ConsumerCoordinator.commitOffsetsSync: tries again until the time-out
#[tokio::test]
async fn a_synchronous_commit_whose_connection_ends_is_tried_again_and_makes_good_what_failed_before() {
    for loss in [Loss::Request, Loss::Answer] {
        let mut place = Place::find().await;
        place.commit_in_vain(2000, Loss::Request).await;
        let noticed = place.cable.lose(ApiKey::OffsetCommit, loss);
        let offsets = place.at(3000);
        let written = soon("a commit", place.member.commit_sync_offsets(offsets)).await;
        written.expect("it is tried again");
        soon("it was lost", noticed).await;
        assert_eq!(place.committed().await, Some(3000), "{loss:?}");
    }
}
