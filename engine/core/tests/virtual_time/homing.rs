//! Where a VM lives goes by what forwarders say. By the session it lives at TelcoCenter; Paris enters there, Lyon by Marilyn.

mod believing;
mod lasting;

use pacao_core::{Config, Effect, Input};
use proto::availability::Horizon;
use proto::node::{Residence, ResidentRow};
use proto::{
    Audience, Command, LinkState, Mode, NodeCommand, NodeReport, ProposalState, Reply, Span, Timestamp,
    Verdict,
};

use crate::world::{LEG, T0, World, config};

const ELSEWHERE: Residence = Residence::Elsewhere;
/// By the node's own file.
const CONFIGURED: Residence = Residence::Here { since: None };

fn world(mode: Mode) -> World {
    let mut world = World::new(mode);
    world.measure_legs();
    world
}

/// All forwarders have said what the session says, at 20 s.
fn settled(mode: Mode) -> World {
    let mut world = world(mode);
    world.run_to(20.0);
    for (site, word) in [("telco", CONFIGURED), ("marilyn", ELSEWHERE), ("lip6", ELSEWHERE)] {
        says(&mut world, site, word);
    }
    world
}

fn says(world: &mut World, site: &str, residence: Residence) {
    let eid = world.engine.config().vms["web"].eid;
    let rows = vec![ResidentRow { eid, residence }];
    report(world, site, rows);
}

fn report(world: &mut World, site: &str, rows: Vec<ResidentRow>) {
    let site = site.parse().unwrap();
    let report = NodeReport::Residents { rows };
    world.give(Input::Report { site, report });
}

/// The clock of the site is right.
fn arrived(world: &World) -> Residence {
    let since = Some(world.now);
    Residence::Here { since }
}

/// The VM moves; the site that it left hears of it half a second later.
fn moves(world: &mut World, from: &str, to: &str) {
    let here = arrived(world);
    says(world, to, here);
    let heard = World::seconds(world.now) + 0.5;
    world.run_to(heard);
    says(world, from, ELSEWHERE);
}

/// As the mark in the RLOCs pane has it.
fn home(world: &World) -> String {
    let rows = world.engine.snapshot(world.now).rlocs;
    let homes: Vec<String> = rows
        .iter()
        .filter(|row| row.home)
        .map(|row| row.dc.to_string())
        .collect();
    assert_eq!(homes.len(), 2, "one for each user: {homes:?}");
    assert_eq!(homes[0], homes[1]);
    homes[0].clone()
}

fn logged(world: &World, text: &str) -> usize {
    world.log().iter().filter(|line| line.contains(text)).count()
}

/// Which data centres a forwarder was told last to probe.
fn probed(world: &World, site: &str) -> Vec<String> {
    let sites = &world.engine.config().sites;
    let mut told = world.effects.iter().filter_map(|(_, effect)| match effect {
        Effect::Node {
            site: of,
            command: NodeCommand::Probe { targets },
        } if of.as_str() == site => Some(targets),
        _ => None,
    });
    let targets = told.next_back().unwrap();
    let probed = |site: &&pacao_core::config::Site| targets.iter().any(|target| target.rloc == site.rloc);
    sites
        .values()
        .filter(probed)
        .map(|site| site.label.clone())
        .collect()
}

/// Who was told what everyone is to be told, and to enter by which, after so many effects.
fn told_to_all(world: &World, after: usize) -> Vec<(String, String)> {
    let told = |(_, effect): &(Timestamp, Effect)| match effect {
        Effect::Node {
            site,
            command:
                NodeCommand::SetLocators {
                    audience: Audience::Everyone,
                    locators,
                    ..
                },
        } => Some((site.to_string(), locators[0].rloc.to_string())),
        _ => None,
    };
    world.effects[after..].iter().filter_map(told).collect()
}

/// Whether users' own views were told after so many effects.
fn views_told(world: &World, after: usize) -> bool {
    world.effects[after..].iter().any(|(_, effect)| {
        matches!(effect, Effect::Node { command: NodeCommand::SetLocators { audience, .. }, .. }
            if *audience != Audience::Everyone)
    })
}

#[test]
fn forwarders_are_asked_of_the_vms_of_the_session() {
    let world = World::new(Mode::Observe);
    let asked = world.effects.iter().any(|(_, effect)| {
        matches!(effect, Effect::Node { command: NodeCommand::Subscribe { residents }, .. }
            if residents.iter().map(ToString::to_string).eq(["10.1.0.7/32"]))
    });
    assert!(asked);
}

