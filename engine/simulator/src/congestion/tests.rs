use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::*;
use crate::areas::Area;
use crate::geo::Place;

fn trace(from_h: u64, to_h: u64) -> Trace {
    let mut trace = Trace::new("u".to_owned());
    trace.stay(0, Span::secs(from_h * 3600), Span::secs(to_h * 3600));
    trace
}

#[test]
fn everybody_is_placed_at_noon_unless_more_are_there_at_another_moment() {
    let hour = |traces: &[Trace]| busiest(traces).0 / 3_600_000_000;
    assert_eq!(hour(&[trace(0, 24), trace(6, 10)]), 6);
    assert_eq!(hour(&[trace(0, 24), trace(11, 13), trace(14, 16)]), 12, "as many");
    assert_eq!(hour(&[trace(18, 20), trace(19, 21)]), 19, "nobody at noon");
    assert_eq!(
        hour(&[trace(6, 12), trace(12, 13)]),
        12,
        "who goes at noon is gone"
    );
    assert_eq!(hour(&[trace(6, 12)]), 6);
    let traces = [trace(18, 20), trace(19, 21)];
    assert_eq!(present(&traces, busiest(&traces)).len(), 2);
}

/// Areas and data centres on a line, kilometres.
fn placed(areas: &[f64], dcs: &[f64], users: &[u32], bound_us: u32) -> Congestion {
    let at = |(number, km): (usize, &f64)| Area {
        name: format!("a{number}"),
        at: Place { lat: 0.0, lon: 0.0 }.moved(0.0, *km),
    };
    let areas = Areas::new(areas.iter().enumerate().map(at).collect()).unwrap();
    let fabric = Fabric::new(&areas, dcs.iter().enumerate().map(at).collect());
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let control = Control {
        threads: NonZeroUsize::MIN,
        done: &done,
        stop: &stop,
    };
    place((&areas, users), &fabric, bound_us, &control).unwrap()
}

#[test]
fn however_users_are_placed_all_are_and_no_data_centre_is_overfull_where_load_is_looked_at() {
    let users: Vec<u32> = (0..400).map(|user| u32::from(user % 10 == 0)).collect();
    let outcome = placed(&[0.0, 900.0], &[0.0, 300.0, 900.0, 1000.0], &users, 50_000);
    for (way, crowd) in outcome.ways() {
        assert_eq!(crowd.users.iter().sum::<u32>(), 400, "{way}");
    }
    assert_eq!((outcome.capacity, outcome.rules_broken), (200, 0));
    assert_eq!(outcome.alone.users, [360, 0, 40, 0]);
    assert!(outcome.aware.fullest(200) <= 1.0 && outcome.grouped.fullest(200) <= 1.0);
    assert!(outcome.gap <= GAP);
}

#[test]
fn a_sub_group_sees_what_came_before_it_and_not_what_comes_after() {
    // First those who have a choice, and then those who have none.
    let users: Vec<u32> = (0..400).map(|user| u32::from(user >= 200)).collect();
    let outcome = placed(&[150.0, -400.0], &[0.0, 320.0], &users, 60_000);
    let mean = |crowd: &Crowd| {
        (0..=100)
            .map(|at| crowd.rtt.quantile(f64::from(at) / 100.0))
            .sum::<f64>()
    };
    assert!(mean(&outcome.aware) <= mean(&outcome.grouped) + 1e-9);
    assert_ne!(outcome.aware.users, outcome.grouped.users);
}
