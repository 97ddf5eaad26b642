//! Anything may happen to the fabric, the engine and its staff for a while; what must hold all the same, and
//! where it must end.

use std::collections::BTreeMap;

use pacao_core::{Engine, decisions};
use proptest::prelude::*;
use proto::{Command, LinkState, Mode, Notice, ProposalState, Span, Verdict};

use crate::world::{T0, World, config, table_5_1};

const SITES: [&str; 3] = ["telco", "marilyn", "lip6"];
const USERS: [&str; 2] = ["paris", "lyon"];

#[derive(Clone, Debug)]
enum Happening {
    /// A link takes so much longer; `None`: it is cut.
    Stress {
        user: &'static str,
        dc: &'static str,
        more: Option<f64>,
    },
    Cut(&'static str),
    Connect(&'static str),
    Restart,
    Decide(Verdict),
    Switch {
        user: &'static str,
        to: &'static str,
    },
    Mode(Mode),
    Answering(bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    let (user, dc) = (
        || prop::sample::select(USERS.to_vec()),
        || prop::sample::select(SITES.to_vec()),
    );
    let more = prop_oneof![2 => Just(Some(0.0)), 5 => (50.0..1500.0_f64).prop_map(Some), 2 => Just(None)];
    prop_oneof![
        12 => (user(), dc(), more).prop_map(|(user, dc, more)| Happening::Stress { user, dc, more }),
        2 => dc().prop_map(Happening::Cut),
        3 => dc().prop_map(Happening::Connect),
        1 => Just(Happening::Restart),
        4 => prop_oneof![4 => Just(Verdict::Approve), 1 => Just(Verdict::Reject)].prop_map(Happening::Decide),
        2 => (user(), dc()).prop_map(|(user, to)| Happening::Switch { user, to }),
        1 => prop_oneof![Just(Mode::Observe), Just(Mode::Recommend)].prop_map(Happening::Mode),
        2 => Just(Happening::Mode(Mode::Auto)),
        2 => any::<bool>().prop_map(Happening::Answering),
    ]
}

type Stresses = BTreeMap<(&'static str, &'static str), Option<f64>>;

fn apply(world: &mut World, stresses: &mut Stresses, happening: &Happening) {
    match happening {
        Happening::Stress { user, dc, more } => {
            stresses.insert((user, dc), *more);
            set_wan(world, stresses.clone());
        }
        Happening::Cut(site) if world.is_connected(site) => world.cut(site),
        Happening::Connect(site) if !world.is_connected(site) => world.connect(site),
        Happening::Cut(_) | Happening::Connect(_) => {}
        Happening::Restart => world.restart(Span::secs(2)),
        Happening::Decide(verdict) => {
            if let Some(proposal) = world.open().first().cloned() {
                world.decide(&proposal, *verdict);
            }
        }
        Happening::Switch { user, to } => {
            world.switch(user, to);
        }
        Happening::Mode(mode) => {
            world.ask(Command::SetMode { mode: *mode });
        }
        Happening::Answering(answering) => world.answering = *answering,
    }
}

fn set_wan(world: &mut World, stresses: Stresses) {
    world.wan = Box::new(move |dc, user, _| {
        let at = stresses.iter().find(|((of, by), _)| *of == user && *by == dc);
        at.map_or(Some(0.0), |(_, more)| *more)
            .map(|more| table_5_1(dc, user) + more)
    });
}

/// A switch is only ever begun to an entry that is neither down nor silent at that moment.
fn begins_only_where_it_can_end(world: &World, from: usize) -> Result<(), TestCaseError> {
    for (_, effect) in &world.effects[from..] {
        let pacao_core::Effect::Notify {
            notice: Notice::Proposal { proposal },
        } = effect
        else {
            continue;
        };
        if matches!(proposal.state, ProposalState::Executing { .. }) {
            let state = world.row(proposal.user.as_str(), proposal.to.as_str()).state;
            prop_assert!(
                !matches!(state, LinkState::Down | LinkState::Stale),
                "to {}: {state:?}",
                proposal.to
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn after_any_disorder_users_end_where_the_engine_thinks_they_are_and_within_their_levels(
        story in prop::collection::vec((0.2..12.0_f64, happening()), 1..30),
    ) {
        let mut world = World::new(Mode::Auto);
        let mut stresses = Stresses::new();
        let mut at = 15.0;
        world.run_to(at);
        for (wait, happening) in &story {
            let from = world.effects.len();
            apply(&mut world, &mut stresses, happening);
            // Right after the command: the rows are of the moment the switch began.
            if matches!(happening, Happening::Decide(_) | Happening::Switch { .. }) {
                begins_only_where_it_can_end(&world, from)?;
            }
            at = at.max(World::seconds(world.now)) + wait;
            world.run_to(at);
        }
        // Peace: all is connected, users answer, the engine acts, and just one link of each user is bad.
        world.answering = true;
        for site in SITES {
            apply(&mut world, &mut stresses, &Happening::Connect(site));
        }
        stresses = [(("paris", "telco"), Some(400.0)), (("lyon", "marilyn"), Some(400.0))].into();
        set_wan(&mut world, stresses);
        world.ask(Command::SetMode { mode: Mode::Auto });
        // What went wrong in the disorder may have cost a class its standing; here it is about what it does in auto.
        for row in world.engine.snapshot(world.now).policy.autonomy {
            world.ask(Command::PinClass { class: row.class, mode: Some(Mode::Auto) });
        }
        // Longer than the longest cool-down that this disorder can have brought about.
        world.run_to(at + 1800.0);
        for user in USERS {
            prop_assert_eq!(world.held_entry(user), world.entry(user), "what {} holds", user);
            let row = world.row(user, &world.entry(user));
            prop_assert_eq!(row.state, LinkState::Ok, "{} by {}", user, row.link.dc);
        }
        let under_way = world.proposals().into_iter().filter(|proposal| !proposal.state.is_over()).count();
        prop_assert_eq!(under_way, 0);

        // And all of it again from the record.
        let mut again = Engine::new(world.engine.config().clone(), T0);
        let replayed: Vec<_> =
            world.inputs.iter().flat_map(|(at, input)| again.handle(input.clone(), *at)).collect();
        let first: Vec<_> = world.effects.iter().map(|(_, effect)| effect.clone()).collect();
        prop_assert!(decisions(&replayed).eq(decisions(&first)));
        prop_assert!(again == world.engine);
        prop_assert_eq!(again.config(), &pacao_core::Config { mode: Mode::Auto, ..config() });
    }
}
