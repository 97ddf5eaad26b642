//! `as-nobody [--private-tun] FILE... -- PROGRAM [ARGUMENT...]`: runs PROGRAM without privilege on a machine whose
//! /dev/net/tun everybody may open, as on a desktop; or root alone. Only for tests; needs root to begin with.
//!
//! All of it happens in a mount namespace of its own: the machine's /dev/net is not touched. FILEs are copied to /mnt
//! there, since nobody may read them where they are.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

const NOBODY: u32 = 65534;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let mut files: Vec<OsString> = arguments
        .by_ref()
        .take_while(|argument| argument != "--")
        .collect();
    let private = files.first().is_some_and(|first| first == "--private-tun");
    if private {
        files.remove(0);
    }
    let tun = if private { 0o600 } else { 0o666 };
    match become_nobody(&files, tun).and_then(|()| become_program(arguments.collect())) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("as-nobody: {error}");
            ExitCode::from(125)
        }
    }
}

fn become_nobody(files: &[OsString], tun: u32) -> Result<(), Box<dyn std::error::Error>> {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    std::fs::create_dir_all("/dev/net")?;
    mount(
        Some("tmpfs"),
        "/dev/net",
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )?;
    mknod(
        "/dev/net/tun",
        SFlag::S_IFCHR,
        Mode::from_bits_truncate(tun),
        makedev(10, 200),
    )?;
    // The umask has its say in mknod.
    std::fs::set_permissions("/dev/net/tun", std::fs::Permissions::from_mode(tun))?;
    mount(
        Some("tmpfs"),
        "/mnt",
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )?;
    for file in files.iter().map(Path::new) {
        let copy = Path::new("/mnt").join(file.file_name().ok_or("a file has a name")?);
        std::fs::copy(file, &copy)?;
        let mode = std::fs::metadata(file)?.permissions().mode();
        std::fs::set_permissions(
            &copy,
            std::fs::Permissions::from_mode(mode | 0o444 | (mode & 0o100) >> 2 | (mode & 0o100) >> 5),
        )?;
    }
    std::env::set_current_dir("/")?;
    setgroups(&[])?;
    setgid(Gid::from_raw(NOBODY))?;
    setuid(Uid::from_raw(NOBODY))?;
    Ok(())
}

fn become_program(words: Vec<OsString>) -> Result<std::convert::Infallible, Box<dyn std::error::Error>> {
    let mut words = words.into_iter();
    let program = words.next().ok_or("no program given")?;
    Err(Command::new(program)
        .args(words)
        .env_remove("XDG_RUNTIME_DIR")
        .exec()
        .into())
}
