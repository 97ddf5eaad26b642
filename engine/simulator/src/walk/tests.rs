use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::*;
use crate::areas::{Area, Areas};
use crate::day::{Control, live};
use crate::fabric::draw;
use crate::geo::Place;
use crate::region::Region;
use crate::trace::Keep;
use crate::wander::wander;

/// On a straight line east: a user's areas at these kilometres, data centres at those.
fn line(areas: &[f64], dcs: &[f64]) -> (Areas, Fabric) {
    let origin = Place { lat: 0.0, lon: 0.0 };
    let at = |(number, km): (usize, &f64)| Area {
        name: format!("a{number}"),
        at: origin.moved(0.0, *km),
    };
    let areas = Areas::new(areas.iter().enumerate().map(at).collect()).unwrap();
    let fabric = Fabric::new(&areas, dcs.iter().enumerate().map(at).collect());
    (areas, fabric)
}

fn hours(stays: &[(u32, u64)]) -> Trace {
    minutes(
        &stays
            .iter()
            .map(|&(area, hours)| (area, 60 * hours))
            .collect::<Vec<_>>(),
    )
}

fn minutes(stays: &[(u32, u64)]) -> Trace {
    let mut trace = Trace::new("u".to_owned());
    let mut now = Span::ZERO;
    for &(area, minutes) in stays {
        let end = Span(now.0 + minutes * 60_000_000);
        trace.stay(area, now, end);
        now = end;
    }
    trace
}

fn day_of(
    fabric: &Fabric,
    areas: &Areas,
    how: (Scheme, Slots),
    trace: &Trace,
    policy: Policy,
) -> (Tally, Moves) {
    watched(Watched::Leg, (fabric, areas), how, trace, policy)
}

fn watched(
    watched: Watched,
    (fabric, areas): (&Fabric, &Areas),
    (scheme, slots): (Scheme, Slots),
    trace: &Trace,
    policy: Policy,
) -> (Tally, Moves) {
    let rules = Rules::new(50.0, policy);
    let best = Best::new((fabric, areas.all().len()), &rules, watched);
    let manner = Manner {
        scheme,
        slots,
        start: Start::Together,
        seed: 1,
    };
    let walk = Walk::new(fabric, &rules, &best, manner);
    let mut rtt = Tally::default();
    let mut user = 0;
    while walk.morning(user) != (0, 0) {
        user += 1;
    }
    let moves = walk.day(user, trace, &mut rtt);
    (rtt, moves)
}

#[test]
fn a_user_who_goes_far_gets_entry_and_vm_after_both_slots_and_not_before() {
    let (areas, fabric) = line(&[0.0, 1000.0], &[0.0, 1000.0]);
    let trace = hours(&[(0, 10), (1, 10)]);
    let shares = Slots::Shares {
        decide: 0.1,
        settle: 0.5,
    };
    for slots in [shares, Slots::parse("1h,30m").unwrap()] {
        let (legacy, none) = day_of(&fabric, &areas, (Scheme::Legacy, slots), &trace, ANY_GAIN);
        assert_eq!(none, Moves::default());
        assert!(
            (legacy.share_within(41.0) - 0.5).abs() < 1e-9,
            "the second half is far"
        );
        let (switched, moves) = day_of(&fabric, &areas, (Scheme::Pacao1, slots), &trace, ANY_GAIN);
        assert_eq!((moves.switches, moves.migrations), (1, 0));
        assert!(
            (switched.share_within(41.0) - 0.5).abs() < 1e-9,
            "the way to the VM is as long by the other entry"
        );
        let (moved, moves) = day_of(&fabric, &areas, (Scheme::Pacao2, slots), &trace, ANY_GAIN);
        assert_eq!((moves.switches, moves.migrations), (1, 1), "{slots}");
        // An hour of S', half an hour of S'', and the copying, of twenty hours; probes are ten minutes apart.
        let far = 1.0 - moved.share_within(41.0);
        assert!((0.075..0.085).contains(&far), "{slots}: {far}");
    }
}

#[test]
fn who_stays_within_the_bound_is_left_alone() {
    let (areas, fabric) = line(&[0.0, 300.0], &[0.0, 300.0]);
    for slots in [Slots::THESIS, Slots::parse("10%,10%").unwrap()] {
        let trace = hours(&[(0, 3), (1, 3), (0, 3)]);
        let (_, moves) = day_of(&fabric, &areas, (Scheme::Pacao2, slots), &trace, ANY_GAIN);
        assert_eq!(moves, Moves::default(), "49 ms of 50");
    }
}

#[test]
fn a_stay_shorter_than_the_slot_moves_nothing() {
    let (areas, fabric) = line(&[0.0, 1000.0], &[0.0, 1000.0]);
    let trace = hours(&[(0, 10), (1, 1), (0, 10)]);
    let slots = Slots::parse("2h,10m").unwrap();
    let (_, moves) = day_of(&fabric, &areas, (Scheme::Pacao2, slots), &trace, ANY_GAIN);
    assert_eq!(moves, Moves::default());
}

