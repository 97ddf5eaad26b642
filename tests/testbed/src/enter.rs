//! Becoming able to make network namespaces: as root at once, otherwise in a user namespace where we are root.

use std::fs::{self, OpenOptions};
use std::io;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};

/// How the process may make namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// It was started as root.
    Root,
    /// It is root in a user namespace of its own, and nobody special outside.
    UserNamespace,
}

/// Makes the process able to build a lab. To be called first thing in `main`, before there is a second thread: the kernel
/// gives a user namespace to single-threaded processes only.
pub fn enter() -> Result<Privilege, EnterError> {
    let privilege = if geteuid().is_root() {
        Privilege::Root
    } else {
        become_root_inside()?;
        Privilege::UserNamespace
    };
    // A forwarder would find out too, but later and in its own log.
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .map_err(|source| EnterError::Tun { source })?;
    Ok(privilege)
}

fn become_root_inside() -> Result<(), EnterError> {
    let (uid, gid) = (geteuid(), getegid());
    // No mount namespace: nothing is mounted, and with one the paths of this program and of the working directory could no
    // longer be told. No network namespace for the process itself: its consoles connect over the loopback everybody has.
    unshare(CloneFlags::CLONE_NEWUSER).map_err(|errno| match errno {
        Errno::EINVAL => EnterError::Threads,
        _ => EnterError::UserNamespace { source: errno.into() },
    })?;
    // user_namespaces(7): without privilege outside, the gid map may be written only once setgroups is denied.
    let maps = [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {uid} 1")),
        ("gid_map", format!("0 {gid} 1")),
    ];
    for (file, text) in maps {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(|source| EnterError::Map { path, source })?;
    }
    Ok(())
}

/// No lab on this machine, and what would help.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The kernel or its policy forbids user namespaces.
    #[error(
        "cannot make a user namespace: {source}. Run as root, or allow it: sysctl user.max_user_namespaces above 0, \
         kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)"
    )]
    UserNamespace {
        /// Why.
        source: io::Error,
    },
    /// There is a second thread already.
    #[error(
        "cannot make a user namespace: the process has several threads already; `enter` must come first in main"
    )]
    Threads,
    /// The map of users was refused.
    #[error("cannot write {path}: {source}. Run as root")]
    Map {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// No TUN device.
    #[error(
        "cannot open /dev/net/tun: {source}. Load the module (modprobe tun), make the node if there is none \
         (mkdir -p /dev/net; mknod /dev/net/tun c 10 200), and let everybody open it (chmod 0666 /dev/net/tun) or run as root; \
         in a container pass --device /dev/net/tun"
    )]
    Tun {
        /// Why.
        source: io::Error,
    },
}
