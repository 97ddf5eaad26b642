//! Data centres drawn over areas, and every round trip between them and to users.

use pacao_core::optimizer::criteria::Measures;

use crate::areas::{Area, Areas};
use crate::chance::Chance;
use crate::geo;
use crate::tally::Tally;
use crate::trace::Trace;

/// Most data centres of one simulation.
pub const MOST_DCS: usize = 64;

/// What of one data centre is measured from one area, as the optimizer takes it.
pub type Measured = Option<Measures>;

/// A round trip and nothing else.
pub fn only_rtt(rtt_us: u32) -> Measured {
    let mut measures = Measures::default();
    measures[0] = rtt_us;
    Some(measures)
}

/// Data centres, and what they cost users.
#[derive(Clone, Debug)]
pub struct Fabric {
    dcs: Vec<Area>,
    /// A row an area, a column a data centre.
    legs: Vec<Measured>,
    /// A row and a column a data centre, microseconds.
    trunks: Vec<u32>,
}

/// Draws the places of `count` data centres, at most one an area, all areas alike: so by the density of users, to
/// which the size of areas is inverse (section 5.4.1). Of one seed, fewer are the first of more.
pub fn draw(areas: &Areas, count: usize, seed: u64) -> Vec<Area> {
    let mut chance = Chance::of(seed, [4, 0]);
    let mut left: Vec<&Area> = areas.all().iter().collect();
    (0..count.min(left.len()))
        .map(|_| left.swap_remove(chance.below(left.len())).clone())
        .collect()
}

impl Fabric {
    /// Users in `areas`, data centres at `dcs`; at least one.
    pub fn new(areas: &Areas, dcs: Vec<Area>) -> Self {
        let to_all = |of: &dyn Fn(&Area) -> u32| dcs.iter().map(of).collect::<Vec<u32>>();
        let legs = areas
            .all()
            .iter()
            .flat_map(|area| to_all(&|dc| geo::leg(area.at, dc.at)));
        let legs = legs.map(only_rtt).collect();
        let trunks = dcs
            .iter()
            .flat_map(|from| to_all(&|to| geo::trunk(from.at, to.at)))
            .collect();
        Self { dcs, legs, trunks }
    }

    /// The same over a backbone whose round trips are that `share` of these: straighter than the ways of users, so that a
    /// detour over a near data centre may be shorter than the way straight to a far one.
    #[must_use]
    pub fn over_backbone(mut self, share: f64) -> Self {
        for trunk in &mut self.trunks {
            *trunk = (f64::from(*trunk) * share).round() as u32;
        }
        self
    }

    /// Where they stand.
    pub fn dcs(&self) -> &[Area] {
        &self.dcs
    }

    /// From an area to each data centre.
    pub fn row(&self, area: u32) -> &[Measured] {
        &self.legs[area as usize * self.dcs.len()..][..self.dcs.len()]
    }

    /// From an area to a data centre, microseconds.
    pub fn leg(&self, area: u32, dc: usize) -> u32 {
        self.row(area)[dc].map_or(u32::MAX, |[rtt, ..]| rtt)
    }

    /// Between two data centres, microseconds.
    pub fn trunk(&self, from: usize, to: usize) -> u32 {
        self.trunks[from * self.dcs.len() + to]
    }

    /// What a user in `area` sees of a VM at `vm` when he enters by `entry`: both legs, microseconds.
    pub fn to_vm(&self, area: u32, entry: usize, vm: usize) -> u32 {
        self.leg(area, entry).saturating_add(self.trunk(entry, vm))
    }

    /// Figure 5.13 (b): users to all data centres, by the time users spend in each area.
    pub fn user_rtts(&self, traces: &[Trace]) -> Tally {
        let mut time = vec![0; self.legs.len() / self.dcs.len()];
        for stay in traces.iter().flat_map(Trace::stays) {
            time[stay.area as usize] += stay.length().0 / 1_000_000;
        }
        let mut tally = Tally::default();
        for (area, &seconds) in (0_u32..).zip(&time).filter(|(_, seconds)| **seconds > 0) {
            for dc in 0..self.dcs.len() {
                tally.weigh(self.leg(area, dc), seconds);
            }
        }
        tally
    }

    /// Figure 5.13 (a): data centres among each other, each pair once.
    pub fn dc_rtts(&self) -> Tally {
        let mut tally = Tally::default();
        for from in 0..self.dcs.len() {
            for to in 0..from {
                tally.weigh(self.trunk(from, to), 1);
            }
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;

    #[test]
    fn fewer_data_centres_are_the_first_of_more_and_no_area_has_two() {
        let areas = Areas::drawn(Region::France, 100, 2).unwrap();
        let many = draw(&areas, 64, 9);
        assert_eq!(draw(&areas, 4, 9), many[..4]);
        let fabric = Fabric::new(&areas, many);
        for from in 0..64 {
            for to in 0..from {
                assert!(fabric.trunk(from, to) > 0);
                assert_eq!(fabric.trunk(from, to), fabric.trunk(to, from));
            }
        }
    }
}
