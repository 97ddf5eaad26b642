//! The seam that matters: what the simulator decides for a user is what the whole engine decides, told every probe in
//! virtual time: of users alone, and of legs between data centres as well.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64};

use lisp_wire::Rloc;
use pacao_core::config::{Budget, Calm, Damp, Demand, Offer, Policy, Shared, Site, Slots, Traits, User, Vm};
use pacao_core::{Config, Effect, Engine, Input};
use proto::node::{ChangeOutcome, Tell};
use proto::{
    Audience, Mode, NodeCommand, NodeReport, Notice, ProbeOutcome, ProbeSample, ProposalState, SiteName,
    Span, Timestamp,
};
use simulator::areas::Areas;
use simulator::day::Control;
use simulator::fabric::{Fabric, draw};
use simulator::region::Region;
use simulator::slots;
use simulator::trace::{DAY, Keep, Trace};
use simulator::walk::{ANY_GAIN, Best, CALM, Manner, Rules, Scheme, Start, Walk, Watched};
use simulator::wander::wander;

const T0: Timestamp = Timestamp(1_700_000_000_000_000);
const DECIDE: Span = Span::secs(1200);
const SETTLE: Span = Span::secs(180);
/// S''', as the simulator takes it: a third of S''.
const PROBE: Span = Span::secs(60);
const DCS: usize = 6;
const USERS: usize = 14;
const BOUND_MS: f64 = 46.0;
/// Of whole ways: most users' legs are within it, and not what a way breaks by.
const WAY_BOUND_MS: f64 = 57.0;
const SEED: u64 = 11;

fn bound_ms(watched: Watched) -> f64 {
    match watched {
        Watched::Leg => BOUND_MS,
        Watched::Way => WAY_BOUND_MS,
    }
}

struct World {
    fabric: Fabric,
    areas: Areas,
    traces: Vec<Trace>,
    rules: Rules,
    watched: Watched,
}

impl World {
    fn new(watched: Watched, policy: Policy, hold: u32) -> Self {
        let areas = Areas::drawn(Region::France, 150, SEED).unwrap();
        let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let control = Control {
            threads: NonZeroUsize::MIN,
            done: &done,
            stop: &stop,
        };
        let traces = wander((&areas, Region::France), USERS, Keep::THESIS, SEED, &control);
        let mut fabric = Fabric::new(&areas, draw(&areas, DCS, SEED));
        if watched == Watched::Way {
            // Else nothing were shorter than the way straight to the VM, and everybody switched there once.
            fabric = fabric.over_backbone(1.0 / 3.0);
        }
        Self {
            rules: Rules::new(bound_ms(watched), policy).holding(hold),
            fabric,
            areas,
            traces,
            watched,
        }
    }

    fn best(&self) -> Best {
        Best::new((&self.fabric, self.areas.all().len()), &self.rules, self.watched)
    }

    /// Where whole ways are watched, entry and VM are apart: who enters where his VM is has nowhere better to enter.
    fn manner(&self) -> Manner {
        Manner {
            scheme: Scheme::Pacao1,
            slots: slots::Slots::Times {
                decide: DECIDE,
                settle: SETTLE,
            },
            start: match self.watched {
                Watched::Leg => Start::Together,
                Watched::Way => Start::Apart,
            },
            seed: SEED,
        }
    }

    fn rloc(dc: usize) -> Rloc {
        Rloc([10, 0, 0, dc as u8].into())
    }

    fn site(dc: usize) -> SiteName {
        format!("dc{dc:02}").parse().unwrap()
    }

    fn user(user: usize) -> Rloc {
        Rloc([10, 0, 1, user as u8].into())
    }

