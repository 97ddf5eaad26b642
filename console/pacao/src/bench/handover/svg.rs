//! Drawings of a handover bench: for each measure, boxplots beside the distributions of the same values.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use super::report::{Measure, Trial, rows};
use super::statistics::{Boxplot, cdf};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 420.0;
/// The part of a panel that is drawn in.
const TOP: f64 = 50.0;
const BOTTOM: f64 = 340.0;
const BOXES: (f64, f64) = (70.0, 460.0);
const CURVES: (f64, f64) = (540.0, 930.0);
/// Dark and light enough apart to be told on paper too.
const COLOURS: [&str; 6] = ["#1b6ca8", "#d1495b", "#3c8d53", "#8d5fa8", "#c98a1b", "#4d5a66"];
const TICKS: u32 = 5;

/// Writes `handover-MEASURE.svg` for each measure.
pub(super) fn write(directory: &Path, trials: &[Trial]) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    for measure in Measure::ALL {
        let series: Vec<Series> = rows(trials, measure)
            .map(|(trial, client, values)| Series {
                name: format!("{} {client}", trial.way.name()),
                values,
            })
            .collect();
        let title = format!("{} [{}]", measure.title(), measure.unit());
        let path = directory.join(format!("handover-{}.svg", measure.key()));
        std::fs::write(&path, draw(&title, &series)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Named values.
struct Series {
    name: String,
    values: Vec<f64>,
}

/// Which length on the drawing a value is.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// From zero, or the least value if it is below, to the largest.
    fn of(series: &[Series], (from, to): (f64, f64)) -> Self {
        let values = || series.iter().flat_map(|one| one.values.iter().copied());
        let low = values().fold(0.0, f64::min);
        let high = values().fold(low, f64::max);
        Self {
            low,
            // Values that are all zero have a scale, too.
            high: if high > low { high } else { low + 1.0 },
            from,
            to,
        }
    }

    fn at(self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    fn ticks(self) -> impl Iterator<Item = f64> {
        (0..=TICKS).map(move |tick| self.low + (self.high - self.low) * f64::from(tick) / f64::from(TICKS))
    }
}

/// The text of a drawing that is collected.
#[derive(Default)]
struct Canvas(String);

impl Canvas {
    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), style: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.0,
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" {style}/>"#
        );
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, words: &str) {
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.0,
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{words}</text>"#
        );
    }
}

fn draw(title: &str, series: &[Series]) -> String {
    let mut canvas = Canvas::default();
    canvas.text((WIDTH / 2.0, 24.0), "middle", title);
    boxplots(&mut canvas, series);
    curves(&mut canvas, series);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{}</svg>\n",
        canvas.0
    )
}

