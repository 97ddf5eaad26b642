//! Where panes stand on the screen: `layouts/*.yaml`, read and checked. Only a [`Layout`] leaves this module.

use std::fmt;
use std::path::Path;

use ratatui::layout::Rect;

mod locate;
mod raw;
mod room;

pub(crate) use room::Placed;

/// An arrangement of panes that is known to fit on a screen of its least size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(crate) name: String,
    pub(crate) min: (u16, u16),
    screen: Area,
}

/// A part of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    size: Size,
    /// On a smaller screen it is left out.
    from: (u16, u16),
    content: Content,
}

/// What a part of the screen holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Content {
    Rows(Vec<Area>),
    Columns(Vec<Area>),
    Pane(Pane),
}

/// How much of its split a part takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Cells.
    Cells(u16),
    /// Percent of the split.
    Share(u16),
    /// This many parts of what is left.
    Fill(u16),
}

/// A pane and its options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pane {
    pub(crate) kind: PaneKind,
    pub(crate) frame: Frame,
    /// Columns of the links table, in order.
    pub(crate) show: Vec<Column>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// As it is written in a layout file.
            pub(crate) const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words!(
    /// What a pane shows.
    PaneKind {
        /// Session, mode, engine, forwarders, data age, clock.
        Header = "header",
        /// One row a user and data centre.
        Links = "links",
        /// Locators of the selected user's VMs.
        Rlocs = "rlocs",
        /// Proposals and their receipts.
        Proposals = "proposals",
        /// What happened.
        Log = "log",
        /// Forwarders.
        Nodes = "nodes",
        /// Budgets, flap ledger, drains, modes of parts.
        Policy = "policy",
        /// A forwarder's control messages.
        NodeLog = "nodelog",
        /// A forwarder's map cache.
        NodeCache = "nodecache",
        /// Big counters.
        Counters = "counters",
        /// Users of each data centre.
        Load = "load",
        /// The links in trouble.
        Worst = "worst",
        /// Downtime, nines, budgets and penalties; what users say.
        Availability = "availability",
        /// Status line and keys.
        Footer = "footer",
    }
);

impl PaneKind {
    /// The least useful size of the inside, in cells.
    const fn least(self) -> (u16, u16) {
        match self {
            Self::Header => (60, 1),
            Self::Footer => (40, 1),
            Self::Links => (58, 4),
            Self::Policy => (60, 6),
            Self::NodeLog => (60, 4),
            Self::NodeCache => (60, 2),
            Self::Rlocs => (34, 4),
            Self::Proposals => (36, 2),
            Self::Log => (30, 2),
            Self::Nodes => (26, 2),
            Self::Counters => (70, 7),
            Self::Load | Self::Worst => (30, 3),
            Self::Availability => (76, 4),
        }
    }
}

/// How a pane is set off from its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Frame {
    /// A line all around, shared with neighbours.
    Box,
    /// A title line above.
    Rule,
    /// Nothing.
    None,
}

words!(
    /// A column of the links table, after mark and user.
    Column {
        /// The data centre, and whether the link carries traffic.
        Via = "via",
        /// Newest RTT.
        Rtt = "rtt",
        /// 95th percentile of the RTT.
        P95 = "p95",
        /// Jitter.
        Jitter = "jitter",
        /// Lost probes.
        Loss = "loss",
        /// What is left of the RTT bound.
        Margin = "margin",
        /// Share of the window in which the link was up.
        Availability = "availability",
        /// SLA class.
        Sla = "sla",
        /// The user's locator.
        Rloc = "rloc",
        /// The last two minutes.
        History = "history",
    }
);

/// Which layout a console uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Arrangement {
    /// `compact` under 100 columns, else `noc`.
    #[default]
    Auto,
    /// This one.
    Fixed(Layout),
}

impl Arrangement {
    /// Reads `auto`, the name of a built-in layout (`noc`, `wall`, `accounts`, `compact`, `policy`, `node`), or the path of a layout file.
    pub fn parse(text: &str) -> Result<Self, Vec<Finding>> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        match built_in().into_iter().find(|layout| layout.name == text) {
            Some(layout) => Ok(Self::Fixed(layout)),
            None => load(Path::new(text)).map(Self::Fixed),
        }
    }
}

/// Something wrong in a layout file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1; 0 when the file could not be read at all.
    pub line: usize,
    /// Column, from 1; 0 like `line`.
    pub column: usize,
    /// The path of the field, such as `screen.rows[1].pane`; empty for the whole file.
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Reads a layout file.
pub fn load(path: &Path) -> Result<Layout, Vec<Finding>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let message = format!("{error}; built-in layouts are noc, wall, accounts, compact, policy and node");
        vec![Finding {
            file: file.clone(),
            line: 0,
            column: 0,
            field: String::new(),
            message,
        }]
    })?;
    Layout::read(&file, &text)
}

/// What is wrong in a layout file; nothing if it can be used.
pub fn check(path: &Path) -> Vec<Finding> {
    load(path).err().unwrap_or_default()
}

/// The layouts every console has: `noc`, `wall`, `accounts`, `compact`, `policy`, `node`. A test reads all of them.
pub(crate) fn built_in() -> Vec<Layout> {
    BUILT_IN
        .iter()
        .filter_map(|(file, text)| Layout::read(file, text).ok())
        .collect()
}

const BUILT_IN: [(&str, &str); 6] = [
    ("noc.yaml", include_str!("../../../layouts/noc.yaml")),
    ("wall.yaml", include_str!("../../../layouts/wall.yaml")),
    ("accounts.yaml", include_str!("../../../layouts/accounts.yaml")),
    ("compact.yaml", include_str!("../../../layouts/compact.yaml")),
    ("policy.yaml", include_str!("../../../layouts/policy.yaml")),
    ("node.yaml", include_str!("../../../layouts/node.yaml")),
];

impl Layout {
    /// Reads the text of a layout file; `file` is only for the findings.
    fn read(file: &str, text: &str) -> Result<Self, Vec<Finding>> {
        raw::read(text).map_err(|troubles| {
            troubles
                .into_iter()
                .map(|trouble| trouble.into_finding(file, text))
                .collect()
        })
    }

    /// The name, for the status line.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a screen of this size has room for it.
    pub(crate) fn fits(&self, area: Rect) -> bool {
        area.width >= self.min.0 && area.height >= self.min.1
    }

    /// The panes on a screen of this size, in reading order.
    pub(crate) fn place(&self, area: Rect) -> Vec<Placed<'_>> {
        room::place(&self.screen, area)
    }

    /// The panes that a screen of this size has, in reading order.
    pub(crate) fn panes(&self, area: Rect) -> Vec<&Pane> {
        self.place(area).into_iter().map(|placed| placed.pane).collect()
    }
}

#[cfg(test)]
mod tests;
