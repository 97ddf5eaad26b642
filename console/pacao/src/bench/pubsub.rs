//! `pacao bench pubsub`: one forwarder process as Map-Server, with very many registrations and subscribers (RFC 9437),
//! over UDP on the loopback of a network namespace. Everything is signed, acknowledged, and said again where it was lost.
//!
//! | module | what it holds |
//! |---|---|
//! | [`server`] | the forwarder process: its file, its memory, its counters |
//! | [`load`] | xTRs and subscribers, on one socket |

mod load;
mod server;

use std::time::Duration;

use crate::checks::{Bound, Checks};
use crate::cli::BenchPubSubArgs;
use load::Load;
use server::Server;

/// A change reaches a thousand subscribers within this, milliseconds.
const REACHES_MS: f64 = 50.0;
/// Changes of the mapping that all are subscribed to.
const CHANGES: u32 = 20;
/// A Map-Server publishes so many changes of one mapping at once, and what flaps faster once a second.
const AT_ONCE: u32 = 8;
const PACE: Duration = Duration::from_millis(1100);
/// Changes of mappings that have a subscriber or none.
const SINGLE: u32 = 200;

/// Runs the bench; `Ok(true)` if every check holds.
pub(crate) fn run(args: &BenchPubSubArgs) -> anyhow::Result<bool> {
    testbed::enter()?;
    let mut server = Server::start()?;
    let mut load = Load::connect(&server)?;
    let empty = server.memory()?;

    let registering = load.register_all(args.registrations)?;
    let registered = server.memory()?;
    let subscribing = load.subscribe_all(args.subscriptions, args.subscribers, args.registrations)?;
    let subscribed = server.memory()?;

    let mut single = (0..SINGLE)
        .map(|turn| load.change(1 + turn % args.registrations.saturating_sub(1).max(1)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut reach = (0..CHANGES)
        .map(|turn| {
            if turn >= AT_ONCE {
                std::thread::sleep(PACE);
            }
            load.change(0)
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    // Acknowledgements of the last change are on their way.
    let counted = server.settled(Duration::from_secs(10))?;

    let mut checks = Checks::default();
    let held = |checks: &mut Checks, name: &str, is: u64, wanted: u32| {
        checks.add(
            name,
            is as f64,
            "",
            Bound::Within {
                of: f64::from(wanted),
                share: 0.0,
            },
        );
    };
    held(
        &mut checks,
        "registrations at the node",
        counted.registrations,
        args.registrations,
    );
    held(
        &mut checks,
        "subscriptions at the node",
        counted.subscriptions,
        args.subscriptions,
    );
    checks.add("registering", registering.as_secs_f64(), "s", Bound::None);
    checks.add("subscribing", subscribing.as_secs_f64(), "s", Bound::None);
    let each = |bytes: u64, count: u32| bytes as f64 / f64::from(count.max(1));
    let grown = registered.saturating_sub(empty);
    checks.add(
        "memory of the registrations",
        grown as f64 / 1e6,
        "MB",
        Bound::None,
    );
    checks.add(
        "memory a registration",
        each(grown, args.registrations),
        "B",
        Bound::None,
    );
    let grown = subscribed.saturating_sub(registered);
    checks.add(
        "memory of the subscriptions",
        grown as f64 / 1e6,
        "MB",
        Bound::None,
    );
    checks.add(
        "memory a subscription",
        each(grown, args.subscriptions),
        "B",
        Bound::None,
    );
    let (median, worst) = median_and_worst(&mut single);
    checks.add(
        "a change with at most one subscriber, median",
        median,
        "ms",
        Bound::None,
    );
    checks.add(
        "a change with at most one subscriber, worst",
        worst,
        "ms",
        Bound::None,
    );
    let (median, worst) = median_and_worst(&mut reach);
    let all = format!("a change reaches {} subscribers, median", args.subscribers);
    checks.add(all, median, "ms", Bound::AtMost(REACHES_MS));
    checks.add("the same, worst", worst, "ms", Bound::None);
    checks.add(
        "said again by xTRs and subscribers",
        load.repeated() as f64,
        "",
        Bound::None,
    );
    let left = counted.published.saturating_sub(counted.delivered);
    checks.add(
        "publications without an acknowledgement",
        left as f64,
        "",
        Bound::AtMost(0.0),
    );
    checks.add(
        "subscribers given up",
        counted.given_up as f64,
        "",
        Bound::AtMost(0.0),
    );
    if args.json {
        println!("{}", serde_json::to_string_pretty(&checks)?);
    } else {
        print!("{}", checks.table());
    }
    Ok(checks.hold())
}

/// Milliseconds.
fn median_and_worst(times: &mut [Duration]) -> (f64, f64) {
    times.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    (ms(times.get(times.len() / 2)), ms(times.last()))
}
