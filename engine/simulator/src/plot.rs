//! Drawings as SVG: panels of lines or bars beside each other, with one scale, one legend, axes with their units.
//!
//! Colours are those of Okabe and Ito (Color universal design, 2008), told apart by people who see colours
//! differently; dashes tell them apart without colours.

use std::fmt::Write;

const COLOURS: [&str; 8] = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a7500",
];
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];
const PANEL: (f64, f64) = (380.0, 300.0);
const LEFT: f64 = 64.0;
const TOP: f64 = 70.0;
const GAP: f64 = 36.0;
const BELOW: f64 = 58.0;

/// Named points.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// Across and up, in order of across.
    pub points: Vec<(f64, f64)>,
    /// The least and most at each point, drawn as a band behind the line; may be empty.
    pub band: Vec<(f64, f64)>,
}

impl Series {
    /// Without a band.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            name: name.into(),
            points,
            band: Vec::new(),
        }
    }
}

/// One panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Above it.
    pub title: String,
    /// Of the same names in all panels.
    pub series: Vec<Series>,
    /// A dashed line across at this height, and its name.
    pub mark: Option<(f64, String)>,
}

/// How points are drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Joined by lines.
    Lines,
    /// As bars in groups, a group a point, under these names.
    Bars(Vec<String>),
}

/// A drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Above all.
    pub title: String,
    /// Under each panel, with its unit.
    pub across: String,
    /// Beside the first panel, with its unit.
    pub up: String,
    /// Lines or bars.
    pub kind: Kind,
    /// From left to right.
    pub panels: Vec<Panel>,
    /// Whether `up` begins at zero.
    pub from_zero: bool,
    /// The part of `across` that is shown, if not all.
    pub window: Option<(f64, f64)>,
}

/// A round scale.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>, from_zero: bool) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if from_zero {
            low = low.min(0.0);
        }
        if high - low < 1e-9 {
            high = low + 1.0;
        }
        let rough = (high - low) / 6.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .iter()
            .map(|m| m * power)
            .find(|step| *step >= rough);
        let step = step.unwrap_or(power * 10.0);
        Self {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        }
    }

    fn exactly((low, high): (f64, f64)) -> Self {
        let Self { step, .. } = Self::over([low, high].into_iter(), false);
        Self { low, high, step }
    }

    fn share(self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(self) -> Vec<f64> {
        let first = (self.low / self.step - 1e-9).ceil();
        let last = (self.high / self.step + 1e-9).floor();
        let count = (last - first).clamp(0.0, 50.0) as u32;
        (0..=count)
            .map(|at| (first + f64::from(at)) * self.step)
            .collect()
    }

    fn word(self, value: f64) -> String {
        let digits = (-self.step.log10().floor()).clamp(0.0, 4.0) as usize;
        let word = format!("{value:.digits$}");
        if word.trim_start_matches('-').trim_matches(['0', '.']).is_empty() {
            "0".to_owned()
        } else {
            word
        }
    }
}

/// Where one panel is on the drawing.
#[derive(Clone, Copy)]
struct Frame {
    left: f64,
    width: f64,
    across: Scale,
    up: Scale,
}

impl Frame {
    fn x(self, value: f64) -> f64 {
        self.left + self.across.share(value) * self.width
    }

    fn y(self, value: f64) -> f64 {
        TOP + PANEL.1 * (1.0 - self.up.share(value))
    }
}

/// The text of a drawing that is collected. Writing to a string cannot fail.
#[derive(Default)]
struct Canvas(String);

