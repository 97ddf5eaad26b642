use proptest::prelude::*;

use super::*;

const T0: Timestamp = Timestamp(1_700_000_000_000_000);
const PAIRS: u32 = 12;
const DCS: u32 = 5;

/// Two budgets: everybody's, and one of the pairs with even numbers. Data centres 0 and 1 fail together.
struct Two([Budget; 2]);

impl Budgets for Two {
    fn of(&self, pair: PairIx) -> impl Iterator<Item = u16> {
        std::iter::once(0).chain((pair.0.is_multiple_of(2)).then_some(1))
    }

    fn limits(&self, budget: u16) -> Budget {
        self.0[usize::from(budget)]
    }

    fn domain(&self, dc: Dc) -> u32 {
        dc.0.max(1)
    }
}

/// Somebody wants something, `after` milliseconds later.
#[derive(Clone, Copy, Debug)]
enum Step {
    Move {
        pair: u32,
        from: u32,
        to: u32,
        users: u32,
        takes: u64,
    },
    Land {
        pair: u32,
    },
    Stretch {
        pair: u32,
        takes: u64,
    },
    Release {
        pair: u32,
    },
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let wish = prop_oneof![
        6 => (0..PAIRS, 0..DCS, 0..DCS, 1_u32..40, 1_u64..60_000)
            .prop_map(|(pair, from, to, users, takes)| Step::Move { pair, from, to, users, takes }),
        4 => (0..PAIRS).prop_map(|pair| Step::Land { pair }),
        1 => (0..PAIRS, 1_u64..90_000).prop_map(|(pair, takes)| Step::Stretch { pair, takes }),
        2 => (0..PAIRS).prop_map(|pair| Step::Release { pair }),
    ];
    (0_u64..200_000, wish)
}

fn budget() -> impl Strategy<Value = Budget> {
    (1_u32..4, 1_u32..20, 1_u32..3, 1_u64..200, 1_u64..2000, 1_u32..3).prop_map(
        |(concurrent, per_hour, per_dc, users_per_hour, users_seconds, domains)| Budget {
            concurrent,
            per_hour,
            per_dc,
            users_per_hour,
            users_seconds,
            domains,
        },
    )
}

