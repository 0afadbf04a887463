//! The lock of a data directory's `.lock`, which keeps Kafka's brokers off, too, and is kept off by theirs.

use std::fs::File;
use std::io;

/// Takes the lock until the file is closed; `false` when somebody else has it, in this process or another.
///
/// Java's locks are those of `fcntl`, which `flock` does not see. Those belong to a process, and go when it closes any handle of
/// the file; this one excludes them and belongs to the handle.
// Java: FileChannelImpl.tryLock, which Kafka's FileLock.tryLock calls
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn try_lock(file: &File) -> io::Result<bool> {
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};

    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file())) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        // A kernel without such locks, as some sandboxes have: this one keeps Kohort's brokers off, if not Kafka's.
        Err(Errno::EINVAL) => try_flock(file),
        Err(error) => Err(error.into()),
    }
}

/// Takes the lock until the file is closed; `false` when somebody else has it. Here one kind of lock sees the other.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn try_lock(file: &File) -> io::Result<bool> {
    try_flock(file)
}

fn try_flock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

/// A lock to write, from the first byte on, however long the file grows.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn whole_file() -> nix::libc::flock {
    use nix::libc;

    libc::flock {
        l_type: libc::F_WRLCK as _,
        l_whence: libc::SEEK_SET as _,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};

    use super::*;
    use crate::data_dir::tests::Scratch;

    /// What Java does: a lock of the process. One of a handle and one of a process exclude each other within a process, too.
    fn lock_as_java(file: &File) -> Result<i32, Errno> {
        fcntl(file, FcntlArg::F_SETLK(&whole_file()))
    }

    /// Another handle of the file.
    fn open(scratch: &Scratch) -> File {
        let mut options = File::options();
        let options = options.write(true).create(true).truncate(false);
        options
            .open(scratch.path().join(".lock"))
            .expect("a file of ours")
    }

    #[test]
    fn who_locks_as_java_does_keeps_us_off() {
        let scratch = Scratch::new("java-first");
        let (java, ours) = (open(&scratch), open(&scratch));
        lock_as_java(&java).unwrap();
        assert!(!try_lock(&ours).unwrap());
        drop(java);
        assert!(try_lock(&ours).unwrap());
    }

    #[test]
    fn we_keep_off_who_locks_as_java_does_whatever_else_is_closed() {
        let scratch = Scratch::new("java-second");
        let ours = open(&scratch);
        assert!(try_lock(&ours).unwrap());
        drop(open(&scratch));
        assert_eq!(lock_as_java(&open(&scratch)), Err(Errno::EAGAIN));
        drop(ours);
        lock_as_java(&open(&scratch)).unwrap();
    }
}
