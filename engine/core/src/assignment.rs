//! All users of the live engine at once, as advice: the program (5.4)-(5.9) on present figures, by the solver that
//! `pacao bench assign` judges. Taken from the engine in one go, then solved apart from it: nothing here decides.
//!
//! Bounds differ by class while the program knows one L. Latencies are shifted so that each entry is late against its own
//! bound by as much as the program sees. People behind one entry go together; the program may part them, so its bound
//! also holds of plans that do not.

mod present;

use std::cmp::Reverse;

use proto::plan::{Badge, Held, Load, Move, Plan, Standing};
use proto::{SiteName, Span, Timestamp, UserName, VmName};

use crate::optimizer::group::{Problem, Solver};

/// Staying where one cannot or must not be counts more than any lateness: a minute.
const MISPLACED: i64 = 60_000_000;

/// What there is to assign, free of the engine it was taken from.
#[derive(Clone, Debug)]
pub struct Assignment {
    at: Timestamp,
    problem: Problem,
    entries: Vec<Entry>,
    sites: Vec<SitePlace>,
    held: Vec<Held>,
    /// For each person moved, microseconds.
    price_us: u32,
}

/// One user's entry to one VM: a row of the problem.
#[derive(Clone, Debug)]
struct Entry {
    user: UserName,
    vm: VmName,
    people: u32,
    from: usize,
    /// How late it is where it is without any load, microseconds, negative in time; `None` if it is cut off.
    late: Option<i64>,
    /// Rules or enforced bounds want it away, or it is cut off.
    must_leave: bool,
}

#[derive(Clone, Debug)]
struct SitePlace {
    name: SiteName,
    most: Option<u64>,
}

/// Entries times entries times sites that are looked at.
const MOST_LOOKS: usize = 4_000_000;
/// Passes over all entries.
const PASSES: usize = 8;

/// Where each entry is, by its place in order.
type Places = Vec<usize>;

/// What a set of places costs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    /// Microseconds.
    excess: i64,
    late: u64,
    cut_off: u64,
}

impl Cost {
    fn standing(self) -> Standing {
        Standing {
            excess_user_ms: self.excess as f64 / 1e3,
            late: self.late,
            cut_off: self.cut_off,
        }
    }
}

/// An assignment in work. Each step ends when `stop` says so.
#[derive(Debug)]
pub struct Work {
    assignment: Assignment,
    /// Moves cost nothing, and the bound is raised.
    free: Solver,
    /// From where everybody is, each move at its price.
    priced: Solver,
}

impl Assignment {
    /// The entries that could be moved.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Begins to solve it.
    pub fn begin(self) -> Work {
        let columns = self.sites.len();
        let mut counts = vec![0; self.entries.len() * columns];
        for (row, entry) in self.entries.iter().enumerate() {
            counts[row * columns + entry.from] = entry.people;
        }
        let mut priced = Solver::starting_at(self.problem.clone(), &counts);
        priced.settle(self.price_us);
        Work {
            free: Solver::new(self.problem.clone()),
            priced,
            assignment: self,
        }
    }

    fn here(&self) -> Places {
        self.entries.iter().map(|entry| entry.from).collect()
    }

    /// People whom the plan places at each site.
    fn placed(&self, places: &[usize]) -> Vec<u32> {
        let mut placed = vec![0_u32; self.sites.len()];
        for (entry, &site) in self.entries.iter().zip(places) {
            placed[site] = placed[site].saturating_add(entry.people);
        }
        placed
    }

    /// How late an entry is at a site that adds `delay` for its load; `None` if it cannot be served there.
    fn late_at(&self, row: usize, site: usize, delay: i64) -> Option<i64> {
        let entry = &self.entries[row];
        let late = if site == entry.from {
            entry.late
        } else {
            let us = self.problem.latency_us(row, site)?;
            Some(i64::from(us) - i64::from(self.problem.bound_us()))
        };
        Some((late? + delay).max(0))
    }

    fn delays(&self, places: &[usize]) -> Vec<i64> {
        let placed = self.placed(places);
        (0..self.sites.len())
            .map(|site| i64::from(self.problem.load_latency_us(site, placed[site])))
            .collect()
    }

    fn cost(&self, places: &[usize]) -> Cost {
        let delays = self.delays(places);
        let mut cost = Cost {
            excess: 0,
            late: 0,
            cut_off: 0,
        };
        for (row, (entry, &site)) in self.entries.iter().zip(places).enumerate() {
            let people = u64::from(entry.people);
            match self.late_at(row, site, delays[site]) {
                Some(late) => {
                    cost.excess += late * i64::from(entry.people);
                    cost.late += if late > 0 { people } else { 0 };
                }
                None => cost.cut_off += people,
            }
        }
        cost
    }

    /// What is to be least: lateness, those who are where they must not be, and the price of all moves; then the moves.
    fn weight(&self, places: &[usize]) -> (i64, usize) {
        let cost = self.cost(places);
        let mut weight = cost.excess;
        let mut moves = 0;
        for (entry, &site) in self.entries.iter().zip(places) {
            let people = i64::from(entry.people);
            if entry.from != site {
                weight += people * i64::from(self.price_us);
                moves += 1;
            } else if entry.must_leave {
                weight += people * MISPLACED;
            }
        }
        (weight, moves)
    }

