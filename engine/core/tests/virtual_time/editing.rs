//! A session that is edited: what has a place in it goes on by name, and nobody is moved by the edit.

use pacao_core::{Config, Engine, Input};
use proptest::prelude::*;
use proto::availability::{Horizon, Subject};
use proto::policy::{Arming, Disarmed, Hold, Limit};
use proto::{Command, Mode, NodeCommand, ProposalState, Refusal, Reply, Scope, Span, Timestamp};

use crate::world::{T0, World, config};

/// A start with another session. The state written down first is that of the engine, and forwarders reconnect.
fn edit(world: &mut World, config: Config) -> String {
    let sites: Vec<String> = config.sites.keys().map(ToString::to_string).collect();
    let (engine, text) = world.engine.carried_into(config, world.now);
    let written = serde_json::to_string(&engine).unwrap();
    world.engine = serde_json::from_str(&written).unwrap();
    assert!(world.engine == engine, "it reads back as it was");
    world.give(Input::Started);
    for site in sites {
        world.connect(&site);
    }
    text
}

/// Names come first in the order, so that every number is another.
fn edited() -> Config {
    let mut config = config();
    let mut user = config.users["paris"].clone();
    user.rloc = lisp_wire::Rloc([172, 16, 1, 9].into());
    user.eid = "10.2.9.0/24".parse().unwrap();
    config.users.insert("aix".parse().unwrap(), user);
    let mut vm = config.vms["web"].clone();
    vm.eid = "10.1.0.1/32".parse().unwrap();
    config.vms.insert("api".parse().unwrap(), vm);
    let mut site = config.sites["lip6"].clone();
    site.rloc = lisp_wire::Rloc([172, 16, 0, 9].into());
    config.sites.insert("alpha".parse().unwrap(), site);
    config
}

fn ok(reply: &Reply) {
    assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
}

#[test]
fn what_staff_and_time_made_of_the_engine_goes_on_when_a_user_is_added() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(60.0);
    assert_ne!(world.entry("paris"), "telco");
    let (entry, held) = (world.entry("paris"), world.held_entry("paris"));
    let scope = Scope::User {
        user: "paris".parse().unwrap(),
    };
    ok(&world.ask(Command::SetMode {
        mode: Mode::Recommend,
    }));
    ok(&world.ask(Command::SetModeAt {
        scope: scope.clone(),
        mode: Some(Mode::Auto),
    }));
    ok(&world.ask(Command::Drain {
        dc: "lip6".parse().unwrap(),
    }));
    ok(&world.ask(Command::Disarm {
        how: Disarmed::Freeze,
    }));
    ok(&world.ask(Command::Score {
        session: proto::qoe::Session {
            user: "lyon".parse().unwrap(),
            vm: None,
            ended_at: None,
            lasted: None,
        },
        score: proto::Score::new(2).unwrap(),
        note: String::new(),
    }));
    world.run_to(62.0);
    let before = world.engine.snapshot(world.now);
    let last = world.proposals().last().unwrap().id;
    let sent = world.effects.len();

    let text = edit(&mut world, edited());
    assert!(
        text.contains("disarmed (freeze), mode recommend, draining LIP6, 1 modes of parts"),
        "{text}"
    );
    assert!(text.ends_with("nothing was dropped"), "{text}");
    assert!(world.log().contains(&text), "it is in the log");
    world.run_to(200.0);
    let after = world.engine.snapshot(world.now);
    assert!(
        matches!(
            &after.policy.arming,
            Arming::Disarmed {
                how: Disarmed::Freeze,
                ..
            }
        ),
        "{:?}",
        after.policy.arming
    );
    assert_eq!(after.policy.arming, before.policy.arming);
    assert_eq!(
        (after.mode, &after.policy.modes),
        (Mode::Recommend, &before.policy.modes)
    );
    assert_eq!(after.policy.drains.len(), 1);
    assert_eq!(after.policy.drains[0].dc.as_str(), "lip6");
    assert_eq!((world.entry("paris"), world.held_entry("paris")), (entry, held));
    assert_eq!(world.entry("aix"), "telco");
    let moved = |budget: &proto::policy::PolicyRow| budget.budgets[0].per_hour.used;
    assert_eq!((moved(&before.policy), moved(&after.policy)), (1, 1));
    assert_eq!(before.policy.flaps.len(), after.policy.flaps.len());
    let scores = |snapshot: &proto::Snapshot| snapshot.qoe.classes[0].scores;
    assert_eq!((scores(&before), scores(&after)), (1, 1));
    let counted = |snapshot: &proto::Snapshot| {
        let web = |row: &&proto::AvailabilityRow| matches!(&row.subject, Subject::Vm { vm } if vm.as_str() == "web");
        let row = snapshot.availability.rows.iter().find(web).unwrap();
        row.counted_from
    };
    assert_eq!(counted(&after), counted(&before), "accounts go on");
    let told = world.effects[sent..].iter().any(|(_, effect)| {
        matches!(effect, pacao_core::Effect::Node { command: NodeCommand::SetLocators { locators, .. }, .. }
            if locators.len() != 4)
    });
    assert!(!told, "every view has the new data centre");
    ok(&world.ask(Command::Arm));
    let reply = world.switch("lyon", "telco");
    ok(&reply);
    assert!(
        world.proposals().last().unwrap().id > last,
        "numbers are not given twice"
    );
}

