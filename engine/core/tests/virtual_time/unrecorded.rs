//! While the record cannot be written nothing moves; what was earned and set stays, and goes on afterwards.

use pacao_core::{Effect, Input};
use proto::policy::{Arming, Disarmed, Hold};
use proto::{
    Actor, ChangeId, Command, Mode, NodeCommand, ProposalState, Refusal, Reply, RequestId, Scope, Timestamp,
};

use crate::world::World;

fn failed(withheld: Vec<ChangeId>, undone: Option<RequestId>) -> Input {
    Input::RecordFailed {
        why: "no space left".to_owned(),
        withheld,
        undone,
    }
}

/// Views told since so many effects: to which forwarder, and the change.
fn told(effects: &[(Timestamp, Effect)]) -> Vec<(String, ChangeId)> {
    let told = |(_, effect): &(Timestamp, Effect)| match effect {
        Effect::Node {
            site,
            command: NodeCommand::SetLocators { change, .. },
        } => Some((site.to_string(), *change)),
        _ => None,
    };
    effects.iter().filter_map(told).collect()
}

/// A part that is set to auto goes before the mode of everything; it does not go before this.
#[test]
fn no_scoped_mode_moves_anybody_while_nothing_can_be_recorded() {
    let mut world = World::new(Mode::Recommend);
    let scope = Scope::User {
        user: "paris".parse().unwrap(),
    };
    let auto = Command::SetModeAt {
        scope,
        mode: Some(Mode::Auto),
    };
    assert!(matches!(world.ask(auto), Reply::Accepted { .. }));
    world.stress(("paris", "telco"), 400.0, (30.0, 500.0));
    world.run_to(29.0);
    world.give(failed(Vec::new(), None));
    let before = world.effects.len();
    world.run_to(100.0);
    assert_eq!(told(&world.effects[before..]), []);
    assert!(
        world
            .proposals()
            .iter()
            .all(|proposal| !matches!(proposal.state, ProposalState::Executing { .. }))
    );
    let refused = world.switch("paris", "marilyn");
    assert!(
        matches!(
            &refused,
            Reply::Refused {
                refusal: Refusal::Held {
                    hold: Hold::Unrecorded
                }
            }
        ),
        "{refused:?}"
    );
    let snapshot = world.engine.snapshot(world.now);
    let frozen = |arming: &Arming| {
        matches!(
            arming,
            Arming::Disarmed {
                how: Disarmed::Freeze,
                by: Actor::Engine,
                ..
            }
        )
    };
    assert!(frozen(&snapshot.policy.arming), "{:?}", snapshot.policy.arming);
    assert_eq!(world.engine.mode(), Mode::Recommend);

    let before = world.effects.len();
    world.give(Input::RecordMended);
    let sites: Vec<String> = told(&world.effects[before..])
        .into_iter()
        .map(|(site, _)| site)
        .collect();
    for site in ["lip6", "marilyn", "telco"] {
        assert!(
            sites.iter().any(|told| told == site),
            "{site} is told anew: {sites:?}"
        );
    }
    world.run_to(115.0);
    assert_ne!(world.entry("paris"), "telco", "the part goes on in auto");
    assert_eq!(world.engine.snapshot(world.now).policy.arming, Arming::Armed);
}

#[test]
fn a_switch_that_nobody_was_told_of_is_broken_off_and_answered_so() {
    let mut world = World::new(Mode::Recommend);
    world.answering = false;
    world.run_to(20.0);
    let request = RequestId("ada-1".to_owned());
    let switch = Command::Switch {
        user: "paris".parse().unwrap(),
        vm: "web".parse().unwrap(),
        to: "marilyn".parse().unwrap(),
    };
    let before = world.effects.len();
    let reply = world.ask_as(&request, switch.clone());
    assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
    let withheld: Vec<ChangeId> = told(&world.effects[before..])
        .into_iter()
        .map(|(_, change)| change)
        .collect();
    assert_eq!(withheld.len(), 3);
    world.give(failed(withheld, Some(request.clone())));
    let card = world.proposals().pop().unwrap();
    assert!(
        matches!(&card.state, ProposalState::Failed { why, .. } if why.contains("could not be recorded")),
        "{:?}",
        card.state
    );
    let again = world.ask_as(&request, switch.clone());
    assert!(
        matches!(
            &again,
            Reply::Refused {
                refusal: Refusal::NotRecorded { .. }
            }
        ),
        "{again:?}"
    );
    world.answering = true;
    world.give(Input::RecordMended);
    world.run_to(22.0);
    assert_eq!(world.held_entry("paris"), "telco");
    assert!(
        matches!(world.ask(switch), Reply::Accepted { .. }),
        "it can be asked for anew"
    );
    world.run_to(25.0);
    assert_eq!(world.held_entry("paris"), "marilyn");
}

/// Killed before the disk is mended: whoever takes the record up can write it.
#[test]
fn a_start_ends_the_freeze() {
    let mut world = World::new(Mode::Auto);
    world.run_to(10.0);
    world.give(failed(Vec::new(), None));
    world.restart(proto::Span::secs(1));
    assert_eq!(world.engine.snapshot(world.now).policy.arming, Arming::Armed);
}
