//! The engine dies and takes up again from what was written down.

use proto::{Mode, ProposalState, Span, Verdict};

use crate::world::{World, table_5_1};

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
fn even_after_its_own_deadline_as_long_as_what_it_was_approved_on_is_no_window_older() {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(45.0);
    let proposal = world.open()[0].clone();
    world.decide(&proposal, Verdict::Approve);
    world.restart(Span::secs(19));
    world.run_to(65.0);
    assert!(
        matches!(world.proposal(1).state, ProposalState::Confirmed { .. }),
        "{:?}",
        world.proposal(1).state
    );
}

/// M7: hours later nobody knows whether the target even lives.
#[test]
fn a_switch_of_long_ago_is_broken_off_and_its_user_is_told_the_old_view() {
    for away in [21, 300, 7200] {
        let mut world = World::new(Mode::Recommend);
        world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
        world.run_to(45.0);
        let proposal = world.open()[0].clone();
        assert_eq!(proposal.to.as_str(), "marilyn");
        world.decide(&proposal, Verdict::Approve);
        assert_eq!(
            world.held_entry("paris"),
            "marilyn",
            "it was told before the engine died"
        );
        world.wan = Box::new(|dc, user, at| match (dc, user) {
            ("marilyn", _) => None,
            ("telco", "paris") if at < 45.0 => Some(437.0),
            _ => Some(table_5_1(dc, user)),
        });
        world.restart(Span::secs(away));
        let back = World::seconds(world.now);
        world.run_to(back + 0.1);
        let ProposalState::Failed { why, .. } = world.proposal(1).state else {
            panic!("{:?}", world.proposal(1).state)
        };
        assert!(why.contains(&format!("approved {away} s ago")), "{why}");
        assert_eq!(
            (world.entry("paris").as_str(), world.held_entry("paris").as_str()),
            ("telco", "telco"),
            "a known place"
        );
        // Nothing is held against the target, nor against anybody's budget.
        let policy = world.engine.snapshot(world.now).policy;
        assert_eq!(policy.budgets[0].concurrent.used, 0);
        world.run_to(back + 60.0);
        assert_eq!(world.held_entry("paris"), "telco");
        assert_eq!(world.switches(), []);
    }
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
