//! The decision ladder on recorded traces (N1): what is picked is never dearer than what was enough in hindsight.

use std::collections::BTreeMap;

use pacao_core::{Config, Effect, Engine, Input};
use proto::why::{Rung, RungKind, Why};
use proto::{
    Actor, Command, Mode, NodeReport, Notice, ProbeOutcome, ProposalState, Reply, RequestId, Timestamp,
};

use crate::world::{T0, Wan, World, config, table_5_1};

/// What came in, and when.
type Recording = Vec<(Timestamp, Input)>;

/// So long after a decision it is known what would have been enough.
const HINDSIGHT: f64 = 20.0;

/// A decision of the engine, with the ladder as it stood then.
struct Decision {
    at: f64,
    user: String,
    why: Why,
}

/// The drill of Table 5.1: one link is stressed for two minutes; in the other traces it is so only for moments, by
/// turns, lossy, dead, or everything is at once.
fn traces() -> Vec<(String, Wan)> {
    let mut all: Vec<(String, Wan)> = Vec::new();
    for more in [100.0, 200.0, 400.0, 1000.0] {
        for (user, dc) in [("paris", "telco"), ("lyon", "marilyn")] {
            let stressed = move |to: &str, of: &str, at: f64| {
                let on = of == user && to == dc && (30.0..150.0).contains(&at);
                Some(table_5_1(to, of) + if on { more } else { 0.0 })
            };
            all.push((format!("+{more} ms on {user}/{dc}"), Box::new(stressed)));
        }
    }
    for length in [1.0, 3.0, 6.0, 9.0] {
        let spikes = move |to: &str, of: &str, at: f64| {
            let on = of == "paris" && to == "telco" && at > 30.0 && at % 25.0 < length;
            Some(table_5_1(to, of) + if on { 70.0 } else { 0.0 })
        };
        all.push((format!("spikes of {length} s"), Box::new(spikes)));
    }
    let by_turns = |to: &str, of: &str, at: f64| {
        let slow = ["telco", "marilyn", "lip6"][(at / 60.0) as usize % 3];
        Some(table_5_1(to, of) + if to == slow { 250.0 } else { 0.0 })
    };
    all.push(("each data centre by turns".to_owned(), Box::new(by_turns)));
    let everywhere = |to: &str, of: &str, at: f64| {
        let on = of == "paris" && (30.0..150.0).contains(&at);
        Some(table_5_1(to, of) + if on { 400.0 } else { 0.0 })
    };
    all.push(("the user's own line".to_owned(), Box::new(everywhere)));
    let lossy = |to: &str, of: &str, at: f64| {
        let lost = to == "telco" && (30.0..150.0).contains(&at) && ((at * 2.0) as u64).is_multiple_of(7);
        (!lost).then(|| table_5_1(to, of))
    };
    all.push(("one probe in seven lost".to_owned(), Box::new(lossy)));
    let dead = |to: &str, of: &str, at: f64| {
        (to != "telco" || !(30.0..150.0).contains(&at)).then(|| table_5_1(to, of))
    };
    all.push(("a dead entry".to_owned(), Box::new(dead)));
    let dead_and_slow = |to: &str, of: &str, at: f64| {
        let on = (30.0..150.0).contains(&at);
        let slow = if on { 300.0 } else { 0.0 };
        (to != "telco" || !on).then(|| table_5_1(to, of) + slow)
    };
    all.push((
        "a dead entry, and no good one".to_owned(),
        Box::new(dead_and_slow),
    ));
    all
}

fn record(config: Config, wan: Wan) -> Recording {
    let mut world = World::of(config);
    world.wan = wan;
    world.run_to(240.0);
    world.inputs
}

/// Plays a recording to a fresh engine; at each decision, the engine as it was just before is asked why.
fn decisions(config: &Config, recording: &Recording) -> Vec<Decision> {
    let mut engine = Engine::new(config.clone(), T0);
    let mut found = Vec::new();
    for (at, input) in recording {
        let before = engine.clone();
        for effect in engine.handle(input.clone(), *at) {
            let Effect::Notify {
                notice: Notice::Proposal { proposal },
            } = effect
            else {
                continue;
            };
            if proposal.state != ProposalState::Open || proposal.revision > 1 {
                continue;
            }
            let question = Input::Command {
                request: RequestId("why".to_owned()),
                by: Actor::Engine,
                command: Command::Why {
                    user: proposal.user.clone(),
                    vm: Some(proposal.vm.clone()),
                    to: Some(proposal.to.clone()),
                },
            };
            // What decided is in this very input: it is taken in, by an engine that only observes.
            let mut asked = before.clone();
            asked.handle(observe(), *at);
            asked.handle(input.clone(), *at);
            let answers = asked.handle(question, *at);
            let why = answers.into_iter().find_map(|effect| match effect {
                Effect::Reply {
                    reply: Reply::Explained { why },
                    ..
                } => Some(*why),
                _ => None,
            });
            found.push(Decision {
                at: World::seconds(*at),
                user: proposal.user.to_string(),
                why: why.expect("an answer"),
            });
        }
    }
    found
}

