//! Every limit that more than one crate respects, with its unit and its reason.

/// Operations in one history segment, measured as the sum of their JSON lengths, in bytes.
/// The reference cuts its batches at the same place (`protocols/taskchampion.md` section 5).
pub const SEGMENT_OPERATIONS_BYTES_MAX: usize = 1_000_000;

/// The largest sealed body that a reference server takes, in bytes (section 7: 100 MiB).
pub const SEALED_BYTES_MAX: usize = 100 * 1024 * 1024;

/// One operation's JSON, in bytes: what still fits into a sealed body of its own, with room for
/// the envelope and the wrapping object. A value that could never travel is refused at entry.
pub const OPERATION_BYTES_MAX: usize = SEALED_BYTES_MAX - 4096;

/// The largest opened (decompressed) snapshot that we read, in bytes. A snapshot of 100,000 tasks
/// is 19 MB, so this leaves two orders of magnitude and still stops a bomb.
pub const SNAPSHOT_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Pulled operations that are committed together, in bytes of their plain segments: bounds memory
/// and the work that an interruption repeats.
pub const PULL_GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Pulled versions that are committed together, for histories of very small versions.
pub const PULL_GROUP_VERSIONS_MAX: usize = 500;

/// Version ids that a replica remembers having applied (`design` section 3, `applied`).
pub const APPLIED_VERSIONS_MAX: u64 = 10_000;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u32 = 1_000_000_000;
