//! `pacao bench handover`: an EID moves from UROMA1 to LIP6 while clients near and far probe it; what the move costs
//! each of them, by the way in which clients are told (thesis section 4.5, Table 4.1).
//!
//! | module | what it holds |
//! |---|---|
//! | [`way`] | the ways, and the one-way delays that no implementation can avoid |
//! | [`place`] | the fabric, and where its Map-Server stands |
//! | [`stage`] | the fabric, and one move after the other on it |
//! | [`statistics`] | boxplots and distributions |
//! | [`report`], [`svg`] | what is said of them, and drawn |

mod place;
mod report;
mod stage;
mod statistics;
mod svg;
mod way;

use std::collections::BTreeMap;

use anyhow::Context;
use engine::session::Session;
use proto::Span;

use crate::cli::{HandoverArgs, HandoverRtts};
use report::Trial;
use stage::Stage;
use way::Way;

/// Runs the bench; `Ok(true)` if every check holds.
pub(crate) fn run(args: &HandoverArgs) -> anyhow::Result<bool> {
    let ways = args.way.iter().map(|way| Way::of(*way));
    testbed::enter()?;
    let session = match args.rtts {
        HandoverRtts::Table41 => place::session(args.map_server)?,
    };
    let every = Span::millis(if args.fine { 1 } else { 20 });
    let trials = ways
        .map(|way| measure(&session, way, every, args.runs))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let checks = report::judge(&trials, args.map_server);
    if let Some(directory) = &args.svg {
        svg::write(directory, &trials)?;
    }
    if args.json {
        let whole = report::json(&trials, every, args.map_server, &checks)?;
        println!("{}", serde_json::to_string_pretty(&whole)?);
    } else {
        print!("{}{}", report::text(&trials), checks.table());
    }
    Ok(checks.hold())
}

fn measure(session: &Session, way: Way, every: Span, runs: u32) -> anyhow::Result<Trial> {
    let lab = session.lab.as_ref().context("the session has no lab part")?;
    let mut stage = Stage::build(session, way, every)?;
    let mut moves: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for run in 1..=runs {
        let outcome = stage
            .run()
            .with_context(|| format!("{}, move {run}", way.name()))?;
        for (user, one) in outcome {
            eprintln!(
                "{} move {run}: {user} told after {:.2} ms, {} lost, down for {:.2} ms",
                way.name(),
                one.convergence.as_millis_f64(),
                one.cost.lost,
                one.cost.downtime.as_millis_f64()
            );
            moves.entry(user).or_default().push(one);
        }
    }
    let legs = moves
        .keys()
        .map(|user| (user.clone(), way.legs(lab, user.as_str())));
    Ok(Trial {
        way,
        legs: legs.collect(),
        moves,
        casualties: stage.end()?,
    })
}
