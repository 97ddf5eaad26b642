//! An engine as a process of its own on a running lab, asked and told by `pacao ctl` as staff do.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, ensure};
use proto::{LegRow, LinkRow, LinkState, PolicyRow, Proposal, RlocRow, SiteName, UserName};
use serde_yaml::{Mapping, Value};
use tempfile::TempDir;
use testbed::Lab;

use crate::fabric::session_path;
use crate::patience::wait_for;
use crate::product::pacao;

/// A running `pacao serve`, and the folder with its session and state. Dropping it kills the engine.
#[derive(Debug)]
pub struct Steered {
    folder: TempDir,
    engine: Option<Child>,
}

/// What `pacao ctl` made of a command.
#[derive(Debug)]
pub struct Told {
    /// Whether it was done: exit code 0. Refused is exit code 1.
    pub done: bool,
    /// What it printed.
    pub text: String,
}

impl Steered {
    /// Takes up the shipped session on `lab`, with `policy` over the session's own and slots of two seconds.
    pub fn start(lab: &Lab, policy: &[(&str, Value)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut session: Value = serde_yaml::from_str(&std::fs::read_to_string(session_path())?)?;
        set(&mut session, &["slots", "decide"], "2s".into())?;
        set(&mut session, &["slots", "settle"], "1s".into())?;
        for (name, value) in policy {
            set(&mut session, &["policy", name], value.clone())?;
        }
        for (site, socket) in lab.controls() {
            let socket = socket.display().to_string();
            set(&mut session, &["sites", site.as_str(), "control"], socket.into())?;
        }
        std::fs::write(
            folder.path().join("session.yaml"),
            serde_yaml::to_string(&session)?,
        )?;
        let mut steered = Self { folder, engine: None };
        steered.take_up()?;
        Ok(steered)
    }

    /// Starts the engine on its record, and waits until it has heard of every link.
    pub fn take_up(&mut self) -> anyhow::Result<()> {
        ensure!(self.engine.is_none(), "it runs already");
        let mut serve = pacao(["serve"])?;
        serve.arg(self.folder.path().join("session.yaml"));
        serve.arg("--state").arg(self.state());
        serve.stdin(Stdio::null()).stdout(Stdio::null());
        serve.stderr(std::fs::File::create(self.folder.path().join("log"))?);
        self.engine = Some(serve.spawn()?);
        wait_for(
            "the engine has heard of every link",
            || self.links(),
            |links| {
                let links = links.as_ref().ok().filter(|links| !links.is_empty())?;
                let heard = |link: &LinkRow| link.rtt.is_some() && link.state != LinkState::Stale;
                links.iter().all(heard).then_some(())
            },
        );
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut engine = self.engine.take().context("it does not run")?;
        engine.kill()?;
        engine.wait()?;
        Ok(())
    }

    /// `pacao ctl ARGS...`.
    pub fn ctl(&self, args: &[&str]) -> anyhow::Result<Told> {
        let mut ctl = pacao(["ctl", "--state"])?;
        let output = ctl.arg(self.state()).args(args).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(code @ (0 | 1)) => Ok(Told {
                done: code == 0,
                text: text + &errors,
            }),
            code => anyhow::bail!("pacao ctl {args:?}: {code:?}: {text}{errors}"),
        }
    }

    /// What policy allows now.
    pub fn policy(&self) -> anyhow::Result<PolicyRow> {
        Ok(serde_json::from_str(&self.json("policy")?)?)
    }

    /// Every proposal that is known.
    pub fn proposals(&self) -> anyhow::Result<Vec<Proposal>> {
        Ok(serde_json::from_str(&self.json("proposals")?)?)
    }

    /// By which data centre a user enters: the locator with the least priority.
    pub fn entry(&self, user: &UserName) -> anyhow::Result<SiteName> {
        let rows: Vec<RlocRow> = serde_json::from_str(&self.json("rlocs")?)?;
        let own = rows.into_iter().filter(|row| row.user == *user);
        let first = own.min_by_key(|row| row.priority.0);
        first.map(|row| row.dc).context("no locator")
    }

    /// The record, as it is on the disk.
    pub fn record(&self) -> anyhow::Result<String> {
        let found = find(&self.state(), "jsonl").context("no record")?;
        Ok(std::fs::read_to_string(found)?)
    }

    /// The legs between data centres.
    pub fn legs(&self) -> anyhow::Result<Vec<LegRow>> {
        Ok(serde_json::from_str(&self.json("legs")?)?)
    }

    fn links(&self) -> anyhow::Result<Vec<LinkRow>> {
        Ok(serde_json::from_str(&self.json("links")?)?)
    }

    fn json(&self, what: &str) -> anyhow::Result<String> {
        let told = self.ctl(&["--json", what])?;
        ensure!(told.done, "{}", told.text);
        Ok(told.text)
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }
}

impl Drop for Steered {
    fn drop(&mut self) {
        // Killed already is as good.
        let _ = self.kill();
    }
}

fn find(folder: &Path, extension: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find_map(|path| {
            if path.is_dir() {
                find(&path, extension)
            } else {
                path.extension()
                    .is_some_and(|has| has == extension)
                    .then_some(path)
            }
        })
}

fn set(root: &mut Value, path: &[&str], value: Value) -> anyhow::Result<()> {
    let mut at = root;
    for name in path {
        let mapping = at
            .as_mapping_mut()
            .with_context(|| format!("{path:?}: not a mapping"))?;
        at = mapping
            .entry((*name).into())
            .or_insert(Value::Mapping(Mapping::default()));
    }
    *at = value;
    Ok(())
}