impl Canvas {
    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), style: &str) {
        let _ = writeln!(
            self.0,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" {style}/>"#
        );
    }

    fn text(&mut self, (x, y): (f64, f64), style: &str, words: &str) {
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(self.0, r#"<text x="{x:.1}" y="{y:.1}" {style}>{words}</text>"#);
    }

    fn path(&mut self, points: impl Iterator<Item = (f64, f64)>, style: &str) {
        let mut path = String::new();
        let points = points.filter(|(x, y)| x.is_finite() && y.is_finite());
        for (at, (x, y)) in points.enumerate() {
            let _ = write!(path, "{}{x:.1} {y:.1} ", if at == 0 { 'M' } else { 'L' });
        }
        if !path.is_empty() {
            let _ = writeln!(self.0, r#"<path d="{}" {style}/>"#, path.trim_end());
        }
    }
}

impl Chart {
    /// The whole drawing.
    pub fn svg(&self) -> String {
        let panels = self.panels.len().max(1) as f64;
        // Many bars need room.
        let width = match &self.kind {
            Kind::Bars(names) => PANEL.0.max(names.len() as f64 * 15.0),
            Kind::Lines => PANEL.0,
        };
        let whole = LEFT + panels * width + (panels - 1.0) * GAP + 24.0;
        let names = self.names();
        let columns = ((whole - LEFT) / 150.0).floor().max(1.0) as usize;
        let rows = names.len().div_ceil(columns) as f64;
        let slanted = if matches!(self.kind, Kind::Bars(_)) {
            56.0
        } else {
            0.0
        };
        let height = TOP + PANEL.1 + BELOW + slanted + rows * 20.0;
        let mut canvas = Canvas::default();
        let bold = r#"text-anchor="middle" font-size="16" font-weight="bold""#;
        canvas.text((whole / 2.0, 26.0), bold, &self.title);
        for (number, panel) in self.panels.iter().enumerate() {
            let left = LEFT + number as f64 * (width + GAP);
            let (across, up) = self.scales();
            let frame = Frame {
                left,
                width,
                across,
                up,
            };
            self.panel(&mut canvas, panel, frame, number == 0);
        }
        for (at, name) in names.iter().enumerate() {
            let x = LEFT + (at % columns) as f64 * 150.0;
            let y = TOP + PANEL.1 + BELOW + slanted + (at / columns) as f64 * 20.0;
            match self.kind {
                Kind::Lines => canvas.line((x, y - 4.0), (x + 26.0, y - 4.0), &stroke(at)),
                Kind::Bars(_) => {
                    let _ = writeln!(
                        canvas.0,
                        r#"<rect x="{x:.1}" y="{:.1}" width="26" height="10" fill="{}"/>"#,
                        y - 10.0,
                        COLOURS[at % COLOURS.len()]
                    );
                }
            }
            canvas.text((x + 32.0, y), r#"text-anchor="start""#, name);
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole:.0}\" height=\"{height:.0}\" viewBox=\"0 0 \
             {whole:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" \
             height=\"100%\" fill=\"white\"/>\n{}</svg>\n",
            canvas.0
        )
    }

    fn names(&self) -> Vec<String> {
        self.panels.first().map_or_else(Vec::new, |panel| {
            panel.series.iter().map(|series| series.name.clone()).collect()
        })
    }

    fn scales(&self) -> (Scale, Scale) {
        let shown = |point: &&(f64, f64)| {
            self.window
                .is_none_or(|(low, high)| (low..=high).contains(&point.0))
        };
        let all = || self.panels.iter().flat_map(|panel| &panel.series);
        let points = || all().flat_map(|series| series.points.iter().filter(shown));
        let bands = all().flat_map(|series| series.band.iter().flat_map(|&(low, high)| [low, high]));
        let marks = self
            .panels
            .iter()
            .filter_map(|panel| panel.mark.as_ref().map(|mark| mark.0));
        let up = Scale::over(points().map(|p| p.1).chain(bands).chain(marks), self.from_zero);
        let across = match (&self.kind, self.window) {
            (Kind::Bars(names), _) => Scale {
                low: 0.0,
                high: names.len().max(1) as f64,
                step: 1.0,
            },
            (Kind::Lines, Some(window)) => Scale::exactly(window),
            (Kind::Lines, None) => Scale::over(points().map(|p| p.0), false),
        };
        (across, up)
    }

    fn panel(&self, canvas: &mut Canvas, panel: &Panel, frame: Frame, first: bool) {
        let (bottom, right) = (TOP + PANEL.1, frame.left + frame.width);
        let grey = r##"stroke="#dddddd""##;
        for tick in frame.up.ticks() {
            canvas.line((frame.left, frame.y(tick)), (right, frame.y(tick)), grey);
            let place = (frame.left - 6.0, frame.y(tick) + 4.0);
            canvas.text(place, r#"text-anchor="end""#, &frame.up.word(tick));
        }
        let middle = f64::midpoint(frame.left, right);
        canvas.text(
            (middle, TOP - 12.0),
            r#"text-anchor="middle" font-size="13""#,
            &panel.title,
        );
        match &self.kind {
            Kind::Lines => {
                for tick in frame.across.ticks() {
                    canvas.line(
                        (frame.x(tick), bottom),
                        (frame.x(tick), bottom + 4.0),
                        r#"stroke="black""#,
                    );
                    let place = (frame.x(tick), bottom + 18.0);
                    canvas.text(place, r#"text-anchor="middle""#, &frame.across.word(tick));
                }
                canvas.text((middle, bottom + 36.0), r#"text-anchor="middle""#, &self.across);
                curves(canvas, panel, frame);
            }
            Kind::Bars(names) => {
                for (at, name) in names.iter().enumerate() {
                    let (x, y) = (frame.x(at as f64 + 0.5), bottom + 10.0);
                    let style =
                        format!(r#"text-anchor="end" font-size="9" transform="rotate(-60 {x:.1} {y:.1})""#);
                    canvas.text((x, y), &style, name);
                }
                canvas.text((middle, bottom + 92.0), r#"text-anchor="middle""#, &self.across);
                bars(canvas, panel, frame);
            }
        }
        canvas.line((frame.left, bottom), (right, bottom), r#"stroke="black""#);
        canvas.line((frame.left, TOP), (frame.left, bottom), r#"stroke="black""#);
        if let Some((height, name)) = &panel.mark {
            let y = frame.y(*height);
            canvas.line(
                (frame.left, y),
                (right, y),
                r##"stroke="#555555" stroke-dasharray="4 4""##,
            );
            let style = r##"text-anchor="end" font-size="11" fill="#555555""##;
            canvas.text((right - 4.0, y - 4.0), style, name);
        }
        if first {
            let (x, y) = (16.0, TOP + PANEL.1 / 2.0);
            let style = format!(r#"text-anchor="middle" transform="rotate(-90 {x:.1} {y:.1})""#);
            canvas.text((x, y), &style, &self.up);
        }
    }
}

fn curves(canvas: &mut Canvas, panel: &Panel, frame: Frame) {
    for (at, series) in panel.series.iter().enumerate() {
        let band = series.points.iter().zip(&series.band);
        let lower = band
            .clone()
            .map(|(point, band)| (frame.x(point.0), frame.y(band.0)));
        let upper = band
            .rev()
            .map(|(point, band)| (frame.x(point.0), frame.y(band.1)));
        let style = format!(
            r#"fill="{}" fill-opacity="0.15" stroke="none""#,
            COLOURS[at % COLOURS.len()]
        );
        canvas.path(lower.chain(upper), &style);
    }
    for (at, series) in panel.series.iter().enumerate() {
        let points = series.points.iter().map(|&(x, y)| (frame.x(x), frame.y(y)));
        canvas.path(points, &format!(r#"fill="none" {}"#, stroke(at)));
    }
}

fn bars(canvas: &mut Canvas, panel: &Panel, frame: Frame) {
    let room = frame.width / (frame.across.high - frame.across.low);
    let wide = room * 0.8 / panel.series.len().max(1) as f64;
    for (at, series) in panel.series.iter().enumerate() {
        for &(group, value) in series.points.iter().filter(|point| point.1.is_finite()) {
            let x = frame.x(group) + room * 0.1 + wide * at as f64;
            let (top, bottom) = (frame.y(value), frame.y(0.0));
            let _ = writeln!(
                canvas.0,
                r#"<rect x="{x:.1}" y="{top:.1}" width="{wide:.1}" height="{:.1}" fill="{}"/>"#,
                (bottom - top).max(0.0),
                COLOURS[at % COLOURS.len()]
            );
        }
    }
}

fn stroke(at: usize) -> String {
    let colour = COLOURS[at % COLOURS.len()];
    let dash = DASHES[at % DASHES.len()];
    format!(r#"stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}""#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(kind: Kind, points: Vec<(f64, f64)>) -> String {
        let series = Series {
            name: "a<b".to_owned(),
            band: points.iter().map(|p| (p.1 - 1.0, p.1 + 1.0)).collect(),
            points,
        };
        let panel = Panel {
            title: "one".to_owned(),
            series: vec![series],
            mark: Some((1.5, "bound".to_owned())),
        };
        Chart {
            title: "t & u".to_owned(),
            across: "x [s]".to_owned(),
            up: "y [ms]".to_owned(),
            kind,
            panels: vec![panel.clone(), panel],
            from_zero: true,
            window: None,
        }
        .svg()
    }

    #[test]
    fn a_drawing_has_axes_units_a_legend_and_no_loose_markup() {
        let drawing = chart(Kind::Lines, vec![(0.0, 1.0), (1.0, 2.0)]);
        assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
        for words in ["t &amp; u", "x [s]", "y [ms]", "a&lt;b", "bound"] {
            assert!(drawing.contains(words), "{words}");
        }
        assert_eq!(
            drawing.matches("<path ").count(),
            4,
            "line and band in each panel"
        );
    }

    #[test]
    fn nothing_and_what_is_no_number_can_be_drawn() {
        for points in [vec![], vec![(0.0, f64::NAN)], vec![(0.0, 0.0), (1.0, 0.0)]] {
            for kind in [Kind::Lines, Kind::Bars(vec!["a".to_owned(), "b".to_owned()])] {
                let drawing = chart(kind, points.clone());
                assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
            }
        }
    }

    #[test]
    fn scales_are_round() {
        let scale = Scale::over([41.3, 58.9].into_iter(), false);
        assert_eq!((scale.low, scale.high, scale.step), (40.0, 60.0, 5.0));
        assert_eq!(scale.ticks(), [40.0, 45.0, 50.0, 55.0, 60.0]);
        assert_eq!(scale.word(0.0), "0");
    }
}
