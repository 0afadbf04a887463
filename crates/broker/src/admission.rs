//! Who may be connected: `max.connections`, and who has to go when a newcomer finds all of them taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kohort_node::ConnId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// [`Turn::since`] of a connection whose request is in hand.
const AT_WORK: u64 = 0;
/// [`Turn::since`] of a connection that has to go.
const GOES: u64 = u64::MAX;

/// Gives connections their ids and their places, of which there are `max.connections`.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    next: Arc<AtomicU64>,
    places: Arc<Semaphore>,
    open: Arc<Open>,
    /// The brokers that let nobody in.
    stopped: Arc<Mutex<BTreeSet<i32>>>,
}

/// The connections that are open.
#[derive(Debug, Default)]
struct Open {
    turns: Mutex<BTreeMap<ConnId, Arc<Turn>>>,
    /// Grows whenever a connection begins to wait for a request.
    clock: AtomicU64,
    /// How many newcomers wait until somebody can go.
    newcomers: AtomicUsize,
    /// Told when a connection begins to wait, while there are newcomers.
    began: Notify,
}

/// What one connection does.
#[derive(Debug, Default)]
struct Turn {
    /// By [`Open::clock`], since when it waits for its next request; [`AT_WORK`] and [`GOES`] are no times.
    since: AtomicU64,
    goes: Notify,
}

/// A connection's part of `max.connections`, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) conn: ConnId,
    turn: Arc<Turn>,
    open: Arc<Open>,
    _permit: OwnedSemaphorePermit,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Admission {
    pub(crate) fn new(max_connections: usize) -> Self {
        Self {
            next: Arc::new(AtomicU64::new(0)),
            places: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            open: Arc::default(),
            stopped: Arc::default(),
        }
    }

    pub(crate) fn is_stopped(&self, broker: i32) -> bool {
        lock(&self.stopped).contains(&broker)
    }

    pub(crate) fn set_stopped(&self, broker: i32, is_stopped: bool) {
        let mut stopped = lock(&self.stopped);
        match is_stopped {
            true => stopped.insert(broker),
            false => stopped.remove(&broker),
        };
    }

    /// A place, for which the connection goes that has waited longest for its next request; `None` when all are at work.
    // Kafka: SocketServer.closeExcessConnections, Selector.lowestPriorityChannel: the least recently used one
    pub(crate) async fn try_admit(&self) -> Option<Place> {
        self.enter(false).await
    }

    /// As [`Admission::try_admit`]; while all are at work it waits.
    pub(crate) async fn admit(&self) -> Option<Place> {
        self.enter(true).await
    }

    async fn enter(&self, waits: bool) -> Option<Place> {
        let _newcomer = Newcomer::new(&self.open);
        loop {
            // Before the look, so that nobody is missed who begins to wait after it.
            let began = self.open.began.notified();
            if let Ok(permit) = self.places.clone().try_acquire_owned() {
                return Some(self.place(permit));
            }
            if !self.open.make_room() && !waits {
                return None;
            }
            // A place goes to the newcomer that has waited longest, whoever made room.
            tokio::select! {
                permit = self.places.clone().acquire_owned() => return permit.ok().map(|permit| self.place(permit)),
                () = began => {}
            }
        }
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        let conn = ConnId(self.next.fetch_add(1, Ordering::Relaxed));
        let turn = Arc::new(Turn::default());
        lock(&self.open.turns).insert(conn, turn.clone());
        Place {
            conn,
            turn,
            open: self.open.clone(),
            _permit: permit,
        }
    }
}

impl Open {
    /// Sends as many connections away as there are newcomers; whether there are enough that do not work.
    fn make_room(&self) -> bool {
        let turns = lock(&self.turns);
        let of = |turn: &Arc<Turn>| turn.since.load(Ordering::SeqCst);
        let mut going = turns.values().filter(|turn| of(turn) == GOES).count();
        while going < self.newcomers.load(Ordering::SeqCst) {
            let waiting = turns.values().map(|turn| (of(turn), turn));
            let waiting = waiting.filter(|(since, _)| !matches!(*since, AT_WORK | GOES));
            let Some((since, turn)) = waiting.min_by_key(|(since, _)| *since) else {
                return false;
            };
            // Its request may have come meanwhile.
            let sent = turn
                .since
                .compare_exchange(since, GOES, Ordering::SeqCst, Ordering::SeqCst);
            if sent.is_ok() {
                turn.goes.notify_one();
                going += 1;
            }
        }
        true
    }
}

