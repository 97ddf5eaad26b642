//! What downtime costs: the contract of a class, period by period.

use std::collections::VecDeque;

use proto::availability::{Period, Tally};
use serde::{Deserialize, Serialize};

use crate::config::Contract;

/// Ended periods that are kept of each entry.
const KEPT: usize = 12;

/// What was owed for periods that have ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Dues {
    /// The last ones, oldest first.
    pub(super) periods: VecDeque<Period>,
    /// Of all there ever were.
    pub(super) total: u64,
}

impl Dues {
    pub(super) fn close(&mut self, period: Period) {
        if self.periods.len() == KEPT {
            self.periods.pop_front();
        }
        self.total = self.total.saturating_add(period.amount);
        self.periods.push_back(period);
    }
}

/// What the downtime of a period costs: the dearest step that it falls below. Time nobody knows of costs nothing; it
/// is told beside it.
pub(super) fn penalty(contract: &Contract, tally: &Tally) -> u64 {
    let kept = tally.at_best();
    contract
        .penalties
        .iter()
        .filter(|step| kept < step.below)
        .map(|step| step.amount)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proto::availability::{Availability, Horizon};
    use proto::{Span, Timestamp};

    use super::*;
    use crate::config::Penalty;

    #[test]
    fn the_dearest_step_that_is_passed_is_owed() {
        let percent = |percent| Availability::from_percent(percent).unwrap();
        let contract = Contract {
            target: percent(99.9),
            per: Horizon::Week,
            unit: "points".to_owned(),
            penalties: vec![
                Penalty {
                    below: percent(99.9),
                    amount: 10,
                },
                Penalty {
                    below: percent(99.0),
                    amount: 25,
                },
            ],
        };
        let week = Span::secs(604_800);
        let owed = |down| {
            penalty(
                &contract,
                &Tally {
                    horizon: Horizon::Week,
                    from: Timestamp(0),
                    length: week,
                    counted: Span::secs(1000),
                    down,
                    unknown: Span::secs(600_000),
                    outages: 1,
                },
            )
        };
        // A thousandth of a week is 604.8 s; at it the target is still kept.
        assert_eq!(owed(Span(604_800_000)), 0);
        assert_eq!(owed(Span(604_800_001)), 10);
        assert_eq!(owed(Span::secs(6048)), 10);
        assert_eq!(owed(Span::secs(6049)), 25);
    }
}
