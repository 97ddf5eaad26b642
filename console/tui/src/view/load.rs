//! Load of each data centre: how many users enter by it.

use std::collections::{BTreeMap, BTreeSet};

use proto::{LinkState, SiteName, UserName};
use ratatui::Frame;
use ratatui::layout::Rect;

use super::row::Row;
use super::{line, sentence};
use crate::app::App;
use crate::charts::bar;
use crate::figures::{cells, count, left};
use crate::theme::Role;

pub(super) struct Props<'a> {
    sites: Vec<Site<'a>>,
    users: usize,
}

struct Site<'a> {
    label: &'a str,
    users: usize,
    /// Links in use that are broken or down.
    broken: usize,
    connected: bool,
}

pub(super) fn props(app: &App) -> Props<'_> {
    let Some(world) = app.shown() else {
        return Props {
            sites: Vec::new(),
            users: 0,
        };
    };
    let mut entering: BTreeMap<&SiteName, (BTreeSet<&UserName>, usize)> = BTreeMap::new();
    for link in world.links.values().filter(|link| !link.row.carries.is_empty()) {
        let (users, broken) = entering.entry(&link.row.link.dc).or_default();
        users.insert(&link.row.link.user);
        *broken += usize::from(matches!(link.row.state, LinkState::Broken | LinkState::Down));
    }
    let users: BTreeSet<&UserName> = world.links.keys().map(|id| &id.user).collect();
    let dcs: BTreeSet<&SiteName> = world.links.keys().map(|id| &id.dc).collect();
    let site = |dc: &'_ &'_ SiteName| {
        let node = world.nodes.iter().find(|node| node.site == **dc);
        let (users, broken) = entering
            .get(*dc)
            .map_or((0, 0), |(users, broken)| (users.len(), *broken));
        (users, broken, node.is_some_and(|node| node.connected))
    };
    let sites = dcs.iter().map(|dc| {
        let (users, broken, connected) = site(dc);
        Site {
            label: world.label(dc),
            users,
            broken,
            connected,
        }
    });
    Props {
        sites: sites.collect(),
        users: users.len(),
    }
}

fn users(number: usize, noun: &str) -> String {
    if noun.is_empty() {
        number.to_string()
    } else {
        count(number, noun)
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, props: &Props<'_>) {
    if props.sites.is_empty() {
        return sentence(frame, area, "no data centre is entered yet");
    }
    let label = props
        .sites
        .iter()
        .map(|site| cells(site.label))
        .max()
        .unwrap_or(0)
        .clamp(4, 14);
    let width = usize::from(area.width);
    let noun = if width < label + 36 { "" } else { "user" };
    let room = width.saturating_sub(label + noun.len() + 22).min(60);
    for (index, site) in props.sites.iter().enumerate() {
        let share = site.users as f64 / props.users.max(1) as f64;
        let (mark, role) = match (site.connected, site.broken) {
            (false, _) => ('?', Role::Stale),
            (true, 0) => ('o', Role::Good),
            (true, _) => ('x', Role::Bad),
        };
        let mut row = Row::new()
            .add(format!(" {mark} "), role)
            .add(left(site.label, label), Role::Strong)
            .add(
                if room < 4 {
                    " ".to_owned()
                } else {
                    format!(" {} ", bar(share, room))
                },
                role,
            )
            .add(
                format!("{:>1$}", users(site.users, noun), 5 + noun.len()),
                Role::Strong,
            )
            .add(format!(" {:>3.0} %", share * 100.0), Role::Text);
        if site.broken > 0 {
            row.push(format!("  {} x", site.broken), Role::Bad);
        }
        row.draw(frame, line(area, index));
    }
}
