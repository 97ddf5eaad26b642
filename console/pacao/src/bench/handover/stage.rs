//! The fabric of one way, and one move after the other on it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use engine::session::Session;
use lisp_wire::{EidPrefix, Locator, Rloc};
use proto::node::DatabaseRow;
use proto::{Audience, ChangeId, NodeCommand, SiteName, Span, Timestamp, UserName, VmName};
use testbed::traffic::TrafficLine;
use testbed::{Conduct, Fabric, Lab, LabOptions};

use super::way::Way;
use crate::control::Control;
use crate::lines::Lines;
use crate::probes::{Cost, Probes};
use crate::traffic::{Server, now, spawn};

/// Where the VM comes from: the thesis's Rome.
pub(super) const SOURCE: &str = "uroma1";
/// Where it goes: the thesis's Paris.
pub(super) const DESTINATION: &str = "lip6";
/// The VM that moves.
const VM: &str = "vm-rome";

/// Probing before the move: longer than the round trips of the first probe, and so are all clients known.
const LEAD: Duration = Duration::from_millis(1500);
/// Probing after the last client was told.
const TRAIL: Duration = Duration::from_millis(1200);
/// The lab's inner switch takes what comes from the site just left for stragglers during one second, and a client asks
/// no more than once a second because of solicitations: the next move must not fall into either.
const REST: Duration = Duration::from_millis(1500);
/// Anything that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at a map cache. Since when a mapping is in force the forwarder says itself.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// For how long the VM stands still: the last round of a live migration of some memory over a fast network.
const STOP: Span = Span::millis(100);
/// The hypervisor tells the source's forwarder this long before the VM stands still: what the forwarder has handed on by
/// then is at the VM.
const DRAIN: Duration = Duration::from_millis(5);
/// Between two looks at what is not measured.
const SETTLE_EVERY: Duration = Duration::from_millis(10);

/// What one move was for one client.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Move {
    /// What the client's new mapping came from, as its forwarder names it.
    pub(super) origin: String,
    /// From the word to the destination's forwarder until the client's forwarder had heard of it.
    pub(super) heard: Span,
    /// From the same word until the client's packets followed.
    pub(super) convergence: Span,
    /// Its probes.
    pub(super) cost: Cost,
}

/// Since when a client enters by another site.
#[derive(Clone, Debug)]
struct Told {
    origin: String,
    /// By its forwarder's own account: when it took the message in hand.
    heard: Timestamp,
    /// By the same account: when its packet threads were given the new mapping.
    in_force: Timestamp,
}

/// A running fabric whose forwarders tell clients in one way.
pub(super) struct Stage {
    // Dropped in this order: what runs in the lab before the lab.
    server: Server,
    controls: BTreeMap<UserName, Control>,
    source: Control,
    destination: Control,
    map_server: Control,
    lab: Lab,
    places: Places,
    interval: Span,
    way: Way,
    changes: u64,
}

struct Places {
    vm: VmName,
    eid: EidPrefix,
    source: (SiteName, Rloc),
    destination: (SiteName, Rloc),
    clients: BTreeMap<UserName, EidPrefix>,
}

