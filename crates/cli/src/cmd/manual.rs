//! `kohort completions` and `kohort man`: what the command line says of itself, for shells and for `man`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use roff::{Roff, roman};

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::failure::Failure;
use crate::output::Output;

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kohort", &mut script);
    Output::stdout().write(|out| out.write_all(&script))
}

/// Prints one page, or writes all.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut root = Cli::command().disable_help_subcommand(true);
    // Built, it knows the full names of its subcommands.
    root.build();
    match &args.dir {
        Some(dir) => fs::create_dir_all(dir)
            .and_then(|()| write_all(&root, dir))
            .map_err(|error| Failure::because(dir.display(), &error)),
        None => {
            let command = find(&root, &args.command)?;
            Output::stdout().write(|out| page(command, out))
        }
    }
}

/// The command that these words name.
fn find<'a>(root: &'a Command, words: &[String]) -> Result<&'a Command, Failure> {
    words.iter().try_fold(root, |command, word| {
        command
            .find_subcommand(word)
            .ok_or_else(|| Failure::Usage(format!("there is no command {}", words.join(" "))))
    })
}

/// Writes the pages of a command and of all below it.
fn write_all(command: &Command, dir: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        write_all(below, dir)?;
    }
    let mut bytes = Vec::new();
    page(command, &mut bytes)?;
    fs::write(dir.join(Man::new(command.clone()).get_filename()), bytes)
}

fn page(command: &Command, out: &mut impl Write) -> io::Result<()> {
    let man = Man::new(command.clone())
        .source(concat!("kohort ", env!("CARGO_PKG_VERSION")))
        .manual("Kohort");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(out)?;
    }
    match command.get_after_help() {
        Some(notes) => notes_section(&notes.to_string(), out),
        None => Ok(()),
    }
}

/// What follows the options in `--help`. Indented lines, which are examples and tables, keep their form.
fn notes_section(notes: &str, out: &mut impl Write) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["NOTES"]);
    let mut is_verbatim = false;
    for line in notes.lines() {
        if line.starts_with(' ') != is_verbatim {
            is_verbatim = !is_verbatim;
            roff.control(if is_verbatim { "nf" } else { "fi" }, []);
        }
        match line {
            "" => roff.control("PP", []),
            line => roff.text([roman(line)]),
        };
    }
    if is_verbatim {
        roff.control("fi", []);
    }
    roff.to_writer(out)
}
