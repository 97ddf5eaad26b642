//! A forwarder's control messages in words, newest last, each with what became of it.

use chrono::FixedOffset;
use proto::{Direction, LoggedMessage, MessageOutcome};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chrome::{Focus, Title};
use super::row::Row;
use super::{below, line, sentence};
use crate::app::App;
use crate::app::nodelog::{NodeLog, filter_words};
use crate::figures;
use crate::keymap::{Intent, key_of};
use crate::layout::PaneKind;
use crate::theme::Role;

pub(super) struct Props<'a> {
    looks: &'a NodeLog,
    label: String,
    zone: FixedOffset,
    focus: Focus,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let site = app.looked_at();
    let label = app
        .shown()
        .zip(site.as_ref())
        .map(|(world, site)| world.label(site).to_owned());
    Props {
        looks: &app.looks,
        label: label.unwrap_or_default(),
        zone: app.zone,
        focus: if app.focus == PaneKind::NodeLog {
            Focus::Here
        } else {
            Focus::Elsewhere
        },
    }
}

impl Props<'_> {
    pub(super) fn title(&self) -> Title {
        let words = filter_words(&self.looks.filter);
        let mut note = if words.is_empty() {
            format!(
                "no probes, {} filters, {} {} choose",
                key_of(Intent::Filter),
                key_of(Intent::PreviousNode),
                key_of(Intent::NextNode)
            )
        } else {
            words
        };
        if self.looks.back > 0 {
            note = format!("{note}  {} newer below", self.looks.back);
        }
        Title {
            text: format!("Messages of {}", self.label),
            note,
            focus: self.focus,
        }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    let looks = props.looks;
    let mut top = 0;
    if let Some(trouble) = &looks.trouble {
        Row::new()
            .add(format!(" x {trouble}"), Role::Bad)
            .draw(frame, line(area, 0));
        top = 1;
    } else if looks.gap {
        Row::new()
            .add(
                " ~ older messages made room before they were asked for",
                Role::Warning,
            )
            .draw(frame, line(area, 0));
        top = 1;
    }
    if looks.messages.is_empty() {
        let text = if looks.trouble.is_some() {
            "unknown: the forwarder has not told"
        } else if !looks.is_heard() {
            "waiting for the forwarder"
        } else if filter_words(&looks.filter).is_empty() {
            "no control message was sent or received yet; `:log all` shows probes too"
        } else {
            "no message passes the filter; `:log all` shows all of them"
        };
        return sentence(frame, below(area, top), text);
    }
    let room = usize::from(area.height).saturating_sub(top);
    let last = looks.messages.len().saturating_sub(looks.back);
    let first = last.saturating_sub(room);
    let shown = looks.messages.iter().skip(first).take(last - first);
    for (index, message) in shown.enumerate() {
        row(message, props.zone).draw(frame, line(area, top + index));
    }
}

/// `14:02:20 x < 172.16.0.2      map-register  replay: 10.1.0.7/32 = ...`. What was refused says why first.
fn row(message: &LoggedMessage, zone: FixedOffset) -> Row {
    let arrow = match message.direction {
        Direction::In => '<',
        Direction::Out => '>',
    };
    let (mark, role, verdict) = match &message.outcome {
        MessageOutcome::Sent => (' ', Role::Text, String::new()),
        MessageOutcome::Accepted { .. } => ('o', Role::Good, String::new()),
        MessageOutcome::Refused { why } => {
            let why = why.strip_prefix("control.").unwrap_or(why);
            let why = why.strip_prefix("refused.").unwrap_or(why);
            ('x', Role::Bad, format!("refused, {why}: "))
        }
    };
    let peer = figures::left(&message.peer.ip().to_string(), 15);
    Row::new()
        .add(format!(" {} ", figures::clock(message.at, zone)), Role::Quiet)
        .add(format!("{mark} {arrow} "), role)
        .add(format!("{peer} "), Role::Text)
        .add(format!("{:<15} ", message.kind.name()), Role::Heading)
        .add(verdict, Role::Bad)
        .add(message.line.clone(), Role::Text)
}
