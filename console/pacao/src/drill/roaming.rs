//! `pacao drill roaming`: a user's router changes its address while its host talks with a VM and with two other users.
//! It registers anew and tells its peers by itself; this drill only takes the address away and gives another.

mod stage;

use std::net::IpAddr;

use proto::Span;
use serde_json::{Value, json};

use crate::checks::{Bound, Checks};
use crate::cli::RoamingArgs;
use stage::{INTERVAL, Move, Stage};

/// Runs the drill; `Ok(true)` if every check holds.
pub(crate) fn run(args: &RoamingArgs) -> anyhow::Result<bool> {
    testbed::enter()?;
    let mut stage = Stage::build()?;
    let mut moves = Vec::new();
    for number in 1..=args.moves {
        let to = IpAddr::from([172, 16, 2, number]);
        let one = stage.run(to)?;
        let followed = one.peers.values().filter(|peer| peer.followed.is_some()).count();
        eprintln!(
            "move {number}: to {to}, {followed} of {} peers follow",
            one.peers.len()
        );
        moves.push(one);
    }
    let casualties = stage.end()?;
    let checks = judge(&moves, casualties);
    if args.json {
        let mut whole = json!({
            "drill": "roaming",
            "probe_interval_ms": INTERVAL.as_millis_f64(),
            "moves": moves.iter().map(row).collect::<Vec<_>>(),
        });
        if let (Some(whole), Ok(Value::Object(checks))) =
            (whole.as_object_mut(), serde_json::to_value(&checks))
        {
            whole.extend(checks);
        }
        println!("{}", serde_json::to_string_pretty(&whole)?);
    } else {
        print!("{}", checks.table());
    }
    Ok(checks.hold())
}

/// What holds on any machine is judged; how fast it was is told.
fn judge(moves: &[Move], casualties: usize) -> Checks {
    let mut checks = Checks::default();
    for (number, one) in (1..).zip(moves) {
        let name = |what: &str| format!("move {number}: {what}");
        let count =
            |wanted: fn(&stage::Peer) -> bool| one.peers.values().filter(|peer| wanted(peer)).count() as f64;
        let all = Bound::AtLeast(one.peers.len() as f64);
        checks.add(
            name("peers that follow"),
            count(|peer| peer.followed.is_some()),
            "",
            all,
        );
        checks.add(
            name("peers whose probes are answered again"),
            count(|peer| peer.cost.is_some()),
            "",
            all,
        );
        // Not a number if it never was, which never holds.
        let registered = one.registered.map_or(f64::NAN, Span::as_millis_f64);
        checks.add(name("registered anew after"), registered, "ms", Bound::None);
        for (peer, told) in &one.peers {
            let followed = told.followed.map_or(f64::NAN, Span::as_millis_f64);
            checks.add(
                name(&format!("{peer} follows after")),
                followed,
                "ms",
                Bound::None,
            );
            let (outage, lost) = told.cost.map_or((f64::NAN, f64::NAN), |cost| {
                (cost.downtime.as_millis_f64(), cost.lost as f64)
            });
            checks.add(name(&format!("{peer} outage")), outage, "ms", Bound::None);
            // What is lost was sent during the outage, or was under way at its beginning: no second hole.
            let most = ((outage + told.round_trip.as_millis_f64()) / INTERVAL.as_millis_f64()).ceil() + 1.0;
            checks.add(
                name(&format!("{peer} lost")),
                lost,
                "packets",
                Bound::AtMost(most),
            );
        }
    }
    let died = casualties as f64;
    checks.add("processes that died", died, "", Bound::AtMost(0.0));
    checks
}

fn row(one: &Move) -> Value {
    let peers = one.peers.iter().map(|(name, peer)| {
        let figures = json!({
            "round_trip_ms": peer.round_trip.as_millis_f64(),
            "followed_after_ms": peer.followed.map(Span::as_millis_f64),
            "outage_ms": peer.cost.map(|cost| cost.downtime.as_millis_f64()),
            "lost": peer.cost.map(|cost| cost.lost),
        });
        (name.clone(), figures)
    });
    json!({
        "to": one.to,
        "registered_after_ms": one.registered.map(Span::as_millis_f64),
        "peers": peers.collect::<serde_json::Map<_, _>>(),
    })
}
