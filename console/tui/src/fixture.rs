//! A fabric with a bit of everything, at a fixed moment, for tests.

mod accounts;
mod driving;
mod looks;
mod plan;
mod policy;
mod why;

use chrono::FixedOffset;
use lisp_wire::{Priority, Rloc, Weight};
use proto::proposal::{Criterion, Reason, Receipt};
use proto::snapshot::{HistoryPoint, LinkHistory, RttFigures};
use proto::{
    Actor, LegRow, LinkId, LinkRow, LinkState, LogEntry, Mode, NodeRow, Proposal, ProposalId, ProposalState,
    RlocRow, Severity, SiteName, SlaName, Snapshot, Span, Timestamp, UserName, VmName,
};

pub(crate) use driving::{asked, blank, console, console_with, notice, options, press, typed};
pub(crate) use looks::{answer_looks, messages};
pub(crate) use plan::{answer_plan, plan};
pub(crate) use policy::policy;
pub(crate) use why::{answer_why, why};

/// 2026-03-02 13:02:31 UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_772_456_551_400_000);

pub(crate) fn zone() -> FixedOffset {
    FixedOffset::east_opt(3_600).unwrap()
}

pub(crate) fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

pub(crate) fn site(name: &str) -> SiteName {
    SiteName::new(name).unwrap()
}

pub(crate) fn vm() -> VmName {
    VmName::new("vm-web-07").unwrap()
}

fn rloc(text: &str) -> Rloc {
    Rloc(text.parse().unwrap())
}

fn node(name: &str, label: &str, address: &str, gone: Option<u64>) -> NodeRow {
    NodeRow {
        site: site(name),
        label: label.to_owned(),
        rloc: rloc(address),
        connected: gone.is_none(),
        since: NOW - Span::secs(gone.unwrap_or(266_400)),
    }
}

/// One link: base RTT, what it rose to twenty seconds ago, loss in percent.
struct Sketch {
    user: &'static str,
    dc: &'static str,
    base: f64,
    now: f64,
    loss: f64,
    state: LinkState,
    carries: bool,
    age: Span,
}

fn fine(user: &'static str, dc: &'static str, base: f64) -> Sketch {
    Sketch {
        user,
        dc,
        base,
        now: base,
        loss: 0.0,
        state: LinkState::Ok,
        carries: false,
        age: Span::millis(300),
    }
}

fn sketches() -> Vec<Sketch> {
    use LinkState::{Broken, Down, Stale, Warn};
    vec![
        Sketch {
            carries: true,
            now: 437.2,
            loss: 0.4,
            state: Broken,
            ..fine("paris-001", "telco", 37.0)
        },
        fine("paris-001", "marilyn", 35.1),
        fine("paris-001", "lip6", 41.0),
        fine("lyon-042", "telco", 44.2),
        Sketch {
            carries: true,
            ..fine("lyon-042", "marilyn", 33.4)
        },
        fine("lyon-042", "lip6", 38.0),
        fine("rennes-003", "telco", 36.3),
        fine("rennes-003", "marilyn", 39.8),
        Sketch {
            carries: true,
            ..fine("rennes-003", "lip6", 28.7)
        },
        Sketch {
            now: 98.4,
            loss: 1.6,
            state: Warn,
            ..fine("nice-011", "telco", 61.9)
        },
        Sketch {
            carries: true,
            age: Span::secs(9),
            state: Stale,
            ..fine("nice-011", "marilyn", 33.4)
        },
        Sketch {
            loss: 100.0,
            state: Down,
            ..fine("nice-011", "lip6", 52.0)
        },
        fine("campus", "telco", 0.43),
        Sketch {
            carries: true,
            ..fine("campus", "marilyn", 0.047)
        },
        fine("campus", "lip6", 9.61),
    ]
}

