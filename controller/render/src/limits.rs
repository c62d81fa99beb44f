//! How much one service may ask for.

/// Bytes of one file, and of every step on the way to it.
pub const FILE_LIMIT: usize = 8 << 20;

/// Bytes of all files and variables of one service, each file rounded up to whole pages of 4 KiB.
///
/// The service's tmpfs has 64 MiB and must hold three generations at once: the new one while it is written,
/// the current one, and an older one that a living container has started with. 4 MiB are left for directories and the log.
pub const TOTAL_LIMIT: usize = 20 << 20;

/// Bytes of `KEY=value` with its terminating NUL: the kernel's `MAX_ARG_STRLEN`, <https://man7.org/linux/man-pages/man2/execve.2.html>.
pub const ENV_LIMIT: usize = 131_072;

/// Calls of `bcrypt` and `htpasswd` of one service; at [`BCRYPT_COST`] each takes some 50 ms of one core.
pub const BCRYPT_LIMIT: u32 = 16;

/// The cost of `bcrypt` and `htpasswd`: 2¹⁰ rounds.
pub const BCRYPT_COST: u32 = 10;

/// Bytes that go into filters, of one service: some seconds of the slowest of them.
pub const WORK_LIMIT: usize = 1 << 30;

/// A page of tmpfs, in bytes.
pub(crate) const PAGE: usize = 4096;
