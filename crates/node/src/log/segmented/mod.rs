//! Logs in Kafka's layout on a [`Disk`](super::Disk): a directory for each partition, segments with sparse indexes,
//! checkpoints. Kafka's own tools read it. What lives here: where the bytes go and how they are found again, also after a
//! crash. What does not: when a segment ends or is removed, and when something is synced; the partition and the node decide.

mod checkpoint;
mod head;
mod index;
mod log;
mod names;
mod recovery;
mod segment;
mod storage;

pub use storage::SegmentStorage;

#[cfg(test)]
mod tests;
