//! What things look like: the terminal's own sixteen colours, and attributes that carry the same meaning without them.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

/// Whether colours are used. Marks, words and reverse video carry the meaning in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// The terminal's sixteen.
    Sixteen,
    /// None (`NO_COLOR`).
    Never,
}

/// Which characters can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Box drawing and block elements.
    Unicode,
    /// ASCII only (the locale is not UTF-8, or `TERM=linux`).
    Ascii,
}

/// What a piece of the screen is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Plain text.
    Text,
    /// Text that may be overlooked: units, hints, what is over.
    Quiet,
    /// The head of a table or a field's name.
    Heading,
    /// What must be read first in its pane.
    Strong,
    /// Fine.
    Good,
    /// Look at it.
    Warning,
    /// Broken.
    Bad,
    /// Not known any more.
    Stale,
    /// A key to press.
    Key,
    /// A border.
    Border,
    /// The title of the pane that has the focus.
    Focus,
    /// The row under the cursor, or the button with the focus.
    Selected,
    /// A line across the screen: something is wrong with the console's own view.
    Alarm,
    /// A line across the screen: advice.
    Guide,
}

impl Role {
    /// As it is drawn.
    pub(crate) fn style(self) -> Style {
        let style = Style::new();
        match self {
            Self::Text => style,
            // Dim is grey on most terminals; dim dark grey would be nothing at all on many.
            Self::Quiet | Self::Border | Self::Stale => style.add_modifier(Modifier::DIM),
            Self::Heading => style.fg(Color::Cyan),
            Self::Strong => style.add_modifier(Modifier::BOLD),
            Self::Good => style.fg(Color::Green),
            Self::Warning => style.fg(Color::Yellow).add_modifier(Modifier::BOLD),
            Self::Bad => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            Self::Key => style.fg(Color::Cyan).add_modifier(Modifier::BOLD),
            Self::Focus => style.add_modifier(Modifier::BOLD | Modifier::REVERSED),
            Self::Selected => style.add_modifier(Modifier::REVERSED),
            Self::Alarm => style
                .fg(Color::Red)
                .add_modifier(Modifier::BOLD | Modifier::REVERSED),
            Self::Guide => style
                .fg(Color::Green)
                .add_modifier(Modifier::BOLD | Modifier::REVERSED),
        }
    }
}

/// Colours and characters of one terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    pub(crate) colour: Colour,
    pub(crate) glyphs: Glyphs,
}

impl Theme {
    /// Takes out of a finished screen what the terminal must not or cannot show. Colours are taken out here, and attributes
    /// kept: left to itself, the terminal library's answer to `NO_COLOR` also wipes reverse video, and with it the cursor row.
    pub(crate) fn finish(self, buffer: &mut Buffer) {
        for cell in &mut buffer.content {
            if self.colour == Colour::Never {
                cell.fg = Color::Reset;
                cell.bg = Color::Reset;
            }
            if self.glyphs == Glyphs::Ascii && !cell.symbol().is_ascii() {
                let plain = cell.symbol().chars().next().map_or(' ', ascii);
                cell.set_char(plain);
            }
        }
    }
}

/// The nearest ASCII character; `?` for letters that have none.
fn ascii(glyph: char) -> char {
    match glyph {
        '─' | '━' | '–' | '—' | '▄' | '▅' => '-',
        '│' | '┃' | '▏' | '▌' | '▇' => '|',
        '┌'..='╋' | '╭'..='╰' => '+',
        '▁' | '▂' => '_',
        '▃' | '░' | '·' | '•' => '.',
        '▆' => '=',
        '█' => '#',
        '▶' | '→' | '▸' => '>',
        '◀' | '←' => '<',
        '▾' | '▼' => 'v',
        '▴' | '▲' => '^',
        '×' => 'x',
        // Not `~`, which warns.
        '…' => '$',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    #[test]
    fn without_colours_the_attributes_stay() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 1, 1));
        buffer.set_string(0, 0, "x", Role::Alarm.style());
        Theme {
            colour: Colour::Never,
            glyphs: Glyphs::Unicode,
        }
        .finish(&mut buffer);
        let cell = &buffer.content[0];
        assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
        assert!(cell.modifier.contains(Modifier::REVERSED | Modifier::BOLD));
    }

    #[test]
    fn without_unicode_nothing_but_ascii_is_left() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "┌─┬▁▄█▶×…é│", Style::new());
        Theme {
            colour: Colour::Sixteen,
            glyphs: Glyphs::Ascii,
        }
        .finish(&mut buffer);
        let text: String = buffer
            .content
            .iter()
            .map(|cell| cell.symbol().to_owned())
            .collect();
        assert_eq!(text, "+-+_-#>x$?| ");
    }
}
