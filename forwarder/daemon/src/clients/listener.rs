//! The socket file: made for its owner alone, or open to all where others are named; replaced if nobody listens there,
//! removed at the end. Whoever connects is held to the list of users in any case.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::config::ControlConfig;

/// A control socket that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process listens there.
    #[error("control socket {}: another forwarder listens there", path.display())]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// Something else.
    #[error("control socket {}: {source}", path.display())]
    System {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A listening socket with its file.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    allow_uids: Vec<u32>,
}

impl Listener {
    /// Listens at the configured path. To be called before threads are started: it sets the file mask for a moment.
    pub(crate) fn open(config: &ControlConfig) -> Result<Self, ListenError> {
        let path = config.socket.clone();
        let socket = listen(&path, mode_for(&config.allow_uids)).map_err(|source| match source.kind() {
            ErrorKind::AddrInUse => ListenError::Taken { path: path.clone() },
            _ => ListenError::System {
                path: path.clone(),
                source,
            },
        })?;
        Ok(Self {
            socket,
            path,
            allow_uids: config.allow_uids.clone(),
        })
    }

    pub(super) fn permits(&self, uid: u32) -> bool {
        self.allow_uids.contains(&uid)
    }

    /// The next connection that waits, made not to block.
    pub(super) fn accept(&self) -> Option<UnixStream> {
        loop {
            match self.socket.accept() {
                Ok((stream, _)) if stream.set_nonblocking(true).is_ok() => return Some(stream),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => {
                    tracing::warn!(%error, "control: cannot accept");
                    return None;
                }
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It may have been replaced or removed by others; there is nothing better to do.
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// Root needs no leave. To others but the owner the file must be writable, or they cannot connect; who they are is told
/// by the kernel then.
fn mode_for(allow_uids: &[u32]) -> u32 {
    let owner = nix::unistd::geteuid().as_raw();
    let others = allow_uids.iter().any(|uid| *uid != 0 && *uid != owner);
    if others { 0o666 } else { 0o600 }
}

fn listen(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if let Some(directory) = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        std::fs::create_dir_all(directory)?;
    }
    // With the mask the file is never open to others, not even before its mode is set.
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let bound = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path) => {
            std::fs::remove_file(path).and_then(|()| UnixListener::bind(path))
        }
        bound => bound,
    };
    nix::sys::stat::umask(mask);
    let listener = bound?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether the socket of a process that is gone.
fn is_stale(path: &Path) -> bool {
    UnixStream::connect(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}
