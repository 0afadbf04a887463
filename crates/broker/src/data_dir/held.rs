//! Which directories the brokers of this process have, and which of those are about to be given free.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

static HELD: Mutex<Vec<Holder>> = Mutex::new(Vec::new());

/// A broker that has a directory.
struct Holder {
    directory: PathBuf,
    /// Becomes true, or is closed, when the broker begins to end.
    stop: watch::Receiver<bool>,
    /// Is closed when the directory is free.
    held: watch::Receiver<()>,
}

fn holders() -> MutexGuard<'static, Vec<Holder>> {
    // A push or a retain is done or not done, whatever panicked.
    let mut holders = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    holders.retain(|holder| holder.held.has_changed().is_ok());
    holders
}

/// Notes who has a directory, until what is given back is dropped.
pub(super) fn note(directory: &Path, stop: watch::Receiver<bool>) -> watch::Sender<()> {
    let (sender, held) = watch::channel(());
    let directory = directory.to_owned();
    holders().push(Holder {
        directory,
        stop,
        held,
    });
    sender
}

/// Waits until a directory is free, if a broker of this process has it that has begun to end.
pub(super) async fn left(directory: &Path) {
    let leaving = holders().iter().find_map(|holder| {
        let is_ending = *holder.stop.borrow() || holder.stop.has_changed().is_err();
        (is_ending && holder.directory == directory).then(|| holder.held.clone())
    });
    if let Some(mut held) = leaving {
        while held.changed().await.is_ok() {}
    }
}
