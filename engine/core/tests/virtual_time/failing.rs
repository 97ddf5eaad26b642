//! Links down, forwarders dead, users that do not answer, silence.

use pacao_core::{Config, Effect, Input};
use proptest::prelude::*;
use proto::node::ChangeOutcome;
use proto::{
    LinkState, Mode, NodeCommand, NodeReport, Notice, ProposalState, Refusal, Reply, Severity, Span, Verdict,
};

use crate::world::{SIGNALLING, World, config, table_5_1};

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
    assert!(matches!(sent[0].1, proto::NodeCommand::Subscribe { .. }));
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
            .any(|line| line
                == "paris is cut off at TelcoCenter and stays: no other entry is usable and better")
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
fn stale_figures_are_no_reason_to_move() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (26.0, 9999.0));
    world.run_to(30.0);
    // The slot would end at 36 s; by then the last figure is six seconds old.
    world.mute.insert("telco".to_owned());
    world.run_to(200.0);
    assert!(world.is_connected("telco"));
    assert_eq!(world.row("paris", "telco").state, LinkState::Stale);
    assert!(world.proposals().is_empty() && world.switches().is_empty());
    // Heard of again, it is broken still, and left one whole slot later.
    world.mute.clear();
    world.run_to(209.0);
    assert!(world.switches().is_empty());
    world.run_to(213.0);
    assert_eq!(world.switches().len(), 1);
}

