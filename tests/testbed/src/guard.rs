//! Ties the life of a process to its parent's, so that nothing is left behind even after `kill -9`.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

/// Environment variable that holds the parent's process id, so that a child sees when the parent died before it asked.
pub const PARENT: &str = "PACAO_PARENT";

/// From now on the kernel kills this process when its parent (the parent's thread that started it) ends. If the parent
/// named in [`PARENT`] is gone already, says so.
pub fn die_with_parent() -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let expected = std::env::var(PARENT)
        .ok()
        .and_then(|text| text.parse::<i32>().ok());
    if expected.is_some_and(|pid| pid != getppid().as_raw()) {
        return Err(io::Error::other("the parent has ended already"));
    }
    Ok(())
}

/// `guard PROGRAM [ARGUMENT...]`: becomes PROGRAM, which dies with our parent.
#[expect(
    clippy::print_stderr,
    reason = "a wrapper has no other way to say why it did not become the program"
)]
pub fn main_with_args(arguments: Vec<OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let Some(program) = arguments.next() else {
        eprintln!("guard: no program given");
        return ExitCode::from(2);
    };
    if let Err(error) = die_with_parent() {
        eprintln!("guard: {error}");
        return ExitCode::from(125);
    }
    // What the kernel was asked for above stays in force over exec (prctl(2), PR_SET_PDEATHSIG).
    let error = Command::new(&program).args(arguments).exec();
    eprintln!("guard: cannot run {}: {error}", program.to_string_lossy());
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    })
}
