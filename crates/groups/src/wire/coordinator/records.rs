//! The durable records to and from the keys and values of `__consumer_offsets`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::{Buf, Bytes};
use kohort_protocol::consumer_protocol::ConsumerProtocolSubscription;
use kohort_protocol::{Message, Reader};

/// The topics of a member's metadata; `None` when it is no subscription of a consumer. Later versions append to version 0,
/// so its topics are read whatever the version.
// Kafka: ClassicGroup.computeSubscribedTopics
pub(crate) fn subscribed_topics(mut metadata: Bytes) -> Option<Vec<Arc<str>>> {
    if metadata.try_get_i16().ok()? < 0 {
        return None;
    }
    let mut reader = Reader::new(metadata);
    let subscription = ConsumerProtocolSubscription::decode(&mut reader, 0).ok()?;
    Some(subscription.topics.into_iter().map(Arc::from).collect())
}
