//! The loop between the line's machine and its sockets. One thread; it waits for frames, for what is due, and for commands.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl;
use nix::sys::time::TimeSpec;

use super::{DelayLineError, LineCommand, LineReply, LineStats};
use crate::line::config::LineConfig;
use crate::line::histogram::Histogram;
use crate::line::{Departure, Line, Nanos, PortId};
use crate::namespace::netlink;
use crate::raw::{self, PacketSocket, Received};

/// Sleep ends this much early, and the rest is spun: waking up takes the kernel some tens of microseconds.
const SPIN: Nanos = 40_000;
/// Buffers kept for reuse.
const SPARE: usize = 4_096;
/// A command is shorter than this, bytes.
const LONGEST_COMMAND: usize = 65_536;

pub(super) struct Process {
    line: Line,
    sockets: Vec<PacketSocket>,
    clock: Clock,
    error: Histogram,
    kernel_drops: u64,
    realtime: bool,
    spare: Vec<Vec<u8>>,
    commands: Vec<u8>,
}

impl Process {
    /// Opens all ports. From here on frames wait in the sockets.
    pub(super) fn start(config: LineConfig) -> Result<Self, DelayLineError> {
        let mut sockets = Vec::with_capacity(config.ports.len());
        for port in &config.ports {
            let opened = netlink::index(&port.interface)
                .map_err(io::Error::other)
                .and_then(PacketSocket::open);
            sockets.push(opened.map_err(|source| DelayLineError::Port {
                port: port.name.clone(),
                interface: port.interface.clone(),
                source,
            })?);
        }
        // The kernel may gather wake-ups within 50 us otherwise (prctl(2), PR_SET_TIMERSLACK).
        prctl::set_timerslack(1).map_err(|errno| DelayLineError::Io {
            what: "set the timer slack",
            source: errno.into(),
        })?;
        Ok(Self {
            line: Line::new(config)?,
            sockets,
            clock: Clock::start(),
            error: Histogram::default(),
            kernel_drops: 0,
            realtime: raw::realtime().is_ok(),
            spare: Vec::new(),
            commands: Vec::new(),
        })
    }

    /// Carries packets until standard input ends.
    pub(super) fn run(mut self) -> Result<(), DelayLineError> {
        say(&LineReply::Ready)?;
        let mut out = Vec::new();
        loop {
            self.line.poll(self.clock.now(), &mut out);
            self.send(&mut out)?;
            let (readable, commanded) = self.wait()?;
            for port in readable {
                self.receive(port)?;
            }
            if commanded && !self.obey()? {
                return Ok(());
            }
            self.spin();
        }
    }

    /// Sleeps until a frame or a command comes or something is nearly due. Tells which ports have frames, and whether
    /// there is a command.
    fn wait(&self) -> Result<(Vec<PortId>, bool), DelayLineError> {
        let timeout = self.line.next_due().map(|due| {
            TimeSpec::from_duration(Duration::from_nanos(due.saturating_sub(self.clock.now() + SPIN)))
        });
        let input = io::stdin();
        let mut polled: Vec<PollFd<'_>> = self
            .sockets
            .iter()
            .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
            .collect();
        polled.push(PollFd::new(input.as_fd(), PollFlags::POLLIN));
        match ppoll(&mut polled, timeout, None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => {
                return Err(DelayLineError::Io {
                    what: "wait for frames",
                    source: errno.into(),
                });
            }
        }
        let ready = |poll: &PollFd<'_>| poll.any().unwrap_or_default();
        let commanded = polled.pop().is_some_and(|poll| ready(&poll));
        let ports = polled
            .iter()
            .enumerate()
            .filter(|(_, poll)| ready(poll))
            .map(|(number, _)| PortId(number))
            .collect();
        Ok((ports, commanded))
    }

    fn spin(&self) {
        if let Some(due) = self.line.next_due()
            && due <= self.clock.now() + SPIN
        {
            while self.clock.now() < due {
                std::hint::spin_loop();
            }
        }
    }

    fn receive(&mut self, port: PortId) -> Result<(), DelayLineError> {
        let mut frames = Vec::new();
        match self.sockets[port.0].receive(&mut self.spare, &mut frames) {
            Ok(_) => {}
            // The far end of the cable is gone: its site has been taken down.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
            Err(source) => {
                return Err(DelayLineError::Io {
                    what: "receive frames",
                    source,
                });
            }
        }
        let moment = self.clock.moment();
        for Received { bytes, at } in frames {
            self.line.ingress(port, bytes, moment.of(at));
        }
        Ok(())
    }

