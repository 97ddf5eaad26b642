//! The second leg of a way, from the data centre entered to the one where the VM lives. Here it lives at TelcoCenter, and
//! Lyon enters by Marilyn.

use pacao_core::config::{Calm, Legs, OnViolation, Sla};
use pacao_core::{Config, Effect};
use proto::proposal::Criterion;
use proto::why::RungKind;
use proto::{Command, LinkState, Mode, NodeCommand, ProbeTarget, ProposalState, Reply, Span};

use crate::world::{LEG, World, config, table_5_1};

/// The VM's home is not the best entry for anybody: 44 ms from Lyon, which is within its bounds.
pub(crate) fn world(mode: Mode) -> World {
    let mut world = World::new(mode);
    world.measure_legs();
    world
}

/// From Marilyn to TelcoCenter it is otherwise from 30 s on.
pub(crate) fn impair(world: &mut World, ms: Option<f64>) {
    world.between = Box::new(move |from, to, at| {
        if (from, to) == ("marilyn", "telco") && at >= 30.0 {
            ms
        } else {
            Some(LEG)
        }
    });
}

fn targets(world: &World, site: &str) -> Vec<ProbeTarget> {
    let mut probed = world.effects.iter().filter_map(|(_, effect)| match effect {
        Effect::Node {
            site: of,
            command: NodeCommand::Probe { targets },
        } if of.as_str() == site => Some(targets.clone()),
        _ => None,
    });
    probed.next_back().unwrap()
}

pub(crate) fn why(world: &mut World, user: &str, to: &str) -> String {
    let reply = world.ask(Command::Why {
        user: user.parse().unwrap(),
        vm: None,
        to: Some(to.parse().unwrap()),
    });
    let Reply::Explained { why } = reply else {
        panic!("{reply:?}")
    };
    let lines = why
        .checks
        .iter()
        .map(|check| format!("{} {}: {}", check.holds, check.name, check.text));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn forwarders_probe_where_vms_live_at_the_pace_of_the_strictest_class() {
    let with = |legs: Option<Legs>| {
        let mut config = Config { legs, ..config() };
        let mut slow = config.sla["interactive"].clone();
        slow.dscp = 10;
        slow.watch.down_after = Some(7);
        config.sla.insert("slow".parse().unwrap(), slow);
        config.users.values_mut().next().unwrap().sla = "slow".parse().unwrap();
        World::of(config)
    };
    let home = config().sites["telco"].rloc;
    let leg = |world: &World, site: &str| {
        let all = targets(world, site);
        all.into_iter().find(|target| target.rloc == home)
    };
    let world = with(None);
    assert_eq!(leg(&world, "telco"), None, "nobody probes himself");
    assert_eq!(targets(&world, "telco").len(), 2, "and nobody lives elsewhere");
    let told = leg(&world, "marilyn").unwrap();
    let policy = config().policy;
    assert_eq!(
        (told.interval, told.timeout, told.dscp),
        (config().slots.probe, policy.probe_timeout, 10)
    );
    assert_eq!(told.overdue_after, Some(Span(100_001)));
    let knobs = Legs {
        probe: Some(Span::secs(1)),
        timeout: Some(Span::millis(80)),
        ..Legs::default()
    };
    let told = leg(&with(Some(knobs)), "lip6").unwrap();
    assert_eq!(
        (told.interval, told.timeout, told.overdue_after),
        (Span::secs(1), Span::millis(80), None)
    );
    let off = Legs {
        measure: false,
        ..Legs::default()
    };
    assert_eq!(leg(&with(Some(off)), "lip6"), None);
}

#[test]
fn a_dead_leg_moves_those_whose_way_takes_it_at_once() {
    let mut world = world(Mode::Auto);
    impair(&mut world, None);
    world.run_to(60.0);
    let (at, to) = world.switches()[0].clone();
    // Three probes lost in a row, each found lost after its timeout of 2 s, as for a user's own link.
    assert!(at > 33.0 && at < 34.2, "{at}");
    // LIP6 is 38 ms + 4 ms away, TelcoCenter 44 ms.
    assert_eq!((to.as_str(), world.held_entry("lyon").as_str()), ("lip6", "lip6"));
    assert_eq!(world.entry("paris"), "telco", "who does not take it is not moved");
    assert_eq!(world.switches().len(), 1);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Down);
    assert_eq!(
        world.row("lyon", "marilyn").state,
        LinkState::Ok,
        "the user's leg is well, and it carries nobody now"
    );
    let told = world.log().join("\n");
    assert!(
        told.contains("leg Marilyn -> TelcoCenter is down: 3 probes lost in a row")
            && told.contains("1 entries go by it"),
        "{told}"
    );
    let text = why(&mut world, "lyon", "marilyn");
    assert!(
        text.contains("false usable: the leg from Marilyn to TelcoCenter, where web lives, is down"),
        "{text}"
    );
}

