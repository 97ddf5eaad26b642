//! A figure of the thesis beside ours, and what it takes to agree.

use serde::Serialize;

/// A figure of the thesis beside ours. A difference is shown, not hidden; docs/simulation.md says why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What.
    pub name: String,
    /// Ours.
    pub value: f64,
    /// Of both.
    pub unit: &'static str,
    /// The thesis's, in words.
    pub thesis: String,
    /// What ours must be to agree, in words.
    pub agrees_if: String,
    /// Whether they agree.
    pub agrees: bool,
}

/// What a value must be to agree with the thesis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Agrees {
    /// Within a fifth of a figure.
    Near(f64),
    /// At most so far from a figure.
    Within(f64, f64),
    /// From one figure to another.
    Between(f64, f64),
    /// At most so much.
    AtMost(f64),
    /// At least so much.
    AtLeast(f64),
    /// More than another value of ours.
    Above(f64),
    /// Less than another value of ours.
    Below(f64),
    /// The same.
    Exactly(f64),
}

impl Finding {
    /// What is no number agrees with nothing.
    pub(super) fn new(
        name: impl Into<String>,
        (value, unit): (f64, &'static str),
        thesis: impl Into<String>,
        agrees: Agrees,
    ) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            thesis: thesis.into(),
            agrees_if: agrees.words(),
            agrees: agrees.with(value),
        }
    }

    /// The same, if something else holds as well.
    #[must_use]
    pub(super) fn and(mut self, holds: bool, words: &str) -> Self {
        self.agrees &= holds;
        self.agrees_if = format!("{}, {words}", self.agrees_if);
        self
    }
}

impl Agrees {
    fn with(self, value: f64) -> bool {
        value.is_finite()
            && match self {
                Self::Near(figure) => (value - figure).abs() <= figure.abs() / 5.0,
                Self::Within(figure, by) => (value - figure).abs() <= by,
                Self::Between(least, most) => (least..=most).contains(&value),
                Self::AtMost(most) => value <= most,
                Self::AtLeast(least) => value >= least,
                Self::Above(other) => value > other,
                Self::Below(other) => value < other,
                Self::Exactly(figure) => (value - figure).abs() < 1e-9,
            }
    }

    fn words(self) -> String {
        match self {
            Self::Near(figure) => format!("within a fifth, {:.0} to {:.0}", figure * 0.8, figure * 1.2),
            Self::Within(figure, by) => format!("{:.0} to {:.0}", figure - by, figure + by),
            Self::Between(least, most) => format!("{least:.0} to {most:.0}"),
            Self::AtMost(most) => format!("at most {most:.0}"),
            Self::AtLeast(least) => format!("at least {least:.0}"),
            Self::Above(other) => format!("above {other:.2}"),
            Self::Below(other) => format!("below {other:.2}"),
            Self::Exactly(figure) => format!("{figure:.0}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_agrees_within_a_fifth_and_says_so() {
        let of = |value: f64| Finding::new("gain", (value, "%"), "30", Agrees::Near(30.0));
        assert_eq!(
            [20.99, 23.9, 24.0, 30.0, 36.0, 36.1].map(|value| of(value).agrees),
            [false, false, true, true, true, false]
        );
        assert_eq!(of(21.0).agrees_if, "within a fifth, 24 to 36");
    }

    #[test]
    fn what_is_no_number_agrees_with_nothing() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for agrees in [
                Agrees::Near(1.0),
                Agrees::Within(1.0, f64::INFINITY),
                Agrees::Between(f64::NEG_INFINITY, f64::INFINITY),
                Agrees::AtMost(f64::INFINITY),
                Agrees::AtLeast(f64::NEG_INFINITY),
                Agrees::Above(0.0),
                Agrees::Below(1.0),
                Agrees::Exactly(value),
            ] {
                assert!(
                    !Finding::new("x", (value, ""), "", agrees).agrees,
                    "{value} {agrees:?}"
                );
            }
        }
    }
}
