//! Big counters, to be read from across the room.

use proto::ProposalState;
use ratatui::Frame;
use ratatui::layout::Rect;

use super::line;
use super::row::Row;
use crate::app::App;
use crate::charts::{DIGIT_HEIGHT, big};
use crate::figures::{cells, left};
use crate::theme::Role;

pub(super) struct Props {
    counters: Vec<Counter>,
}

struct Counter {
    label: &'static str,
    number: usize,
    role: Role,
}

pub(super) fn props(app: &App) -> Props {
    let Some(world) = app.shown() else {
        return Props { counters: Vec::new() };
    };
    let tally = world.tally(app.engine_now());
    let open = world
        .proposals
        .values()
        .filter(|one| one.state == ProposalState::Open)
        .count();
    let gone = world.nodes.iter().filter(|node| !node.connected).count();
    // Nothing wrong is quiet; what is wrong has its colour.
    let counter = |label, number, role| Counter {
        label,
        number,
        role: if number == 0 { Role::Quiet } else { role },
    };
    Props {
        counters: vec![
            counter("x BROKEN", tally.broken, Role::Bad),
            counter("~ WARNING", tally.warned, Role::Warning),
            counter("? STALE", tally.stale, Role::Stale),
            counter("o FINE", tally.fine, Role::Good),
            counter("PROPOSALS", open, Role::Strong),
            counter("SITES GONE", gone, Role::Bad),
        ],
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props) {
    let share = usize::from(area.width)
        .checked_div(props.counters.len())
        .unwrap_or(0);
    for row in 0..DIGIT_HEIGHT {
        let mut text = Row::new();
        for (index, counter) in props.counters.iter().enumerate() {
            let digits = big(counter.number);
            let fits = digits.iter().all(|row| cells(row) + 2 < share);
            let middle = row == DIGIT_HEIGHT / 2;
            let drawn = match (fits, middle) {
                (true, _) => digits.get(row).cloned().unwrap_or_default(),
                (false, true) => counter.number.to_string(),
                (false, false) => String::new(),
            };
            text = text.pad_to(index * share + 2).add(drawn, counter.role);
        }
        text.draw(frame, line(area, row + 1));
    }
    let mut labels = Row::new();
    for (index, counter) in props.counters.iter().enumerate() {
        labels = labels
            .pad_to(index * share + 2)
            .add(left(counter.label, share.saturating_sub(3)), counter.role);
    }
    labels.draw(frame, line(area, DIGIT_HEIGHT + 1));
}
