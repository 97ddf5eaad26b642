//! A link degrades and traffic moves.

use pacao_core::Effect;
use proto::node::Tell;
use proto::proposal::Criterion;
use proto::{Audience, LinkState, Mode, NodeCommand, Notice, ProposalState};

use crate::world::{SIGNALLING, World, config};

const ONSET: f64 = 125.0;
const SLOT: f64 = 10.0;
const PROBE: f64 = 0.5;

#[test]
fn a_switch_comes_one_slot_after_the_onset_plus_at_most_a_probe_and_a_round_trip() {
    for more in [100.0, 200.0, 400.0, 1000.0] {
        let mut world = World::new(Mode::Auto);
        world.stress(("paris", "telco"), more, (ONSET, 385.0));
        world.run_to(450.0);
        let told: Vec<f64> = world
            .tellings("paris")
            .into_iter()
            .filter(|&at| at > 1.0)
            .collect();
        assert_eq!(told.len(), 1, "+{more} ms: {told:?}");
        let latest = ONSET + SLOT + PROBE + (37.0 + more) / 1e3;
        assert!(
            told[0] > ONSET + SLOT && told[0] <= latest + 1e-6,
            "+{more} ms: {} not before {latest}",
            told[0]
        );
        assert_eq!(world.entry("paris"), "marilyn");
        assert_eq!(world.held_entry("paris"), "marilyn");
        assert_eq!(world.entry("lyon"), "marilyn", "who was not hurt is not moved");
    }
}

#[test]
fn a_card_tells_how_many_people_are_behind_the_user() {
    let mut config = config();
    config.users.values_mut().for_each(|user| user.size = 40);
    let mut world = World::of(config);
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(60.0);
    assert_eq!(world.proposal(1).people, 40);
}

#[test]
fn the_receipt_tells_when_it_broke_and_how_long_signalling_took() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(60.0);
    let proposal = world.proposal(1);
    let ProposalState::Confirmed { receipt, .. } = &proposal.state else {
        panic!("{:?}", proposal.state)
    };
    assert!((30.0..31.0).contains(&World::seconds(receipt.broken_at.unwrap())));
    assert_eq!(receipt.confirmed_at.since(receipt.approved_at), SIGNALLING);
    assert_eq!((receipt.signalling, receipt.attempts), (SIGNALLING, 1));
    assert_eq!(proposal.reason.criterion, Criterion::Rtt);
    assert!((proposal.reason.measured - 437.0).abs() < 0.1 && (proposal.gain - 402.0).abs() < 0.1);
    assert!((proposal.gain_share - 0.92).abs() < 0.001);
    assert!(proposal.reason.penalty > proposal.reason.penalty_expected);
    let log = world.log();
    for line in [
        "link paris/TelcoCenter left SLA interactive (RTT 437 ms, bound 100)",
        "switch #1 paris TelcoCenter -> Marilyn confirmed: 1 message, 41 ms",
        "switch #1: paris/Marilyn keeps its levels 5s after",
    ] {
        assert!(log.iter().any(|have| have == line), "{line} is not in {log:#?}");
    }
}

#[test]
fn all_forwarders_hold_the_same_view_and_one_tells_the_user() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(60.0);
    let rloc = world.engine.config().users["paris"].rloc;
    let views: Vec<_> = world
        .effects
        .iter()
        .filter(|(at, _)| World::seconds(*at) > 30.0)
        .filter_map(|(_, effect)| match effect {
            Effect::Node {
                site,
                command:
                    NodeCommand::SetLocators {
                        audience,
                        locators,
                        tell,
                        ..
                    },
            } if *audience == (Audience::Client { rloc }) => {
                Some((site.to_string(), locators.clone(), *tell))
            }
            _ => None,
        })
        .collect();
    assert_eq!(views.len(), 3);
    assert!(views.iter().all(|(_, locators, _)| *locators == views[0].1));
    let tellers: Vec<_> = views
        .iter()
        .filter(|(_, _, tell)| *tell == Tell::ChangePriority)
        .collect();
    assert_eq!(tellers.len(), 1);
    assert_eq!(tellers[0].0, "marilyn", "the one entered by next");
    // Best first: Marilyn at 35 ms, LIP6 at 41, the stressed one last; none is forbidden.
    let order: Vec<_> = views[0]
        .1
        .iter()
        .map(|locator| (locator.rloc.to_string(), locator.priority.0))
        .collect();
    assert_eq!(
        order,
        [
            ("172.16.0.2".to_owned(), 1),
            ("172.16.0.3".to_owned(), 2),
            ("172.16.0.1".to_owned(), 3)
        ]
    );
}