fn link(sketch: &Sketch) -> (LinkRow, LinkHistory) {
    let id = LinkId {
        user: user(sketch.user),
        dc: site(sketch.dc),
    };
    let heard = NOW - sketch.age;
    let points = (0..240u64).map(|index| {
        let at = heard - Span::millis(500 * (239 - index));
        let worse = index >= 200;
        let noise = ((index * 7919) % 13) as f64 / 13.0 * 0.02 * sketch.base;
        let lost = match sketch.loss {
            loss if loss >= 100.0 => worse,
            loss => loss > 0.0 && worse && index % 17 == 0,
        };
        let rtt = if worse { sketch.now } else { sketch.base };
        HistoryPoint {
            at,
            rtt_ms: (!lost).then_some(rtt + noise),
        }
    });
    let history = LinkHistory {
        link: id.clone(),
        points: points.collect(),
    };
    let figures = (sketch.loss < 100.0).then_some(RttFigures {
        last: sketch.now,
        min: sketch.base,
        mean: sketch.now,
        p50: sketch.now,
        p95: sketch.now * 1.17,
        p99: sketch.now * 1.2,
    });
    let down = sketch.state == LinkState::Down;
    let row = LinkRow {
        link: id,
        user_rloc: rloc("172.16.1.1"),
        sla: SlaName::new("interactive").unwrap(),
        state: sketch.state,
        carries: if sketch.carries { vec![vm()] } else { Vec::new() },
        rtt: figures,
        jitter_ms: figures.map(|figures| figures.last * 0.02),
        loss_pct: Some(sketch.loss),
        availability_pct: Some(if down { 66.7 } else { 100.0 }),
        margin_ms: figures.map(|figures| 100.0 - figures.mean),
        heard_at: Some(heard),
    };
    (row, history)
}

fn rlocs(name: &str, order: [&str; 3]) -> Vec<RlocRow> {
    let address = |dc: &str| match dc {
        "telco" => "172.16.0.1",
        "marilyn" => "172.16.0.2",
        _ => "172.16.0.3",
    };
    order
        .iter()
        .enumerate()
        .map(|(index, dc)| RlocRow {
            user: user(name),
            vm: vm(),
            eid: "10.1.0.7/32".parse().unwrap(),
            dc: site(dc),
            rloc: rloc(address(dc)),
            priority: Priority(if *dc == "lip6" && name == "nice-011" {
                255
            } else {
                index as u8 + 1
            }),
            weight: Weight(100),
            home: *dc == "telco",
        })
        .collect()
}

/// The open proposal 17, as it is in the fixture.
pub(crate) fn open() -> Proposal {
    Proposal {
        id: ProposalId(17),
        revision: 3,
        user: user("paris-001"),
        vm: vm(),
        from: site("telco"),
        to: site("marilyn"),
        reason: Reason {
            criterion: Criterion::Rtt,
            measured: 437.2,
            bound: 100.0,
            expected: 35.1,
            penalty: 5.0,
            penalty_expected: 1.0,
            broken_for: Span::secs(10),
        },
        gain: 402.1,
        gain_share: 0.92,
        people: 1,
        opened_at: NOW - Span::secs(13),
        expires_at: NOW + Span::millis(46_200),
        held: None,
        state: ProposalState::Open,
    }
}

pub(crate) fn ana() -> Actor {
    Actor::Operator {
        name: "ana".to_owned(),
    }
}

fn proposals() -> Vec<Proposal> {
    let confirmed = Receipt {
        broken_at: Some(NOW - Span::secs(640)),
        approved_at: NOW - Span::secs(622),
        confirmed_at: NOW - Span::millis(621_965),
        signalling: Span(34_800),
        attempts: 1,
    };
    let of = |id, who: &str, from: &str, to: &str, state| Proposal {
        id: ProposalId(id),
        revision: 2,
        user: user(who),
        from: site(from),
        to: site(to),
        state,
        ..open()
    };
    vec![
        of(
            13,
            "campus",
            "lip6",
            "marilyn",
            ProposalState::Rejected {
                by: ana(),
                at: NOW - Span::secs(4_000),
            },
        ),
        of(
            14,
            "rennes-003",
            "marilyn",
            "lip6",
            ProposalState::Failed {
                by: Actor::Engine,
                at: NOW - Span::secs(3_000),
                why: "the user's xTR did not acknowledge within 10 s".to_owned(),
            },
        ),
        of(
            15,
            "lyon-042",
            "telco",
            "marilyn",
            ProposalState::Confirmed {
                by: ana(),
                receipt: confirmed,
            },
        ),
        of(
            16,
            "nice-011",
            "telco",
            "marilyn",
            ProposalState::Executing {
                by: ana(),
                since: NOW - Span::millis(300),
            },
        ),
        open(),
    ]
}