    /// Sends all, those of one port together, and empties `out`.
    fn send(&mut self, out: &mut Vec<Departure>) -> Result<(), DelayLineError> {
        while let Some(first) = out.first() {
            let port = first.port;
            let (now, rest): (Vec<_>, Vec<_>) = std::mem::take(out)
                .into_iter()
                .partition(|departure| departure.port == port);
            *out = rest;
            let (dues, frames): (Vec<Nanos>, Vec<Vec<u8>>) = now
                .into_iter()
                .map(|departure| (departure.due, departure.bytes))
                .unzip();
            let sent = self.sockets[port.0]
                .send(&frames)
                .map_err(|source| DelayLineError::Io {
                    what: "send frames",
                    source,
                })?;
            let done = self.clock.now();
            for due in &dues[..sent] {
                self.error.record(done.saturating_sub(*due));
            }
            self.kernel_drops += (frames.len() - sent) as u64;
            self.spare.extend(frames);
        }
        self.spare.truncate(SPARE);
        Ok(())
    }

    /// Reads and obeys commands; false at their end.
    fn obey(&mut self) -> Result<bool, DelayLineError> {
        let mut chunk = [0; 4096];
        let count = match nix::unistd::read(io::stdin(), &mut chunk) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => return Ok(true),
            Err(errno) => {
                return Err(DelayLineError::Io {
                    what: "read commands",
                    source: errno.into(),
                });
            }
        };
        self.commands.extend_from_slice(&chunk[..count]);
        while let Some(end) = self.commands.iter().position(|byte| *byte == b'\n') {
            let rest = self.commands.split_off(end + 1);
            let text = std::mem::replace(&mut self.commands, rest);
            let reply = match serde_json::from_slice::<LineCommand>(&text) {
                Ok(command) => self.answer(&command)?,
                Err(error) => LineReply::Refused {
                    why: error.to_string(),
                },
            };
            say(&reply)?;
        }
        if self.commands.len() > LONGEST_COMMAND {
            self.commands.clear();
            say(&LineReply::Refused {
                why: format!("a command is shorter than {LONGEST_COMMAND} bytes"),
            })?;
        }
        Ok(true)
    }

    fn answer(&mut self, command: &LineCommand) -> Result<LineReply, DelayLineError> {
        for socket in &self.sockets {
            self.kernel_drops += socket.drops().map_err(|source| DelayLineError::Io {
                what: "count dropped frames",
                source,
            })?;
        }
        if let Err(why) = self.line.command(command) {
            return Ok(LineReply::Refused { why });
        }
        Ok(match command {
            LineCommand::Stats => LineReply::Stats(LineStats {
                error: self.error.figures(),
                pairs: self.line.pair_counters(),
                access: self.line.access_counters(),
                kernel_drops: self.kernel_drops,
                realtime: self.realtime,
            }),
            LineCommand::Reset => {
                self.error = Histogram::default();
                self.kernel_drops = 0;
                LineReply::Done
            }
            _ => LineReply::Done,
        })
    }
}

/// Nanoseconds since the process began.
struct Clock {
    began: Instant,
}

impl Clock {
    fn start() -> Self {
        Self {
            began: Instant::now(),
        }
    }

    fn now(&self) -> Nanos {
        self.began.elapsed().as_nanos() as Nanos
    }

    fn moment(&self) -> Moment {
        let wall = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Moment {
            here: self.now(),
            wall: wall.as_nanos() as Nanos,
        }
    }
}

/// One moment on two clocks: the kernel stamps frames by the wall.
struct Moment {
    here: Nanos,
    wall: Nanos,
}

impl Moment {
    /// When a frame came, by our clock. A stamp that cannot be (the wall clock was set) means now.
    fn of(&self, stamp: Option<Nanos>) -> Nanos {
        stamp
            .and_then(|stamp| self.wall.checked_sub(stamp))
            .filter(|ago| *ago < 1_000_000_000)
            .map_or(self.here, |ago| self.here.saturating_sub(ago))
    }
}

fn say(reply: &LineReply) -> Result<(), DelayLineError> {
    let failed = |source| DelayLineError::Io {
        what: "answer",
        source,
    };
    let mut text = serde_json::to_vec(reply).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    let mut output = io::stdout().lock();
    output
        .write_all(&text)
        .and_then(|()| output.flush())
        .map_err(failed)
}