#[test]
fn when_most_users_enter_elsewhere_everyone_is_told() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(60.0);
    let to_everyone: Vec<_> = world
        .effects
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::Node {
                site,
                command:
                    NodeCommand::SetLocators {
                        audience, locators, ..
                    },
            } if *audience == Audience::Everyone => Some((site.to_string(), locators[0].rloc.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(
        to_everyone,
        [("telco".to_owned(), "172.16.0.2".to_owned())],
        "by the VM's home, once"
    );
}

#[test]
fn users_enter_where_the_session_says_from_the_start() {
    let mut world = World::new(Mode::Observe);
    world.run_to(1.0);
    assert_eq!(
        (
            world.held_entry("paris").as_str(),
            world.held_entry("lyon").as_str()
        ),
        ("telco", "marilyn")
    );
    assert_eq!(world.tellings("paris").len(), 1);
}

#[test]
fn heavy_loss_moves_a_user_and_the_reason_says_loss() {
    let mut world = World::new(Mode::Auto);
    let mut probe = 0;
    world.wan = Box::new(move |dc, user, at| {
        let base = crate::world::table_5_1(dc, user);
        if (user, dc) == ("paris", "telco") && at > 30.0 {
            probe += 1;
            return (probe % 4 != 0).then_some(base);
        }
        Some(base)
    });
    world.run_to(60.0);
    assert_eq!(world.entry("paris"), "marilyn");
    assert_eq!(world.proposal(1).reason.criterion, Criterion::Loss);
    assert!((world.proposal(1).reason.measured - 25.0).abs() < 6.0);
}

#[test]
fn jitter_alone_moves_a_user_and_the_reason_says_jitter() {
    let mut world = World::new(Mode::Auto);
    let mut probe = 0;
    world.wan = Box::new(move |dc, user, at| {
        let base = crate::world::table_5_1(dc, user);
        if (user, dc) == ("paris", "telco") && at > 30.0 {
            probe += 1;
            return Some(if probe % 2 == 0 { 20.0 } else { 95.0 });
        }
        Some(base)
    });
    world.run_to(60.0);
    assert_eq!(world.entry("paris"), "marilyn");
    assert_eq!(world.proposal(1).reason.criterion, Criterion::Jitter);
}

#[test]
fn a_broken_link_after_the_switch_says_that_migrating_would_be_next() {
    let mut world = World::new(Mode::Auto);
    world.wan = Box::new(|dc, user, at| {
        let base = crate::world::table_5_1(dc, user);
        // TelcoCenter goes bad, and all others with it once the user is there.
        Some(match dc {
            "telco" if at > 30.0 => base + 400.0,
            "marilyn" | "lip6" if at > 41.5 => base + 200.0,
            _ => base,
        })
    });
    world.run_to(60.0);
    assert!(
        world
            .log()
            .iter()
            .any(|line| line.contains("migrating web to Marilyn would be the next step")),
        "{:#?}",
        world.log()
    );
}

#[test]
fn observing_proposes_nothing_and_shows_the_broken_link() {
    let mut world = World::new(Mode::Observe);
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(39.0);
    assert_eq!(world.row("paris", "telco").state, LinkState::Warn);
    world.run_to(100.0);
    assert!(world.proposals().is_empty());
    let row = world.row("paris", "telco");
    assert_eq!(row.state, LinkState::Broken);
    assert_eq!(row.carries.len(), 1);
    assert!((row.rtt.unwrap().p95 - 437.0).abs() < 0.1 && (row.margin_ms.unwrap() + 337.0).abs() < 0.1);
    assert_eq!(world.row("paris", "marilyn").state, LinkState::Ok);
}

#[test]
fn rows_come_at_most_once_a_probe_interval_and_points_with_every_probe() {
    let mut world = World::new(Mode::Observe);
    world.run_to(60.0);
    let count = |what: fn(&Notice) -> bool| {
        world
            .effects
            .iter()
            .filter(|(_, effect)| matches!(effect, Effect::Notify { notice } if what(notice)))
            .count()
    };
    let probes = 6 * 120;
    let rows = count(|notice| matches!(notice, Notice::Link { .. }));
    let points = count(|notice| matches!(notice, Notice::Point { .. }));
    assert!(points.abs_diff(probes) <= 6, "{points} points");
    assert!(rows <= probes + 6 && rows > probes / 2, "{rows} rows");
    let history = &world.engine.snapshot(world.now).histories[0];
    assert!(history.points.len() >= 119 && history.points.is_sorted_by_key(|point| point.at));
}

#[test]
fn a_data_centre_may_be_called_as_screens_show_it() {
    use proto::{Command, Reply, Scope};
    let mut world = World::new(Mode::Recommend);
    world.run_to(20.0);
    assert!(matches!(world.switch("paris", "LIP6"), Reply::Accepted { .. }));
    world.run_to(25.0);
    assert_eq!(world.entry("paris"), "lip6");
    let observe = Command::SetModeAt {
        scope: Scope::Dc {
            dc: "Marilyn".parse().unwrap(),
        },
        mode: Some(Mode::Observe),
    };
    assert!(matches!(world.ask(observe), Reply::Accepted { .. }));
    let refused = world.switch("paris", "marilyn");
    assert!(matches!(refused, Reply::Refused { .. }), "{refused:?}");
    assert!(matches!(world.switch("paris", "lIp6"), Reply::Refused { .. }));
}
