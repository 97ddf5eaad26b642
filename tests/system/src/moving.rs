//! A VM of the thesis's mobility test bed that staff move from Rome to Paris and back with `pacao ctl node`, while the users
//! near and far talk with it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use lisp_wire::{Eid, EidPrefix, Rloc};
use proto::node::CacheRow;
use proto::{SiteName, UserName, VmName};
use testbed::{Conduct, Lab, UserLocators};

use crate::fabric::{counters, map_cache, mobility_lab, site};
use crate::patience::wait_for;
use crate::product::pacao;
use crate::talk::{Answerer, Talk};

/// The users of that fabric, from the nearest to the farthest.
pub const USERS: [&str; 3] = ["inria", "ufrj", "vnu"];

/// A running fabric with the VM at its home, Rome.
#[derive(Debug)]
pub struct Moving {
    // Dropped in this order: what runs in the lab before the lab.
    _in_vm: Answerer,
    /// The fabric.
    pub lab: Lab,
    /// The VM's EID.
    pub eid: EidPrefix,
    vm: VmName,
}

/// One of the two places of the VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Centre {
    /// UROMA1.
    Rome,
    /// LIP6.
    Paris,
}

impl Centre {
    /// Its name in the session.
    pub fn name(self) -> SiteName {
        site(match self {
            Self::Rome => "uroma1",
            Self::Paris => "lip6",
        })
    }

    /// Its locator.
    pub fn rloc(self) -> Rloc {
        Rloc(IpAddr::from(match self {
            Self::Rome => [172, 16, 0, 2],
            Self::Paris => [172, 16, 0, 1],
        }))
    }
}

/// What `pacao ctl node` made of an order.
#[derive(Debug)]
pub struct Order {
    /// Whether its exit code is 0.
    pub done: bool,
    /// Standard output.
    pub said: String,
    /// Standard error.
    pub why: String,
}

impl Moving {
    /// Builds it; users' locators are whatever their uplinks have, so they may roam.
    pub fn start() -> anyhow::Result<Self> {
        let conduct = Conduct {
            user_locators: UserLocators::Interface,
            ..Conduct::default()
        };
        let lab = mobility_lab(conduct)?;
        let vm = VmName::new("vm-rome")?;
        let address = lab.vm_address(&vm)?;
        Ok(Self {
            _in_vm: Answerer::start(lab.vm_host(&vm)?, address)?,
            lab,
            eid: EidPrefix::host(Eid::of(address)),
            vm,
        })
    }

    /// Begins to send from a user's host to the VM.
    pub fn talk(&self, user: &str) -> anyhow::Result<Talk> {
        let talk = Talk::start(self.lab.user_host(&name(user)?)?, self.lab.vm_address(&self.vm)?)?;
        talk.come_back(20)?;
        Ok(talk)
    }

