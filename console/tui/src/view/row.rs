//! A line of text built piece by piece, each with its role.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::figures;
use crate::theme::Role;

/// A line under construction.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    spans: Vec<Span<'static>>,
    width: usize,
}

impl Row {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds a piece.
    #[must_use]
    pub(super) fn add(mut self, text: impl Into<String>, role: Role) -> Self {
        self.push(text, role);
        self
    }

    pub(super) fn push(&mut self, text: impl Into<String>, role: Role) {
        self.push_styled(text, role.style());
    }

    pub(super) fn push_styled(&mut self, text: impl Into<String>, style: Style) {
        let text = text.into();
        self.width += figures::cells(&text);
        self.spans.push(Span::styled(text, style));
    }

    /// Adds spaces up to this cell.
    #[must_use]
    pub(super) fn pad_to(mut self, cell: usize) -> Self {
        let missing = cell.saturating_sub(self.width);
        self.push(" ".repeat(missing), Role::Text);
        self
    }

    /// Cuts off what lies beyond this cell; an ellipsis says so.
    #[must_use]
    pub(super) fn cut_to(mut self, cell: usize) -> Self {
        while self.width > cell {
            let Some(last) = self.spans.pop() else { break };
            self.width -= last.width();
            if self.width < cell {
                let text = figures::fit(&last.content, cell - self.width);
                self.push_styled(text, last.style);
                break;
            }
        }
        self
    }

    /// How many cells it takes.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Draws it into the first line of `area`; what does not fit is cut off, and an ellipsis says so.
    pub(super) fn draw(self, frame: &mut Frame<'_>, area: Option<Rect>) {
        self.draw_over(frame, area, None);
    }

    /// Draws it with this style over all of the line, such as a cursor.
    pub(super) fn draw_over(self, frame: &mut Frame<'_>, area: Option<Rect>, over: Option<Role>) {
        let Some(area) = area.filter(|area| !area.is_empty()) else {
            return;
        };
        let cut = self.width > usize::from(area.width);
        let buffer = frame.buffer_mut();
        buffer.set_line(area.x, area.y, &Line::from(self.spans), area.width);
        if cut && let Some(cell) = buffer.cell_mut((area.right() - 1, area.y)) {
            cell.set_char('…');
        }
        if let Some(role) = over {
            buffer.set_style(Rect { height: 1, ..area }, role.style());
        }
    }
}
