//! The task's side of an admin client: the engine's answers go to the futures that wait for them.

use core::time::Duration;
use std::collections::BTreeMap;

use kohort_engine::admin::{AdminAction, AdminCommand, AdminEngine, AdminEvent, AdminReply};
use kohort_machine::{Token, TokenSource};
use tokio::sync::oneshot;

use crate::task::Host;

/// A call.
pub(super) struct Input {
    pub(super) command: Box<AdminCommand>,
    pub(super) timeout: Duration,
    pub(super) reply: oneshot::Sender<Box<AdminReply>>,
}

#[derive(Default)]
pub(super) struct AdminHost {
    tokens: TokenSource,
    calls: BTreeMap<Token, oneshot::Sender<Box<AdminReply>>>,
    is_abandoned: bool,
}

impl Host<AdminEngine> for AdminHost {
    type Input = Input;

    fn accept(&mut self, input: Input) -> AdminEvent {
        let token = self.tokens.issue();
        self.calls.insert(token, input.reply);
        AdminEvent::Command {
            token,
            timeout: input.timeout,
            command: input.command,
        }
    }

    fn abandoned(&mut self) -> Vec<AdminEvent> {
        self.is_abandoned = true;
        vec![AdminEvent::Close]
    }

    fn perform(&mut self, action: AdminAction) -> Option<AdminEvent> {
        if let AdminAction::Reply { token, reply } = action
            && let Some(call) = self.calls.remove(&token)
        {
            // The call may have been dropped.
            let _unwanted = call.send(reply);
        }
        None
    }

    fn is_finished(&self) -> bool {
        self.is_abandoned
    }
}