fn log() -> Vec<LogEntry> {
    [
        (
            660,
            Severity::Info,
            "engine took up; mode recommend; 4 forwarders named, 4 connected",
        ),
        (
            640,
            Severity::Error,
            "link lyon-042/TelcoCenter left its bounds: RTT 212 ms, bound 100 ms",
        ),
        (
            622,
            Severity::Info,
            "proposal #15 approved by ana: lyon-042 TelcoCenter -> Marilyn",
        ),
        (
            621,
            Severity::Info,
            "switch #15 confirmed: signalling 34.8 ms, 1 attempt",
        ),
        (
            23,
            Severity::Warning,
            "link paris-001/TelcoCenter: RTT 437 ms, bound 100 ms; slot ends in 10 s",
        ),
        (
            13,
            Severity::Error,
            "link paris-001/TelcoCenter broken for a whole slot (10 s)",
        ),
        (
            13,
            Severity::Info,
            "proposal #17 opened: paris-001 TelcoCenter -> Marilyn, gain 402 ms (92 %)",
        ),
        (
            4,
            Severity::Error,
            "forwarder LIP6 is gone: connection reset by peer",
        ),
    ]
    .map(|(ago, severity, text)| LogEntry {
        at: NOW - Span::secs(ago),
        severity,
        text: text.to_owned(),
    })
    .to_vec()
}

fn leg((from, to): (&str, &str), rtt: Option<f64>, state: LinkState) -> LegRow {
    LegRow {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        state,
        rtt: rtt.map(|ms| RttFigures {
            last: ms,
            min: ms,
            mean: ms,
            p50: ms,
            p95: ms * 1.5,
            p99: ms * 2.0,
        }),
        jitter_ms: rtt.map(|_| 0.05),
        loss_pct: rtt.map(|_| 0.0),
        heard_at: Some(NOW - Span::millis(if rtt.is_some() { 300 } else { 4_300 })),
        carries: if rtt.is_some() { 3 } else { 1 },
    }
}

/// Everything: a broken link with its proposal, one that warns, one that is down, one that is stale, and fine ones.
pub(crate) fn snapshot() -> Snapshot {
    let (links, histories) = sketches().iter().map(link).unzip();
    Snapshot {
        at: NOW,
        session: "table-5-1".to_owned(),
        engine_since: NOW - Span::secs(266_400),
        mode: Mode::Recommend,
        nodes: vec![
            node("lip6", "LIP6", "172.16.0.3", Some(4)),
            node("marilyn", "Marilyn", "172.16.0.2", None),
            node("telco", "TelcoCenter", "172.16.0.1", None),
        ],
        links,
        legs: vec![
            leg(("lip6", "telco"), None, LinkState::Stale),
            leg(("marilyn", "telco"), Some(1.24), LinkState::Ok),
        ],
        histories,
        rlocs: [
            rlocs("paris-001", ["telco", "marilyn", "lip6"]),
            rlocs("lyon-042", ["marilyn", "lip6", "telco"]),
            rlocs("rennes-003", ["lip6", "telco", "marilyn"]),
            rlocs("nice-011", ["marilyn", "telco", "lip6"]),
            rlocs("campus", ["marilyn", "telco", "lip6"]),
        ]
        .concat(),
        proposals: proposals(),
        log: log().into(),
        policy: proto::PolicyRow::default(),
        availability: accounts::availability(),
        qoe: accounts::qoe(),
        clock_ahead: Span::ZERO,
    }
}

/// A session that has just begun: nothing was heard.
pub(crate) fn empty() -> Snapshot {
    let mut snapshot = snapshot();
    for node in &mut snapshot.nodes {
        (node.connected, node.since) = (false, NOW - Span::secs(2));
    }
    (snapshot.engine_since, snapshot.mode) = (NOW - Span::secs(2), Mode::Observe);
    (snapshot.availability, snapshot.qoe) = Default::default();
    snapshot.links.clear();
    snapshot.legs.clear();
    snapshot.histories.clear();
    snapshot.rlocs.clear();
    snapshot.proposals.clear();
    snapshot.log.clear();
    snapshot
}
