//! Legs that die, flap, or are not known of any more. The world is that of `legs`.

use proto::{Command, FlapKey, LinkState, Mode, Reply, Span};

use crate::legs::{impair, why, world};
use crate::world::{LEG, World, config, table_5_1};

/// What was proven of a dead leg is not true for ever: its other end fell silent, and nobody knows what became of it.
#[test]
fn a_dead_leg_whose_other_end_falls_silent_is_unknown_and_no_way_to_go_by() {
    let mut world = world(Mode::Auto);
    impair(&mut world, None);
    world.run_to(60.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Down);
    assert_eq!(world.entry("lyon"), "lip6");
    // TelcoCenter's border router dies. LIP6 is bad for Lyon then, and Marilyn's link is the best he has.
    world.cut("telco");
    world.between = Box::new(|_, to, _| (to != "telco").then_some(LEG));
    world.wan = Box::new(|dc, user, at| match (dc, user) {
        ("telco", _) => None,
        ("lip6", "lyon") if at > 75.0 => Some(400.0),
        _ => Some(table_5_1(dc, user)),
    });
    world.run_to(64.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Down, "not yet");
    world.run_to(70.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Stale);
    assert_eq!(world.leg("lip6", "telco").state, LinkState::Stale);
    let text = why(&mut world, "lyon", "marilyn");
    assert!(
        text.contains("the leg to TelcoCenter was down when TelcoCenter's forwarder fell silent"),
        "{text}"
    );
    world.run_to(120.0);
    assert_eq!(world.entry("lyon"), "lip6", "{:#?}", world.log());
    // The router is back and the leg still dead, then it recovers too.
    world.connect("telco");
    world.between =
        Box::new(|from, to, at| ((from, to) != ("marilyn", "telco") || at > 160.0).then_some(LEG));
    world.run_to(140.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Down);
    world.run_to(180.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Ok);
    assert_eq!(world.entry("lyon"), "marilyn", "{:#?}", world.log());
}

/// A leg that is back when its other end is heard again says so to those whose way takes it.
#[test]
fn a_leg_of_which_nothing_was_known_is_up_again_with_its_first_answers() {
    let mut world = world(Mode::Observe);
    impair(&mut world, None);
    world.run_to(60.0);
    world.cut("telco");
    world.between = Box::new(|_, to, _| (to != "telco").then_some(LEG));
    world.wan = Box::new(|dc, user, _| (dc != "telco").then(|| table_5_1(dc, user)));
    world.run_to(80.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Stale);
    world.connect("telco");
    world.between = Box::new(|_, _, _| Some(LEG));
    world.wan = Box::new(|dc, user, _| Some(table_5_1(dc, user)));
    world.run_to(100.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Ok);
    let log = world.log();
    let of_leg = log
        .iter()
        .filter(|line| line.contains("leg Marilyn -> TelcoCenter"));
    let said: Vec<&str> = of_leg
        .map(|line| line.split(" -> TelcoCenter ").nth(1).unwrap())
        .collect();
    assert!(
        matches!(said[..], [down, unknown, up]
            if down.starts_with("is down") && unknown.starts_with("may be down or not") && up == "is up again"),
        "{said:#?}"
    );
}

/// M11: a leg that flaps counts against the locator of each user whose way takes it, as his own link would; no ledger of its
/// own is needed.
#[test]
fn a_leg_that_flaps_is_damped_for_those_whose_ways_take_it() {
    let mut config = config();
    config.policy.cool_down = Span::secs(1);
    config.calm.backoff.factor = 1;
    config.mode = Mode::Observe;
    let mut world = World::of(config);
    world.measure_legs();
    world.between = Box::new(|from, to, at| {
        let dead = (from, to) == ("marilyn", "telco") && at > 30.0 && at % 20.0 < 8.0;
        (!dead).then_some(LEG)
    });
    world.run_to(112.0);
    let key = FlapKey::Locator {
        user: "lyon".parse().unwrap(),
        dc: "marilyn".parse().unwrap(),
    };
    let flaps = world.engine.snapshot(world.now).policy.flaps;
    let row = flaps.iter().find(|row| row.key == key).unwrap();
    assert_eq!(flaps.len(), 1, "and nobody else's: {flaps:?}");
    assert_eq!(row.flaps, 4);
    assert!(row.release_at.is_some_and(|at| at > world.now), "{row:?}");
    let log = world.log();
    let down = log
        .iter()
        .filter(|line| line.contains("leg Marilyn -> TelcoCenter is down"));
    assert_eq!(down.count(), 4);
    // Let go by one key: forgiving the locator is forgiving the leg for this user.
    assert!(matches!(
        world.ask(Command::Forgive { key }),
        Reply::Accepted { .. }
    ));
    assert!(world.engine.snapshot(world.now).policy.flaps.is_empty());
}
