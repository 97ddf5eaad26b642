//! What the kernel knows of the way to an address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use crate::error::{Operation, SystemError};
use crate::sockaddr::RawAddress;
use crate::socket::{Role, UdpSocket};

/// The largest IP packet that the way to `to` carries, as far as the kernel has learnt (RFC 1191, RFC 8201), bytes.
pub fn path_mtu(to: IpAddr) -> Result<u16, SystemError> {
    let (any, level, option) = match to {
        IpAddr::V4(_) => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), libc::IPPROTO_IP, libc::IP_MTU),
        IpAddr::V6(_) => (
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU,
        ),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0), Role::DataOut)?;
    let (mut raw, length) = RawAddress::from_std(&SocketAddr::new(to, 9));
    // SAFETY: the address is valid for reads of its length. Connecting a UDP socket sends nothing.
    if unsafe { libc::connect(socket.fd().as_raw_fd(), raw.as_mut_ptr(), length) } < 0 {
        return Err(SystemError::last(Operation::Connect, to));
    }
    let mut mtu: i32 = 0;
    let mut size = 4;
    // SAFETY: both options write one int, and the room for it outlives the call.
    let outcome = unsafe {
        libc::getsockopt(
            socket.fd().as_raw_fd(),
            level,
            option,
            (&raw mut mtu).cast(),
            &raw mut size,
        )
    };
    if outcome < 0 {
        return Err(SystemError::last(Operation::Connect, to));
    }
    u16::try_from(mtu.min(i32::from(u16::MAX)))
        .map_err(|_| SystemError::of(Operation::Connect, to, io::Error::other("negative MTU")))
}
