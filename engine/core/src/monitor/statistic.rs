//! One number for many samples.

use crate::config::Statistic;

/// The statistic of some samples; `None` of none.
pub(super) fn of(samples: impl Iterator<Item = u32>, statistic: Statistic) -> Option<u32> {
    match statistic {
        Statistic::Mean => mean(samples),
        Statistic::Worst => samples.max(),
        Statistic::Quantile(q) => quantile(&sorted(samples), q),
        Statistic::Trimmed(share) => trimmed(&sorted(samples), share),
    }
}

fn sorted(samples: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut samples: Vec<u32> = samples.collect();
    samples.sort_unstable();
    samples
}

fn mean(samples: impl Iterator<Item = u32>) -> Option<u32> {
    let (total, n) = samples.fold((0_u64, 0_u64), |(total, n), sample| {
        (total + u64::from(sample), n + 1)
    });
    total.checked_div(n).map(|mean| mean as u32)
}

/// Nearest rank.
pub(super) fn quantile(sorted: &[u32], q: f64) -> Option<u32> {
    let rank = (q.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// Without `share` of the samples at each end, rounded up: of three samples even a small share leaves the middle
/// one. At least one sample stays.
fn trimmed(sorted: &[u32], share: f64) -> Option<u32> {
    let cut = (share.clamp(0.0, 0.5) * sorted.len() as f64).ceil() as usize;
    let cut = cut.min(sorted.len().saturating_sub(1) / 2);
    mean(sorted.get(cut..sorted.len() - cut)?.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_statistic_of_a_few_samples_is_what_its_name_says() {
        let samples = [30, 10, 1000, 20, 40];
        let cases = [
            (Statistic::Mean, 220),
            (Statistic::Worst, 1000),
            (Statistic::Quantile(0.5), 30),
            (Statistic::Quantile(0.95), 1000),
            (Statistic::Quantile(0.2), 10),
            (Statistic::Trimmed(0.0), 220),
            (Statistic::Trimmed(0.1), 30),
            (Statistic::Trimmed(0.4), 30),
        ];
        for (statistic, want) in cases {
            assert_eq!(of(samples.into_iter(), statistic), Some(want), "{statistic:?}");
            assert_eq!(of([].into_iter(), statistic), None, "{statistic:?}");
            assert_eq!(of([7].into_iter(), statistic), Some(7), "{statistic:?}");
        }
        assert_eq!(of([5, 9].into_iter(), Statistic::Trimmed(0.4)), Some(7));
    }
}
