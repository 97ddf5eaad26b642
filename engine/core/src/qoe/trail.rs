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

/// At most an hour: the minute that runs, and those before it in seven bytes each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "VecDeque<Slot>", into = "VecDeque<Slot>")]
pub(super) struct Trail {
    last: Option<Slot>,
    /// One a minute, the last of them just before `last`; those without a figure are empty, but not the first.
    past: Vec<Brief>,
}

/// A minute that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Brief {
    /// So many figures; in the highest bit whether it was down.
    count: u8,
    /// Codes of their means.
    means: [[u8; 2]; 3],
}

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
        let slots = || self.slots().filter(|slot| minutes.contains(&slot.minute));
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

    /// Minutes with figures, the oldest first.
    fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let first = self.last.map_or(0, |last| last.minute - self.past.len() as u64);
        let past = self.past.iter().zip(first..);
        past.filter(|(brief, _)| !brief.is_empty())
            .map(|(brief, minute)| brief.slot(minute))
            .chain(self.last)
    }

    fn slot(&mut self, now: Timestamp) -> &mut Slot {
        let minute = now.0 / MINUTE;
        if let Some(last) = self.last.filter(|last| last.minute != minute) {
            self.bury(last, minute);
            self.last = None;
        }
        self.last.get_or_insert(Slot {
            minute,
            ..Slot::default()
        })
    }

    /// A minute is over, and another one runs now.
    fn bury(&mut self, last: Slot, minute: u64) {
        let away = minute.checked_sub(last.minute).filter(|&away| away <= KEPT);
        let Some(away) = away else {
            self.past.clear();
            return;
        };
        let more = away as usize;
        // All at once: an hour that grew minute by minute would leave a hole of each size.
        let whole = KEPT as usize + 1;
        self.past
            .reserve_exact(whole.max(self.past.len() + more) - self.past.len());
        self.past.push(Brief::of(&last));
        self.past.resize(self.past.len() + more - 1, Brief::default());
        let over = self.past.len().saturating_sub(KEPT as usize);
        let empty = self
            .past
            .iter()
            .skip(over)
            .take_while(|brief| brief.is_empty())
            .count();
        self.past.drain(..over + empty);
    }
}

impl Brief {
    const DOWN: u8 = 1 << 7;

    fn of(slot: &Slot) -> Self {
        let count = slot.measured.min(u16::from(Self::DOWN) - 1) as u8;
        let down = if slot.down > 0 { Self::DOWN } else { 0 };
        Self {
            count: count | down,
            means: slot
                .sums
                .map(|sum| code(sum.checked_div(slot.measured.into()).unwrap_or(0)).to_ne_bytes()),
        }
    }

    fn is_empty(self) -> bool {
        self.count == 0
    }

    fn slot(self, minute: u64) -> Slot {
        let measured = u16::from(self.count & !Self::DOWN);
        Slot {
            minute,
            measured,
            down: (self.count / Self::DOWN).into(),
            sums: self
                .means
                .map(|mean| value(u16::from_ne_bytes(mean)).saturating_mul(measured.into())),
        }
    }
}

impl From<VecDeque<Slot>> for Trail {
    fn from(slots: VecDeque<Slot>) -> Self {
        let mut trail = Self::default();
        for slot in slots {
            if let Some(last) = trail.last {
                trail.bury(last, slot.minute);
            }
            trail.last = Some(slot);
        }
        trail
    }
}

impl From<Trail> for VecDeque<Slot> {
    fn from(trail: Trail) -> Self {
        trail.slots().collect()
    }
}

/// A figure with eleven bits behind its leading one, in two bytes: off by at most a four-thousandth. [`MOST`] fits.
fn code(figure: u32) -> u16 {
    let shift = (u32::BITS - figure.leading_zeros()).saturating_sub(12);
    let rounded = (figure.min(MOST) + ((1 << shift) >> 1)) >> shift;
    (shift * 2048 + rounded) as u16
}

fn value(code: u16) -> u32 {
    let shift = u32::from(code / 2048).saturating_sub(1);
    (u32::from(code) - shift * 2048) << shift
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
        let near = |from: u64, to: u64, want: u32| {
            let rtt = seen(from, to).unwrap().figures[0];
            assert!(rtt.abs_diff(want) * 4096 <= want, "{rtt} for {want}");
        };
        near(300, 599, 90_000);
        near(0, 599, 65_000);
        assert_eq!(seen(700, 900), None);
    }

    #[test]
    fn a_day_takes_no_more_room_than_an_hour() {
        let mut trail = Trail::default();
        for second in 0..86_400 {
            trail.measured([u32::MAX; 3], Timestamp(second * 1_000_000));
            trail.down(Timestamp(second * 1_000_000));
        }
        assert!(
            trail.past.capacity() as u64 <= KEPT + 1,
            "{}",
            trail.past.capacity()
        );
        assert!(size_of::<Brief>() <= 7 && size_of::<Trail>() <= 56);
        let seen = trail.seen(Timestamp(0), Timestamp(u64::MAX)).unwrap();
        assert!(
            seen.figures
                .iter()
                .all(|figure| figure.abs_diff(MOST) * 4096 <= MOST)
        );
        assert!(seen.down);
    }

    #[test]
    fn minutes_without_a_figure_are_left_out_wherever_they_are_and_whatever_was_written_is_read() {
        let mut trail = Trail::default();
        let mut noted: Vec<u64> = Vec::new();
        for minute in [1_u64, 2, 5, 6, 7, 40, 41, 62, 63, 90, 200, 201, 204, 203, 205] {
            trail.measured([minute as u32 * 1000, 7, 0], Timestamp(minute * MINUTE));
            if minute == 203 {
                noted.clear(); // Clocks do not go back; if one did, nothing is mixed up.
            }
            noted.push(minute);
            noted.retain(|then| then + KEPT >= minute);
            let kept: Vec<u64> = trail.slots().map(|slot| slot.minute).collect();
            assert_eq!(kept, noted);
            let json = serde_json::to_string(&trail).unwrap();
            assert_eq!(serde_json::from_str::<Trail>(&json).unwrap(), trail);
        }
        let old = r#"[{"minute":4,"measured":2,"down":0,"sums":[80000,10,0]},{"minute":6,"measured":1,"down":1,"sums":[9,9,9]}]"#;
        let trail: Trail = serde_json::from_str(old).unwrap();
        let seen = trail.seen(Timestamp(4 * MINUTE), Timestamp(5 * MINUTE)).unwrap();
        assert_eq!((seen.figures, seen.down), ([40_000, 5, 0], false));
    }

    #[test]
    fn a_mean_is_off_by_a_four_thousandth_at_most() {
        let mut figure = 0;
        while figure <= MOST {
            let read = value(code(figure));
            assert!(read.abs_diff(figure) * 4096 <= figure, "{figure} as {read}");
            assert_eq!(code(read), code(figure));
            figure += figure / 333 + 1;
        }
    }
}
