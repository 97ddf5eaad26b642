//! A forwarder's map cache: remote mappings, their locators, whether they answer, what went there.

use proto::node::CacheRow;
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chrome::{Focus, Title};
use super::row::Row;
use super::{line, sentence};
use crate::app::App;
use crate::app::nodelog::NodeLog;
use crate::figures;
use crate::theme::Role;

pub(super) struct Props<'a> {
    looks: &'a NodeLog,
}

pub(super) fn props(app: &App) -> Props<'_> {
    Props { looks: &app.looks }
}

impl Props<'_> {
    pub(super) fn title(&self) -> Title {
        // What it had when it answered last may be long gone.
        let known = if self.looks.trouble.is_some() {
            "unknown now, was "
        } else {
            ""
        };
        let more = if self.looks.cache_goes_on {
            ", and more"
        } else {
            ""
        };
        Title {
            text: "Map cache".to_owned(),
            note: format!(
                "{known}{}{more}",
                figures::count(self.looks.cache.len(), "mapping")
            ),
            focus: Focus::Elsewhere,
        }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    if props.looks.cache.is_empty() {
        let text = if props.looks.trouble.is_some() || !props.looks.is_heard() {
            "unknown: the forwarder has not told"
        } else {
            "no mappings: nothing was sent to users yet"
        };
        return sentence(frame, area, text);
    }
    for (index, mapping) in props
        .looks
        .cache
        .iter()
        .take(usize::from(area.height))
        .enumerate()
    {
        row(mapping).draw(frame, line(area, index));
    }
}

/// `10.2.1.0/24  encapsulate  23 h  map-reply   o 172.16.1.1 1/100 3912 packets`.
fn row(mapping: &CacheRow) -> Row {
    let mut line = Row::new()
        .add(
            format!(" {} ", figures::left(&mapping.eid.to_string(), 20)),
            Role::Strong,
        )
        .add(
            format!(
                "{:<12} {:>4} {:<16}",
                mapping.forwarding,
                figures::age(mapping.expires_in),
                mapping.origin
            ),
            Role::Text,
        );
    for cached in &mapping.locators {
        let (mark, role) = if cached.up {
            ("o", Role::Good)
        } else {
            ("x", Role::Bad)
        };
        let locator = &cached.locator;
        line = line.add(format!(" {mark} "), role).add(
            format!(
                "{} {}/{} {}p",
                locator.rloc, locator.priority.0, locator.weight.0, cached.packets
            ),
            Role::Text,
        );
    }
    line
}
