//! `consume TOPIC N MODE(assign|group|join|member) [property=value …]`: one client of a benchmark that runs many alike.
//!
//! It reads `N` records of `TOPIC` from the beginning and prints one line of JSON: how many records, how many bytes, in how
//! many seconds, at how much processor time from the first record on. The bootstrap servers are in the environment's `B`.
//!
//! * `assign` reads all partitions without a group, `group` joins a new group, `join` does too and leaves it at the end.
//! * `member` joins the group `GROUP=…` and prints what it reads, poll by poll, until SIGTERM: see [`receipts`].
//!
//! Properties are Kafka's. Three are the program's own: `GROUP=name`; `api=raw` iterates `poll_raw`, `api=typed` has `poll` give
//! owned records (see [`Api`]); `runtime=current` runs on one thread instead of tokio's default.

mod arguments;
mod reading;
mod receipts;
mod tally;

use std::error::Error;
use std::process::ExitCode;

use arguments::{Api, Arguments, Mode};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _unwritable = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse(std::env::args().skip(1), std::env::var("B").ok())?;
    let mut runtime = match arguments.is_single_threaded {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async {
        match arguments.mode {
            Mode::Member => receipts::run(&arguments).await,
            Mode::Assign | Mode::Group | Mode::Join => reading::run(&arguments).await,
        }
    })
}
