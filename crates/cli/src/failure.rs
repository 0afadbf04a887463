//! Why a command ended early, and the exit code that says so.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use kohort::BuildError;

/// The exit code of a command that ctrl-c ended.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader of stdout has gone, which is no error.
    BrokenPipe,
    /// ctrl-c.
    Interrupted,
    /// The command line asks for what cannot be.
    Usage(String),
    /// Anything else: one line that says what failed, and why.
    Failed(String),
}

impl Failure {
    /// `what` failed because of `why` and all that `why` was caused by.
    pub(crate) fn because(what: impl fmt::Display, why: &dyn Error) -> Self {
        let mut line = format!("{what}: {why}");
        let mut cause = why.source();
        while let Some(deeper) = cause {
            let text = deeper.to_string();
            // An error may quote its cause; saying it once is enough.
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = deeper.source();
        }
        Self::Failed(line)
    }

    /// `what` cannot be built: a wrong setting of the command line, or something of this machine.
    pub(crate) fn building(what: impl fmt::Display, why: &BuildError) -> Self {
        match (Self::because(what, why), why) {
            (Self::Failed(line), BuildError::Config(_) | BuildError::Group(_)) => Self::Usage(line),
            (failure, _) => failure,
        }
    }

    /// Writing to stdout failed.
    pub(crate) fn stdout(why: io::Error) -> Self {
        match why.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::because("stdout", &why),
        }
    }
}

/// Says on stderr what failed, in one line, and gives the exit code.
pub(crate) fn exit_code(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) | Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(Failure::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(Failure::Usage(line)) => {
            anstream::eprintln!("kohort: {line}");
            ExitCode::from(2)
        }
        Err(Failure::Failed(line)) => {
            anstream::eprintln!("kohort: {line}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error() {
        let failure = Failure::stdout(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(failure, Failure::BrokenPipe));
    }
}
