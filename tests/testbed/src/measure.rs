//! How exact the delay line is: packets through a real one, judged by the kernel's clock at both ends.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use proto::Span;
use serde::{Deserialize, Serialize};

use crate::delay_line::ErrorFigures;
use crate::fabric::PairShape;
use crate::lab::wiring;
use crate::lab::{LabError, LineProcess};
use crate::line::config::{Directed, LineConfig, PortConfig, PortKind};
use crate::line::histogram::Histogram;
use crate::namespace::{Namespace, VethEnd};
use crate::raw;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Packets a second, evenly spaced.
    pub rate: u32,
    /// For how long.
    pub time: Span,
    /// The delay asked for, one way.
    pub delay: Span,
}

impl Default for Load {
    /// Ten thousand packets a second for three seconds, delayed by eighteen milliseconds.
    fn default() -> Self {
        Self {
            rate: 10_000,
            time: Span::secs(3),
            delay: Span::millis(18),
        }
    }
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Packets sent.
    pub sent: u64,
    /// Packets received.
    pub received: u64,
    /// From just before the sending call to the receiving kernel's time stamp, minus the delay asked for.
    pub outside: ErrorFigures,
    /// The line's own account: time of sending minus time intended.
    pub inside: ErrorFigures,
    /// How late the sender's own timer woke in the same seconds, with the same priority: what this machine does to
    /// anybody, the line or not.
    pub timer: ErrorFigures,
    /// Packets that came more than a microsecond before their time.
    pub early: u64,
    /// Whether the line ran with real-time priority.
    pub realtime: bool,
}

/// Sends `load` from one namespace to another through a delay line of its own, started as `program delay-line`.
pub fn delay_error(program: &Path, load: &Load) -> Result<Measured, LabError> {
    let (core, left, right) = (
        Namespace::new("core")?,
        Namespace::new("left")?,
        Namespace::new("right")?,
    );
    let ends = [(&left, 1, address(1)), (&right, 2, address(2))];
    for (site, number, own) in ends {
        wiring::quiet(site)?;
        let end = |name: String, mac| VethEnd {
            name,
            mac,
            mtu: wiring::MTU,
        };
        core.cable(
            end(format!("port{number}"), wiring::numbered(2, number)),
            site,
            end("wan0".to_owned(), wiring::numbered(1, number)),
        )?;
        let peer = 3 - number;
        site.links(move |links| {
            links.address("wan0", own.into(), 24)?;
            links.neighbour("wan0", address(peer as u8).into(), wiring::numbered(1, peer))
        })?;
        site.run(|| raw::offloads_off("wan0"))?
            .map_err(|source| LabError::Offloads {
                interface: "wan0".to_owned(),
                source,
            })?;
    }
    let folder = tempfile::tempdir().map_err(|source| measuring("make a directory", source))?;
    let config = folder.path().join("line.json");
    let text = serde_json::to_string(&line_config(load))
        .map_err(|error| measuring("describe the line", error.into()))?;
    std::fs::write(&config, text).map_err(|source| measuring("describe the line", source))?;
    let mut line = LineProcess::begin(program, &config, &core, folder.path().join("line.log"))?;

    let receiver = right
        .run(|| UdpSocket::bind((address(2), 4000)))?
        .map_err(|source| measuring("open the receiver", source))?;
    let sender = left
        .run(|| {
            let socket = UdpSocket::bind((address(1), 4000))?;
            socket.connect(SocketAddr::from((address(2), 4000)))?;
            Ok(socket)
        })?
        .map_err(|source| measuring("open the sender", source))?;
    let collecting = std::thread::spawn({
        let load = *load;
        move || collect(&receiver, &load)
    });
    let (sent, timer) = send(&sender, load).map_err(|source| measuring("send", source))?;
    let collected = collecting
        .join()
        .map_err(|_| measuring("receive", io::Error::other("the receiver panicked")))?;
    let (outside, early, received) = collected.map_err(|source| measuring("receive", source))?;
    let stats = line.stats()?;
    Ok(Measured {
        sent,
        received,
        outside: outside.figures(),
        inside: stats.error,
        timer: timer.figures(),
        early,
        realtime: stats.realtime,
    })
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

fn line_config(load: &Load) -> LineConfig {
    let port = |number: u8| PortConfig {
        name: number.to_string(),
        segment: "wan".to_owned(),
        interface: format!("port{number}"),
        access: None,
        kind: PortKind::Plain,
    };
    let shape = PairShape {
        delay: load.delay,
        ..PairShape::default()
    };
    let way = |from: &str, to: &str| Directed {
        from: from.to_owned(),
        to: to.to_owned(),
        shape,
    };
    LineConfig {
        seed: 1,
        ports: vec![port(1), port(2)],
        default: std::collections::BTreeMap::new(),
        pairs: vec![way("1", "2"), way("2", "1")],
    }
}

/// Sends at even distances; one that is late is sent at once, and the next at its own time. Tells how late it woke.
fn send(socket: &UdpSocket, load: &Load) -> io::Result<(u64, Histogram)> {
    // A plain thread is as good a clock as the line itself only if it is not made to wait.
    let _ = raw::realtime();
    nix::sys::prctl::set_timerslack(1)?;
    let mut lateness = Histogram::default();
    let began = Instant::now();
    let count = u64::from(load.rate) * load.time.micros() / 1_000_000;
    for number in 0..count {
        let due = Duration::from_nanos(number * 1_000_000_000 / u64::from(load.rate));
        if let Some(wait) = due.checked_sub(began.elapsed()) {
            std::thread::sleep(wait);
        }
        lateness.record(began.elapsed().saturating_sub(due).as_nanos() as u64);
        socket.send(&wall().to_be_bytes())?;
    }
    Ok((count, lateness))
}

/// Reads until nothing came for as long as the delay and half a second more.
fn collect(socket: &UdpSocket, load: &Load) -> io::Result<(Histogram, u64, u64)> {
    setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(socket, sockopt::RcvBuf, &(4 << 20))?;
    socket.set_read_timeout(Some(load.delay.to_duration() + Duration::from_millis(500)))?;
    let delay = load.delay.micros() * 1_000;
    let (mut late, mut early, mut received) = (Histogram::default(), 0, 0);
    loop {
        let mut payload = [0; 8];
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let mut parts = [IoSliceMut::new(&mut payload)];
        let message = match recvmsg::<()>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::empty(),
        ) {
            Ok(message) => message,
            Err(nix::errno::Errno::EAGAIN) => return Ok((late, early, received)),
            Err(nix::errno::Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let stamp = message.cmsgs()?.find_map(|part| match part {
            ControlMessageOwned::ScmTimestampns(time) => {
                Some(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
            }
            _ => None,
        });
        let sent = u64::from_be_bytes(payload);
        let taken = stamp.unwrap_or_else(wall).saturating_sub(sent);
        received += 1;
        if taken + 1_000 < delay {
            early += 1;
        }
        late.record(taken.saturating_sub(delay));
    }
}

fn wall() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos() as u64
}

fn measuring(what: &'static str, source: io::Error) -> LabError {
    LabError::Measure { what, source }
}
