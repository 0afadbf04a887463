//! Partition logs: what is checked at append (`validate`), what idempotent producers may do (`producer_state`), leader epochs
//! (`epochs`), offsets (`partition`), what a search by timestamp may take (`search`), segments and retention (`segments`), what is synced (`flush`), and the medium behind an
//! injected [`Storage`]: memory, or Kafka's layout on a [`Disk`]. Which partitions there are is known in `topics`.

mod disk;
mod epochs;
mod flush;
mod latest;
mod memory;
mod partition;
mod producer_state;
mod recompress;
mod search;
mod segmented;
mod segments;
mod storage;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod validate;

pub use disk::{Disk, DiskTask, Entry};
pub(crate) use flush::Flight;
pub(crate) use latest::rewrite as rewrite_latest;
pub use memory::MemoryStorage;
pub(crate) use partition::{Appended, PartitionLog, Wanted};
pub(crate) use producer_state::ProducerStates;
pub(crate) use search::Search;
pub use segmented::SegmentStorage;
pub use segments::SegmentFacts;
pub use storage::{BatchPlace, LogName, Point, Storage, StorageError, StoredLog};
pub(crate) use validate::{Opened, Origin, Rejection, one_batch};

#[cfg(test)]
mod tests;
