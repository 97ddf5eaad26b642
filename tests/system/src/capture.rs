//! What crosses a namespace, dissected by tshark.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::Namespace;

/// Bytes of each packet that are kept: all of a control message, the headers of data.
const KEPT: &str = "2000";

/// A capture of everything by UDP on the LISP ports, under way.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    file: PathBuf,
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Capture {
    /// Starts; returns when packets are being taken. `interface` may be `any`.
    pub fn start(space: &Namespace, interface: &str, directory: &Path) -> anyhow::Result<Self> {
        let file = directory.join(format!("{interface}.pcapng"));
        let mut command = Command::new(crate::product::binary()?);
        command
            .args(["guard", "tshark", "-q", "-s", KEPT, "-i", interface])
            .args(["-f", "udp port 4342 or udp port 4341", "-w"])
            .arg(&file);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = space.spawn(command).context("starting tshark")?;
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().context("no stderr")?);
        while !said.contains("Capturing on") {
            ensure!(
                lines.read_line(&mut said)? > 0,
                "tshark did not start (apt-get install tshark): {said}"
            );
        }
        let capture = Self { child, file };
        // It says so just before it is true; the file's header is written when it is.
        crate::patience::wait_for(
            "tshark writes its file",
            || std::fs::metadata(&capture.file).map_or(0, |meta| meta.len()),
            |length| (*length > 0).then_some(()),
        );
        // What it says further is not of interest, but must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(capture)
    }

    /// Ends the capture.
    pub fn stop(mut self) -> anyhow::Result<Captured> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT)?;
        self.child.wait()?;
        Ok(Captured {
            file: std::mem::take(&mut self.file),
        })
    }
}

/// A capture that has ended.
#[derive(Debug)]
pub struct Captured {
    file: PathBuf,
}

impl Captured {
    /// The packets that a display filter shows, one line each.
    pub fn shown(&self, filter: &str) -> anyhow::Result<Vec<String>> {
        let output = Command::new("tshark")
            .args(["-n", "-Y", filter, "-r"])
            .arg(&self.file)
            .output()?;
        ensure!(
            output.status.success(),
            "tshark -Y '{filter}': {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What the packets that a display filter shows carry by UDP, in their order.
    pub fn payloads(&self, filter: &str) -> anyhow::Result<Vec<Vec<u8>>> {
        let output = Command::new("tshark")
            .args([
                "-n",
                "-Y",
                filter,
                "-T",
                "fields",
                "-e",
                "udp.payload",
                "-E",
                "occurrence=f",
                "-r",
            ])
            .arg(&self.file)
            .output()?;
        ensure!(
            output.status.success(),
            "tshark -Y '{filter}': {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let bytes = |line: &str| {
            let digits = line.as_bytes().chunks_exact(2);
            let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
            digits.map(byte).collect()
        };
        String::from_utf8(output.stdout)?.lines().map(bytes).collect()
    }

    /// Fails if the dissector finds fault with anything, or if there is nothing at all.
    pub fn is_well_formed(&self) -> anyhow::Result<()> {
        self.is_well_formed_but("frame.len == 0")
    }

    /// The same, with what a display filter shows left out.
    pub fn is_well_formed_but(&self, excepted: &str) -> anyhow::Result<()> {
        ensure!(!self.shown("lisp")?.is_empty(), "no control message was captured");
        let faults = self.shown(&format!(
            "(_ws.malformed || (lisp && _ws.expert.severity >= \"Warning\")) && !({excepted})"
        ))?;
        ensure!(faults.is_empty(), "faults on the wire: {faults:#?}");
        Ok(())
    }
}