    /// The engine's session for the same users.
    fn config(&self, walk: &Walk<'_>) -> Config {
        let sites = (0..DCS).map(|dc| {
            let rloc = Self::rloc(dc);
            let label = format!("DC {dc}");
            let offer = Offer::default();
            (Self::site(dc), Site { label, rloc, offer })
        });
        let vm = |user: usize| format!("vm{user:02}").parse().unwrap();
        let users = (0..self.traces.len()).map(|user| {
            let (entry, _) = walk.morning(user as u64);
            let row = User {
                label: format!("User {user}"),
                rloc: Self::user(user),
                eid: format!("10.2.{user}.0/24").parse().unwrap(),
                sla: "interactive".parse().unwrap(),
                vms: [(vm(user), Self::site(entry))].into(),
                size: 1,
                traits: Traits::default(),
            };
            (format!("user{user:02}").parse().unwrap(), row)
        });
        let vms = (0..self.traces.len()).map(|user| {
            let home = Self::site(walk.morning(user as u64).1);
            let eid = format!("10.1.0.{user}/32").parse().unwrap();
            let row = Vm {
                eid,
                home,
                traits: Traits::default(),
                demand: Demand::default(),
                shared: Shared::default(),
            };
            (vm(user), row)
        });
        Config {
            session: "simulated".to_owned(),
            mode: Mode::Auto,
            slots: Slots {
                decide: DECIDE,
                settle: SETTLE,
                probe: PROBE,
            },
            sites: sites.collect(),
            users: users.collect(),
            vms: vms.collect(),
            sla: [("interactive".parse().unwrap(), self.rules.sla().clone())].into(),
            policy: *self.rules.policy(),
            // The simulator has no budgets and no damping: each user is decided for as if he were alone.
            calm: Calm {
                hold: self.rules.hold(),
                budget: Budget::UNLIMITED,
                damp: Damp {
                    suppress: u32::MAX,
                    ..Damp::default()
                },
                ..Calm::default()
            },
            legs: None,
        }
    }

    /// What the engine makes of the day: for each user, when and where to his entry was switched.
    fn played(&self, walk: &Walk<'_>) -> Vec<Vec<(Span, usize)>> {
        let mut engine = Engine::new(self.config(walk), T0);
        let mut moves = vec![Vec::new(); self.traces.len()];
        let mut now = T0;
        give(&mut engine, Input::Started, now, &mut moves);
        for dc in 0..DCS {
            let site = Self::site(dc);
            give(&mut engine, Input::NodeUp { site: site.clone() }, now, &mut moves);
            let report = NodeReport::Hello {
                name: site.to_string().parse().unwrap(),
                version: "0".to_owned(),
                rlocs: Vec::new(),
                since: T0,
            };
            give(&mut engine, Input::Report { site, report }, now, &mut moves);
        }
        for step in 0..DAY.0 / PROBE.0 {
            let at = Span(step * PROBE.0);
            while let Some(due) = engine.next_deadline().filter(|&due| due <= T0 + at) {
                now = now.max(due);
                give(&mut engine, Input::Tick, now, &mut moves);
            }
            now = T0 + at;
            for dc in 0..DCS {
                let sample = |(target, rtt): (Rloc, u32)| ProbeSample {
                    target,
                    sent_at: now - Span(rtt.into()),
                    outcome: ProbeOutcome::Rtt(Span(rtt.into())),
                };
                let samples = self
                    .legs_of(dc)
                    .into_iter()
                    .chain(self.users_of(dc, at))
                    .map(sample);
                let report = NodeReport::Probes {
                    samples: samples.collect(),
                };
                let site = Self::site(dc);
                give(&mut engine, Input::Report { site, report }, now, &mut moves);
            }
        }
        moves
    }

    /// Round trips to the other data centres, where they are measured.
    fn legs_of(&self, dc: usize) -> Vec<(Rloc, u32)> {
        let others = (0..DCS).filter(|&to| to != dc && self.watched == Watched::Way);
        others
            .map(|to| (Self::rloc(to), self.fabric.trunk(dc, to)))
            .collect()
    }