#[test]
fn a_vm_that_arrives_lives_there_and_its_users_enter_there_with_it() {
    let mut world = settled(Mode::Auto);
    assert_eq!((home(&world).as_str(), logged(&world, "lives at")), ("telco", 0));
    assert_eq!(probed(&world, "lip6"), ["TelcoCenter"]);
    world.run_to(30.0);
    let before = world.effects.len();
    moves(&mut world, "telco", "lip6");
    assert_eq!(home(&world), "lip6");
    assert_eq!(logged(&world, "web lives at LIP6 now (was TelcoCenter)"), 1);
    // Their forwarders have told them: Algorithm 1.
    assert_eq!(
        (world.entry("paris").as_str(), world.entry("lyon").as_str()),
        ("lip6", "lip6")
    );
    let views = |world: &World, from: usize| {
        let set = |(_, effect): &&(Timestamp, Effect)| {
            matches!(
                effect,
                Effect::Node {
                    command: NodeCommand::SetLocators { .. },
                    ..
                }
            )
        };
        world.effects[from..].iter().filter(set).count()
    };
    for from in ["marilyn", "lip6"] {
        world.silent.insert((from.to_owned(), "telco".to_owned()));
    }
    assert_eq!(views(&world, before), 0, "late packets go on from TelcoCenter");
    // Legs are those to LIP6.
    assert_eq!(
        (probed(&world, "lip6").len(), probed(&world, "telco")),
        (0, vec!["LIP6".to_owned()])
    );
    world.run_to(60.0);
    let legs = world.engine.snapshot(world.now).legs;
    let ends: Vec<(&str, &str)> = legs
        .iter()
        .map(|leg| (leg.from.as_str(), leg.to.as_str()))
        .collect();
    assert_eq!(ends, [("marilyn", "lip6"), ("telco", "lip6")]);
    assert!(legs.iter().all(|leg| leg.rtt.is_some()), "{legs:?}");
    assert_eq!(
        logged(&world, "nothing is heard of leg"),
        0,
        "nobody probes the others any more"
    );
    // A minute after, their views are in force everywhere: three forwarders, two users.
    world.run_to(92.0);
    assert_eq!(views(&world, before), 6);
    assert_eq!(
        (
            world.held_entry("paris").as_str(),
            world.held_entry("lyon").as_str()
        ),
        ("lip6", "lip6")
    );
    assert!(world.switches().is_empty());
}

#[test]
fn what_is_chosen_goes_by_the_legs_to_where_the_vm_lives_now() {
    for (moved, want) in [(false, "marilyn"), (true, "telco")] {
        let mut world = settled(Mode::Auto);
        // From Marilyn it is far to LIP6 and near to TelcoCenter.
        world.between = Box::new(|from, to, _| {
            Some(if (from, to) == ("marilyn", "lip6") {
                60.0
            } else {
                LEG
            })
        });
        world.run_to(30.0);
        if moved {
            moves(&mut world, "telco", "lip6");
        }
        world.run_to(60.0);
        let (entry, there) = if moved {
            ("lip6", "lip6")
        } else {
            ("telco", "telco")
        };
        assert_eq!(
            (world.entry("paris").as_str(), home(&world).as_str()),
            (entry, there)
        );
        world.stress(("paris", entry), 400.0, (60.0, 999.0));
        world.run_to(90.0);
        assert_eq!(world.entry("paris"), want);
    }
}

#[test]
fn nobody_is_moved_or_counted_down_for_a_dead_leg_to_where_the_vm_lived() {
    for (dead, moved, down) in [("telco", 0, false), ("lip6", 1, true)] {
        let mut world = settled(Mode::Auto);
        moves(&mut world, "telco", "lip6");
        world.run_to(100.0);
        assert!(matches!(world.switch("lyon", "marilyn"), Reply::Accepted { .. }));
        world.run_to(140.0);
        assert_eq!(world.entry("lyon"), "marilyn");
        let before = world.switches().len();
        world.between = Box::new(move |from, to, _| ((from, to) != ("marilyn", dead)).then_some(LEG));
        world.run_to(200.0);
        assert_eq!(world.switches().len() - before, moved, "{:#?}", world.log());
        let rows = world.engine.snapshot(world.now).availability.rows;
        let lyon = rows
            .iter()
            .find(|row| row.subject.to_string() == "lyon/web")
            .unwrap();
        let counted = lyon.tally(Horizon::RollingWeek).unwrap();
        assert_eq!(counted.down > Span::ZERO, down, "{counted:?}");
    }
}

