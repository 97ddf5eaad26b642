//! The help page, made from the live keymap: what each key does, and why it does nothing now.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

use super::line;
use super::row::Row;
use crate::app::App;
use crate::figures;
use crate::keymap::{HelpLine, Hindered, help};
use crate::theme::Role;

pub(super) struct Props {
    rows: Vec<Row>,
    first: usize,
    /// At the lower edge.
    word: String,
}

pub(super) fn props(app: &App, first: usize) -> Props {
    Props {
        rows: rows(app),
        first,
        word: app
            .unheard
            .clone()
            .unwrap_or_else(|| "Esc closes, j and k scroll".to_owned()),
    }
}

/// How many lines the page has on this screen.
pub(crate) fn length(app: &App) -> usize {
    rows(app).len()
}

fn rows(app: &App) -> Vec<Row> {
    let room = usize::from(app.screen().width.min(WIDEST)).saturating_sub(2);
    help(app).iter().flat_map(|line| row(line, room)).collect()
}

/// Cells before what a key does.
const KEYS: usize = 22;
/// The page is no wider than can be read.
const WIDEST: u16 = 84;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props) {
    let width = area.width.min(WIDEST);
    let page = Rect {
        x: area.x + (area.width - width) / 2,
        width,
        ..area
    };
    Clear.render(page, frame.buffer_mut());
    let block = Block::bordered()
        .border_style(Role::Border.style())
        .title(" Help ");
    let block = block.title_bottom(format!(" {} ", props.word));
    let inside = block.inner(page);
    block.render(page, frame.buffer_mut());
    let height = usize::from(inside.height);
    let first = props.first.min(props.rows.len().saturating_sub(height));
    for (index, row) in props.rows.iter().skip(first).take(height).enumerate() {
        row.clone().draw(frame, line(inside, index));
    }
}

/// A line of the page, and where it goes on.
fn row(line: &HelpLine, room: usize) -> Vec<Row> {
    let (lead, text, role) = match line {
        HelpLine::Title(title) => return vec![Row::new().add(format!(" {title}"), Role::Strong)],
        HelpLine::Blank => return vec![Row::new()],
        HelpLine::Keys(keys, does, hindered) => {
            let (key, text) = match hindered {
                Hindered::Yes => (Role::Quiet, Role::Quiet),
                Hindered::No => (Role::Key, Role::Text),
            };
            (
                Row::new().add(format!("   {keys}"), key),
                (*does).to_owned(),
                text,
            )
        }
        HelpLine::Why(why) => (Row::new(), format!("not now: {why}"), Role::Warning),
        HelpLine::Mark(mark, means) => {
            let mark = Row::new().add(format!("   {mark}"), Role::Key);
            (mark, (*means).to_owned(), Role::Text)
        }
    };
    let mut leads = std::iter::once(lead);
    let lines = figures::wrapped(&text, room.saturating_sub(KEYS).max(1)).into_iter();
    lines
        .map(|text| leads.next().unwrap_or_else(Row::new).pad_to(KEYS).add(text, role))
        .collect()
}
