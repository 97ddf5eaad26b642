//! Whatever comes in, in any order: no panic, and the same again.

use lisp_wire::Rloc;
use pacao_core::{Config, Effect, Engine, Input, decisions};
use proptest::prelude::*;
use proto::node::{ChangeOutcome, Residence, ResidentRow};
use proto::policy::Arming;
use proto::{
    Actor, ChangeId, Command, Disarmed, FlapKey, Forced, Mode, NodeReport, Notice, ProbeOutcome, ProbeSample,
    ProposalId, ProposalState, RequestId, Scope, Snapshot, Span, Timestamp, Verdict,
};

use crate::world::{T0, World, config};

fn site() -> impl Strategy<Value = String> {
    prop_oneof![8 => prop::sample::select(vec!["telco", "marilyn", "lip6"]), 1 => Just("nowhere")]
        .prop_map(str::to_owned)
}

fn user() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["paris", "lyon", "nobody"])
}

fn rloc() -> impl Strategy<Value = Rloc> {
    (1..4_u8).prop_map(|last| Rloc([172, 16, 1, last].into()))
}

fn outcome() -> impl Strategy<Value = ProbeOutcome> {
    prop_oneof![
        6 => (0..200_000_u64).prop_map(|rtt| ProbeOutcome::Rtt(Span(rtt))),
        3 => (300_000..3_000_000_u64).prop_map(|rtt| ProbeOutcome::Rtt(Span(rtt))),
        1 => any::<u64>().prop_map(|rtt| ProbeOutcome::Rtt(Span(rtt))),
        2 => Just(ProbeOutcome::Lost),
    ]
}

fn report() -> impl Strategy<Value = NodeReport> {
    let leg = (1..4_u8).prop_map(|last| Rloc([172, 16, 0, last].into()));
    let target = prop_oneof![3 => rloc(), 1 => leg];
    let sample = (target, outcome()).prop_map(|(target, outcome)| ProbeSample {
        target,
        sent_at: T0,
        outcome,
    });
    let changed = prop_oneof![
        Just(ChangeOutcome::Stored),
        rloc().prop_map(|client| ChangeOutcome::Acknowledged {
            client,
            after: Span(41_000),
            attempts: 1
        }),
        rloc().prop_map(|client| ChangeOutcome::Unanswered { client, attempts: 5 }),
    ];
    let since = prop_oneof![Just(None), (0..90_u64).prop_map(|at| Some(T0 + Span::secs(at)))];
    let residence = prop_oneof![
        2 => since.prop_map(|since| Residence::Here { since }),
        1 => Just(Residence::Elsewhere),
    ];
    let eid = prop_oneof![6 => Just("10.1.0.7/32"), 1 => Just("10.1.0.8/32")];
    let resident = (eid, residence).prop_map(|(eid, residence)| ResidentRow {
        eid: eid.parse().unwrap(),
        residence,
    });
    prop_oneof![
        2 => prop::collection::vec(resident, 0..3).prop_map(|rows| NodeReport::Residents { rows }),
        12 => prop::collection::vec(sample, 1..8).prop_map(|samples| NodeReport::Probes { samples }),
        3 => (0..60_u64, changed).prop_map(|(change, outcome)| NodeReport::Changed { change: ChangeId(change), outcome }),
        1 => ".{0,20}".prop_map(|why| NodeReport::Refused { why }),
        1 => Just(NodeReport::Done),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let verdict = prop_oneof![3 => Just(Verdict::Approve), 1 => Just(Verdict::Reject)];
    let mode = prop_oneof![1 => Just(Mode::Observe), 3 => Just(Mode::Recommend), 3 => Just(Mode::Auto)];
    prop_oneof![
        4 => (0..6_u64, 0..3_u32, verdict)
            .prop_map(|(id, revision, verdict)| Command::Decide { proposal: ProposalId(id), revision, verdict }),
        2 => (user(), site()).prop_map(|(user, to)| Command::Switch {
            user: user.parse().unwrap(),
            vm: "web".parse().unwrap(),
            to: to.parse().unwrap(),
        }),
        1 => mode.prop_map(|mode| Command::SetMode { mode }),
        4 => steering(),
        1 => (1..=5_u8, prop::option::of(any::<u64>())).prop_map(|(score, ended)| Command::Score {
            session: proto::qoe::Session {
                user: "paris".parse().unwrap(),
                vm: None,
                ended_at: ended.map(Timestamp),
                lasted: None,
            },
            score: proto::Score::new(score).unwrap(),
            note: String::new(),
        }),
    ]
}

/// What sets policy, and what passes it by.
fn steering() -> impl Strategy<Value = Command> {
    let part = prop_oneof![
        site().prop_map(|dc| Scope::Dc {
            dc: dc.parse().unwrap()
        }),
        user().prop_map(|user| Scope::User {
            user: user.parse().unwrap()
        }),
        Just(Scope::Vm {
            vm: "web".parse().unwrap()
        }),
        Just(Scope::All),
    ];
    let modes = prop::sample::select(vec![
        None,
        Some(Mode::Observe),
        Some(Mode::Recommend),
        Some(Mode::Auto),
    ]);
    let key = prop_oneof![
        user().prop_map(|user| FlapKey::Entry {
            user: user.parse().unwrap(),
            vm: "web".parse().unwrap()
        }),
        (user(), site()).prop_map(|(user, dc)| FlapKey::Locator {
            user: user.parse().unwrap(),
            dc: dc.parse().unwrap()
        }),
    ];
    let forced = prop_oneof![
        (user(), site()).prop_map(|(user, to)| Forced::Switch {
            user: user.parse().unwrap(),
            vm: "web".parse().unwrap(),
            to: to.parse().unwrap(),
        }),
        (0..6_u64, 0..3_u32).prop_map(|(id, revision)| Forced::Decide {
            proposal: ProposalId(id),
            revision,
            verdict: Verdict::Approve,
        }),
    ];
    prop_oneof![
        2 => (part, modes).prop_map(|(scope, mode)| Command::SetModeAt { scope, mode }),
        1 => prop::sample::select(vec![Disarmed::Freeze, Disarmed::Ignore]).prop_map(|how| Command::Disarm { how }),
        2 => Just(Command::Arm),
        1 => site().prop_map(|dc| Command::Drain { dc: dc.parse().unwrap() }),
        1 => site().prop_map(|dc| Command::Undrain { dc: dc.parse().unwrap() }),
        1 => key.prop_map(|key| Command::Forgive { key }),
        2 => ("[ a-z]{0,8}", forced).prop_map(|(reason, ask)| Command::BreakGlass { reason, ask }),
    ]
}

pub(crate) fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        3 => Just(Input::Tick),
        1 => Just(Input::Started),
        4 => site().prop_map(|site| Input::NodeUp { site: site.parse().unwrap() }),
        2 => site().prop_map(|site| Input::NodeDown { site: site.parse().unwrap(), why: "reset".to_owned() }),
        40 => (site(), report()).prop_map(|(site, report)| Input::Report { site: site.parse().unwrap(), report }),
        6 => (0..60_u32, command()).prop_map(|(request, command)| Input::Command {
            request: RequestId(format!("{request}")),
            by: Actor::Operator { name: "ada".to_owned() },
            command,
        }),
    ]
}