#[test]
fn the_row_of_a_link_that_carries_traffic_stands_for_the_whole_way() {
    let mut world = world(Mode::Observe);
    impair(&mut world, Some(200.0));
    world.run_to(60.0);
    let (row, other) = (world.row("lyon", "marilyn"), world.row("paris", "marilyn"));
    assert_eq!(row.state, LinkState::Broken, "{row:?}");
    // 34 ms to Marilyn, 200 on to the VM, of 100.
    let left = row.margin_ms.unwrap();
    assert!((-140.0..-130.0).contains(&left), "{left}");
    assert!(row.rtt.unwrap().mean < 40.0, "the figures are the link's own");
    assert_eq!(other.state, LinkState::Ok, "nobody takes that way: {other:?}");
    impair(&mut world, None);
    world.run_to(90.0);
    assert_eq!(world.row("lyon", "marilyn").state, LinkState::Down);
}

#[test]
fn a_dead_leg_moves_no_more_at_once_than_the_budgets_let() {
    let mut crowd = crate::policy::crowd(8, Calm::default());
    crowd.mode = Mode::Auto;
    crowd.calm.budget.concurrent = 2;
    crowd.calm.budget.per_hour = 5;
    let home = crowd.vms.values().next().unwrap().home.clone();
    let away = crowd.sites.keys().find(|site| **site != home).unwrap().clone();
    for user in crowd.users.values_mut() {
        let vms = user.vms.iter().map(|(vm, _)| (vm.clone(), away.clone()));
        user.vms = vms.collect();
    }
    let mut world = World::of(crowd);
    world.measure_legs();
    let dead = away.to_string();
    world.between = Box::new(move |from, _, at| (from != dead || at < 30.0).then_some(LEG));
    world.run_to(120.0);
    assert_eq!(world.leg(away.as_str(), home.as_str()).carries, 3);
    assert_eq!(world.switches().len(), 5, "{:?}", world.switches());
}

#[test]
fn a_leg_that_becomes_slow_moves_those_whose_whole_way_is_out_of_its_bound() {
    let mut world = world(Mode::Auto);
    impair(&mut world, Some(80.0));
    world.run_to(60.0);
    let (at, to) = world.switches()[0].clone();
    // 33 + 80 ms is over 100: a slot S' later, as for a link.
    assert!(at > 40.0 && at < 41.2, "{at}");
    assert_eq!(to, "lip6");
    let card = world.proposal(1);
    assert_eq!(card.reason.criterion, Criterion::Rtt);
    assert!(
        (card.reason.measured - 113.0).abs() < 1.0,
        "{}",
        card.reason.measured
    );
    assert!(
        (card.reason.expected - 42.0).abs() < 0.1,
        "{}",
        card.reason.expected
    );
    // Alone the leg is within the bounds: nothing of it is broken.
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Ok);
    let told = world.log().join("\n");
    assert!(
        told.contains("33.0 ms to Marilyn, 80.0 ms on to TelcoCenter"),
        "{told}"
    );
}

#[test]
fn a_leg_that_is_slow_from_the_start_is_not_chosen_though_its_user_leg_is_best() {
    for (ms, want) in [(LEG, "marilyn"), (30.0, "lip6")] {
        let mut world = world(Mode::Auto);
        world.between = Box::new(move |from, _, _| Some(if from == "marilyn" { ms } else { LEG }));
        // Paris leaves TelcoCenter: 35 ms to Marilyn, 41 ms to LIP6.
        world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
        world.run_to(60.0);
        assert_eq!(world.entry("paris"), want, "{ms} ms between them");
        let held = &world.held[&world.engine.config().users["paris"].rloc];
        let best = held.iter().min_by_key(|locator| locator.priority).unwrap();
        assert_eq!(best.rloc, world.engine.config().sites[want].rloc);
    }
}

