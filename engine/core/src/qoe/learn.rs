//! From scores to where users turn from content to discontent.
//!
//! For one criterion, sessions in which another bound was broken are left out, and so are scores of 3. The turn is the level
//! that parts good scores from bad ones with the least weight on the wrong side. How far it can be trusted is
//! found by drawing users, not scores, with replacement (B. Efron, "Bootstrap methods: another look at the
//! jackknife", 1979): one user's scores are no independent evidence. Each user's scores weigh as much as [`CAP`]
//! together at most, so nobody moves the turn far alone.

use std::collections::BTreeMap;

use proto::qoe::{Finding, Lack, ShareRow, Turn};

/// Scores of one user that count in full; more of them share this.
const CAP: u32 = 3;
/// The weight of one score.
const ONE: u32 = 1_000_000;
/// Evidence it takes: scores (capped), users, and scores of either kind.
pub(super) const SCORES: u32 = 20;
pub(super) const USERS: u32 = 5;
pub(super) const EITHER: u32 = 5;
/// Draws of users.
const DRAWS: usize = 200;
/// A turn that leaves more than this share of the rarer kind on the wrong side is none, percent.
const WRONG_PCT: u64 = 60;
/// 95 %, two-sided.
const Z: f64 = 1.96;

/// A good or a bad score, and the level at which it was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) user: u32,
    pub(super) content: bool,
    pub(super) level: u32,
}

/// What these say of a bound.
pub(super) fn finding(mut words: Vec<Word>, bound: u32) -> Finding {
    words.sort_unstable_by_key(|word| (word.level, word.user, word.content));
    let weights = weights(words.iter().map(|word| word.user));
    let users = Users::of(&words);
    let sum = |content: bool| -> u64 {
        let of = words
            .iter()
            .zip(&weights)
            .filter(|(word, _)| word.content == content);
        of.map(|(_, &weight)| u64::from(weight)).sum()
    };
    let (content, discontent) = (sum(true), sum(false));
    let scores = |weight: u64| u32::try_from(weight / u64::from(ONE)).unwrap_or(u32::MAX);
    let evidence = [
        (scores(content + discontent), SCORES, Lack::Scores),
        (users.count as u32, USERS, Lack::Users),
        (scores(content), EITHER, Lack::Content),
        (scores(discontent), EITHER, Lack::Discontent),
    ];
    if let Some(&(have, need, lack)) = evidence.iter().find(|(have, need, _)| have < need) {
        return Finding::NotEnough { have, need, lack };
    }
    let all: Vec<u64> = weights.iter().map(|&weight| u64::from(weight)).collect();
    let Some(parted) = part(&words, &all) else {
        return Finding::NoRelation;
    };
    if parted.wrong * 100 > content.min(discontent) * WRONG_PCT {
        return Finding::NoRelation;
    }
    let mut drawn: Vec<Parted> = Vec::with_capacity(DRAWS);
    let mut chance = Chance(words.len() as u64);
    for _ in 0..DRAWS {
        let times = users.draw(&mut chance);
        let drawn_weights: Vec<u64> = weights
            .iter()
            .zip(&users.of_word)
            .map(|(&weight, &user)| u64::from(weight) * times[user])
            .collect();
        drawn.extend(part(&words, &drawn_weights));
    }
    let at = parted.low + (parted.high - parted.low) / 2;
    let turn = Turn {
        at,
        least: quantile(drawn.iter().map(|parted| parted.low), 0.025).map_or(at, |least| least.min(at)),
        most: quantile(drawn.iter().map(|parted| parted.high), 0.975).map_or(at, |most| most.max(at)),
    };
    if bound < turn.least {
        Finding::TooStrict { turn }
    } else if bound > turn.most {
        Finding::TooLoose { turn }
    } else {
        Finding::Agrees { turn }
    }
}

/// The share of those that are so, each user's weighing no more than the cap.
pub(super) fn share(scores: &[(u32, bool)]) -> ShareRow {
    let weights = weights(scores.iter().map(|&(user, _)| user));
    let of: u32 = weights.iter().fold(0, |sum, &weight| sum.saturating_add(weight));
    let so = scores.iter().zip(&weights).filter(|((_, so), _)| *so);
    let so = so.fold(0_u32, |sum, (_, &weight)| sum.saturating_add(weight));
    let (least, most) = wilson(f64::from(so) / f64::from(ONE), f64::from(of) / f64::from(ONE));
    let thousandths = |weight: u32| weight / (ONE / 1000);
    ShareRow {
        so: thousandths(so),
        of: thousandths(of),
        least,
        most,
    }
}

