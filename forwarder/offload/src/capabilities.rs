//! Giving up capabilities that are no longer needed.

use crate::error::{Operation, SystemError};

/// A capability that may be kept (linux/capability.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Interfaces, routes, socket queues past the limit.
    NetAdmin = 12,
    /// Raw sockets.
    NetRaw = 13,
}

const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives up all capabilities of the calling thread but `keep`, and of these keeps what it has; no program it starts can
/// gain any. Threads started later inherit this: call it before them. Without any capability nothing changes.
pub fn keep_only(keep: &[Capability]) -> Result<(), SystemError> {
    let mut header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 of capget writes two Data; both outlive the call.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) } < 0 {
        return Err(SystemError::last(Operation::ReadCapabilities, "this process"));
    }
    let mask = keep
        .iter()
        .fold(0u32, |mask, capability| mask | 1 << *capability as u32);
    let kept = data[0].permitted & mask;
    let data = [
        Data {
            effective: kept,
            permitted: kept,
            inheritable: 0,
        },
        Data::default(),
    ];
    // SAFETY: version 3 of capset reads two Data; both outlive the call.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) } < 0 {
        return Err(SystemError::last(Operation::DropCapabilities, "this process"));
    }
    let [yes, none]: [libc::c_ulong; 2] = [1, 0];
    // SAFETY: constant arguments, as wide as the kernel reads them.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, none, none, none) } < 0 {
        return Err(SystemError::last(Operation::NoNewPrivileges, "this process"));
    }
    Ok(())
}
