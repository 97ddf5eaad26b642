//! Ancillary data of datagrams: TTL, traffic class and time, in an aligned buffer of fixed size.

use std::mem;
use std::net::IpAddr;

/// Enough for three `int`s and a time, with their headers.
const ROOM: usize = 128;

/// A buffer for control messages, aligned as the kernel wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct ControlBuffer([u8; ROOM]);

/// What the kernel said of a received datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) ttl: Option<u8>,
    pub(crate) traffic_class: Option<u8>,
    /// Realtime clock: seconds and nanoseconds.
    pub(crate) at: Option<(i64, i64)>,
}

impl ControlBuffer {
    pub(crate) const EMPTY: Self = Self([0; ROOM]);
    pub(crate) const ROOM: usize = ROOM;

    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.0.as_mut_ptr().cast()
    }

    /// Writes TTL and traffic class for a datagram to `to`; returns the length used.
    pub(crate) fn write(&mut self, to: IpAddr, ttl: Option<u8>, traffic_class: u8) -> usize {
        let (level, ttl_kind, class_kind) = match to {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TTL, libc::IP_TOS),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, libc::IPV6_TCLASS),
        };
        let end = self.put(0, level, class_kind, i32::from(traffic_class));
        match ttl {
            Some(ttl) => self.put(end, level, ttl_kind, i32::from(ttl)),
            None => end,
        }
    }

    fn put(&mut self, at: usize, level: i32, kind: i32, value: i32) -> usize {
        const HEADER: usize = mem::size_of::<libc::cmsghdr>();
        // SAFETY: CMSG_LEN and CMSG_SPACE only compute.
        let (length, space) = unsafe { (libc::CMSG_LEN(4) as usize, libc::CMSG_SPACE(4) as usize) };
        let Some(room) = self.0.get_mut(at..at + space) else {
            return at;
        };
        // SAFETY: a cmsghdr is plain integers; zero is a value of each.
        let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
        header.cmsg_len = length as _;
        header.cmsg_level = level;
        header.cmsg_type = kind;
        // SAFETY: a cmsghdr is plain integers without padding that matters; it is read as bytes.
        let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(&header).cast::<u8>(), HEADER) };
        room[..HEADER].copy_from_slice(bytes);
        room[HEADER..HEADER + 4].copy_from_slice(&value.to_ne_bytes());
        at + space
    }

    /// Reads what the kernel wrote into the first `length` bytes.
    pub(crate) fn read(&self, length: usize) -> Said {
        let mut said = Said::default();
        let mut rest = self.0.get(..length).unwrap_or_default();
        while let Some((level, kind, data, after)) = next(rest) {
            rest = after;
            match (level, kind) {
                // IP_RECVTOS gives one byte, the others an int.
                (libc::IPPROTO_IP, libc::IP_TOS) => said.traffic_class = data.first().copied(),
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => said.traffic_class = int(data).map(|v| v as u8),
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    said.ttl = int(data).map(|v| v as u8);
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let word = |at: usize| {
                        data.get(at..at + 8)
                            .and_then(|b| b.try_into().ok())
                            .map(i64::from_ne_bytes)
                    };
                    said.at = word(0).zip(word(8));
                }
                _ => {}
            }
        }
        said
    }
}

/// The first control message of a buffer: level, type, data, and what comes after it.
fn next(buffer: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    const HEADER: usize = mem::size_of::<libc::cmsghdr>();
    let bytes = buffer.get(..HEADER)?;
    // SAFETY: `bytes` is as long as a cmsghdr, which is plain integers; the read needs no alignment.
    let header: libc::cmsghdr = unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) };
    let length = header.cmsg_len as usize;
    let data = buffer.get(HEADER..length)?;
    let aligned = length.next_multiple_of(mem::size_of::<usize>());
    Some((
        header.cmsg_level,
        header.cmsg_type,
        data,
        buffer.get(aligned..).unwrap_or_default(),
    ))
}

fn int(data: &[u8]) -> Option<i32> {
    data.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for to in ["10.0.0.1", "2001:db8::1"] {
            let to: IpAddr = to.parse().unwrap();
            let mut buffer = ControlBuffer::EMPTY;
            let length = buffer.write(to, Some(63), 0xb8);
            let said = buffer.read(length);
            assert_eq!((said.ttl, said.at), (Some(63), None));
            if cfg!(target_endian = "little") || to.is_ipv6() {
                assert_eq!(said.traffic_class, Some(0xb8));
            }
        }
    }

    #[test]
    fn a_broken_buffer_says_nothing() {
        let buffer = ControlBuffer([0xff; ROOM]);
        assert!(buffer.read(ROOM).ttl.is_none());
        assert!(buffer.read(ROOM + 1).ttl.is_none());
    }
}