#[test]
fn a_cool_down_is_not_over_for_an_edit() {
    let mut config = config();
    config.policy.cool_down = Span::secs(600);
    let mut world = World::of(config.clone());
    world.stress(("paris", "telco"), 400.0, (30.0, 60.0));
    world.run_to(60.0);
    let entry = world.entry("paris");
    assert_ne!(entry, "telco");
    let mut next = edited();
    next.policy.cool_down = Span::secs(600);
    edit(&mut world, next);
    let broken: &'static str = match entry.as_str() {
        "marilyn" => "marilyn",
        _ => "lip6",
    };
    world.stress(("paris", broken), 400.0, (60.0, 9999.0));
    world.run_to(150.0);
    assert_eq!(world.entry("paris"), entry);
    let why = world.ask(Command::Why {
        user: "paris".parse().unwrap(),
        vm: None,
        to: None,
    });
    let text = format!("{why:?}");
    assert!(text.contains("CoolDown") || text.contains("cools down"), "{text}");
}

#[test]
fn what_has_no_place_any_more_is_dropped_and_said_so() {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(50.0);
    assert_eq!(world.open().len(), 1);
    for part in ["paris", "lyon"] {
        let scope = Scope::User {
            user: part.parse().unwrap(),
        };
        ok(&world.ask(Command::SetModeAt {
            scope,
            mode: Some(Mode::Observe),
        }));
        if part == "paris" {
            ok(&world.ask(Command::SetModeAt {
                scope: Scope::User {
                    user: part.parse().unwrap(),
                },
                mode: None,
            }));
        }
    }
    world.run_to(60.0);
    ok(&world.ask(Command::Drain {
        dc: "lip6".parse().unwrap(),
    }));
    ok(&world.switch("paris", "marilyn"));
    world.run_to(65.0);
    assert_eq!(world.entry("paris"), "marilyn");
    let mut next = config();
    next.users.remove("lyon");
    next.sites.remove("lip6");
    let text = edit(&mut world, next);
    for gone in [
        "data centre lip6",
        "user lyon",
        "mode observe of user lyon",
        "drain of LIP6",
    ] {
        assert!(text.contains(gone), "{gone}: {text}");
    }
    assert!(world.open().is_empty());
    world.run_to(100.0);
    assert_eq!(
        world.entry("paris"),
        "marilyn",
        "where it was, not where it began"
    );
    let snapshot = world.engine.snapshot(world.now);
    assert!(snapshot.policy.modes.is_empty() && snapshot.policy.drains.is_empty());
}

