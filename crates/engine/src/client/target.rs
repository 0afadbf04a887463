//! To whom a request goes, and the name of a request.

use alloc::sync::Arc;

/// Names one request of one `Client`. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// To whom a request goes. Brokers have up to three connections, one per purpose, because Kafka answers the requests of a
/// connection in order: a parked Fetch or JoinGroup must not hold up anything else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Any broker; one that is connected and has little to do is preferred.
    Any,
    /// The controller, as the newest metadata names it. Ask again with [`Client::refresh_metadata`](super::Client::refresh_metadata)
    /// after NOT_CONTROLLER.
    Controller,
    /// The broker with this node id.
    Broker(i32),
    /// The broker with this node id, over its connection for Fetch requests.
    Fetch(i32),
    /// The coordinator of this group, looked up first when it is not known, over its connection for coordinators.
    Coordinator(Arc<str>),
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkPurpose {
    /// Metadata, offsets, administration, Produce.
    Control,
    /// Fetch, which waits on the broker up to `fetch.max.wait.ms`.
    Fetch,
    /// Group membership and committed offsets.
    Coordinator,
}
