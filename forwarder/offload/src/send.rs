//! Many datagrams a call (`sendmmsg`), each with TTL and traffic class of its own.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use crate::control_message::ControlBuffer;
use crate::sockaddr::RawAddress;
use crate::socket::UdpSocket;

/// A datagram to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The payload.
    pub payload: &'a [u8],
    /// To whom.
    pub to: SocketAddr,
    /// TTL or hop limit, above 0; `None` is the system's default.
    pub ttl: Option<u8>,
    /// DSCP and ECN.
    pub traffic_class: u8,
}

/// Room for a batch of datagrams' headers.
pub struct Sender {
    names: Box<[RawAddress]>,
    controls: Box<[ControlBuffer]>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers in `vectors` and `headers` are written anew by each call, before the kernel reads them, and are
// not followed between calls.
unsafe impl Send for Sender {}

impl Sender {
    /// Room for `capacity` datagrams a call.
    pub fn new(capacity: usize) -> Self {
        Self {
            names: vec![RawAddress::empty(); capacity].into_boxed_slice(),
            controls: vec![ControlBuffer::EMPTY; capacity].into_boxed_slice(),
            vectors: Vec::with_capacity(capacity),
            headers: Vec::with_capacity(capacity),
        }
    }

    /// Sends datagrams, at most as many as there is room for, in order. Returns how many the kernel took; the error is
    /// that of the first one, if it took none ([`io::ErrorKind::WouldBlock`]: its queue is full).
    pub fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        datagrams: impl Iterator<Item = Outgoing<'a>>,
    ) -> io::Result<usize> {
        self.vectors.clear();
        self.headers.clear();
        let places = self.names.iter_mut().zip(self.controls.iter_mut());
        for ((name, control), datagram) in places.zip(datagrams) {
            let (raw, name_length) = RawAddress::from_std(&datagram.to);
            *name = raw;
            let control_length = control.write(datagram.to.ip(), datagram.ttl, datagram.traffic_class);
            // sendmmsg only reads what iov_base points to.
            let base = datagram.payload.as_ptr().cast_mut().cast();
            self.vectors.push(libc::iovec {
                iov_base: base,
                iov_len: datagram.payload.len(),
            });
            // SAFETY: an mmsghdr is integers and pointers; all-zero bytes are a value.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = name_length;
            header.msg_hdr.msg_control = control.as_mut_ptr();
            header.msg_hdr.msg_controllen = control_length as _;
            header.msg_hdr.msg_iovlen = 1;
            self.headers.push(header);
        }
        if self.headers.is_empty() {
            return Ok(0);
        }
        for (header, vector) in self.headers.iter_mut().zip(self.vectors.iter_mut()) {
            header.msg_hdr.msg_iov = vector;
        }
        loop {
            // SAFETY: every pointer in the headers is to memory of `self`, or to payloads that outlive the call and
            // that the kernel only reads.
            let count = unsafe {
                libc::sendmmsg(
                    socket.fd().as_raw_fd(),
                    self.headers.as_mut_ptr(),
                    self.headers.len() as _,
                    libc::MSG_DONTWAIT,
                )
            };
            match usize::try_from(count) {
                Ok(count) => return Ok(count),
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        }
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender")
            .field("capacity", &self.names.len())
            .finish_non_exhaustive()
    }
}