/// A second VM stays at TelcoCenter, which Lyon reaches over a leg that is dead by then.
#[test]
fn legs_are_what_they_were_when_a_move_makes_more_of_them() {
    let mut both = Config {
        mode: Mode::Observe,
        ..config()
    };
    let mut api = both.vms["web"].clone();
    api.eid = "10.1.0.8/32".parse().unwrap();
    both.vms.insert("api".parse().unwrap(), api);
    let lyon = both.users.get_mut("lyon").unwrap();
    lyon.vms
        .insert("api".parse().unwrap(), "marilyn".parse().unwrap());
    let mut world = World::of(both);
    world.measure_legs();
    world.between = Box::new(|from, to, at| ((from, to) != ("marilyn", "telco") || at < 30.0).then_some(LEG));
    world.run_to(20.0);
    says(&mut world, "telco", CONFIGURED);
    says(&mut world, "lip6", ELSEWHERE);
    world.run_to(33.5);
    let before = (world.leg("marilyn", "telco"), world.leg("lip6", "telco"));
    assert_eq!(before.0.state, LinkState::Down);
    moves(&mut world, "telco", "lip6");
    assert_eq!(probed(&world, "marilyn"), ["LIP6", "TelcoCenter"]);
    let after = (world.leg("marilyn", "telco"), world.leg("lip6", "telco"));
    assert_eq!((after.0.state, after.1.state), (before.0.state, before.1.state));
    assert_eq!(
        (after.0.carries, after.1.rtt.is_some()),
        (1, true),
        "web's users take it no more"
    );
    world.run_to(90.0);
    assert_eq!(world.leg("marilyn", "lip6").state, LinkState::Ok);
    let rows = world.engine.snapshot(world.now).availability.rows;
    let down = |subject: &str| {
        let row = rows
            .iter()
            .find(|row| row.subject.to_string() == subject)
            .unwrap();
        row.tally(Horizon::RollingWeek).unwrap().down.as_secs_f64()
    };
    // Counted to some seconds ago; the other was down until the move.
    assert!(down("lyon/api") > 50.0, "{}", down("lyon/api"));
    assert!((2.0..5.0).contains(&down("lyon/web")), "{}", down("lyon/web"));
}

#[test]
fn a_leg_that_was_dead_when_the_vm_left_is_nobodys_trouble_any_more() {
    let mut world = settled(Mode::Recommend);
    world.between = Box::new(|from, to, at| ((from, to) != ("marilyn", "telco") || at < 30.0).then_some(LEG));
    world.run_to(45.0);
    let open = world.open()[0].clone();
    assert_eq!((open.user.as_str(), open.to.as_str()), ("lyon", "lip6"));
    moves(&mut world, "telco", "marilyn");
    let ended = world.proposal(1);
    assert!(
        matches!(&ended.state, ProposalState::Superseded { why, .. } if !why.is_empty()),
        "{ended:?}"
    );
    let refused = world.decide(&open, Verdict::Approve);
    assert!(matches!(refused, Reply::Refused { .. }), "{refused:?}");
    world.run_to(120.0);
    assert!(
        world.open().is_empty() && world.switches().is_empty(),
        "{:#?}",
        world.log()
    );
}

