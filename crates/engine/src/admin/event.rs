//! What an admin engine is told and what it wants done.

use alloc::boxed::Box;
use core::time::Duration;

use kohort_machine::{Correlated, Token};

use super::command::AdminCommand;
use super::reply::AdminReply;
use crate::client::{NetAction, NetEvent};

/// What an admin engine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum AdminEvent {
    /// Something happened on the network.
    Net(NetEvent),
    /// Do this; answered by [`AdminAction::Reply`] after `timeout` at the latest.
    Command {
        /// The driver's name for the command.
        token: Token,
        /// How long it may take.
        timeout: Duration,
        /// What to do.
        command: Box<AdminCommand>,
    },
    /// Nobody waits for this command any longer: it has no reply. What was sent may be done all the same.
    Abandon {
        /// The command.
        token: Token,
    },
    /// Close all connections. Commands under way are answered: what is not done yet fails.
    Close,
}

/// What an admin engine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum AdminAction {
    /// For the network.
    Net(NetAction),
    /// A command's one answer.
    Reply {
        /// The command.
        token: Token,
        /// The answer, one result per item.
        reply: Box<AdminReply>,
    },
}

impl Correlated for AdminEvent {
    fn opens(&self) -> Option<Token> {
        match self {
            Self::Command { token, .. } => Some(*token),
            _ => None,
        }
    }

    fn closes(&self) -> Option<Token> {
        match self {
            Self::Abandon { token } => Some(*token),
            _ => None,
        }
    }
}

impl Correlated for AdminAction {
    fn closes(&self) -> Option<Token> {
        match self {
            Self::Net(_) => None,
            Self::Reply { token, .. } => Some(*token),
        }
    }
}
