//! One direction between two ports: loss, a bottleneck if there is one, delay and jitter, and the stress on top.

use proto::Span;

use super::Nanos;
use crate::delay_line::PairCounters;
use crate::fabric::PairShape;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transit {
    /// It comes out then.
    Through(Nanos),
    /// The dice took it.
    Lost,
    /// The bottleneck's queue was full.
    Dropped,
}

/// One direction.
#[derive(Debug)]
pub struct Pipe {
    shape: PairShape,
    stress: Span,
    /// When the bottleneck has sent all it holds.
    busy_until: Nanos,
    /// When the last packet comes out.
    last: Nanos,
    counters: PairCounters,
}

impl Pipe {
    /// An empty one.
    pub fn new(shape: PairShape) -> Self {
        Self {
            shape,
            stress: Span::ZERO,
            busy_until: 0,
            last: 0,
            counters: PairCounters::default(),
        }
    }

    /// From now on.
    pub fn reshape(&mut self, shape: PairShape) {
        self.shape = shape;
    }

    /// From now on, this on top of the shape's delay.
    pub fn stress(&mut self, add: Span) {
        self.stress = add;
    }

    /// Counts from zero.
    pub fn reset(&mut self) {
        self.counters = PairCounters::default();
    }

    /// So far.
    pub fn counters(&self) -> PairCounters {
        self.counters
    }

    /// A packet of `length` bytes comes at `at`; `chance` and `spread` are throws in [0, 1).
    ///
    /// Packets keep their order, as they do in the queues that real jitter and real congestion come from. So when a
    /// stress ends, what is under way still takes its time, and what follows waits behind it.
    pub fn transit(&mut self, length: u64, at: Nanos, chance: f64, spread: f64) -> Transit {
        if chance * 100.0 < self.shape.loss_pct {
            self.counters.lost += 1;
            return Transit::Lost;
        }
        let mut sent = at;
        if let Some(limit) = self.shape.limit.filter(|limit| limit.rate > 0) {
            let waiting = self.busy_until.saturating_sub(at);
            let backlog = bytes_in(waiting, limit.rate);
            // An idle bottleneck takes any packet, however small its queue.
            if waiting > 0 && backlog + length > limit.queue {
                self.counters.dropped += 1;
                return Transit::Dropped;
            }
            self.busy_until = self.busy_until.max(at) + time_for(length, limit.rate);
            sent = self.busy_until;
        }
        // Uniform over plus or minus twice the mean deviation has that mean deviation.
        let deviation = (spread - 0.5) * 4.0 * self.shape.jitter.micros() as f64 * 1e3;
        let delay = (self.shape.delay.micros() + self.stress.micros()).saturating_mul(1_000);
        let out = sent
            .saturating_add(delay)
            .saturating_add_signed(deviation as i64)
            .max(sent)
            .max(self.last);
        self.last = out;
        self.counters.packets += 1;
        self.counters.bytes += length;
        Transit::Through(out)
    }
}

/// How long `length` bytes take at `rate` bits a second.
pub(super) fn time_for(length: u64, rate: u64) -> Nanos {
    u64::try_from(u128::from(length) * 8_000_000_000 / u128::from(rate.max(1))).unwrap_or(u64::MAX)
}

fn bytes_in(time: Nanos, rate: u64) -> u64 {
    u64::try_from(u128::from(time) * u128::from(rate) / 8_000_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fabric::Limit;

    const MS: Nanos = 1_000_000;

    fn shape(delay_ms: u64) -> PairShape {
        PairShape {
            delay: Span::millis(delay_ms),
            ..PairShape::default()
        }
    }

    #[test]
    fn a_stress_adds_to_the_delay_and_its_end_overtakes_nothing() {
        let mut pipe = Pipe::new(shape(18));
        assert_eq!(pipe.transit(1500, 0, 0.5, 0.5), Transit::Through(18 * MS));
        pipe.stress(Span::millis(200));
        pipe.stress(Span::millis(500));
        assert_eq!(pipe.transit(1500, 10 * MS, 0.5, 0.5), Transit::Through(528 * MS));
        pipe.stress(Span::ZERO);
        assert_eq!(pipe.transit(1500, 20 * MS, 0.5, 0.5), Transit::Through(528 * MS));
        assert_eq!(pipe.transit(1500, 520 * MS, 0.5, 0.5), Transit::Through(538 * MS));
    }

    #[test]
    fn a_bottleneck_sends_at_its_rate_and_drops_what_its_queue_cannot_hold() {
        let limit = Limit {
            rate: 12_000_000,
            queue: 3_000,
        };
        let mut pipe = Pipe::new(PairShape {
            limit: Some(limit),
            ..shape(0)
        });
        // 1,500 bytes at 12 Mbit/s take one millisecond.
        let fates: Vec<_> = (0..4).map(|_| pipe.transit(1500, 0, 0.5, 0.5)).collect();
        assert_eq!(fates[..2], [Transit::Through(MS), Transit::Through(2 * MS)]);
        assert_eq!(fates[2..], [Transit::Dropped, Transit::Dropped]);
        assert_eq!(pipe.transit(1500, MS, 0.5, 0.5), Transit::Through(3 * MS));
        assert_eq!(pipe.counters().dropped, 2);
    }

    #[test]
    fn loss_takes_its_share_and_jitter_has_its_mean_deviation() {
        let mut pipe = Pipe::new(PairShape {
            jitter: Span::millis(2),
            loss_pct: 10.0,
            ..shape(50)
        });
        let mut random = fastrand::Rng::with_seed(7);
        let (mut deviation, mut through) = (0.0, 0_u32);
        for i in 0..20_000_u64 {
            // Far enough apart that no packet waits for its forerunner.
            let at = i * 100 * MS;
            if let Transit::Through(out) = pipe.transit(100, at, random.f64(), random.f64()) {
                through += 1;
                deviation += (out as f64 - (at + 50 * MS) as f64).abs();
            }
        }
        assert!((17_700..18_300).contains(&through), "{through}");
        let mean_ms = deviation / f64::from(through) / 1e6;
        assert!((1.95..2.05).contains(&mean_ms), "{mean_ms}");
    }
}