    /// All users do.
    pub fn talks(&self) -> anyhow::Result<BTreeMap<&'static str, Talk>> {
        USERS
            .into_iter()
            .map(|user| Ok((user, self.talk(user)?)))
            .collect()
    }

    /// `pacao ctl node CONTROL ARGUMENTS...` of a data centre.
    pub fn ctl(&self, at: Centre, arguments: &[&str]) -> anyhow::Result<Order> {
        let mut command = pacao(["ctl", "node"])?;
        let output = command.arg(self.control(at)?).args(arguments).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Order {
            done: output.status.success(),
            said: text(&output.stdout),
            why: text(&output.stderr),
        })
    }

    /// The same about the VM's EID, which has to be done; what it said.
    pub fn order(&self, at: Centre, verb: &str, more: &[&str]) -> anyhow::Result<String> {
        let eid = self.eid.to_string();
        let arguments = [&[verb, &eid], more].concat();
        let order = self.ctl(at, &arguments)?;
        ensure!(order.done, "{arguments:?}: {}{}", order.said, order.why);
        Ok(order.said)
    }

    /// The VM stands still, as a live migration has it for its last round.
    pub fn halt(&self) -> anyhow::Result<()> {
        Ok(self.lab.halt(&self.vm)?)
    }

    /// The VM runs here now.
    pub fn runs(&self, at: Centre) -> anyhow::Result<()> {
        Ok(self.lab.rehome(&self.vm, &at.name())?)
    }

    /// A whole move, prepared; what the destination was handed.
    pub fn moves(&self, from: Centre, to: Centre) -> anyhow::Result<String> {
        let prepared = self.order(from, "prepare", &["--to", &to.rloc().0.to_string()])?;
        self.finish_move(from, to)?;
        Ok(prepared)
    }

    /// Packets for the VM that a data centre held or sent on.
    fn kept_back(&self, at: Centre) -> anyhow::Result<u64> {
        Ok(self.counted(at, "decap.held")? + self.counted(at, "decap.redirected")?)
    }

    /// A move that is prepared.
    pub fn finish_move(&self, from: Centre, to: Centre) -> anyhow::Result<()> {
        let before = self.kept_back(from)?;
        self.order(from, "stopped", &[])?;
        // Some packets later, whatever was handed on before is at the VM.
        wait_for(
            "packets are kept back",
            || self.kept_back(from),
            |now| now.as_ref().is_ok_and(|now| *now >= before + 10).then_some(()),
        );
        self.halt()?;
        crate::talk::a_while();
        self.runs(to)?;
        self.order(to, "arrived", &[])?;
        Ok(())
    }

    /// Waits until a user enters by a data centre; the mapping it has then.
    pub fn enters_by(&self, user: &str, centre: Centre) -> anyhow::Result<CacheRow> {
        let control = self.user_control(user)?;
        Ok(wait_for(
            &format!("{user} goes to {centre:?}"),
            || row(&control, self.eid),
            |row| {
                let row = row.as_ref().ok()?.as_ref()?;
                let best = row.locators.iter().min_by_key(|known| known.locator.priority)?;
                (best.locator.rloc == centre.rloc()).then(|| row.clone())
            },
        ))
    }

    /// A user's router has another address from now on, `from` before. Nobody is told.
    pub fn roam(&self, user: &str, (from, to): (IpAddr, IpAddr)) -> anyhow::Result<()> {
        Ok(self.lab.roam(&name(user)?, (from, to))?)
    }

    /// Waits until a data centre sends to a user at this address and no other.
    pub fn knows(&self, centre: Centre, user: &str, at: IpAddr) -> anyhow::Result<()> {
        let control = self.control(centre)?;
        let eid = EidPrefix::host(Eid::of(self.lab.user_address(&name(user)?)?));
        wait_for(
            &format!("{centre:?} knows {user} at {at}"),
            || row(&control, eid),
            |row| {
                let row = row.as_ref().ok()?.as_ref()?;
                let rlocs = row.locators.iter().map(|known| known.locator.rloc.0);
                rlocs.eq([at]).then_some(())
            },
        );
        Ok(())
    }

    /// A counter of a data centre.
    pub fn counted(&self, at: Centre, counter: &str) -> anyhow::Result<u64> {
        let counters = counters(&self.control(at)?)?;
        counters
            .get(counter)
            .copied()
            .with_context(|| format!("no counter {counter}"))
    }

    /// A data centre's control socket.
    pub fn control(&self, at: Centre) -> anyhow::Result<PathBuf> {
        let socket = self.lab.controls().remove(&at.name());
        socket.with_context(|| format!("no forwarder at {at:?}"))
    }

    /// A user's control socket.
    pub fn user_control(&self, user: &str) -> anyhow::Result<PathBuf> {
        let socket = self.lab.user_controls().remove(&name(user)?);
        socket.with_context(|| format!("no forwarder of {user}"))
    }
}

/// What a node knows of an EID: the row of the longest mapping around it.
fn row(control: &Path, eid: EidPrefix) -> anyhow::Result<Option<CacheRow>> {
    let rows = map_cache(control)?.into_iter();
    let around = rows.filter(|row| row.eid.covers(&eid) && !row.locators.is_empty());
    Ok(around.max_by_key(|row| row.eid.length()))
}

fn name(user: &str) -> anyhow::Result<UserName> {
    Ok(UserName::new(user)?)
}