impl Stage {
    /// Builds it; clients probe every `interval`.
    pub(super) fn build(session: &Session, way: Way, interval: Span) -> anyhow::Result<Self> {
        let fabric = Fabric::of(session).context("the session has no lab part")?;
        let options = LabOptions {
            conduct: Conduct {
                tell_by: way.tell_by(),
                ..Conduct::default()
            },
            ..LabOptions::this_program()?
        };
        let lab = Lab::start(&fabric, options, &mut |_| {})?;
        let places = Places::of(&fabric)?;
        let sites = lab.controls();
        let site = |name: &SiteName| -> anyhow::Result<Control> {
            Control::connect(
                sites
                    .get(name)
                    .with_context(|| format!("no forwarder at {name}"))?,
            )
        };
        let controls = lab
            .user_controls()
            .into_iter()
            .map(|(user, socket)| Ok((user, Control::connect(&socket)?)))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            server: Server::start(&lab, &places.vm)?,
            controls,
            source: site(&places.source.0)?,
            destination: site(&places.destination.0)?,
            map_server: Control::connect(&lab.map_server_control())?,
            lab,
            places,
            interval,
            way,
            changes: 0,
        })
    }

    /// Moves the VM from source to destination while all clients probe, and back again.
    pub(super) fn run(&mut self) -> anyhow::Result<BTreeMap<UserName, Move>> {
        self.forget()?;
        let mut echoes = self.start_echoes()?;
        let source = self.places.source.1;
        self.wait_for_clients(source)?;
        std::thread::sleep(LEAD);

        self.stop()?;
        self.lab.rehome(&self.places.vm, &self.places.destination.0)?;
        let moved = now();
        let arrived = self.arrived();
        self.destination.ask(arrived)?;
        let told = self.wait_for_clients(self.places.destination.1)?;
        std::thread::sleep(TRAIL);

        // An echo ends when its input does.
        let inputs: Vec<_> = echoes.values_mut().map(Lines::input).collect();
        drop(inputs);
        let mut moves = BTreeMap::new();
        for (user, echo) in echoes {
            let at = told.get(&user).context("a client that was not waited for")?;
            let probes = Probes::of(&echo.finish()?).context("the echo did not say when it began")?;
            let mut cost = probes.cost(moved, at.in_force).with_context(|| {
                format!("{user}: no probe was answered before the move, or none after it")
            })?;
            cost.downtime = Span(cost.downtime.micros().saturating_sub(STOP.micros()));
            ensure!(at.heard >= moved, "{user} was told before the move");
            let one = Move {
                origin: at.origin.clone(),
                heard: at.heard.since(moved),
                convergence: at.in_force.since(moved),
                cost,
            };
            moves.insert(user, one);
        }
        self.back()?;
        Ok(moves)
    }

    /// The VM stands still at the source, and is on its way.
    fn stop(&mut self) -> anyhow::Result<()> {
        let eid = self.places.eid;
        if self.way == Way::Prepared {
            self.changes += 1;
            let change = ChangeId(self.changes);
            self.source.ask(NodeCommand::Prepare {
                change,
                eid,
                destination: self.places.destination.1,
                expires_in: Span::secs(60),
            })?;
            self.source.wait_until_prepared(change)?;
            self.source.ask(NodeCommand::Stopped { eid })?;
            std::thread::sleep(DRAIN);
        }
        self.lab.halt(&self.places.vm)?;
        std::thread::sleep(STOP.to_duration());
        Ok(())
    }

    /// Processes of the lab that ended without being told to; then takes it down.
    pub(super) fn end(self) -> anyhow::Result<usize> {
        let Self { lab, server, .. } = self;
        let casualties = lab.casualties();
        for (what, words) in &casualties {
            eprintln!("{what} died: {words}");
        }
        drop(server);
        lab.stop()?;
        Ok(casualties.len())
    }

    /// Makes every move the first one: no client knows the VM, and the destination knows no client.
    fn forget(&mut self) -> anyhow::Result<()> {
        let nothing = |eid| NodeCommand::SetCache {
            eid,
            locators: Vec::new(),
            ttl: Span::secs(1),
        };
        for control in self.controls.values_mut() {
            control.ask(nothing(self.places.eid))?;
        }
        for eid in self.places.clients.values() {
            self.destination.ask(nothing(*eid))?;
        }
        Ok(())
    }

    fn start_echoes(&self) -> anyhow::Result<BTreeMap<UserName, Lines<TrafficLine>>> {
        let (server, interval) = (self.server.address().to_string(), self.interval.to_string());
        let echo = [
            "echo",
            &server,
            "--interval",
            &interval,
            "--drain",
            "1s",
            "--each",
        ];
        self.places
            .clients
            .keys()
            .map(|user| Ok((user.clone(), spawn(&self.lab, self.lab.user_host(user)?, &echo)?)))
            .collect()
    }

    /// Waits until every client enters by `rloc`; since when each does.
    fn wait_for_clients(&mut self, rloc: Rloc) -> anyhow::Result<BTreeMap<UserName, Told>> {
        let until = Instant::now() + PATIENCE;
        let mut told = BTreeMap::new();
        loop {
            for (user, control) in &mut self.controls {
                if told.contains_key(user) {
                    continue;
                }
                let row = control.cached(self.places.eid)?;
                if let Some(row) = row
                    && enters_by(row.locators.iter().map(|cached| &cached.locator), rloc)
                {
                    let told_at = Told {
                        origin: row.origin,
                        heard: row.told_at,
                        in_force: row.in_force_at.unwrap_or_else(now),
                    };
                    told.insert(user.clone(), told_at);
                }
            }
            if told.len() == self.controls.len() {
                return Ok(told);
            }
            if Instant::now() > until {
                let missing: Vec<_> = self
                    .controls
                    .keys()
                    .filter(|user| !told.contains_key(*user))
                    .collect();
                bail!(
                    "never told that {} is at {}: {missing:?}",
                    self.places.eid,
                    rloc.0
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Returns the VM, until both sites and the Map-Server say so.
    fn back(&mut self) -> anyhow::Result<()> {
        let (home, rloc) = self.places.source.clone();
        let eid = self.places.eid;
        self.lab.rehome(&self.places.vm, &home)?;
        let arrived = self.arrived();
        self.source.ask(arrived)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let known = self.map_server.registered(eid)?;
            let given_up = self.destination.own(eid)?;
            if known.iter().any(|row| enters_by(row.locators.iter(), rloc))
                && given_up
                    .iter()
                    .any(|row| is_for_everyone(row) && enters_by(row.locators.iter(), rloc))
            {
                break;
            }
            ensure!(
                Instant::now() < until,
                "the VM did not come back to {home}: {known:?}, {given_up:?}"
            );
            std::thread::sleep(SETTLE_EVERY);
        }
        std::thread::sleep(REST);
        Ok(())
    }

    fn arrived(&mut self) -> NodeCommand {
        self.changes += 1;
        NodeCommand::Arrived {
            change: ChangeId(self.changes),
            eid: self.places.eid,
        }
    }
}

impl Places {
    fn of(fabric: &Fabric) -> anyhow::Result<Self> {
        let site = |name| -> anyhow::Result<(SiteName, Rloc)> {
            let name = SiteName::new(name)?;
            let rloc = fabric
                .sites
                .get(&name)
                .with_context(|| format!("no site {name}"))?;
            Ok((name, *rloc))
        };
        let vm = VmName::new(VM)?;
        let eid = fabric.vms.get(&vm).with_context(|| format!("no VM {vm}"))?.eid;
        Ok(Self {
            vm,
            eid,
            source: site(SOURCE)?,
            destination: site(DESTINATION)?,
            clients: fabric
                .users
                .iter()
                .map(|(name, user)| (name.clone(), user.eid))
                .collect(),
        })
    }
}

fn is_for_everyone(row: &DatabaseRow) -> bool {
    row.audience == Audience::Everyone
}

/// Whether the best of these locators is `rloc`.
fn enters_by<'a>(locators: impl Iterator<Item = &'a Locator>, rloc: Rloc) -> bool {
    let usable = locators.filter(|locator| locator.priority.usable());
    usable
        .min_by_key(|locator| locator.priority)
        .is_some_and(|best| best.rloc == rloc)
}
