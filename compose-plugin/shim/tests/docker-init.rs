//! The shim alone, as the tests run it; the product has it inside of the one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    locket_shim::main(std::env::args_os().collect())
}
