//! A data centre that everybody enters by dies.

use pacao_core::Input;
use pacao_core::config::Budget;
use proto::qoe::Session;
use proto::{Actor, Command, Mode, RequestId, Score, Span};

use super::probing::{self, PROBE, Probing, config};

/// Moves that the budget allows, and of those at once.
const ALLOWED: u32 = 1000;
const AT_ONCE: u32 = 50;

/// What was measured, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Users told to enter elsewhere: as many as the budgets allow.
    pub(crate) orders: usize,
    /// From the input that says that it is dead to the first orders.
    pub(crate) first: f64,
    /// To the last one that the budgets allow, confirmations of the others included.
    pub(crate) last: f64,
    /// One more look at everybody who waits.
    pub(crate) again: f64,
    /// A plan's figures copied out of the engine.
    pub(crate) plan: f64,
    /// A console's first picture.
    pub(crate) snapshot: f64,
    /// The report on one class's scores, made anew and told.
    pub(crate) report: f64,
    /// Of so many.
    pub(crate) scores: usize,
}

/// All users enter by the first of the data centres.
pub(crate) fn outage(
    (users, sites): (usize, usize),
    clock: impl Fn() -> f64,
) -> Result<Figures, Box<dyn std::error::Error + Send + Sync>> {
    let mut config = config(users, sites)?;
    config.mode = Mode::Auto;
    let first = config.sites.keys().next().cloned().ok_or("no data centre")?;
    for user in config.users.values_mut() {
        let vms: Vec<_> = user.vms.iter().map(|(vm, _)| vm.clone()).collect();
        user.vms = vms.into_iter().map(|vm| (vm, first.clone())).collect();
    }
    config.calm.budget = Budget {
        concurrent: AT_ONCE,
        per_dc: AT_ONCE,
        per_hour: ALLOWED,
        ..Budget::UNLIMITED
    };
    let stale_after = config.policy.stale_after;
    let mut probing = Probing::begin(config, &clock);
    let (report, scores) = scored(&mut probing)?;
    for _ in 0..25 {
        probing.round(PROBE, |_, _| true);
    }
    let plan = seconds(&clock, || probing.engine.assignment(None, probing.now).is_ok());
    let snapshot = seconds(&clock, || probing.engine.snapshot(probing.now).links.len());
    let why = "its connection ended".to_owned();
    probing.handle(Input::NodeDown { site: first, why });
    let dies_at = probing.now + stale_after;
    while probing.now + PROBE < dies_at {
        probing.round(PROBE, |site, _| site != 0);
    }
    probing.now = dies_at;
    probing.spent = 0.0;
    let mut orders = probing::orders(&probing.handle(Input::Tick));
    let first = probing.spent;
    let mut given = orders.len();
    while let Some((site, report)) = orders.pop() {
        probing.now = probing.now + Span(100);
        let more = probing::orders(&probing.handle(Input::Report { site, report }));
        given += more.len();
        orders.extend(more);
    }
    let last = probing.spent;
    probing.now = probing.now + PROBE;
    probing.spent = 0.0;
    probing.handle(Input::Tick);
    Ok(Figures {
        orders: given,
        first,
        last,
        again: probing.spent,
        plan,
        snapshot,
        report,
        scores,
    })
}

/// As many scores as are kept of a class, at the pace at which they are taken; then how long their report takes.
fn scored(probing: &mut Probing<'_>) -> Result<(f64, usize), Box<dyn std::error::Error + Send + Sync>> {
    let users: Vec<_> = probing.engine.config().users.keys().cloned().collect();
    let scores = 2000.min(users.len());
    for (number, user) in users.into_iter().take(scores).enumerate() {
        probing.now = probing.now + Span::millis(100);
        if number % 5 == 0 {
            probing.round(Span(0), |site, _| site == 0);
        }
        let session = Session {
            user,
            vm: None,
            ended_at: None,
            lasted: Some(Span::secs(30)),
        };
        let score = Command::Score {
            session,
            score: Score::new(1 + (number % 5) as u8)?,
            note: String::new(),
        };
        probing.handle(Input::Command {
            request: RequestId(format!("score-{number}")),
            by: Actor::Operator {
                name: format!("desk-{}", number % 20),
            },
            command: score,
        });
    }
    probing.now = probing.now + Span::secs(2);
    probing.spent = 0.0;
    probing.handle(Input::Tick);
    Ok((probing.spent, scores))
}

fn seconds<T>(clock: impl Fn() -> f64, run: impl FnOnce() -> T) -> f64 {
    let before = clock();
    std::hint::black_box(run());
    clock() - before
}
