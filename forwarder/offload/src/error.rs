//! A system call that failed, and what it was for.

use std::fmt;
use std::io;

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `open("/dev/net/tun")`.
    OpenTun,
    /// `ioctl(TUNSETIFF)`.
    CreateTun,
    /// `ioctl(SIOCSIFMTU)`.
    SetMtu,
    /// `ioctl(SIOCSIFFLAGS)`.
    BringUp,
    /// `ioctl(SIOCGIFINDEX)`.
    FindIndex,
    /// `socket()`.
    Socket,
    /// `setsockopt()`, with the option's name.
    Option(&'static str),
    /// `bind()`.
    Bind,
    /// `getsockname()`.
    Name,
    /// `connect()`.
    Connect,
    /// `capget()`.
    ReadCapabilities,
    /// `capset()`.
    DropCapabilities,
    /// `prctl(PR_SET_NO_NEW_PRIVS)`.
    NoNewPrivileges,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenTun => f.write_str("opening /dev/net/tun"),
            Self::CreateTun => f.write_str("creating the TUN interface"),
            Self::SetMtu => f.write_str("setting the MTU"),
            Self::BringUp => f.write_str("bringing the interface up"),
            Self::FindIndex => f.write_str("finding the interface's index"),
            Self::Socket => f.write_str("making a socket"),
            Self::Option(name) => write!(f, "setting {name}"),
            Self::Bind => f.write_str("binding"),
            Self::Name => f.write_str("reading the bound address"),
            Self::Connect => f.write_str("looking up the route"),
            Self::ReadCapabilities => f.write_str("reading capabilities"),
            Self::DropCapabilities => f.write_str("dropping capabilities"),
            Self::NoNewPrivileges => f.write_str("forbidding new privileges"),
        }
    }
}

/// A system call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{operation} of {object}: {source}")]
pub struct SystemError {
    /// What was tried.
    pub operation: Operation,
    /// On what.
    pub object: String,
    /// The kernel's answer.
    pub source: io::Error,
}

impl SystemError {
    /// The kernel's last answer to this thread.
    pub(crate) fn last(operation: Operation, object: impl fmt::Display) -> Self {
        Self {
            operation,
            object: object.to_string(),
            source: io::Error::last_os_error(),
        }
    }

    pub(crate) fn of(operation: Operation, object: impl fmt::Display, source: io::Error) -> Self {
        Self {
            operation,
            object: object.to_string(),
            source,
        }
    }
}