/// A switch under way ends with the old view, which is told again.
#[test]
fn a_switch_under_way_is_ended_and_the_old_view_told() {
    let mut world = World::new(Mode::Recommend);
    world.run_to(20.0);
    world.answering = false;
    ok(&world.switch("paris", "marilyn"));
    let id = world.proposals().last().unwrap().id;
    world.answering = true;
    edit(&mut world, edited());
    world.run_to(25.0);
    let card = world.proposal(id.0);
    assert!(
        matches!(&card.state, ProposalState::Failed { why, .. } if why.contains("edited")),
        "{:?}",
        card.state
    );
    assert_eq!(
        (world.entry("paris"), world.held_entry("paris")),
        ("telco".into(), "telco".into())
    );
}

#[test]
fn an_engine_that_could_not_record_is_not_frozen_for_ever_by_an_edit() {
    let mut world = World::new(Mode::Auto);
    world.run_to(20.0);
    world.give(Input::RecordFailed {
        why: "full".into(),
        withheld: Vec::new(),
        undone: None,
    });
    let refused = world.switch("paris", "marilyn");
    assert!(matches!(
        refused,
        Reply::Refused {
            refusal: Refusal::Held {
                hold: Hold::Unrecorded
            }
        }
    ));
    edit(&mut world, edited());
    world.run_to(30.0);
    ok(&world.switch("paris", "marilyn"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever happened before and whatever is edited: the state fits its session, and everything goes on.
    #[test]
    fn any_state_goes_on_in_any_session(
        steps in prop::collection::vec((0..900_000_u64, crate::random::input()), 1..120),
        later in prop::collection::vec((0..900_000_u64, crate::random::input()), 1..60),
        gone in prop::collection::btree_set(prop::sample::select(vec!["paris", "lyon", "lip6", "telco", "web"]), 0..4),
        more in any::<bool>(),
    ) {
        let mut engine = Engine::new(config(), T0);
        let mut at = T0;
        for (step, input) in steps {
            at = at + Span(step);
            engine.handle(input, at);
        }
        let mut next = if more { edited() } else { config() };
        next.users.retain(|name, _| !gone.contains(name.as_str()));
        next.sites.retain(|name, _| !gone.contains(name.as_str()));
        next.vms.retain(|name, _| !gone.contains(name.as_str()));
        let (carried, _) = engine.carried_into(next, at);
        let written = serde_json::to_string(&carried).unwrap();
        let mut engine: Engine = serde_json::from_str(&written).unwrap();
        prop_assert!(engine == carried);
        engine.handle(Input::Started, at);
        for (step, input) in later {
            at = at + Span(step);
            engine.handle(input, at);
            prop_assert!(engine.next_deadline().is_none_or(|next| next > at));
            let _ = engine.snapshot(at);
        }
    }
}

/// The same session again: nothing is lost by an edit that is taken back.
#[test]
fn an_edit_and_its_undoing_leave_accounts_as_they_were() {
    let mut world = World::new(Mode::Observe);
    world.stress(("paris", "telco"), 200.0, (100.0, 200.0));
    world.wan = Box::new(|dc, user, at| {
        let dead = dc == "telco" && user == "paris" && (100.0..200.0).contains(&at);
        (!dead).then(|| crate::world::table_5_1(dc, user))
    });
    world.run_to(400.0);
    let down = |engine: &Engine, now: Timestamp| {
        let snapshot = engine.snapshot(now);
        let paris = |row: &&proto::AvailabilityRow| matches!(&row.subject, Subject::Entry { user, .. } if user.as_str() == "paris");
        let row = snapshot.availability.rows.iter().find(paris).unwrap();
        row.tally(Horizon::RollingWeek).map(|tally| tally.down).unwrap()
    };
    let before = down(&world.engine, world.now);
    assert!(before > Span::secs(80), "{before:?}");
    edit(&mut world, edited());
    edit(&mut world, config());
    assert_eq!(down(&world.engine, world.now), before);
}

/// Paris is moved off TelcoCenter, which recovers; where he went turns bad for him once `turns_bad`.
fn proving(turns_bad: f64) -> (Config, World) {
    let mut config = config();
    config.policy.prove_within = Span::secs(60);
    let mut world = World::of(config.clone());
    world.wan = Box::new(move |dc, user, at| {
        let base = crate::world::table_5_1(dc, user);
        Some(match (user, dc) {
            ("paris", "telco") if (30.0..42.0).contains(&at) => base + 400.0,
            ("paris", "marilyn" | "lip6") if at > turns_bad => base + 600.0,
            _ => base,
        })
    });
    world.run_to(42.0);
    assert_eq!(world.entry("paris"), "marilyn");
    (config, world)
}

/// N2: whoever adds a user makes no bad switch of another's final.
#[test]
fn a_switch_goes_on_proving_itself_in_an_edited_session() {
    let (before, mut world) = proving(43.0);
    let mut next = edited();
    next.policy = before.policy;
    let text = edit(&mut world, next);
    assert!(
        text.contains("scores, 1 switches that have still to prove themselves; nothing"),
        "{text}"
    );
    world.run_to(120.0);
    assert_eq!(world.held_entry("paris"), "telco", "{:#?}", world.log());
    assert!(
        matches!(world.proposal(1).state, ProposalState::Reverted { .. }),
        "{:?}",
        world.proposal(1).state
    );
}

#[test]
fn a_good_switch_is_final_no_sooner_than_new_figures_show_it() {
    let (before, mut world) = proving(9999.0);
    let mut next = edited();
    next.policy = before.policy;
    world.run_to(44.0);
    edit(&mut world, next);
    let finals = |world: &World| {
        let log = world.log();
        log.iter().filter(|line| line.contains("is final:")).count()
    };
    world.run_to(48.9);
    assert_eq!(finals(&world), 0);
    world.run_to(50.0);
    assert_eq!(finals(&world), 1, "{:#?}", world.log());
}

/// The hour's room for its way back is kept as well.
#[test]
fn an_edit_spends_no_room_that_was_kept_for_a_way_back() {
    let budget = pacao_core::config::Budget {
        per_hour: 2,
        ..Default::default()
    };
    let (before, mut world) = proving(44.0);
    let mut next = edited();
    next.policy = before.policy;
    next.calm.budget = budget;
    edit(&mut world, next);
    world.run_to(43.9);
    let refused = world.switch("lyon", "lip6");
    assert!(
        matches!(
            crate::policy::held(&refused),
            Hold::Budget {
                limit: Limit::PerHour,
                ..
            }
        ),
        "{refused:?}"
    );
    world.run_to(120.0);
    assert_eq!(world.held_entry("paris"), "telco", "{:#?}", world.log());
}

#[test]
fn a_switch_is_final_where_an_edit_takes_what_it_is_held_against() {
    type Edit = fn(&mut Config);
    let edits: [Edit; 4] = [
        |config| {
            config.sites.remove("telco");
            config.vms.get_mut("web").unwrap().home = "lip6".parse().unwrap();
            let paris = config.users.get_mut("paris").unwrap();
            paris.vms = [("web".parse().unwrap(), "lip6".parse().unwrap())].into();
        },
        |config| config.policy.prove_within = Span::ZERO,
        |config| {
            let slow = config.sla["interactive"].clone();
            config.sla.insert("slow".parse().unwrap(), slow);
            config.users.get_mut("paris").unwrap().sla = "slow".parse().unwrap();
        },
        |config| {
            config.users.remove("paris");
        },
    ];
    for (at, change) in edits.into_iter().enumerate() {
        let (mut next, mut world) = proving(43.0);
        change(&mut next);
        let text = edit(&mut world, next);
        assert!(
            text.contains("the proof of 1 switches, which are final"),
            "{at}: {text}"
        );
        world.run_to(120.0);
        assert!(
            !world.log().iter().any(|line| line.contains("is taken back")),
            "{at}"
        );
    }
}
