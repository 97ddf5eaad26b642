//! A question in the middle of the screen. The button with the focus has brackets and is reversed.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

use super::line;
use super::row::Row;
use crate::app::App;
use crate::app::dialog::Dialog;
use crate::figures;
use crate::theme::Role;

pub(super) struct Props<'a> {
    dialog: &'a Dialog,
    /// A refusal of the last key, if there was one while it is open.
    word: Option<&'a str>,
}

pub(super) fn props<'a>(app: &'a App, dialog: &'a Dialog) -> Props<'a> {
    Props {
        dialog,
        word: app
            .status
            .as_ref()
            .filter(|status| status.at >= dialog.opened_at())
            .map(|it| it.text.as_str()),
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    let dialog = props.dialog;
    let buttons = buttons(dialog);
    let notice = dialog.void.as_deref().or(props.word);
    let mut rows: Vec<Row> = vec![Row::new()];
    rows.extend(dialog.facts.iter().map(|(name, text)| {
        Row::new()
            .add(format!("  {name:<10}"), Role::Heading)
            .add(text.clone(), Role::Text)
    }));
    rows.push(notice.map_or_else(Row::new, |why| Row::new().add(format!("  x {why}"), Role::Bad)));
    let widest = rows.iter().chain(&buttons).map(Row::width).max().unwrap_or(0);
    let width = (widest + 4).clamp(44, 96).min(usize::from(area.width)) as u16;
    let height = (rows.len() + buttons.len() + 3).min(usize::from(area.height)) as u16;
    let page = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(page, frame.buffer_mut());
    let title = format!(
        " {} ",
        figures::fit(&dialog.title, usize::from(width).saturating_sub(4))
    );
    let block = Block::bordered().title(ratatui::text::Span::styled(title, Role::Focus.style()));
    let inside = block.inner(page);
    block.render(page, frame.buffer_mut());
    // Buttons come first: a question that cannot be answered is worse than one that is cut.
    let top = usize::from(inside.height).saturating_sub(buttons.len());
    for (index, row) in rows.into_iter().take(top).enumerate() {
        row.draw(frame, line(inside, index));
    }
    for (index, row) in buttons.into_iter().enumerate() {
        row.draw(
            frame,
            line(inside, top.saturating_sub(1).max(usize::from(top > 0)) + index),
        );
    }
}

/// Two buttons stand side by side, more below each other.
fn buttons(dialog: &Dialog) -> Vec<Row> {
    let mut rows = vec![Row::new().add("  ", Role::Text)];
    for (index, choice) in dialog.choices.iter().enumerate() {
        let focus = index == dialog.focus;
        let role = match (focus, dialog.hindrance(choice)) {
            (true, _) => Role::Selected,
            (false, Some(_)) => Role::Quiet,
            (false, None) => Role::Text,
        };
        let text = if focus {
            format!("[ {} ]", choice.label)
        } else {
            format!("  {}  ", choice.label)
        };
        if dialog.choices.len() > 2 && index > 0 {
            rows.push(Row::new().add("  ", Role::Text).add(text, role));
        } else if let Some(row) = rows.last_mut() {
            row.push(text, role);
            row.push("  ", Role::Text);
        }
    }
    rows
}
