//! What an engine says about time, and how the output of a program arrives.

mod stream;
mod time;
