//! A console without a terminal: the same state and the same drawing, as text. For pictures of the screen and for tests.

use chrono::FixedOffset;
use proto::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use crate::app::{App, Setup, update};
use crate::theme::Theme;
use crate::view::{Scroll, draw};
use crate::{Effect, Input, Options};

/// A console that draws into memory.
#[derive(Debug)]
pub struct Headless {
    pub(crate) app: App,
    scroll: Scroll,
    terminal: Terminal<TestBackend>,
}

impl Headless {
    /// A console of `size` columns and rows that shows times of day at `zone`.
    pub fn new(options: Options, size: (u16, u16), zone: FixedOffset, now: Timestamp) -> Self {
        let setup = Setup {
            request_prefix: options.operator.clone(),
            operator: options.operator,
            theme: Theme {
                colour: options.colour,
                glyphs: options.glyphs,
            },
            arrangement: options.layout,
            on_lost: options.on_lost,
            guide: options.guide,
            quitting: options.quitting,
            history: Vec::new(),
            size,
            zone,
        };
        let Ok(terminal) = Terminal::new(TestBackend::new(size.0, size.1));
        Self {
            app: App::new(setup, now),
            scroll: Scroll::default(),
            terminal,
        }
    }

    /// Lets the console take an input. What it asks for is handed back; nobody acts on it.
    pub fn update(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        if let Input::Resize { width, height } = input {
            self.terminal.backend_mut().resize(width, height);
        }
        update(&mut self.app, input, now)
    }

    /// Draws.
    pub fn draw(&mut self) -> &Buffer {
        let Ok(_) = self
            .terminal
            .draw(|frame| draw(&self.app, &mut self.scroll, frame));
        self.terminal.backend().buffer()
    }

    /// Draws, and gives the screen as lines of text without colours; spaces at their ends are cut off.
    pub fn text(&mut self) -> String {
        let buffer = self.draw();
        let width = usize::from(buffer.area.width).max(1);
        let mut text = String::new();
        for row in buffer.content.chunks(width) {
            // A wide letter takes two cells, of which the second holds a space that is not there.
            let mut hidden = 0;
            let mut line = String::new();
            for cell in row {
                if hidden == 0 {
                    line.push_str(cell.symbol());
                    hidden = crate::figures::cells(cell.symbol()).max(1);
                }
                hidden -= 1;
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}
