//! What happened, newest first.

use chrono::FixedOffset;
use proto::{LogEntry, Severity};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chrome::{Focus, Title};
use super::row::Row;
use super::{line, sentence};
use crate::app::App;
use crate::figures::clock;
use crate::layout::PaneKind;
use crate::theme::Role;

pub(super) struct Props<'a> {
    /// Newest first, from where it is scrolled to.
    entries: Vec<&'a LogEntry>,
    back: usize,
    zone: FixedOffset,
    focus: Focus,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let height = usize::from(app.size.1);
    let entries = app
        .shown()
        .map(|world| world.log.iter().rev().skip(app.log_back).take(height).collect());
    let focus = if app.focus == PaneKind::Log && app.has_hands() {
        Focus::Here
    } else {
        Focus::Elsewhere
    };
    Props {
        entries: entries.unwrap_or_default(),
        back: app.log_back,
        zone: app.zone,
        focus,
    }
}

impl Props<'_> {
    pub(super) fn title(&self) -> Title {
        let note = if self.back > 0 {
            format!("{} newer above", self.back)
        } else {
            String::new()
        };
        Title {
            text: "Log".to_owned(),
            note,
            focus: self.focus,
        }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    if props.entries.is_empty() {
        return sentence(frame, area, "nothing has happened yet");
    }
    for (index, entry) in props.entries.iter().take(usize::from(area.height)).enumerate() {
        // The one that Enter opens.
        let here = index == 0 && props.focus == Focus::Here;
        entry_row(entry, props.zone).draw_over(frame, line(area, index), here.then_some(Role::Selected));
    }
}

/// `14:02:29 x link lyon-042/TelcoCenter left its bounds`.
pub(super) fn entry_row(entry: &LogEntry, zone: FixedOffset) -> Row {
    let (mark_role, role) = match entry.severity {
        Severity::Info => (Role::Good, Role::Text),
        Severity::Warning => (Role::Warning, Role::Text),
        Severity::Error => (Role::Bad, Role::Bad),
    };
    Row::new()
        .add(format!(" {} ", clock(entry.at, zone)), Role::Quiet)
        .add(format!("{} ", entry.severity.mark()), mark_role)
        .add(entry.text.clone(), role)
}
