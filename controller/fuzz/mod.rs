//! What senders of hooks write.

mod signature;
