//! `pacao ctl`: one question to an engine, or to a forwarder.

mod autonomy;
mod node;
mod policy;
pub(crate) mod qoe;

use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, FixedOffset};
use engine::Attachment;
use proto::{
    Actor, AvailabilityReport, Command, Disarmed, EngineFrame, Forced, LogEntry, ProposalId, Reply,
    RequestId, Snapshot, Verdict,
};
use serde::Serialize;
use tui::plain::Over;

use crate::attach::Door;
use crate::cli::{AccountsCsv, Ask, CtlArgs, DecideArgs};
use crate::screen::operator;

/// An engine answers within this long or not at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks; `Ok(false)` if the engine refused.
pub(crate) fn run(args: &CtlArgs) -> anyhow::Result<bool> {
    if let Ask::Node(node) = &args.ask {
        return node::run(node, args.json);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (mut attachment, connection) = Door::find(&args.engine)?.enter().await?;
        let asked = tokio::time::timeout(patience(&args.ask), ask(&mut attachment, args));
        let answered = asked.await.context("the engine does not answer")?;
        drop(attachment);
        connection.hang_up().await;
        answered
    })
}

/// A plan takes as long as it was given.
fn patience(ask: &Ask) -> Duration {
    match ask {
        Ask::Plan(wanted) => PATIENCE + Duration::from_micros(wanted.within.micros()),
        _ => PATIENCE,
    }
}

async fn ask(engine: &mut Attachment, args: &CtlArgs) -> anyhow::Result<bool> {
    let snapshot = snapshot(engine).await?;
    let mut request = None;
    let command = match &args.ask {
        Ask::Links => return show(args.json, &snapshot.links, || tui::plain::links(&snapshot)),
        Ask::Legs => return show(args.json, &snapshot.legs, || tui::plain::legs(&snapshot)),
        Ask::Rlocs => return show(args.json, &snapshot.rlocs, || tui::plain::rlocs(&snapshot)),
        Ask::Proposals => {
            return show(args.json, &snapshot.proposals, || {
                tui::plain::proposals(&snapshot, zone())
            });
        }
        Ask::Log => return show(args.json, &snapshot.log, || log(&snapshot)),
        Ask::Policy => {
            return show(args.json, &snapshot.policy, || policy::text(&snapshot, zone()));
        }
        Ask::Autonomy { change: None } => {
            let rows = &snapshot.policy.autonomy;
            return show(args.json, rows, || autonomy::text(rows, zone()));
        }
        Ask::Autonomy { change: Some(change) } => autonomy::change(change),
        Ask::Availability { calendar, all, csv } => {
            let mut snapshot = snapshot;
            if *all || args.json || csv.is_some() {
                snapshot.availability = accounts(engine).await?;
            }
            let report = &snapshot.availability;
            let over = if *calendar { Over::Calendar } else { Over::Rolling };
            return show(args.json, report, || match csv {
                Some(AccountsCsv::Tallies) => tui::plain::availability_csv(report),
                Some(AccountsCsv::Penalties) => tui::plain::penalties_csv(report),
                None => tui::plain::availability(&snapshot, over),
            });
        }
        Ask::Qoe(which) if qoe::is_report(which) => {
            return show(args.json, &snapshot.qoe, || tui::plain::qoe(&snapshot));
        }
        Ask::Mode { mode: None, .. } => {
            return show(args.json, &snapshot.mode, || policy::modes(&snapshot));
        }
        Ask::Mode {
            mode: Some(mode),
            part,
        } => policy::set_mode(*mode, part)?,
        Ask::Disarm { ignore } => Command::Disarm {
            how: if *ignore {
                Disarmed::Ignore
            } else {
                Disarmed::Freeze
            },
        },
        Ask::Arm => Command::Arm,
        Ask::Drain { dc } => Command::Drain { dc: dc.clone() },
        Ask::Undrain { dc } => Command::Undrain { dc: dc.clone() },
        Ask::Forgive { user, vm, dc } => policy::forgive(user, vm.as_ref(), dc.as_ref())?,
        Ask::Approve(which) => {
            let approve = decide(&snapshot, which, Verdict::Approve);
            policy::in_spite(which.break_glass.as_ref(), approve)
        }
        Ask::Reject(which) => decide(&snapshot, which, Verdict::Reject).into(),
        Ask::Switch {
            user,
            vm,
            to,
            break_glass,
        } => {
            let switch = Forced::Switch {
                user: user.clone(),
                vm: vm.clone(),
                to: to.clone(),
            };
            policy::in_spite(break_glass.as_ref(), switch)
        }
        Ask::Why { user, vm, to } => Command::Why {
            user: user.clone(),
            vm: vm.clone(),
            to: to.clone(),
        },
        Ask::Plan(wanted) => Command::Plan {
            price: wanted.price,
            budget: Some(wanted.within),
        },
        Ask::Qoe(which) => {
            let (command, id) = qoe::command(which)?;
            request = id;
            command
        }
        Ask::Node(_) => bail!("a forwarder is not asked through an engine"),
    };
    let reply = carry(engine, request.unwrap_or_else(own_request), command).await?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&reply)?);
    } else {
        match &reply {
            Reply::Accepted { what } => println!("o {what}"),
            Reply::Explained { why } => print!("{}", tui::plain::why(why)),
            Reply::Planned { plan } => print!("{}", tui::plain::plan(plan)),
            Reply::Looked { .. } | Reply::Accounted { .. } => println!("o seen"),
            Reply::Refused { refusal } => {
                println!("x {}", tui::plain::refusal(refusal, crate::traffic::now()));
            }
        }
    }
    Ok(!matches!(reply, Reply::Refused { .. }))
}

