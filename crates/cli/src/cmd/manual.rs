//! `kohort completions` and `kohort man`: what the command line says of itself, for shells and for `man`.

use std::fs;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::failure::Failure;
use crate::output::Output;

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    Output::stdout().write(|out| {
        let mut script = Vec::new();
        clap_complete::generate(args.shell, &mut Cli::command(), "kohort", &mut script);
        std::io::Write::write_all(out, &script)
    })
}

/// Prints one page, or writes all.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    // Built, it knows the full names of its subcommands.
    let mut root = Cli::command();
    root.build();
    match &args.dir {
        Some(dir) => fs::create_dir_all(dir)
            .and_then(|()| clap_mangen::generate_to(root, dir))
            .map_err(|error| Failure::because(dir.display(), &error)),
        None => {
            let page = Man::new(find(&root, &args.command)?.clone());
            Output::stdout().write(|out| page.render(out))
        }
    }
}

/// The command that these words name.
fn find<'a>(root: &'a clap::Command, words: &[String]) -> Result<&'a clap::Command, Failure> {
    words.iter().try_fold(root, |command, word| {
        command
            .find_subcommand(word)
            .ok_or_else(|| Failure::Usage(format!("there is no command {}", words.join(" "))))
    })
}