/// The VM is at LIP6 by the nodes' files: it did not arrive there, and nobody was told to enter there.
#[test]
fn a_home_that_was_only_misstated_leaves_entries_alone_and_gives_open_proposals_another_revision() {
    let mut world = world(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(45.0);
    let open = world.open()[0].clone();
    assert_eq!((open.to.as_str(), open.reason.expected), ("marilyn", 39.0));
    world.between = Box::new(|_, to, _| Some(if to == "lip6" { 9.0 } else { LEG }));
    for (site, word) in [
        ("telco", CONFIGURED),
        ("lip6", CONFIGURED),
        ("lip6", ELSEWHERE),
        ("telco", ELSEWHERE),
    ] {
        says(&mut world, site, word);
        assert_eq!(
            (home(&world).as_str(), world.open()[0].revision),
            ("telco", open.revision)
        );
    }
    says(&mut world, "lip6", CONFIGURED);
    assert_eq!(
        (home(&world).as_str(), world.entry("lyon").as_str()),
        ("lip6", "marilyn")
    );
    let again = world.open()[0].clone();
    assert_eq!((again.id, again.revision > open.revision), (open.id, true));
    let stale = world.decide(&open, Verdict::Approve);
    assert!(matches!(stale, Reply::Refused { .. }), "{stale:?}");
}

#[test]
fn what_everyone_is_told_is_told_to_where_the_vm_lives() {
    let mut world = settled(Mode::Recommend);
    moves(&mut world, "telco", "marilyn");
    world.run_to(90.0);
    for user in ["paris", "lyon"] {
        assert!(matches!(world.switch(user, "lip6"), Reply::Accepted { .. }));
        let later = World::seconds(world.now) + 1.0;
        world.run_to(later);
    }
    let all = |site: &str| vec![(site.to_owned(), "172.16.0.3".to_owned())];
    assert_eq!(
        told_to_all(&world, 0),
        all("marilyn"),
        "its registration is there"
    );
    let before = world.effects.len();
    world.cut("telco");
    world.connect("telco");
    assert_eq!(told_to_all(&world, before), []);
    says(&mut world, "telco", ELSEWHERE);
    assert_eq!(told_to_all(&world, before), []);
    world.cut("marilyn");
    world.connect("marilyn");
    assert_eq!(told_to_all(&world, before), [], "it may have left meanwhile");
    let since = Some(T0 + Span::secs(20));
    says(&mut world, "marilyn", Residence::Here { since });
    assert_eq!(told_to_all(&world, before), all("marilyn"));
    assert_eq!(logged(&world, "lives at"), 1);
    // With another move all are told to enter there, by the forwarders.
    let before = world.effects.len();
    moves(&mut world, "marilyn", "telco");
    assert_eq!(
        (home(&world).as_str(), told_to_all(&world, before)),
        ("telco", vec![])
    );
    world.cut("telco");
    world.connect("telco");
    let since = Some(world.now - Span::millis(500));
    says(&mut world, "telco", Residence::Here { since });
    assert_eq!(told_to_all(&world, before), []);
}

#[test]
fn a_switch_under_way_is_told_again_after_an_arrival() {
    let mut world = settled(Mode::Recommend);
    assert!(matches!(world.switch("paris", "marilyn"), Reply::Accepted { .. }));
    let told = world.tellings("paris").len();
    let here = arrived(&world);
    says(&mut world, "lip6", here);
    assert_eq!(world.tellings("paris").len(), told + 1);
    world.run_to(21.0);
    assert_eq!(
        (world.entry("paris").as_str(), world.entry("lyon").as_str()),
        ("marilyn", "lip6")
    );
    assert_eq!(world.held_entry("paris"), "marilyn");
}

#[test]
fn why_speaks_of_the_leg_to_the_new_home() {
    let mut world = settled(Mode::Observe);
    moves(&mut world, "telco", "lip6");
    world.run_to(90.0);
    let reply = world.ask(Command::Why {
        user: "paris".parse().unwrap(),
        vm: None,
        to: Some("marilyn".parse().unwrap()),
    });
    let Reply::Explained { why } = reply else {
        panic!("{reply:?}")
    };
    let text = format!("{why:?}");
    assert!(
        text.contains("on to LIP6") && !text.contains("on to TelcoCenter"),
        "{text}"
    );
}

#[test]
fn a_switch_that_had_to_prove_itself_is_over_when_its_user_goes_along_with_the_vm() {
    let mut proving = Config {
        mode: Mode::Auto,
        ..config()
    };
    proving.policy.prove_within = Span::secs(30);
    let mut world = World::of(proving);
    world.measure_legs();
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(20.0);
    says(&mut world, "lip6", ELSEWHERE);
    world.run_to(42.0);
    assert_eq!(world.entry("paris"), "marilyn");
    let here = arrived(&world);
    says(&mut world, "lip6", here);
    world.run_to(120.0);
    assert_eq!(world.entry("paris"), "lip6");
    assert_eq!(
        (logged(&world, "is final"), logged(&world, "proved itself")),
        (0, 0)
    );
}
