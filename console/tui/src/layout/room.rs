//! From sizes to cells.

use ratatui::layout::Rect;

use super::{Area, Content, Frame, Pane, Size};

/// A pane and its cells, the frame included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed<'a> {
    pub(crate) pane: &'a Pane,
    pub(crate) area: Rect,
}

impl Placed<'_> {
    /// The cells inside the frame.
    pub(crate) fn inside(&self) -> Rect {
        let Rect { x, y, width, height } = self.area;
        match self.pane.frame {
            Frame::None => self.area,
            Frame::Rule => Rect {
                x,
                y: y.saturating_add(1),
                width,
                height: height.saturating_sub(1),
            }
            .intersection(self.area),
            Frame::Box => Rect {
                x: x.saturating_add(1),
                y: y.saturating_add(1),
                width: width.saturating_sub(2),
                height: height.saturating_sub(2),
            }
            .intersection(self.area),
        }
    }
}

/// Places all panes of a screen, in reading order. Boxes side by side share the line between them.
pub(super) fn place(screen: &Area, cells: Rect) -> Vec<Placed<'_>> {
    place_in(screen, cells, (cells.width, cells.height))
}

/// `whole` is the size of the screen that the cells are a part of.
fn place_in(area: &Area, cells: Rect, whole: (u16, u16)) -> Vec<Placed<'_>> {
    match &area.content {
        Content::Pane(pane) => vec![Placed { pane, area: cells }],
        Content::Rows(parts) => {
            let parts = there(parts, whole);
            let strips = split(&parts, cells.height).into_iter().map(|(start, height)| {
                Rect {
                    y: cells.y.saturating_add(start),
                    height,
                    ..cells
                }
                .intersection(cells)
            });
            parts
                .iter()
                .zip(strips)
                .flat_map(|(part, strip)| place_in(part, strip, whole))
                .collect()
        }
        Content::Columns(parts) => {
            let parts = there(parts, whole);
            let strips = split(&parts, cells.width).into_iter().map(|(start, width)| {
                Rect {
                    x: cells.x.saturating_add(start),
                    width,
                    ..cells
                }
                .intersection(cells)
            });
            parts
                .iter()
                .zip(strips)
                .flat_map(|(part, strip)| place_in(part, strip, whole))
                .collect()
        }
    }
}

/// The parts that a screen of this size has.
fn there(parts: &[Area], (width, height): (u16, u16)) -> Vec<&Area> {
    let fits = |part: &&Area| width >= part.from.0 && height >= part.from.1;
    parts.iter().filter(fits).collect()
}

/// Start and length of each part of a split. What is fixed comes first; then shares; the rest is filled. Parts that do not
/// fit any more get nothing.
fn split(parts: &[&Area], total: u16) -> Vec<(u16, u16)> {
    let shared: Vec<u16> = parts
        .iter()
        .zip(parts.iter().skip(1))
        .map(|(one, next)| u16::from(boxed(one) && boxed(next)))
        .chain([0])
        .collect();
    // A shared line counts for both neighbours.
    let room = total.saturating_add(shared.iter().sum());
    let mut left = room;
    let mut take = |cells: u16| {
        let taken = cells.min(left);
        left -= taken;
        taken
    };
    let mut lengths: Vec<Option<u16>> = parts
        .iter()
        .map(|part| match part.size {
            Size::Cells(cells) => Some(take(cells)),
            Size::Share(_) | Size::Fill(_) => None,
        })
        .collect();
    for (part, length) in parts.iter().zip(&mut lengths) {
        if let Size::Share(percent) = part.size {
            *length = Some(take(
                (u32::from(room) * u32::from(percent) / 100).min(u32::from(room)) as u16,
            ));
        }
    }
    let mut weights: u32 = parts.iter().map(|part| weight(part)).sum();
    let mut starts = Vec::with_capacity(parts.len());
    let mut start = 0u16;
    for ((part, length), shared) in parts.iter().zip(lengths).zip(shared) {
        let length = length.unwrap_or_else(|| {
            let weight = weight(part);
            let filled = (u32::from(left) * weight).checked_div(weights).unwrap_or(0) as u16;
            left -= filled;
            weights -= weight;
            filled
        });
        starts.push((start, length));
        start = start.saturating_add(length.saturating_sub(shared));
    }
    starts
}

fn weight(part: &Area) -> u32 {
    match part.size {
        Size::Fill(parts) => u32::from(parts),
        Size::Cells(_) | Size::Share(_) => 0,
    }
}

/// Whether a part has lines on all its outer sides.
fn boxed(area: &Area) -> bool {
    match &area.content {
        Content::Pane(pane) => pane.frame == Frame::Box,
        Content::Rows(parts) | Content::Columns(parts) => parts.iter().all(boxed),
    }
}
