//! The links in trouble, gravest first. For a wall: there is no cursor.

use proto::{LinkState, Timestamp};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::chrome::{Focus, Title};
use super::links::{NO_LINKS, role};
use super::row::Row;
use super::{line, sentence};
use crate::app::App;
use crate::app::table::gravity;
use crate::app::world::{Link, World};
use crate::charts::sparkline;
use crate::figures::{aligned, cells, left, tenths};
use crate::theme::Role;

pub(super) struct Props<'a> {
    world: Option<&'a World>,
    /// Gravest first.
    links: Vec<&'a Link>,
    now: Timestamp,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let world = app.shown();
    let now = app.engine_now();
    let troubled = |link: &&Link| link.state(now) != LinkState::Ok;
    let mut links: Vec<&Link> = world
        .map(|world| world.links.values().filter(troubled).collect())
        .unwrap_or_default();
    links.sort_by_key(|link| gravity(&link.row));
    Props { world, links, now }
}

impl Props<'_> {
    pub(super) fn title(&self) -> Title {
        let all = self.world.map_or(0, |world| world.links.len());
        let note = format!("{} of {}", self.links.len(), crate::figures::count(all, "link"));
        Title {
            text: "Links in trouble".to_owned(),
            note,
            focus: Focus::Elsewhere,
        }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    let Some(world) = props.world else { return };
    if props.links.is_empty() {
        if world.links.is_empty() {
            return sentence(frame, area, NO_LINKS);
        }
        let text = format!("  o all {} links are within their bounds", world.links.len());
        return Row::new().add(text, Role::Good).draw(frame, line(area, 0));
    }
    let user = props
        .links
        .iter()
        .map(|link| link.row.link.user.as_str().len())
        .max()
        .unwrap_or(0)
        .clamp(4, 16);
    let via = props
        .links
        .iter()
        .map(|link| cells(world.label(&link.row.link.dc)))
        .max()
        .unwrap_or(0)
        .clamp(3, 14);
    let width = usize::from(area.width);
    // The word gives way before figures do; the mark says the same.
    let word = if width < 3 + 7 + user + via + 18 { 0 } else { 6 };
    let head = format!(
        "   {} {}   {}   RTT ms  LOSS%",
        left("STATE", word),
        left("USER", user),
        left("VIA", via)
    );
    let history = width.saturating_sub(head.len() + 3);
    let head = Row::new().add(head, Role::Heading);
    let head = if history >= 10 {
        head.add("  LAST 2 MIN", Role::Heading)
    } else {
        head
    };
    head.draw(frame, line(area, 0));
    for (index, link) in props.links.iter().take(usize::from(area.height)).enumerate() {
        let row = &link.row;
        let state = link.state(props.now);
        let tone = role(state);
        let in_use = if row.carries.is_empty() { "  " } else { "▶ " };
        let mut text = Row::new()
            .add(format!(" {} {} ", state.mark(), left(state.word(), word)), tone)
            .add(format!("{} ", left(row.link.user.as_str(), user)), tone)
            .add(
                format!("{in_use}{}", left(world.label(&row.link.dc), via)),
                Role::Text,
            )
            .add(
                format!(
                    " {} {}",
                    aligned(row.rtt.map(|rtt| rtt.last), 8),
                    tenths(row.loss_pct, 6)
                ),
                Role::Text,
            );
        if history >= 10 {
            text.push(
                format!("  {}", sparkline(link.history.iter(), props.now, history)),
                tone,
            );
        }
        text.draw(frame, line(area, index + 1));
    }
}
