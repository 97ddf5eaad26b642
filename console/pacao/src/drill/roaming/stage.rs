//! The fabric of a roaming user, and one move after the other on it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Context;
use engine::session::Session;
use lisp_wire::{EidPrefix, Locator};
use proto::{SiteName, Span, Timestamp, UserName, VmName};
use testbed::traffic::TrafficLine;
use testbed::{Conduct, Fabric, Lab, LabOptions, UserLocators};

use crate::control::Control;
use crate::lines::Lines;
use crate::probes::{Cost, Probes};
use crate::session_file::TABLE_4_1;
use crate::traffic::{Server, now, spawn};

/// Who roams.
const USER: &str = "inria";
/// With whom it talks: the home of the VM, and users.
const SITE: &str = "uroma1";
const VM: &str = "vm-rome";
const FRIENDS: [&str; 2] = ["ufrj", "vnu"];

/// Between two probes.
pub(super) const INTERVAL: Span = Span::millis(20);
/// Probing before a move, and after the last peer followed.
const AROUND: Duration = Duration::from_millis(1500);
/// Anything that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What one move was.
#[derive(Debug)]
pub(super) struct Move {
    /// The new address.
    pub(super) to: IpAddr,
    /// From the move until the Map-Server had the new locator and no other, as seen from outside.
    pub(super) registered: Option<Span>,
    /// By name.
    pub(super) peers: BTreeMap<String, Peer>,
}

/// What it was for one peer.
#[derive(Debug)]
pub(super) struct Peer {
    /// Between it and the user, without any load.
    pub(super) round_trip: Span,
    /// From the move until its packets went to the new address and no other; none if they never did.
    pub(super) followed: Option<Span>,
    /// Its probes; none if they were not answered again.
    pub(super) cost: Option<Cost>,
}

/// A running fabric.
pub(super) struct Stage {
    // Dropped in this order: what runs in the lab before the lab.
    in_vm: Server,
    _with_user: Lines<TrafficLine>,
    at_user: SocketAddr,
    peers: BTreeMap<String, (Span, Control)>,
    map_server: Control,
    lab: Lab,
    user: UserName,
    eid: EidPrefix,
    at: IpAddr,
}

impl Stage {
    /// Builds it.
    pub(super) fn build() -> anyhow::Result<Self> {
        let session = Session::parse(TABLE_4_1, "table-4-1")?;
        let fabric = Fabric::of(&session).context("the session has no lab part")?;
        let wan = &session.lab.as_ref().context("the session has no lab part")?.wan;
        let options = LabOptions {
            conduct: Conduct {
                user_locators: UserLocators::Interface,
                ..Conduct::default()
            },
            ..LabOptions::this_program()?
        };
        let lab = Lab::start(&fabric, options, &mut |_| {})?;
        let user = UserName::new(USER)?;
        let own = fabric.users.get(&user).context("nobody roams")?;
        let (sites, users) = (lab.controls(), lab.user_controls());
        let mut peers = BTreeMap::new();
        let site = sites.get(&SiteName::new(SITE)?).context("no such site")?;
        peers.insert(
            SITE.to_owned(),
            (wan.between(SITE, USER).rtt, Control::connect(site)?),
        );
        for friend in FRIENDS {
            let socket = users.get(&UserName::new(friend)?).context("no such user")?;
            let control = Control::connect(socket)?;
            peers.insert(friend.to_owned(), (wan.between(friend, USER).rtt, control));
        }
        let with_user = spawn(&lab, lab.user_host(&user)?, &["serve"])?;
        let port = with_user.wait_for(Duration::from_secs(5), |line| match line {
            TrafficLine::Serving { at } => Some(at.port()),
            _ => None,
        })?;
        Ok(Self {
            in_vm: Server::start(&lab, &VmName::new(VM)?)?,
            _with_user: with_user,
            at_user: SocketAddr::new(lab.user_address(&user)?, port),
            peers,
            map_server: Control::connect(&lab.map_server_control())?,
            at: own.rloc.0,
            eid: own.eid,
            lab,
            user,
        })
    }

    /// Moves the user to an address while everybody probes.
    pub(super) fn run(&mut self, to: IpAddr) -> anyhow::Result<Move> {
        let mut echoes = self.start_echoes()?;
        std::thread::sleep(AROUND);
        let moved = now();
        self.lab.roam(&self.user, (self.at, to))?;
        self.at = to;
        let (registered, followed) = self.follow(to)?;
        std::thread::sleep(AROUND);
        // An echo ends when its input does.
        let inputs: Vec<_> = echoes.values_mut().map(Lines::input).collect();
        drop(inputs);
        let mut peers = BTreeMap::new();
        for (name, echo) in echoes {
            let told = followed.get(&name).copied();
            let probes = Probes::of(&echo.finish()?).context("the echo did not say when it began")?;
            let cost = told.and_then(|told| probes.cost(moved, told));
            let round_trip = self.peers.get(&name).map_or(Span::ZERO, |(rtt, _)| *rtt);
            let followed = told.map(|told| told.since(moved));
            peers.insert(
                name,
                Peer {
                    round_trip,
                    followed,
                    cost,
                },
            );
        }
        let registered = registered.map(|at| at.since(moved));
        Ok(Move {
            to,
            registered,
            peers,
        })
    }

    /// Processes of the lab that ended without being told to; then takes it down.
    pub(super) fn end(self) -> anyhow::Result<usize> {
        let Self {
            lab,
            in_vm,
            _with_user: with_user,
            ..
        } = self;
        let casualties = lab.casualties();
        for (what, words) in &casualties {
            eprintln!("{what} died: {words}");
        }
        drop((in_vm, with_user));
        lab.stop()?;
        Ok(casualties.len())
    }

    /// The user probes the VM, the other users probe the user.
    fn start_echoes(&self) -> anyhow::Result<BTreeMap<String, Lines<TrafficLine>>> {
        let interval = INTERVAL.to_string();
        let echo = |host: &UserName, at: SocketAddr| {
            let at = at.to_string();
            let args = ["echo", &at, "--interval", &interval, "--drain", "1s", "--each"];
            spawn(&self.lab, self.lab.user_host(host)?, &args)
        };
        let mut echoes = BTreeMap::from([(SITE.to_owned(), echo(&self.user, self.in_vm.address())?)]);
        for friend in FRIENDS {
            echoes.insert(friend.to_owned(), echo(&UserName::new(friend)?, self.at_user)?);
        }
        Ok(echoes)
    }

    /// When the Map-Server had the new locator, and when each peer went by it: those that did.
    fn follow(&mut self, to: IpAddr) -> anyhow::Result<(Option<Timestamp>, BTreeMap<String, Timestamp>)> {
        let until = Instant::now() + PATIENCE;
        let (mut registered, mut followed) = (None, BTreeMap::new());
        while (registered.is_none() || followed.len() < self.peers.len()) && Instant::now() < until {
            if registered.is_none() {
                let rows = self.map_server.registered(self.eid)?;
                if rows.iter().any(|row| is_only(row.locators.iter(), to)) {
                    registered = Some(now());
                }
            }
            for (name, (_, control)) in &mut self.peers {
                if !followed.contains_key(name)
                    && let Some(row) = control.cached(self.eid)?
                    && is_only(row.locators.iter().map(|cached| &cached.locator), to)
                {
                    followed.insert(name.clone(), row.in_force_at.unwrap_or_else(now));
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok((registered, followed))
    }
}

/// Whether these locators are this address and no other.
fn is_only<'a>(locators: impl Iterator<Item = &'a Locator>, address: IpAddr) -> bool {
    locators.map(|locator| locator.rloc.0).eq([address])
}
