//! Rows as aligned text, for `pacao ctl` and whatever is not a terminal: ASCII, no escape codes, a heading first.

mod accounts;
mod plan;

pub use accounts::{Over, availability, availability_csv, penalties_csv, qoe};
pub(crate) use accounts::{left as budget_left, owed};
pub use plan::plan;
pub(crate) use plan::{
    badge as plan_badge, gain as plan_gain, left_out as plan_left_out, parts as plan_parts,
    summary as plan_summary,
};

use std::collections::BTreeMap;

use chrono::FixedOffset;
use proto::why::{Check, Outlook, Rung, Why};
use proto::{
    Actor, LegRow, LinkId, LinkRow, Proposal, ProposalState, Refusal, SiteName, Snapshot, Span, Timestamp,
};

use crate::figures::{self, clock};

/// The links: user, data centre, state, what is carried, and the figures of the window.
pub fn links(snapshot: &Snapshot) -> String {
    let labels = labels(snapshot);
    let mut table = Table::new(&[
        ("S", Side::Left),
        ("STATE", Side::Left),
        ("USER", Side::Left),
        ("VIA", Side::Left),
        ("CARRIES", Side::Left),
        ("RTT ms", Side::Right),
        ("p95 ms", Side::Right),
        ("JITTER ms", Side::Right),
        ("LOSS %", Side::Right),
        ("SLA ms", Side::Right),
        ("AGE s", Side::Right),
    ]);
    let mut rows: Vec<&LinkRow> = snapshot.links.iter().collect();
    rows.sort_by_key(|row| (crate::app::table::gravity(row), &row.link));
    for row in rows {
        let carries: Vec<&str> = row.carries.iter().map(proto::VmName::as_str).collect();
        table.row([
            row.state.mark().to_string(),
            row.state.word().to_owned(),
            row.link.user.to_string(),
            label(&labels, &row.link.dc),
            if carries.is_empty() {
                "-".to_owned()
            } else {
                carries.join(",")
            },
            figure(row.rtt.map(|rtt| rtt.last), 2),
            figure(row.rtt.map(|rtt| rtt.p95), 2),
            figure(row.jitter_ms, 2),
            figure(row.loss_pct, 1),
            row.margin_ms
                .map_or_else(missing, |margin| format!("{margin:+.1}")),
            figure(
                row.heard_at.map(|heard| snapshot.at.since(heard).as_secs_f64()),
                1,
            ),
        ]);
    }
    table.text("no links yet: they appear once forwarders report probes")
}

/// The legs between data centres: from where a user enters to where a VM lives, how many entries go by it now, and the
/// figures of the window.
pub fn legs(snapshot: &Snapshot) -> String {
    let labels = labels(snapshot);
    let mut table = Table::new(&[
        ("S", Side::Left),
        ("STATE", Side::Left),
        ("FROM", Side::Left),
        ("TO", Side::Left),
        ("ENTRIES", Side::Right),
        ("RTT ms", Side::Right),
        ("p95 ms", Side::Right),
        ("JITTER ms", Side::Right),
        ("LOSS %", Side::Right),
        ("AGE s", Side::Right),
    ]);
    let mut rows: Vec<&LegRow> = snapshot.legs.iter().collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.state), &row.from, &row.to));
    for row in rows {
        let age = row.heard_at.map(|heard| snapshot.at.since(heard).as_secs_f64());
        table.row([
            row.state.mark().to_string(),
            row.state.word().to_owned(),
            label(&labels, &row.from),
            label(&labels, &row.to),
            row.carries.to_string(),
            figure(row.rtt.map(|rtt| rtt.last), 2),
            figure(row.rtt.map(|rtt| rtt.p95), 2),
            figure(row.jitter_ms, 2),
            figure(row.loss_pct, 1),
            figure(age, 1),
        ]);
    }
    table.text("no legs: the session has one data centre, or its legs are not measured")
}

/// The locators of every user's VMs, as that user is told to use them.
pub fn rlocs(snapshot: &Snapshot) -> String {
    let labels = labels(snapshot);
    let mut table = Table::new(&[
        ("USER", Side::Left),
        ("VM", Side::Left),
        ("EID", Side::Left),
        ("DC", Side::Left),
        ("RLOC", Side::Left),
        ("PRI", Side::Right),
        ("WGT", Side::Right),
        ("RTT ms", Side::Right),
        ("USE", Side::Left),
        ("HOME", Side::Left),
    ]);
    let links: BTreeMap<&LinkId, &LinkRow> = snapshot.links.iter().map(|row| (&row.link, row)).collect();
    let mut rows: Vec<_> = snapshot.rlocs.iter().collect();
    rows.sort_by_key(|row| (&row.user, &row.vm, row.priority.0, &row.dc));
    for row in rows {
        let link = links.get(&LinkId {
            user: row.user.clone(),
            dc: row.dc.clone(),
        });
        let carries = link.is_some_and(|link| link.carries.contains(&row.vm));
        table.row([
            row.user.to_string(),
            row.vm.to_string(),
            row.eid.to_string(),
            label(&labels, &row.dc),
            row.rloc.to_string(),
            row.priority.0.to_string(),
            row.weight.0.to_string(),
            figure(link.and_then(|link| link.rtt).map(|rtt| rtt.last), 2),
            if carries { "in use" } else { "-" }.to_owned(),
            if row.home { "home" } else { "-" }.to_owned(),
        ]);
    }
    table.text("no locators: the session gives no user a VM")
}

