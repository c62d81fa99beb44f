//! The whole loop on a fake engine, behind the real client, with the real anchor session. Time is tokio's, and paused.

mod labels;
mod loops;
mod operations;
mod written;
