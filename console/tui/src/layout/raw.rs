//! Layout files as they are written, and what makes a [`Layout`] of them.

use std::fmt;

use ratatui::layout::Rect;
use serde::de::{Deserializer, Error, Visitor};

use super::locate::{Step, locate, path};
use super::{Area, Column, Content, Finding, Frame, Layout, Pane, PaneKind, Size, room};

/// A layout file.
#[derive(Debug, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a layout: version, name, min, frame and screen"
)]
struct RawLayout {
    version: u32,
    name: String,
    #[serde(default)]
    min: RawMin,
    #[serde(default)]
    frame: Option<Frame>,
    screen: RawArea,
}

/// A part of the screen: exactly one of `rows`, `columns` and `pane`.
#[derive(Debug, serde::Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a part of the screen: rows, columns or a pane"
)]
struct RawArea {
    #[serde(default)]
    size: Option<Size>,
    #[serde(default)]
    from: Option<RawMin>,
    #[serde(default)]
    rows: Option<Vec<RawArea>>,
    #[serde(default)]
    columns: Option<Vec<RawArea>>,
    #[serde(default)]
    pane: Option<PaneKind>,
    #[serde(default)]
    frame: Option<Frame>,
    #[serde(default)]
    show: Option<Vec<Column>>,
}

/// Something wrong, before its place in the text is known.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The text is not YAML, or not of the right form.
    Form(serde_yaml::Error),
    /// A field says something that cannot be.
    Field { steps: Vec<Step>, message: String },
}

impl Trouble {
    pub(super) fn into_finding(self, file: &str, text: &str) -> Finding {
        let file = file.to_owned();
        match self {
            Self::Field { steps, message } => {
                let (line, column) = locate(text, &steps);
                Finding {
                    file,
                    line,
                    column,
                    field: path(&steps),
                    message,
                }
            }
            Self::Form(error) => {
                let (line, column) = error
                    .location()
                    .map_or((1, 1), |place| (place.line(), place.column()));
                let message = error.to_string();
                let place = format!(" at line {line} column {column}");
                let message = message.replacen(&place, "", 1);
                let (field, message) = match message.split_once(": ") {
                    Some((field, rest)) if !field.contains(' ') => (field, rest),
                    _ => ("", message.as_str()),
                };
                Finding {
                    file,
                    line,
                    column,
                    field: field.to_owned(),
                    message: message.to_owned(),
                }
            }
        }
    }
}

/// Reads and checks; all troubles at once where the form allows it.
pub(super) fn read(text: &str) -> Result<Layout, Vec<Trouble>> {
    let raw: RawLayout = serde_yaml::from_str(text).map_err(|error| vec![Trouble::Form(error)])?;
    Layout::try_from(raw)
}

impl TryFrom<RawLayout> for Layout {
    type Error = Vec<Trouble>;

    fn try_from(raw: RawLayout) -> Result<Self, Vec<Trouble>> {
        let mut check = Check {
            steps: Vec::new(),
            seen: Vec::new(),
            troubles: Vec::new(),
        };
        if raw.version != 1 {
            check.at(Step::Key("version"), |check| {
                check.trouble(format!(
                    "{} is not known; this program reads version 1",
                    raw.version
                ));
            });
        }
        if raw.name.is_empty()
            || !raw
                .name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        {
            check.at(Step::Key("name"), |check| {
                check.trouble("use letters, digits, '-' and '_'".to_owned());
            });
        }
        let frame = raw.frame.unwrap_or(Frame::Box);
        let screen = check.at(Step::Key("screen"), |check| check.area(raw.screen, frame));
        let (Some(screen), []) = (screen, check.troubles.as_slice()) else {
            return Err(check.troubles);
        };
        let layout = Self {
            name: raw.name,
            min: (raw.min.width, raw.min.height),
            screen,
        };
        let cramped = cramped(&layout);
        if cramped.is_empty() {
            Ok(layout)
        } else {
            Err(cramped)
        }
    }
}

