//! Whatever comes over the stream or lies on a volume: no panic, and what is understood is what was written.

mod growth;
mod protocol;
mod volume;
