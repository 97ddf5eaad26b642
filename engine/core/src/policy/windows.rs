//! Freeze and maintenance windows, by the wall clock of their zone.

use proto::Timestamp;

use crate::config::{When, Window, WindowKind, Zone};

const DAY: i64 = 86_400;
/// Days looked at around the present one: a window of a week's pattern begins within them again.
const BEFORE: i64 = 2;
const AHEAD: i64 = 9;

/// Whether a window is on at `now`, and when that changes (`None`: never, as far as the zone's table reaches).
pub(crate) fn state(window: &Window, now: Timestamp) -> (bool, Option<Timestamp>) {
    let now = seconds(now);
    let mut spans = spans(window, now);
    spans.sort_unstable();
    let Some(mut end) = spans
        .iter()
        .filter(|(start, end)| (*start..*end).contains(&now))
        .map(|&(_, end)| end)
        .max()
    else {
        let next = spans.iter().map(|&(start, _)| start).find(|&start| start > now);
        return (false, next.map(moment));
    };
    // Windows that join end together.
    for &(start, other) in &spans {
        if start <= end {
            end = end.max(other);
        }
    }
    let horizon = now + AHEAD * DAY;
    let always = matches!(window.when, When::Weekly { .. }) && end >= horizon - 2 * DAY;
    (true, (!always).then(|| moment(end)))
}

/// Begin and end of the window around `now`, in seconds of UTC; empty ones left out.
fn spans(window: &Window, now: i64) -> Vec<(i64, i64)> {
    let local: Vec<(i64, i64)> = match &window.when {
        When::Once { from, to } => vec![(*from, *to)],
        When::Weekly { days, from, to } => {
            let today = (now + i64::from(offset(&window.zone, now))).div_euclid(DAY);
            let (from, to) = (i64::from(*from), i64::from(*to));
            let length = if to > from { to } else { to + DAY };
            (today - BEFORE..=today + AHEAD)
                // 1970-01-01 was a Thursday.
                .filter(|day| days.contains(&((day + 3).rem_euclid(7) as u8)))
                .map(|day| (day * DAY + from, day * DAY + length))
                .collect()
        }
    };
    let utc = local.into_iter().map(|(from, to)| {
        let (from, to) = (readings(&window.zone, from), readings(&window.zone, to));
        match window.kind {
            WindowKind::Deny => (from.0, to.1),
            WindowKind::Allow => (from.1, to.0),
        }
    });
    utc.filter(|(from, to)| from < to).collect()
}

/// Seconds of the wall clock ahead of UTC.
fn offset(zone: &Zone, utc: i64) -> i32 {
    let after = zone.shifts.partition_point(|shift| seconds(shift.from) <= utc);
    let shift = zone.shifts.get(after.saturating_sub(1));
    shift.map_or(0, |shift| shift.offset)
}

/// The first and the last moment at which the wall clock shows `local`. A time that is skipped is read as the
/// moment of the skip.
fn readings(zone: &Zone, local: i64) -> (i64, i64) {
    let mut found: Option<(i64, i64)> = None;
    let mut begins = i64::MIN;
    for (at, shift) in zone.shifts.iter().enumerate() {
        let ends = zone
            .shifts
            .get(at + 1)
            .map_or(i64::MAX, |next| seconds(next.from));
        let utc = local - i64::from(shift.offset);
        if (begins..ends).contains(&utc) {
            found = Some((found.map_or(utc, |(first, _)| first), utc));
        } else if utc < begins && found.is_none() {
            // Every later piece begins later still: the clock jumped over this time at `begins`.
            return (begins, begins);
        }
        begins = ends;
    }
    found.unwrap_or((local, local))
}

fn seconds(at: Timestamp) -> i64 {
    i64::try_from(at.micros() / 1_000_000).unwrap_or(i64::MAX)
}