/// The proposals, newest last; times of day at this distance from UTC.
pub fn proposals(snapshot: &Snapshot, zone: FixedOffset) -> String {
    let labels = labels(snapshot);
    let mut table = Table::new(&[
        ("ID", Side::Right),
        ("REV", Side::Right),
        ("STATE", Side::Left),
        ("USER", Side::Left),
        ("VM", Side::Left),
        ("FROM", Side::Left),
        ("TO", Side::Left),
        ("GAIN", Side::Right),
        ("UNIT", Side::Left),
        ("SHARE", Side::Right),
        ("OPENED", Side::Left),
        ("THEN", Side::Left),
    ]);
    for proposal in &snapshot.proposals {
        table.row([
            proposal.id.0.to_string(),
            proposal.revision.to_string(),
            proposal.state.word().to_owned(),
            proposal.user.to_string(),
            proposal.vm.to_string(),
            label(&labels, &proposal.from),
            label(&labels, &proposal.to),
            figure(Some(proposal.gain), 1),
            match proposal.reason.criterion.unit() {
                "" => "-".to_owned(),
                unit => unit.to_owned(),
            },
            format!("{:.0}%", proposal.gain_share * 100.0),
            clock(proposal.opened_at, zone),
            then(proposal, snapshot, zone),
        ]);
    }
    table.text("no proposals")
}

fn then(proposal: &Proposal, snapshot: &Snapshot, zone: FixedOffset) -> String {
    let name = |by: &Actor| match by {
        Actor::Operator { name } => name.clone(),
        Actor::Engine => "the engine".to_owned(),
    };
    match &proposal.state {
        ProposalState::Open => {
            format!(
                "expires in {:.0} s",
                proposal.expires_at.since(snapshot.at).as_secs_f64().ceil()
            )
        }
        ProposalState::Executing { by, since } => format!("approved {} by {}", clock(*since, zone), name(by)),
        ProposalState::Confirmed { by, receipt } => format!(
            "{} by {}, signalling {:.1} ms",
            clock(receipt.confirmed_at, zone),
            name(by),
            receipt.signalling.as_millis_f64()
        ),
        ProposalState::Failed { at, why, .. }
        | ProposalState::Reverted { at, why, .. }
        | ProposalState::Superseded { at, why } => {
            format!("{}: {why}", clock(*at, zone))
        }
        ProposalState::Rejected { by, at } => format!("{} by {}", clock(*at, zone), name(by)),
        ProposalState::Expired { at } => clock(*at, zone),
    }
}

/// A refusal, what would change it, and how long that takes if time alone does.
pub fn refusal(refusal: &Refusal, now: Timestamp) -> String {
    let Refusal::Held { hold } = refusal else {
        return refusal.to_string();
    };
    let left = hold
        .until()
        .map(|at| at.since(now))
        .filter(|left| *left > Span::ZERO);
    let left = left.map_or_else(String::new, |left| {
        format!(" (opens in {})", figures::length(left))
    });
    format!("{hold}{left}; {}", hold.remedy())
}

/// The condition that binds, in a line.
pub fn binding(why: &Why) -> String {
    let bound = why.checks.iter().find(|check| !check.holds);
    let (user, from, to) = (&why.user, &why.from, &why.to);
    match (bound, why.outlook) {
        (Some(check), _) => format!(
            "{user} stays with {from}, not {to}: {}: {}",
            check.name, check.text
        ),
        (None, Outlook::Moves) => format!("{user} moves from {from} to {to}"),
        (None, _) => format!("{user} is proposed to move from {from} to {to}"),
    }
}

/// Every condition and every rung, as text.
pub fn why(why: &Why) -> String {
    let check = |check: &Check| {
        let mark = if check.holds { 'o' } else { 'x' };
        format!("{mark} {:<10} {}\n", check.name, check.text)
    };
    let checks: String = why.checks.iter().map(check).collect();
    let rungs = why.rungs.iter().enumerate();
    let rungs: String = rungs
        .map(|(at, rung)| line(rung, at == why.pick as usize))
        .collect();
    format!("{}\n\n{checks}\n{rungs}", binding(why))
}

