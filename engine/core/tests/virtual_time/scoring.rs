//! Users' scores: joined with what was measured, shown, and never acted on.

use pacao_core::{Effect, Input, decisions};
use proto::proposal::Criterion;
use proto::qoe::{Finding, Lack, Session};
use proto::{Actor, Command, LinkState, Mode, Notice, Refusal, Reply, RequestId, Score, Span, Timestamp};

use crate::world::{World, config, table_5_1};

fn score(user: &str, score: u8, (ended_at, lasted): (Option<Timestamp>, Option<Span>)) -> Command {
    Command::Score {
        session: Session {
            user: user.parse().unwrap(),
            vm: None,
            ended_at,
            lasted,
        },
        score: Score::new(score).unwrap(),
        note: "choppy".to_owned(),
    }
}

const NOW: (Option<Timestamp>, Option<Span>) = (None, None);

fn said(reply: Reply) -> String {
    match reply {
        Reply::Accepted { what } => what,
        Reply::Refused {
            refusal: Refusal::NotSo { why },
        } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_score_meets_what_was_measured_in_its_session() {
    let mut world = World::new(Mode::Observe);
    world.stress(("paris", "telco"), 200.0, (600.0, 9999.0));
    world.run_to(600.0);
    let early = said(world.ask(score("paris", 5, NOW)));
    assert!(
        early.contains("RTT 37.0 ms") && early.contains("all bounds kept"),
        "{early}"
    );
    world.run_to(1200.0);
    let late = said(world.ask(score("paris", 1, NOW)));
    assert!(
        late.contains("RTT 237.0 ms") && late.contains("a bound was broken"),
        "{late}"
    );
    let ended = Some(world.now - Span::secs(700));
    let of_before = said(world.ask(score("paris", 4, (ended, Some(Span::secs(120))))));
    assert!(of_before.contains("RTT 37.0 ms"), "{of_before}");
    world.run_to(1201.0);
    let row = world.engine.snapshot(world.now).qoe.classes[0].clone();
    assert_eq!((row.scores, row.unjoined), (3, 0));
    assert_eq!((row.high_while_broken.so, row.high_while_broken.of), (0, 1000));
    let lack = Finding::NotEnough {
        have: 3,
        need: 20,
        lack: Lack::Scores,
    };
    assert_eq!(row.criteria[0].finding, lack);
    assert!(
        world
            .log()
            .iter()
            .any(|line| line == "score 1 of paris/web, by ada (choppy)")
    );
}

#[test]
fn a_bound_that_weighs_nothing_is_none_that_scores_are_held_against() {
    let mut config = config();
    let class = config.sla.values_mut().next().unwrap();
    (class.weights.rtt, class.weights.jitter, class.weights.loss) = (0.0, 0.5, 0.5);
    let mut world = World::of(config);
    world.stress(("paris", "telco"), 200.0, (0.0, 9999.0));
    world.run_to(600.0);
    let told = said(world.ask(score("paris", 5, NOW)));
    assert!(
        told.contains("RTT 237.0 ms") && told.contains("all bounds kept"),
        "{told}"
    );
    world.run_to(602.0);
    let row = world.engine.snapshot(world.now).qoe.classes[0].clone();
    let held: Vec<_> = row.criteria.iter().map(|row| row.criterion).collect();
    assert_eq!(held, [Criterion::Jitter, Criterion::Loss]);
}

#[test]
fn nearly_out_is_any_bound_that_counts() {
    let mut config = config();
    let class = config.sla.values_mut().next().unwrap();
    class.rtt_ms = 45.0;
    let mut world = World::of(config.clone());
    world.run_to(60.0);
    assert_eq!(world.row("paris", "lip6").state, LinkState::Warn, "44 ms of 45");
    let class = config.sla.values_mut().next().unwrap();
    (class.weights.rtt, class.weights.jitter, class.weights.loss) = (0.0, 0.5, 0.5);
    let mut world = World::of(config);
    world.run_to(60.0);
    assert_eq!(world.row("paris", "lip6").state, LinkState::Ok);
}

#[test]
fn what_cannot_be_scored_is_refused_with_what_would_be_right() {
    let mut world = World::new(Mode::Observe);
    world.run_to(4000.0);
    let at = world.now;
    for (asked, want) in [
        (
            score("paris", 3, (Some(at + Span::secs(60)), None)),
            "in the future",
        ),
        (score("paris", 3, (Some(at - Span::secs(3_700)), None)), "60m ago"),
        (score("paris", 3, (None, Some(Span::ZERO))), "took no time"),
    ] {
        let why = said(world.ask(asked));
        assert!(why.contains(want), "{why}");
    }
    let reply = world.ask(score("nobody", 3, NOW));
    assert!(matches!(
        reply,
        Reply::Refused {
            refusal: Refusal::UnknownName { .. }
        }
    ));
    assert!(world.engine.snapshot(world.now).qoe.classes.is_empty());
    for score in ["0", "6", "255", "-1"] {
        assert!(serde_json::from_str::<Score>(score).is_err(), "{score}");
    }
}

#[test]
fn the_same_request_is_one_score_and_scores_survive_a_restart() {
    let mut world = World::new(Mode::Observe);
    world.run_to(100.0);
    let request = RequestId("desk-7".to_owned());
    let first = world.ask_as(&request, score("paris", 2, NOW));
    assert_eq!(world.ask_as(&request, score("paris", 2, NOW)), first);
    let report = world.engine.snapshot(world.now).qoe;
    assert_eq!(report.classes[0].scores, 1);
    world.restart(Span::secs(3));
    assert_eq!(world.engine.snapshot(world.now).qoe, report);
    world.ask(score("paris", 2, NOW));
    assert_eq!(world.engine.snapshot(world.now).qoe.classes[0].scores, 2);
}

/// A world of many users whose RTT wanders, and who are content up to 84 ms while the bound is 58.
fn crowd() -> (World, Vec<String>) {
    let mut config = config();
    let one = config.users.values().next().unwrap().clone();
    config.users.clear();
    let mut names = Vec::new();
    for n in 0..30_u8 {
        let mut user = one.clone();
        user.rloc = lisp_wire::Rloc([172, 16, 2, n].into());
        user.eid = format!("10.3.{n}.0/24").parse().unwrap();
        let name = format!("user-{n}");
        config.users.insert(name.parse().unwrap(), user);
        names.push(name);
    }
    config.mode = Mode::Observe;
    config.slots.probe = Span::secs(2);
    config.sla.values_mut().for_each(|sla| sla.rtt_ms = 58.0);
    let mut world = World::of(config);
    world.wan = Box::new(|_, user, at| {
        let n: f64 = user.trim_start_matches("user-").parse().unwrap();
        Some(30.0 + (n * 37.0 + (at / 600.0).floor() * 53.0) % 110.0)
    });
    (world, names)
}

#[test]
fn a_bound_that_is_stricter_than_users_are_is_found_and_said() {
    let (mut world, users) = crowd();
    for round in 1..=4 {
        world.run_to(f64::from(round) * 600.0 - 1.0);
        for user in &users {
            let rtt = (world.wan)("telco", user, f64::from(round) * 600.0 - 1.0).unwrap();
            let word = if rtt <= 84.0 { 5 } else { 1 };
            world.ask(score(user, word, (None, Some(Span::secs(240)))));
        }
        world.run_to(f64::from(round) * 600.0 + 1.0);
    }
    let row = world.engine.snapshot(world.now).qoe.classes[0].clone();
    let rtt = &row.criteria[0];
    let Finding::TooStrict { turn } = rtt.finding else {
        panic!("{row:?}")
    };
    assert!((80_000..=90_000).contains(&turn.at), "{turn:?}");
    assert!(
        turn.least >= 58_000 && turn.least <= 84_000 && turn.most >= 84_000,
        "{turn:?}"
    );
    let text = rtt.text();
    assert!(
        text.contains("users are content up to RTT 8") && text.contains("bound is 58"),
        "{text}"
    );
    assert!(row.high_while_broken.so > 20_000, "{row:?}");
    assert!(
        world
            .log()
            .iter()
            .any(|line| line.contains("stricter than users are")),
        "{:?}",
        world.log()
    );
}

/// Reports told since `from`.
fn reports(world: &World, from: usize) -> Vec<proto::QoeReport> {
    let told = world.effects[from..]
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::Notify {
                notice: Notice::Qoe { report },
            } => Some(report.clone()),
            _ => None,
        });
    told.collect()
}