#[test]
fn a_leg_that_nobody_reports_on_is_no_way_to_go_by_and_no_reason_to_leave() {
    let mut world = world(Mode::Auto);
    // Marilyn's forwarder goes on with its users and has nothing to say of TelcoCenter any more.
    world.run_to(20.0);
    world.silent.insert(("marilyn".to_owned(), "telco".to_owned()));
    world.run_to(30.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Stale);
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(60.0);
    assert_eq!(world.entry("paris"), "lip6", "Marilyn would be 35 ms away");
    assert_eq!(world.entry("lyon"), "marilyn");
    assert_eq!(world.switches().len(), 1);
    let text = why(&mut world, "paris", "marilyn");
    assert!(
        text.contains("false usable: there are no fresh figures of the leg from Marilyn to TelcoCenter"),
        "{text}"
    );
}

#[test]
fn where_no_leg_was_ever_measured_the_users_leg_alone_counts_and_why_says_so() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(60.0);
    assert_eq!(world.entry("paris"), "marilyn");
    let row = world.leg("marilyn", "telco");
    assert_eq!((row.state, row.heard_at, row.rtt), (LinkState::Stale, None, None));
    let text = why(&mut world, "paris", "lip6");
    assert!(
        text.contains("true way: 35.0 ms to Marilyn; the leg to TelcoCenter is not measured"),
        "{text}"
    );
}

#[test]
fn a_dead_border_router_says_nothing_of_the_legs_to_it() {
    let mut world = world(Mode::Auto);
    world.run_to(30.0);
    // TelcoCenter's forwarder dies: it answers nobody and reports nothing. Its VM is still reached from Marilyn.
    world.cut("telco");
    world.between = Box::new(|_, to, _| (to != "telco").then_some(LEG));
    world.wan = Box::new(|dc, user, _| (dc != "telco").then(|| table_5_1(dc, user)));
    world.run_to(60.0);
    assert_eq!(world.entry("lyon"), "marilyn");
    assert_eq!(world.entry("paris"), "marilyn", "who entered there is moved");
    assert_eq!(world.switches().len(), 1);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Stale);
    let text = why(&mut world, "lyon", "lip6");
    assert!(text.contains("TelcoCenter's forwarder answers nobody"), "{text}");
    assert!(
        !world
            .log()
            .iter()
            .any(|line| line.contains("leg Marilyn -> TelcoCenter is down"))
    );
    // It is back, and all answers with it.
    world.connect("telco");
    world.between = Box::new(|_, _, _| Some(LEG));
    world.wan = Box::new(|dc, user, _| Some(table_5_1(dc, user)));
    world.run_to(90.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Ok);
    assert_eq!(world.switches().len(), 1);
}

#[test]
fn noise_on_a_leg_moves_nobody() {
    let mut world = world(Mode::Auto);
    let mut probe = 0_u32;
    world.between = Box::new(move |from, _, at| {
        if from != "marilyn" || at < 30.0 {
            return Some(LEG);
        }
        probe += 1;
        match probe % 40 {
            // A spike of a second, and far from it a lost probe.
            7 => Some(900.0),
            27 => None,
            n => Some(LEG + f64::from(n % 3)),
        }
    });
    world.run_to(300.0);
    assert!(
        world.switches().is_empty() && world.proposals().is_empty(),
        "{:#?}",
        world.log()
    );
    assert_eq!(world.entry("lyon"), "marilyn");
}

#[test]
fn loss_on_a_leg_is_loss_of_the_way() {
    let mut world = world(Mode::Auto);
    let mut probe = 0_u32;
    world.between = Box::new(move |from, _, at| {
        if from != "marilyn" || at < 30.0 {
            return Some(LEG);
        }
        probe += 1;
        (!probe.is_multiple_of(4)).then_some(LEG)
    });
    world.run_to(60.0);
    assert_eq!(world.entry("lyon"), "lip6");
    assert_eq!(world.proposal(1).reason.criterion, Criterion::Loss);
}

