//! What the entry of one user and VM measured, minute by minute, for as long as scores may come late.

use std::collections::VecDeque;

use proto::{Span, Timestamp};
use serde::{Deserialize, Serialize};

const MINUTE: u64 = 60_000_000;
/// How far back a session may have ended.
pub(crate) const REACH: Span = Span::secs(3600);
const KEPT: u64 = REACH.0 / MINUTE + 1;
/// A figure counts as no more than this: a minute, or all.
const MOST: u32 = 60_000_000;

/// RTT and jitter in microseconds, loss in parts per million, as they are held against the class's bounds.
pub(super) type Figures = [u32; 3];

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    minute: u64,
    measured: u16,
    down: u16,
    sums: Figures,
}

/// At most an hour; minutes without a figure are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Trail(VecDeque<Slot>);

/// What a session saw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Means over what was measured.
    pub(crate) figures: Figures,
    /// Whether the entry was down in it.
    pub(crate) down: bool,
}

impl Trail {
    /// Notes figures.
    pub(super) fn measured(&mut self, figures: Figures, now: Timestamp) {
        let slot = self.slot(now);
        if slot.measured < 60 {
            slot.measured += 1;
            for (sum, figure) in slot.sums.iter_mut().zip(figures) {
                *sum = sum.saturating_add(figure.min(MOST));
            }
        }
    }

    /// Notes that nothing came through.
    pub(super) fn down(&mut self, now: Timestamp) {
        let slot = self.slot(now);
        slot.down = slot.down.saturating_add(1);
    }

    /// What was seen between two moments, to the minute; `None` if nothing was.
    pub(super) fn seen(&self, from: Timestamp, to: Timestamp) -> Option<Seen> {
        let minutes = from.0 / MINUTE..=to.0 / MINUTE;
        let slots = || self.0.iter().filter(|slot| minutes.contains(&slot.minute));
        let measured: u64 = slots().map(|slot| u64::from(slot.measured)).sum();
        let down = slots().any(|slot| slot.down > 0);
        if measured == 0 && !down {
            return None;
        }
        let mean = |k: usize| {
            let sum: u64 = slots().map(|slot| u64::from(slot.sums[k])).sum();
            u32::try_from(sum.checked_div(measured).unwrap_or(0)).unwrap_or(u32::MAX)
        };
        Some(Seen {
            figures: [mean(0), mean(1), mean(2)],
            down,
        })
    }

    fn slot(&mut self, now: Timestamp) -> &mut Slot {
        let minute = now.0 / MINUTE;
        if self.0.back().is_none_or(|last| last.minute != minute) {
            self.0.push_back(Slot {
                minute,
                ..Slot::default()
            });
        }
        while self.0.len() > 1 && self.0.front().is_some_and(|first| first.minute + KEPT < minute) {
            self.0.pop_front();
        }
        // One was just put there if there was none.
        let last = self.0.len() - 1;
        &mut self.0[last]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_sees_the_means_of_its_own_minutes() {
        let mut trail = Trail::default();
        for second in (0..600).step_by(10) {
            let rtt = if second < 300 { 40_000 } else { 90_000 };
            trail.measured([rtt, 1_000, 0], Timestamp(second * 1_000_000));
        }
        let seen = |from: u64, to: u64| trail.seen(Timestamp(from * 1_000_000), Timestamp(to * 1_000_000));
        assert_eq!(seen(0, 299).unwrap().figures, [40_000, 1_000, 0]);
        assert_eq!(seen(300, 599).unwrap().figures[0], 90_000);
        assert_eq!(seen(0, 599).unwrap().figures[0], 65_000);
        assert_eq!(seen(700, 900), None);
    }

    #[test]
    fn a_day_takes_no_more_room_than_an_hour() {
        let mut trail = Trail::default();
        for second in 0..86_400 {
            trail.measured([u32::MAX; 3], Timestamp(second * 1_000_000));
            trail.down(Timestamp(second * 1_000_000));
        }
        assert!(trail.0.len() as u64 <= KEPT + 1, "{}", trail.0.len());
        assert!(size_of::<Slot>() <= 32);
        let seen = trail.seen(Timestamp(0), Timestamp(u64::MAX)).unwrap();
        assert_eq!((seen.figures, seen.down), ([MOST; 3], true));
    }
}
