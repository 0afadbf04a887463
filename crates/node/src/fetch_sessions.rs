//! Incremental fetch sessions (KIP-227): which partitions a client reads, so that it need not say them again with each Fetch,
//! and is told of those only that changed. What a partition answers is in [`crate::handlers`].

mod cache;
mod session;

pub(crate) use cache::{Asked, Asker, FetchSessions};
