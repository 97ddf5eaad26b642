//! All forwarders of a fabric: their files written, their processes started and waited for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::node_process::NodeProcess;
use super::run_dir::RunDir;
use super::{Conduct, LabError, Node, found, node_file, registered};
use crate::fabric::Fabric;
use crate::namespace::Namespace;

/// The forwarders.
#[derive(Debug)]
pub(crate) struct Nodes {
    processes: BTreeMap<Node, NodeProcess>,
}

impl Nodes {
    /// Starts `command` in each of `spaces`, with files in `dir` and keys drawn anew.
    pub(crate) fn start<'a>(
        fabric: &Fabric,
        command: &[OsString],
        spaces: impl IntoIterator<Item = (&'a Node, &'a Namespace)>,
        (dir, conduct): (&RunDir, Conduct),
    ) -> Result<Self, LabError> {
        let keys = node_file::Keys::draw(fabric, conduct)?;
        let control = dir.inner("control")?;
        let mut processes = BTreeMap::new();
        for (node, namespace) in spaces {
            let state = dir.inner(&format!("state/{node}"))?;
            let socket = control.join(format!("{node}.sock"));
            let text = node_file::text(fabric, &keys, node, (&socket, &state))?;
            let config = dir.write(&format!("{node}.yaml"), &text)?;
            let log = dir.path().join(format!("{node}.log"));
            let files = (config, socket, log);
            processes.insert(
                node.clone(),
                NodeProcess::start(node.clone(), command.to_vec(), files, namespace)?,
            );
        }
        Ok(Self { processes })
    }

    /// Returns when all answer; tells of each, with how many do.
    pub(crate) fn wait(
        &mut self,
        patience: Duration,
        up: &mut dyn FnMut(&Node, usize),
    ) -> Result<(), LabError> {
        for (count, (node, process)) in (1..).zip(&mut self.processes) {
            process.wait_until_it_answers(patience)?;
            up(node, count);
        }
        Ok(())
    }

    /// Returns when the Map-Server knows all EIDs of the fabric.
    pub(crate) fn wait_until_registered(&self, fabric: &Fabric, patience: Duration) -> Result<(), LabError> {
        let map_server = found(self.processes.get(&Node::MapServer), &Node::MapServer)?;
        registered::wait(fabric, map_server.socket(), patience)
    }

    /// One of them.
    pub(super) fn get(&mut self, node: &Node) -> Result<&mut NodeProcess, LabError> {
        found(self.processes.get_mut(node), node)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.processes.len()
    }

    /// Their control sockets.
    pub(crate) fn controls(&self) -> impl Iterator<Item = (&Node, PathBuf)> {
        self.processes
            .iter()
            .map(|(node, process)| (node, process.socket().to_owned()))
    }

    /// Their process ids, of those that run.
    pub(crate) fn pids(&self) -> impl Iterator<Item = (&Node, u32)> {
        self.processes
            .iter()
            .filter_map(|(node, process)| Some((node, process.pid()?)))
    }

    /// Those that ended by themselves, and how.
    pub(super) fn casualties(&mut self) -> Vec<(String, String)> {
        let dead = self.processes.iter_mut();
        dead.filter_map(|(node, process)| Some((node.to_string(), process.casualty()?)))
            .collect()
    }
}
