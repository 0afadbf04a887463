//! What the library and the broker say of their work, on stderr. What a command says itself is its own affair.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::LevelFilter;

use crate::args::Command;

/// Writes log lines to stderr, more of them the more often `-v` was given. Without it a broker tells what went wrong; other
/// commands tell that in their own words.
pub(crate) fn to_stderr(command: &Command, verbose: u8) {
    let level = match (command, verbose) {
        (Command::Serve(_), 0) => LevelFilter::WARN,
        (_, 0) => LevelFilter::OFF,
        (_, 1) => LevelFilter::INFO,
        (_, _) => LevelFilter::DEBUG,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
