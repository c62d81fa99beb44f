//! The commands, one file each. A command takes its arguments and the [`Context`](crate::context::Context) and returns
//! the exit code of the process.

pub mod check;
pub mod generate;
pub mod init;
pub mod schema;
pub mod secret;
pub mod up;
