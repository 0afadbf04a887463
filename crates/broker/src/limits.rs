//! How much memory and patience one client gets, so that none takes all of it: `socket.request.max.bytes`,
//! `queued.max.request.bytes` and `connections.max.idle.ms`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kohort_node::config::Config;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use crate::segments::Segments;

/// How much is asked of the socket at once, how much of later requests is read while one is being answered, and how much
/// every connection may hold.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// The largest buffer that a connection keeps for its next requests.
const LARGEST_KEPT: usize = 1 << 20;

/// How long a connection on which nothing comes keeps its buffer.
const BEFORE_SLEEP: Duration = Duration::from_secs(1);

/// How long a request that already holds memory may stop coming, and how long it may be slower than [`SLOWEST_BYTES`].
const BEFORE_STALLED: Duration = Duration::from_secs(30);

/// How many bytes a second such a request brings at least, once that time is over: a megabit. Else a byte now and then would hold
/// its memory for ever.
const SLOWEST_BYTES: usize = 128 << 10;

/// How long a request that is being answered keeps the bytes that it came in, where nobody needs them.
const BEFORE_RELEASE: Duration = Duration::from_secs(1);

/// How long the answer to a client that sends nothing more, and may be gone, is waited for.
const BEFORE_GONE: Duration = Duration::from_secs(1);

/// How long a large reply may stand still while too much of others is unread; and how often that is looked at.
const BEFORE_CROWDED: Duration = Duration::from_secs(1);

/// How long a large reply may take altogether while too much of others is unread, however slowly it is read.
pub(crate) const BEFORE_OVERDUE: Duration = Duration::from_secs(10);

/// Up to here what a reply has beside records is not held against its reader. (A Fetch of a thousand partitions has 50 KiB.)
const LARGEST_AROUND: usize = 64 << 10;

/// What holds for every connection of a broker.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// `socket.request.max.bytes`.
    pub(crate) max_frame: usize,
    /// `connections.max.idle.ms`; `None` when connections may be idle for ever.
    pub(crate) idle: Option<Duration>,
    /// `queued.max.request.bytes` in pieces of [`READ_BYTES`]; `None` when there is no bound.
    queued: Option<Arc<Semaphore>>,
    /// How many bytes the replies that are not wholly written yet have beside records.
    unread: Arc<AtomicUsize>,
    /// How many bytes of records they have.
    unread_records: Arc<AtomicUsize>,
    /// How many of either there may be: beyond it large replies that are not read go, and others have fewer records.
    most_unread: usize,
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Self {
        let positive = |key| usize::try_from(config.int(key)).ok();
        let pieces = |bytes: usize| bytes.div_ceil(READ_BYTES).min(Semaphore::MAX_PERMITS);
        Self {
            max_frame: config.size("socket.request.max.bytes"),
            idle: positive("connections.max.idle.ms").map(|ms| Duration::from_millis(ms as u64)),
            queued: positive("queued.max.request.bytes").map(|bytes| Arc::new(Semaphore::new(pieces(bytes)))),
            unread: Arc::default(),
            unread_records: Arc::default(),
            most_unread: positive("queued.max.request.bytes").unwrap_or(usize::MAX),
        }
    }

    pub(crate) fn before_sleep(&self) -> Option<Duration> {
        Some(self.idle.map_or(BEFORE_SLEEP, |idle| idle.min(BEFORE_SLEEP)))
    }

    fn before_stalled(&self) -> Duration {
        self.idle.map_or(BEFORE_STALLED, |idle| idle.min(BEFORE_STALLED))
    }

    pub(crate) fn idle_ms(&self) -> u128 {
        self.idle.map_or(0, |idle| idle.as_millis())
    }

    pub(crate) fn before_gone(&self) -> Option<Duration> {
        Some(self.idle.map_or(BEFORE_GONE, |idle| idle.min(BEFORE_GONE)))
    }

    /// How long one write to a socket is waited for before it is looked at again how things stand.
    pub(crate) fn step(&self) -> Duration {
        self.idle.map_or(BEFORE_CROWDED, |idle| idle.min(BEFORE_CROWDED))
    }

    /// Counts a reply until it is written, or the connection is gone; `records` of its bytes are records.
    pub(crate) fn reply(&self, pieces: Vec<Bytes>, records: usize) -> Reply {
        let segments = Segments::new(pieces);
        let others = segments.remaining().saturating_sub(records);
        Reply {
            segments,
            is_large: others > LARGEST_AROUND,
            _others: Unread::new(&self.unread, others),
            _records: Unread::new(&self.unread_records, records),
        }
    }

    /// Whether replies have more beside records than they may have.
    pub(crate) fn is_crowded(&self) -> bool {
        self.unread.load(Ordering::Relaxed) > self.most_unread
    }

    /// How many bytes of records further replies may have.
    pub(crate) fn records_room(&self) -> usize {
        self.most_unread
            .saturating_sub(self.unread_records.load(Ordering::Relaxed))
    }

    /// Ends after this time; never without one.
    pub(crate) async fn expire(&self, after: Option<Duration>) {
        match after {
            Some(after) => sleep(after).await,
            None => std::future::pending().await,
        }
    }

    /// What the future gives, if it does so in time.
    pub(crate) async fn within<T>(
        &self,
        patience: Option<Duration>,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        match patience {
            Some(patience) => timeout(patience, future).await.ok(),
            None => Some(future.await),
        }
    }
}

