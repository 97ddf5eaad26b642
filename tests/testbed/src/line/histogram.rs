//! Quantiles of the line's own error: exact to a microsecond up to ten milliseconds.

use super::Nanos;
use crate::delay_line::ErrorFigures;

const STEPS: usize = 10_000;

/// Counts by microsecond.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    beyond: u64,
    largest: Nanos,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; STEPS],
            beyond: 0,
            largest: 0,
        }
    }
}

impl Histogram {
    /// One packet was this late.
    pub fn record(&mut self, late: Nanos) {
        match usize::try_from(late / 1_000)
            .ok()
            .and_then(|step| self.counts.get_mut(step))
        {
            Some(count) => *count += 1,
            None => self.beyond += 1,
        }
        self.largest = self.largest.max(late);
    }

    /// The figures so far.
    pub fn figures(&self) -> ErrorFigures {
        ErrorFigures {
            count: self.count(),
            p50_us: self.quantile(0.5),
            p99_us: self.quantile(0.99),
            p999_us: self.quantile(0.999),
            max_us: self.largest as f64 / 1e3,
        }
    }

    fn count(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.beyond
    }

    /// In microseconds, rounded up to the next; the largest there was, beyond the scale.
    fn quantile(&self, share: f64) -> f64 {
        let wanted = (self.count() as f64 * share).ceil();
        let mut seen = 0;
        for (step, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen as f64 >= wanted {
                return (step + 1) as f64;
            }
        }
        self.largest as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_was_recorded() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.figures(), ErrorFigures::default());
        for late in 0..1000 {
            histogram.record(late * 1_000);
        }
        histogram.record(50_000_000);
        let figures = histogram.figures();
        assert_eq!(
            (figures.count, figures.p50_us, figures.p99_us),
            (1001, 501.0, 991.0)
        );
        assert!((figures.max_us - 50_000.0).abs() < 1e-9);
    }
}
