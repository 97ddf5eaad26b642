//! Trajectories: who was in which area when, and which of them may be kept.

use std::collections::HashMap;

use proto::Span;

/// Seconds between two positions of one user (section 5.4.1).
pub const STEP: Span = Span::secs(360);
/// A trace covers one day.
pub const DAY: Span = Span::secs(24 * 3600);

/// Time spent in one area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// Which, by its place among the areas.
    pub area: u32,
    /// Since midnight.
    pub from: Span,
    /// Since midnight; later than `from`.
    pub to: Span,
}

impl Stay {
    /// How long.
    pub fn length(self) -> Span {
        Span(self.to.0.saturating_sub(self.from.0))
    }
}

/// One user's day: stays that follow each other without gap, no two neighbours in the same area.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The user, as the source of the trace calls him.
    pub user: String,
    stays: Vec<Stay>,
}

impl Trace {
    /// Nowhere yet.
    pub fn new(user: String) -> Self {
        Self {
            user,
            stays: Vec::new(),
        }
    }

    /// The user is in `area` up to `to`; since the end of what is told so far, or `from` if nothing is.
    pub fn stay(&mut self, area: u32, from: Span, to: Span) {
        let from = self.stays.last().map_or(from, |last| last.to);
        match self.stays.last_mut() {
            _ if to <= from => {}
            Some(last) if last.area == area => last.to = to,
            _ => self.stays.push(Stay { area, from, to }),
        }
    }

    /// In order of time.
    pub fn stays(&self) -> &[Stay] {
        &self.stays
    }

    /// How many areas are seen, each counted once.
    pub fn areas(&self) -> usize {
        let mut seen: Vec<u32> = self.path().collect();
        seen.sort_unstable();
        seen.dedup();
        seen.len()
    }

    /// The areas one after the other, without the times: what two users must share to be told apart no more.
    pub fn path(&self) -> impl Iterator<Item = u32> + '_ {
        self.stays.iter().map(|stay| stay.area)
    }
}

/// Which trajectories may be kept (section 5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// A trajectory that fewer users share is dropped; 1 keeps all.
    pub shared_by: usize,
    /// Those that see fewer areas are dropped.
    pub areas: usize,
}

impl Keep {
    /// The thesis: shared by at least two users, and across more than three areas.
    pub const THESIS: Self = Self {
        shared_by: 2,
        areas: 4,
    };
}

/// What became of a set of trajectories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// They see too few areas.
    pub still: usize,
    /// Too few users share them.
    pub rare: usize,
}

/// Keeps what `keep` allows, at most `most` of them, in the order of the first to take each trajectory.
///
/// The result is k-anonymous by itself: when it is cut to `most`, no trajectory is left to fewer than k users.
pub fn kept(traces: Vec<Trace>, keep: Keep, most: usize) -> (Vec<Trace>, Dropped) {
    let mut dropped = Dropped::default();
    let mut moving = traces;
    let all = moving.len();
    moving.retain(|trace| trace.areas() >= keep.areas);
    dropped.still = all - moving.len();

    let k = keep.shared_by.max(1);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
    for (at, trace) in moving.iter().enumerate() {
        let group = *known.entry(trace.path().collect()).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(at);
    }
    let shared = groups.iter().filter(|group| group.len() >= k);
    dropped.rare = moving.len() - shared.clone().map(Vec::len).sum::<usize>();
    let mut chosen: Vec<usize> = Vec::new();
    for group in shared {
        let left = most - chosen.len();
        chosen.extend(&group[..share_of(left, group.len(), k)]);
    }
    chosen.sort_unstable();
    let mut chosen = chosen.into_iter().peekable();
    let mut at = 0;
    moving.retain(|_| {
        at += 1;
        chosen.next_if_eq(&(at - 1)).is_some()
    });
    (moving, dropped)
}

/// How many of a group of `size` are taken while `left` are wanted: all, or so many that neither they nor those
/// still wanted after them are fewer than `k`.
fn share_of(left: usize, size: usize, k: usize) -> usize {
    let take = size.min(left);
    let after = left - take;
    let take = if (1..k).contains(&after) {
        take.saturating_sub(k - after)
    } else {
        take
    };
    if take >= k { take } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn trace(path: &[u32]) -> Trace {
        let mut trace = Trace::new("u".to_owned());
        for (step, &area) in (0_u64..).zip(path) {
            let at = |step| Span(STEP.0 * step);
            trace.stay(area, at(step), at(step + 1));
        }
        trace
    }

    #[test]
    fn staying_on_lengthens_the_stay() {
        let day = trace(&[3, 3, 1, 3]);
        assert_eq!(day.path().collect::<Vec<_>>(), [3, 1, 3]);
        assert_eq!(day.stays()[0].length(), Span::secs(720));
        assert_eq!(day.areas(), 2);
    }

    #[test]
    fn who_moves_little_or_alone_is_dropped() {
        let traces = vec![
            trace(&[1, 2, 3, 4]),
            trace(&[1, 2, 3]),
            trace(&[1, 2, 2, 3, 4]),
            trace(&[4, 3, 2, 1]),
        ];
        let (kept, dropped) = kept(traces, Keep::THESIS, 10);
        assert_eq!(kept.len(), 2);
        assert_eq!(dropped, Dropped { still: 1, rare: 1 });
    }

    proptest! {
        #[test]
        fn no_trajectory_is_left_to_fewer_than_k_users_however_few_are_taken(
            paths in proptest::collection::vec(proptest::collection::vec(0_u32..3, 1..4), 0..60),
            k in 1_usize..5,
            most in 0_usize..60,
        ) {
            let traces: Vec<Trace> = paths.iter().map(|path| trace(path)).collect();
            let keep = Keep { shared_by: k, areas: 1 };
            let all = traces.len();
            let (kept, dropped) = kept(traces, keep, most);
            let mut count: HashMap<Vec<u32>, usize> = HashMap::new();
            for trace in &kept {
                *count.entry(trace.path().collect()).or_default() += 1;
            }
            prop_assert!(count.values().all(|&users| users >= k), "{:?}", count);
            prop_assert!(kept.len() <= most);
            let possible = all - dropped.rare;
            // Less than k are missed for the sake of k.
            prop_assert!(kept.len() + 2 * k > most.min(possible), "{} of {possible}, {most} wanted", kept.len());
        }
    }
}