/// The interval of E. B. Wilson (1927) for a share, parts per million; all of it if nothing is known.
fn wilson(so: f64, of: f64) -> (u32, u32) {
    if of <= 0.0 {
        return (0, 1_000_000);
    }
    let share = so / of;
    let spread = Z * (share * (1.0 - share) / of + Z * Z / (4.0 * of * of)).sqrt();
    let (middle, scale) = (share + Z * Z / (2.0 * of), 1.0 + Z * Z / of);
    let millionths = |share: f64| (share * 1e6).round().clamp(0.0, 1e6) as u32;
    (
        millionths((middle - spread) / scale),
        millionths((middle + spread) / scale),
    )
}

/// The weight of each score, given whose they are.
fn weights(users: impl Iterator<Item = u32> + Clone) -> Vec<u32> {
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    for user in users.clone() {
        *counts.entry(user).or_default() += 1;
    }
    users
        .map(|user| (CAP * ONE).div_ceil(counts[&user]).min(ONE))
        .collect()
}

fn quantile(levels: impl Iterator<Item = u32>, share: f64) -> Option<u32> {
    let mut levels: Vec<u32> = levels.collect();
    levels.sort_unstable();
    levels.get((levels.len() as f64 * share) as usize).copied()
}

/// Where content and discontent part.
#[derive(Clone, Copy, Debug)]
struct Parted {
    /// The turn lies at or above this level
    low: u32,
    /// and below this one: between them nobody said anything, or as much on either side.
    high: u32,
    /// The weight on the wrong side.
    wrong: u64,
}

/// The levels that part content from discontent best. `None` if best is not to part them. Words come by level.
fn part(words: &[Word], weights: &[u64]) -> Option<Parted> {
    let weight_of = |content: bool| -> u64 {
        let of = words
            .iter()
            .zip(weights)
            .filter(|(word, _)| word.content == content);
        of.map(|(_, &weight)| weight).sum()
    };
    // Everybody above the turn: those who are content are on the wrong side.
    let mut wrong = weight_of(true);
    let none = wrong.min(weight_of(false));
    let mut best: Option<Parted> = None;
    for (at, word) in words.iter().enumerate() {
        if word.content {
            wrong -= weights[at];
        } else {
            wrong += weights[at];
        }
        let Some(next) = words.get(at + 1) else { break };
        if next.level == word.level {
            continue;
        }
        match &mut best {
            Some(best) if best.wrong == wrong => best.high = next.level,
            Some(best) if best.wrong < wrong => {}
            _ => {
                best = Some(Parted {
                    low: word.level,
                    high: next.level,
                    wrong,
                });
            }
        }
    }
    best.filter(|best| best.wrong < none)
}

/// Whose the words are.
struct Users {
    of_word: Vec<usize>,
    count: usize,
}

impl Users {
    fn of(words: &[Word]) -> Self {
        let mut known: BTreeMap<u32, usize> = BTreeMap::new();
        let of_word = words
            .iter()
            .map(|word| {
                let next = known.len();
                *known.entry(word.user).or_insert(next)
            })
            .collect();
        Self {
            of_word,
            count: known.len(),
        }
    }

    /// As many as there are, with replacement: how often each was drawn.
    fn draw(&self, chance: &mut Chance) -> Vec<u64> {
        let mut times = vec![0; self.count];
        for _ in 0..self.count {
            times[chance.below(self.count)] += 1;
        }
        times
    }
}

