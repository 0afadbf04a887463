//! The queue of actions that a machine has decided and the driver has not yet taken.

use alloc::collections::VecDeque;

/// Actions in program order, oldest first.
#[derive(Debug, Clone)]
pub struct Outbox<A> {
    actions: VecDeque<A>,
}

impl<A> Default for Outbox<A> {
    fn default() -> Self {
        Self {
            actions: VecDeque::new(),
        }
    }
}

impl<A> Outbox<A> {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an action behind those already there.
    pub fn push(&mut self, action: A) {
        self.actions.push_back(action);
    }

    /// Takes the oldest action.
    pub fn pop(&mut self) -> Option<A> {
        self.actions.pop_front()
    }

    /// How many actions wait.
    pub fn len(&self) -> usize {
        self.actions.len()
    }

    /// Whether no action waits.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }
}
