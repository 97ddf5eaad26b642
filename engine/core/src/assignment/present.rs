//! The program's data out of the live engine: who enters where, what is measured, what there is room for.

use std::collections::BTreeMap;

use proto::plan::Held;
use proto::{LinkState, Refusal, Span, Timestamp};

use super::{Assignment, Entry, SitePlace};
use crate::Engine;
use crate::fabric::{Dc, PairIx};
use crate::optimizer::criteria::Measures;
use crate::optimizer::group::{Area, Crowding, LoadLatency, Problem, ProblemError, Site, UNREACHABLE};

/// The longest latency and bound that the program knows.
const LONGEST: u32 = 60_000_000;
/// L where no class has a bound on the round trip.
const ANY_BOUND: u32 = 1_000_000;

/// What one entry sees.
struct Seen {
    ix: PairIx,
    from: Dc,
    /// Its class's bound on the round trip; `None` if it has none.
    bound: Option<u32>,
    /// Where it is; `None` if cut off.
    present: Option<u32>,
    /// Of each data centre it may go to, microseconds.
    latency: Vec<Option<u32>>,
}

impl Seen {
    /// A latency that is over `bound` by as much as `us` is over the entry's own bound; one without is never late.
    fn shifted(&self, us: u32, bound: u32) -> u32 {
        let late = |own: u32| us.min(LONGEST).saturating_add(bound - own.min(bound));
        self.bound.map_or(0, late).min(LONGEST)
    }
}

impl Engine {
    /// All users at once, on the figures of `now`. `price` is what each person moved costs; the session's least gain
    /// by default.
    ///
    /// # Errors
    /// If there is nothing to assign, or more than the solver takes.
    pub fn assignment(&self, price: Option<Span>, now: Timestamp) -> Result<Assignment, Refusal> {
        let mut held: BTreeMap<&'static str, Held> = BTreeMap::new();
        let mut load = vec![0_u64; self.fabric.sites.len()];
        let mut seen = Vec::new();
        for ix in (0..self.pairs.len() as u32).map(PairIx) {
            match self.seen(ix, now) {
                Ok(entry) => seen.push(entry),
                Err((why, at)) => {
                    let people = self.size(ix);
                    let held = held.entry(why).or_insert_with(|| Held {
                        why: why.to_owned(),
                        entries: 0,
                        people: 0,
                    });
                    held.entries += 1;
                    held.people += people;
                    load[at.at()] += people;
                }
            }
        }
        if seen.is_empty() {
            let why = "there is nobody to plan for: no entry has fresh figures".to_owned();
            return Err(Refusal::NotSo { why });
        }
        let problem = self.problem(&seen, &load).map_err(|error| Refusal::NotSo {
            why: format!("no plan can be made: {error}"),
        })?;
        let gain_min = Span((self.policy().gain_min.max(0.0) * 1e3) as u64);
        let price = price.unwrap_or(gain_min).micros().min(LONGEST.into());
        Ok(Assignment {
            at: now,
            entries: seen
                .iter()
                .map(|entry| self.entry_of(entry, problem.bound_us()))
                .collect(),
            sites: self.places(),
            held: held.into_values().collect(),
            price_us: price as u32,
            problem,
        })
    }

    fn entry_of(&self, seen: &Seen, bound: u32) -> Entry {
        Entry {
            user: self.fabric.user_name(seen.ix).clone(),
            vm: self.fabric.vm_of(seen.ix).name.clone(),
            people: self.people(seen.ix),
            from: seen.from.at(),
            late: seen
                .present
                .map(|us| i64::from(seen.shifted(us, bound)) - i64::from(bound)),
            must_leave: seen.latency[seen.from.at()].is_none(),
        }
    }

    fn people(&self, ix: PairIx) -> u32 {
        u32::try_from(self.size(ix)).unwrap_or(u32::MAX)
    }

    fn places(&self) -> Vec<SitePlace> {
        let place = |dc: Dc| SitePlace {
            name: self.fabric.sites[dc.at()].name.clone(),
            most: self.most(dc),
        };
        self.fabric.dcs().map(place).collect()
    }

