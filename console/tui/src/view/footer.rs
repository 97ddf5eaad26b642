//! The status line, and the keys that count now, from the live keymap.

use proto::Severity;
use ratatui::Frame;
use ratatui::layout::Rect;

use super::line;
use super::row::Row;
use crate::app::field::{Field, FieldOf};
use crate::app::palette::{Known, candidates};
use crate::app::table::Filter;
use crate::app::{App, Status};
use crate::figures;
use crate::keymap::{BINDINGS, Binding, Context, Intent, hindrance, hint};
use crate::theme::Role;

pub(super) struct Props<'a> {
    status: Option<&'a Status>,
    /// What is being typed, and what is wrong with it.
    field: Option<(&'a Field, Option<&'a str>)>,
    /// Words that the last word of a command may become.
    fitting: Vec<String>,
    hints: Vec<Hint>,
}

struct Hint {
    key: String,
    word: &'static str,
    intent: Intent,
    role: Role,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let context = app.context();
    let shown_as = |binding: &Binding| Hint {
        key: binding.key(),
        word: hint(app, binding),
        intent: binding.intent,
        role: if hindrance(app, binding.intent).is_some() {
            Role::Quiet
        } else {
            Role::Key
        },
    };
    let trouble = match &app.table.filter {
        Filter::Bad { why, .. } => Some(why.as_str()),
        Filter::All | Filter::Matching { .. } => None,
    };
    let shown = |binding: &&Binding| {
        let idle = context == Context::Dialog && hindrance(app, binding.intent).is_some();
        binding.context == context && !binding.hint.is_empty() && !idle
    };
    Props {
        status: app.status.as_ref(),
        field: app.field.as_ref().map(|field| (field, trouble)),
        fitting: fitting(app),
        hints: BINDINGS.iter().filter(shown).map(shown_as).collect(),
    }
}

fn fitting(app: &App) -> Vec<String> {
    let (Some(field), Some(world)) = (&app.field, &app.live) else {
        return Vec::new();
    };
    if !matches!(field.of, FieldOf::Command(_)) {
        return Vec::new();
    }
    let layouts = app.layout_names();
    let known = Known {
        world,
        layouts: &layouts,
    };
    // More than a line holds is of no use.
    let mut fitting = candidates(field.line.parts().0, known);
    fitting.truncate(40);
    fitting
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    let top = top(props, usize::from(area.width));
    if area.height < 2 {
        top.unwrap_or_else(|| hints(props, usize::from(area.width)))
            .draw(frame, line(area, 0));
    } else {
        if let Some(top) = top {
            top.draw(frame, line(area, 0));
        }
        hints(props, usize::from(area.width)).draw(frame, line(area, 1));
    }
}

/// What is being typed, or else the last word.
fn top(props: &Props<'_>, width: usize) -> Option<Row> {
    if let Some((field, trouble)) = props.field {
        return Some(typed(props, (field, trouble), width));
    }
    let status = props.status?;
    let role = match status.severity {
        Severity::Info => Role::Good,
        Severity::Warning => Role::Warning,
        Severity::Error => Role::Bad,
    };
    let text = figures::fit(&status.text, width.saturating_sub(3));
    Some(
        Row::new()
            .add(format!(" {} ", status.severity.mark()), role)
            .add(text, Role::Strong),
    )
}

/// A line as it is being typed, what is wrong with it, or a word on what it may be.
fn typed(props: &Props<'_>, (field, trouble): (&Field, Option<&str>), width: usize) -> Row {
    let lead = match field.of {
        FieldOf::Filter { .. } => " filter /",
        FieldOf::Reason(_) => " reason for breaking the glass: ",
        FieldOf::Command(_) => " :",
    };
    let (before, behind) = field.line.parts();
    let mut rest = behind.chars();
    // The letter under the caret, or the room for the next one.
    let under = rest.next().map_or_else(|| " ".to_owned(), String::from);
    // One cell is for the mark that more follows.
    let room = width.saturating_sub(figures::cells(lead) + figures::cells(&under) + 1);
    let row = Row::new()
        .add(lead, Role::Key)
        .add(figures::fit_end(before, room), Role::Strong)
        .add(under, Role::Selected)
        .add(rest.as_str(), Role::Strong);
    let trouble = match &field.of {
        FieldOf::Filter { .. } => trouble,
        FieldOf::Command(typing) => typing.trouble.as_deref(),
        FieldOf::Reason(_) => None,
    };
    match (trouble, &field.of) {
        (Some(why), _) => row.add(format!("  x {why}"), Role::Bad),
        (None, FieldOf::Filter { .. }) => row.add("  a regular expression; ! before it hides", Role::Quiet),
        (None, FieldOf::Reason(_)) => row.add("  goes on the record", Role::Quiet),
        (None, FieldOf::Command(_)) => row.add(format!("  {}", props.fitting.join(" ")), Role::Quiet),
    }
}

/// As many keys as fit; the way to help and the way out are always among them.
fn hints(props: &Props<'_>, width: usize) -> Row {
    let taken = |hint: &Hint| figures::cells(&hint.key) + hint.word.len() + 3;
    let kept = |hint: &&Hint| matches!(hint.intent, Intent::Help | Intent::Quit);
    let mut room = width.saturating_sub(1 + props.hints.iter().filter(kept).map(taken).sum::<usize>());
    let mut row = Row::new().add(" ", Role::Text);
    for hint in &props.hints {
        if !kept(&hint) {
            match room.checked_sub(taken(hint)) {
                Some(left) => room = left,
                None => continue,
            }
        }
        let word = if hint.role == Role::Key {
            Role::Text
        } else {
            Role::Quiet
        };
        row = row
            .add(hint.key.clone(), hint.role)
            .add(format!(" {}  ", hint.word), word);
    }
    row
}
