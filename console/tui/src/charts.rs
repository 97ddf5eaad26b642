//! Small drawings made of characters: the recent past of a link, bars, big digits.

use proto::snapshot::HistoryPoint;
use proto::{Span, Timestamp};

/// Heights of a column, least first.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A lost probe. Never drawn as 0 ms, which would look like the best of all figures.
pub(crate) const LOSS: char = '×';

/// How much of the past a sparkline shows.
pub(crate) const PAST: Span = Span::secs(120);

/// The last two minutes of a link up to `now`, in `width` characters, oldest first. Each stands for the worst of its share of
/// the time: its highest RTT, or [`LOSS`] if probes were lost in it, or a space if nothing was heard. Only where the RTT is high
/// already do a few losses give way to it. The scale runs from the least RTT of the two minutes; a rise by half of that, or a
/// millisecond, fills it, so that the noise of a quiet link stays flat.
pub(crate) fn sparkline<'a>(
    points: impl Iterator<Item = &'a HistoryPoint> + Clone,
    now: Timestamp,
    width: usize,
) -> String {
    let Some(share) = PAST.micros().checked_div(width as u64).filter(|share| *share > 0) else {
        return String::new();
    };
    let rtts = points.clone().filter_map(|point| point.rtt_ms);
    let least = rtts.clone().fold(f64::INFINITY, f64::min);
    let most = rtts.fold(f64::NEG_INFINITY, f64::max);
    let range = (most - least).max(least / 2.0).max(1.0);

    // Shares begin at multiples of their length, so that columns keep their figures while time goes on.
    let last = now.micros() / share;
    let mut shares = vec![Share::default(); width];
    for point in points {
        let back = last
            .checked_sub(point.at.micros() / share)
            .and_then(|back| usize::try_from(back).ok());
        let Some(share) = back
            .and_then(|back| (width - 1).checked_sub(back))
            .and_then(|at| shares.get_mut(at))
        else {
            continue;
        };
        match point.rtt_ms {
            None => share.lost += 1,
            Some(rtt) => {
                share.answered += 1;
                share.highest = share.highest.max(rtt);
            }
        }
    }
    shares
        .into_iter()
        .map(|share| share.mark(|rtt| (rtt - least) / range))
        .collect()
}

/// What was heard in one column's share of the time.
#[derive(Clone, Copy, Default)]
struct Share {
    lost: usize,
    answered: usize,
    highest: f64,
}

impl Share {
    fn mark(self, height: impl Fn(f64) -> f64) -> char {
        let height = height(self.highest);
        match (self.lost, self.answered) {
            (0, 0) => ' ',
            (0, _) => level(height),
            (lost, answered) if answered > lost && height > 0.5 => level(height),
            _ => LOSS,
        }
    }
}

/// A column of this share of the full height.
pub(crate) fn level(share: f64) -> char {
    let index = (share.clamp(0.0, 1.0) * (LEVELS.len() - 1) as f64).round() as usize;
    LEVELS.get(index).copied().unwrap_or(LEVELS[0])
}

/// A bar of `width` cells, filled by this share of it.
pub(crate) fn bar(share: f64, width: usize) -> String {
    let share = if share.is_finite() {
        share.clamp(0.0, 1.0)
    } else {
        0.0
    };
    let mut full = (share * width as f64).round() as usize;
    if share > 0.0 {
        // Few is not none.
        full = full.max(1).min(width);
    }
    "█".repeat(full) + &"░".repeat(width - full)
}

/// Rows of a big digit.
pub(crate) const DIGIT_HEIGHT: usize = 5;

/// A number in digits of three by five cells, for a wall: one string a row.
pub(crate) fn big(number: usize) -> [String; DIGIT_HEIGHT] {
    let mut rows = [const { String::new() }; DIGIT_HEIGHT];
    for digit in number.to_string().bytes() {
        let shape = DIGITS.get(usize::from(digit - b'0')).copied().unwrap_or_default();
        for (row, bits) in rows.iter_mut().zip(shape) {
            if !row.is_empty() {
                row.push(' ');
            }
            row.extend([4, 2, 1].map(|bit| if bits & bit == 0 { ' ' } else { '█' }));
        }
    }
    rows
}

/// Three bits a row, five rows a digit.
const DIGITS: [[u8; DIGIT_HEIGHT]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 1, 1],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);

    fn points(rtts: &[Option<f64>]) -> Vec<HistoryPoint> {
        let oldest = NOW - Span::secs(12 * (rtts.len() as u64 - 1));
        let at = |index: usize| oldest + Span::secs(12 * index as u64);
        rtts.iter()
            .enumerate()
            .map(|(index, rtt)| HistoryPoint {
                at: at(index),
                rtt_ms: *rtt,
            })
            .collect()
    }

    #[test]
    fn a_lost_probe_is_a_mark_of_its_own_and_not_the_lowest_column() {
        let points = points(&[Some(35.0), None, Some(35.1), Some(70.0)]);
        assert_eq!(sparkline(points.iter(), NOW, 10), "      ▁×▁█");
    }

    #[test]
    fn one_loss_among_answers_still_shows() {
        let mut points = points(&[Some(35.0), Some(35.0)]);
        points.insert(
            1,
            HistoryPoint {
                at: NOW,
                rtt_ms: None,
            },
        );
        assert_eq!(sparkline(points.iter(), NOW, 10), "        ▁×");
    }

    #[test]
    fn few_losses_do_not_hide_a_rise() {
        let mut points = points(&[Some(35.0), Some(400.0)]);
        points.extend([
            HistoryPoint {
                at: NOW,
                rtt_ms: None,
            },
            HistoryPoint {
                at: NOW,
                rtt_ms: Some(400.0),
            },
        ]);
        assert_eq!(sparkline(points.iter(), NOW, 10), "        ▁█");
    }

    #[test]
    fn a_quiet_link_is_flat_and_a_slow_one_is_not() {
        let quiet = points(&[Some(35.0), Some(35.4), Some(34.9), Some(35.2)]);
        assert_eq!(sparkline(quiet.iter(), NOW, 10), "      ▁▁▁▁");
        let slow = points(&[Some(35.0), Some(135.0), Some(435.0), Some(435.0)]);
        assert_eq!(sparkline(slow.iter(), NOW, 10), "      ▁▃██");
    }

    #[test]
    fn no_width_and_no_points_are_no_trouble() {
        assert_eq!(sparkline([].iter(), NOW, 0), "");
        assert_eq!(sparkline([].iter(), NOW, 3), "   ");
        let ahead = [HistoryPoint {
            at: NOW + Span::secs(500),
            rtt_ms: Some(1.0),
        }];
        assert_eq!(sparkline(ahead.iter(), NOW, 3), "   ");
    }

    #[test]
    fn a_bar_shows_few_as_more_than_none() {
        assert_eq!(bar(0.001, 4), "█░░░");
        assert_eq!(bar(0.0, 4), "░░░░");
        assert_eq!(bar(f64::NAN, 4), "░░░░");
        assert_eq!(bar(2.0, 4), "████");
        assert_eq!(bar(0.5, 0), "");
    }

    #[test]
    fn big_digits_are_legible() {
        assert_eq!(big(41).join("\n"), "█ █  █ \n█ █ ██ \n███  █ \n  █  █ \n  █ ███");
    }
}
