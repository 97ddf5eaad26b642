//! Tables of a forwarder, fetched page by page and printed as they come.

mod rows;

use std::io::Write;

use anyhow::bail;
use proto::node::{CounterRow, Show};
use proto::{NodeCommand, NodeReport, Page};
use serde::Serialize;

use super::forwarder::{Answer, Forwarder};
use crate::cli::{CounterArgs, RowArgs};
use rows::Row;

/// Prints a table.
pub(super) fn run(
    forwarder: &mut Forwarder,
    (what, args): (Show, Option<RowArgs>),
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Answer> {
    let eid = args.and_then(|args| args.eid);
    let mut left = args.and_then(|args| args.most).unwrap_or(usize::MAX);
    let mut after = None;
    let mut printed = Printed::Nothing;
    loop {
        let command = NodeCommand::Page {
            what,
            eid,
            after: after.take(),
            most: u32::try_from(left).unwrap_or(0),
        };
        let Page { page, next } = match forwarder.ask(command)? {
            NodeReport::Page(page) => page,
            NodeReport::Refused { why } => return Ok(Answer::Refused { why }),
            other => bail!("asked for a page, got {other:?}"),
        };
        left = left.saturating_sub(print(*page, &mut printed, json, out)?);
        after = next;
        if after.is_none() || left == 0 {
            break;
        }
    }
    end(&printed, json, out)?;
    Ok(Answer::Given)
}

/// Prints the counters. They are one page.
pub(super) fn counters(
    forwarder: &mut Forwarder,
    args: CounterArgs,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<Answer> {
    let command = NodeCommand::Page {
        what: Show::Counters,
        eid: None,
        after: None,
        most: 0,
    };
    let page = match forwarder.ask(command)? {
        NodeReport::Page(Page { page, .. }) => *page,
        NodeReport::Refused { why } => return Ok(Answer::Refused { why }),
        other => bail!("asked for a page, got {other:?}"),
    };
    let NodeReport::Counters { mut rows } = page else {
        bail!("asked for counters, got {page:?}")
    };
    rows.retain(|row| wanted(row, args, json));
    let mut printed = Printed::Nothing;
    print(NodeReport::Counters { rows }, &mut printed, json, out)?;
    end(&printed, json, out)?;
    Ok(Answer::Given)
}

/// Scripts get every counter, zero or not; people those that have something to say.
fn wanted(row: &CounterRow, args: CounterArgs, json: bool) -> bool {
    let unstored = row.name.starts_with("control.state.fail");
    let lost = row.name.contains(".drop.") || row.name.contains(".refused.") || unstored;
    (lost || !args.dropped) && (row.value > 0 || args.all || json)
}

/// How far the output is.
#[derive(Debug)]
enum Printed {
    Nothing,
    Rows,
}

/// Prints a part of a table; gives its number of rows.
fn print(
    report: NodeReport,
    printed: &mut Printed,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<usize> {
    match report {
        NodeReport::MapCache { rows } => rows_of("map-cache", &rows, printed, json, out),
        NodeReport::Registrations { rows } => rows_of("registrations", &rows, printed, json, out),
        NodeReport::Database { rows } => rows_of("database", &rows, printed, json, out),
        NodeReport::Requesters { rows } => rows_of("requesters", &rows, printed, json, out),
        NodeReport::ProbeFigures { rows } => rows_of("probe-figures", &rows, printed, json, out),
        NodeReport::Counters { rows } => rows_of("counters", &rows, printed, json, out),
        NodeReport::Subscriptions { rows } => rows_of("subscriptions", &rows, printed, json, out),
        NodeReport::Subscribed { rows } => rows_of("subscribed", &rows, printed, json, out),
        NodeReport::OwnRegistrations { rows } => rows_of("own-registrations", &rows, printed, json, out),
        other => bail!("not a table: {other:?}"),
    }
}

/// JSON is one object, `{"report": ..., "rows": [...]}`, one row a line, so that it need not be held whole by anyone.
fn rows_of<R: Row + Serialize>(
    report: &str,
    rows: &[R],
    printed: &mut Printed,
    json: bool,
    out: &mut impl Write,
) -> anyhow::Result<usize> {
    let first = matches!(printed, Printed::Nothing);
    if json {
        if first {
            write!(out, "{{\"report\":\"{report}\",\"rows\":[")?;
        }
        for (index, row) in rows.iter().enumerate() {
            let comma = if first && index == 0 { "" } else { "," };
            write!(out, "{comma}\n{}", serde_json::to_string(row)?)?;
        }
        *printed = Printed::Rows;
    } else if !rows.is_empty() {
        if first {
            writeln!(out, "{}", R::HEAD)?;
        }
        for row in rows {
            writeln!(out, "{}", row.lines())?;
        }
        *printed = Printed::Rows;
    }
    Ok(rows.len())
}

fn end(printed: &Printed, json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if json {
        writeln!(out, "\n]}}")?;
    } else if matches!(printed, Printed::Nothing) {
        writeln!(out, "nothing")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proto::inspect::SubscribedRow;

    use super::*;

    fn row(eid: &str) -> SubscribedRow {
        SubscribedRow {
            eid: eid.parse().unwrap(),
            resolver: lisp_wire::Rloc([172, 16, 9, 1].into()),
            server: ([172, 16, 9, 1], 4342).into(),
            nonce: "0x0000000000000007".to_owned(),
            there: true,
            renewed_in: None,
        }
    }

    fn printed(pages: &[Vec<SubscribedRow>], json: bool) -> String {
        let (mut out, mut printed) = (Vec::new(), Printed::Nothing);
        for rows in pages {
            let report = NodeReport::Subscribed { rows: rows.clone() };
            print(report, &mut printed, json, &mut out).unwrap();
        }
        end(&printed, json, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn pages_make_one_json_object() {
        for pages in [
            vec![vec![]],
            vec![vec![row("10.1.0.1")], vec![row("10.1.0.2"), row("10.1.0.3")]],
        ] {
            let text = printed(&pages, true);
            let report: NodeReport =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            let rows = pages.concat();
            assert_eq!(report, NodeReport::Subscribed { rows });
        }
    }

    #[test]
    fn pages_make_one_table() {
        let text = printed(&[vec![row("10.1.0.1")], vec![row("10.1.0.2")]], false);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert_eq!(printed(&[vec![]], false), "nothing\n");
    }

    #[test]
    fn counters_that_are_zero_are_for_scripts() {
        let row = |name: &str, value| CounterRow {
            name: name.to_owned(),
            value,
            meaning: String::new(),
        };
        let (plain, dropped) = (
            CounterArgs {
                dropped: false,
                all: false,
            },
            CounterArgs {
                dropped: true,
                all: false,
            },
        );
        assert!(wanted(&row("encap.packets", 1), plain, false));
        assert!(!wanted(&row("encap.packets", 0), plain, false));
        assert!(wanted(&row("encap.packets", 0), plain, true));
        assert!(!wanted(&row("encap.packets", 1), dropped, false));
        assert!(wanted(&row("control.refused.replay", 1), dropped, false));
        assert!(wanted(&row("decap.drop.not-local", 1), dropped, true));
        assert!(wanted(&row("control.state.failing", 1), dropped, false));
        assert!(!wanted(&row("control.state.stored", 1), dropped, false));
    }
}
