//! The clients for programs without an asynchronous runtime: the same core, each call waits on the caller's thread.
//!
//! The network work of all blocking clients of a process runs on one background thread, so heartbeats go on whatever the
//! program does between two calls. Building one inside of a tokio runtime is an error
//! ([`BuildError::BlockingInsideAsync`](crate::consumer::BuildError)), because waiting would hold up that runtime. That
//! includes `spawn_blocking`, which cannot be told from a runtime's own threads: use [`std::thread`] there, or the asynchronous client.

mod admin;
mod consumer;
mod producer;

pub use admin::Admin;
pub use consumer::Consumer;
pub use producer::Producer;

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, Thread};

use tokio::runtime::Handle;

use crate::consumer::BuildError;

fn refuse_inside_async() -> Result<(), BuildError> {
    match Handle::try_current() {
        Ok(_) => Err(BuildError::BlockingInsideAsync),
        Err(_) => Ok(()),
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread; timers are those of the background thread's runtime.
fn wait<F: Future>(runtime: &Handle, future: F) -> F::Output {
    let _entered = runtime.enter();
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            // A spurious wake-up only polls once more.
            Poll::Pending => thread::park(),
        }
    }
}
