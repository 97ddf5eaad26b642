//! iperf3 as the judge of throughput: one stream of TCP, then unlimited 64-byte UDP.

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;
use testbed::direct::Direct;

/// What came out at the far end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    /// One TCP stream, gigabits a second at the receiver.
    pub tcp_gbps: f64,
    /// 64-byte UDP payloads, thousands a second at the receiver.
    pub udp_kpps: f64,
}

impl Figures {
    /// The median of each.
    pub(super) fn median(runs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(figure).collect();
            values.sort_by(f64::total_cmp);
            let middle = values.len() / 2;
            match values.len() {
                0 => f64::NAN,
                n if n % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
                _ => values[middle],
            }
        };
        Self {
            tcp_gbps: of(|f| f.tcp_gbps),
            udp_kpps: of(|f| f.udp_kpps),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tcp {:6.2} Gbit/s   udp64 {:6.1} kpps",
            self.tcp_gbps, self.udp_kpps
        )
    }
}

/// Fails with what to install if there is no iperf3.
pub(super) fn present() -> anyhow::Result<()> {
    let found = Command::new("iperf3")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found
        .map(|_| ())
        .context("the bench measures with iperf3: apt-get install iperf3")
}

/// Waits until something crosses from a's host to b's.
pub(super) fn reachable(sites: &Direct, patience: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + patience;
    loop {
        match tcp(sites, 1) {
            Ok(gbps) if gbps > 0.0 => return Ok(()),
            outcome if Instant::now() > until => {
                outcome?;
                bail!("not one byte in {} s", patience.as_secs());
            }
            _ => std::thread::sleep(Duration::from_millis(300)),
        }
    }
}

/// One measurement of each kind, `seconds` long.
pub(super) fn measure(sites: &Direct, seconds: u32) -> anyhow::Result<Figures> {
    Ok(Figures {
        tcp_gbps: tcp(sites, seconds)?,
        udp_kpps: udp64(sites, seconds)?,
    })
}

fn tcp(sites: &Direct, seconds: u32) -> anyhow::Result<f64> {
    let report = run(sites, &["-t", &seconds.to_string()])?;
    number(&report["end"]["sum_received"]["bits_per_second"]).map(|bits| bits / 1e9)
}

fn udp64(sites: &Direct, seconds: u32) -> anyhow::Result<f64> {
    let report = run(sites, &["-u", "-b", "0", "-l", "64", "-t", &seconds.to_string()])?;
    let sum = &report["end"]["sum"];
    let received = number(&sum["packets"])? - number(&sum["lost_packets"])?;
    Ok(received / number(&sum["seconds"])? / 1e3)
}

fn number(value: &Value) -> anyhow::Result<f64> {
    value.as_f64().context("iperf3's report lacks a figure")
}

fn run(sites: &Direct, more: &[&str]) -> anyhow::Result<Value> {
    let mut serve = guarded(&["-s", "-1"])?;
    serve.stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = Ended(sites.b.host.spawn(serve)?);
    // The server needs a moment to listen; a refused connection is asked for again.
    let mut last = Value::Null;
    for _ in 0..20 {
        let mut client = guarded(&["-c", &sites.b.eid.to_string(), "-J", "--connect-timeout", "3000"])?;
        client.args(more).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = sites.a.host.spawn(client)?;
        let mut text = String::new();
        child
            .stdout
            .take()
            .context("no output of iperf3")?
            .read_to_string(&mut text)?;
        child.wait()?;
        last = serde_json::from_str(&text).context("iperf3 printed no report")?;
        if last["error"].is_null() {
            server.0.wait()?;
            return Ok(last);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bail!("iperf3: {}", last["error"].as_str().unwrap_or("no report"))
}

fn guarded(args: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["guard", "iperf3"]).args(args);
    Ok(command)
}

/// A child that does not outlive its measurement.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