/// Mostly steps of a probe, sometimes long silence, sometimes the clock goes back.
fn step() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 0..600_000_i64, 3 => 0..20_000_000_i64, 1 => -5_000_000..0_i64]
}

/// Sessions in which switches have to prove themselves, or not.
fn session() -> impl Strategy<Value = Config> {
    any::<bool>().prop_map(|proving| {
        let mut config = config();
        config.policy.prove_within = if proving { Span::secs(20) } else { Span::ZERO };
        config
    })
}

/// What no input may do: begin a move while the engine is frozen; begin one of its own while it is disarmed, or of an entry
/// that is observed; or take somebody to where a drain empties, unless the glass is broken.
fn check(before: &Snapshot, input: &Input, effects: &[Effect]) -> Result<(), TestCaseError> {
    // What sets policy is in force for what it sets off, too.
    if let Input::Command { command, .. } = input
        && !matches!(
            command,
            Command::Switch { .. } | Command::Decide { .. } | Command::BreakGlass { .. }
        )
    {
        return Ok(());
    }
    let forced = matches!(
        input,
        Input::Command {
            command: Command::BreakGlass { .. },
            ..
        }
    );
    for effect in effects {
        let Effect::Notify {
            notice: Notice::Proposal { proposal },
        } = effect
        else {
            continue;
        };
        let ProposalState::Executing { by, .. } = &proposal.state else {
            continue;
        };
        let policy = &before.policy;
        if let Arming::Disarmed { how, .. } = &policy.arming {
            prop_assert!(
                *how == Disarmed::Ignore && *by != Actor::Engine,
                "{proposal:?} while disarmed"
            );
        }
        let user = Scope::User {
            user: proposal.user.clone(),
        };
        let all_observed = before.mode == Mode::Observe && policy.modes.is_empty();
        prop_assert!(!all_observed, "{proposal:?} while observed");
        let observed = policy
            .modes
            .iter()
            .any(|row| row.scope == user && row.mode == Mode::Observe);
        prop_assert!(!observed, "{proposal:?} while observed");
        let drained = policy.drains.iter().any(|row| row.dc == proposal.to);
        prop_assert!(forced || !drained, "{proposal:?} into a drain");
    }
    Ok(())
}

