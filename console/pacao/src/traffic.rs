//! Traffic through the tunnel: a download with a fixed receiver window, and a sequence of small packets that shows
//! every loss.

use std::net::SocketAddr;
use std::process::{ChildStdin, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use proto::{Timestamp, UserName, VmName};
use testbed::Lab;
use testbed::namespace::Namespace;
use testbed::traffic::{EchoSummary, TrafficLine};

use crate::lines::Lines;

/// Now, as the engine's shell counts it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_micros() as u64)
}

/// The byte source and echo in a VM.
pub(crate) struct Server {
    address: SocketAddr,
    _process: Lines<TrafficLine>,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(lab: &Lab, vm: &VmName) -> anyhow::Result<Self> {
        let process = spawn(lab, lab.vm_host(vm)?, &["serve"])?;
        let serving = |line| match line {
            TrafficLine::Serving { at } => Some(at.port()),
            _ => None,
        };
        let port = process
            .wait_for(Duration::from_secs(5), serving)
            .context("the traffic server in the VM")?;
        Ok(Self {
            address: SocketAddr::new(lab.vm_address(vm)?, port),
            _process: process,
        })
    }

    /// Where it listens, as users reach it.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Longer than anybody watches.
const UNTIL_STOPPED: &str = "86400";

/// A user's download and echo.
pub(crate) struct Traffic {
    download: Lines<TrafficLine>,
    echo: Lines<TrafficLine>,
    /// The echo ends when this is closed.
    echo_input: Option<ChildStdin>,
    volume: Mutex<Vec<(f64, u64)>>,
}

/// What came of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Bytes downloaded in all.
    pub bytes: u64,
    /// Volume over time: milliseconds since the start, bytes.
    pub volume: Vec<(f64, u64)>,
    /// The small packets.
    pub echo: EchoSummary,
}

impl Traffic {
    /// Starts both, for `length` or until they are stopped; `window` is the receiver window in bytes.
    pub(crate) fn start(
        lab: &Lab,
        user: &UserName,
        server: &Server,
        window: u32,
        length: Option<Duration>,
    ) -> anyhow::Result<Self> {
        let host = lab.user_host(user)?;
        let (address, window) = (server.address.to_string(), window.to_string());
        let seconds = length.map(|length| length.as_secs_f64().to_string());
        let mut download = vec!["download", &address, "--window", &window, "--seconds"];
        download.push(seconds.as_deref().unwrap_or(UNTIL_STOPPED));
        let mut echo = vec!["echo", &address, "--interval", "20ms"];
        if let Some(seconds) = &seconds {
            echo.extend(["--seconds", seconds]);
        }
        let download = spawn(lab, host, &download)?;
        let mut echo = spawn(lab, host, &echo)?;
        let echo_input = echo.input();
        Ok(Self {
            download,
            echo,
            echo_input,
            volume: Mutex::default(),
        })
    }

    /// Bytes downloaded, as last reported.
    pub(crate) fn bytes(&self) -> u64 {
        self.gather();
        self.known().last().map_or(0, |(_, bytes)| *bytes)
    }

    /// Bytes a second over the time to come.
    pub(crate) fn rate_over(&self, time: Duration) -> anyhow::Result<f64> {
        self.gather();
        let (from_ms, from) = self.next_volume()?;
        std::thread::sleep(time);
        self.gather();
        let (to_ms, to) = self.next_volume()?;
        Ok((to - from) as f64 / (to_ms - from_ms) * 1e3)
    }

    /// Ends both now; the volume is as last reported.
    pub(crate) fn stop(mut self) -> anyhow::Result<Outcome> {
        let bytes = self.bytes();
        self.download.kill();
        drop(self.echo_input.take());
        let volume = self.known().clone();
        Ok(Outcome {
            bytes,
            volume,
            echo: echoed(self.echo)?,
        })
    }

    /// Waits for the end of both.
    pub(crate) fn finish(self) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome {
            volume: self.known().clone(),
            ..Outcome::default()
        };
        let mut ended = false;
        for line in self.download.finish()? {
            match line {
                TrafficLine::Volume { at_ms, bytes, .. } => outcome.volume.push((at_ms, bytes)),
                TrafficLine::Downloaded { bytes, broke, .. } => {
                    ensure!(
                        broke.is_none(),
                        "the download broke: {}",
                        broke.unwrap_or_default()
                    );
                    outcome.bytes = bytes;
                    ended = true;
                }
                _ => {}
            }
        }
        ensure!(ended, "the download ended without a word");
        outcome.echo = echoed(self.echo)?;
        Ok(outcome)
    }

    fn known(&self) -> MutexGuard<'_, Vec<(f64, u64)>> {
        self.volume.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gather(&self) {
        let volumes = self.download.take().into_iter().filter_map(|line| volume(&line));
        self.known().extend(volumes);
    }

    fn next_volume(&self) -> anyhow::Result<(f64, u64)> {
        let next = self
            .download
            .wait_for(Duration::from_secs(5), |line| volume(&line))?;
        self.known().push(next);
        Ok(next)
    }
}

fn echoed(echo: Lines<TrafficLine>) -> anyhow::Result<EchoSummary> {
    let summary = echo.finish()?.into_iter().find_map(|line| match line {
        TrafficLine::Echoed(summary) => Some(summary),
        _ => None,
    });
    summary.context("the echo ended without a word")
}

fn volume(line: &TrafficLine) -> Option<(f64, u64)> {
    match line {
        TrafficLine::Volume { at_ms, bytes, .. } => Some((*at_ms, *bytes)),
        _ => None,
    }
}

/// `traffic ARGS...` in a host of the lab.
pub(crate) fn spawn(lab: &Lab, host: &Namespace, args: &[&str]) -> anyhow::Result<Lines<TrafficLine>> {
    let mut command = lab.traffic();
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    Lines::of(host.spawn(command)?)
}
