//! Processes of the `kohort` binary. No behaviour is asserted here.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// `kohort ARGS`, not started.
pub(crate) fn kohort(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kohort"));
    command
        .args(args)
        .env_remove("KOHORT_BOOTSTRAP")
        .stdin(Stdio::null());
    command
}

/// Runs `kohort ARGS` with `input` on stdin to its end.
pub(crate) fn run_with(args: &[&str], input: &[u8]) -> Output {
    let mut child = kohort(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kohort starts");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(input).expect("kohort reads");
    drop(stdin);
    child.wait_with_output().expect("kohort ends")
}

/// Runs `kohort ARGS` to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    run_with(args, b"")
}

/// Runs `kohort ARGS` to its end, which must be a good one; returns stdout.
pub(crate) fn stdout_of(args: &[&str]) -> String {
    let output = run(args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// Sends a signal, by its name, to a process.
pub(crate) fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill")
        .args(["-s", name, &pid])
        .status()
        .expect("kill runs");
    assert!(sent.success());
}

/// A consumer that is a member of a group until it is dropped.
pub(crate) struct Member(pub(crate) Child);

impl Member {
    pub(crate) fn join(bootstrap: &str, topic: &str, group: &str, more: &[&str]) -> Self {
        let child = kohort(&["consume", "-b", bootstrap, "-t", topic, "-G", group])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("kohort starts");
        Self(child)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A `kohort serve`; killed when dropped.
pub(crate) struct Serve {
    pub(crate) child: Child,
    pub(crate) bootstrap: String,
    /// Kept open, because a broker whose stdout is closed has nobody to tell.
    _stdout: BufReader<ChildStdout>,
}

impl Serve {
    /// Starts the broker on a free port with more arguments and waits for its first line.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", args)
    }

    /// The same at an address of the caller's choice.
    pub(crate) fn start_at(listen: &str, args: &[&str]) -> Self {
        let mut command = kohort(&["serve", "--listen", listen]);
        command.args(args).stderr(Stdio::null());
        Self::spawn(command)
    }

    /// Starts what becomes a broker and waits for its first line.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("kohort starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut first = String::new();
        stdout.read_line(&mut first).expect("a first line");
        let bootstrap = first
            .trim_end()
            .strip_prefix("bootstrap.servers=")
            .expect("the address first")
            .to_owned();
        Self {
            child,
            bootstrap,
            _stdout: stdout,
        }
    }
}

impl Serve {
    /// Produces `input` with these arguments.
    pub(crate) fn produce(&self, args: &[&str], input: impl AsRef<[u8]>) {
        let output = run_with(
            &[&["produce", "-b", &self.bootstrap], args].concat(),
            input.as_ref(),
        );
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// What is printed with these arguments up to the end.
    pub(crate) fn consume(&self, args: &[&str]) -> String {
        stdout_of(&[&["consume", "-b", &self.bootstrap, "-e"], args].concat())
    }

    /// Runs `kohort groups ARGS`.
    pub(crate) fn groups(&self, args: &[&str]) -> Output {
        run(&[&["groups"], args, &["-b", &self.bootstrap]].concat())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
