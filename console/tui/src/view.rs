//! From state to screen. Drawing changes nothing but the buffer and where tables are scrolled to.

use ratatui::Frame;
use ratatui::layout::Rect;

use crate::app::App;
use crate::layout::{PaneKind, Placed};

mod availability;
mod banner;
mod card;
mod chrome;
mod counters;
mod dialog;
mod footer;
mod header;
mod help;
mod links;
mod load;
mod log;
mod nodecache;
mod nodelog;
mod nodes;
mod policy;
mod proposals;
mod rlocs;
mod row;
mod small;
#[cfg(test)]
mod tests;
mod waiting;
mod worst;

pub(crate) use card::room as card_room;
pub(crate) use help::length as help_length;

/// Where tables are scrolled to: first row or block shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scroll {
    links: usize,
    proposals: usize,
    policy: usize,
}

/// Draws the whole screen.
pub(crate) fn draw(app: &App, scroll: &mut Scroll, frame: &mut Frame<'_>) {
    let rest = banner::draw(frame, frame.area(), &banner::props(app));
    match (app.shown(), app.layout()) {
        (None, _) => waiting::draw(frame, rest, &waiting::props(app)),
        (Some(_), None) => small::draw(frame, rest, &small::props(app)),
        (Some(_), Some(layout)) => {
            for placed in layout.place(rest) {
                pane(app, scroll, frame, &placed);
            }
        }
    }
    if let Some(props) = app.card.as_ref().and_then(|card| card::props(app, card)) {
        card::draw(frame, props);
    }
    if let Some(line) = app.help {
        help::draw(frame, frame.area(), &help::props(app, line));
    }
    if let Some(dialog) = &app.dialog {
        dialog::draw(frame, frame.area(), &dialog::props(app, dialog));
    }
    app.theme.finish(frame.buffer_mut());
}

fn pane(app: &App, scroll: &mut Scroll, frame: &mut Frame<'_>, placed: &Placed<'_>) {
    let inside = placed.inside();
    let mut set_off = |title: &chrome::Title| chrome::draw(frame, placed, title);
    match placed.pane.kind {
        PaneKind::Header => header::draw(frame, inside, &header::props(app)),
        PaneKind::Links => {
            let props = links::props(app, &placed.pane.show);
            set_off(&props.title());
            links::draw(frame, inside, &props, &mut scroll.links);
        }
        PaneKind::Rlocs => {
            let props = rlocs::props(app);
            set_off(&props.title());
            rlocs::draw(frame, inside, &props);
        }
        PaneKind::Proposals => {
            let props = proposals::props(app);
            set_off(&props.title());
            proposals::draw(frame, inside, &props, &mut scroll.proposals);
        }
        PaneKind::Log => {
            let props = log::props(app);
            set_off(&props.title());
            log::draw(frame, inside, &props);
        }
        PaneKind::Nodes => {
            let props = nodes::props(app);
            set_off(&props.title());
            nodes::draw(frame, inside, &props);
        }
        PaneKind::Policy => {
            let props = policy::props(app);
            set_off(&props.title());
            policy::draw(frame, inside, &props, &mut scroll.policy);
        }
        PaneKind::NodeLog => {
            let props = nodelog::props(app);
            set_off(&props.title());
            nodelog::draw(frame, inside, &props);
        }
        PaneKind::NodeCache => {
            let props = nodecache::props(app);
            set_off(&props.title());
            nodecache::draw(frame, inside, &props);
        }
        PaneKind::Counters => {
            set_off(&chrome::Title::of("Counters"));
            counters::draw(frame, inside, &counters::props(app));
        }
        PaneKind::Load => {
            set_off(&chrome::Title::of("Load"));
            load::draw(frame, inside, &load::props(app));
        }
        PaneKind::Worst => {
            let props = worst::props(app);
            set_off(&props.title());
            worst::draw(frame, inside, &props);
        }
        PaneKind::Availability => {
            let props = availability::props(app);
            set_off(&props.title());
            availability::draw(frame, inside, &props);
        }
        PaneKind::Footer => footer::draw(frame, inside, &footer::props(app)),
    }
}

/// What an empty pane says, in as many lines as it takes.
fn sentence(frame: &mut Frame<'_>, area: Rect, text: &str) {
    sentences(frame, area, &[text]);
}

/// Several of them, each on lines of its own.
fn sentences(frame: &mut Frame<'_>, area: Rect, texts: &[&str]) {
    let width = usize::from(area.width).saturating_sub(3);
    let lines = texts.iter().flat_map(|text| crate::figures::wrapped(text, width));
    for (index, text) in lines.enumerate() {
        row::Row::new()
            .add(format!("  {text}"), crate::theme::Role::Quiet)
            .draw(frame, line(area, index));
    }
}

/// What of `area` is below its first `rows` rows.
fn below(area: Rect, rows: usize) -> Rect {
    let rows = u16::try_from(rows).unwrap_or(u16::MAX).min(area.height);
    Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    }
}

/// The row `index` rows below the top of `area`; `None` below its end.
fn line(area: Rect, index: usize) -> Option<Rect> {
    let index = u16::try_from(index).ok().filter(|index| *index < area.height)?;
    Some(Rect {
        y: area.y + index,
        height: 1,
        ..area
    })
}
