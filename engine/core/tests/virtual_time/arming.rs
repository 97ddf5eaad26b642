//! A start is no trigger: one window of each class goes by before the engine acts. And who goes first when there is room.

use pacao_core::config::{Budget, Calm, Config, SlidingWindow, Slots, User};
use pacao_core::{Effect, Input};
use proto::{Command, Mode, Notice, ProposalState, Reply, Span, Timestamp};

use crate::world::{T0, World, config, table_5_1};

/// Moves begun, by moment and user.
fn begun(world: &World) -> Vec<(f64, String)> {
    let began = |(at, effect): &(Timestamp, Effect)| match effect {
        Effect::Notify {
            notice: Notice::Proposal { proposal },
        } if matches!(proposal.state, ProposalState::Executing { .. }) => {
            Some((World::seconds(*at), proposal.user.to_string()))
        }
        _ => None,
    };
    world.effects.iter().filter_map(began).collect()
}

fn slow(mode: Mode) -> Config {
    let mut config = Config { mode, ..config() };
    config.policy.proposal_ttl = Span::secs(900);
    let watch = &mut config.sla.get_mut("interactive").unwrap().watch;
    watch.slots = Some(Slots {
        decide: Span::secs(60),
        settle: Span::secs(5),
        probe: Span::millis(500),
    });
    config
}

#[test]
fn a_class_of_long_slots_keeps_its_open_card_for_one_of_them_after_a_start() {
    let mut world = World::of(slow(Mode::Recommend));
    world.stress(("paris", "telco"), 400.0, (30.0, 119.0));
    world.run_to(120.0);
    assert_eq!(world.open().len(), 1);
    world.restart(Span::secs(1));
    let back = World::seconds(world.now);
    world.run_to(back + 59.0);
    assert_eq!(world.open().len(), 1, "ten seconds are no slot of this class");
    world.run_to(back + 62.0);
    assert!(world.open().is_empty());
}

#[test]
fn a_class_of_a_long_window_is_not_acted_for_before_it_is_full() {
    let mut config = config();
    let watch = &mut config.sla.get_mut("interactive").unwrap().watch;
    watch.window = Some(SlidingWindow {
        part: Span::secs(30),
        parts: 4,
    });
    let mut world = World::of(config);
    world.run_to(200.0);
    world.wan = Box::new(|dc, user, _| (dc != "telco").then(|| table_5_1(dc, user)));
    world.restart(Span::secs(1));
    let back = World::seconds(world.now);
    world.run_to(back + 119.9);
    assert_eq!(begun(&world), []);
    world.run_to(back + 122.0);
    assert_eq!(begun(&world).len(), 1);
}

#[test]
fn a_drain_of_staff_waits_for_a_window_after_a_start_as_well() {
    for dead in [false, true] {
        let mut config = Config {
            mode: Mode::Recommend,
            ..config()
        };
        // One can move before the restart.
        config.calm.budget = Budget {
            per_hour: 1,
            ..Budget::default()
        };
        let lyon = config.users["lyon"].clone();
        config.users.insert(
            "rennes".parse().unwrap(),
            User {
                rloc: lisp_wire::Rloc([172, 16, 1, 9].into()),
                eid: "10.2.9.0/24".parse().unwrap(),
                vms: [("web".parse().unwrap(), "telco".parse().unwrap())].into(),
                ..lyon
            },
        );
        let mut world = World::of(config);
        world.run_to(20.0);
        world.ask(Command::Drain {
            dc: "telco".parse().unwrap(),
        });
        assert_eq!(begun(&world).len(), 1, "the other waits for room");
        if dead {
            world.wan = Box::new(|dc, user, _| (dc != "telco").then(|| table_5_1(dc, user)));
        }
        // An hour later there is room for the other.
        world.restart(Span::secs(3601));
        let back = World::seconds(world.now);
        world.run_to(back + 9.9);
        assert_eq!(begun(&world).len(), 1, "dead: {dead}");
        world.run_to(back + 12.0);
        assert_eq!(begun(&world).len(), 2, "dead: {dead}");
    }
}

#[test]
fn staff_who_look_may_switch_before_the_first_window_is_over() {
    let mut world = World::new(Mode::Recommend);
    world.run_to(5.0);
    assert!(matches!(world.switch("paris", "lip6"), Reply::Accepted { .. }));
}

/// A late tick finds everybody due at once: who was due first is not who needs it most.
#[test]
fn room_that_an_hour_gives_back_goes_to_the_most_pressing() {
    let budget = Budget {
        per_hour: 1,
        ..Budget::default()
    };
    let mut config = Config {
        calm: Calm {
            budget,
            ..Calm::default()
        },
        ..config()
    };
    let paris = config.users["paris"].clone();
    config.users.clear();
    for n in 0..8_u8 {
        let user = User {
            rloc: lisp_wire::Rloc([172, 16, 2, n].into()),
            eid: format!("10.3.{n}.0/24").parse().unwrap(),
            ..paris.clone()
        };
        config.users.insert(format!("u{n:03}").parse().unwrap(), user);
    }
    let mut world = World::of(config);
    world.run_to(21.0);
    assert!(matches!(world.switch("u007", "lip6"), Reply::Accepted { .. }));
    world.wan = Box::new(|dc, user, at| match (dc, user) {
        ("telco", "u006") if at > 40.0 => None,
        ("telco", "u000" | "u001" | "u002" | "u003" | "u004" | "u005") if at > 30.0 => Some(437.0),
        _ => Some(table_5_1(dc, user)),
    });
    world.run_to(3620.9);
    assert_eq!(begun(&world).len(), 1);
    world.now = T0 + Span::millis(3_621_600);
    world.give(Input::Tick);
    let moves: Vec<String> = begun(&world).into_iter().map(|(_, user)| user).collect();
    assert_eq!(moves, ["u007", "u006"]);
}
