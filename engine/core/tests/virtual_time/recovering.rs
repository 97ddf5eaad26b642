//! Loss and downtime that are over, and loss that is not (M10).

use pacao_core::config::{Config, SlidingWindow, Slots, Term};
use proptest::prelude::*;
use proto::proposal::Criterion;
use proto::why::Outlook;
use proto::{Command, LinkState, Mode, Reply, Span};

use crate::gates::{begun, wide};
use crate::world::{World, config, table_5_1};

fn every_second(at: f64) -> bool {
    ((at * 2.0) as u64).is_multiple_of(2)
}

fn binding(world: &mut World) -> (Outlook, String) {
    let reply = world.ask(Command::Why {
        user: "paris".parse().unwrap(),
        vm: None,
        to: None,
    });
    let Reply::Explained { why } = reply else {
        panic!("{reply:?}")
    };
    let check = why.checks.iter().find(|check| !check.holds);
    (
        why.outlook,
        check.map_or(String::new(), |check| check.text.clone()),
    )
}

/// Of telco, from half a minute on, probes are lost as `lost` has it; everything else is well.
fn losing(config: Config, lost: impl Fn(f64) -> bool + 'static) -> World {
    let mut world = World::of(config);
    world.wan = Box::new(move |dc, user, at| {
        let lost = dc == "telco" && at > 30.0 && lost(at);
        (!lost).then(|| table_5_1(dc, user))
    });
    world
}

#[test]
fn three_lost_probes_and_then_none_move_nobody() {
    let mut config = wide();
    // Three in a row are not down here.
    config.policy.down_after = 5;
    let mut world = losing(config, |at| at < 31.5);
    world.run_to(41.0);
    assert_eq!(world.row("paris", "telco").state, LinkState::Warn);
    world.run_to(120.0);
    assert!(begun(&world).is_empty());
    assert_eq!(world.row("paris", "telco").state, LinkState::Ok);
}

/// As for round trips: the hold was waited for, and by its end the loss is over, or not.
#[test]
fn who_stops_losing_probes_by_the_end_of_the_hold_is_not_moved() {
    let run = |until: f64| {
        let mut config = wide();
        config.calm.hold = 2;
        let mut world = losing(config, move |at| at < until && every_second(at));
        // The first loss is known two seconds after 30.2 s; the hold ends 20 s later.
        world.run_to(52.4);
        world
    };
    let mut over = run(46.0);
    assert_eq!(over.row("paris", "telco").state, LinkState::Broken);
    let (outlook, text) = binding(&mut over);
    assert_eq!(outlook, Outlook::Stays);
    assert!(text.contains("is over"), "{text}");
    over.run_to(120.0);
    assert!(begun(&over).is_empty());
    assert_eq!(begun(&run(58.0)).len(), 1);
}

/// An entry that was down and is up again for long enough is not left for that; one that has only just come up is.
#[test]
fn downtime_that_is_over_moves_nobody() {
    let moves = |ups: &'static [(f64, f64)], spike: f64| {
        let mut config = Config {
            mode: Mode::Observe,
            ..wide()
        };
        let sla = config.sla.get_mut("interactive").unwrap();
        sla.weights.loss = 0.1;
        let term = Term {
            bound: 1.0,
            weight: 0.1,
        };
        sla.terms.further.insert(Criterion::Unavailability, term);
        sla.watch.slots = Some(Slots {
            decide: Span::secs(4),
            settle: Span::secs(2),
            probe: Span::millis(500),
        });
        sla.watch.window = Some(SlidingWindow {
            part: Span::secs(30),
            parts: 4,
        });
        // Only what was down counts here.
        sla.loss_pct = 100.0;
        let mut world = World::of(config);
        world.wan = Box::new(move |dc, user, at| {
            let down = dc == "telco" && ups.iter().any(|&(from, to)| at > from && at < to);
            let spike = dc == "telco" && (spike..spike + 0.5).contains(&at);
            (!down).then(|| table_5_1(dc, user) + if spike { 90.0 } else { 0.0 })
        });
        // Nobody leaves while it is down; a slot opens at the spike.
        world.run_to(spike);
        world.ask(Command::SetMode { mode: Mode::Auto });
        world.run_to(spike + 6.0);
        begun(&world).len()
    };
    assert_eq!(moves(&[(90.0, 100.0)], 130.0), 0);
    assert_eq!(moves(&[(132.0, 136.0)], 137.6), 1);
}

/// The chance that the probe of that moment is lost.
fn random(seed: u64, at: f64) -> f64 {
    let mut word = seed ^ (at * 1e6) as u64;
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    ((word ^ (word >> 33)) >> 11) as f64 / (1_u64 << 53) as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// M10: loss that goes on is left, however its gaps fall, over a slot and over two minutes.
    #[test]
    fn steady_random_loss_is_left(seed in any::<u64>(), percent in 8_u32..30) {
        let share = f64::from(percent) / 100.0;
        let lost = move |at: f64| random(seed, at) < share;
        let moves = |window| {
            let mut config = wide();
            // A run of losses would be moved for as well.
            config.policy.down_after = 1000;
            config.sla.get_mut("interactive").unwrap().watch.window = window;
            let mut world = losing(config, lost);
            world.run_to(600.0);
            begun(&world).len()
        };
        prop_assert!(moves(None) > 0);
        let two_minutes = SlidingWindow { part: Span::secs(30), parts: 4 };
        prop_assert!(moves(Some(two_minutes)) > 0);
    }
}

/// Of steady random loss, how often a broken level is called over at its looks: about one in twenty.
#[test]
fn steady_loss_is_seldom_called_over() {
    let (mut broken, mut over) = (0, 0);
    for seed in 1..=10 {
        let mut config = config();
        config.mode = Mode::Recommend;
        config.policy.down_after = 1000;
        let mut world = losing(config, move |at| random(seed, at) < 0.2);
        for second in 60..260 {
            world.run_to(f64::from(second));
            if world.row("paris", "telco").state == LinkState::Broken {
                broken += 1;
                over += u32::from(binding(&mut world).1.contains("is over"));
            }
        }
    }
    assert!(broken > 1500, "{broken}");
    assert!(over * 10 < broken, "{over} of {broken}");
}
