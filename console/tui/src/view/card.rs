//! A card over the panes: as large as the screen up to a width that can be read.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

use super::line;
use super::row::Row;
use crate::app::App;
use crate::app::card::{Card, Line};
use crate::figures;
use crate::keymap::{Context, Intent, key_in};
use crate::theme::Role;

pub(super) struct Props {
    title: String,
    lines: Vec<Line>,
    first: usize,
    keys: String,
}

/// What an open card shows; `None` without anything to hold it against.
pub(super) fn props(app: &App, card: &Card) -> Option<Props> {
    let frame = app.card_frame()?;
    let key = |intent| key_in(Context::Card, intent);
    let again = card
        .asked
        .as_ref()
        .map_or_else(String::new, |_| format!(" {} asks again,", key(Intent::Why)));
    let keys = || {
        format!(
            " {} closes,{again} {} {} scroll ",
            key(Intent::Cancel),
            key(Intent::Down),
            key(Intent::Up)
        )
    };
    Some(Props {
        title: card.title(frame),
        lines: card.lines(frame),
        first: card.down,
        keys: app.unheard.as_ref().map_or_else(keys, |word| format!(" {word} ")),
    })
}

pub(super) fn draw(frame: &mut Frame<'_>, props: Props) {
    let area = frame.area();
    let (width, height) = room(area);
    let needed = u16::try_from(props.lines.len() + 2).unwrap_or(u16::MAX);
    let height = height.min(needed);
    let page = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(page, frame.buffer_mut());
    let title = figures::fit(&props.title, usize::from(width).saturating_sub(4));
    let block = Block::bordered()
        .title(ratatui::text::Span::styled(
            format!(" {title} "),
            Role::Focus.style(),
        ))
        .title_bottom(props.keys);
    let inside = block.inner(page);
    block.render(page, frame.buffer_mut());
    let shown = usize::from(inside.height);
    let first = props.first.min(props.lines.len().saturating_sub(shown));
    let below = props.lines.len().saturating_sub(first + shown);
    for (index, pieces) in props.lines.into_iter().skip(first).take(shown).enumerate() {
        let mut row = Row::new().add(" ", Role::Text);
        for (text, role) in pieces {
            row.push(text, role);
        }
        row.draw(frame, line(inside, index));
    }
    if below > 0 {
        let text = format!(" {below} more below ");
        let at = page.right().saturating_sub(figures::cells(&text) as u16 + 1);
        let spot = Rect {
            x: at.max(page.x),
            y: page.bottom().saturating_sub(1),
            width: page.right().saturating_sub(at.max(page.x) + 1),
            height: 1,
        };
        Row::new().add(text, Role::Warning).draw(frame, Some(spot));
    }
}

/// Width and height that a card may take of a screen.
pub(crate) fn room(screen: Rect) -> (u16, u16) {
    (screen.width.min(126), screen.height)
}