fn run(engine: &mut Engine, inputs: &[(Timestamp, Input)]) -> Vec<Vec<Effect>> {
    inputs
        .iter()
        .map(|(at, input)| engine.handle(input.clone(), *at))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn the_same_inputs_give_the_same_effects_also_from_a_state_written_down_in_between(
        steps in prop::collection::vec((step(), input()), 1..400),
        cut in 0.0..1.0_f64,
        session in session(),
    ) {
        let mut at = T0.0.cast_signed();
        let inputs: Vec<(Timestamp, Input)> = steps
            .into_iter()
            .map(|(step, input)| {
                at += step;
                (Timestamp(at.cast_unsigned()), input)
            })
            .collect();
        let mut once = Engine::new(session.clone(), T0);
        let mut effects = Vec::new();
        let mut clock = T0;
        for (at, input) in &inputs {
            clock = clock.max(*at);
            let before = once.snapshot(clock);
            let after = once.handle(input.clone(), *at);
            prop_assert!(once.next_deadline().is_none_or(|next| next > clock));
            check(&before, input, &after)?;
            effects.push(after);
        }
        let mut again = Engine::new(session.clone(), T0);
        prop_assert_eq!(&run(&mut again, &inputs), &effects);
        prop_assert!(again == once);

        let cut = (cut * inputs.len() as f64) as usize;
        let mut first = Engine::new(session.clone(), T0);
        let mut joined = run(&mut first, &inputs[..cut]);
        let written = serde_json::to_string(&first).unwrap();
        let mut second: Engine = serde_json::from_str(&written).unwrap();
        prop_assert!(second == first);
        joined.extend(run(&mut second, &inputs[cut..]));
        prop_assert_eq!(&joined, &effects);
        prop_assert_eq!(second.snapshot(clock), once.snapshot(clock));

        // What was decided reads back from a recording as it was.
        for effect in effects.iter().flat_map(|effects| decisions(effects)) {
            let text = serde_json::to_string(effect).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Effect>(&text).unwrap(), effect);
        }
    }

    #[test]
    fn the_end_of_time_is_no_end_of_the_engine(inputs in prop::collection::vec(input(), 1..40)) {
        let mut engine = Engine::new(config(), Timestamp(0));
        for (n, input) in inputs.into_iter().enumerate() {
            let at = if n % 2 == 0 { Timestamp(0) } else { Timestamp(u64::MAX) };
            engine.handle(input, at);
            let _ = engine.snapshot(at);
        }
    }
}

#[test]
fn a_whole_day_out_replays_to_the_same_decisions() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 90.0));
    world.run_to(50.0);
    world.restart(Span::secs(2));
    world.switch("lyon", "lip6");
    world.run_to(200.0);
    let mut replayed = Engine::new(config(), T0);
    let again: Vec<Effect> = world
        .inputs
        .iter()
        .flat_map(|(at, input)| replayed.handle(input.clone(), *at))
        .collect();
    let first: Vec<Effect> = world.effects.iter().map(|(_, effect)| effect.clone()).collect();
    assert_eq!(
        decisions(&again).collect::<Vec<_>>(),
        decisions(&first).collect::<Vec<_>>()
    );
    assert!(decisions(&first).count() > 20);
    assert_eq!(again, first);
    assert!(replayed == world.engine);
}

#[test]
fn a_written_state_that_contradicts_itself_is_refused() {
    let written = serde_json::to_value(Engine::new(config(), T0)).unwrap();
    for (at, value) in [
        ("/nodes", serde_json::json!([])),
        ("/pairs", serde_json::json!([])),
        ("/pairs/0/order", serde_json::json!([])),
        ("/pairs/0/order/0", serde_json::json!(3)),
        ("/monitor/links", serde_json::json!([])),
        ("/defaults", serde_json::json!([])),
        ("/agenda", serde_json::json!([[5, 9]])),
        ("/changes/awaited", serde_json::json!([[5, 9]])),
    ] {
        let mut spoilt = written.clone();
        *spoilt.pointer_mut(at).unwrap() = value;
        let error = serde_json::from_value::<Engine>(spoilt).unwrap_err().to_string();
        assert!(error.contains("does not fit its configuration"), "{at}: {error}");
    }
    assert!(serde_json::from_value::<Engine>(written).is_ok());
}

#[test]
fn an_empty_fabric_is_a_fabric() {
    let mut config = config();
    config.sites.clear();
    let mut engine = Engine::new(config, T0);
    engine.handle(Input::Started, T0);
    engine.handle(
        Input::NodeUp {
            site: "telco".parse().unwrap(),
        },
        T0,
    );
    engine.handle(Input::Tick, T0 + Span::secs(100));
    assert!(engine.snapshot(T0).links.is_empty());
}
