//! Partition logs: what is checked at append (`validate`), what idempotent producers may do (`producer_state`), leader epochs
//! (`epochs`), offsets (`partition`), and the medium behind an injected [`Storage`]. Which partitions there are is known in
//! `topics`.

mod epochs;
mod memory;
mod partition;
mod producer_state;
mod storage;
mod validate;

pub use memory::MemoryStorage;
pub(crate) use partition::{PartitionLog, Wanted};
pub use storage::{BatchPlace, LogName, Storage, StorageError, StoredLog};
pub(crate) use validate::{Origin, Rejection, one_batch};

#[cfg(test)]
mod tests;
