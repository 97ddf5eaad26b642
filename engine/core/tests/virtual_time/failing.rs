//! Links down, forwarders dead, users that do not answer, silence.

use proto::{LinkState, Mode, ProposalState, Verdict};

use crate::world::{World, table_5_1};

#[test]
fn a_link_that_carries_traffic_and_goes_down_is_left_at_once() {
    let mut world = World::new(Mode::Auto);
    world.wan =
        Box::new(|dc, user, at| ((user, dc) != ("paris", "telco") || at < 30.0).then(|| table_5_1(dc, user)));
    world.run_to(60.0);
    let (at, to) = world.switches()[0].clone();
    // Three probes lost in a row, each found lost after its timeout of 2 s: no waiting for a slot.
    assert!(at > 33.0 && at < 34.1, "{at}");
    assert_eq!(
        (to.as_str(), world.held_entry("paris").as_str()),
        ("marilyn", "marilyn")
    );
    assert_eq!(world.row("paris", "telco").state, LinkState::Down);
    assert!((world.proposal(1).reason.measured - 100.0).abs() < 1e-9);
    assert!(
        world
            .log()
            .iter()
            .any(|line| line.starts_with("link paris/TelcoCenter is down: 3 probes lost"))
    );
}

#[test]
fn a_link_that_comes_back_is_up_after_three_answers() {
    let mut world = World::new(Mode::Observe);
    world.wan = Box::new(|dc, user, at| {
        ((user, dc) != ("paris", "telco") || !(30.0..40.0).contains(&at)).then(|| table_5_1(dc, user))
    });
    world.run_to(41.0);
    assert_eq!(world.row("paris", "telco").state, LinkState::Down);
    // The answers to the probes of 40.0, 40.5 and 41.0 are there; that older ones are lost is told in between.
    world.run_to(41.4);
    assert_ne!(world.row("paris", "telco").state, LinkState::Down);
    let availability = world.row("paris", "telco").availability_pct.unwrap();
    assert!(availability < 50.0, "{availability}");
    world.run_to(70.0);
    assert_eq!(world.row("paris", "telco").state, LinkState::Ok);
    assert_eq!(world.row("paris", "telco").availability_pct, Some(100.0));
}

#[test]
fn users_of_a_dead_forwarder_are_moved_and_its_links_are_shown_down() {
    let mut world = World::new(Mode::Auto);
    world.run_to(30.0);
    world.cut("telco");
    world.run_to(33.0);
    assert!(
        world.switches().is_empty(),
        "it may be back in a moment, and it forwards without the engine"
    );
    world.run_to(60.0);
    let (at, to) = world.switches()[0].clone();
    assert!((35.0..36.0).contains(&at), "{at}");
    assert_eq!(to, "marilyn");
    assert_eq!(world.row("paris", "telco").state, LinkState::Down);
    assert_eq!(world.row("lyon", "telco").state, LinkState::Down);
    assert!(
        world
            .log()
            .iter()
            .any(|line| line.starts_with("entry TelcoCenter counts as down: its forwarder"))
    );
}

#[test]
fn a_forwarder_that_is_back_in_time_moves_nobody_and_is_told_everything_again() {
    let mut world = World::new(Mode::Auto);
    world.run_to(30.0);
    world.cut("telco");
    world.run_to(33.0);
    let before = world.effects.len();
    world.connect("telco");
    let sent: Vec<_> = world.effects[before..]
        .iter()
        .filter_map(|(_, effect)| match effect {
            pacao_core::Effect::Node { site, command } => Some((site.to_string(), command.clone())),
            _ => None,
        })
        .collect();
    assert!(sent.iter().all(|(site, _)| site == "telco"));
    assert!(matches!(sent[0].1, proto::NodeCommand::Subscribe));
    assert!(matches!(&sent[1].1, proto::NodeCommand::Probe { targets } if targets.len() == 2));
    assert_eq!(sent.len(), 4, "and a view for each of two users");
    world.run_to(120.0);
    assert!(world.switches().is_empty());
    assert_eq!(world.row("paris", "telco").state, LinkState::Ok);
}

