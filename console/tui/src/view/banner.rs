//! Lines across the top: the engine is lost, or what to press next.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::row::Row;
use crate::app::{App, Connection, Status};
use crate::figures;
use crate::layout::PaneKind;
use crate::theme::Role;

pub(super) struct Props<'a> {
    alarm: Option<String>,
    guide: Option<&'a str>,
    /// The status line, where the layout has no footer for it.
    status: Option<&'a Status>,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let alarm = match &app.connection {
        Connection::Lost { since, why } => {
            let age = figures::length(app.now.since(*since));
            let shown = if app.live.is_some() {
                format!("showing data of {age} ago")
            } else {
                format!("for {age}")
            };
            Some(format!("x engine lost, {shown}; waiting for it, q quits ({why})"))
        }
        Connection::Foreign { .. } => app.unreachable().map(|why| format!("x {why}")),
        Connection::Waiting | Connection::Up => None,
    };
    let status = app.status.as_ref().filter(|_| !app.has_pane(PaneKind::Footer));
    Props {
        alarm,
        guide: app.guide.as_deref(),
        status,
    }
}

/// Draws the lines and gives back what is left of the area. They leave the last four rows of a tiny screen alone.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) -> Rect {
    let mut rest = area;
    let alarm = props.alarm.as_deref().map(|text| (Role::Alarm, text));
    let guide = props.guide.map(|text| (Role::Guide, text));
    let status = props.status.map(|status| (Role::Selected, status.text.as_str()));
    for (role, text) in [alarm, guide, status].into_iter().flatten() {
        for text in wrapped(text, usize::from(rest.width).saturating_sub(2)) {
            if rest.height <= 4 {
                return rest;
            }
            let text = figures::left(&format!(" {text}"), usize::from(rest.width));
            Row::new().add(text, role).draw(frame, Some(rest));
            rest = Rect {
                y: rest.y + 1,
                height: rest.height - 1,
                ..rest
            };
        }
    }
    rest
}

/// At most two lines, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut first = String::new();
    let mut rest = text;
    while let Some(word) = rest.split_inclusive(' ').next() {
        if figures::cells(&first) + figures::cells(word.trim_end()) > width {
            break;
        }
        first.push_str(word);
        rest = rest.get(word.len()..).unwrap_or_default();
    }
    match (first.is_empty(), rest.is_empty()) {
        // A single word longer than the line is cut.
        (true, _) => vec![text.to_owned()],
        (false, true) => vec![first],
        (false, false) => vec![first, rest.to_owned()],
    }
}
