//! What is shown only to somebody who looks: stderr is a terminal.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::process::{Serve, kohort};

/// Both ends of a new terminal: what a person sees, and what a program writes to.
fn terminal() -> (File, File) {
    let seen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&seen).expect("it is ours");
    unlockpt(&seen).expect("it is ours");
    let path = ptsname(&seen, Vec::new()).expect("it has a name");
    let written = OpenOptions::new()
        .read(true)
        .write(true)
        .open(OsStr::from_bytes(path.as_bytes()))
        .expect("it can be opened");
    (seen.into(), written)
}

#[test]
fn produce_shows_how_far_it_is_and_wipes_that_away_at_the_end() {
    let serve = Serve::start(&["--topic", "t:1"]);
    let (mut seen, written) = terminal();
    let mut child = kohort(&["produce", "-b", &serve.bootstrap, "-t", "t"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(written)
        .spawn()
        .expect("kohort starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(b"one\ntwo\n").expect("kohort reads");

    let mut text = Vec::new();
    let mut bytes = [0; 4096];
    let mut stdin = Some(stdin);
    // Its end is an error where the last program that could write to it has ended.
    while let Ok(count @ 1..) = seen.read(&mut bytes) {
        text.extend_from_slice(&bytes[..count]);
        if String::from_utf8_lossy(&text).contains("\r2 records written, ") {
            stdin = None;
        }
    }
    assert!(child.wait().expect("kohort ends").success());
    assert!(stdin.is_none(), "the line comes while there is more to read");
    let text = String::from_utf8_lossy(&text);
    let (_, after) = text.rsplit_once(" in flight").expect("the line has an end");
    // The end of the line itself, the wiping, and what is said without a terminal too.
    assert_eq!(after, "\x1b[K\r\x1b[Kkohort: 2 records written to t\r\n");
}
