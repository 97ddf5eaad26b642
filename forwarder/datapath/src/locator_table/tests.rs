//! Priorities and weights, as RFC 9301 section 5.4 wants them obeyed.

use std::net::{IpAddr, Ipv4Addr};

use crate::{LocatorTable, Reach};
use lisp_wire::{Locator, Priority, Rloc, Weight};
use proptest::prelude::*;

fn locator(number: u8, priority: u8, weight: u8) -> Locator {
    Locator::unicast(rloc(number), Priority(priority), Weight(weight))
}

fn rloc(number: u8) -> Rloc {
    Rloc(IpAddr::V4(Ipv4Addr::new(172, 16, 0, number)))
}

/// Share of each locator over evenly spread hashes.
fn shares(table: &LocatorTable, count: usize) -> Vec<f64> {
    const TRIES: u32 = 20_000;
    let mut hits = vec![0u32; count];
    for number in 0..TRIES {
        let hash = number.wrapping_mul(0x9e37_79b9);
        let chosen = table.choose(hash).unwrap().locator.rloc;
        hits[(0..count).position(|at| rloc(at as u8) == chosen).unwrap()] += 1;
    }
    hits.into_iter()
        .map(|hits| f64::from(hits) / f64::from(TRIES))
        .collect()
}

proptest! {
    #[test]
    fn shares_follow_the_weights_within_two_percent(weights in prop::collection::vec(any::<u8>(), 1..20)) {
        let locators = weights.iter().zip(0u8..).map(|(weight, at)| (locator(at, 1, *weight), Reach::Up));
        let table = LocatorTable::new(locators, None);
        let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        for (share, weight) in shares(&table, weights.len()).iter().zip(&weights) {
            let fair = if sum == 0.0 { 1.0 / weights.len() as f64 } else { f64::from(*weight) / sum };
            prop_assert!((share - fair).abs() < 0.02, "weight {} of {}: {}", weight, sum, share);
            prop_assert!(*weight > 0 || sum == 0.0 || *share == 0.0);
        }
    }

    #[test]
    fn only_the_best_usable_priority_that_is_up_is_used(
        priorities in prop::collection::vec((any::<u8>(), any::<bool>()), 1..12), hash in any::<u32>(),
    ) {
        let reach = |up: bool| if up { Reach::Up } else { Reach::Down };
        let locators = priorities.iter().zip(0u8..).map(|((priority, up), at)| (locator(at, *priority, 1), reach(*up)));
        let table = LocatorTable::new(locators, None);
        let usable = || priorities.iter().filter(|(priority, _)| *priority != 255);
        let best_up = usable().filter(|(_, up)| *up).map(|(priority, _)| *priority).min();
        let best = best_up.or_else(|| usable().map(|(priority, _)| *priority).min());
        let chosen = table.choose(hash);
        prop_assert_eq!(chosen.map(|chosen| chosen.locator.priority.0), best);
        prop_assert!(best_up.is_none() || chosen.is_none_or(|chosen| chosen.reach == Reach::Up));
    }
}

#[test]
fn a_locator_its_owner_calls_unreachable_is_not_used() {
    let gone = Locator {
        reachable: false,
        ..locator(0, 1, 100)
    };
    let table = LocatorTable::new([(gone, Reach::Up), (locator(1, 2, 100), Reach::Up)], None);
    assert!(table.in_use(rloc(1)) && !table.in_use(rloc(0)));
    // RFC 9300 section 9: not even where there is no other, or none that answers.
    let table = LocatorTable::new([(gone, Reach::Up), (locator(1, 2, 100), Reach::Down)], None);
    assert!(table.in_use(rloc(1)) && !table.in_use(rloc(0)));
    assert!(LocatorTable::new([(gone, Reach::Up)], None).choose(0).is_none());
}

#[test]
fn counters_go_on_when_a_mapping_is_published_again() {
    let first = LocatorTable::new(
        [(locator(0, 1, 1), Reach::Up), (locator(1, 2, 1), Reach::Up)],
        None,
    );
    first.choose(0).unwrap().counters.count(100);
    let second = LocatorTable::new(
        [(locator(1, 1, 1), Reach::Up), (locator(0, 255, 1), Reach::Up)],
        Some(&first),
    );
    assert_eq!(second.choose(0).unwrap().locator.rloc, rloc(1));
    assert_eq!(second.locators()[1].counters.bytes(), 100);
    first.choose(0).unwrap().counters.count(1); // a packet under way by the old table is counted too
    assert_eq!(second.locators()[1].counters.packets(), 2);
}

#[test]
fn a_table_of_the_most_locators_a_record_holds_is_shared_by_all() {
    let table = LocatorTable::new((0..=255).map(|at| (locator(at, 1, 255), Reach::Up)), None);
    assert_eq!(table.locators().len(), 255);
    assert!((0..255).all(|at| table.in_use(rloc(at))));
    assert!(LocatorTable::new([], None).choose(7).is_none());
}
