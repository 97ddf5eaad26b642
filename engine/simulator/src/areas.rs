//! Location areas (LAC): the finest place a trace tells, small where people are many.

use std::collections::HashMap;

use thiserror::Error;

use crate::chance::Chance;
use crate::geo::Place;
use crate::region::Region;

/// Share of areas in the built-up area of a city; the others lie in the country around one.
const URBAN: f64 = 0.65;
/// Spread of areas in the country around a city, kilometres.
const COUNTRY_KM: f64 = 45.0;
/// Most areas of one simulation.
pub const MOST: usize = 20_000;

/// A location area: everybody in it is taken to be at its centre.
#[derive(Clone, Debug, PartialEq)]
pub struct Area {
    /// Its name.
    pub name: String,
    /// Its centre.
    pub at: Place,
}

/// Areas, findable by place and by name.
#[derive(Clone, Debug)]
pub struct Areas {
    all: Vec<Area>,
    by_name: HashMap<String, u32>,
    grid: Grid,
}

/// What is wrong with a set of areas.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AreasError {
    /// Nobody can be anywhere.
    #[error("there is no area")]
    None,
    /// Over [`MOST`].
    #[error("{count} areas, at most {MOST} fit")]
    TooMany {
        /// As given.
        count: usize,
    },
    /// Which one is meant?
    #[error("two areas are called '{name}'")]
    Twice {
        /// Their name.
        name: String,
    },
}

impl Areas {
    /// Checks that names differ.
    pub fn new(areas: Vec<Area>) -> Result<Self, AreasError> {
        match areas.len() {
            0 => return Err(AreasError::None),
            count if count > MOST => return Err(AreasError::TooMany { count }),
            _ => {}
        }
        let mut by_name = HashMap::with_capacity(areas.len());
        for (at, area) in (0_u32..).zip(&areas) {
            if by_name.insert(area.name.clone(), at).is_some() {
                let name = area.name.clone();
                return Err(AreasError::Twice { name });
            }
        }
        Ok(Self {
            grid: Grid::new(&areas),
            all: areas,
            by_name,
        })
    }

    /// Draws `count` areas of `region`, as many for each as it has people: where people are many, areas are small.
    pub fn drawn(region: Region, count: usize, seed: u64) -> Result<Self, AreasError> {
        let cities = region.cities();
        let weights: Vec<f64> = cities.iter().map(|city| city.thousands).collect();
        let mut chance = Chance::of(seed, [1, region as u64]);
        let mut numbers = vec![0; cities.len()];
        let areas = (0..count.min(MOST + 1)).map(|_| {
            let urban = chance.unit() < URBAN;
            let at = if urban {
                chance.pick(&weights)
            } else {
                chance.below(cities.len())
            };
            let city = cities[at];
            let spread = if urban {
                (2.5 * (city.thousands / 100.0).sqrt()).clamp(2.0, 18.0)
            } else {
                COUNTRY_KM
            };
            numbers[at] += 1;
            Area {
                name: format!("{}-{}", city.name, numbers[at]),
                at: city.at.moved(spread * chance.normal(), spread * chance.normal()),
            }
        });
        Self::new(areas.collect())
    }

    /// All, in order.
    pub fn all(&self) -> &[Area] {
        &self.all
    }

    /// Where an area is. Its number must be one of these areas.
    pub fn at(&self, area: u32) -> Place {
        self.all[area as usize].at
    }

    /// The area of that name.
    pub fn named(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// At most three names: those that begin like this one, in whatever case, else the first.
    pub fn like(&self, name: &str) -> impl Iterator<Item = &str> {
        let start = name.to_lowercase();
        let begins = move |area: &&Area| area.name.to_lowercase().starts_with(&start);
        let any = !self.all.iter().any(|area| begins(&area));
        let names = self.all.iter().filter(move |area| any || begins(area));
        names.map(|area| area.name.as_str()).take(3)
    }

    /// The area whose centre is nearest.
    pub fn nearest(&self, place: Place) -> u32 {
        self.grid.nearest(&self.all, place)
    }

    /// The median distance from a centre to the next one, kilometres: how large areas are.
    pub fn median_spacing_km(&self) -> f64 {
        let mut spacings: Vec<f64> = self
            .all
            .iter()
            .map(|area| {
                let others = self.all.iter().filter(|other| other.name != area.name);
                others
                    .map(|other| area.at.km_to(other.at))
                    .fold(f64::INFINITY, f64::min)
            })
            .collect();
        spacings.sort_by(f64::total_cmp);
        spacings[spacings.len() / 2]
    }
}

/// Centres by square of the map, about one a square.
#[derive(Clone, Debug)]
struct Grid {
    south: f64,
    west: f64,
    /// Degrees.
    step: (f64, f64),
    across: usize,
    squares: Vec<Vec<u32>>,
}

impl Grid {
    fn new(areas: &[Area]) -> Self {
        let least = |of: fn(&Area) -> f64| areas.iter().map(of).fold(f64::INFINITY, f64::min);
        let most = |of: fn(&Area) -> f64| areas.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        let (south, west) = (least(|a| a.at.lat), least(|a| a.at.lon));
        let across = (areas.len() as f64).sqrt().ceil().max(1.0) as usize;
        let step = |span: f64| (span / across as f64).max(1e-6);
        let step = (step(most(|a| a.at.lat) - south), step(most(|a| a.at.lon) - west));
        let mut grid = Self {
            south,
            west,
            step,
            across,
            squares: vec![Vec::new(); across * across],
        };
        for (at, area) in (0_u32..).zip(areas) {
            let (row, column) = grid.square(area.at);
            grid.squares[row * across + column].push(at);
        }
        grid
    }