#[test]
fn the_report_is_made_for_one_class_a_second_however_many_score() {
    let mut config = config();
    let class = config.sla.values().next().unwrap().clone();
    config.sla.insert("other".parse().unwrap(), class);
    config.users.get_mut("lyon").unwrap().sla = "other".parse().unwrap();
    config.mode = Mode::Observe;
    let mut world = World::of(config);
    world.run_to(100.0);
    let from = world.effects.len();
    for _ in 0..10 {
        for user in ["paris", "lyon"] {
            world.ask(score(user, 4, NOW));
        }
    }
    let scores = |report: &proto::QoeReport| -> Vec<(String, u32)> {
        let classes = report.classes.iter();
        classes.map(|row| (row.sla.to_string(), row.scores)).collect()
    };
    let told = |world: &World| reports(world, from).iter().map(scores).collect::<Vec<_>>();
    let (one, other) = (|n| ("interactive".to_owned(), n), |n| ("other".to_owned(), n));
    let first = vec![one(1)];
    assert_eq!(
        told(&world),
        std::slice::from_ref(&first),
        "the first score at once"
    );
    world.run_to(100.9);
    assert_eq!(told(&world).len(), 1);
    world.run_to(110.0);
    let then = [first, vec![one(1), other(10)], vec![one(10), other(10)]];
    assert_eq!(told(&world), then);
    assert_eq!(scores(&world.engine.snapshot(world.now).qoe), then[2]);
}

