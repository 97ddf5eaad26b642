//! Confirmed commit (N2): a switch proves itself or is taken back.

use pacao_core::Config;
use pacao_core::config::{Budget, Calm, OnFailure, WindowKind};
use proptest::prelude::*;
use proto::proposal::Criterion;
use proto::{Command, Mode, ProposalState, Span};

use crate::policy::{crowd, frozen};
use crate::world::{World, config, table_5_1};

fn proving(mode: Mode) -> World {
    let mut config = Config { mode, ..config() };
    config.policy.prove_within = Span::secs(60);
    World::of(config)
}

/// TelcoCenter is stressed from 30 s for a while; every other entry of Paris from 42 s, once the user is there.
fn worse_there(world: &mut World, telco: f64, telco_until: f64, others: f64) {
    world.wan = Box::new(move |dc, user, at| {
        let base = table_5_1(dc, user);
        Some(match (user, dc) {
            ("paris", "telco") if (30.0..telco_until).contains(&at) => base + telco,
            ("paris", "marilyn" | "lip6") if at > 42.0 => base + others,
            _ => base,
        })
    });
}

fn state(world: &World, id: u64) -> ProposalState {
    world.proposal(id).state
}

#[test]
fn a_switch_to_a_worse_path_is_taken_back_in_time_and_recorded() {
    let mut world = proving(Mode::Auto);
    // TelcoCenter recovers right after the switch, and the new path turns bad.
    worse_there(&mut world, 400.0, 42.0, 600.0);
    world.run_to(41.5);
    assert_eq!(world.held_entry("paris"), "marilyn");
    world.run_to(120.0);
    let ProposalState::Reverted { at, why, receipt, .. } = state(&world, 1) else {
        panic!("{:?}: {:#?}", state(&world, 1), world.log());
    };
    let took = at.since(receipt.confirmed_at);
    assert!(took < Span::secs(60), "{took}");
    assert!(why.contains("Marilyn"), "{why}");
    assert_eq!(world.held_entry("paris"), "telco", "and the user is really back");
    let back = world.proposal(2);
    assert_eq!(back.reason.criterion, Criterion::Revert);
    assert!(
        matches!(back.state, ProposalState::Confirmed { .. }),
        "{:?}",
        back.state
    );
    assert!(
        world
            .log()
            .iter()
            .any(|line| line.contains("is taken back by #2"))
    );
}

#[test]
fn a_switch_that_keeps_its_levels_is_final_and_stays_so() {
    let mut world = proving(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 50.0));
    world.run_to(200.0);
    assert!(matches!(state(&world, 1), ProposalState::Confirmed { .. }));
    assert!(
        world
            .log()
            .iter()
            .any(|line| line.starts_with("switch #1 is final"))
    );
    assert_eq!(world.held_entry("paris"), "marilyn");
    assert_eq!(world.switches().len(), 1);
}

#[test]
fn where_going_back_is_no_better_a_bad_switch_stays_and_the_log_says_so() {
    let mut world = proving(Mode::Auto);
    worse_there(&mut world, 900.0, 500.0, 300.0);
    world.run_to(110.0);
    assert!(
        matches!(state(&world, 1), ProposalState::Confirmed { .. }),
        "{:?}",
        state(&world, 1)
    );
    assert!(
        world
            .log()
            .iter()
            .any(|line| line.contains("has not proved itself within")),
        "{:#?}",
        world.log()
    );
    assert_ne!(world.held_entry("paris"), "telco");
}

#[test]
fn a_switch_that_staff_approved_is_taken_back_as_well_and_one_by_hand_is_not() {
    let mut world = proving(Mode::Recommend);
    worse_there(&mut world, 400.0, 42.0, 600.0);
    world.run_to(40.8);
    let open = world.open().remove(0);
    world.decide(&open, proto::Verdict::Approve);
    world.run_to(100.0);
    assert!(
        matches!(state(&world, 1), ProposalState::Reverted { .. }),
        "{:?}",
        state(&world, 1)
    );

    let mut world = proving(Mode::Recommend);
    worse_there(&mut world, 0.0, 42.0, 600.0);
    world.run_to(41.0);
    world.switch("paris", "lip6");
    world.run_to(110.0);
    assert_eq!(world.held_entry("paris"), "lip6", "somebody wanted it there");
}