#[test]
fn after_a_switch_the_whole_way_is_watched_and_a_bad_one_is_taken_back() {
    let mut config = Config {
        mode: Mode::Auto,
        ..config()
    };
    config.policy.prove_within = Span::secs(30);
    let mut world = World::of(config);
    world.measure_legs();
    // TelcoCenter is bad for 12 s: time enough to leave it for Marilyn, 35 ms away, whose leg to the VM goes bad then.
    world.stress(("paris", "telco"), 200.0, (30.0, 41.0));
    world.between = Box::new(|from, _, at| {
        Some(if from == "marilyn" && at >= 41.0 {
            300.0
        } else {
            LEG
        })
    });
    world.run_to(42.0);
    assert_eq!(world.entry("paris"), "marilyn");
    world.run_to(80.0);
    assert_eq!(
        world.row("paris", "marilyn").state,
        LinkState::Ok,
        "the user's leg is well"
    );
    let told = world.log().join("\n");
    assert!(
        told.contains("paris/Marilyn does not keep its levels 5s after"),
        "{told}"
    );
    assert!(
        matches!(world.proposal(1).state, ProposalState::Reverted { .. }),
        "{told}"
    );
    assert_eq!(world.entry("paris"), "telco");
}

/// Where a VM would live, users enter there and the second leg falls away.
#[test]
fn advice_on_the_place_of_a_vm_goes_by_the_users_legs_to_it() {
    let mut world = world(Mode::Observe);
    world.between = Box::new(|_, _, at| (at < 30.0).then_some(LEG));
    world.wan = Box::new(|dc, user, at| {
        let base = table_5_1(dc, user);
        Some(if dc == "telco" && at >= 30.0 {
            base + 200.0
        } else {
            base
        })
    });
    world.run_to(50.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Down);
    let reply = world.ask(Command::Why {
        user: "paris".parse().unwrap(),
        vm: None,
        to: None,
    });
    let Reply::Explained { why } = reply else {
        panic!("{reply:?}")
    };
    let rung = why
        .rungs
        .iter()
        .find(|rung| rung.kind == RungKind::Migrate)
        .unwrap();
    assert_eq!(rung.to, Some("marilyn".parse().unwrap()));
    assert_eq!(rung.enough, Some(true));
}

#[test]
fn a_leg_that_recovers_is_a_way_again_after_the_level_to_enter() {
    let mut config = config();
    let sla: &mut Sla = config.sla.values_mut().next().unwrap();
    sla.watch.bands.enter = 0.8;
    sla.watch.on_violation = OnViolation::Hold;
    config.mode = Mode::Observe;
    let mut world = World::of(config);
    world.measure_legs();
    // 33 + 80 ms leaves the bound of 100; 33 + 55 is within it and not within 80 ms; 33 + 30 is.
    world.between = Box::new(|from, _, at| {
        Some(match at {
            _ if from != "marilyn" => LEG,
            at if at < 30.0 => LEG,
            at if at < 60.0 => 80.0,
            at if at < 90.0 => 55.0,
            _ => 30.0,
        })
    });
    let mut level = |at: f64| {
        world.run_to(at);
        let text = why(&mut world, "lyon", "lip6");
        text.contains("Marilyn is out of its bounds")
    };
    assert!(!level(38.0), "the slot runs");
    assert!(level(45.0));
    assert!(level(85.0), "within the bound to leave, not within that to enter");
    assert!(!level(105.0));
}

#[test]
fn a_restart_forgets_what_legs_were_and_moves_nobody() {
    let mut world = world(Mode::Auto);
    world.run_to(30.0);
    world.restart(Span::secs(3));
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Stale);
    world.run_to(60.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Ok);
    assert!(world.switches().is_empty());
}

