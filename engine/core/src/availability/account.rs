//! The time of one subject: booked by hour for a week and by day for a year, empty ones left out.

use std::collections::VecDeque;

use proto::availability::{Horizon, Reach, Tally};
use proto::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::calendar::{self, DAY, HOUR};

/// Hours kept: a week, the one that runs, and the one in which the week began.
const HOURS: u64 = 7 * 24 + 1;
/// Days kept: a leap year, and the one that runs.
const DAYS: u64 = 366 + 1;

/// What one subject's time was spent on. What is neither down nor unknown was up, and takes no room.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Account {
    since: Timestamp,
    state: Reach,
    turned_at: Timestamp,
    /// The last that was known, so that an outage with a silence in it is one.
    last_known: Reach,
    /// All before this is in the slots.
    booked: Timestamp,
    hours: Slots,
    days: Slots,
}

impl Account {
    /// Nothing known from `at` on.
    pub(super) fn new(at: Timestamp) -> Self {
        Self {
            since: at,
            state: Reach::Unknown,
            turned_at: at,
            last_known: Reach::Unknown,
            booked: at,
            hours: Slots::default(),
            days: Slots::default(),
        }
    }

    pub(super) fn state(&self) -> Reach {
        self.state
    }

    /// When it came into the state it is in.
    pub(super) fn turned_at(&self) -> Timestamp {
        self.turned_at
    }

    /// From `at` on it stands otherwise; `false` if it does not. Moments do not go back.
    pub(super) fn turn(&mut self, state: Reach, at: Timestamp) -> bool {
        if state == self.state {
            return false;
        }
        self.book(at);
        if state == Reach::Down && self.last_known != Reach::Down {
            let outage = Amount {
                outages: 1,
                ..Amount::default()
            };
            self.hours.add((at, HOUR, HOURS), outage);
            self.days.add((at, DAY, DAYS), outage);
        }
        if state != Reach::Unknown {
            self.last_known = state;
        }
        (self.state, self.turned_at) = (state, at);
        true
    }

    /// The horizon around `at`, counted up to there. `at` is not before the last turn.
    pub(super) fn tally(&self, horizon: Horizon, at: Timestamp) -> Tally {
        self.over(horizon, calendar::begin(horizon, at), at)
    }

    /// The calendar's horizon that ends at `at`.
    pub(super) fn tally_ended(&self, horizon: Horizon, at: Timestamp) -> Tally {
        self.over(horizon, calendar::begin(horizon, at - Span(1)), at)
    }

    fn over(&self, horizon: Horizon, from: Timestamp, at: Timestamp) -> Tally {
        let mut all = match horizon {
            Horizon::RollingWeek => self.hours.sum(from.0 / HOUR),
            _ => self.days.sum(from.0 / DAY),
        };
        all.spend(self.state, at.since(self.booked.max(from)));
        Tally {
            horizon,
            from,
            length: calendar::length(horizon, from),
            counted: at.since(self.since.max(from)),
            down: Span(all.down),
            unknown: Span(all.unknown),
            outages: all.outages,
        }
    }

    fn book(&mut self, at: Timestamp) {
        let from = std::mem::replace(&mut self.booked, at);
        if self.state == Reach::Up {
            return;
        }
        self.hours.fill((from, at), self.state, (HOUR, HOURS));
        self.days.fill((from, at), self.state, (DAY, DAYS));
    }
}

/// Time not spent up, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Amount {
    down: u64,
    unknown: u64,
    outages: u32,
}

impl Amount {
    fn spend(&mut self, state: Reach, span: Span) {
        match state {
            Reach::Up => {}
            Reach::Down => self.down = self.down.saturating_add(span.0),
            Reach::Unknown => self.unknown = self.unknown.saturating_add(span.0),
        }
    }
}

/// Amounts by their place in time, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Slots(VecDeque<(u64, Amount)>);

impl Slots {
    /// Time spent in `state`, spread over slots of `length`; only the last `kept` of them are.
    fn fill(&mut self, (from, to): (Timestamp, Timestamp), state: Reach, (length, kept): (u64, u64)) {
        let first = (from.0 / length).max((to.0 / length).saturating_sub(kept));
        for place in first..=to.0 / length {
            let begins = Timestamp(place.saturating_mul(length));
            let ends = (begins + Span(length)).min(to);
            let span = ends.since(begins.max(from));
            if span > Span::ZERO {
                let mut amount = Amount::default();
                amount.spend(state, span);
                self.add((begins, length, kept), amount);
            }
        }
    }

