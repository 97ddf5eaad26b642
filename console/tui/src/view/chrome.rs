//! What sets panes off from each other.

use ratatui::Frame as Screen;
use ratatui::layout::Alignment;
use ratatui::symbols::merge::MergeStrategy;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Widget};

use super::row::Row;
use crate::figures;
use crate::layout::{Frame, Placed};
use crate::theme::Role;

/// The title of a pane.
#[derive(Clone, Debug)]
pub(super) struct Title {
    /// Left.
    pub(super) text: String,
    /// Right.
    pub(super) note: String,
    pub(super) focus: Focus,
}

/// Whether keys go to a pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    Here,
    Elsewhere,
}

impl Title {
    /// A title and nothing else.
    pub(super) fn of(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            note: String::new(),
            focus: Focus::Elsewhere,
        }
    }

    fn role(&self) -> Role {
        match self.focus {
            Focus::Here => Role::Focus,
            Focus::Elsewhere => Role::Strong,
        }
    }
}

/// Draws frame and title.
pub(super) fn draw(screen: &mut Screen<'_>, placed: &Placed<'_>, title: &Title) {
    let area = placed.area.intersection(screen.area());
    if area.is_empty() {
        return;
    }
    let width = usize::from(area.width);
    let text = figures::fit(&title.text, width.saturating_sub(6));
    let note = figures::fit(&title.note, width.saturating_sub(figures::cells(&text) + 8));
    match placed.pane.frame {
        Frame::None => {}
        Frame::Rule => {
            let mut row = Row::new()
                .add("─", Role::Border)
                .add(format!(" {text} "), title.role());
            let end = if note.is_empty() {
                0
            } else {
                figures::cells(&note) + 3
            };
            row.push("─".repeat(width.saturating_sub(row.width() + end)), Role::Border);
            if !note.is_empty() {
                row = row.add(format!(" {note} "), Role::Quiet).add("─", Role::Border);
            }
            row.draw(screen, Some(area));
        }
        Frame::Box => {
            let mut block = Block::bordered()
                .border_style(Role::Border.style())
                .merge_borders(MergeStrategy::Exact)
                .title(Line::from(Span::styled(
                    format!(" {text} "),
                    title.role().style(),
                )));
            if !note.is_empty() {
                let note = Line::from(Span::styled(format!(" {note} "), Role::Text.style()));
                block = block.title(note.alignment(Alignment::Right));
            }
            block.render(area, screen.buffer_mut());
        }
    }
}
