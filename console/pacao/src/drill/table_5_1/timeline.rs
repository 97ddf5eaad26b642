//! Table 5.1 of the thesis in time, and what it lets us predict.

use std::time::Duration;

use proto::Span;

/// Receiver window of the thesis's section 5.4, bytes.
pub(super) const WINDOW: u32 = 163_840;

/// The table's moments, divided by the compression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Timeline {
    /// The download begins at 0, the stress here (125 s in the table).
    pub stress: Duration,
    /// The stress ends (385 s).
    pub relief: Duration,
    /// The download ends (450 s).
    pub end: Duration,
    /// S' (10 s).
    pub decide: Span,
    /// S'' (5 s).
    pub settle: Span,
    /// S''' (0.5 s).
    pub probe: Span,
}

impl Timeline {
    /// All times divided by `factor`.
    pub(super) fn compressed(factor: f64) -> Self {
        let seconds = |s: f64| Duration::from_secs_f64(s / factor);
        Self {
            stress: seconds(125.0),
            relief: seconds(385.0),
            end: seconds(450.0),
            decide: seconds(10.0).into(),
            settle: seconds(5.0).into(),
            probe: seconds(0.5).into(),
        }
    }

    /// Volume of a download whose entry stays on the stressed link: the undisturbed rate before and after, and at most
    /// a window a round trip in between. `undisturbed` is in bytes over the whole time, `rtt` is the stressed one.
    pub(super) fn fixed_entry_volume(&self, undisturbed: f64, rtt: Duration) -> f64 {
        let rate = undisturbed / self.end.as_secs_f64();
        let limited = rate.min(f64::from(WINDOW) / rtt.as_secs_f64());
        let stressed = self.relief.saturating_sub(self.stress).as_secs_f64();
        rate * (self.end.as_secs_f64() - stressed) + limited * stressed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prediction_is_a_window_a_round_trip_during_the_stress() {
        let timeline = Timeline::compressed(1.0);
        let undisturbed = 450e6;
        assert!(
            (timeline.fixed_entry_volume(undisturbed, Duration::from_millis(137)) - undisturbed).abs() < 1.0
        );
        let halved = timeline.fixed_entry_volume(undisturbed, Duration::from_secs_f64(163_840.0 / 0.5e6));
        assert!((halved - (190e6 + 130e6)).abs() < 1.0, "{halved}");
    }

    #[test]
    fn compression_divides_every_length() {
        let timeline = Timeline::compressed(10.0);
        assert_eq!(timeline.stress, Duration::from_millis(12_500));
        assert_eq!(
            (timeline.decide, timeline.probe),
            (Span::secs(1), Span::millis(50))
        );
    }
}