    fn add(&mut self, (at, length, kept): (Timestamp, u64, u64), amount: Amount) {
        let place = at.0 / length;
        if let Some((_, all)) = self.0.back_mut().filter(|(last, _)| *last == place) {
            all.down = all.down.saturating_add(amount.down);
            all.unknown = all.unknown.saturating_add(amount.unknown);
            all.outages = all.outages.saturating_add(amount.outages);
        } else {
            // Most have a few of them, and there are as many as entries.
            if self.0.len() == self.0.capacity() {
                self.0.reserve_exact(self.0.len() / 2 + 1);
            }
            self.0.push_back((place, amount));
        }
        while self.0.front().is_some_and(|&(first, _)| first + kept < place) {
            self.0.pop_front();
        }
    }

    /// All from a place on.
    fn sum(&self, from: u64) -> Amount {
        let mut all = Amount::default();
        for (_, amount) in self.0.iter().rev().take_while(|&&(place, _)| place >= from) {
            all.down = all.down.saturating_add(amount.down);
            all.unknown = all.unknown.saturating_add(amount.unknown);
            all.outages = all.outages.saturating_add(amount.outages);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A subject that turns at whole minutes, counted minute by minute.
    struct Counter {
        since: u64,
        minutes: Vec<Reach>,
    }

    const MINUTE: u64 = 60_000_000;

    impl Counter {
        fn count(&self, from: Timestamp, at: u64, state: Reach) -> u64 {
            let from = (from.0 / MINUTE).max(self.since);
            (from..at)
                .filter(|minute| self.minutes[(minute - self.since) as usize] == state)
                .count() as u64
                * MINUTE
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// Over three years, so that every horizon moves on many times.
        #[test]
        fn every_horizon_holds_what_a_counter_of_minutes_counts(
            since in 29_500_000_u64..29_900_000,
            turns in prop::collection::vec((0_u8..3, prop_oneof![1_u64..90, 1_u64..4_000, 1_u64..40_000]), 1..80),
        ) {
            let mut account = Account::new(Timestamp(since * MINUTE));
            let mut counter = Counter { since, minutes: Vec::new() };
            let mut at = since;
            let mut state = Reach::Unknown;
            let last = turns.len() - 1;
            for (number, (to, after)) in turns.into_iter().enumerate() {
                counter.minutes.extend(std::iter::repeat_n(state, after as usize));
                at += after;
                // Counting is slow: now and then, and in the end.
                for horizon in Horizon::ALL.into_iter().filter(|_| number % 16 == 7 || number == last) {
                    let tally = account.tally(horizon, Timestamp(at * MINUTE));
                    let from = calendar::begin(horizon, Timestamp(at * MINUTE));
                    prop_assert_eq!(tally.down.0, counter.count(from, at, Reach::Down), "{:?}", horizon);
                    prop_assert_eq!(tally.unknown.0, counter.count(from, at, Reach::Unknown), "{:?}", horizon);
                    prop_assert_eq!(tally.up().0, counter.count(from, at, Reach::Up), "{:?}", horizon);
                }
                state = [Reach::Unknown, Reach::Up, Reach::Down][usize::from(to)];
                account.turn(state, Timestamp(at * MINUTE));
                prop_assert!(account.hours.0.len() as u64 <= HOURS + 1 && account.days.0.len() as u64 <= DAYS + 1);
            }
        }
    }

    #[test]
    fn a_flapping_subject_takes_no_more_room_than_a_year_has_days_and_a_week_hours() {
        let mut account = Account::new(Timestamp(0));
        for minute in 0..800 * 24 * 60_u64 {
            let state = if minute.is_multiple_of(2) {
                Reach::Down
            } else {
                Reach::Up
            };
            account.turn(state, Timestamp(minute * MINUTE));
        }
        let slots = account.hours.0.len() + account.days.0.len();
        assert!(slots <= 540, "{slots}");
        let bytes = size_of::<Account>() + slots * size_of::<(u64, Amount)>();
        assert!(bytes < 20_000, "{bytes}");
    }

    #[test]
    fn a_silence_within_an_outage_does_not_make_two_of_it() {
        let mut account = Account::new(Timestamp(0));
        for (minute, state) in [
            (1, Reach::Up),
            (2, Reach::Down),
            (3, Reach::Unknown),
            (4, Reach::Down),
            (5, Reach::Up),
            (6, Reach::Down),
        ] {
            account.turn(state, Timestamp(minute * MINUTE));
        }
        assert_eq!(
            account.tally(Horizon::RollingWeek, Timestamp(7 * MINUTE)).outages,
            2
        );
    }
}
