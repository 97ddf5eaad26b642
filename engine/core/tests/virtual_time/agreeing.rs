//! "Why not?" says what the engine then does (N4): both ask the same.

use pacao_core::config::{Budget, Config, Damp};
use pacao_core::{Engine, Input};
use proptest::prelude::*;
use proto::why::{Outlook, Why};
use proto::{
    ActionClass, Actor, Command, LinkState, Mode, Proposal, ProposalState, Reply, RequestId, Span, Verdict,
};

use crate::world::{World, config, table_5_1};

fn why(world: &mut World) -> Why {
    match world.ask(Command::Why {
        user: "paris".parse().unwrap(),
        vm: None,
        to: None,
    }) {
        Reply::Explained { why } => *why,
        other => panic!("{other:?}"),
    }
}

/// What is on the desk and what is under way, after a copy of the engine looked at its entries once more.
fn after_another_look(world: &World) -> (Vec<Proposal>, Vec<Proposal>) {
    let mut engine: Engine = world.engine.clone();
    // Whatever pins a class lets the engine look at everybody; this one is of no move here.
    let class: ActionClass = "switch/price/interactive".parse().unwrap();
    let by = Actor::Operator {
        name: "bob".to_owned(),
    };
    engine.handle(
        Input::Command {
            request: RequestId("look".to_owned()),
            by,
            command: Command::PinClass {
                class,
                mode: Some(Mode::Recommend),
            },
        },
        world.now,
    );
    let proposals = engine.snapshot(world.now).proposals;
    let with = |wanted: fn(&ProposalState) -> bool| {
        let found = proposals.iter().filter(|proposal| wanted(&proposal.state));
        found.cloned().collect()
    };
    (
        with(|state| *state == ProposalState::Open),
        with(|state| matches!(state, ProposalState::Executing { .. })),
    )
}

fn is_flying(world: &World) -> bool {
    let executing = |proposal: &Proposal| matches!(proposal.state, ProposalState::Executing { .. });
    world.proposals().iter().any(executing)
}

fn is_unsure(world: &World) -> bool {
    let entry = world.entry("paris");
    matches!(
        world.row("paris", &entry).state,
        LinkState::Stale | LinkState::Warn
    )
}

/// Asks, looks again, and holds the one against the other.
fn check(world: &mut World) -> Outlook {
    if is_flying(world) {
        return Outlook::Stays;
    }
    let (before, told) = (world.open(), why(world));
    let (open, flying) = after_another_look(world);
    let at = World::seconds(world.now);
    let context = || format!("at {at} s: {told:#?}\n{open:#?}\n{flying:#?}\n{:#?}", world.log());
    let shut = told.checks.iter().find(|check| !check.holds);
    match told.outlook {
        Outlook::Moves => {
            assert_eq!(flying.len(), 1, "{}", context());
            assert_eq!(flying[0].to, told.to, "{}", context());
            assert!(shut.is_none(), "{}", context());
        }
        Outlook::Asks => {
            assert!(flying.is_empty() && open.len() == 1, "{}", context());
            assert_eq!(open[0].to, told.to, "{}", context());
        }
        Outlook::Stays => {
            // A card stands until its entry is known to keep its levels for a whole window, or to have nowhere to go.
            assert!(flying.is_empty(), "{}", context());
            assert!(
                open.is_empty() || is_unsure(world) && open == before,
                "{}",
                context()
            );
            assert!(shut.is_some(), "{}", context());
        }
    }
    told.outlook
}

fn one_user(mode: Mode) -> Config {
    let mut config = Config { mode, ..config() };
    config.users.remove("lyon");
    config
}

/// A dead entry goes to a locator that flaps rather than nowhere, and is told so.
#[test]
fn a_dead_entry_with_only_flapping_others_is_said_to_move() {
    let mut config = one_user(Mode::Observe);
    config.calm.damp = Damp {
        suppress: 1500,
        ..Damp::default()
    };
    let mut world = World::of(config);
    world.wan = Box::new(|dc, user, at| {
        let dead = match dc {
            "telco" => at > 100.0,
            // Down and up again until a minute before.
            _ => at < 60.0 && (at / 10.0) as u64 % 2 == 1,
        };
        (!dead).then(|| table_5_1(dc, user))
    });
    world.run_to(110.0);
    let flaps = world.engine.snapshot(world.now).policy.flaps;
    assert!(!flaps.is_empty());
    world.ask(Command::SetMode {
        mode: Mode::Recommend,
    });
    assert_eq!(world.open().len(), 1, "{:#?}", world.log());
    let told = why(&mut world);
    assert_eq!(told.outlook, Outlook::Asks, "{told:#?}");
    assert!(told.checks.iter().all(|check| check.holds), "{told:#?}");
    check(&mut world);
}