/// Panes that are too small on a screen of the layout's least size, or of one from which on there are more of them.
fn cramped(layout: &Layout) -> Vec<Trouble> {
    let mut sizes = vec![layout.min];
    steps(&layout.screen, layout.min, &mut sizes);
    let found = sizes.into_iter().map(|size| cramped_at(layout, size));
    found
        .into_iter()
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// The sizes from which on a screen has more panes.
fn steps(area: &Area, (width, height): (u16, u16), sizes: &mut Vec<(u16, u16)>) {
    let size = (area.from.0.max(width), area.from.1.max(height));
    if !sizes.contains(&size) {
        sizes.push(size);
    }
    if let Content::Rows(parts) | Content::Columns(parts) = &area.content {
        for part in parts {
            steps(part, size, sizes);
        }
    }
}

fn cramped_at(layout: &Layout, (width, height): (u16, u16)) -> Vec<Trouble> {
    room::place(&layout.screen, Rect::new(0, 0, width, height))
        .into_iter()
        .filter_map(|placed| {
            let inside = placed.inside();
            let (wide, high) = placed.pane.kind.least();
            let message = format!(
                "on a screen of {width}x{height}, {} has {}x{} cells inside and needs {wide}x{high}; \
                 give it more room, or raise min",
                placed.pane.kind.word(),
                inside.width,
                inside.height,
            );
            let short = inside.width < wide || inside.height < high;
            short.then(|| Trouble::Field {
                steps: vec![Step::Key("min")],
                message,
            })
        })
        .collect()
}

/// A walk through the areas that remembers where it is.
struct Check {
    steps: Vec<Step>,
    seen: Vec<PaneKind>,
    troubles: Vec<Trouble>,
}

impl Check {
    fn at<T>(&mut self, step: Step, look: impl FnOnce(&mut Self) -> T) -> T {
        self.steps.push(step);
        let found = look(self);
        self.steps.pop();
        found
    }

    fn trouble(&mut self, message: String) {
        self.troubles.push(Trouble::Field {
            steps: self.steps.clone(),
            message,
        });
    }

    fn area(&mut self, raw: RawArea, frame: Frame) -> Option<Area> {
        let size = raw.size.unwrap_or(Size::Fill(1));
        let frame = raw.frame.unwrap_or(frame);
        if raw.show.is_some() && raw.pane != Some(PaneKind::Links) {
            self.at(Step::Key("show"), |check| {
                check.trouble("only the links pane has columns to choose".to_owned());
            });
        }
        let content = match (raw.rows, raw.columns, raw.pane) {
            (Some(rows), None, None) => Content::Rows(self.parts("rows", rows, frame)),
            (None, Some(columns), None) => Content::Columns(self.parts("columns", columns, frame)),
            (None, None, Some(kind)) => Content::Pane(self.pane(kind, frame, raw.show)),
            _ => {
                self.trouble("a part of the screen has exactly one of rows, columns and pane".to_owned());
                return None;
            }
        };
        let from = raw.from.map_or((0, 0), |from| (from.width, from.height));
        Some(Area { size, from, content })
    }

    fn parts(&mut self, key: &'static str, raw: Vec<RawArea>, frame: Frame) -> Vec<Area> {
        self.at(Step::Key(key), |check| {
            if raw.is_empty() {
                check.trouble("is empty; put at least one pane into it".to_owned());
            }
            let parts = raw.into_iter().enumerate();
            let parts: Vec<Area> = parts
                .filter_map(|(index, part)| check.at(Step::Index(index), |check| check.area(part, frame)))
                .collect();
            let shares: u32 = parts.iter().map(|part| percent(part.size)).sum();
            if shares > 100 {
                check.trouble(format!(
                    "the shares add up to {shares}%; at most 100% can be shared out"
                ));
            }
            parts
        })
    }

    fn pane(&mut self, kind: PaneKind, frame: Frame, show: Option<Vec<Column>>) -> Pane {
        if self.seen.contains(&kind) {
            self.at(Step::Key("pane"), |check| {
                check.trouble(format!("{} is on the screen twice; take one away", kind.word()));
            });
        }
        self.seen.push(kind);
        if let Some(show) = &show {
            self.at(Step::Key("show"), |check| check.columns(show));
        }
        Pane {
            kind,
            frame,
            show: show.unwrap_or_else(|| DEFAULT_COLUMNS.to_vec()),
        }
    }

    fn columns(&mut self, show: &[Column]) {
        for (index, column) in show.iter().enumerate() {
            if show.iter().take(index).any(|before| before == column) {
                self.at(Step::Index(index), |check| {
                    check.trouble(format!("{} is shown twice; take one away", column.word()));
                });
            }
        }
    }
}

/// What the links table shows unless the layout says otherwise.
const DEFAULT_COLUMNS: [Column; 7] = [
    Column::Via,
    Column::Rtt,
    Column::P95,
    Column::Jitter,
    Column::Loss,
    Column::Margin,
    Column::History,
];

fn percent(size: Size) -> u32 {
    match size {
        Size::Share(percent) => u32::from(percent),
        Size::Cells(_) | Size::Fill(_) => 0,
    }
}

impl<'de> serde::Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cells such as 6 (1 to 500), a share such as 30%, or fill")
    }

    fn visit_u64<E: Error>(self, cells: u64) -> Result<Size, E> {
        let bad = || E::invalid_value(serde::de::Unexpected::Unsigned(cells), &self);
        let cells = u16::try_from(cells)
            .ok()
            .filter(|cells| (1..=500).contains(cells));
        cells.map(Size::Cells).ok_or_else(bad)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        let number = |digits: &str, most: u16| -> Option<u16> {
            digits
                .trim()
                .parse()
                .ok()
                .filter(|number| (1..=most).contains(number))
        };
        let size = match (text.strip_suffix('%'), text.strip_prefix("fill")) {
            (Some(percent), _) => number(percent, 100).map(Size::Share),
            (None, Some("")) => Some(Size::Fill(1)),
            (None, Some(parts)) => number(parts, 100).map(Size::Fill),
            (None, None) => None,
        };
        size.ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

/// The least size of the screen, `80x24`.
#[derive(Debug)]
struct RawMin {
    width: u16,
    height: u16,
}

impl Default for RawMin {
    fn default() -> Self {
        Self {
            width: 80,
            height: 24,
        }
    }
}

impl<'de> serde::Deserialize<'de> for RawMin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(MinVisitor)
    }
}

struct MinVisitor;

impl Visitor<'_> for MinVisitor {
    type Value = RawMin;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("columns and rows such as 80x24")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RawMin, E> {
        let size = text.split_once('x').and_then(|(width, height)| {
            Some(RawMin {
                width: width.parse().ok()?,
                height: height.parse().ok()?,
            })
        });
        size.filter(|size| (1..=500).contains(&size.width) && (1..=500).contains(&size.height))
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}
