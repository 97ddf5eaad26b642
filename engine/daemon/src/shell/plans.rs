//! Plans for all users, for people at consoles: made beside the core, on a thread that has a time, and told. Nothing moves
//! by them, so they are not recorded, and the core decides on meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pacao_core::assignment::Assignment;
use proto::plan::Plan;
use proto::{Command, Refusal, Reply, RequestId, Span};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use super::Arrival;
use super::consoles::ConsoleId;
use super::looks::Answer;

/// Unless the asker says otherwise.
const BUDGET: Span = Span::secs(2);
/// Whatever the asker says: plans share the machine with decisions.
const MOST: Span = Span::secs(30);
/// Who wait for one plan at most. One more is refused: whoever asks that often reads nothing.
const ASKERS: usize = 64;
/// Of the time, what the search for moves may take before the proof begins.
const SEARCH: f64 = 0.3;

/// The plan in work, if any. One at a time: a second asker of the same waits for it too.
#[derive(Debug, Default)]
pub(super) struct Plans {
    next: u64,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    number: u64,
    terms: Terms,
    waiting: Vec<(ConsoleId, RequestId)>,
    stop: Arc<AtomicBool>,
}

/// Nobody waits any more: the thread need not go on.
impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// What each person moved costs.
    pub(super) price: Option<Span>,
    budget: Span,
}

impl Terms {
    /// Of a [`Command::Plan`].
    pub(super) fn of(command: &Command) -> Option<Self> {
        match *command {
            Command::Plan { price, budget } => Some(Self {
                price,
                budget: budget.unwrap_or(BUDGET).min(MOST),
            }),
            _ => None,
        }
    }
}

impl Plans {
    /// Takes somebody in who asks for a plan. `begin` says what there is to assign, if it is to be begun.
    pub(super) fn ask(
        &mut self,
        (console, request): (ConsoleId, RequestId),
        terms: Terms,
        begin: impl FnOnce() -> Result<Assignment, Refusal>,
        (tasks, arrivals): (&mut JoinSet<Option<ConsoleId>>, mpsc::WeakSender<Arrival>),
    ) -> Option<Answer> {
        let refused = |refusal| Some((console, request.clone(), Reply::Refused { refusal }));
        if let Some(running) = &mut self.running {
            let why = if running.terms != terms {
                "another plan is being made; ask again when it is told"
            } else if running.waiting.len() >= ASKERS {
                "too many wait for this plan already; ask again when it is told"
            } else {
                running.waiting.push((console, request));
                return None;
            };
            return refused(Refusal::NotSo { why: why.to_owned() });
        }
        let assignment = match begin() {
            Ok(assignment) => assignment,
            Err(refusal) => return refused(refusal),
        };
        let (number, stop) = (self.next, Arc::new(AtomicBool::new(false)));
        self.next += 1;
        self.running = Some(Running {
            number,
            terms,
            waiting: vec![(console, request)],
            stop: Arc::clone(&stop),
        });
        tasks.spawn(async move {
            let made = spawn_blocking(move || make(assignment, terms.budget, &stop)).await;
            let plan = made.map(Box::new).map_err(|error| error.to_string());
            if let Some(arrivals) = arrivals.upgrade() {
                let _the_shell_ends = arrivals.send(Arrival::Planned { number, plan }).await;
            }
            None
        });
        None
    }

    /// A console is gone. A plan that nobody waits for any more is not made to its end.
    pub(super) fn left(&mut self, console: ConsoleId) {
        if let Some(running) = &mut self.running {
            running.waiting.retain(|(of, _)| *of != console);
            if running.waiting.is_empty() {
                self.running = None;
            }
        }
    }