    /// Round trips to users, wherever they are then.
    fn users_of(&self, dc: usize, at: Span) -> Vec<(Rloc, u32)> {
        let users = (0..).zip(&self.traces).map(|(user, trace)| {
            let mut stays = trace.stays().iter();
            let here = stays.find(|stay| stay.from <= at && at < stay.to).unwrap();
            (Self::user(user), self.fabric.leg(here.area, dc))
        });
        users.collect()
    }
}

/// Hands an input over; clients are told and acknowledge at once.
fn give(engine: &mut Engine, input: Input, now: Timestamp, moves: &mut [Vec<(Span, usize)>]) {
    let mut inputs = vec![input];
    while let Some(input) = inputs.pop() {
        for effect in engine.handle(input, now) {
            match effect {
                Effect::Node {
                    site,
                    command:
                        NodeCommand::SetLocators {
                            change,
                            audience: Audience::Client { rloc: client },
                            tell: Tell::ChangePriority,
                            ..
                        },
                } => {
                    let outcome = ChangeOutcome::Acknowledged {
                        client,
                        after: Span::millis(40),
                        attempts: 1,
                    };
                    let report = NodeReport::Changed { change, outcome };
                    inputs.push(Input::Report { site, report });
                }
                Effect::Notify {
                    notice: Notice::Proposal { proposal },
                } if matches!(proposal.state, ProposalState::Confirmed { .. }) => {
                    let user: usize = proposal.user.as_str()[4..].parse().unwrap();
                    let to: usize = proposal.to.as_str()[2..].parse().unwrap();
                    moves[user].push((now.since(T0), to));
                }
                _ => {}
            }
        }
    }
}

/// Switches simulated, all users together; fails unless the engine makes the same.
fn the_engine_decides_alike(world: &World) -> Vec<(Span, usize)> {
    let best = world.best();
    let walk = Walk::new(&world.fabric, &world.rules, &best, world.manner());
    let played = world.played(&walk);
    let mut all = Vec::new();
    let mut differences = BTreeMap::new();
    for (user, trace) in world.traces.iter().enumerate() {
        let simulated = walk.switches(user as u64, trace);
        let alike = simulated.len() == played[user].len()
            && simulated
                .iter()
                .zip(&played[user])
                .all(|(a, b)| a.1 == b.1 && a.0.0.abs_diff(b.0.0) <= PROBE.0);
        all.extend(&simulated);
        if !alike {
            differences.insert(user, (simulated, played[user].clone()));
        }
    }
    assert!(differences.is_empty(), "simulated, played: {differences:#?}");
    all
}

fn decides_alike_on_a_day(watched: Watched, policy: Policy, hold: u32) {
    let switches = the_engine_decides_alike(&World::new(watched, policy, hold));
    // Not those of the first slot alone, with which everybody leaves where he was put.
    let later = switches.iter().filter(|(at, _)| at.0 > 3 * DECIDE.0).count();
    assert!(
        later >= USERS / 3 && switches.len() >= USERS / 2,
        "only {switches:?}: nothing is shown"
    );
}

#[test]
fn the_whole_engine_switches_the_same_users_to_the_same_entries_at_the_same_probes() {
    decides_alike_on_a_day(Watched::Leg, ANY_GAIN, 1);
}

#[test]
fn and_so_it_does_with_least_gain_and_cool_down() {
    decides_alike_on_a_day(Watched::Leg, CALM, 1);
}

#[test]
fn and_so_it_does_where_a_level_must_be_broken_for_two_slots() {
    decides_alike_on_a_day(Watched::Leg, ANY_GAIN, 2);
}

#[test]
fn and_so_it_does_where_legs_are_measured_and_the_whole_way_is_watched() {
    decides_alike_on_a_day(Watched::Way, ANY_GAIN, 1);
}

#[test]
fn and_so_it_does_by_the_whole_way_with_least_gain_and_cool_down() {
    decides_alike_on_a_day(Watched::Way, CALM, 1);
}

