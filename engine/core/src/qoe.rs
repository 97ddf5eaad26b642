//! What users say of sessions, beside what was measured in them (thesis section 3.4). It is shown; nothing is done
//! about it: no machine that decides can see this one.

mod learn;
mod trail;

use std::collections::{BTreeMap, VecDeque};

use proto::proposal::Criterion;
use proto::qoe::{ClassRow, CriterionRow, Finding};
use proto::{Actor, QoeReport, Score, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::fabric::{Fabric, PairIx};
use crate::places::Places;
use learn::Word;
use trail::Trail;
pub(crate) use trail::{REACH, Seen};

/// Scores kept of one class, the newest.
const KEPT: usize = 2000;
/// Of these, of one user: a flood drives out nobody else's.
const KEPT_OF_ONE: usize = 12;
/// The report is made anew for one class at a time and not more often: nothing else that anybody who attaches can ask
/// for takes as long.
const MADE_AT_MOST_EVERY: Span = Span::secs(1);
/// Scores taken within a minute of one who scores,
const OF_ONE_A_MINUTE: usize = 60;
/// and of all together: whoever attaches names himself.
const OF_ALL_A_MINUTE: usize = 600;
const MINUTE: Span = Span::secs(60);
/// RTT, jitter, loss.
const CRITERIA: [Criterion; 3] = [Criterion::Rtt, Criterion::Jitter, Criterion::Loss];

/// Scores, and figures of the last hour to hold them against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Qoe {
    trails: Vec<Trail>,
    /// By class, the oldest first.
    scores: BTreeMap<u32, VecDeque<Scored>>,
    pub(crate) report: QoeReport,
    /// Classes with scores that the report does not know yet, the next first.
    #[serde(default)]
    unmade: VecDeque<u32>,
    /// When the report was made last.
    #[serde(default)]
    made_at: Timestamp,
    /// Who scored within the last minute, the oldest first.
    #[serde(default)]
    scorers: VecDeque<(Timestamp, Actor)>,
    /// When figures are to be noted next.
    pub(crate) sample_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Scored {
    user: u32,
    score: Score,
    seen: Option<Seen>,
}

impl Qoe {
    pub(crate) fn new(fabric: &Fabric, now: Timestamp) -> Self {
        Self {
            trails: vec![Trail::default(); fabric.pairs.len()],
            scores: BTreeMap::new(),
            report: QoeReport::default(),
            unmade: VecDeque::new(),
            made_at: Timestamp::default(),
            scorers: VecDeque::new(),
            sample_at: now,
        }
    }

    /// The scores of users and classes that there still are; the report on them is made anew.
    pub(crate) fn carried(&self, fabric: &Fabric, places: &Places, now: Timestamp) -> Self {
        let mut next = Self::new(fabric, now);
        places.pair_rows(&self.trails, &mut next.trails);
        for (&class, scores) in &self.scores {
            let of = |scored: &Scored| {
                let user = places.user(scored.user)?;
                Some(Scored { user, ..*scored })
            };
            let scores: VecDeque<Scored> = scores.iter().filter_map(of).collect();
            if let Some(class) = places.class(class).filter(|_| !scores.is_empty()) {
                next.scores.insert(class, scores);
                next.unmade.push_back(class);
            }
        }
        next.scorers.clone_from(&self.scorers);
        next
    }

    /// Whether it is of this fabric.
    pub(crate) fn fits(&self, fabric: &Fabric) -> bool {
        let mut classes = self.scores.keys().chain(&self.unmade);
        self.trails.len() == fabric.pairs.len()
            && classes.all(|&class| (class as usize) < fabric.classes.len())
    }

    /// What the entry of a pair measures now.
    pub(crate) fn measured(&mut self, pair: PairIx, figures: [u32; 3], now: Timestamp) {
        self.trails[pair.at()].measured(figures, now);
    }

    /// The entry of a pair is down now.
    pub(crate) fn down(&mut self, pair: PairIx, now: Timestamp) {
        self.trails[pair.at()].down(now);
    }

    /// What a pair's entry measured between two moments.
    pub(crate) fn seen(&self, pair: PairIx, from: Timestamp, to: Timestamp) -> Option<Seen> {
        self.trails[pair.at()].seen(from, to)
    }

    /// Counts a score against the minute of whoever gives it.
    ///
    /// # Errors
    /// In words, if that minute or everybody's is full.
    pub(crate) fn admit(&mut self, by: &Actor, now: Timestamp) -> Result<(), String> {
        while self.scorers.front().is_some_and(|&(at, _)| at + MINUTE <= now) {
            self.scorers.pop_front();
        }
        let of_one = || self.scorers.iter().filter(|(_, who)| who == by);
        let (most, whose, first) = if of_one().count() >= OF_ONE_A_MINUTE {
            (OF_ONE_A_MINUTE, "one name", of_one().next())
        } else if self.scorers.len() >= OF_ALL_A_MINUTE {
            (OF_ALL_A_MINUTE, "all", self.scorers.front())
        } else {
            self.scorers.push_back((now, by.clone()));
            return Ok(());
        };
        let left = first.map_or(MINUTE, |&(at, _)| (at + MINUTE).since(now));
        Err(format!(
            "{most} scores a minute are taken of {whose}: the next one in {:.0} s",
            left.as_secs_f64().ceil()
        ))
    }

    /// Takes a score in; the report follows.
    pub(crate) fn take(&mut self, fabric: &Fabric, pair: PairIx, (score, seen): (Score, Option<Seen>)) {
        let user = fabric.pairs[pair.at()].user;
        let class = fabric.users[user as usize].class;
        let scores = self.scores.entry(class).or_default();
        if scores.iter().filter(|scored| scored.user == user).count() >= KEPT_OF_ONE {
            let oldest = scores.iter().position(|scored| scored.user == user);
            oldest.and_then(|at| scores.remove(at));
        }
        if scores.len() >= KEPT {
            scores.pop_front();
        }
        scores.push_back(Scored { user, score, seen });
        if !self.unmade.contains(&class) {
            self.unmade.push_back(class);
        }
    }

    /// When the report is to be made anew.
    pub(crate) fn make_at(&self) -> Option<Timestamp> {
        (!self.unmade.is_empty()).then(|| self.made_at + MADE_AT_MOST_EVERY)
    }

    /// Makes the report anew for one class, if it is time. What scores newly tell of its bounds comes back in words.
    pub(crate) fn make(&mut self, fabric: &Fabric, now: Timestamp) -> Option<Vec<String>> {
        self.make_at().filter(|&at| at <= now)?;
        let class = self.unmade.pop_front()?;
        self.made_at = now;
        let row = class_row(fabric, class, self.scores.get(&class)?);
        let place = self
            .report
            .classes
            .binary_search_by(|known| known.sla.cmp(&row.sla));
        Some(match place {
            Ok(at) => {
                let news = news(&self.report.classes[at], &row);
                self.report.classes[at] = row;
                news
            }
            Err(at) => {
                self.report.classes.insert(at, row);
                Vec::new()
            }
        })
    }
}

/// Whether all bounds of a class were kept in a session.
pub(crate) fn kept(bounds: [u32; 3], seen: &Seen) -> bool {
    !seen.down
        && seen
            .figures
            .iter()
            .zip(bounds)
            .all(|(&figure, bound)| figure <= bound)
}

/// The class's bounds on RTT, jitter and loss; `u32::MAX` for one that (5.1) does not look at.
pub(crate) fn bounds(fabric: &Fabric, class: u32) -> [u32; 3] {
    let class = &fabric.classes[class as usize].class;
    std::array::from_fn(|k| if class.counts(k) { class.bound(k) } else { u32::MAX })
}

fn class_row(fabric: &Fabric, class: u32, scores: &VecDeque<Scored>) -> ClassRow {
    let bounds = bounds(fabric, class);
    let joined = || scores.iter().filter_map(|scored| Some((scored, scored.seen?)));
    let shares = |broken: bool, so: fn(Score) -> bool| {
        let of = joined().filter(|(_, seen)| kept(bounds, seen) != broken);
        let of: Vec<(u32, bool)> = of.map(|(scored, _)| (scored.user, so(scored.score))).collect();
        learn::share(&of)
    };
    let words = |k: usize| -> Vec<Word> {
        let others_kept = |seen: &Seen| {
            let mut others = *seen;
            others.figures[k] = 0;
            kept(bounds, &others)
        };
        joined()
            .filter(|(scored, seen)| {
                others_kept(seen) && (scored.score.is_content() || scored.score.is_discontent())
            })
            .map(|(scored, seen)| Word {
                user: scored.user,
                content: scored.score.is_content(),
                level: seen.figures[k],
            })
            .collect()
    };
    ClassRow {
        sla: fabric.classes[class as usize].name.clone(),
        scores: scores.len() as u32,
        unjoined: scores.iter().filter(|scored| scored.seen.is_none()).count() as u32,
        low_while_kept: shares(false, Score::is_discontent),
        high_while_broken: shares(true, Score::is_content),
        criteria: CRITERIA
            .iter()
            .enumerate()
            .filter(|&(k, _)| bounds[k] < u32::MAX)
            .map(|(k, &criterion)| CriterionRow {
                criterion,
                bound: bounds[k],
                finding: learn::finding(words(k), bounds[k]),
            })
            .collect(),
    }
}

/// Bounds that are newly found to be other than users are.
fn news(before: &ClassRow, after: &ClassRow) -> Vec<String> {
    let kind = |finding: &Finding| std::mem::discriminant(finding);
    let old = |new: &CriterionRow| before.criteria.iter().find(|old| old.criterion == new.criterion);
    let is_news = |new: &&CriterionRow| {
        let disagrees = matches!(new.finding, Finding::TooStrict { .. } | Finding::TooLoose { .. });
        disagrees && old(new).is_none_or(|old| kind(&old.finding) != kind(&new.finding))
    };
    let news = after.criteria.iter().filter(is_news);
    news.map(|row| format!("class {}: {}", after.sla, row.text()))
        .collect()
}
