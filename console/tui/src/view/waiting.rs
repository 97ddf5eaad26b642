//! Before the engine's first snapshot.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::line;
use super::row::Row;
use crate::app::App;
use crate::keymap::{Intent, key_of};
use crate::theme::Role;

pub(super) struct Props {
    lines: [String; 2],
}

pub(super) fn props(app: &App) -> Props {
    let first = app.unreachable().unwrap_or_default();
    Props {
        lines: [first, format!("{} quits", key_of(Intent::Quit))],
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props) {
    let top = usize::from(area.height / 2).saturating_sub(1);
    for (index, text) in props.lines.iter().enumerate() {
        let row = Row::new().pad_to(usize::from(area.width).saturating_sub(text.len()) / 2);
        row.add(text.clone(), Role::Quiet)
            .draw(frame, line(area, top + index));
    }
}