#[test]
fn and_so_it_does_by_the_whole_way_broken_for_two_slots() {
    decides_alike_on_a_day(Watched::Way, ANY_GAIN, 2);
}

/// What a user sees of his levels in an area by a data centre, microseconds.
type Seen<'a> = &'a dyn Fn(u32, usize) -> u32;

/// Areas one after the other: in the first the user's entry is out of its bound and nothing is better, in the second it
/// keeps the bound and another is better still, also by the means over both.
fn recovery(seen: Seen<'_>, (areas, bound): (u32, u32), entry: usize) -> Option<(u32, u32)> {
    let nearest = |area: u32| (0..DCS).min_by_key(|&dc| seen(area, dc));
    let bad = |&area: &u32| seen(area, entry) > bound && nearest(area) == Some(entry);
    let good = |&area: &u32| {
        let gain = |dc: usize| seen(area, entry).saturating_sub(seen(area, dc));
        seen(area, entry) <= bound && (0..DCS).any(|dc| gain(dc) > 1_000)
    };
    let lags = |&(from, to): &(u32, u32)| {
        // Before so many probes in the new area the mean of the present entry is within its bound.
        let turns = |dc: usize| mean_after([seen(from, dc), seen(to, dc)]);
        let own = turns(entry);
        own[4] > bound && (0..DCS).any(|dc| dc != entry && turns(dc)[2] >= own[2] && turns(dc)[4] < own[4])
    };
    let pairs = (0..areas)
        .filter(bad)
        .flat_map(|from| (0..areas).filter(good).map(move |to| (from, to)));
    pairs.into_iter().find(lags)
}

/// The mean over the slot after that many probes in the new area, microseconds.
fn mean_after(seen: [u32; 2]) -> [u32; 6] {
    let probes = DECIDE.0 / PROBE.0;
    let [old, new] = seen.map(u64::from);
    std::array::from_fn(|so_many| {
        let so_many = so_many as u64;
        ((old * (probes - so_many) + new * so_many) / probes) as u32
    })
}

fn nobody_leaves_what_is_over(watched: Watched) {
    let mut world = World::new(watched, ANY_GAIN, 1);
    let areas = world.areas.all().len() as u32;
    let best = world.best();
    let morning: Vec<(usize, usize)> = {
        let walk = Walk::new(&world.fabric, &world.rules, &best, world.manner());
        (0..USERS as u64).map(|user| walk.morning(user)).collect()
    };
    let bound = (bound_ms(watched) * 1e3) as u32;
    let mut shown = 0;
    let trace = |(entry, vm): (usize, usize)| {
        let mut trace = Trace::new(format!("by {entry}"));
        let noon = Span(DAY.0 / 2);
        let seen = |area: u32, dc: usize| match watched {
            Watched::Leg => world.fabric.leg(area, dc),
            Watched::Way => world.fabric.to_vm(area, dc, vm),
        };
        let (from, to) = recovery(&seen, (areas, bound), entry).unwrap_or((0, 0));
        shown += usize::from(from != to);
        trace.stay(from, Span::ZERO, noon);
        trace.stay(to, noon, DAY);
        trace
    };
    let traces = morning.into_iter().map(trace).collect();
    assert!(shown > 0, "no user recovers: nothing is shown");
    world.traces = traces;
    let switches = the_engine_decides_alike(&world);
    let noon = switches.iter().filter(|(at, _)| at.0 >= DAY.0 / 2).count();
    assert_eq!(noon, 0, "{switches:?}");
}

#[test]
fn neither_leaves_an_entry_whose_latest_samples_are_within_their_bounds_again() {
    nobody_leaves_what_is_over(Watched::Leg);
}

#[test]
fn neither_leaves_a_way_whose_latest_samples_are_within_their_bounds_again() {
    nobody_leaves_what_is_over(Watched::Way);
}
