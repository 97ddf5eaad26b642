//! What became of a client's numbered probes: how many were lost, and for how long nothing was answered.

use proto::{Span, Timestamp};
use testbed::traffic::TrafficLine;

/// Losses and silences before this much ahead of the move are the start's, not the move's. What the move can touch was
/// sent at most a round trip before it.
const AHEAD: Span = Span::millis(500);

/// A client's probes during one move.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Probes {
    /// When each was sent, and its round trip if it came back.
    sent: Vec<(Timestamp, Option<Span>)>,
}

/// What the move cost a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    /// Probes that never came back.
    pub(crate) lost: u64,
    /// From the last answer before the longest silence to the first one after it. Undisturbed it is the time between
    /// two probes.
    pub(crate) downtime: Span,
}

impl Probes {
    /// From what the echo told; `None` if it did not say when it began.
    pub(crate) fn of(lines: &[TrafficLine]) -> Option<Self> {
        let began = lines.iter().find_map(|line| match line {
            TrafficLine::Began { at } => Some(*at),
            _ => None,
        })?;
        let span = |ms: f64| Span((ms.max(0.0) * 1e3).round() as u64);
        let sent = lines.iter().filter_map(|line| match line {
            TrafficLine::Back { at_ms, rtt_ms, .. } => Some((began + span(*at_ms), Some(span(*rtt_ms)))),
            TrafficLine::Missing { at_ms, .. } => Some((began + span(*at_ms), None)),
            _ => None,
        });
        Some(Self { sent: sent.collect() })
    }

    /// What a move at `moved` cost, of which the client was told at `told`; `None` if nothing was answered before it
    /// or after it, so that nothing can be said.
    pub(crate) fn cost(&self, moved: Timestamp, told: Timestamp) -> Option<Cost> {
        let from = moved - AHEAD;
        let concerned = || self.sent.iter().filter(|(sent, _)| *sent >= from);
        let lost = concerned().filter(|(_, rtt)| rtt.is_none()).count() as u64;
        let mut answers: Vec<(Timestamp, Timestamp)> = concerned()
            .filter_map(|(sent, rtt)| Some((*sent + (*rtt)?, *sent)))
            .collect();
        answers.sort_unstable();
        if answers.first()?.0 >= moved || answers.last()?.1 < told {
            return None;
        }
        // By the first answer to what was sent by the new mapping, the silence is over.
        let renewed = answers.iter().position(|(_, sent)| *sent >= told)?;
        let silences = answers.get(..=renewed)?.windows(2).filter_map(|pair| match pair {
            [(before, _), (after, _)] if *after > moved => Some(after.since(*before)),
            _ => None,
        });
        Some(Cost {
            lost,
            downtime: silences.max()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: Timestamp = Timestamp(50_000_000);

    /// Probes every 20 ms with a round trip of 30 ms; those from 1 s on, as many as `lost`, do not come back.
    fn lines(lost: u32) -> Vec<TrafficLine> {
        let probe = |seq: u32| {
            let (at_ms, seq) = (f64::from(seq) * 20.0, u64::from(seq));
            if (50..50 + u64::from(lost)).contains(&seq) {
                TrafficLine::Missing { seq, at_ms }
            } else {
                TrafficLine::Back {
                    seq,
                    at_ms,
                    rtt_ms: 30.0,
                }
            }
        };
        std::iter::once(TrafficLine::Began { at: BEGAN })
            .chain((0..150).map(probe))
            .collect()
    }

    #[test]
    fn downtime_is_from_the_last_answer_by_the_old_entry_to_the_first_by_the_new() {
        let probes = Probes::of(&lines(7)).unwrap();
        let moved = BEGAN + Span::millis(1010);
        let cost = probes.cost(moved, moved + Span::millis(125)).unwrap();
        assert_eq!((cost.lost, cost.downtime), (7, Span::millis(160)));
        let untouched = Probes::of(&lines(0)).unwrap();
        let cost = untouched.cost(moved, moved + Span::millis(60)).unwrap();
        assert_eq!((cost.lost, cost.downtime), (0, Span::millis(20)));
    }

    #[test]
    fn what_was_lost_long_before_the_move_does_not_count() {
        let probes = Probes::of(&lines(7)).unwrap();
        let moved = BEGAN + Span::millis(2010);
        let cost = probes.cost(moved, moved + Span::millis(60)).unwrap();
        assert_eq!((cost.lost, cost.downtime), (0, Span::millis(20)));
    }

    #[test]
    fn without_answers_before_and_after_nothing_is_said() {
        let probes = Probes::of(&lines(7)).unwrap();
        assert_eq!(probes.cost(BEGAN, BEGAN + Span::millis(20)), None);
        let late = BEGAN + Span::secs(2);
        assert_eq!(probes.cost(late, late + Span::secs(10)), None);
        assert_eq!(Probes::of(&[]), None);
    }
}
