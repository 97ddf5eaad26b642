//! Bound UDP sockets with the options the tunnel needs.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Operation, SystemError};
use crate::sockaddr::RawAddress;

/// linux/udp.h; the libc crate has them for some targets only.
const UDP_NO_CHECK6_TX: i32 = 101;
const UDP_NO_CHECK6_RX: i32 = 102;

/// What a socket is for; its options follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Receives encapsulated packets: TTL and traffic class of each, a large queue, zero checksums welcome.
    DataIn,
    /// Sends encapsulated packets: DF set, UDP checksum zero (RFC 9300 section 5.3; RFC 6936 for IPv6), no input.
    DataOut,
    /// The same, for packets that may be cut on their way.
    DataOutDivisible,
    /// Control messages, both ways: kernel time of each received.
    Control,
}

/// A bound UDP socket that never blocks.
#[derive(Debug)]
pub struct UdpSocket {
    fd: OwnedFd,
    local: SocketAddr,
}

impl UdpSocket {
    /// Binds to an address; port 0 lets the kernel choose.
    pub fn bind(address: SocketAddr, role: Role) -> Result<Self, SystemError> {
        let family = if address.is_ipv4() {
            libc::AF_INET
        } else {
            libc::AF_INET6
        };
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: constant arguments.
        let fd = unsafe { libc::socket(family, kind, libc::IPPROTO_UDP) };
        if fd < 0 {
            return Err(SystemError::last(Operation::Socket, address));
        }
        // SAFETY: `fd` was just opened and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut socket = Self { fd, local: address };
        socket.prepare(role)?;
        let (mut raw, length) = RawAddress::from_std(&address);
        // SAFETY: the address is valid for reads of its length.
        if unsafe { libc::bind(socket.fd.as_raw_fd(), raw.as_mut_ptr(), length) } < 0 {
            return Err(SystemError::last(Operation::Bind, address));
        }
        socket.local = socket.bound()?;
        Ok(socket)
    }

    /// The address it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    fn prepare(&self, role: Role) -> Result<(), SystemError> {
        let v4 = self.local.is_ipv4();
        let ip = if v4 { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
        if !v4 {
            self.set("IPV6_V6ONLY", libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        match role {
            Role::DataIn => {
                if v4 {
                    self.set("IP_RECVTTL", ip, libc::IP_RECVTTL, 1)?;
                    self.set("IP_RECVTOS", ip, libc::IP_RECVTOS, 1)?;
                } else {
                    self.set("IPV6_RECVHOPLIMIT", ip, libc::IPV6_RECVHOPLIMIT, 1)?;
                    self.set("IPV6_RECVTCLASS", ip, libc::IPV6_RECVTCLASS, 1)?;
                    self.set("UDP_NO_CHECK6_RX", libc::SOL_UDP, UDP_NO_CHECK6_RX, 1)?;
                }
                self.queue(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, 8 << 20);
            }
            Role::DataOut | Role::DataOutDivisible => {
                let divisible = role == Role::DataOutDivisible;
                if v4 {
                    let discover = if divisible {
                        libc::IP_PMTUDISC_DONT
                    } else {
                        libc::IP_PMTUDISC_DO
                    };
                    self.set("IP_MTU_DISCOVER", ip, libc::IP_MTU_DISCOVER, discover)?;
                    self.set("SO_NO_CHECK", libc::SOL_SOCKET, libc::SO_NO_CHECK, 1)?;
                } else {
                    let discover = if divisible {
                        libc::IPV6_PMTUDISC_DONT
                    } else {
                        libc::IPV6_PMTUDISC_DO
                    };
                    self.set("IPV6_MTU_DISCOVER", ip, libc::IPV6_MTU_DISCOVER, discover)?;
                    self.set("UDP_NO_CHECK6_TX", libc::SOL_UDP, UDP_NO_CHECK6_TX, 1)?;
                }
                self.queue(libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, 2 << 20);
                self.queue(libc::SO_RCVBUF, libc::SO_RCVBUF, 0);
            }
            Role::Control => {
                self.set("SO_TIMESTAMPNS", libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
                self.queue(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, 1 << 20);
            }
        }
        Ok(())
    }

    fn set(&self, name: &'static str, level: i32, option: i32, value: i32) -> Result<(), SystemError> {
        self.set_raw(level, option, value)
            .map_err(|error| SystemError::of(Operation::Option(name), self.local, error))
    }

    /// A queue's size, past the system's limit if the process may; else as far as the limit. Not worth failing for.
    fn queue(&self, privileged: i32, plain: i32, bytes: i32) {
        if self.set_raw(libc::SOL_SOCKET, privileged, bytes).is_err() {
            let _limited_by_the_system = self.set_raw(libc::SOL_SOCKET, plain, bytes);
        }
    }

    fn set_raw(&self, level: i32, option: i32, value: i32) -> io::Result<()> {
        // SAFETY: the options set here take an int, which outlives the call.
        let outcome =
            unsafe { libc::setsockopt(self.fd.as_raw_fd(), level, option, (&raw const value).cast(), 4) };
        if outcome < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    fn bound(&self) -> Result<SocketAddr, SystemError> {
        let mut raw = RawAddress::empty();
        let mut length = RawAddress::LENGTH;
        // SAFETY: the address is valid for writes of its length.
        let outcome = unsafe { libc::getsockname(self.fd.as_raw_fd(), raw.as_mut_ptr(), &raw mut length) };
        if outcome < 0 {
            return Err(SystemError::last(Operation::Name, self.local));
        }
        Ok(raw.to_std().unwrap_or(self.local))
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