fn boxplots(canvas: &mut Canvas, series: &[Series]) {
    let scale = Scale::of(series, (BOTTOM, TOP));
    for tick in scale.ticks() {
        canvas.line(
            (BOXES.0, scale.at(tick)),
            (BOXES.1, scale.at(tick)),
            r##"stroke="#dddddd""##,
        );
        canvas.text((BOXES.0 - 6.0, scale.at(tick) + 4.0), "end", &short(tick));
    }
    let room = (BOXES.1 - BOXES.0) / series.len().max(1) as f64;
    let half = (room * 0.3).min(22.0);
    for (number, (one, colour)) in (0_u32..).zip(series.iter().zip(COLOURS.iter().cycle())) {
        let x = BOXES.0 + room * (f64::from(number) + 0.5);
        for (row, word) in (0_u32..).zip(one.name.split(' ')) {
            canvas.text((x, BOTTOM + 18.0 + 15.0 * f64::from(row)), "middle", word);
        }
        let Some(plot) = Boxplot::of(&one.values) else {
            continue;
        };
        let style = format!(r#"stroke="{colour}" stroke-width="1.5""#);
        for (from, to) in [(plot.min, plot.q1), (plot.q3, plot.max)] {
            canvas.line((x, scale.at(from)), (x, scale.at(to)), &style);
        }
        for end in [plot.min, plot.max] {
            canvas.line(
                (x - half / 2.0, scale.at(end)),
                (x + half / 2.0, scale.at(end)),
                &style,
            );
        }
        let _ = writeln!(
            canvas.0,
            r#"<path d="{}" fill="{colour}" fill-opacity="0.25" {style}/>"#,
            notched(&plot, scale, (x, half))
        );
        let waist = if plot.median_ci95.is_some() {
            half / 2.0
        } else {
            half
        };
        let heavy = format!(r#"stroke="{colour}" stroke-width="3""#);
        canvas.line(
            (x - waist, scale.at(plot.median)),
            (x + waist, scale.at(plot.median)),
            &heavy,
        );
    }
}

/// The box from quartile to quartile, drawn in at the median over its confidence interval, which may be the wider.
fn notched(plot: &Boxplot, scale: Scale, (x, half): (f64, f64)) -> String {
    let mut right = vec![(half, plot.q1)];
    if let Some((low, high)) = plot.median_ci95 {
        right.extend([(half, low), (half / 2.0, plot.median), (half, high)]);
    }
    right.push((half, plot.q3));
    let left = right.iter().rev().map(|(width, value)| (-width, *value));
    let mut path = String::new();
    for (step, (width, value)) in right.iter().copied().chain(left).enumerate() {
        let word = if step == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{word}{:.1} {:.1} ", x + width, scale.at(value));
    }
    path.push('Z');
    path
}

fn curves(canvas: &mut Canvas, series: &[Series]) {
    let across = Scale::of(series, CURVES);
    let up = |share: f64| BOTTOM + (TOP - BOTTOM) * share;
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        canvas.line(
            (CURVES.0, up(share)),
            (CURVES.1, up(share)),
            r##"stroke="#dddddd""##,
        );
        canvas.text(
            (CURVES.0 - 6.0, up(share) + 4.0),
            "end",
            &format!("{:.0} %", share * 100.0),
        );
    }
    for tick in across.ticks() {
        canvas.text((across.at(tick), BOTTOM + 18.0), "middle", &short(tick));
    }
    for (number, (one, colour)) in (0_u32..).zip(series.iter().zip(COLOURS.iter().cycle())) {
        let mut path = format!("M{:.1} {:.1}", across.at(across.low), up(0.0));
        for (value, share) in cdf(&one.values) {
            let _ = write!(path, " H{:.1} V{:.1}", across.at(value), up(share));
        }
        let _ = write!(path, " H{:.1}", CURVES.1);
        let _ = writeln!(
            canvas.0,
            r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>"#
        );
        let place = (
            CURVES.0 + 130.0 * f64::from(number % 3),
            BOTTOM + 42.0 + 18.0 * f64::from(number / 3),
        );
        canvas.line(
            place,
            (place.0 + 18.0, place.1),
            &format!(r#"stroke="{colour}" stroke-width="3""#),
        );
        canvas.text((place.0 + 24.0, place.1 + 4.0), "start", &one.name);
    }
}

fn short(value: f64) -> String {
    if value.abs() < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        Series {
            name: "cp <vnu>".to_owned(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn a_drawing_has_a_box_and_a_curve_for_each_series_and_no_loose_markup() {
        let drawing = draw(
            "downtime [ms]",
            &[series(&[1.0, 2.0, 3.0, 9.0, 4.0, 5.0]), series(&[4.0])],
        );
        assert_eq!(drawing.matches("<path ").count(), 4);
        assert!(drawing.contains("cp &lt;vnu>") && !drawing.contains("<vnu>"));
        assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"));
    }

    #[test]
    fn values_that_are_all_zero_or_none_can_be_drawn() {
        for values in [&[0.0, 0.0][..], &[]] {
            let drawing = draw("lost", &[series(values)]);
            assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
        }
    }
}