#[test]
fn calm_rules_withhold_small_gains_and_quick_returns() {
    let (areas, fabric) = line(&[0.0, 500.0], &[0.0, 450.0]);
    let back_and_forth = minutes(&[(0, 40), (1, 40), (0, 40), (1, 40), (0, 40), (1, 40), (0, 40)]);
    let slots = Slots::parse("10m,1m").unwrap();
    let moves = |policy| day_of(&fabric, &areas, (Scheme::Pacao1, slots), &back_and_forth, policy).1;
    assert_eq!(moves(ANY_GAIN).switches, 6);
    let calm = moves(CALM).switches;
    assert!((1..6).contains(&calm), "the cool-down doubles: {calm}");
}

#[test]
fn by_the_whole_way_no_entry_is_left_for_a_detour_and_the_vm_follows_all_the_same() {
    let (areas, fabric) = line(&[0.0, 1000.0], &[0.0, 1000.0]);
    let trace = hours(&[(0, 10), (1, 10)]);
    for slots in [Slots::parse("1h,30m").unwrap(), Slots::parse("10%,50%").unwrap()] {
        let day = |by, scheme| watched(by, (&fabric, &areas), (scheme, slots), &trace, ANY_GAIN);
        assert_eq!(
            day(Watched::Leg, Scheme::Pacao1).1.switches,
            1,
            "{slots}: near himself"
        );
        let (stayed, moves) = day(Watched::Way, Scheme::Pacao1);
        assert_eq!(moves, Moves::default(), "{slots}: straight to the VM is as short");
        let (moved, moves) = day(Watched::Way, Scheme::Pacao2);
        assert_eq!((moves.switches, moves.migrations), (0, 1), "{slots}");
        assert!(
            moved.share_within(41.0) > stayed.share_within(41.0) + 0.4,
            "{slots}"
        );
    }
}

#[test]
fn by_the_whole_way_an_entry_is_left_though_the_users_own_leg_is_well() {
    // By the entry in the west 49 ms of 50, and 21 ms more from there to the VM; straight to the VM 52 ms.
    let (areas, fabric) = line(&[0.0], &[400.0, -300.0]);
    let rules = Rules::new(53.0, ANY_GAIN);
    for slots in [Slots::parse("1h,30m").unwrap(), Slots::parse("10%,10%").unwrap()] {
        let day = |by: Watched| {
            let best = Best::new((&fabric, areas.all().len()), &rules, by);
            let manner = Manner {
                scheme: Scheme::Pacao1,
                slots,
                start: Start::Apart,
                seed: 1,
            };
            let walk = Walk::new(&fabric, &rules, &best, manner);
            let user = (0..1000).find(|&user| walk.morning(user) == (1, 0)).unwrap();
            let mut rtt = Tally::default();
            let moves = walk.day(user, &hours(&[(0, 20)]), &mut rtt);
            (moves.switches, rtt.median().round())
        };
        assert_eq!(day(Watched::Leg), (0, 70.0), "{slots}");
        assert_eq!(day(Watched::Way), (1, 52.0), "{slots}");
    }
}

#[test]
fn a_vm_that_was_moved_cools_down_as_an_entry_does() {
    let (areas, fabric) = line(&[0.0, 1000.0], &[0.0, 1000.0]);
    let back_and_forth = minutes(&[(0, 40), (1, 40), (0, 40), (1, 40), (0, 40), (1, 40), (0, 40)]);
    for by in [Watched::Leg, Watched::Way] {
        for slots in ["10m,1m", "25%,10%"] {
            let how = (Scheme::Pacao2, Slots::parse(slots).unwrap());
            let moves = |policy| watched(by, (&fabric, &areas), how, &back_and_forth, policy).1;
            assert_eq!(moves(ANY_GAIN).migrations, 6, "{by:?} {slots}");
            let calm = moves(CALM).migrations;
            assert!(
                (1..6).contains(&calm),
                "{by:?} {slots}: the cool-down doubles: {calm}"
            );
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_day_on_any_number_of_threads() {
    let areas = Areas::drawn(Region::France, 120, 4).unwrap();
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let days: Vec<_> = [1, 3]
        .map(|threads| {
            let control = Control {
                threads: NonZeroUsize::new(threads).unwrap(),
                done: &done,
                stop: &stop,
            };
            let traces = wander((&areas, Region::France), 300, Keep::THESIS, 4, &control);
            let fabric = Fabric::new(&areas, draw(&areas, 16, 4));
            let rules = Rules::new(48.0, ANY_GAIN);
            let best = Best::new((&fabric, areas.all().len()), &rules, Watched::Leg);
            let manner = Manner {
                scheme: Scheme::Pacao2,
                slots: Slots::THESIS,
                start: Start::Apart,
                seed: 4,
            };
            let day = live(&Walk::new(&fabric, &rules, &best, manner), &traces, &control);
            (traces, day)
        })
        .into();
    assert_eq!(days[0], days[1]);
    assert_eq!(days[0].0.len(), 300);
    assert!(days[0].1.moves.migrations > 100);
}
