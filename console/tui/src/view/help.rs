//! The help page, made from the live keymap: what each key does, and why it does nothing now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

use super::line;
use super::row::Row;
use crate::app::App;
use crate::keymap::{BINDINGS, Context, hindrance};
use crate::theme::Role;

pub(super) struct Props {
    rows: Vec<Row>,
    first: usize,
}

const CONTEXTS: [(Context, &str); 4] = [
    (Context::Screen, "On the screen"),
    (Context::Always, "Anywhere"),
    (Context::Dialog, "In a dialog"),
    (Context::Field, "While typing a filter"),
];

const LEGEND: [(&str, &str); 4] = [
    ("o ~ x ?", "fine, warning, broken or down, stale"),
    ("▶ *", "the link carries the user's traffic; the VM's home"),
    ("×", "a probe was lost (it is never drawn as 0 ms)"),
    ("SLA ms", "what is left of the RTT bound; below 0 it is broken"),
];

pub(super) fn props(app: &App, first: usize) -> Props {
    let mut rows = Vec::new();
    for (context, title) in CONTEXTS {
        rows.push(Row::new().add(format!(" {title}"), Role::Strong));
        for binding in BINDINGS.iter().filter(|binding| binding.context == context) {
            let why = hindrance(app, binding.intent).filter(|_| context == Context::Screen);
            let (key, text) = if why.is_some() {
                (Role::Quiet, Role::Quiet)
            } else {
                (Role::Key, Role::Text)
            };
            rows.push(
                Row::new()
                    .add(format!("   {:<19}", binding.keys()), key)
                    .add(binding.help, text),
            );
            if let Some(why) = why {
                rows.push(
                    Row::new()
                        .pad_to(22)
                        .add(format!("not now: {why}"), Role::Warning),
                );
            }
        }
        rows.push(Row::new());
    }
    rows.push(Row::new().add(" Marks", Role::Strong));
    rows.extend(LEGEND.map(|(mark, text)| {
        Row::new()
            .add(format!("   {mark}"), Role::Key)
            .pad_to(22)
            .add(text, Role::Text)
    }));
    Props { rows, first }
}

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
        .title(" Help ")
        .title_bottom(" Esc closes, j and k scroll ");
    let inside = block.inner(page);
    block.render(page, frame.buffer_mut());
    let height = usize::from(inside.height);
    let first = props.first.min(props.rows.len().saturating_sub(height));
    for (index, row) in props.rows.iter().skip(first).take(height).enumerate() {
        row.clone().draw(frame, line(inside, index));
    }
}
