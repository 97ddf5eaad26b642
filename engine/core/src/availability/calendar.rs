//! Where horizons begin and end, in the calendar of UTC.

use proto::availability::Horizon;
use proto::{Span, Timestamp};

pub(super) const HOUR: u64 = 3_600_000_000;
pub(super) const DAY: u64 = 24 * HOUR;
/// Days of the rolling year, as Table 2.1 counts them.
const YEAR: u64 = 365;

/// When the horizon around `at` began.
pub(super) fn begin(horizon: Horizon, at: Timestamp) -> Timestamp {
    let day = at.0 / DAY;
    let (year, month) = month_of(day);
    match horizon {
        Horizon::RollingWeek => Timestamp((at - Span(7 * DAY)).0 / HOUR * HOUR),
        Horizon::RollingYear => Timestamp((at - Span(YEAR * DAY)).0 / DAY * DAY),
        // 1970-01-01 was a Thursday.
        Horizon::Week => midnight(day.saturating_sub((day + 3) % 7)),
        Horizon::Month => midnight(first_day(year, month)),
        Horizon::Year => midnight(first_day(year, 1)),
    }
}

/// When the calendar's horizon around `at` ends and the next begins; a rolling one ends now.
pub(super) fn end(horizon: Horizon, at: Timestamp) -> Timestamp {
    let day = at.0 / DAY;
    let (year, month) = month_of(day);
    match horizon {
        Horizon::RollingWeek | Horizon::RollingYear => at,
        Horizon::Week => midnight(day + 7 - (day + 3) % 7),
        Horizon::Month if month == 12 => midnight(first_day(year + 1, 1)),
        Horizon::Month => midnight(first_day(year, month + 1)),
        Horizon::Year => midnight(first_day(year + 1, 1)),
    }
}

/// All of the horizon around `at`: a week, 365 days, or the calendar's.
pub(super) fn length(horizon: Horizon, at: Timestamp) -> Span {
    match horizon {
        Horizon::RollingWeek => Span(7 * DAY),
        Horizon::RollingYear => Span(YEAR * DAY),
        Horizon::Week | Horizon::Month | Horizon::Year => end(horizon, at).since(begin(horizon, at)),
    }
}

fn midnight(day: u64) -> Timestamp {
    Timestamp(day.saturating_mul(DAY))
}

/// Days of a year that begins in March, so that the leap day comes last, before its month.
const MARCH: [u64; 13] = [0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337, 366];
/// From 1600-03-01, where 400 years begin, to 1970-01-01.
const EPOCH: u64 = 135_080;
const DAYS_OF_400: u64 = 146_097;
const DAYS_OF_100: u64 = 36_524;
const DAYS_OF_4: u64 = 1461;

/// Year and month, from 1, of a day since 1970-01-01, in the Gregorian calendar.
fn month_of(day: u64) -> (u64, usize) {
    let day = day + EPOCH;
    let (times_400, day) = (day / DAYS_OF_400, day % DAYS_OF_400);
    let times_100 = (day / DAYS_OF_100).min(3);
    let day = day - times_100 * DAYS_OF_100;
    let (times_4, day) = (day / DAYS_OF_4, day % DAYS_OF_4);
    let times_1 = (day / 365).min(3);
    let day = day - times_1 * 365;
    let year = 1600 + 400 * times_400 + 100 * times_100 + 4 * times_4 + times_1;
    let after_march = MARCH.iter().rposition(|&begins| begins <= day).unwrap_or(0);
    match after_march {
        0..=9 => (year, after_march + 3),
        _ => (year + 1, after_march - 9),
    }
}

/// The first day of a month, in days since 1970-01-01.
fn first_day(year: u64, month: usize) -> u64 {
    let (year, after_march) = if month >= 3 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let years = year - 1600;
    let days = 365 * years + years / 4 - years / 100 + years / 400 + MARCH[after_march];
    days.saturating_sub(EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Days since the epoch, counted one by one.
    fn days_of(year: u64) -> [u64; 12] {
        let by = |years: u64| year.is_multiple_of(years);
        let leap = by(4) && (!by(100) || by(400));
        [
            31,
            if leap { 29 } else { 28 },
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ]
    }

    #[test]
    fn months_and_years_are_those_of_the_calendar_counted_day_by_day() {
        let mut day = 0;
        for year in 1970..2500 {
            let new_year = day;
            for (month, days) in days_of(year).into_iter().enumerate() {
                assert_eq!(first_day(year, month + 1), day);
                for of_month in 0..days {
                    assert_eq!(month_of(day + of_month), (year, month + 1), "day {day}");
                }
                let noon = Timestamp((day + days - 1) * DAY + DAY / 2);
                assert_eq!(begin(Horizon::Month, noon).0, day * DAY);
                assert_eq!(end(Horizon::Month, noon).0, (day + days) * DAY);
                assert_eq!(begin(Horizon::Year, noon).0, new_year * DAY);
                day += days;
            }
            let last = Timestamp(day * DAY - 1);
            assert_eq!(end(Horizon::Year, last).0, day * DAY);
            assert_eq!(length(Horizon::Year, last).0, (day - new_year) * DAY);
        }
    }

    #[test]
    fn weeks_begin_on_mondays() {
        // 2026-03-02 was a Monday: day 20,514.
        for day in 20_514..20_521 {
            let at = Timestamp(day * DAY + 7 * HOUR);
            assert_eq!(begin(Horizon::Week, at).0, 20_514 * DAY);
            assert_eq!(end(Horizon::Week, at).0, 20_521 * DAY);
        }
    }

    #[test]
    fn no_moment_is_too_early_or_too_late() {
        for at in [0, 1, DAY, 4 * DAY, u64::MAX - 1, u64::MAX] {
            for horizon in Horizon::ALL {
                let at = Timestamp(at);
                assert!(
                    begin(horizon, at) <= at && end(horizon, at) >= at,
                    "{horizon:?} {at:?}"
                );
            }
        }
    }
}
