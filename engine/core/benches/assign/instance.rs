//! Countries to place users in: 24 cities, cells of an access network, data centres where users are.
//!
//! Latency is 3 ms each 100 km of straight line and 40 ms on the user's leg (the reading of section 5.4 under
//! which the thesis's bounds bind). The same seed gives the same country.

use pacao_core::optimizer::group::{Area, LoadLatency, Problem, ProblemError, Site};

/// Kilometres.
const SIDE: f64 = 1000.0;
const CITIES: usize = 24;
/// Share of users who live in cities.
const URBAN: f64 = 0.75;

/// What makes an instance hard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Regime {
    /// As people call it.
    pub(crate) name: &'static str,
    /// Room of all sites together, in users.
    pub(crate) room: f64,
    /// L, milliseconds.
    pub(crate) bound_ms: u32,
    /// Whether sites differ in size and carry users already.
    pub(crate) sites: Sites,
}

/// How sites are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sites {
    /// All alike and empty.
    Alike,
    /// Log-normal capacities, loads up to three tenths.
    Mixed,
}

const fn alike(name: &'static str, room: f64, bound_ms: u32) -> Regime {
    let sites = Sites::Alike;
    Regime {
        name,
        room,
        bound_ms,
        sites,
    }
}

/// The regimes by name.
pub(crate) const REGIMES: [Regime; 6] = [
    alike("strict", 2.0, 58),
    alike("tight", 2.0, 48),
    alike("t44", 2.0, 44),
    alike("busy", 1.3, 58),
    alike("over", 1.1, 58),
    Regime {
        name: "het",
        room: 1.4,
        bound_ms: 58,
        sites: Sites::Mixed,
    },
];

/// How large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) users: u32,
    pub(crate) areas: usize,
    pub(crate) sites: usize,
}

impl Size {
    /// As many areas as the mobility data of the thesis suggests: about 18 users each, at most 8,000 areas.
    pub(crate) fn new(users: u32, sites: usize) -> Self {
        let areas = (users as usize / 18).clamp(sites.max(1), 8000);
        Self { users, areas, sites }
    }
}

type Point = (f64, f64);

/// Makes the country of `seed`.
pub(crate) fn make(size: Size, regime: &Regime, seed: u64) -> Result<Problem, ProblemError> {
    let mut chance = Chance(seed);
    let map = Map::new(&mut chance);
    let mut cells = Cells::new((0..size.areas).map(|_| map.somebody(&mut chance)).collect());
    for _ in 0..size.users {
        cells.admit(map.somebody(&mut chance));
    }
    let mut homes: Vec<usize> = Vec::new();
    while homes.len() < size.sites.min(size.areas) {
        let cell = cells.nearest(map.somebody(&mut chance));
        if !homes.contains(&cell) {
            homes.push(cell);
        }
    }
    let sites = sites(&homes, &mut chance, size, regime);
    let areas = cells.users.iter().enumerate().map(|(cell, &users)| Area {
        name: format!("cell-{cell}"),
        users,
    });
    let latency = |from: Point, to: Point| {
        let km = (from.0 - to.0).hypot(from.1 - to.1);
        (40_000.0 + 30.0 * km).round() as u32
    };
    let latencies: Vec<u32> = cells
        .centres
        .iter()
        .flat_map(|&from| homes.iter().map(move |&home| (from, home)))
        .map(|(from, home)| latency(from, cells.centres[home]))
        .collect();
    let curve = LoadLatency::figure_5_17();
    Problem::new(areas.collect(), sites, &latencies, curve, regime.bound_ms * 1000)
}

fn sites(homes: &[usize], chance: &mut Chance, size: Size, regime: &Regime) -> Vec<Site> {
    let weights: Vec<(f64, f64)> = homes
        .iter()
        .map(|_| match regime.sites {
            Sites::Alike => (1.0, 0.0),
            Sites::Mixed => ((0.5 * chance.normal()).exp(), 0.3 * chance.unit()),
        })
        .collect();
    let free: f64 = weights.iter().map(|(size, load)| size * (1.0 - load)).sum();
    let scale = regime.room * f64::from(size.users) / free.max(1e-9);
    weights
        .iter()
        .zip(homes)
        .map(|((size, load), home)| {
            let capacity = (scale * size).ceil();
            Site {
                name: format!("dc-{home}"),
                capacity: capacity as u32,
                load: (capacity * load).floor() as u32,
            }
        })
        .collect()
}

/// Cities: where, how wide, and the share of people up to and with it.
struct Map {
    cities: Vec<(Point, f64, f64)>,
}

impl Map {
    fn new(chance: &mut Chance) -> Self {
        let total: f64 = (1..=CITIES).map(|rank| 1.0 / rank as f64).sum();
        let mut share = 0.0;
        let cities = (1..=CITIES)
            .map(|rank| {
                share += 1.0 / rank as f64 / total;
                let at = (SIDE * chance.unit(), SIDE * chance.unit());
                (at, 8.0 + 17.0 * chance.unit(), share)
            })
            .collect();
        Self { cities }
    }

    fn somebody(&self, chance: &mut Chance) -> Point {
        if chance.unit() >= URBAN {
            return (SIDE * chance.unit(), SIDE * chance.unit());
        }
        let pick = chance.unit();
        let at = self.cities.partition_point(|city| city.2 < pick);
        let ((x, y), wide, _) = self.cities[at.min(CITIES - 1)];
        let within = |value: f64| value.clamp(0.0, SIDE);
        (
            within(x + wide * chance.normal()),
            within(y + wide * chance.normal()),
        )
    }
}

/// Cells of an access network: everybody belongs to the nearest centre.
struct Cells {
    centres: Vec<Point>,
    users: Vec<u32>,
    /// Centres by square of the map.
    squares: Vec<Vec<usize>>,
    across: usize,
}

impl Cells {
    fn new(centres: Vec<Point>) -> Self {
        let across = (centres.len() as f64).sqrt().ceil().max(1.0) as usize;
        let mut cells = Self {
            users: vec![0; centres.len()],
            squares: vec![Vec::new(); across * across],
            across,
            centres,
        };
        for at in 0..cells.centres.len() {
            let (column, row) = cells.square(cells.centres[at]);
            cells.squares[row * across + column].push(at);
        }
        cells
    }

    fn square(&self, (x, y): Point) -> (usize, usize) {
        let of = |value: f64| ((value / SIDE * self.across as f64) as usize).min(self.across - 1);
        (of(x), of(y))
    }

    fn admit(&mut self, user: Point) {
        let cell = self.nearest(user);
        self.users[cell] += 1;
    }

    fn nearest(&self, from: Point) -> usize {
        let (column, row) = self.square(from);
        let side = SIDE / self.across as f64;
        let mut best = (f64::INFINITY, 0);
        for ring in 0..=self.across {
            if best.0 <= (ring as f64 - 1.0) * side {
                break;
            }
            let rows = row.saturating_sub(ring)..=(row + ring).min(self.across - 1);
            for r in rows {
                let columns = column.saturating_sub(ring)..=(column + ring).min(self.across - 1);
                for c in columns.filter(|c| c.abs_diff(column).max(r.abs_diff(row)) == ring) {
                    for &at in &self.squares[r * self.across + c] {
                        let (x, y) = self.centres[at];
                        let far = (x - from.0).hypot(y - from.1);
                        if far < best.0 {
                            best = (far, at);
                        }
                    }
                }
            }
        }
        best.1
    }
}

/// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In 0..1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }
}