    /// A plan is made, or its thread died.
    pub(super) fn made(&mut self, number: u64, plan: Result<Box<Plan>, String>) -> Vec<Answer> {
        let Some(mut running) = self.running.take_if(|running| running.number == number) else {
            return Vec::new();
        };
        let reply = match plan {
            Ok(plan) => Reply::Planned { plan },
            Err(why) => Reply::Refused {
                refusal: Refusal::NotSo {
                    why: format!("the plan could not be made: {why}"),
                },
            },
        };
        let waiting = std::mem::take(&mut running.waiting);
        waiting
            .into_iter()
            .map(|(console, request)| (console, request, reply.clone()))
            .collect()
    }
}

fn make(assignment: Assignment, budget: Span, stop: &AtomicBool) -> Plan {
    let begun = Instant::now();
    let budget = Duration::from_micros(budget.micros());
    let over = |share: f64| stop.load(Ordering::Relaxed) || begun.elapsed() >= budget.mul_f64(share);
    let mut work = assignment.begin();
    work.improve(&mut || over(SEARCH));
    work.prove(&mut || over(1.0));
    work.plan(Span::from(begun.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(plans: &mut Plans, request: &str, terms: Terms) -> Option<Answer> {
        let (arrivals, _inbox) = mpsc::channel(1);
        let begun = || panic!("one is being made");
        let asker = (ConsoleId::ANY, RequestId(request.to_owned()));
        plans.ask(asker, terms, begun, (&mut JoinSet::new(), arrivals.downgrade()))
    }

    #[test]
    fn who_asks_the_same_waits_for_it_too_and_who_asks_otherwise_is_refused() {
        let terms = |price| Terms {
            price,
            budget: BUDGET,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let running = Running {
            number: 7,
            terms: terms(None),
            waiting: vec![(ConsoleId::ANY, RequestId("1".to_owned()))],
            stop: Arc::clone(&stop),
        };
        let mut plans = Plans {
            next: 8,
            running: Some(running),
        };
        assert!(asked(&mut plans, "2", terms(None)).is_none());
        let refused = asked(&mut plans, "3", terms(Some(Span::ZERO)));
        assert!(
            matches!(refused, Some((_, _, Reply::Refused { .. }))),
            "{refused:?}"
        );
        for number in 2..ASKERS {
            assert!(asked(&mut plans, &format!("again-{number}"), terms(None)).is_none());
        }
        let refused = asked(&mut plans, "one more", terms(None));
        assert!(
            matches!(refused, Some((_, _, Reply::Refused { .. }))),
            "{refused:?}"
        );
        assert!(plans.made(6, Err("of another life".to_owned())).is_empty());
        let told = plans.made(7, Err("its thread died".to_owned()));
        let requests: Vec<_> = told.iter().map(|(_, request, _)| request.0.as_str()).collect();
        assert_eq!((requests.len(), &requests[..2]), (ASKERS, &["1", "2"][..]));
        assert!(stop.load(Ordering::Relaxed), "nobody waits any more");
        assert!(plans.running.is_none());
    }

    #[test]
    fn a_plan_takes_no_longer_than_it_may() {
        let budget = |budget| Terms::of(&Command::Plan { price: None, budget }).map(|terms| terms.budget);
        assert_eq!(budget(None), Some(BUDGET));
        assert_eq!(budget(Some(Span::secs(3600))), Some(MOST));
        assert_eq!(Terms::of(&Command::Arm), None);
    }

    #[test]
    fn a_plan_that_nobody_waits_for_is_given_up() {
        let stop = Arc::new(AtomicBool::new(false));
        let terms = Terms {
            price: None,
            budget: BUDGET,
        };
        let mut plans = Plans {
            next: 8,
            running: Some(Running {
                number: 7,
                terms,
                waiting: vec![(ConsoleId::ANY, RequestId("1".to_owned()))],
                stop: Arc::clone(&stop),
            }),
        };
        plans.left(ConsoleId::OTHER);
        assert!(!stop.load(Ordering::Relaxed));
        plans.left(ConsoleId::ANY);
        assert!(stop.load(Ordering::Relaxed) && plans.running.is_none());
    }
}