fn moment(seconds: i64) -> Timestamp {
    Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OnFailure, Shift};

    /// Central European time around 2026: summer from 29 March 01:00 UTC to 25 October 01:00 UTC.
    fn paris() -> Zone {
        let shift = |from: i64, offset| Shift {
            from: moment(from),
            offset,
        };
        Zone {
            name: "Europe/Paris".to_owned(),
            shifts: vec![
                shift(0, 3600),
                shift(1_774_746_000, 7200),
                shift(1_792_890_000, 3600),
            ],
        }
    }

    fn window(kind: WindowKind, when: When) -> Window {
        Window {
            name: "w".to_owned(),
            kind,
            who: None,
            zone: paris(),
            when,
            on_failure: OnFailure::Move,
        }
    }

    fn weekly(days: &[u8], from: u32, to: u32) -> When {
        When::Weekly {
            days: days.iter().copied().collect(),
            from,
            to,
        }
    }

    /// Seconds at which the window is on, within `[from, to)`, as runs.
    fn runs(window: &Window, from: i64, to: i64) -> Vec<(i64, i64)> {
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for at in (from..to).step_by(60) {
            if !state(window, moment(at)).0 {
                continue;
            }
            match runs.last_mut() {
                Some(last) if last.1 == at => last.1 = at + 60,
                _ => runs.push((at, at + 60)),
            }
        }
        runs
    }

    const HOUR: u32 = 3600;
    /// Sunday 29 March 2026, 00:00 UTC.
    const SPRING: i64 = 1_774_742_400;
    /// Sunday 25 October 2026, 00:00 UTC.
    const AUTUMN: i64 = 1_792_886_400;

    #[test]
    fn a_window_at_nine_opens_at_nine_by_the_wall_clock_winter_and_summer() {
        let nine = window(
            WindowKind::Deny,
            weekly(&[0, 1, 2, 3, 4, 5, 6], 9 * HOUR, 10 * HOUR),
        );
        let day = |utc: i64| runs(&nine, utc, utc + DAY);
        assert_eq!(
            day(SPRING - DAY),
            [(SPRING - DAY + 8 * 3600, SPRING - DAY + 9 * 3600)]
        );
        assert_eq!(day(SPRING), [(SPRING + 7 * 3600, SPRING + 8 * 3600)]);
        assert_eq!(day(AUTUMN), [(AUTUMN + 8 * 3600, AUTUMN + 9 * 3600)]);
    }

    #[test]
    fn a_freeze_over_the_hour_that_comes_twice_lasts_over_both() {
        // 02:15 to 02:45 on the wall: at 00:15 and again at 01:15 UTC.
        let half = weekly(&[6], 2 * HOUR + 900, 2 * HOUR + 2700);
        let deny = window(WindowKind::Deny, half.clone());
        assert_eq!(
            runs(&deny, AUTUMN, AUTUMN + DAY),
            [(AUTUMN + 900, AUTUMN + 3600 + 2700)]
        );
        // An allowance there would have to be the part that is inside by every reading: there is none.
        let allow = window(WindowKind::Allow, half);
        assert_eq!(runs(&allow, AUTUMN, AUTUMN + DAY), []);
        let long = window(WindowKind::Allow, weekly(&[6], HOUR, 4 * HOUR));
        assert_eq!(
            runs(&long, AUTUMN - 7200, AUTUMN + DAY),
            [(AUTUMN - 3600, AUTUMN + 3 * 3600)]
        );
    }

    #[test]
    fn a_time_that_is_skipped_is_read_as_the_moment_of_the_skip() {
        // 02:15 to 04:00: the clock goes from 02:00 to 03:00 at 01:00 UTC.
        let deny = window(WindowKind::Deny, weekly(&[6], 2 * HOUR + 900, 4 * HOUR));
        assert_eq!(
            runs(&deny, SPRING, SPRING + DAY),
            [(SPRING + 3600, SPRING + 7200)]
        );
        let inside = window(WindowKind::Deny, weekly(&[6], 2 * HOUR + 900, 2 * HOUR + 2700));
        assert_eq!(runs(&inside, SPRING, SPRING + DAY), []);
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        // Friday 22:00 to 06:00; the 27th of March 2026 is a Friday.
        let night = window(WindowKind::Deny, weekly(&[4], 22 * HOUR, 6 * HOUR));
        let from = SPRING - 2 * DAY;
        assert_eq!(
            runs(&night, from - DAY, SPRING),
            [(from + 21 * 3600, from + DAY + 5 * 3600)]
        );
    }

    #[test]
    fn windows_that_join_end_together_and_one_that_never_ends_says_so() {
        let nights = window(WindowKind::Deny, weekly(&[0, 1], 0, 0));
        // Monday the 30th and Tuesday: two whole days.
        let monday = SPRING + DAY - 7200;
        assert_eq!(
            state(&nights, moment(monday)),
            (true, Some(moment(monday + 2 * DAY)))
        );
        assert_eq!(state(&nights, moment(monday - 1)), (false, Some(moment(monday))));
        let always = window(WindowKind::Deny, weekly(&[0, 1, 2, 3, 4, 5, 6], 0, 0));
        assert_eq!(state(&always, moment(SPRING)), (true, None));
    }

    #[test]
    fn what_is_foretold_is_what_happens() {
        let windows = [
            window(WindowKind::Deny, weekly(&[0, 2, 6], 2 * HOUR + 1800, 3 * HOUR)),
            window(WindowKind::Allow, weekly(&[5, 6], 23 * HOUR, 4 * HOUR)),
            window(
                WindowKind::Deny,
                When::Once {
                    from: SPRING + 7200,
                    to: SPRING + 3 * 3600,
                },
            ),
        ];
        for window in &windows {
            for start in [SPRING - 3 * DAY, AUTUMN - 3 * DAY] {
                let mut at = start;
                while at < start + 6 * DAY {
                    let (on, changes) = state(window, moment(at));
                    let Some(next) = changes.map(seconds) else {
                        assert!(runs(window, at, at + 6 * DAY).is_empty() || on);
                        break;
                    };
                    assert!(next > at);
                    assert_eq!(state(window, moment(next - 1)).0, on, "{next}");
                    assert_eq!(state(window, moment(next)).0, !on, "{next}");
                    at = next;
                }
            }
        }
    }

    #[test]
    fn a_window_without_a_zone_goes_by_utc() {
        let mut utc = window(
            WindowKind::Deny,
            weekly(&[0, 1, 2, 3, 4, 5, 6], 9 * HOUR, 10 * HOUR),
        );
        utc.zone = Zone::default();
        assert_eq!(
            runs(&utc, SPRING, SPRING + DAY),
            [(SPRING + 9 * 3600, SPRING + 10 * 3600)]
        );
    }
}
