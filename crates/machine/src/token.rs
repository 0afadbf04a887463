//! Tokens tie a question (an action) to its one answer (an event).

/// Names one open question of one machine. Never reused within a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Hands out tokens in increasing order.
#[derive(Debug, Clone, Default)]
pub struct TokenSource {
    next: u64,
}

impl TokenSource {
    /// A source whose first token is 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token not given before.
    pub fn issue(&mut self) -> Token {
        let token = Token(self.next);
        self.next += 1;
        token
    }
}

/// Says which questions an action opens or an event closes, so that the harness can assert that each question gets exactly
/// one answer. Implement it for a machine's `Action` and `Event`; both methods default to `None`.
pub trait Correlated {
    /// The question that this asks.
    fn opens(&self) -> Option<Token> {
        None
    }
    /// The question that this answers.
    fn closes(&self) -> Option<Token> {
        None
    }
}
