//! Where a VM should live: (5.1)-(5.3) once more, with data centres that can host it in place of locators, and for
//! all of its users at once (thesis section 5.2.3: "the extension with multiple users per VM is straightforward").
//!
//! A place is scored for each user with that user's own class: the link to the data centre, RTT and jitter checks
//! included, and the VM's demand as a share of what is left there. The users' scores are then joined as the VM's
//! [`Shared`] says. A place that exceeds an enforced bound of any of its users, or that any of them has no figures of,
//! is no candidate.

use super::{Class, Score};
use crate::config::Shared;

/// One user of the VM.
#[derive(Clone, Debug)]
pub struct Member<'a, const N: usize> {
    /// Its class.
    pub class: &'a Class<N>,
    /// What is measured of each data centre, were the VM there and entered there; `None` if nothing usable.
    pub measured: Vec<Option<[u32; N]>>,
}

/// The score of one place; `None` if it is no candidate.
pub fn score<const N: usize>(members: &[Member<'_, N>], at: usize, shared: Shared) -> Option<Score> {
    let scores: Option<Vec<Score>> = members
        .iter()
        .map(|member| {
            let measured = member.measured.get(at)?.as_ref()?;
            member
                .class
                .allows(measured)
                .then(|| member.class.score(measured))
        })
        .collect();
    joined(scores?, shared)
}

/// The best place and its score. Ties go to the least excess, then to `home` (staying costs nothing), then to the least
/// first criterion, joined as scores are and then summed over the users, then to the first in order. `None` if there is
/// no candidate, as for a VM without users.
pub fn choose<const N: usize>(
    members: &[Member<'_, N>],
    home: Option<usize>,
    shared: Shared,
) -> Option<(usize, Score)> {
    let places = members.iter().map(|member| member.measured.len()).max()?;
    (0..places)
        .filter_map(|at| {
            let score = score(members, at, shared)?;
            Some((score, home != Some(at), first_criterion(members, at, shared), at))
        })
        .min()
        .map(|(score, _, _, at)| (at, score))
}

/// The first criterion at a place: as [`Shared`] joins it, and the sum over all users.
fn first_criterion<const N: usize>(members: &[Member<'_, N>], at: usize, shared: Shared) -> (u64, u64) {
    let measured = members
        .iter()
        .filter_map(|member| member.measured.get(at)?.as_ref());
    let values: Vec<u64> = measured
        .filter_map(|m| m.first().copied().map(u64::from))
        .collect();
    let sum = values.iter().sum();
    let joined = match shared {
        Shared::Sum => Some(sum),
        Shared::Worst => values.into_iter().max(),
        Shared::Quantile(q) => quantile(values, q),
    };
    (joined.unwrap_or(0), sum)
}

fn joined(scores: Vec<Score>, shared: Shared) -> Option<Score> {
    match shared {
        Shared::Sum => scores.into_iter().reduce(|sum, score| Score {
            penalty: sum.penalty.saturating_add(score.penalty),
            excess: sum.excess.saturating_add(score.excess),
        }),
        Shared::Worst => scores.into_iter().max(),
        Shared::Quantile(q) => quantile(scores, q),
    }
}

/// The least that at least a share `q` of the values does not exceed.
fn quantile<T: Copy + Ord>(mut values: Vec<T>, q: f64) -> Option<T> {
    values.sort_unstable();
    let rank = (q.clamp(0.0, 1.0) * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}
