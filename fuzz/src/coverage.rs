//! Which edges of the program an input passed, and how often: one byte for each edge, counted by the code itself when it is
//! built with the flags of `.cargo/config.toml`. Without them there are no counters, and nothing is ever new.

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

static START: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LEN: AtomicUsize = AtomicUsize::new(0);

const PAGE: usize = 2048;
const LINE: usize = 64;
const WORD: usize = 8;
static ZEROS: [u8; PAGE] = [0; PAGE];

/// Called by every instrumented module as the program starts, always with the counters of the whole program.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    START.store(start, Ordering::Relaxed);
    LEN.store((stop as usize).saturating_sub(start as usize), Ordering::Relaxed);
}

/// The counters, and what was seen of them so far.
pub struct Coverage {
    seen: Vec<u8>,
    /// Counts as none: how often an edge was passed makes no difference.
    pub by_edge_only: bool,
}

impl Default for Coverage {
    fn default() -> Self {
        Self {
            seen: vec![0; LEN.load(Ordering::Relaxed)],
            by_edge_only: false,
        }
    }
}

impl Coverage {
    /// Forgets what was counted.
    pub fn reset(&self) {
        counters(|counters| counters.fill(0));
    }

    /// Takes what was counted since the last reset; gives whether some edge was passed for the first time, or more often than
    /// ever by a power of two.
    pub fn take(&mut self) -> bool {
        let mut is_new = false;
        let (seen, by_edge_only) = (&mut self.seen, self.by_edge_only);
        counters(|counters| {
            for (page, seen) in counters.chunks_mut(PAGE).zip(seen.chunks_mut(PAGE)) {
                // Comparing is a call into the uninstrumented C library, and fast.
                if page == &ZEROS[..page.len()] {
                    continue;
                }
                for (line, seen) in page.chunks_mut(LINE).zip(seen.chunks_mut(LINE)) {
                    if line == &ZEROS[..line.len()] {
                        continue;
                    }
                    for (word, seen) in line.chunks(WORD).zip(seen.chunks_mut(WORD)) {
                        if word != &ZEROS[..word.len()] {
                            is_new |= look(word, seen, by_edge_only);
                        }
                    }
                    line.fill(0);
                }
            }
        });
        is_new
    }

    /// How many edges were passed, and how many there are.
    pub fn edges(&self) -> (usize, usize) {
        (
            self.seen.iter().filter(|seen| **seen != 0).count(),
            self.seen.len(),
        )
    }
}

fn look(word: &[u8], seen: &mut [u8], by_edge_only: bool) -> bool {
    let mut is_new = false;
    for (count, seen) in word.iter().zip(seen) {
        let bucket = match by_edge_only {
            true => u8::from(*count != 0),
            false => BUCKETS[usize::from(*count)],
        };
        is_new |= bucket & !*seen != 0;
        *seen |= bucket;
    }
    is_new
}

static BUCKETS: [u8; 256] = {
    let mut buckets = [0; 256];
    let mut count = 0;
    while count < 256 {
        buckets[count] = bucket(count as u8);
        count += 1;
    }
    buckets
};

/// One bit for 1, 2, 3, 4 to 7, 8 to 15, 16 to 31, 32 to 127, more.
const fn bucket(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..8 => 8,
        8..16 => 16,
        16..32 => 32,
        32..128 => 64,
        128.. => 128,
    }
}

fn counters(act: impl FnOnce(&mut [u8])) {
    let (start, len) = (START.load(Ordering::Relaxed), LEN.load(Ordering::Relaxed));
    if !start.is_null() {
        // SAFETY: the linker placed `len` bytes at `start` for as long as the program runs, and the instrumented code changes
        // them by single bytes. The driver runs targets and reads counters on one thread.
        act(unsafe { std::slice::from_raw_parts_mut(start, len) });
    }
}