/// Nobody answered the last proposal: the engine asks nothing for a slot, but what it may do by itself it does.
#[test]
fn quiet_is_said_to_hold_back_only_what_it_holds_back() {
    let mut world = World::of(one_user(Mode::Recommend));
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(45.0);
    let lapses = World::seconds(world.open()[0].expires_at);
    world.run_to(lapses + 1.0);
    let told = why(&mut world);
    let quiet = told.checks.iter().find(|check| check.name == "quiet").unwrap();
    assert!(!quiet.holds && told.outlook == Outlook::Stays, "{told:#?}");
    assert_eq!(check(&mut world), Outlook::Stays);
    world.run_to(lapses + 11.0);
    assert_eq!(check(&mut world), Outlook::Asks);
    // Lapsed again; now the engine may act.
    let lapses = World::seconds(world.open()[0].expires_at);
    world.run_to(lapses + 1.0);
    world.ask(Command::SetMode { mode: Mode::Auto });
    assert!(is_flying(&world), "{:#?}", world.log());
}

/// What happens to a link for ten seconds.
#[derive(Clone, Copy, Debug)]
enum Weather {
    Fine,
    Slow(f64),
    Losing(u64),
    Dead,
}

fn weather() -> impl Strategy<Value = Weather> {
    prop_oneof![
        5 => Just(Weather::Fine),
        4 => (20.0..500.0_f64).prop_map(Weather::Slow),
        2 => (2..12_u64).prop_map(Weather::Losing),
        2 => Just(Weather::Dead),
    ]
}

/// What staff do.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Nothing,
    Mode(Mode),
    Decide(Verdict),
    Drain,
    Undrain,
    Cut,
    Freeze,
    Arm,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => Just(Deed::Nothing),
        3 => Just(Deed::Mode(Mode::Auto)),
        3 => Just(Deed::Mode(Mode::Recommend)),
        1 => Just(Deed::Mode(Mode::Observe)),
        3 => Just(Deed::Decide(Verdict::Approve)),
        2 => Just(Deed::Decide(Verdict::Reject)),
        1 => Just(Deed::Drain),
        1 => Just(Deed::Undrain),
        1 => Just(Deed::Cut),
        1 => Just(Deed::Freeze),
        2 => Just(Deed::Arm),
    ]
}

fn perform(world: &mut World, deed: Deed) {
    let dc = "telco".parse().unwrap();
    match deed {
        Deed::Nothing => {}
        Deed::Mode(mode) => {
            world.ask(Command::SetMode { mode });
        }
        Deed::Decide(verdict) => {
            if let Some(open) = world.open().pop() {
                world.decide(&open, verdict);
            }
        }
        Deed::Drain => {
            world.ask(Command::Drain { dc });
        }
        Deed::Undrain => {
            world.ask(Command::Undrain { dc });
        }
        Deed::Cut if world.is_connected("lip6") => world.cut("lip6"),
        Deed::Cut => world.connect("lip6"),
        Deed::Freeze => {
            world.ask(Command::Disarm {
                how: proto::policy::Disarmed::Freeze,
            });
        }
        Deed::Arm => {
            world.ask(Command::Arm);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn why_says_it_moves_if_and_only_if_the_next_look_moves_it(
        skies in prop::collection::vec(prop::array::uniform3(weather()), 30),
        deeds in prop::collection::vec(deed(), 30),
        hold in 1..3_u32,
        share in prop::sample::select(vec![0.1, 0.6]),
        per_hour in prop::sample::select(vec![2, 12]),
    ) {
        let mut config = one_user(Mode::Auto);
        config.calm.hold = hold;
        config.policy.gain_min_share = share;
        config.policy.cool_down = Span::secs(20);
        config.policy.proposal_ttl = Span::secs(25);
        config.calm.budget = Budget { per_hour, ..Budget::default() };
        config.calm.damp.suppress = 1800;
        let mut world = World::of(config);
        world.wan = Box::new(move |dc, user, at| {
            let ix = ["telco", "marilyn", "lip6"].iter().position(|known| *known == dc).unwrap();
            let base = table_5_1(dc, user);
            match skies[((at / 10.0) as usize).min(29)][ix] {
                Weather::Fine => Some(base),
                Weather::Slow(more) => Some(base + more),
                Weather::Losing(one_in) => (!((at * 2.0) as u64).is_multiple_of(one_in)).then_some(base),
                Weather::Dead => None,
            }
        });
        for (at, deed) in deeds.into_iter().enumerate() {
            for step in 0..8 {
                world.run_to(at as f64 * 10.0 + f64::from(step) * 1.3);
                check(&mut world);
            }
            perform(&mut world, deed);
            check(&mut world);
        }
    }
}
