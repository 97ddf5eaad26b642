//! TUN devices: network interfaces whose wire is a file.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::error::{Operation, SystemError};

/// A TUN interface of our own. It vanishes with its last file descriptor, however the process ends.
#[derive(Debug)]
pub struct Tun {
    file: OwnedFd,
    name: String,
}

impl Tun {
    /// Creates the interface; `name` has 1 to 15 bytes. Reads and writes never block.
    pub fn create(name: &str) -> Result<Self, SystemError> {
        // SAFETY: the path is a C string; the flags are constants.
        let fd = unsafe {
            libc::open(
                c"/dev/net/tun".as_ptr(),
                libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC,
            )
        };
        if fd < 0 {
            return Err(SystemError::last(Operation::OpenTun, name));
        }
        // SAFETY: `fd` was just opened and nobody else has it.
        let file = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut request = request_for(name)?;
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: TUNSETIFF reads and writes one ifreq, which outlives the call.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) } < 0 {
            return Err(SystemError::last(Operation::CreateTun, name));
        }
        Ok(Self {
            file,
            name: name.to_owned(),
        })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kernel's number for it.
    pub fn index(&self) -> Result<u32, SystemError> {
        let mut request = request_for(&self.name)?;
        self.configure(Operation::FindIndex, libc::SIOCGIFINDEX as _, &mut request)?;
        // SAFETY: SIOCGIFINDEX filled this member.
        let index = unsafe { request.ifr_ifru.ifru_ifindex };
        Ok(index as u32)
    }

    /// Sets the largest packet it takes, bytes.
    pub fn set_mtu(&self, mtu: u16) -> Result<(), SystemError> {
        let mut request = request_for(&self.name)?;
        request.ifr_ifru.ifru_mtu = i32::from(mtu);
        self.configure(Operation::SetMtu, libc::SIOCSIFMTU as _, &mut request)
    }

    /// Brings it up.
    pub fn bring_up(&self) -> Result<(), SystemError> {
        let mut request = request_for(&self.name)?;
        self.configure(Operation::BringUp, libc::SIOCGIFFLAGS as _, &mut request)?;
        // SAFETY: SIOCGIFFLAGS filled this member.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        request.ifr_ifru.ifru_flags = flags | (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        self.configure(Operation::BringUp, libc::SIOCSIFFLAGS as _, &mut request)
    }

    /// The next packet the kernel sends into the interface; `None` if there is none now.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            // SAFETY: the buffer is valid for writes of its length.
            let length =
                unsafe { libc::read(self.file.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
            if let Ok(length) = usize::try_from(length) {
                return Ok(Some(length));
            }
            match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            }
        }
    }

    /// Gives a packet to the kernel, as if it had come in by the interface.
    pub fn write(&self, packet: &[u8]) -> io::Result<()> {
        loop {
            // SAFETY: the packet is valid for reads of its length.
            let length = unsafe { libc::write(self.file.as_raw_fd(), packet.as_ptr().cast(), packet.len()) };
            if length >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    fn configure(
        &self,
        operation: Operation,
        code: libc::Ioctl,
        request: &mut libc::ifreq,
    ) -> Result<(), SystemError> {
        // SAFETY: constant arguments.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(SystemError::last(operation, &self.name));
        }
        // SAFETY: `fd` was just opened and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the codes passed here read or write one ifreq, which outlives the call.
        if unsafe { libc::ioctl(socket.as_raw_fd(), code, std::ptr::from_mut(request)) } < 0 {
            return Err(SystemError::last(operation, &self.name));
        }
        Ok(())
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn request_for(name: &str) -> Result<libc::ifreq, SystemError> {
    // SAFETY: an ifreq is plain integers, for which all-zero bytes are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let usable =
        !name.is_empty() && name.len() < libc::IFNAMSIZ && name.bytes().all(|b| b > b' ' && b != b'/');
    if !usable {
        let why = io::Error::new(
            io::ErrorKind::InvalidInput,
            "an interface name has 1 to 15 visible bytes and no '/'",
        );
        return Err(SystemError::of(Operation::CreateTun, name, why));
    }
    for (room, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *room = libc::c_char::from_ne_bytes([byte]);
    }
    Ok(request)
}