    fn square(&self, place: Place) -> (usize, usize) {
        let of = |value: f64, least: f64, step: f64| {
            (((value - least) / step).max(0.0) as usize).min(self.across - 1)
        };
        (
            of(place.lat, self.south, self.step.0),
            of(place.lon, self.west, self.step.1),
        )
    }

    fn nearest(&self, areas: &[Area], from: Place) -> u32 {
        // Degrees east shrink toward the poles; squared, and good enough to tell which centre is nearer.
        let shrink = from.lat.to_radians().cos().abs().max(1e-3);
        let far = |to: Place| (to.lat - from.lat).powi(2) + ((to.lon - from.lon) * shrink).powi(2);
        let (row, column) = self.square(from);
        let side = self.step.0.min(self.step.1 * shrink);
        let mut best = (f64::INFINITY, 0);
        for ring in 0..=self.across {
            // Nothing in this ring or beyond can be nearer; from outside the map the first rings are empty.
            if best.0 <= (ring.saturating_sub(1) as f64 * side).powi(2) {
                break;
            }
            let rows = row.saturating_sub(ring)..=(row + ring).min(self.across - 1);
            for r in rows {
                let columns = column.saturating_sub(ring)..=(column + ring).min(self.across - 1);
                for c in columns.filter(|c| c.abs_diff(column).max(r.abs_diff(row)) == ring) {
                    for &at in &self.squares[r * self.across + c] {
                        best = best.min_by(far(areas[at as usize].at), at);
                    }
                }
            }
        }
        best.1
    }
}

/// The nearer of two; the first in order if both are as near.
trait Nearer {
    fn min_by(self, far: f64, at: u32) -> Self;
}

impl Nearer for (f64, u32) {
    fn min_by(self, far: f64, at: u32) -> Self {
        if far < self.0 || (far <= self.0 && at < self.1) {
            (far, at)
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_a_few_to_dozens_of_kilometres_wide() {
        let areas = Areas::drawn(Region::France, 640, 1).unwrap();
        let spacing = areas.median_spacing_km();
        assert!((2.0..25.0).contains(&spacing), "{spacing}");
    }

    #[test]
    fn the_nearest_area_is_the_nearest_also_from_far_outside() {
        let areas = Areas::drawn(Region::Europe, 700, 3).unwrap();
        let mut chance = Chance::of(5, [0, 0]);
        for _ in 0..300 {
            let from = Place {
                lat: 30.0 + 45.0 * chance.unit(),
                lon: -25.0 + 70.0 * chance.unit(),
            };
            let shrink = from.lat.to_radians().cos();
            let far = |to: Place| (to.lat - from.lat).powi(2) + ((to.lon - from.lon) * shrink).powi(2);
            let found = far(areas.at(areas.nearest(from)));
            let least = areas
                .all()
                .iter()
                .map(|a| far(a.at))
                .fold(f64::INFINITY, f64::min);
            assert!((found - least).abs() < 1e-12, "{from:?}");
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_areas_and_another_seed_others() {
        let draw = |seed| Areas::drawn(Region::France, 50, seed).unwrap().all().to_vec();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn areas_of_one_name_are_refused() {
        let area = |name: &str| Area {
            name: name.to_owned(),
            at: Place { lat: 48.0, lon: 2.0 },
        };
        let twice = Areas::new(vec![area("a"), area("b"), area("a")]);
        assert_eq!(twice.unwrap_err(), AreasError::Twice { name: "a".to_owned() });
        assert_eq!(Areas::new(Vec::new()).unwrap_err(), AreasError::None);
        assert!(
            Areas::new(vec![area("a")])
                .unwrap()
                .nearest(Place { lat: 0.0, lon: 0.0 })
                == 0
        );
    }
}
