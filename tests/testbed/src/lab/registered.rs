//! Waiting until the Map-Server knows every mapping: before that, the first packets of a lab would wait for registrations.

use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use lisp_wire::EidPrefix;
use proto::node::Show;
use proto::{NodeCommand, NodeFrame, NodeReport, ReportFrame};

use super::LabError;
use crate::fabric::Fabric;

/// Returns when the Map-Server behind `control` lists all EIDs of the fabric.
pub(super) fn wait(fabric: &Fabric, control: &Path, patience: Duration) -> Result<(), LabError> {
    let failed = |source| LabError::Registrations {
        socket: control.to_owned(),
        source,
    };
    let vms = fabric.vms.values().map(|vm| vm.eid);
    let wanted: BTreeSet<EidPrefix> = vms.chain(fabric.users.values().map(|user| user.eid)).collect();
    let mut server = MapServer::connect(control).map_err(failed)?;
    let began = Instant::now();
    loop {
        let known = server.registrations().map_err(failed)?;
        let Some(missing) = wanted.difference(&known).next() else {
            return Ok(());
        };
        if began.elapsed() > patience {
            return Err(LabError::Unregistered {
                eid: *missing,
                seconds: patience.as_secs(),
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct MapServer {
    commands: UnixStream,
    reports: BufReader<UnixStream>,
    asked: u64,
}

impl MapServer {
    fn connect(control: &Path) -> io::Result<Self> {
        let commands = UnixStream::connect(control)?;
        commands.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self {
            reports: BufReader::new(commands.try_clone()?),
            commands,
            asked: 0,
        })
    }

    fn registrations(&mut self) -> io::Result<BTreeSet<EidPrefix>> {
        self.asked += 1;
        let frame = NodeFrame {
            request: self.asked,
            command: NodeCommand::Show {
                what: Show::Registrations,
            },
        };
        let mut text = serde_json::to_vec(&frame)?;
        text.push(b'\n');
        self.commands.write_all(&text)?;
        loop {
            let mut line = String::new();
            if self.reports.read_line(&mut line)? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            let answer: ReportFrame = serde_json::from_str(&line)?;
            match answer.report {
                NodeReport::Registrations { rows } => {
                    return Ok(rows.into_iter().map(|row| row.eid).collect());
                }
                NodeReport::Refused { why } => return Err(io::Error::other(why)),
                // What the node tells by itself.
                _ => {}
            }
        }
    }
}