#[test]
fn a_flood_of_scores_is_refused_by_name_and_in_all_and_over_in_a_minute() {
    let mut world = World::new(Mode::Observe);
    world.run_to(100.0);
    let mut sent = 0;
    let mut taken = |world: &mut World, name: &str, count: usize| {
        let from = world.effects.len();
        for _ in 0..count {
            sent += 1;
            world.give(Input::Command {
                request: RequestId(format!("flood-{sent}")),
                by: Actor::Operator {
                    name: name.to_owned(),
                },
                command: score("paris", 1, NOW),
            });
        }
        let accepted = world.effects[from..].iter().filter(|(_, effect)| {
            matches!(
                effect,
                Effect::Reply {
                    reply: Reply::Accepted { .. },
                    ..
                }
            )
        });
        accepted.count()
    };
    assert_eq!(taken(&mut world, "mallory", 100), 60);
    let why = said(world.ask(score("paris", 1, NOW)));
    assert!(why.contains("is noted"), "others are heard: {why}");
    for n in 0..10 {
        taken(&mut world, &format!("mallory-{n}"), 60);
    }
    let why = said(world.ask(score("paris", 1, NOW)));
    assert!(
        why.contains("600 scores a minute are taken of all") && why.contains("60 s"),
        "{why}"
    );
    world.run_to(160.1);
    assert_eq!(taken(&mut world, "mallory", 1), 1);
}

#[test]
fn with_and_without_scores_every_decision_is_the_same() {
    let run = |scored: bool| {
        let mut world = World::new(Mode::Auto);
        world.wan = Box::new(|dc, user, at| {
            let wave = ((at / 40.0).floor() as u64 + dc.len() as u64) % 4;
            let lost = dc == "lip6" && (300.0..330.0).contains(&at);
            (!lost).then(|| table_5_1(dc, user) + if wave == 0 { 300.0 } else { 0.0 })
        });
        for round in 1..=60 {
            world.run_to(f64::from(round) * 15.0);
            if scored {
                for word in [1, 1, 5] {
                    for user in ["paris", "lyon"] {
                        world.ask(score(user, word, NOW));
                    }
                }
            }
        }
        let decided: Vec<(Timestamp, Effect)> = world
            .effects
            .iter()
            .flat_map(|(at, effect)| {
                decisions(std::slice::from_ref(effect)).map(|effect| (*at, effect.clone()))
            })
            .filter(|(_, effect)| !matches!(effect, Effect::Reply { .. }))
            .collect();
        (decided, world.switches().len())
    };
    let (without, moves) = run(false);
    let (with, _) = run(true);
    assert!(moves >= 3, "there is something to decide: {moves}");
    assert_eq!(with, without);
}
