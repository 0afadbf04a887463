//! `kohort serve` as a process of its own, and what the system says about it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub(crate) struct Broker {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) stderr: std::path::PathBuf,
}

impl Broker {
    pub(crate) fn start(name: &str, args: &[&str]) -> Self {
        let name = format!("kohort-hostile-{name}-{}.log", std::process::id());
        let stderr = std::env::temp_dir().join(name);
        let log = std::fs::File::create(&stderr).expect("a file for the log");
        let mut child = Command::new(env!("CARGO_BIN_EXE_kohort"))
            .args(["serve", "--listen", "127.0.0.1:0", "--topic", "t:2"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("kohort starts");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("a pipe"))
            .read_line(&mut first)
            .expect("a first line");
        let address = first
            .trim_end()
            .strip_prefix("bootstrap.servers=")
            .expect("the address first");
        Self {
            address: address.to_owned(),
            child,
            stderr,
        }
    }

    /// A figure of `/proc/PID/status`, in KiB; none where there is no such file.
    pub(crate) fn kib(&self, key: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.stderr);
    }
}
