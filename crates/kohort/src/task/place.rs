//! Where a client's task runs: on the ambient runtime, or on one background thread that all such clients share.

use core::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::{Mutex, PoisonError};

use thiserror::Error;
use tokio::runtime::{Builder, Handle};

use crate::config::RuntimePlace;

/// There is no runtime to run a client on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NoRuntime {
    /// Asked for the ambient runtime outside of one.
    #[error(
        "no tokio runtime here; build the client inside of one, set kohort.runtime=own, or use kohort::blocking"
    )]
    NoAmbient,
    /// The background thread could not be started.
    #[error("the network thread could not be started")]
    NoThread(#[source] io::Error),
}

/// Starts a task in its place and gives the handle of the runtime that it runs on.
pub(crate) fn spawn<F>(place: RuntimePlace, task: impl FnOnce() -> F) -> Result<Handle, NoRuntime>
where
    F: Future<Output = ()> + Send + 'static,
{
    let handle = match place {
        RuntimePlace::Ambient => Handle::try_current().map_err(|_| NoRuntime::NoAmbient)?,
        RuntimePlace::Own => own()?,
    };
    let entered = handle.enter();
    let task = task();
    drop(entered);
    handle.spawn(task);
    Ok(handle)
}

/// Makes a timer where the caller may be outside of any tokio runtime, which alone would panic.
pub(crate) fn timer_of<T>(runtime: &Handle, make: impl FnOnce() -> T) -> T {
    let _entered = Handle::try_current().is_err().then(|| runtime.enter());
    make()
}

/// The runtime of the background thread; started at first use, kept until the process ends.
fn own() -> Result<Handle, NoRuntime> {
    static OWN: Mutex<Option<Handle>> = Mutex::new(None);
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*own {
        return Ok(handle.clone());
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(NoRuntime::NoThread)?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name("kohort-network".to_owned())
        .spawn(move || runtime.block_on(core::future::pending::<()>()))
        .map_err(NoRuntime::NoThread)?;
    Ok(own.insert(handle).clone())
}

/// `kohort.seed`, or randomness of the system.
pub(crate) fn seed_or(chosen: i64) -> u64 {
    u64::try_from(chosen).unwrap_or_else(|_| seed())
}

/// Randomness of the system, for an engine's backoffs.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