#[test]
fn stale_figures_are_no_place_to_go_neither_for_the_engine_nor_by_hand() {
    let mut world = World::new(Mode::Auto);
    world.run_to(20.0);
    // The best entry by far, as last heard.
    world.mute.insert("marilyn".to_owned());
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(29.0);
    assert_eq!(world.row("paris", "marilyn").state, LinkState::Stale);
    let by_hand = world.switch("paris", "marilyn");
    assert!(
        matches!(
            by_hand,
            Reply::Refused {
                refusal: Refusal::Unusable { .. }
            }
        ),
        "{by_hand:?}"
    );
    world.run_to(60.0);
    let to: Vec<String> = world.switches().into_iter().map(|(_, to)| to).collect();
    assert_eq!(to, ["lip6"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whenever and for however long forwarders fall silent while levels break and links die.
    #[test]
    fn nobody_is_ever_moved_to_where_nothing_was_heard_from_within_the_limit(
        silences in prop::collection::vec(
            (prop::sample::select(vec!["telco", "marilyn", "lip6"]), any::<bool>(), 0.2..9.0_f64),
            1..30,
        ),
        dead in prop::sample::select(vec!["telco", "marilyn", "lip6"]),
    ) {
        let mut world = World::new(Mode::Auto);
        world.wan = Box::new(move |dc, user, at| {
            let wave = ((at / 23.0) as u64 + dc.len() as u64) % 3;
            let lost = dc == dead && (60.0..90.0).contains(&at);
            (!lost).then(|| table_5_1(dc, user) + if wave == 0 { 200.0 } else { 0.0 })
        });
        world.run_to(15.0);
        let stale_after = world.engine.config().policy.stale_after;
        let mut at = 15.0;
        for (site, mute, after) in silences {
            if mute {
                world.mute.insert(site.to_owned());
            } else {
                world.mute.remove(site);
            }
            at += after;
            // In steps, so that what was heard is known of the moment of each telling.
            let mut step = World::seconds(world.now);
            while step < at {
                let seen = world.effects.len();
                step += 0.1;
                world.run_to(step);
                let told = &world.effects[seen..];
                let to: Vec<_> = told.iter().filter_map(|(_, effect)| opened(effect)).collect();
                for (user, to) in to {
                    let heard = world.row(&user, &to).heard_at.unwrap();
                    let latest = heard + stale_after + proto::Span::millis(100);
                    prop_assert!(world.now <= latest, "{to} {heard:?}");
                }
            }
        }
    }
}

/// Whom a proposal that is opened or carried out leads where.
fn opened(effect: &pacao_core::Effect) -> Option<(String, String)> {
    match effect {
        pacao_core::Effect::Notify {
            notice: proto::Notice::Proposal { proposal },
        } if matches!(
            proposal.state,
            ProposalState::Open | ProposalState::Executing { .. }
        ) =>
        {
            Some((proposal.user.to_string(), proposal.to.to_string()))
        }
        _ => None,
    }
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

/// Two data centres. Marilyn is refused to Paris while TelcoCenter is only slow; then TelcoCenter dies.
fn with_marilyn_refused(mode: Mode) -> World {
    let mut config = Config { mode, ..config() };
    config.sites.remove("lip6");
    config.users.remove("lyon");
    config.policy.cool_down = Span::secs(1800);
    let mut world = World::of(config);
    world.wan = Box::new(|dc, user, at| match (dc, at) {
        ("telco", at) if at >= 60.0 => None,
        ("telco", at) if at >= 20.0 => Some(400.0),
        _ => Some(table_5_1(dc, user)),
    });
    world
}

#[test]
fn who_is_cut_off_goes_where_staff_said_no_before_rather_than_nowhere() {
    let mut world = with_marilyn_refused(Mode::Recommend);
    world.run_to(40.0);
    let open = world.open().remove(0);
    assert!(matches!(
        world.decide(&open, Verdict::Reject),
        Reply::Accepted { .. }
    ));
    world.run_to(59.0);
    assert!(
        world.open().is_empty(),
        "it was rejected while the entry was slow"
    );
    world.run_to(70.0);
    let dead = world.open();
    assert_eq!(dead.len(), 1, "{:#?}", world.log());
    assert_eq!(dead[0].to.as_str(), "marilyn");
    // Said no to now as well: that holds, and the log says what it means.
    assert!(matches!(
        world.decide(&dead[0], Verdict::Reject),
        Reply::Accepted { .. }
    ));
    world.run_to(600.0);
    assert!(world.open().is_empty());
    let snapshot = world.engine.snapshot(world.now);
    let told = snapshot
        .log
        .iter()
        .find(|entry| entry.text.contains("is cut off at TelcoCenter"));
    assert_eq!(
        told.map(|entry| entry.severity),
        Some(Severity::Error),
        "{:#?}",
        world.log()
    );
}

#[test]
fn a_switch_in_vain_is_tried_again_for_who_is_cut_off_but_not_at_once() {
    let mut world = with_marilyn_refused(Mode::Auto);
    world.answering = false;
    world.run_to(62.0);
    let before = world.tellings("paris").len();
    // It is told to go, in vain, and told its old view again; a pause; and so on.
    world.run_to(82.0);
    world.answering = true;
    world.run_to(120.0);
    assert_eq!(world.held_entry("paris"), "marilyn", "{:#?}", world.log());
    let moves = world.proposals().len();
    assert!(
        (2..=6).contains(&moves),
        "{moves} moves, {before} tellings before"
    );
}

#[test]
fn a_forwarder_has_no_say_in_what_another_was_asked_to_tell() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.answering = false;
    while !matches!(
        world.proposals().first().map(|p| p.state.clone()),
        Some(ProposalState::Executing { .. })
    ) {
        world.run_to(World::seconds(world.now) + 0.01);
    }
    let client = world.engine.config().users["paris"].rloc;
    let asked = world.effects.iter().rev().find_map(|(_, effect)| match effect {
        Effect::Node {
            site,
            command:
                NodeCommand::SetLocators {
                    change,
                    tell: proto::node::Tell::ChangePriority,
                    ..
                },
        } => Some((site.clone(), *change)),
        _ => None,
    });
    let (teller, change) = asked.unwrap();
    assert_eq!(teller.as_str(), "marilyn");
    let outcome = ChangeOutcome::Acknowledged {
        client,
        after: SIGNALLING,
        attempts: 1,
    };
    let report = NodeReport::Changed { change, outcome };
    let confirmed = |world: &World| {
        let told = |(_, effect): &(_, Effect)| {
            matches!(effect, Effect::Notify { notice: Notice::Proposal { proposal } }
                if matches!(proposal.state, ProposalState::Confirmed { .. }))
        };
        world.effects.iter().any(told)
    };
    world.give(Input::Report {
        site: "lip6".parse().unwrap(),
        report: report.clone(),
    });
    assert!(!confirmed(&world), "another's word");
    world.give(Input::Report { site: teller, report });
    assert!(confirmed(&world));
}

/// What the table shows of a dead link: all of it lost, also while the latest probes are still out, and no round trip
/// that would leave room below a bound.
#[test]
fn a_dead_link_is_shown_as_all_lost_however_many_probes_are_out() {
    let mut world = World::new(Mode::Observe);
    world.overdue_after = Some(Span::millis(100));
    world.wan =
        Box::new(|dc, user, at| ((user, dc) != ("paris", "telco") || at < 30.0).then(|| table_5_1(dc, user)));
    world.run_to(60.0);
    let row = world.row("paris", "telco");
    assert_eq!(
        (row.state, row.loss_pct),
        (LinkState::Down, Some(100.0)),
        "{row:?}"
    );
    assert_eq!(row.margin_ms, None, "{row:?}");
}

/// The links of a forwarder that dies fall silent within one probe of each other: that is one line, not one for each.
#[test]
fn the_silence_of_a_forwarder_is_one_line_and_another_silence_another() {
    let mut world = World::new(Mode::Observe);
    world.run_to(30.0);
    let said = |world: &World| -> Vec<String> {
        let log = world.log();
        log.into_iter()
            .filter(|line| line.starts_with("no word on"))
            .collect()
    };
    world.cut("telco");
    world.run_to(60.0);
    let all =
        "no word on 2 of 2 links of TelcoCenter, on the first for 5s: nothing is decided on stale figures";
    assert_eq!(said(&world), [all]);
    world.connect("telco");
    world.run_to(70.0);
    // One user's probes alone are not told any more, then the other's as well.
    world.silent.insert(("telco".to_owned(), "paris".to_owned()));
    world.run_to(80.0);
    let one = all.replace("2 of", "1 of");
    assert_eq!(said(&world), [all, one.as_str()]);
    world.cut("telco");
    world.run_to(100.0);
    assert_eq!(said(&world), [all, one.as_str(), all]);
}