#[test]
fn when_every_forwarder_is_gone_nothing_is_decided() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(35.0);
    for site in ["telco", "marilyn", "lip6"] {
        world.cut(site);
    }
    world.run_to(600.0);
    assert!(world.proposals().is_empty());
    assert_eq!(world.row("paris", "telco").state, LinkState::Stale);
    assert!(
        world.row("paris", "telco").rtt.is_none(),
        "old figures are not shown as if they were of now"
    );
    // They come back, and the level is broken still: one whole slot later, not sooner.
    for site in ["telco", "marilyn", "lip6"] {
        world.connect(site);
    }
    world.run_to(610.0);
    assert!(world.switches().is_empty());
    world.run_to(612.0);
    assert_eq!(world.switches().len(), 1);
}

#[test]
fn when_every_link_is_down_nothing_is_proposed() {
    let mut world = World::new(Mode::Auto);
    world.wan = Box::new(|dc, user, at| (at < 30.0).then(|| table_5_1(dc, user)));
    world.run_to(300.0);
    assert!(world.proposals().is_empty());
    assert!(
        world
            .log()
            .iter()
            .any(|line| line == "paris stays with TelcoCenter: no other entry is usable and better")
    );
}

#[test]
fn a_switch_never_goes_to_a_link_that_is_down_or_stale() {
    let mut world = World::new(Mode::Auto);
    world.wan = Box::new(|dc, user, at| match (user, dc) {
        ("paris", "marilyn") if at > 20.0 => None,
        ("paris", "telco") if at > 30.0 => Some(437.0),
        _ => Some(table_5_1(dc, user)),
    });
    world.run_to(60.0);
    assert_eq!(
        world
            .switches()
            .iter()
            .map(|(_, to)| to.as_str())
            .collect::<Vec<_>>(),
        ["lip6"]
    );
}

#[test]
fn a_user_that_does_not_acknowledge_keeps_the_old_entry_and_is_told_so() {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(45.0);
    world.answering = false;
    let proposal = world.open()[0].clone();
    world.decide(&proposal, Verdict::Approve);
    world.run_to(48.0);
    assert!(matches!(world.proposal(1).state, ProposalState::Executing { .. }));
    world.answering = true;
    world.run_to(52.0);
    let ProposalState::Failed { why, .. } = world.proposal(1).state else {
        panic!()
    };
    assert_eq!(why, "paris did not acknowledge 5 messages");
    assert_eq!(
        (world.entry("paris").as_str(), world.held_entry("paris").as_str()),
        ("telco", "telco")
    );
    assert_eq!(
        world.tellings("paris").len(),
        3,
        "the session's view, the new one, and the old one again"
    );
    assert_eq!(
        world.open()[0].to.as_str(),
        "lip6",
        "what failed is not tried again at once, another is"
    );
}

#[test]
fn a_switch_nobody_reports_on_fails_in_time() {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(45.0);
    let proposal = world.open()[0].clone();
    world.decide(&proposal, Verdict::Approve);
    for site in ["telco", "marilyn", "lip6"] {
        world.cut(site);
    }
    world.run_to(54.9);
    assert!(matches!(world.proposal(1).state, ProposalState::Executing { .. }));
    world.run_to(55.1);
    assert!(matches!(world.proposal(1).state, ProposalState::Failed { .. }));
    assert_eq!(world.entry("paris"), "telco");
}

#[test]
fn a_switch_whose_teller_dies_is_told_by_another() {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(45.0);
    let proposal = world.open()[0].clone();
    world.decide(&proposal, Verdict::Approve);
    world.cut("marilyn");
    world.run_to(46.0);
    assert_eq!(world.held_entry("paris"), "marilyn");
    assert!(matches!(world.proposal(1).state, ProposalState::Confirmed { .. }));
}
