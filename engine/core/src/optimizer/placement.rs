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

/// The best place and its score. Ties go to the least excess, then to `home`, then to the first in order. `None` if
/// there is no candidate, as for a VM without users.
pub fn choose<const N: usize>(
    members: &[Member<'_, N>],
    home: Option<usize>,
    shared: Shared,
) -> Option<(usize, Score)> {
    let places = members.iter().map(|member| member.measured.len()).max()?;
    (0..places)
        .filter_map(|at| Some((score(members, at, shared)?, home != Some(at), at)))
        .min()
        .map(|(score, _, at)| (at, score))
}

fn joined(mut scores: Vec<Score>, shared: Shared) -> Option<Score> {
    match shared {
        Shared::Sum => scores.into_iter().reduce(|sum, score| Score {
            penalty: sum.penalty.saturating_add(score.penalty),
            excess: sum.excess.saturating_add(score.excess),
        }),
        Shared::Worst => scores.into_iter().max(),
        Shared::Quantile(q) => {
            scores.sort_unstable();
            let rank = (q.clamp(0.0, 1.0) * scores.len() as f64).ceil() as usize;
            scores.get(rank.max(1) - 1).copied()
        }
    }
}
