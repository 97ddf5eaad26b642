//! Many datagrams a call (`recvmmsg`), each with what the kernel knows of it.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::control_message::ControlBuffer;
use crate::sockaddr::RawAddress;
use crate::socket::UdpSocket;

/// A received datagram; its bytes are in the buffer of the same place.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Bytes in the buffer.
    pub length: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// TTL or hop limit, where the socket's role asks for it.
    pub ttl: Option<u8>,
    /// DSCP and ECN, where the socket's role asks for it.
    pub traffic_class: Option<u8>,
    /// The kernel's realtime clock when it came in, since the epoch, where the socket's role asks for it.
    pub at: Option<Duration>,
    /// Whether the buffer was long enough.
    pub whole: Whole,
}

/// Whether a datagram fitted its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whole {
    /// All of it is there.
    Complete,
    /// The end is lost.
    Truncated,
}

/// Room for a batch of received datagrams' headers; the bytes go to buffers of the caller.
pub struct Receiver {
    names: Box<[RawAddress]>,
    controls: Box<[ControlBuffer]>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: Vec<Received>,
}

// SAFETY: the pointers in `vectors` and `headers` are written anew by each call, before the kernel reads them, and are
// not followed between calls.
unsafe impl Send for Receiver {}

impl Receiver {
    /// Room for `capacity` datagrams a call.
    pub fn new(capacity: usize) -> Self {
        Self {
            names: vec![RawAddress::empty(); capacity].into_boxed_slice(),
            controls: vec![ControlBuffer::EMPTY; capacity].into_boxed_slice(),
            vectors: Vec::with_capacity(capacity),
            headers: Vec::with_capacity(capacity),
            received: Vec::with_capacity(capacity),
        }
    }

    /// Receives what is there, at most one datagram a buffer; nothing if there is none now. The first datagram is in
    /// the first buffer, and so on.
    pub fn receive<'b>(
        &mut self,
        socket: &UdpSocket,
        buffers: impl Iterator<Item = &'b mut [u8]>,
    ) -> io::Result<&[Received]> {
        self.received.clear();
        self.vectors.clear();
        self.headers.clear();
        for buffer in buffers.take(self.names.len()) {
            self.vectors.push(libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.len(),
            });
        }
        let places = self
            .names
            .iter_mut()
            .zip(self.controls.iter_mut())
            .zip(self.vectors.iter_mut());
        for ((name, control), vector) in places {
            // SAFETY: an mmsghdr is integers and pointers; all-zero bytes are a value.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = name.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = RawAddress::LENGTH;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr();
            header.msg_hdr.msg_controllen = ControlBuffer::ROOM as _;
            self.headers.push(header);
        }
        if self.headers.is_empty() {
            return Ok(&[]);
        }
        let count = loop {
            // SAFETY: every pointer in the headers is to memory of `self` or of the caller's buffers, valid for writes
            // of the lengths given, and not touched otherwise until the call returns.
            let count = unsafe {
                libc::recvmmsg(
                    socket.fd().as_raw_fd(),
                    self.headers.as_mut_ptr(),
                    self.headers.len() as _,
                    libc::MSG_DONTWAIT,
                    std::ptr::null_mut(),
                )
            };
            match usize::try_from(count) {
                Ok(count) => break count,
                Err(_) => match io::Error::last_os_error() {
                    error if error.kind() == io::ErrorKind::WouldBlock => break 0,
                    error if error.kind() == io::ErrorKind::Interrupted => {}
                    error => return Err(error),
                },
            }
        };
        let arrived = self
            .headers
            .iter()
            .zip(self.names.iter())
            .zip(self.controls.iter())
            .take(count);
        for ((header, name), control) in arrived {
            let said = control.read(header.msg_hdr.msg_controllen);
            let truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            self.received.push(Received {
                length: header.msg_len as usize,
                from: name.to_std().unwrap_or_else(|| socket.local()),
                ttl: said.ttl,
                traffic_class: said.traffic_class,
                at: said.at.and_then(|(seconds, nanos)| {
                    Some(Duration::new(
                        u64::try_from(seconds).ok()?,
                        u32::try_from(nanos).ok()?,
                    ))
                }),
                whole: if truncated {
                    Whole::Truncated
                } else {
                    Whole::Complete
                },
            });
        }
        Ok(&self.received)
    }
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver")
            .field("capacity", &self.names.len())
            .finish_non_exhaustive()
    }
}
