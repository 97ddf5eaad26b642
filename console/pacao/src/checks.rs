//! What a drill or bench claims: measured values held against bounds, as one JSON object.

use std::fmt::Write;

use serde::Serialize;

/// How a value relates to its bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// `value <= bound`.
    AtMost(f64),
    /// `value >= bound`.
    AtLeast(f64),
    /// `|value - of| <= within * of`.
    Within {
        /// The value expected.
        of: f64,
        /// The share it may differ by, 0 to 1.
        share: f64,
    },
    /// Reported, not judged.
    None,
}

/// One measured value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Check {
    name: String,
    value: f64,
    unit: &'static str,
    bound: Option<String>,
    holds: bool,
}

/// The checks of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Checks {
    checks: Vec<Check>,
}

impl Checks {
    /// Adds a value measured in this run. A value that is not a number never holds.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str, bound: Bound) {
        let holds = value.is_finite()
            && match bound {
                Bound::AtMost(most) => value <= most,
                Bound::AtLeast(least) => value >= least,
                Bound::Within { of, share } => (value - of).abs() <= share * of.abs(),
                Bound::None => true,
            };
        self.checks.push(Check {
            name: name.into(),
            value,
            unit,
            bound: bound.words(),
            holds,
        });
    }

    /// Whether every one holds, and there is at least one.
    pub(crate) fn hold(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.holds)
    }

    /// A table for people.
    pub(crate) fn table(&self) -> String {
        let width = self
            .checks
            .iter()
            .map(|check| check.name.len())
            .max()
            .unwrap_or(0);
        let mut lines = String::new();
        for check in &self.checks {
            let mark = if check.holds { 'o' } else { 'x' };
            let bound = check.bound.as_deref().unwrap_or("-");
            // What never happened has no figure.
            let value = if check.value.is_finite() {
                format!("{:.3}", check.value)
            } else {
                "never".to_owned()
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                lines,
                "{mark} {:<width$}  {value:>14} {:<8} {bound}",
                check.name, check.unit
            );
        }
        lines
    }
}

impl Bound {
    fn words(self) -> Option<String> {
        match self {
            Self::AtMost(most) => Some(format!("<= {most}")),
            Self::AtLeast(least) => Some(format!(">= {least}")),
            Self::Within { of, share } => Some(format!("{of:.3} +- {} %", share * 100.0)),
            Self::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_holds_only_if_every_value_does() {
        let mut checks = Checks::default();
        assert!(!checks.hold(), "nothing measured is nothing shown");
        checks.add("a", 1.0, "ms", Bound::AtMost(1.0));
        checks.add(
            "b",
            95.0,
            "%",
            Bound::Within {
                of: 100.0,
                share: 0.05,
            },
        );
        checks.add("c", 3.0, "", Bound::None);
        assert!(checks.hold());
        checks.add("d", f64::NAN, "ms", Bound::AtMost(1.0));
        assert!(!checks.hold());
        let json = serde_json::to_value(&checks).unwrap();
        assert_eq!(json["checks"][0]["bound"], "<= 1");
        assert_eq!(json["checks"][3]["holds"], false);
    }
}