/// A move as it was, in the model that shares nothing with the ledger.
#[derive(Clone, Copy, Debug)]
struct Move {
    pair: u32,
    from: u32,
    to: u32,
    users: u64,
    began: u64,
    ended: Option<u64>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_budget_is_ever_exceeded_whatever_is_asked(
        steps in prop::collection::vec(step(), 1..120),
        all in budget(),
        even in budget(),
    ) {
        let budgets = Two([all, even]);
        let mut spending = Spending::default();
        let mut moves: Vec<Move> = Vec::new();
        let mut now = T0;
        for (after, step) in steps {
            now = now + Span::millis(after);
            // A move that takes longer than it may is ended then, as the executor's deadline does.
            let overdue: Vec<(PairIx, Timestamp)> = spending
                .flying()
                .filter(|(_, flying)| flying.until <= now)
                .map(|(pair, flying)| (pair, flying.until))
                .collect();
            let mut overdue = overdue;
            overdue.sort_by_key(|&(_, until)| until);
            for (pair, until) in overdue {
                spending.end(&budgets, pair, until);
                let ended = moves.iter_mut().rev().find(|done| done.pair == pair.0).unwrap();
                ended.ended = Some(until.0);
            }
            spending.settle(&budgets, now);
            match step {
                Step::Move { pair, from, to, users, takes } => {
                    let flying = Flying {
                        from: Dc(from),
                        to: Dc(to),
                        users,
                        at: now,
                        until: now + Span::millis(takes),
                        proves: takes.is_multiple_of(3),
                    };
                    let busy = spending.flying().any(|(ix, _)| ix == PairIx(pair));
                    let room = spending.room(&budgets, PairIx(pair), &flying);
                    if let Err(Full { budget, limit, until: Some(until), .. }) = &room
                        && spending.flying().next().is_none()
                    {
                        // Told is the very moment from which this limit is no longer in the way.
                        let still = |at: Timestamp| {
                            let mut later = spending.clone();
                            later.settle(&budgets, at);
                            let ask = Flying { at, until: at + flying.until.since(flying.at), ..flying };
                            matches!(later.room(&budgets, PairIx(pair), &ask),
                                Err(Full { budget: b, limit: l, .. }) if (b, l) == (*budget, *limit))
                        };
                        prop_assert!(still(*until - Span(1)) && !still(*until), "{limit:?} of {budget} at {until:?}");
                    }
                    if !busy && room.is_ok() {
                        spending.begin(&budgets, PairIx(pair), flying);
                        moves.push(Move { pair, from, to, users: users.into(), began: now.0, ended: None });
                    }
                }
                Step::Land { pair } => {
                    if spending.end(&budgets, PairIx(pair), now) {
                        let landed = moves.iter_mut().rev().find(|done| done.pair == pair).unwrap();
                        landed.ended = Some(now.0);
                    }
                }
                Step::Release { pair } => {
                    spending.release(PairIx(pair));
                }
                Step::Stretch { pair, takes } => {
                    let asked = now + Span::millis(takes);
                    let granted = spending.extend(&budgets, PairIx(pair), (asked, now));
                    let flying = spending.flying().find(|(ix, _)| *ix == PairIx(pair)).map(|(_, f)| f.until);
                    prop_assert!(flying.is_none_or(|until| until == granted));
                }
            }
            for (&pair, &users) in &spending.owed {
                // N2: whatever was let go since, this one may still go back.
                let back = Flying { from: Dc(0), to: Dc(1), users, at: now, until: now, proves: false };
                if let Err(Full { limit, budget, .. }) = spending.room(&budgets, pair, &back) {
                    let Budget { per_hour, users_per_hour, .. } = budgets.limits(budget);
                    prop_assert!(limit != Limit::PerHour || per_hour < 2, "{:?} cannot go back: {:?}", pair, limit);
                    prop_assert!(limit != Limit::UsersPerHour || users_per_hour < 2 * 40, "{:?}: {:?}", pair, limit);
                }
            }
            for (at, limits) in budgets.0.iter().enumerate() {
                let counted: Vec<&Move> =
                    moves.iter().filter(|done| at == 0 || done.pair.is_multiple_of(2)).collect();
                let hour_ago = now.0 - HOUR.0;
                let flying: Vec<&&Move> = counted.iter().filter(|done| done.ended.is_none()).collect();
                prop_assert!(flying.len() as u64 <= u64::from(limits.concurrent));
                for dc in 0..DCS {
                    let out = flying.iter().filter(|done| done.from == dc).count() as u64;
                    prop_assert!(out <= u64::from(limits.per_dc));
                }
                let domains: BTreeSet<u32> = flying.iter().map(|done| done.to.max(1)).collect();
                prop_assert!(domains.len() as u64 <= u64::from(limits.domains));
                let begun: Vec<&&Move> = counted.iter().filter(|done| done.began > hour_ago).collect();
                prop_assert!(begun.len() as u64 <= u64::from(limits.per_hour));
                let users: u64 = begun.iter().map(|done| done.users).sum();
                prop_assert!(users <= limits.users_per_hour);
                let exposed: u64 = counted
                    .iter()
                    .map(|done| {
                        let (from, to) = (done.began.max(hour_ago), done.ended.unwrap_or(now.0));
                        done.users * to.saturating_sub(from)
                    })
                    .sum();
                prop_assert!(exposed <= limits.users_seconds * SECOND, "{exposed} of {limits:?}");
                let [concurrent, moved, people, radius] = spending.gauges(&budgets, at as u16, now);
                prop_assert_eq!(concurrent.used, flying.len() as u64);
                prop_assert_eq!((moved.used, people.used), (begun.len() as u64, users));
                prop_assert!(radius.used <= radius.limit && radius.used * SECOND >= exposed);
            }
        }
    }
}

#[test]
fn a_full_budget_says_which_limit_and_when_there_is_room() {
    let only = Budget {
        per_hour: 1,
        ..Budget::default()
    };
    let budgets = Two([only, Budget::UNLIMITED]);
    let mut spending = Spending::default();
    let flying = |at| Flying {
        from: Dc(2),
        to: Dc(3),
        users: 1,
        at,
        until: at + Span::secs(10),
        proves: false,
    };
    spending.begin(&budgets, PairIx(1), flying(T0));
    let full = spending.room(&budgets, PairIx(3), &flying(T0)).unwrap_err();
    assert_eq!((full.budget, full.limit), (0, Limit::PerDc));
    spending.end(&budgets, PairIx(1), T0 + Span::secs(1));
    let later = T0 + Span::secs(60);
    let full = spending.room(&budgets, PairIx(3), &flying(later)).unwrap_err();
    assert_eq!((full.limit, full.until), (Limit::PerHour, Some(T0 + HOUR)));
    spending.settle(&budgets, T0 + HOUR);
    assert!(spending.room(&budgets, PairIx(3), &flying(T0 + HOUR)).is_ok());
}
