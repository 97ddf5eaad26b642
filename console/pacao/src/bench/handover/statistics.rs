//! Order statistics: quartiles, the median with its confidence interval, the empirical distribution.

use serde::Serialize;

/// What a boxplot shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Boxplot {
    /// How many values.
    pub(super) count: usize,
    pub(super) min: f64,
    pub(super) q1: f64,
    pub(super) median: f64,
    /// The median lies between these with at least 95 % confidence; absent below six values, which cannot tell.
    pub(super) median_ci95: Option<(f64, f64)>,
    pub(super) q3: f64,
    pub(super) max: f64,
}

impl Boxplot {
    /// Of these values; `None` if there are none, or one is not a number.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values)?;
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Self {
            count: sorted.len(),
            min,
            q1: quantile(&sorted, 0.25),
            median: quantile(&sorted, 0.5),
            median_ci95: median_interval(&sorted),
            q3: quantile(&sorted, 0.75),
            max,
        })
    }
}

/// The empirical distribution: each value with the share of values that are not above it, 0 to 1.
pub(super) fn cdf(values: &[f64]) -> Vec<(f64, f64)> {
    let sorted = sorted(values).unwrap_or_default();
    let count = sorted.len() as f64;
    let mut steps: Vec<(f64, f64)> = Vec::with_capacity(sorted.len());
    for (rank, value) in (1_u32..).zip(sorted) {
        let share = f64::from(rank) / count;
        match steps.last_mut() {
            Some(last) if last.0.total_cmp(&value).is_eq() => last.1 = share,
            _ => steps.push((value, share)),
        }
    }
    steps
}

fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.iter().all(|value| value.is_finite()).then_some(sorted)
}

/// By linear interpolation between the closest ranks (type 7 of Hyndman and Fan).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len().saturating_sub(1)) as f64;
    let below = place.floor() as usize;
    let low = sorted.get(below).copied().unwrap_or(f64::NAN);
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    low + (high - low) * place.fract()
}

/// The ranks between which the median lies are binomially distributed with p = 1/2, whatever the values' distribution:
/// the widest tails of at most 2.5 % each are left out.
fn median_interval(sorted: &[f64]) -> Option<(f64, f64)> {
    let count = sorted.len();
    let mut probability = 0.5_f64.powi(i32::try_from(count).ok()?);
    let (mut tail, mut left_out) = (0.0, 0_usize);
    while left_out < count {
        tail += probability;
        if tail > 0.025 {
            break;
        }
        left_out += 1;
        probability *= (count + 1 - left_out) as f64 / left_out as f64;
    }
    let low = sorted.get(left_out.checked_sub(1)?)?;
    let high = sorted.get(count - left_out)?;
    Some((*low, *high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn quartiles_lie_between_the_closest_ranks() {
        let plot = Boxplot::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert!(close(plot.min, 1.0) && close(plot.max, 4.0));
        assert!(close(plot.q1, 1.75) && close(plot.median, 2.5) && close(plot.q3, 3.25));
        assert_eq!(
            Boxplot::of(&[7.0]).map(|plot| (plot.q1, plot.median, plot.q3)),
            Some((7.0, 7.0, 7.0))
        );
    }

    #[test]
    fn the_interval_of_the_median_has_the_ranks_of_the_tables() {
        // Published tables give ranks 10 and 21 for thirty values, 1 and 6 for six, none below.
        let ranks = |count: u32| {
            let values: Vec<f64> = (1..=count).map(f64::from).collect();
            Boxplot::of(&values).unwrap().median_ci95
        };
        assert_eq!(ranks(30), Some((10.0, 21.0)));
        assert_eq!(ranks(10), Some((2.0, 9.0)));
        assert_eq!(ranks(6), Some((1.0, 6.0)));
        assert_eq!(ranks(5), None);
    }

    #[test]
    fn the_distribution_rises_to_one_and_joins_equal_values() {
        assert_eq!(cdf(&[2.0, 1.0, 2.0, 4.0]), [(1.0, 0.25), (2.0, 0.75), (4.0, 1.0)]);
        assert_eq!(cdf(&[]), []);
    }

    #[test]
    fn what_is_no_number_has_no_boxplot() {
        assert_eq!(Boxplot::of(&[]), None);
        assert_eq!(Boxplot::of(&[1.0, f64::NAN]), None);
    }
}
