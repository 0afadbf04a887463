//! One suite of behaviours for two brokers: the embedded one, and real Apache Kafka when `KOHORT_BOOTSTRAP` names a cluster.
//!
//! What lives here: the cluster that a test runs on ([`cluster`]), names that no other test uses ([`unique`]), a raw
//! connection that speaks messages of any version ([`Wire`]), a transport that loses one message ([`Cable`]), and a question that several files of tests ask by it
//! ([`committed`]). The behaviours themselves are in `tests/`, each named as a
//! sentence, with the row of Kafka's own tests or the class that it is taken from on the line above. What does not live
//! here: what only one of the two brokers can do (that is tested in its crate).

mod cable;
mod cluster;
mod offsets;
mod wire;

pub use cable::{Cable, Loss};
pub use cluster::{Cluster, Kind, cluster, unique};
pub use offsets::committed;
pub use wire::Wire;