/// SplitMix64: a replay draws the same.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * most as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Users who turn at 84 ms; some say the opposite, so many in a hundred.
    fn crowd(users: u32, each: u32, wrong_pct: usize) -> Vec<Word> {
        let mut chance = Chance(7);
        (0..users * each)
            .map(|n| {
                let level = 30_000 + chance.below(110_000) as u32;
                let wrong = chance.below(100) < wrong_pct;
                Word {
                    user: n % users,
                    content: (level <= 84_000) != wrong,
                    level,
                }
            })
            .collect()
    }

    fn turn(finding: Finding) -> Turn {
        match finding {
            Finding::Agrees { turn } | Finding::TooStrict { turn } | Finding::TooLoose { turn } => turn,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_turn_of_users_is_found_with_an_interval_around_it() {
        let found = turn(finding(crowd(40, 3, 8), 58_000));
        assert!((78_000..=90_000).contains(&found.at), "{found:?}");
        assert!(found.least <= 84_000 && 84_000 <= found.most, "{found:?}");
        assert!(found.most - found.least < 40_000, "{found:?}");
    }

    #[test]
    fn a_bound_below_the_interval_is_too_strict_above_it_too_loose_within_it_right() {
        let words = crowd(40, 3, 8);
        assert!(matches!(
            finding(words.clone(), 40_000),
            Finding::TooStrict { .. }
        ));
        assert!(matches!(
            finding(words.clone(), 130_000),
            Finding::TooLoose { .. }
        ));
        assert!(matches!(finding(words, 84_000), Finding::Agrees { .. }));
    }

    #[test]
    fn too_little_says_how_much_of_what_is_missing() {
        let of = |words: Vec<Word>| match finding(words, 58_000) {
            Finding::NotEnough { have, need, lack } => (have, need, lack),
            other => panic!("{other:?}"),
        };
        assert_eq!(of(Vec::new()), (0, SCORES, Lack::Scores));
        assert_eq!(of(crowd(5, 2, 0)), (10, SCORES, Lack::Scores));
        let content = crowd(20, 3, 0).into_iter().filter(|word| word.content);
        assert_eq!(of(content.collect()), (0, EITHER, Lack::Discontent));
        // Any number of scores of one user is three.
        assert_eq!(of(crowd(1, 1_999, 0)), (3, SCORES, Lack::Scores));
    }

    #[test]
    fn scores_that_do_not_follow_a_criterion_say_so() {
        assert_eq!(finding(crowd(20, 10, 50), 58_000), Finding::NoRelation);
        let reversed = crowd(20, 3, 0).into_iter().map(|word| Word {
            content: !word.content,
            ..word
        });
        assert_eq!(finding(reversed.collect(), 58_000), Finding::NoRelation);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// One user, however many scores and at whatever levels, does not turn what a crowd says.
        #[test]
        fn a_flood_of_one_user_does_not_turn_what_a_crowd_says(
            flood in prop::collection::vec((any::<bool>(), 0_u32..200_000), 1..1_800),
            side in prop::option::of(any::<bool>()),
        ) {
            let honest = crowd(40, 3, 8);
            let before = turn(finding(honest.clone(), 58_000));
            let hostile = flood.into_iter().map(|(content, level)| Word {
                user: 1_000,
                content: side.unwrap_or(content),
                level,
            });
            let after = turn(finding(honest.into_iter().chain(hostile).collect(), 58_000));
            prop_assert!(before.at.abs_diff(after.at) <= 12_000, "{before:?} {after:?}");
            prop_assert!(after.least <= 84_000 && 84_000 <= after.most, "{after:?}");
        }

        #[test]
        fn nothing_it_is_told_makes_it_fail(
            words in prop::collection::vec((0_u32..9, any::<bool>(), any::<u32>()), 0..300),
            bound in any::<u32>(),
        ) {
            let words: Vec<Word> = words
                .into_iter()
                .map(|(user, content, level)| Word { user, content, level })
                .collect();
            let scores: Vec<(u32, bool)> = words.iter().map(|word| (word.user, word.content)).collect();
            let share = share(&scores);
            prop_assert!(share.least <= share.most && share.so <= share.of);
            let first = finding(words.clone(), bound);
            prop_assert_eq!(first, finding(words, bound));
            if let Finding::Agrees { turn } = first {
                prop_assert!(turn.least <= turn.at && turn.at <= turn.most);
            }
        }
    }

    #[test]
    fn wilsons_interval_is_as_published() {
        // 8 of 10: 0.490 to 0.943.
        let (least, most) = wilson(8.0, 10.0);
        assert_eq!((least / 1000, most / 1000), (490, 943));
        assert_eq!(wilson(0.0, 0.0), (0, 1_000_000));
    }
}
