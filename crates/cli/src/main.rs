//! The `kohort` command: parse, run, exit code. What each command does is in `cmd`; what can be typed is in `args`.

mod args;
mod cmd;
mod escape;
mod failure;
mod format;
mod json;
mod log;
mod offset;
mod output;
mod progress;
mod table;
mod time;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    log::to_stderr(&cli.command, cli.verbose);
    let done = match cli.command {
        Command::Serve(args) => cmd::serve::run(args).await,
        Command::Demo => cmd::demo::run().await,
        Command::Topics(command) => cmd::topics::run(command).await,
        Command::Produce(args) => cmd::produce::run(args).await,
        Command::Consume(args) => cmd::consume::run(args).await,
        Command::Groups(command) => cmd::groups::run(command).await,
        Command::Completions(args) => cmd::manual::completions(&args),
        Command::Man(args) => cmd::manual::man(&args),
    };
    failure::exit_code(done)
}