    /// One site for each entry, of counts that may part the people of one: who fits whole keeps its place, then the
    /// largest choose where most of their people are and all have room. Who has no such place stays.
    fn whole(&self, counts: &[u32]) -> Places {
        let columns = self.sites.len();
        let mut places = self.here();
        let mut rest = Vec::new();
        let mut used = vec![0_u32; columns];
        for (row, entry) in self.entries.iter().enumerate() {
            let shares = &counts[row * columns..][..columns];
            match shares.iter().position(|&people| people == entry.people) {
                Some(site) if entry.people > 0 => {
                    places[row] = site;
                    used[site] = used[site].saturating_add(entry.people);
                }
                _ => rest.push(row),
            }
        }
        rest.sort_by_key(|&row| (Reverse(self.entries[row].people), row));
        for row in rest {
            let people = self.entries[row].people;
            let mut shares: Vec<(u32, usize)> = (0..columns)
                .map(|site| (counts[row * columns + site], site))
                .filter(|&(share, _)| share > 0)
                .collect();
            shares.sort_by_key(|&(share, site)| (Reverse(share), site));
            let room = |site: usize| self.problem.sites()[site].room().saturating_sub(used[site]);
            let fits = shares.iter().find(|&&(_, site)| room(site) >= people);
            let site = fits.map_or(places[row], |&(_, site)| site);
            places[row] = site;
            used[site] = used[site].saturating_add(people);
        }
        places
    }

    /// Single entries moved, as a whole, as long as that is better: what parting their people would have done, but cannot.
    /// Only where there are few enough to look at each with all others.
    fn polished(&self, mut places: Places) -> Places {
        let (rows, columns) = (self.entries.len(), self.sites.len());
        let parted = self.entries.iter().any(|entry| entry.people > 1);
        if !parted || rows * rows * columns > MOST_LOOKS {
            return places;
        }
        for _ in 0..PASSES {
            let before = self.weight(&places);
            for row in 0..rows {
                let (mut best, mut least) = (places[row], self.weight(&places));
                for site in 0..columns {
                    places[row] = site;
                    let weight = self.weight(&places);
                    if weight < least && self.fits(row, &places) {
                        (best, least) = (site, weight);
                    }
                }
                places[row] = best;
            }
            if self.weight(&places) == before {
                break;
            }
        }
        places
    }

    /// Whether an entry can and may be where it is placed.
    fn fits(&self, row: usize, places: &[usize]) -> bool {
        let (entry, site) = (&self.entries[row], places[row]);
        site == entry.from
            || (self.problem.latency_us(row, site).is_some()
                && self.placed(places)[site] <= self.problem.sites()[site].room())
    }

    fn moves(&self, places: &[usize]) -> Vec<Move> {
        let (before, after) = (self.delays(&self.here()), self.delays(places));
        let mut moves: Vec<Move> = Vec::new();
        for (row, (entry, &to)) in self.entries.iter().zip(places).enumerate() {
            if to == entry.from {
                continue;
            }
            let was = self.late_at(row, entry.from, before[entry.from]);
            let gain = was
                .zip(self.late_at(row, to, after[to]))
                .map(|(was, will)| was - will);
            moves.push(Move {
                user: entry.user.clone(),
                vm: entry.vm.clone(),
                from: self.sites[entry.from].name.clone(),
                to: self.sites[to].name.clone(),
                people: entry.people,
                gain_user_ms: gain.map(|us| us as f64 / 1e3 * f64::from(entry.people)),
            });
        }
        // Who is cut off comes first.
        let gain = |wanted: &Move| wanted.gain_user_ms.unwrap_or(f64::INFINITY);
        moves.sort_by(|a, b| gain(b).total_cmp(&gain(a)).then_with(|| a.user.cmp(&b.user)));
        moves
    }

    fn loads(&self, places: &[usize]) -> Vec<Load> {
        let (now, then) = (self.placed(&self.here()), self.placed(places));
        let load = |(site, place): (usize, &SitePlace)| {
            let held = u64::from(self.problem.sites()[site].load);
            Load {
                dc: place.name.clone(),
                now: held + u64::from(now[site]),
                then: held + u64::from(then[site]),
                most: place.most,
            }
        };
        self.sites.iter().enumerate().map(load).collect()
    }
}

impl Work {
    /// Looks for moves that are each worth the price.
    pub fn improve(&mut self, stop: &mut dyn FnMut() -> bool) {
        self.priced.place(stop);
        self.priced.mend(stop);
    }

    /// Looks for the best plan if moves cost nothing, and for what no plan can do better than.
    pub fn prove(&mut self, stop: &mut dyn FnMut() -> bool) {
        self.free.place(stop);
        self.free.prove(0.0, stop);
    }

    /// What is known, which took `spent`.
    pub fn plan(&self, spent: Span) -> Plan {
        let all = &self.assignment;
        let free = all.whole(&self.free.plan().counts);
        let priced = all.whole(&self.priced.plan().counts);
        let candidates = [
            all.here(),
            all.polished(all.here()),
            all.polished(priced),
            all.polished(free.clone()),
        ];
        let best = candidates.into_iter().min_by_key(|places| all.weight(places));
        let places = best.unwrap_or_else(|| all.here());
        let mut moves = all.moves(&places);
        let more = moves.len().saturating_sub(Plan::MOVES);
        moves.truncate(Plan::MOVES);
        let proven = self.free.badge(std::time::Duration::ZERO);
        Plan {
            at: all.at,
            entries: all.entries.len() as u32,
            people: all.entries.iter().map(|entry| u64::from(entry.people)).sum(),
            price: Span(all.price_us.into()),
            now: all.cost(&all.here()).standing(),
            then: all.cost(&places).standing(),
            free: all.cost(&free).standing(),
            free_moves: all.moves(&free).len() as u32,
            badge: Badge {
                least_excess_user_ms: self.free.plan().excess_bound_us as f64 / 1e3,
                gap: proven.gap,
                optimal: proven.optimal,
                ties: proven.ties,
                spent,
            },
            moves,
            more: more as u32,
            sites: all.loads(&places),
            held: all.held.clone(),
        }
    }
}
