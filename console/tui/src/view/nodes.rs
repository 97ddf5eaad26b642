//! Forwarders: which are there, and since when.

use proto::{NodeRow, Timestamp};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chrome::{Focus, Title};
use super::line;
use super::row::Row;
use crate::app::App;
use crate::figures::{cells, left, length};
use crate::theme::Role;

pub(super) struct Props<'a> {
    /// Those that are gone first.
    nodes: Vec<&'a NodeRow>,
    now: Timestamp,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let mut nodes: Vec<&NodeRow> = app
        .shown()
        .map(|world| world.nodes.iter().collect())
        .unwrap_or_default();
    nodes.sort_by_key(|node| (node.connected, &node.site));
    Props {
        nodes,
        now: app.engine_now(),
    }
}

impl Props<'_> {
    pub(super) fn title(&self) -> Title {
        let connected = self.nodes.iter().filter(|node| node.connected).count();
        let note = format!("{connected}/{}", self.nodes.len());
        Title {
            text: "Forwarders".to_owned(),
            note,
            focus: Focus::Elsewhere,
        }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    if props.nodes.is_empty() {
        return Row::new()
            .add("  the session names no forwarders", Role::Quiet)
            .draw(frame, line(area, 0));
    }
    let label = props
        .nodes
        .iter()
        .map(|node| cells(&node.label))
        .max()
        .unwrap_or(0)
        .clamp(4, 14);
    let height = usize::from(area.height);
    let fit = if props.nodes.len() > height {
        height.saturating_sub(1)
    } else {
        height
    };
    for (index, node) in props.nodes.iter().take(fit).enumerate() {
        row(node, label, props.now, usize::from(area.width)).draw(frame, line(area, index));
    }
    if props.nodes.len() > fit {
        let text = format!("   and {} more", props.nodes.len() - fit);
        Row::new().add(text, Role::Quiet).draw(frame, line(area, fit));
    }
}

fn row(node: &NodeRow, label: usize, now: Timestamp, width: usize) -> Row {
    let since = length(now.since(node.since));
    let (mark, role, word) = if node.connected {
        ("o", Role::Good, format!("up {since}"))
    } else {
        ("x", Role::Bad, format!("gone {since}"))
    };
    let name = if node.connected { Role::Text } else { Role::Bad };
    let row = Row::new()
        .add(format!(" {mark} "), role)
        .add(left(&node.label, label), name)
        .add(format!(" {word:<11}"), name);
    let address = format!(" {}", node.rloc);
    if row.width() + address.len() <= width {
        row.add(address, Role::Quiet)
    } else {
        row
    }
}