fn log(snapshot: &Snapshot) -> String {
    let line = |entry: &LogEntry| {
        let at = DateTime::from_timestamp_micros(i64::try_from(entry.at.micros()).unwrap_or_default());
        let at = at.unwrap_or_default().with_timezone(&zone());
        format!(
            "{} {} {}\n",
            at.format("%H:%M:%S%.3f"),
            entry.severity.mark(),
            entry.text
        )
    };
    snapshot.log.iter().map(line).collect()
}

/// How far local time is from UTC now.
fn zone() -> FixedOffset {
    *chrono::Local::now().offset()
}

fn decide(snapshot: &Snapshot, which: &DecideArgs, verdict: Verdict) -> Forced {
    let proposal = ProposalId(which.proposal);
    let now = snapshot
        .proposals
        .iter()
        .find(|known| known.id == proposal)
        .map(|known| known.revision);
    // An unknown number goes to the engine as it is: its refusal is the clearest error, and it is recorded.
    Forced::Decide {
        proposal,
        revision: which.revision.or(now).unwrap_or(0),
        verdict,
    }
}

fn show<T: Serialize>(json: bool, rows: &T, text: impl FnOnce() -> String) -> anyhow::Result<bool> {
    if json {
        println!("{}", serde_json::to_string_pretty(rows)?);
    } else {
        print!("{}", text());
    }
    Ok(true)
}

async fn snapshot(engine: &mut Attachment) -> anyhow::Result<Snapshot> {
    while let Some(frame) = engine.frames.recv().await {
        match frame {
            EngineFrame::Snapshot { snapshot } => return Ok(snapshot),
            EngineFrame::Bye { why } => bail!("the engine let go: {why}"),
            _ => {}
        }
    }
    bail!("the engine said nothing")
}

/// An id that no other request has.
fn own_request() -> RequestId {
    let (process, now) = (std::process::id(), crate::traffic::now().micros());
    RequestId(format!("ctl-{process}-{now:x}"))
}

/// All accounts, page by page.
async fn accounts(engine: &mut Attachment) -> anyhow::Result<AvailabilityReport> {
    let mut report = AvailabilityReport::default();
    let mut from = Some(0);
    while let Some(at) = from {
        let id = RequestId(format!("{}-{at}", own_request().0));
        match carry(engine, id, Command::Accounts { from: at }).await? {
            Reply::Accounted { rows, next } => {
                report.rows.extend(rows);
                // An engine that would send us in circles is left.
                from = next.filter(|&next| next > at);
            }
            Reply::Refused { refusal } => bail!("the engine refused its accounts: {refusal}"),
            _ => bail!("the engine answered something else than accounts"),
        }
    }
    Ok(report)
}

async fn carry(engine: &mut Attachment, id: RequestId, command: Command) -> anyhow::Result<Reply> {
    let by = Actor::Operator { name: operator() };
    engine
        .ask
        .send((id.clone(), command, by))
        .await
        .context("the engine is gone")?;
    while let Some(frame) = engine.frames.recv().await {
        match frame {
            EngineFrame::Reply { request, reply } if request == id => return Ok(reply),
            EngineFrame::Bye { why } => bail!("the engine let go before it answered: {why}"),
            _ => {}
        }
    }
    bail!("the engine is gone before it answered")
}
