//! The system calls that need `unsafe`: Ethernet frames on packet(7) sockets in batches, and four options that no safe
//! crate offers. Nothing else in the testbed is unsafe.
#![expect(
    unsafe_code,
    reason = "recvmmsg, sendmmsg and ioctl take pointers; each call says why they hold"
)]

use std::io;
use std::mem::{size_of, size_of_val, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{addr_of_mut, null_mut};

use libc::{c_int, c_void};

/// Frames moved by one system call at most.
pub(crate) const BATCH: usize = 32;
/// Room for one frame: an Ethernet header and 1,500 bytes, with some to spare.
pub(crate) const ROOM: usize = 2048;
const CONTROL: usize = 64;

/// Room for a frame's time stamp, aligned as a cmsghdr must be.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// A frame as it was received.
#[derive(Debug)]
pub(crate) struct Received {
    /// From the Ethernet header on.
    pub bytes: Vec<u8>,
    /// When the kernel had it: nanoseconds since the Unix epoch. `None` if it did not say.
    pub at: Option<u64>,
}

/// A packet socket on one interface: every frame that comes in, and none that goes out.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    fd: OwnedFd,
}

impl PacketSocket {
    /// On the interface with this index in the calling thread's namespace.
    pub(crate) fn open(index: u32) -> io::Result<Self> {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: no pointers; the result is checked before it is owned.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                // Zero: nothing is received before the socket is bound to its interface below.
                0,
            )
        };
        checked(fd)?;
        // SAFETY: `fd` is a descriptor just made, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        set(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        for (forced, plain) in [
            (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
            (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
        ] {
            // Forcing needs privilege outside a user namespace; what the system allows has to do otherwise.
            set(fd.as_fd(), libc::SOL_SOCKET, forced, 8 << 20)
                .or_else(|_| set(fd.as_fd(), libc::SOL_SOCKET, plain, 8 << 20))?;
        }
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = c_int::try_from(index).map_err(io::Error::other)?;
        // SAFETY: the pointer is to a sockaddr_ll that lives over the call, with its own size.
        checked(unsafe {
            libc::bind(
                fd.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as libc::socklen_t,
            )
        })?;
        Ok(Self { fd })
    }

    /// Takes what has arrived, up to [`BATCH`] frames, with buffers from `spare`. Nothing there is no error. A frame longer
    /// than [`ROOM`] is dropped: the interfaces' MTU forbids it.
    pub(crate) fn receive(&self, spare: &mut Vec<Vec<u8>>, into: &mut Vec<Received>) -> io::Result<usize> {
        let mut buffers: Vec<Vec<u8>> = (0..BATCH)
            .map(|_| {
                let mut buffer = spare.pop().unwrap_or_default();
                buffer.resize(ROOM, 0);
                buffer
            })
            .collect();
        let mut controls = [Control([0; CONTROL]); BATCH];
        // SAFETY: all-zero iovec and mmsghdr are valid (null pointers, zero lengths).
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for i in 0..BATCH {
            vectors[i].iov_base = buffers[i].as_mut_ptr().cast();
            vectors[i].iov_len = ROOM;
            headers[i].msg_hdr.msg_iov = addr_of_mut!(vectors[i]);
            headers[i].msg_hdr.msg_iovlen = 1;
            headers[i].msg_hdr.msg_control = controls[i].0.as_mut_ptr().cast();
            headers[i].msg_hdr.msg_controllen = CONTROL;
        }
        // SAFETY: every header points to one iovec over a buffer of ROOM bytes and to CONTROL bytes aligned like a cmsghdr;
        // all of them outlive the call.
        let count = unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                null_mut(),
            )
        };
        let count = match checked(count) {
            Ok(count) => count as usize,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => {
                spare.append(&mut buffers);
                return Err(error);
            }
        };
        for (i, mut bytes) in buffers.into_iter().enumerate() {
            let whole = headers[i].msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            if i < count && whole {
                bytes.truncate(headers[i].msg_len as usize);
                // SAFETY: the kernel filled this header and its control bytes, which still live.
                let at = unsafe { timestamp(&headers[i].msg_hdr) };
                into.push(Received { bytes, at });
            } else {
                spare.push(bytes);
            }
        }
        Ok(count)
    }

    /// Sends frames in order. Returns how many went out before the socket's buffer was full.
    pub(crate) fn send(&self, frames: &[Vec<u8>]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < frames.len() {
            let part = &frames[sent..frames.len().min(sent + BATCH)];
            // SAFETY: all-zero iovec and mmsghdr are valid (null pointers, zero lengths).
            let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
            // SAFETY: as above.
            let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
            for (i, frame) in part.iter().enumerate() {
                vectors[i].iov_base = frame.as_ptr().cast::<c_void>().cast_mut();
                vectors[i].iov_len = frame.len();
                headers[i].msg_hdr.msg_iov = addr_of_mut!(vectors[i]);
                headers[i].msg_hdr.msg_iovlen = 1;
            }
            // SAFETY: the first `part.len()` headers each point to one iovec over a frame that outlives the call; sending
            // only reads through it.
            let count = unsafe {
                libc::sendmmsg(
                    self.fd.as_raw_fd(),
                    headers.as_mut_ptr(),
                    part.len() as u32,
                    libc::MSG_DONTWAIT,
                )
            };
            match checked(count) {
                Ok(count) => sent += count as usize,
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENETDOWN)
                    ) =>
                {
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Frames the kernel dropped for want of room since the last call.
    pub(crate) fn drops(&self) -> io::Result<u64> {
        // SAFETY: all-zero is a valid tpacket_stats.
        let mut stats: libc::tpacket_stats = unsafe { zeroed() };
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the option writes a tpacket_stats of at most `length` bytes; both pointers live over the call.
        checked(unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut length,
            )
        })?;
        Ok(u64::from(stats.tp_drops))
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The kernel's time stamp of a received message, nanoseconds since the Unix epoch.
///
/// # Safety
/// `header` must have been filled by the kernel, and its control bytes must still live.
unsafe fn timestamp(header: &libc::msghdr) -> Option<u64> {
    // SAFETY: the caller's promise; CMSG_FIRSTHDR and CMSG_NXTHDR stay within msg_controllen.
    let mut record = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !record.is_null() {
        // SAFETY: a record that is not null lies whole within the control bytes.
        let (level, kind) = unsafe { ((*record).cmsg_level, (*record).cmsg_type) };
        if level == libc::SOL_SOCKET && kind == libc::SCM_TIMESTAMPNS {
            // SAFETY: this record's data is a timespec (socket(7), SO_TIMESTAMPNS); it may be unaligned.
            let time: libc::timespec =
                unsafe { libc::CMSG_DATA(record).cast::<libc::timespec>().read_unaligned() };
            return Some(
                u64::try_from(time.tv_sec).ok()? * 1_000_000_000 + u64::try_from(time.tv_nsec).ok()?,
            );
        }
        // SAFETY: as above.
        record = unsafe { libc::CMSG_NXTHDR(header, record) };
    }
    None
}

/// Makes an interface send plain packets: no segments larger than its MTU, and checksums filled in. A raw socket at the
/// far end would see the unfinished ones otherwise.
pub(crate) fn offloads_off(interface: &str) -> io::Result<()> {
    // linux/ethtool.h: ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO.
    const COMMANDS: [u32; 4] = [0x17, 0x1f, 0x24, 0x2c];
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    // SAFETY: no pointers; the result is checked before it is owned.
    let fd = checked(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: a descriptor just made, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    for command in COMMANDS {
        let mut value = Value { command, data: 0 };
        // SAFETY: all-zero is a valid ifreq.
        let mut request: libc::ifreq = unsafe { zeroed() };
        if interface.len() >= request.ifr_name.len() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_data = (&raw mut value).cast();
        // SAFETY: SIOCETHTOOL reads the name and the eight bytes of `value`, both alive over the call.
        checked(unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) })?;
    }
    Ok(())
}

