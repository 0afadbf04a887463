//! How an application leaves its group: it closes its consumer or unsubscribes, and now and then gives that up halfway.

use core::time::Duration;

use tokio::time::{sleep, timeout};

use super::application::Application;
use crate::plan::PATIENCE;

impl Application {
    /// Its life is over.
    pub(super) async fn close(mut self) {
        let (no, run) = (self.no, self.run.clone());
        match run.below(8) {
            0..=2 => {
                if let Some(older) = self.border.takes_back(self.consumer.assignment()) {
                    // Whether it is stored does not matter: it was asked for.
                    let _ = self.consumer.commit_sync_offsets(older).await;
                }
                run.fault("close dropped", || format!("of m{no}"));
                let patience = Duration::from_millis(run.below(30));
                let closed = timeout(patience, self.consumer.close(PATIENCE)).await;
                run.note(|| format!("m{no} closed: {closed:?}"));
            }
            3 => {
                run.fault("consumer dropped", || format!("of m{no}"));
                drop(self.consumer);
            }
            _ => {
                run.note(|| format!("m{no} closes"));
                let result = self.consumer.close(PATIENCE).await;
                run.note(|| format!("m{no} closed: {result:?}"));
            }
        }
    }

    /// Gives its subscription up, for a while.
    pub(super) async fn unsubscribe(&mut self) {
        let (no, run) = (self.no, self.run.clone());
        let mine = self.consumer.assignment();
        run.lock().ledger.stops(no, &mine);
        let mut is_dropped = run.chance(1, 2);
        let done = if is_dropped && self.border.forgets_to_unsubscribe() {
            None
        } else if is_dropped {
            run.fault("unsubscribe dropped", || format!("of m{no}"));
            let patience = Duration::from_millis(run.below(60));
            let done = timeout(patience, self.consumer.unsubscribe()).await.ok();
            is_dropped = done.is_none();
            done
        } else {
            run.fault("unsubscribe", || format!("of m{no}"));
            Some(self.consumer.unsubscribe().await)
        };
        run.note(|| format!("m{no} unsubscribed: {done:?}"));
        if is_dropped && run.chance(1, 2) {
            // Nothing is read, and what is left of it is done.
            let patience = Duration::from_millis(run.below(300));
            let polled = self.consumer.poll(patience).await;
            run.note(|| {
                format!(
                    "m{no} polls: {:?}",
                    polled.as_ref().map(|records| records.count())
                )
            });
            if polled.is_ok() {
                let what = format!("m{no} has unsubscribed, and polls");
                run.lock().ledger.break_rule("I5", what);
            }
        }
        if let Some(Ok(())) = done {
            let mut shared = run.lock();
            let left: Vec<String> = shared.ledger.holds(no).map(ToString::to_string).collect();
            if !left.is_empty() {
                let what = format!("m{no} has unsubscribed, and {left:?} were not revoked");
                shared.ledger.break_rule("I5", what);
            }
        }
        if run.chance(1, 2) {
            let pause = Duration::from_millis(run.below(2_000));
            sleep(pause).await;
        }
        let now = run.now();
        run.lock().ledger.was_busy(now, no);
        self.polled_at = now;
    }
}
