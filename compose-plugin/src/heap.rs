//! The allocator of a process that runs for months.

/// Bytes from which on a block is a mapping of its own, which goes back to the kernel when it is freed.
const OWN_MAPPING: i32 = 256 << 10;

/// Makes the allocator give large blocks back. Left alone it learns from the first program that is read into memory, to be imported
/// as an image, that such blocks are usual, and keeps as much of every thread's heap for the next one: 11 MB each.
///
/// Source: mallopt(3), `M_MMAP_THRESHOLD`. Does nothing where the libc is another one.
pub fn give_back_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two numbers, and may be called at any time and by any thread.
    let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_MAPPING) };
}