/// Asks for real-time priority (sched(7), SCHED_FIFO) for the calling thread.
pub(crate) fn realtime() -> io::Result<()> {
    // SAFETY: all-zero is a valid sched_param.
    let mut parameters: libc::sched_param = unsafe { zeroed() };
    parameters.sched_priority = 10;
    // SAFETY: 0 is the calling thread; the pointer lives over the call.
    checked(unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) }).map(drop)
}

/// Bounds the window a TCP socket advertises, bytes (tcp(7), TCP_WINDOW_CLAMP).
pub(crate) fn clamp_window(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    set(
        socket,
        libc::IPPROTO_TCP,
        libc::TCP_WINDOW_CLAMP,
        c_int::try_from(bytes).map_err(io::Error::other)?,
    )
}

/// The window a TCP socket advertises now, bytes; `None` on kernels that do not tell (before 6.2).
pub(crate) fn advertised_window(socket: BorrowedFd<'_>) -> Option<u32> {
    // linux/tcp.h, struct tcp_info: tcpi_rcv_wnd. libc's struct ends before it.
    const AT: usize = 232;
    let mut info = [0_u8; 240];
    let mut length = info.len() as libc::socklen_t;
    // SAFETY: the option writes at most `length` bytes to `info`; both live over the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    checked(result).ok()?;
    let bytes = info.get(..length as usize)?.get(AT..AT + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn set(fd: BorrowedFd<'_>, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the pointer is to a c_int that lives over the call, with its own size.
    checked(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    })
    .map(drop)
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
