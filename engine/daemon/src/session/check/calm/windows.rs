//! Freeze and maintenance windows. A zone's table of shifts is worked out here, once, so that what the engine does at
//! a wall-clock time is on the record and does not depend on another machine's zone files.

use std::collections::BTreeSet;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;
use pacao_core::config::{Shift, When, Window, WindowKind, Zone};
use proto::Timestamp;

use super::select::{Known, selector};
use crate::session::check::doubts::{Doubts, at};
use crate::session::raw::{Entries, RawWhen, RawWindow};

/// Years the table of shifts covers.
const YEARS: std::ops::Range<i32> = 2020..2070;
const DAY: i64 = 86_400;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

pub(super) fn windows(raw: &Entries<RawWindow>, known: &Known<'_>, doubts: &mut Doubts<'_>) -> Vec<Window> {
    let window = |(name, window): &(String, RawWindow)| {
        let zone = doubts.good(at!["policy", "windows", name, "zone"], zone(&window.zone));
        let (kind, field, given) = match (&window.deny, &window.allow) {
            (Some(given), None) => (WindowKind::Deny, "deny", given),
            (None, Some(given)) => (WindowKind::Allow, "allow", given),
            _ => {
                let message = "a window has exactly one of deny and allow";
                doubts.key(at!["policy", "windows", name], message);
                return None;
            }
        };
        let when = when(name, field, given, doubts);
        let who = window
            .who
            .as_ref()
            .map(|who| selector(who, at!["policy", "windows", name, "who"], known, doubts));
        Some(Window {
            name: name.clone(),
            kind,
            who,
            zone: zone?,
            when: when?,
            on_failure: window.on_failure,
        })
    };
    raw.0.iter().filter_map(window).collect()
}

fn when(name: &String, field: &str, given: &RawWhen, doubts: &mut Doubts<'_>) -> Option<When> {
    let RawWhen { days, from, to } = given;
    let path = |part: &str| at!["policy", "windows", name, field, part].to_vec();
    if let (Ok(from), Ok(to)) = (moment(from), moment(to)) {
        if days.is_some() {
            doubts.value(
                &path("days"),
                "a window with dates happens once: `days` says nothing",
            );
        }
        if to <= from {
            doubts.value(&path("to"), "it ends before it begins");
        }
        return Some(When::Once { from, to });
    }
    let from = doubts.good(&path("from"), hour(from));
    let to = doubts.good(&path("to"), hour(to));
    let every: Vec<String> = DAYS.iter().map(|&day| day.to_owned()).collect();
    let mut begins = BTreeSet::new();
    for (at, day) in days.as_ref().unwrap_or(&every).iter().enumerate() {
        if let Some(day) = DAYS.iter().position(|known| known == day) {
            begins.insert(day as u8);
        } else {
            let message = format!("'{day}' is no day: give {}", DAYS.join(", "));
            doubts.value(at!["policy", "windows", name, field, "days", at], message);
        }
    }
    if days.as_ref().is_some_and(Vec::is_empty) {
        doubts.value(&path("days"), "no day is named: leave `days` out for every day");
    }
    Some(When::Weekly {
        days: begins,
        from: from?,
        to: to?,
    })
}

/// Seconds on the wall clock since 1970-01-01 00:00.
fn moment(text: &str) -> Result<i64, chrono::ParseError> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").map(|at| at.and_utc().timestamp())
}

/// Seconds after midnight.
fn hour(text: &str) -> Result<u32, String> {
    NaiveTime::parse_from_str(text, "%H:%M")
        .map(|time| time.num_seconds_from_midnight())
        .map_err(|_| {
            format!("'{text}' is no time: write it like \"08:30\", or both ends like 2026-12-24 18:00")
        })
}

fn zone(name: &str) -> Result<Zone, String> {
    let known: Tz = name
        .parse()
        .map_err(|_| format!("'{name}' is no time zone: write it like Europe/Paris, or UTC"))?;
    let midnight = |year| NaiveDate::from_ymd_opt(year, 1, 1).map(|day| day.and_time(NaiveTime::MIN));
    let (Some(first), Some(last)) = (midnight(YEARS.start), midnight(YEARS.end)) else {
        return Err(format!("'{name}' cannot be worked out"));
    };
    let (first, last) = (first.and_utc().timestamp(), last.and_utc().timestamp());
    let offset = |utc: i64| {
        let utc = chrono::DateTime::from_timestamp(utc, 0)
            .unwrap_or_default()
            .naive_utc();
        known.offset_from_utc_datetime(&utc).fix().local_minus_utc()
    };
    let shift = |utc: i64, offset: i32| Shift {
        from: Timestamp(u64::try_from(utc).unwrap_or(0).saturating_mul(1_000_000)),
        offset,
    };
    let mut shifts = vec![shift(first, offset(first))];
    let mut before = (first, offset(first));
    while before.0 < last {
        let after = (before.0 + DAY, offset(before.0 + DAY));
        if after.1 != before.1 {
            // Between the two, by halves.
            let (mut low, mut high) = (before.0, after.0);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if offset(middle) == before.1 {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            shifts.push(shift(high, after.1));
        }
        before = after;
    }
    Ok(Zone {
        name: name.to_owned(),
        shifts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_becomes_its_table_of_shifts() {
        let paris = zone("Europe/Paris").unwrap();
        // 29 March and 25 October 2026, 01:00 UTC.
        let summer = paris
            .shifts
            .iter()
            .find(|shift| shift.from == Timestamp(1_774_746_000_000_000));
        let winter = paris
            .shifts
            .iter()
            .find(|shift| shift.from == Timestamp(1_792_890_000_000_000));
        assert_eq!(summer.map(|shift| shift.offset), Some(7200));
        assert_eq!(winter.map(|shift| shift.offset), Some(3600));
        assert_eq!(paris.shifts.len(), 101, "two a year and the first");
        assert_eq!(zone("UTC").unwrap().shifts.len(), 1);
        assert_eq!(zone("Asia/Kolkata").unwrap().shifts[0].offset, 19_800);
        assert!(zone("Mars/Olympus").unwrap_err().contains("Europe/Paris"));
    }
}