fn line(rung: &Rung, picked: bool) -> String {
    let mark = if picked { '>' } else { ' ' };
    let to = rung
        .to
        .as_ref()
        .map_or_else(String::new, |to| format!(" to {to}"));
    let what = format!("{}{to}", rung.kind.word());
    let enough = match rung.enough {
        Some(true) => "enough",
        Some(false) => "not enough",
        None => "unknown",
    };
    let known = |figure: Option<String>| figure.unwrap_or_else(missing);
    let gain = known(rung.gain_user_ms.map(|gain| format!("{gain:.1}")));
    let downtime = known(rung.downtime.map(figures::length));
    let bytes = known(rung.bytes.map(figures::bytes));
    let back = known(rung.revert_in.map(figures::length));
    let risk = figures::count(usize::try_from(rung.users_at_risk).unwrap_or(usize::MAX), "user");
    let not = rung.unavailable.as_ref();
    let not = not.map_or_else(String::new, |why| format!("; not available: {why}"));
    format!(
        "{mark} {what:<32} {enough:<10} gain {gain} user-ms, downtime {downtime}, {bytes} moved, {risk} at risk, \
         back in {back}{not}\n"
    )
}

fn labels(snapshot: &Snapshot) -> BTreeMap<&SiteName, &str> {
    snapshot
        .nodes
        .iter()
        .map(|node| (&node.site, node.label.as_str()))
        .collect()
}

fn label(labels: &BTreeMap<&SiteName, &str>, site: &SiteName) -> String {
    labels
        .get(site)
        .map_or_else(|| site.to_string(), |label| (*label).to_owned())
}

fn figure(figure: Option<f64>, decimals: usize) -> String {
    figure
        .filter(|figure| figure.is_finite())
        .map_or_else(missing, |figure| format!("{figure:.decimals$}"))
}

fn missing() -> String {
    "-".to_owned()
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// A table whose columns are as wide as what is in them.
struct Table<'a> {
    columns: &'a [(&'static str, Side)],
    rows: Vec<Vec<String>>,
}

impl<'a> Table<'a> {
    fn new(columns: &'a [(&'static str, Side)]) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // A newline or an escape code in a name or reason must not break the table, or reach a terminal.
        let clean = |cell: String| {
            cell.chars()
                .map(|letter| if letter.is_control() { ' ' } else { letter })
                .collect()
        };
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    fn text(self, none: &str) -> String {
        if self.rows.is_empty() {
            return format!("{none}\n");
        }
        let head: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                lines
                    .iter()
                    .filter_map(|line| line.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut text = String::new();
        for line in lines {
            let cells =
                line.iter()
                    .zip(self.columns)
                    .zip(&widths)
                    .map(|((cell, (_, side)), width)| match side {
                        Side::Left => format!("{cell:<width$}"),
                        Side::Right => format!("{cell:>width$}"),
                    });
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{empty, snapshot, zone};

    fn all(snapshot: &Snapshot) -> String {
        [
            links(snapshot),
            legs(snapshot),
            rlocs(snapshot),
            proposals(snapshot, zone()),
        ]
        .join("\n")
    }

    #[test]
    fn accounts_are_tables_and_a_file_of_commas() {
        let snapshot = snapshot();
        let text = [
            availability(&snapshot, Over::Rolling),
            availability(&snapshot, Over::Calendar),
            qoe(&snapshot),
            availability_csv(&snapshot.availability),
            penalties_csv(&snapshot.availability),
            availability(&empty(), Over::Rolling),
            qoe(&empty()),
        ];
        let text = text.join("\n");
        insta::assert_snapshot!("accounts", text);
        assert!(text.is_ascii());
        for csv in [
            availability_csv(&snapshot.availability),
            penalties_csv(&snapshot.availability),
        ] {
            let commas = |line: &str| line.matches(',').count();
            let first = csv.lines().next().map(commas);
            assert!(csv.lines().all(|line| Some(commas(line)) == first));
        }
    }

    #[test]
    fn a_plan_says_what_is_proven_and_how_its_first_move_would_be_done() {
        let told = plan(&crate::fixture::plan());
        insta::assert_snapshot!("plan", told);
        assert!(told.is_ascii());
        let mut nothing = crate::fixture::plan();
        nothing.moves.clear();
        (nothing.badge.optimal, nothing.badge.ties) = (true, 0);
        let told = plan(&nothing);
        insta::assert_snapshot!("plan_of_nothing", told);
        assert!(!told.contains("ctl switch"), "there is nothing to do");
    }

    #[test]
    fn tables_are_aligned_and_need_no_terminal() {
        let text = all(&snapshot());
        insta::assert_snapshot!("plain", text);
        assert!(text.is_ascii());
    }

    #[test]
    fn an_empty_table_says_why() {
        insta::assert_snapshot!("plain_empty", all(&empty()));
    }

    #[test]
    fn control_characters_do_not_break_a_table() {
        let mut snapshot = snapshot();
        snapshot.nodes[1].label = "Mar\nil\u{1b}[31myn".to_owned();
        let text = all(&snapshot);
        assert!(text.contains("Mar il [31myn"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