#[test]
fn a_frozen_engine_takes_nothing_back() {
    let mut world = proving(Mode::Auto);
    worse_there(&mut world, 400.0, 42.0, 600.0);
    world.run_to(43.0);
    world.ask(Command::Disarm {
        how: proto::Disarmed::Freeze,
    });
    world.run_to(120.0);
    assert_eq!(world.held_entry("paris"), "marilyn");
    assert!(
        world
            .log()
            .iter()
            .any(|line| line.contains("cannot be taken back")),
        "{:#?}",
        world.log()
    );
}

#[test]
fn a_restart_in_between_forgets_no_provisional_switch() {
    let mut world = proving(Mode::Auto);
    worse_there(&mut world, 400.0, 42.0, 600.0);
    world.run_to(44.0);
    world.restart(Span::secs(1));
    world.run_to(120.0);
    assert!(
        matches!(state(&world, 1), ProposalState::Reverted { .. }),
        "{:?}",
        state(&world, 1)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn however_bad_the_new_path_it_is_left_within_the_time(worse in 150.0..1500.0_f64, from in 41.0..70.0_f64) {
        let mut world = proving(Mode::Auto);
        world.wan = Box::new(move |dc, user, at| {
            let base = table_5_1(dc, user);
            Some(match (user, dc) {
                ("paris", "telco") if (30.0..41.0).contains(&at) => base + 400.0,
                ("paris", "marilyn" | "lip6") if at > from => base + worse,
                _ => base,
            })
        });
        world.run_to(160.0);
        let proved = world.log().iter().any(|line| line.starts_with("switch #1 is final"));
        match state(&world, 1) {
            ProposalState::Reverted { at, receipt, .. } => {
                prop_assert!(at.since(receipt.confirmed_at) < Span::secs(60));
                prop_assert_eq!(world.held_entry("paris"), "telco");
            }
            // It turned bad only after it had proved itself.
            other => prop_assert!(proved && from > 44.0, "{:?} {:#?}", other, world.log()),
        }
    }
}

/// Cards are filed away by when they ended: one that was long open is still there to be proved.
#[test]
fn a_card_that_lay_open_while_many_others_ended_is_proved_like_any() {
    let mut config = Config {
        mode: Mode::Recommend,
        ..crowd(
            70,
            Calm {
                budget: Budget::UNLIMITED,
                ..Calm::default()
            },
        )
    };
    config.policy.prove_within = Span::secs(60);
    let mut world = World::of(config);
    world.wan = Box::new(|dc, user, at| {
        let more = if dc == "telco" && at >= 30.0 { 400.0 } else { 0.0 };
        Some(table_5_1(dc, user) + more)
    });
    world.run_to(45.0);
    let open = world.open();
    assert_eq!(open.len(), 70);
    for card in &open[1..] {
        world.decide(card, proto::Verdict::Reject);
    }
    let first = world
        .open()
        .into_iter()
        .find(|card| card.id == open[0].id)
        .unwrap();
    world.decide(&first, proto::Verdict::Approve);
    world.run_to(60.0);
    let number = first.id.0;
    let last = world.log();
    assert!(
        last.iter()
            .any(|line| line.starts_with(&format!("switch #{number} is final"))),
        "{last:#?}"
    );
}

/// A freeze that began after a switch holds its way back as it holds any move, and what is said at the end names it.
#[test]
fn a_freeze_holds_the_way_back_and_is_named() {
    let mut config = Config {
        mode: Mode::Auto,
        ..config()
    };
    config.policy.prove_within = Span::secs(60);
    let mut window = frozen(WindowKind::Deny, OnFailure::Move, None);
    window.when = pacao_core::config::When::Once {
        from: 1_700_000_045,
        to: 1_700_000_300,
    };
    config.calm.windows = vec![window];
    let mut world = World::of(config);
    worse_there(&mut world, 400.0, 42.0, 600.0);
    world.run_to(120.0);
    assert!(
        matches!(state(&world, 1), ProposalState::Confirmed { .. }),
        "{:?}",
        state(&world, 1)
    );
    let log = world.log();
    assert!(
        log.iter()
            .any(|line| line.contains("could not be taken back in that time: a window was shut")),
        "{log:#?}"
    );
}
