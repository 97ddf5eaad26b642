//! Figures and times as people read them: aligned on the decimal point, with few digits, in words where words are shorter.

use chrono::{DateTime, FixedOffset, TimeZone, Utc};
use proto::{Span, Timestamp};
use ratatui::text::Span as Cell;

/// Cells after the decimal point, the point included.
const FRACTION: usize = 3;

/// A figure in `width` cells, its decimal point always three cells from the right: `437.2 `, ` 35.1 `, `  0.04`.
/// Figures below 10 keep two decimals, so that less than a millisecond is still seen. `None` is a lone point, never 0.
pub(crate) fn aligned(figure: Option<f64>, width: usize) -> String {
    let whole = width.saturating_sub(FRACTION);
    let Some(figure) = figure.filter(|figure| figure.is_finite()) else {
        return format!("{:>whole$}{:<FRACTION$}", "", "·");
    };
    let text = if figure.abs() < 9.995 {
        format!("{figure:.2}")
    } else {
        format!("{figure:.1} ")
    };
    if text.len() <= width {
        return format!("{text:>width$}");
    }
    let rounded = format!("{figure:.0}");
    if rounded.len() <= whole {
        format!("{rounded:>whole$}{:FRACTION$}", "")
    } else {
        format!("{:>width$}", "big")
    }
}

/// A figure with one decimal, in `width` cells, for shares in percent: ` 0.4 `.
pub(crate) fn tenths(figure: Option<f64>, width: usize) -> String {
    match figure.filter(|figure| figure.is_finite()) {
        Some(figure) => format!("{:>width$}", format!("{figure:.1} ")),
        None => aligned(None, width),
    }
}

/// A signed figure with one decimal, in `width` cells: what is left of a bound, or by how much it is broken.
pub(crate) fn signed(figure: Option<f64>, width: usize) -> String {
    match figure.filter(|figure| figure.is_finite()) {
        Some(figure) => {
            let text = format!("{figure:+.1} ");
            if text.len() <= width {
                format!("{text:>width$}")
            } else {
                format!("{figure:>+width$.0}")
            }
        }
        None => aligned(None, width),
    }
}

/// A figure in a sentence: three significant digits at most, `437`, `35.1`, `0.42`.
pub(crate) fn short(figure: f64) -> String {
    match figure.abs() {
        size if size >= 99.95 => format!("{figure:.0}"),
        size if size >= 9.995 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// A length of time in a sentence: `0.4 s`, `12 s`, `3 min 20 s`, `5 h 02 min`, `3 d 02 h`.
pub(crate) fn length(span: Span) -> String {
    let seconds = span.micros() / 1_000_000;
    match seconds {
        0 if span.micros() < 95_000 => format!("{} ms", span.micros() / 1_000),
        0..=9 => format!("{:.1} s", span.as_secs_f64()),
        10..=119 => format!("{seconds} s"),
        120..=3_599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// An age in at most four cells: `9s`, `59s`, `12m`, `5h`, `3d`.
pub(crate) fn age(span: Span) -> String {
    let seconds = span.micros() / 1_000_000;
    match seconds {
        0..=99 => format!("{seconds}s"),
        100..=5_999 => format!("{}m", seconds / 60),
        6_000..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// What is left until a moment, `0:47`; `0:00` once it has passed.
pub(crate) fn countdown(left: Span) -> String {
    let seconds = left.micros().div_ceil(1_000_000);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// The time of day, `14:02:31`, at this distance from UTC.
pub(crate) fn clock(at: Timestamp, zone: FixedOffset) -> String {
    moment(at, zone).map_or_else(
        || "--:--:--".to_owned(),
        |moment| moment.format("%H:%M:%S").to_string(),
    )
}

/// The distance from UTC: `UTC`, `+01:00`.
pub(crate) fn zone(zone: FixedOffset) -> String {
    if zone.local_minus_utc() == 0 {
        "UTC".to_owned()
    } else {
        zone.to_string()
    }
}

fn moment(at: Timestamp, zone: FixedOffset) -> Option<DateTime<FixedOffset>> {
    let micros = i64::try_from(at.micros()).ok()?;
    Utc.timestamp_micros(micros)
        .single()
        .map(|utc| utc.with_timezone(&zone))
}

/// `1 user`, `3 users`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// `1 entry`, `3 entries`.
pub(crate) fn entries(number: usize) -> String {
    match number {
        1 => "1 entry".to_owned(),
        _ => format!("{number} entries"),
    }
}

/// `288 B`, `410 MB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    let unit = UNITS.iter().find(|(size, _)| bytes >= *size);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(size, name)| format!("{} {name}", short(bytes as f64 / *size as f64)),
    )
}

/// Text in at most `width` cells; what is cut off leaves an ellipsis.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let mut fitted = String::new();
    let mut room = width.saturating_sub(1);
    for letter in text.chars() {
        let need = cells(letter.encode_utf8(&mut [0; 4]));
        if need > room {
            break;
        }
        room -= need;
        fitted.push(letter);
    }
    if width > 0 {
        fitted.push('…');
    }
    fitted
}

/// The end of a text in at most `width` cells; what is cut off before it leaves an ellipsis.
pub(crate) fn fit_end(text: &str, width: usize) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let mut end = String::new();
    let mut left = width.saturating_sub(1);
    for letter in text.chars().rev() {
        let need = cells(letter.encode_utf8(&mut [0; 4]));
        if need > left {
            break;
        }
        left -= need;
        end.insert(0, letter);
    }
    format!("…{end}")
}

/// Text in lines of at most `width` cells, broken between words; a word that is longer is cut.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if cells(line) + 1 + cells(word) <= width => line.extend([" ", word]),
            _ => lines.push(fit(word, width)),
        }
    }
    lines
}

