//! Trajectories made of a seed: people leave home, go where people go, and come back.
//!
//! Everybody of an area goes to one of the same few places, along the same way: that is what makes trajectories
//! shared, as they are where roads and railways carry people. The times are everybody's own.

use std::sync::atomic::{AtomicUsize, Ordering};

use proto::Span;

use crate::areas::Areas;
use crate::chance::Chance;
use crate::day::Control;
use crate::geo::Place;
use crate::region::Region;
use crate::trace::{DAY, Keep, STEP, Trace, kept};

/// Steps of six minutes in a day.
const STEPS: u64 = DAY.0 / STEP.0;
/// How often each of the places is gone to: near ones, one a county away, and large cities.
const TASTE: [f64; 5] = [0.34, 0.20, 0.12, 0.16, 0.18];
/// Users drawn at a time.
const CHUNK: usize = 256;
/// Rounds of drawing until as many are kept as wanted.
const ROUNDS: usize = 8;

/// Makes `users` trajectories that `keep` allows, over areas of `region`. They may be fewer when `keep` is hard to
/// please; never more.
pub fn wander(
    (areas, region): (&Areas, Region),
    users: usize,
    keep: Keep,
    seed: u64,
    control: &Control<'_>,
) -> Vec<Trace> {
    let country = Country::new(areas, region, seed);
    let mut draw = users + users / 2 + 16;
    let mut drawn: Vec<Trace> = Vec::new();
    for _ in 0..ROUNDS {
        drawn.extend(country.draw(drawn.len()..draw, seed, control));
        let (found, _) = kept(drawn.clone(), keep, users);
        if found.len() + keep.shared_by > users || control.is_stopped() {
            return found;
        }
        // As many more as seem to be needed, and a few.
        let share = (found.len() as f64 / drawn.len() as f64).max(0.05);
        draw = drawn.len() + ((users - found.len()) as f64 / share * 1.2) as usize + 16;
    }
    kept(drawn, keep, users).0
}

/// Where people of each area go.
struct Country<'a> {
    areas: &'a Areas,
    goals: Vec<[u32; 5]>,
}

impl<'a> Country<'a> {
    fn new(areas: &'a Areas, region: Region, seed: u64) -> Self {
        let cities = region.cities();
        let goals = (0_u32..).zip(areas.all()).map(|(home, area)| {
            let mut chance = Chance::of(seed, [2, u64::from(home)]);
            let far: Vec<f64> = areas.all().iter().map(|other| area.at.km_to(other.at)).collect();
            let mut goal = |weight: &dyn Fn(f64) -> f64| {
                let weights: Vec<f64> = far
                    .iter()
                    .map(|&km| if km > 0.0 { weight(km) } else { 0.0 })
                    .collect();
                chance.pick(&weights) as u32
            };
            // Gravity: the farther, the fewer go there. Areas hold about as many people each.
            let near = |km: f64| if km < 80.0 { 1.0 / (25.0 + km * km) } else { 1e-9 };
            let county = |km: f64| {
                if (40.0..180.0).contains(&km) {
                    1.0 / km
                } else {
                    1e-9
                }
            };
            let [first, second, third] = [goal(&near), goal(&near), goal(&near)];
            let fourth = goal(&county);
            let pull: Vec<f64> = cities
                .iter()
                .map(|city| city.thousands * (-area.at.km_to(city.at) / 350.0).exp())
                .collect();
            let city = cities[chance.pick(&pull)];
            [first, second, third, fourth, areas.nearest(city.at)]
        });
        Self {
            areas,
            goals: goals.collect(),
        }
    }

    /// Users of these numbers, on all threads; each from a stream of chance of its own.
    fn draw(&self, users: std::ops::Range<usize>, seed: u64, control: &Control<'_>) -> Vec<Trace> {
        let next = AtomicUsize::new(users.start);
        let work = || {
            let mut made = Vec::new();
            loop {
                let first = next.fetch_add(CHUNK, Ordering::Relaxed);
                if first >= users.end || control.is_stopped() {
                    return made;
                }
                let chunk = first..users.end.min(first + CHUNK);
                control.did(chunk.len() as u64);
                made.extend(chunk.map(|user| (user, self.day(user, seed))));
            }
        };
        let mut made = control.on_all_threads(work);
        made.sort_unstable_by_key(|&(user, _)| user);
        made.into_iter().map(|(_, trace)| trace).collect()
    }

    fn day(&self, user: usize, seed: u64) -> Trace {
        let mut chance = Chance::of(seed, [3, user as u64]);
        let home = chance.below(self.areas.all().len()) as u32;
        let mut day = Diary {
            areas: self.areas,
            trace: Trace::new(format!("u{:06}", user + 1)),
            now: 0,
            here: home,
        };
        let goals = &self.goals[home as usize];
        // From six to ten in the morning.
        day.rest(60 + chance.below(40) as u64);
        while day.now < STEPS * 4 / 5 {
            day.go(goals[chance.pick(&TASTE)]);
            // An errand of an hour, or work.
            day.rest(if chance.unit() < 0.5 {
                5 + chance.below(15) as u64
            } else {
                30 + chance.below(45) as u64
            });
            day.go(home);
            day.rest(10 + chance.below(80) as u64);
        }
        day.rest(STEPS);
        day.trace
    }
}

/// A day as it is written.
struct Diary<'a> {
    areas: &'a Areas,
    trace: Trace,
    /// Steps since midnight.
    now: u64,
    here: u32,
}

impl Diary<'_> {
    fn rest(&mut self, steps: u64) {
        let from = self.now;
        self.now = (from + steps).min(STEPS);
        let at = |step: u64| Span(STEP.0 * step);
        self.trace.stay(self.here, at(from), at(self.now));
    }

    fn go(&mut self, goal: u32) {
        let (from, to) = (self.areas.at(self.here), self.areas.at(goal));
        let steps = steps_between(from, to);
        for step in 1..steps {
            self.here = self.areas.nearest(from.toward(to, step as f64 / steps as f64));
            self.rest(1);
        }
        self.here = goal;
        self.rest(1);
    }
}

/// How many steps a way takes: by car through towns, on motorways, by train.
fn steps_between(from: Place, to: Place) -> u64 {
    let km = from.km_to(to);
    let speed = match km {
        km if km < 30.0 => 30.0,
        km if km < 120.0 => 70.0,
        _ => 160.0,
    };
    ((km / speed * 3600.0 / STEP.as_secs_f64()).ceil() as u64).max(1)
}
