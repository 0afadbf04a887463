//! What the command says of itself: help, completions, manual pages.

use crate::process::{run, stdout_of};

#[test]
fn completions_know_the_commands_of_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout_of(&["completions", shell]);
        for word in ["consume", "delete", "delete-records", "reset", "shift-by"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "basic"]).status.code(), Some(2));
}

#[test]
fn each_command_has_a_manual_page() {
    let page = stdout_of(&["man", "groups", "reset"]);
    assert!(
        page.contains(".TH kohort-groups-reset 1") && page.contains("\\-\\-shift\\-by"),
        "{page}"
    );
    // Examples keep their form.
    assert!(
        page.contains("Examples:\n.nf\n  kohort groups reset billing"),
        "{page}"
    );
    assert!(stdout_of(&["man"]).contains(".TH kohort 1"));
    assert_eq!(run(&["man", "nonsense"]).status.code(), Some(2));
}

#[test]
fn all_manual_pages_are_written_to_a_directory() {
    let dir = std::env::temp_dir().join(format!("kohort-man-{}", std::process::id()));
    stdout_of(&["man", "--dir", dir.to_str().expect("text")]);
    for page in ["kohort.1", "kohort-consume.1", "kohort-groups-describe.1"] {
        assert!(dir.join(page).exists(), "{page}");
    }
    std::fs::remove_dir_all(dir).expect("it is there");
}

#[test]
fn help_names_exit_codes_and_has_examples() {
    let help = stdout_of(&["--help"]);
    assert!(help.contains("130") && help.contains("kohort demo"), "{help}");
    for command in [
        &["serve"][..],
        &["produce"],
        &["consume"],
        &["topics", "create"],
        &["topics", "delete-records"],
        &["groups", "list"],
        &["groups", "describe"],
        &["groups", "reset"],
        &["groups", "delete"],
        &["completions"],
        &["man"],
    ] {
        let help = stdout_of(&[command, &["--help"]].concat());
        assert!(help.contains("Example"), "{command:?}: {help}");
    }
}