/// Counts a newcomer as long as it waits.
struct Newcomer<'a>(&'a Open);

impl<'a> Newcomer<'a> {
    fn new(open: &'a Open) -> Self {
        open.newcomers.fetch_add(1, Ordering::SeqCst);
        Self(open)
    }
}

impl Drop for Newcomer<'_> {
    fn drop(&mut self) {
        self.0.newcomers.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Place {
    /// The connection waits, for its next request or for long already for an answer. What came of a request does not count: who
    /// sends half of one and stops is no better than who sends none.
    pub(crate) fn wait(&self) {
        let now = self.open.clock.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let began = self
            .turn
            .since
            .compare_exchange(AT_WORK, now, Ordering::SeqCst, Ordering::SeqCst);
        if began.is_ok() && self.open.newcomers.load(Ordering::SeqCst) > 0 {
            self.open.began.notify_waiters();
        }
    }

    /// The connection has a request in hand, or its answer; false when it has to go all the same.
    pub(crate) fn work(&self) -> bool {
        let waited = self
            .turn
            .since
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |since| {
                (since != GOES).then_some(AT_WORK)
            });
        waited.is_ok()
    }

    /// Ends when the connection has to go, for another one.
    pub(crate) async fn goes(&self) {
        self.turn.goes.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.open.turns).remove(&self.conn);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    /// What the future gives, which must not wait.
    async fn soon<T>(future: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(1), future).await.expect("it waits")
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_has_waited_longest_goes_and_those_at_work_stay() {
        let admission = Admission::new(3);
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(admission.try_admit().await.unwrap());
        }
        for place in &places {
            place.wait();
        }
        assert!(places[0].work());
        places[0].wait();
        assert!(places[1].work());
        // The third has waited longest, then the first.
        let third = places.pop().unwrap();
        let newcomer = tokio::spawn({
            let admission = admission.clone();
            async move { admission.try_admit().await }
        });
        soon(third.goes()).await;
        assert!(!third.work());
        drop(third);
        places.push(soon(newcomer).await.unwrap().unwrap());
        let first = places.remove(0);
        let newcomer = tokio::spawn({
            let admission = admission.clone();
            async move { admission.try_admit().await }
        });
        soon(first.goes()).await;
        drop(first);
        places.push(soon(newcomer).await.unwrap().unwrap());
        assert!(admission.try_admit().await.is_none(), "all are at work");
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_that_waits_gets_in_when_somebody_has_worked() {
        let admission = Admission::new(1);
        let place = admission.try_admit().await.unwrap();
        let newcomer = tokio::spawn({
            let admission = admission.clone();
            async move { admission.admit().await }
        });
        tokio::task::yield_now().await;
        assert!(!newcomer.is_finished());
        place.wait();
        soon(place.goes()).await;
        drop(place);
        assert!(soon(newcomer).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_newcomer_whose_place_another_took_sends_the_next_one_away() {
        let admission = Admission::new(2);
        let (first, second) = (admission.admit().await.unwrap(), admission.admit().await.unwrap());
        let newcomer = || {
            let admission = admission.clone();
            tokio::spawn(async move { admission.admit().await })
        };
        let newcomers = [newcomer(), newcomer()];
        tokio::task::yield_now().await;
        // One place for two newcomers, and then another one.
        first.wait();
        first.goes().await;
        drop(first);
        tokio::task::yield_now().await;
        second.wait();
        second.goes().await;
        drop(second);
        for newcomer in newcomers {
            let place = tokio::time::timeout(std::time::Duration::from_secs(10), newcomer);
            assert!(place.await.expect("it gets in").unwrap().is_some());
        }
    }
}
