//! Counts what is allocated, by who allocates: a test or a bench begins a [`Group`], and the threads of its runtime join it.
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: locket_e2e::alloc::Counting = locket_e2e::alloc::Counting;
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// The system's allocator, which counts.
pub struct Counting;

/// What a group has allocated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allocated {
    /// How often it has asked for memory.
    pub times: u64,
    /// Bytes that it holds now. What a thread outside of the group frees or passes on counts there.
    pub live: i64,
}

/// Threads whose allocations are counted together.
#[derive(Debug, Clone, Copy)]
pub struct Group(usize);

struct Count {
    times: AtomicU64,
    live: AtomicI64,
}

/// As many groups as a program may begin; the first is everybody else's, and is not counted.
static COUNTS: [Count; 32] = [const {
    Count {
        times: AtomicU64::new(0),
        live: AtomicI64::new(0),
    }
}; 32];
static GROUPS: AtomicUsize = AtomicUsize::new(1);

thread_local! {
    // Without a destructor, so that it is there as long as the thread allocates.
    static GROUP: Cell<usize> = const { Cell::new(0) };
}

impl Group {
    /// A new one, which this thread has joined.
    ///
    /// # Panics
    /// When there are too many.
    pub fn begin() -> Self {
        let it = Self(GROUPS.fetch_add(1, Relaxed));
        assert!(it.0 < COUNTS.len(), "too many groups");
        it.join();
        it
    }

    /// This thread's allocations count here from now on.
    pub fn join(self) {
        GROUP.set(self.0);
    }
}

/// What the group of this thread has allocated up to now; nothing where [`Counting`] is not the allocator.
pub fn here() -> Allocated {
    let it = &COUNTS[GROUP.get()];
    Allocated {
        times: it.times.load(Relaxed),
        live: it.live.load(Relaxed),
    }
}

fn count(times: u64, bytes: i64) {
    // Without optimization, asking the thread costs as much as allocating; most programs never begin a group.
    if GROUPS.load(Relaxed) == 1 {
        return;
    }
    let group = GROUP.get();
    if group == 0 {
        return;
    }
    let it = &COUNTS[group];
    it.times.fetch_add(times, Relaxed);
    it.live.fetch_add(bytes, Relaxed);
}

fn signed(bytes: usize) -> i64 {
    // No allocation is larger than `isize::MAX`.
    bytes as i64
}

// SAFETY: all of it is the system's; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, signed(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, it: *mut u8, layout: Layout) {
        count(0, -signed(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(it, layout) }
    }

    unsafe fn realloc(&self, it: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, signed(size) - signed(layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(it, layout, size) }
    }
}
