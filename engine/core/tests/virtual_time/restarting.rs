//! The engine dies and takes up again from what was written down.

use proto::{Mode, ProposalState, Span, Verdict};

use crate::world::World;

#[test]
fn a_switch_in_flight_is_sent_again_and_confirmed() {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(45.0);
    let proposal = world.open()[0].clone();
    world.decide(&proposal, Verdict::Approve);
    world.restart(Span::secs(3));
    world.run_to(49.0);
    assert!(
        matches!(world.proposal(1).state, ProposalState::Confirmed { .. }),
        "{:?}",
        world.proposal(1).state
    );
    assert_eq!(
        (world.entry("paris").as_str(), world.held_entry("paris").as_str()),
        ("marilyn", "marilyn")
    );
}

#[test]
fn even_after_longer_than_its_own_deadline() {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(45.0);
    let proposal = world.open()[0].clone();
    world.decide(&proposal, Verdict::Approve);
    world.restart(Span::secs(300));
    world.run_to(346.0);
    assert!(
        matches!(world.proposal(1).state, ProposalState::Confirmed { .. }),
        "{:?}",
        world.proposal(1).state
    );
}

#[test]
fn an_open_proposal_is_still_open_and_can_be_approved_once_figures_are_fresh() {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(45.0);
    let proposal = world.open()[0].clone();
    world.restart(Span::secs(2));
    assert_eq!(world.open(), std::slice::from_ref(&proposal));
    let early = world.decide(&proposal, Verdict::Approve);
    assert!(
        matches!(early, proto::Reply::Refused { .. }),
        "nothing fresh is known yet: {early:?}"
    );
    world.run_to(50.0);
    assert_eq!(world.open(), std::slice::from_ref(&proposal));
    world.decide(&proposal, Verdict::Approve);
    world.run_to(51.0);
    assert_eq!(world.held_entry("paris"), "marilyn");
}

#[test]
fn a_restart_is_not_a_trigger_and_takes_a_whole_slot() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(39.0);
    world.restart(Span::secs(2));
    let told = world.tellings("paris").len();
    world.run_to(51.0);
    assert_eq!(world.tellings("paris").len(), told);
    assert!(world.switches().is_empty());
    world.run_to(53.0);
    assert_eq!(world.switches().len(), 1);
}

#[test]
fn views_confirmed_before_are_given_to_forwarders_and_not_told_again() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(60.0);
    let told = world.tellings("paris").len();
    world.restart(Span::secs(1));
    world.run_to(100.0);
    assert_eq!(world.tellings("paris").len(), told);
    assert_eq!(
        (world.entry("paris").as_str(), world.switches().len()),
        ("marilyn", 1)
    );
}

#[test]
fn numbers_of_proposals_and_changes_go_on_over_restarts() {
    let mut world = World::new(Mode::Recommend);
    world.run_to(20.0);
    world.switch("paris", "lip6");
    world.run_to(21.0);
    world.restart(Span::secs(1));
    world.run_to(40.0);
    world.switch("paris", "telco");
    world.run_to(41.0);
    assert_eq!(
        world
            .proposals()
            .iter()
            .map(|proposal| proposal.id.0)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    let changes: Vec<_> = world
        .effects
        .iter()
        .filter_map(|(_, effect)| match effect {
            pacao_core::Effect::Node {
                command: proto::NodeCommand::SetLocators { change, .. },
                ..
            } => Some(*change),
            _ => None,
        })
        .collect();
    assert!(changes.is_sorted_by(|a, b| a < b), "{changes:?}");
}

#[test]
fn a_forwarder_that_never_comes_back_is_given_up_a_window_later_than_one_that_left() {
    let mut world = World::new(Mode::Auto);
    world.run_to(30.0);
    world.cut("telco");
    world.restart(Span::secs(1));
    world.run_to(45.9);
    assert!(world.switches().is_empty());
    world.run_to(47.0);
    assert_eq!(world.switches().len(), 1);
}
