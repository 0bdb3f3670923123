//! The forwarder as a program of its own, for tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    booty_sandbox::forward::main(std::env::args_os().skip(2))
}
