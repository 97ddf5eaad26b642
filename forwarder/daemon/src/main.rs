//! The standalone forwarder: the program to give CAP_NET_ADMIN.

use std::process::ExitCode;

fn main() -> ExitCode {
    pacao_forwarder::main_with_args(std::env::args_os())
}
