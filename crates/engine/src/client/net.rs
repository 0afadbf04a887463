//! The border to the network: what a driver is asked to do with connections, and what it reports back. No rule lives here.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use kohort_machine::Machine;

/// One connection attempt and the connection that came of it. Never reused: a new attempt has a new id, so a late report
/// about an old connection can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What happened on the network.
///
/// Each [`NetAction::Connect`] is answered by `Connected` or `ConnectFailed`, unless the link is disconnected first. Reports
/// about a link that [`NetAction::Disconnect`] named are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetEvent {
    /// The connection stands.
    Connected {
        /// Which one.
        link: LinkId,
    },
    /// The connection could not be made.
    ConnectFailed {
        /// Which one.
        link: LinkId,
        /// The system's words, for messages and logs.
        reason: String,
    },
    /// A whole frame came, without its length prefix.
    Received {
        /// On which connection.
        link: LinkId,
        /// The frame; what is decoded from it shares these bytes.
        frame: Bytes,
    },
    /// The connection ended, by the other side or by a fault.
    Disconnected {
        /// Which one.
        link: LinkId,
        /// The system's words, for messages and logs.
        reason: String,
    },
    /// What came is no frame, so that the connection was ended on this side.
    Unreadable {
        /// Which one.
        link: LinkId,
        /// What is wrong with it, for messages and logs.
        reason: String,
    },
}

/// What the network is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetAction {
    /// Connect to an address. The machine keeps the time itself and disconnects when it waited long enough.
    Connect {
        /// The name for what comes of it.
        link: LinkId,
        /// Host name or address; every address that the name resolves to may be tried (`client.dns.lookup=use_all_dns_ips`).
        host: String,
        /// TCP port.
        port: u16,
    },
    /// Write the segments in order, each once; together they are one frame with its length prefix.
    Send {
        /// On which connection.
        link: LinkId,
        /// The frame's bytes.
        segments: Vec<Bytes>,
    },
    /// Close the connection, or give up the attempt; nothing more is reported about it.
    Disconnect {
        /// Which one.
        link: LinkId,
    },
    /// Tell whoever runs the program what keeps this client from going on. It goes on trying, and nothing else may ever tell:
    /// a poll, for one, only returns nothing. The same trouble is told again ever more rarely.
    Warn {
        /// What is wrong, for the log.
        message: String,
    },
}

/// A machine that a network driver can run: its events include [`NetEvent`], its actions [`NetAction`].
pub trait NetMachine: Machine {
    /// Wraps what happened on the network as an event of this machine.
    fn net(event: NetEvent) -> Self::Event;

    /// Takes the network's action out; any other action comes back as the error.
    fn split(action: Self::Action) -> Result<NetAction, Self::Action>;
}