fn observe() -> Input {
    Input::Command {
        request: RequestId("observe".to_owned()),
        by: Actor::Engine,
        command: Command::SetMode { mode: Mode::Observe },
    }
}

/// Whether a user's levels were kept at each data centre from `from` on, as the recording's probes have it.
fn kept(config: &Config, recording: &Recording, user: &str, from: f64) -> BTreeMap<String, bool> {
    let class = &config.sla["interactive"];
    let rloc = config.users[user].rloc;
    let mut seen: BTreeMap<String, (u32, u32, f64)> = BTreeMap::new();
    for (_, input) in recording {
        let Input::Report {
            site,
            report: NodeReport::Probes { samples },
        } = input
        else {
            continue;
        };
        for sample in samples.iter().filter(|sample| sample.target == rloc) {
            let sent = World::seconds(sample.sent_at);
            if !(from..from + HINDSIGHT).contains(&sent) {
                continue;
            }
            let (probes, lost, sum) = seen.entry(site.to_string()).or_default();
            match sample.outcome {
                ProbeOutcome::Rtt(rtt) => {
                    *probes += 1;
                    *sum += rtt.as_millis_f64();
                }
                ProbeOutcome::Lost => {
                    *probes += 1;
                    *lost += 1;
                }
                ProbeOutcome::Overdue(_) => {}
            }
        }
    }
    seen.into_iter()
        .map(|(site, (probes, lost, sum))| {
            let answered = f64::from(probes - lost);
            let loss = f64::from(lost) * 100.0 / f64::from(probes.max(1));
            (
                site,
                answered > 0.0 && sum / answered <= class.rtt_ms && loss <= class.loss_pct,
            )
        })
        .collect()
}

/// The cheapest rung that could be done and was enough in hindsight.
fn needed(decision: &Decision, kept: &BTreeMap<String, bool>) -> Option<usize> {
    let at = |site: &proto::SiteName| kept.get(site.as_str()).copied().unwrap_or(false);
    let was_enough = |rung: &Rung| match rung.kind {
        RungKind::Nothing => at(&decision.why.from),
        RungKind::Subflow => kept.values().any(|&kept| kept),
        RungKind::Switch | RungKind::Migrate => rung.to.as_ref().is_some_and(at),
    };
    let can = |rung: &&Rung| rung.unavailable.is_none();
    let found = decision
        .why
        .rungs
        .iter()
        .find(|rung| can(rung) && was_enough(rung))?;
    decision.why.rungs.iter().position(|rung| rung == found)
}

/// Decisions on all traces, and those among them that were dearer than needed.
fn climb(config: &Config) -> (usize, Vec<String>) {
    let (mut all, mut dearer) = (0, Vec::new());
    for (name, wan) in traces() {
        let recording = record(config.clone(), wan);
        for decision in decisions(config, &recording) {
            all += 1;
            let picked = decision.why.pick as usize;
            let kept = kept(config, &recording, &decision.user, decision.at);
            if let Some(needed) = needed(&decision, &kept)
                && picked > needed
            {
                let kind = |at: usize| decision.why.rungs[at].kind.word();
                dearer.push(format!(
                    "{name}: at {:.1} s {} was picked for {}, and {} would have been enough",
                    decision.at,
                    kind(picked),
                    decision.user,
                    kind(needed)
                ));
            }
        }
    }
    (all, dearer)
}

#[test]
fn on_recorded_traces_the_pick_is_never_dearer_than_needed() {
    let (all, dearer) = climb(&config());
    assert!(all >= 12, "{all} decisions are too few to show anything");
    assert!(dearer.is_empty(), "{dearer:#?}");
}

#[test]
fn what_is_picked_is_what_the_engine_does_at_its_next_look() {
    let config = config();
    let mut dead = 0;
    for (name, wan) in traces() {
        let recording = record(config.clone(), wan);
        for Decision { at, user, why } in decisions(&config, &recording) {
            assert_eq!(
                why.rungs[why.pick as usize].kind,
                RungKind::Switch,
                "{name}: {user} at {at:.1} s"
            );
            dead += u32::from(why.rungs[1].enough == Some(false) && why.rungs[1].gain_user_ms.is_none());
        }
    }
    assert!(dead > 0, "no dead entry was left for one that is not good");
}

#[test]
fn an_engine_that_waits_for_no_slot_picks_what_is_dearer_than_needed_on_the_same_traces() {
    let mut hasty = config();
    hasty.slots.decide = proto::Span::secs(2);
    hasty.slots.settle = proto::Span::secs(1);
    let (_, dearer) = climb(&hasty);
    assert!(
        dearer.iter().any(|line| line.starts_with("spikes")),
        "the traces tell both apart: {dearer:#?}"
    );
}
