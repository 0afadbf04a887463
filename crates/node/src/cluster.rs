//! The brokers that this node plays: their ids, addresses and the cluster's id. One machine may play several, which share
//! the topics; a partition is led by one of them.

use alloc::string::String;
use alloc::vec::Vec;

/// The id of a broker (`node.id`).
pub type BrokerId = i32;

/// A broker as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its id.
    pub id: BrokerId,
    /// The host that it tells clients.
    pub host: String,
    /// The port that it tells clients.
    pub port: u16,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// The cluster as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's id.
    pub id: String,
    /// The brokers; the first is the controller.
    pub brokers: Vec<Broker>,
}

impl Cluster {
    /// A cluster of one broker with id 0.
    pub fn single(id: impl Into<String>, host: impl Into<String>, port: u16) -> Self {
        let broker = Broker {
            id: 0,
            host: host.into(),
            port,
            rack: None,
        };
        Self {
            id: id.into(),
            brokers: alloc::vec![broker],
        }
    }

    /// The id of the controller; -1 without brokers.
    pub fn controller(&self) -> BrokerId {
        self.brokers.first().map_or(-1, |broker| broker.id)
    }

    /// The broker with this id.
    pub fn broker(&self, id: BrokerId) -> Option<&Broker> {
        self.brokers.iter().find(|broker| broker.id == id)
    }

    /// The leader of the partition with this number: brokers take turns.
    pub(crate) fn leader_for(&self, partition: i32) -> BrokerId {
        usize::try_from(partition)
            .ok()
            .and_then(|index| index.checked_rem(self.brokers.len()))
            .and_then(|index| self.brokers.get(index))
            .map_or(-1, |broker| broker.id)
    }
}