#[test]
fn a_state_written_before_there_were_legs_is_read() {
    let mut world = world(Mode::Auto);
    world.run_to(20.0);
    let mut written = serde_json::to_value(&world.engine).unwrap();
    written.as_object_mut().unwrap().remove("legs").unwrap();
    world.engine = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(world.leg("marilyn", "telco").heard_at, None);
    world.run_to(60.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Ok);
    // One that speaks of other data centres is refused.
    written["legs"] = serde_json::json!({ "all": [], "routers": [{ "since": 0, "at": 0 }], "sweep_at": null, "dirty": [], "told_at": 0 });
    let error = serde_json::from_value::<pacao_core::Engine>(written)
        .unwrap_err()
        .to_string();
    assert!(error.contains("one leg for each two data centres"), "{error}");
}

/// A leg that was down and then silent is found down anew, and in between no card is taken off as if all were well.
#[test]
fn a_leg_that_is_still_dead_after_a_silence_is_left_and_its_card_stays() {
    let mut world = world(Mode::Recommend);
    impair(&mut world, None);
    world.run_to(60.0);
    assert_eq!(world.open().len(), 1, "{:#?}", world.log());
    // Marilyn's forwarder is connected and says nothing for a while.
    world.mute.insert("marilyn".to_owned());
    world.run_to(68.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Stale);
    world.mute.clear();
    let said = world.log().len();
    world.run_to(80.0);
    assert_eq!(world.leg("marilyn", "telco").state, LinkState::Down);
    assert_eq!(world.open().len(), 1, "{:#?}", world.log());
    let log = world.log();
    assert!(
        log[said..]
            .iter()
            .any(|line| line.contains("leg Marilyn -> TelcoCenter is down")),
        "{log:#?}"
    );
    assert!(
        !log.iter().any(|line| line.contains("the level is kept again")),
        "{log:#?}"
    );
}

/// Whatever one report says of a leg, and however often, those who go by it are looked at once.
#[test]
fn a_report_that_turns_a_leg_again_and_again_ends_as_its_last_word_has_it() {
    use pacao_core::Input;
    use proto::{NodeReport, ProbeOutcome, ProbeSample};

    let mut world = world(Mode::Auto);
    world.run_to(30.0);
    let target = config().sites["telco"].rloc;
    let sample = |outcome| ProbeSample {
        target,
        sent_at: world.now,
        outcome,
    };
    let up = [ProbeOutcome::Rtt(Span::millis(4)); 3].map(sample);
    let down = [ProbeOutcome::Lost; 3].map(sample);
    let samples: Vec<ProbeSample> = [down, up].concat().repeat(200);
    let before = world.log().len();
    world.give(Input::Report {
        site: "marilyn".parse().unwrap(),
        report: NodeReport::Probes { samples },
    });
    let told = world.log()[before..]
        .iter()
        .filter(|line| line.contains("leg "))
        .count();
    assert!(told <= 1, "{:#?}", &world.log()[before..]);
    world.run_to(60.0);
    assert_eq!(world.entry("lyon"), "marilyn", "{:#?}", world.log());
}

/// What is out of reach behind a dead leg is down, from the first probe lost to the first answer; the locators and whoever
/// takes another way are up.
#[test]
fn a_dead_leg_is_downtime_of_the_entries_that_take_it() {
    use proto::availability::Horizon;

    let mut world = world(Mode::Observe);
    world.between = Box::new(|from, to, at| {
        let dead = (from, to) == ("marilyn", "telco") && (100.0..160.0).contains(&at);
        (!dead).then_some(LEG)
    });
    world.run_to(120.0);
    // The engine is away for ten seconds: nothing is known of them.
    world.restart(Span::secs(10));
    world.run_to(300.0);
    let report = world.engine.snapshot(world.now).availability;
    let spent = |subject: &str| {
        let row = report
            .rows
            .iter()
            .find(|row| row.subject.to_string() == subject)
            .unwrap();
        let week = row.tally(Horizon::RollingWeek).unwrap();
        (week.down.as_secs_f64(), week.unknown.as_secs_f64())
    };
    let (down, unknown) = spent("lyon/web");
    assert!((46.0..=51.0).contains(&down), "{down} down, {unknown} unknown");
    assert!((9.0..=14.0).contains(&unknown), "{down} down, {unknown} unknown");
    for subject in ["paris/web", "VM web", "locator marilyn", "locator telco"] {
        assert!(spent(subject).0 < 0.1, "{subject}: {:?}", spent(subject));
    }
}
