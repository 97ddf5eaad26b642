//! `pacao replay`: the same inputs, the same decisions?

use serde_json::json;

use crate::cli::ReplayArgs;

/// Repeats a recording; `Ok(true)` if every decision came out the same.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<bool> {
    let report = if args.from_first {
        engine::replay_from_first(&args.file)?
    } else {
        engine::replay(&args.file)?
    };
    let identical = report.identical();
    if args.json {
        let difference = report.first_difference.as_ref();
        let object = json!({
            "file": args.file,
            "records": report.records,
            "inputs": report.inputs,
            "decisions": report.decisions,
            "starts": report.starts,
            "identical": identical,
            "seconds": report.duration.as_secs_f64(),
            "first_difference": difference.map(|d| json!({
                "record": d.record, "line": d.line, "at": d.at, "recorded": d.recorded, "repeated": d.repeated,
            })),
            "gaps": report.gaps,
            "carried_from": report.carried_from,
        });
        println!("{}", serde_json::to_string_pretty(&object)?);
        return Ok(identical);
    }
    println!(
        "{} inputs, {} decisions, {} start(s), repeated in {:.0} ms",
        report.inputs,
        report.decisions,
        report.starts,
        report.duration.as_secs_f64() * 1e3
    );
    if args.from_first {
        println!("~ {} file(s) in a row", report.records.len());
    }
    if let Some(from) = &report.carried_from {
        let (record, first) = (&from.record, report.records.first());
        match first.filter(|_| args.from_first) {
            Some(first) => println!("~ {} goes on from {record}, which is not there", first.display()),
            None => println!("~ this record goes on from {record}; --from-first repeats that as well"),
        }
    }
    for gap in &report.gaps {
        println!("~ a gap in the record: {gap}");
    }
    match &report.first_difference {
        None => println!("o identical: every decision is the same"),
        Some(difference) => {
            let nothing = || "nothing".to_owned();
            println!(
                "x different at {}:{}:",
                difference.record.display(),
                difference.line
            );
            println!(
                "  recorded {}",
                difference.recorded.clone().unwrap_or_else(nothing)
            );
            println!(
                "  repeated {}",
                difference.repeated.clone().unwrap_or_else(nothing)
            );
        }
    }
    Ok(identical)
}
