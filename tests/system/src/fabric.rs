//! A lab with the binary under test, and questions to its forwarders.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::session::Session;
use lisp_wire::{EidPrefix, MessageKind};
use proto::inspect::{LogFilter, LogQuery};
use proto::node::{CacheRow, Show};
use proto::{Direction, NodeCommand, NodeFrame, NodeReport, ReportFrame, SiteName, UserName, VmName};
use testbed::{Conduct, Fabric, Lab, LabOptions};

use crate::product::binary;

/// The shipped session.
pub fn session_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sessions/table-5-1.yaml")
}

/// The shipped session, read.
pub fn session() -> anyhow::Result<Session> {
    Ok(Session::read(&session_path())?)
}

/// Its fabric, running, with strangers on the WAN.
pub fn lab(outsiders: &[(&str, IpAddr)]) -> anyhow::Result<Lab> {
    let fabric = Fabric::of(&session()?).ok_or_else(|| anyhow::anyhow!("no lab part"))?;
    let mut options = LabOptions::this_program()?;
    options.program = binary()?;
    options.outsiders = outsiders
        .iter()
        .map(|(name, address)| ((*name).to_owned(), *address))
        .collect();
    Ok(Lab::start(&fabric, options, &mut |_| {})?)
}

/// The fabric of the thesis's mobility test bed (Table 4.1), running, with forwarders that go about it so.
pub fn mobility_lab(conduct: Conduct) -> anyhow::Result<Lab> {
    let path = session_path().with_file_name("table-4-1.yaml");
    let fabric = Fabric::of(&Session::read(&path)?).ok_or_else(|| anyhow::anyhow!("no lab part"))?;
    let mut options = LabOptions::this_program()?;
    options.program = binary()?;
    options.conduct = conduct;
    Ok(Lab::start(&fabric, options, &mut |_| {})?)
}

/// One command to a forwarder, and its answer.
pub fn ask(socket: &Path, command: NodeCommand) -> anyhow::Result<NodeReport> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let line = serde_json::to_string(&NodeFrame { request: 7, command })?;
    writeln!(stream, "{line}")?;
    for line in BufReader::new(stream).lines() {
        let frame: ReportFrame = serde_json::from_str(&line?)?;
        if frame.reply_to == Some(7) {
            return Ok(frame.report);
        }
    }
    anyhow::bail!("{} hung up", socket.display())
}

/// A forwarder's counters by name.
pub fn counters(socket: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    match ask(socket, NodeCommand::Show { what: Show::Counters })? {
        NodeReport::Counters { rows } => Ok(rows.into_iter().map(|row| (row.name, row.value)).collect()),
        other => anyhow::bail!("asked for counters, got {other:?}"),
    }
}

/// A forwarder's map cache.
pub fn map_cache(socket: &Path) -> anyhow::Result<Vec<CacheRow>> {
    match ask(socket, NodeCommand::Show { what: Show::MapCache })? {
        NodeReport::MapCache { rows } => Ok(rows),
        other => anyhow::bail!("asked for the map cache, got {other:?}"),
    }
}

/// How many messages somebody was sent, by receiver and kind.
pub type Sent = BTreeMap<(IpAddr, MessageKind), usize>;

/// What a node has told others of an EID's place since its message of this number, by receiver and kind; and the number of the
/// last message of all.
pub fn sent(control: &Path, eid: EidPrefix, since: u64) -> anyhow::Result<(Sent, u64)> {
    let (mut told, mut after) = (BTreeMap::new(), since);
    loop {
        let query = LogQuery {
            after,
            filter: LogFilter {
                eid: Some(eid),
                direction: Some(Direction::Out),
                kinds: vec![
                    MessageKind::ChangePriority,
                    MessageKind::Smr,
                    MessageKind::MapNotify,
                ],
                ..LogFilter::default()
            },
            ..LogQuery::default()
        };
        let NodeReport::Log(page) = ask(control, NodeCommand::Log { query })? else {
            anyhow::bail!("asked for the log");
        };
        for message in page.messages {
            *told.entry((message.peer.ip(), message.kind)).or_default() += 1;
        }
        after = page.next;
        if !page.more {
            return Ok((told, after));
        }
    }
}

/// `paris-001` of the shipped session.
pub fn paris() -> UserName {
    UserName::new("paris-001").expect("a good name")
}

/// `vm-web-07` of the shipped session.
pub fn vm() -> VmName {
    VmName::new("vm-web-07").expect("a good name")
}

/// A data centre of the shipped session.
pub fn site(name: &str) -> SiteName {
    SiteName::new(name).expect("a good name")
}
