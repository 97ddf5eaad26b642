//! The help page, made from the live keymap: what each key does, and why it does nothing now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

use super::line;
use super::row::Row;
use crate::app::App;
use crate::keymap::{HelpLine, Hindered, help};
use crate::theme::Role;

pub(super) struct Props {
    lines: Vec<HelpLine>,
    first: usize,
}

pub(super) fn props(app: &App, first: usize) -> Props {
    Props {
        lines: help(app),
        first,
    }
}

/// Cells before what a key does.
const KEYS: usize = 22;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props) {
    let width = area.width.min(84);
    let page = Rect {
        x: area.x + (area.width - width) / 2,
        width,
        ..area
    };
    Clear.render(page, frame.buffer_mut());
    let block = Block::bordered()
        .border_style(Role::Border.style())
        .title(" Help ");
    let block = block.title_bottom(" Esc closes, j and k scroll ");
    let inside = block.inner(page);
    block.render(page, frame.buffer_mut());
    let height = usize::from(inside.height);
    let first = props.first.min(props.lines.len().saturating_sub(height));
    for (index, text) in props.lines.iter().skip(first).take(height).enumerate() {
        row(text).draw(frame, line(inside, index));
    }
}

fn row(line: &HelpLine) -> Row {
    match line {
        HelpLine::Title(title) => Row::new().add(format!(" {title}"), Role::Strong),
        HelpLine::Keys(keys, does, hindered) => {
            let (key, text) = match hindered {
                Hindered::Yes => (Role::Quiet, Role::Quiet),
                Hindered::No => (Role::Key, Role::Text),
            };
            Row::new()
                .add(format!("   {keys}"), key)
                .pad_to(KEYS)
                .add(*does, text)
        }
        HelpLine::Why(why) => Row::new()
            .pad_to(KEYS)
            .add(format!("not now: {why}"), Role::Warning),
        HelpLine::Mark(mark, means) => Row::new()
            .add(format!("   {mark}"), Role::Key)
            .pad_to(KEYS)
            .add(*means, Role::Text),
        HelpLine::Blank => Row::new(),
    }
}