/// A reply on its way. It stays in memory until it is wholly written.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) segments: Segments,
    /// Whether it has more beside records than any good client's question makes it have.
    pub(crate) is_large: bool,
    _others: Unread,
    _records: Unread,
}

#[derive(Debug)]
struct Unread {
    all: Arc<AtomicUsize>,
    bytes: usize,
}

impl Unread {
    fn new(all: &Arc<AtomicUsize>, bytes: usize) -> Self {
        all.fetch_add(bytes, Ordering::Relaxed);
        Self {
            all: Arc::clone(all),
            bytes,
        }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a connection holds of `queued.max.request.bytes`: for the request that comes or is being answered, beyond
/// [`READ_BYTES`].
#[derive(Debug, Default)]
pub(crate) struct Held {
    pieces: Option<OwnedSemaphorePermit>,
    /// Since when.
    since: Option<Instant>,
    /// The request that is being answered, to see whether anybody else has its bytes.
    frame: Option<Bytes>,
}

impl Held {
    /// Takes what a buffer of so many bytes needs; whether there was enough.
    pub(crate) fn cover(&mut self, bytes: usize, limits: &Limits) -> bool {
        let Some(queued) = &limits.queued else {
            return true;
        };
        let wanted = pieces_beyond(bytes);
        let missing = u32::try_from(wanted.saturating_sub(self.pieces())).unwrap_or(u32::MAX);
        if missing == 0 {
            return true;
        }
        let Ok(more) = queued.clone().try_acquire_many_owned(missing) else {
            return false;
        };
        match &mut self.pieces {
            Some(held) => held.merge(more),
            None => self.pieces = Some(more),
        }
        self.since.get_or_insert_with(Instant::now);
        true
    }

    pub(crate) fn is_some(&self) -> bool {
        self.pieces.is_some()
    }

    fn pieces(&self) -> usize {
        self.pieces.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// How long more is waited for of a request of which so many bytes came.
    pub(crate) fn patience(&self, got: usize, limits: &Limits) -> Duration {
        let grace = limits.before_stalled();
        let earned = Duration::from_secs_f64(got as f64 / SLOWEST_BYTES as f64);
        let passed = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        grace.min(grace.saturating_add(earned).saturating_sub(passed))
    }

    /// The request is whole, and goes to the node.
    pub(crate) fn complete(&mut self, frame: &Bytes) {
        self.frame = self.is_some().then(|| frame.clone());
    }

    /// When it is worth a look whether something can be given back before the answer.
    pub(crate) fn before_release(&self) -> Option<Duration> {
        self.frame.is_some().then_some(BEFORE_RELEASE)
    }

    /// Gives back what the request holds that is being answered, if nobody has its bytes any more: a fetch may wait for days.
    pub(crate) fn release(&mut self, buffer: &mut BytesMut) {
        let Some(frame) = &self.frame else { return };
        // The buffer is of the same piece of memory.
        *buffer = BytesMut::from(&buffer[..]);
        if !frame.is_unique() {
            return;
        }
        self.frame = None;
        self.keep(pieces_beyond(buffer.len()));
    }

    /// Gives back what the answered request held, and its memory; what came behind it stays.
    pub(crate) fn settle(&mut self, buffer: &mut BytesMut) {
        self.frame = None;
        if self.pieces() * READ_BYTES > LARGEST_KEPT {
            *buffer = BytesMut::from(&buffer[..]);
        }
        self.keep(pieces_beyond(buffer.len()));
        self.since = self.is_some().then(Instant::now);
    }

    fn keep(&mut self, pieces: usize) {
        let surplus = self.pieces().saturating_sub(pieces);
        drop(self.pieces.as_mut().and_then(|held| held.split(surplus)));
        self.pieces.take_if(|held| held.num_permits() == 0);
    }
}

/// How many pieces a buffer of so many bytes holds.
fn pieces_beyond(bytes: usize) -> usize {
    bytes.saturating_sub(READ_BYTES).div_ceil(READ_BYTES)
}
