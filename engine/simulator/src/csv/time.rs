//! Times of one day: `HH:MM`, `HH:MM:SS`, seconds since midnight, or any of the first two behind a date
//! (`2015-03-02T06:30:00Z`, RFC 3339), which must be the same on every line.

use proto::Span;

use crate::trace::DAY;

/// The day that a file is about, as its first line with a date says.
#[derive(Debug, Default)]
pub(super) struct Day {
    first: Option<First>,
}

#[derive(Debug)]
struct First {
    date: String,
    zone: String,
    line: usize,
}

impl Day {
    /// What stands in `line`, since midnight; else what is wrong with it, and what would be right.
    pub(super) fn time(&mut self, text: &str, line: usize) -> Result<Span, String> {
        let bad = || {
            let text = super::clip(text);
            format!(
                "'{text}' is not a time of one day: write 06:30, 06:30:15, 2015-03-02T06:30:15Z, or seconds up to 86400"
            )
        };
        let Some((date, rest)) = date_of(text) else {
            return clock(text).or_else(|| seconds(text)).ok_or_else(bad);
        };
        let (time, zone) = rest.split_at(rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len()));
        let at = clock(time).filter(|_| is_zone(zone)).ok_or_else(bad)?;
        let first = self.first.get_or_insert_with(|| First {
            date: date.to_owned(),
            zone: zone.to_owned(),
            line,
        });
        if first.date != date {
            return Err(format!(
                "'{date}' is another day than {} in line {}: a trace is of one day",
                first.date, first.line
            ));
        }
        if !first.zone.eq_ignore_ascii_case(zone) {
            return Err(format!(
                "'{}' is told from another zone than line {}: write all times alike",
                super::clip(text),
                first.line
            ));
        }
        Ok(at)
    }
}

/// `YYYY-MM-DD`, and what follows the `T` or space behind it.
fn date_of(text: &str) -> Option<(&str, &str)> {
    let (date, rest) = (text.get(..10)?, text.get(10..)?);
    let shaped = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    shaped.then_some((date, rest))
}

/// Nothing, `Z`, or `+HH:MM`.
fn is_zone(zone: &str) -> bool {
    match zone.as_bytes() {
        [] | [b'Z' | b'z'] => true,
        [b'+' | b'-', rest @ ..] => clock(std::str::from_utf8(rest).unwrap_or_default()).is_some(),
        _ => false,
    }
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fff`, at most a day.
fn clock(text: &str) -> Option<Span> {
    let mut parts = text.split(':');
    let (hours, minutes) = (number(parts.next()?, 24)?, number(parts.next()?, 59)?);
    let rest = match parts.next() {
        Some(text) if text.starts_with(|first: char| first.is_ascii_digit()) => {
            text.parse::<f64>().ok().filter(|&seconds| seconds < 60.0)?
        }
        Some(_) => return None,
        None => 0.0,
    };
    let at = Span(Span::secs(hours * 3600 + minutes * 60).0 + micros(rest));
    (parts.next().is_none() && at <= DAY).then_some(at)
}

fn number(text: &str, most: u64) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u64>().ok().filter(|&n| digits && n <= most)
}

/// Seconds since midnight.
fn seconds(text: &str) -> Option<Span> {
    let seconds = text.parse::<f64>().ok()?;
    (0.0..=DAY.as_secs_f64())
        .contains(&seconds)
        .then(|| Span(micros(seconds)))
}

fn micros(seconds: f64) -> u64 {
    (seconds * 1e6).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_the_same_moment() {
        let half_past_six = Span::secs(23_415);
        for text in [
            "06:30:15",
            "23415",
            "2015-03-02T06:30:15",
            "2015-03-02 06:30:15",
            "2015-03-02T06:30:15Z",
            "2015-03-02t06:30:15.000z",
            "2015-03-02T06:30:15+01:00",
        ] {
            assert_eq!(Day::default().time(text, 2), Ok(half_past_six), "{text}");
        }
        assert_eq!(Day::default().time("24:00", 2), Ok(DAY));
        assert_eq!(Day::default().time("00:00:00.5", 2), Ok(Span(500_000)));
    }

    #[test]
    fn what_is_no_time_of_that_day_is_refused() {
        for text in [
            "",
            "-1",
            "86401",
            "nan",
            "25:00",
            "24:01",
            "06:60",
            "06:30:60",
            "06:30:inf",
            "6:30:1:1",
            "2015-03-02",
            "2015-03-02T",
            "2015-03-02T06:30:00X",
            "2015-03-02T06:30:00+1",
            "2015-3-2T06:30",
            "2015-03-0\u{e9}T06:30",
        ] {
            let said = Day::default().time(text, 2).unwrap_err();
            assert!(said.contains("is not a time of one day: write 06:30"), "{said}");
        }
        let mut day = Day::default();
        day.time("2015-03-02T06:30:00Z", 7).unwrap();
        assert_eq!(
            day.time("2015-03-03T06:30:00Z", 8).unwrap_err(),
            "'2015-03-03' is another day than 2015-03-02 in line 7: a trace is of one day"
        );
        let zone = day.time("2015-03-02T06:30:00+02:00", 8).unwrap_err();
        assert!(
            zone.ends_with("is told from another zone than line 7: write all times alike"),
            "{zone}"
        );
    }
}