/// Text in exactly `width` cells, from the left.
pub(crate) fn left(text: &str, width: usize) -> String {
    let mut fitted = fit(text, width);
    fitted.extend(std::iter::repeat_n(' ', width.saturating_sub(cells(&fitted))));
    fitted
}

/// How many cells a text takes.
pub(crate) fn cells(text: &str) -> usize {
    Cell::raw(text).width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_to_the_next_line_and_none_is_lost() {
        let text = "one is made when a link in use leaves its bounds";
        for width in 6..60 {
            let lines = wrapped(text, width);
            assert!(
                lines.iter().all(|line| cells(line) <= width),
                "{width}: {lines:?}"
            );
            assert_eq!(lines.join(" "), text);
        }
        assert_eq!(wrapped("incomprehensible", 6), ["incom…"]);
        assert!(wrapped("", 6).is_empty());
    }

    #[test]
    fn points_stand_below_each_other_and_small_figures_keep_their_digits() {
        let column: Vec<String> = [
            Some(437.21),
            Some(35.1),
            Some(9.99),
            Some(0.043),
            None,
            Some(f64::NAN),
            Some(12_345.6),
        ]
        .into_iter()
        .map(|figure| aligned(figure, 8))
        .collect();
        assert_eq!(
            column.join("|"),
            "  437.2 |   35.1 |    9.99|    0.04|     ·  |     ·  |12345.6 "
        );
        for text in &column {
            assert_eq!(cells(text), 8, "{text}");
        }
    }

    #[test]
    fn a_figure_that_is_too_wide_never_looks_like_a_smaller_one() {
        assert_eq!(aligned(Some(1_234_567.8), 8), "     big");
        assert_eq!(aligned(Some(123_456.8), 9), "123456.8 ");
        assert_eq!(aligned(Some(12_345.6), 7), "    big");
        assert_eq!(signed(Some(-380.16), 7), "-380.2 ");
        assert_eq!(signed(Some(-13_380.16), 7), " -13380");
        assert_eq!(signed(None, 7), "    ·  ");
        assert_eq!(tenths(Some(100.0), 6), "100.0 ");
    }

    #[test]
    fn lengths_read_as_words() {
        let texts: Vec<String> = [
            Span::millis(40),
            Span::millis(400),
            Span::secs(12),
            Span::secs(200),
        ]
        .into_iter()
        .chain([Span::secs(18_120), Span::secs(266_400)])
        .map(length)
        .collect();
        assert_eq!(
            texts.join(", "),
            "40 ms, 0.4 s, 12 s, 3 min 20 s, 5 h 02 min, 3 d 02 h"
        );
        assert_eq!(countdown(Span::millis(46_200)), "0:47");
        assert_eq!(countdown(Span::ZERO), "0:00");
        assert_eq!(age(Span::secs(9)), "9s");
    }

    #[test]
    fn the_clock_is_at_the_zone_it_is_given() {
        let at = Timestamp(1_700_000_000_000_000);
        assert_eq!(clock(at, FixedOffset::east_opt(0).unwrap()), "22:13:20");
        assert_eq!(clock(at, FixedOffset::east_opt(3600).unwrap()), "23:13:20");
        assert_eq!(
            clock(Timestamp(u64::MAX), FixedOffset::east_opt(0).unwrap()),
            "--:--:--"
        );
    }

    #[test]
    fn cut_text_says_so() {
        assert_eq!(fit("TelcoCenter", 8), "TelcoCe…");
        assert_eq!(fit("TelcoCenter", 0), "");
        assert_eq!(left("日本", 3), "日…");
    }
}