    /// What one entry sees, or why it is not the plan's to move, and where it counts as load.
    fn seen(&self, ix: PairIx, now: Timestamp) -> Result<Seen, (&'static str, Dc)> {
        let pair = &self.pairs[ix.at()];
        let from = pair.entry();
        if let Some(flight) = &pair.flight {
            return Err(("a switch of it is under way", flight.to().unwrap_or(from)));
        }
        if self.fabric.scopes.is_bound(ix) {
            return Err(("a rule binds it to other entries", from));
        }
        let state = self.way_state(ix, from);
        let present = self.measured_apart_from_crowding(ix, from, now);
        if present.is_none() && state != LinkState::Down {
            return Err(("there are no fresh figures of its entry", from));
        }
        let latency = self.fabric.dcs().map(|dc| {
            let measured = self.measured_apart_from_crowding(ix, dc, now)?;
            self.is_open_to(ix, dc, &measured, now).then_some(measured[0])
        });
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        Ok(Seen {
            ix,
            from,
            bound: Some(class.bound(0)).filter(|_| class.counts(0)),
            present: present.map(|measured| measured[0]),
            latency: latency.collect(),
        })
    }

    /// Whether a plan may place an entry there: by rules, by enforced bounds, and unless it was tried or rejected or
    /// flaps.
    fn is_open_to(&self, ix: PairIx, dc: Dc, measured: &Measures, now: Timestamp) -> bool {
        let pair = &self.pairs[ix.at()];
        let link = self.link(ix, dc);
        let class = &self.fabric.class_of(self.fabric.pairs[ix.at()].user).class;
        let calm = || {
            !pair.gates.is_barred(dc, now)
                && !self.is_doubtful(ix, dc)
                && self.calm.flaps.locator_until(link, now).is_none()
        };
        self.is_permitted(ix, dc) && class.allows(measured) && (dc == pair.entry() || calm())
    }

    /// Users that may enter: what the data centre offers, or what a rule allows if that is less.
    fn most(&self, dc: Dc) -> Option<u64> {
        let offer = self.fabric.sites[dc.at()].offer.capacity.users;
        let rule = self.fabric.scopes.capacity.get(&dc).map(|&(most, _)| most);
        match (offer, rule) {
            (Some(offer), Some(rule)) => Some(offer.min(rule)),
            (offer, rule) => offer.or(rule),
        }
    }

    fn problem(&self, seen: &[Seen], load: &[u64]) -> Result<Problem, ProblemError> {
        let people: u64 = seen.iter().map(|entry| self.size(entry.ix)).sum();
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let areas = seen.iter().map(|entry| Area {
            name: self.fabric.user_name(entry.ix).to_string(),
            users: self.people(entry.ix),
        });
        let sites = self.fabric.dcs().map(|dc| Site {
            name: self.fabric.sites[dc.at()].name.to_string(),
            // Without a limit there is room for everybody.
            capacity: narrow(self.most(dc).unwrap_or(load[dc.at()] + people)),
            load: narrow(load[dc.at()]),
        });
        let bounds = seen.iter().filter_map(|entry| entry.bound);
        let bound = bounds.max().unwrap_or(ANY_BOUND).clamp(1, LONGEST);
        let latency: Vec<u32> = seen
            .iter()
            .flat_map(|entry| {
                let row = entry.latency.iter();
                row.map(move |us| us.map_or(UNREACHABLE, |us| entry.shifted(us, bound)))
            })
            .collect();
        let mut problem = Problem::new(
            areas.collect(),
            sites.collect(),
            &latency,
            LoadLatency::figure_5_17(),
            bound,
        )?;
        for dc in self.fabric.dcs() {
            let crowding = match self.fabric.sites[dc.at()].offer.capacity.users {
                Some(users) => Crowding::Of(narrow(users)),
                None => Crowding::Never,
            };
            problem.crowd(dc.at(), crowding);
        }
        Ok(problem)
    }
}
