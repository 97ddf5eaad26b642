//! A fabric with a bit of everything, at a fixed moment, for tests.

mod accounts;

use chrono::FixedOffset;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use lisp_wire::{Priority, Rloc, Weight};
use proto::inspect::MessageKind;
use proto::node::{CacheLocator, CacheRow};
use proto::policy::{BudgetRow, Damping, DrainRow, FlapRow, Gauge, ModeRow, Source, WindowRow};
use proto::proposal::{Criterion, Reason, Receipt};
use proto::snapshot::{HistoryPoint, LinkHistory, RttFigures};
use proto::why::{Check, Margin, Outlook, Rung, RungKind, Why};
use proto::{
    Actor, Arming, Command, Direction, EngineFrame, FlapKey, LinkId, LinkRow, LinkState, LogEntry, LogPage,
    LoggedMessage, Look, MessageOutcome, Mode, NodeReport, NodeRow, Notice, PROTOCOL, Page, PolicyRow,
    Proposal, ProposalId, ProposalState, Reply, RlocRow, Scope, Severity, SiteName, SlaName, Snapshot, Span,
    Timestamp, UserName, VmName,
};

use crate::headless::Headless;
use crate::{Arrangement, Colour, Effect, Glyphs, Input, OnLost, Options};

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
    }
}

/// Policy with something on every line: a suppressed locator, an entry that flapped once, a drain, modes of parts.
pub(crate) fn policy() -> PolicyRow {
    let gauge = |used, limit| Gauge { used, limit };
    let flap = |key, penalty, ago, flaps, release: Option<u64>| FlapRow {
        key,
        penalty,
        at: NOW - Span::secs(ago),
        flaps,
        release_at: release.map(|after| NOW + Span::secs(after)),
    };
    PolicyRow {
        arming: Arming::Armed,
        modes: vec![
            ModeRow {
                scope: Scope::Vm { vm: vm() },
                mode: Mode::Auto,
                source: Source::Runtime,
            },
            ModeRow {
                scope: Scope::User { user: user("campus") },
                mode: Mode::Observe,
                source: Source::Session,
            },
        ],
        budgets: vec![BudgetRow {
            name: "all".to_owned(),
            concurrent: gauge(1, 2),
            per_hour: gauge(10, 12),
            users_per_hour: gauge(10, 10_000),
            users_seconds: gauge(600, 600),
        }],
        flaps: vec![
            flap(
                FlapKey::Locator {
                    user: user("paris-001"),
                    dc: site("telco"),
                },
                3_400.0,
                40,
                4,
                Some(614),
            ),
            flap(
                FlapKey::Entry {
                    user: user("paris-001"),
                    vm: vm(),
                },
                1_000.0,
                130,
                1,
                None,
            ),
        ],
        damping: Damping {
            penalty: 1_000,
            half_life: Span::secs(300),
            suppress: 3_000,
            reuse: 750,
        },
        autonomy: Vec::new(),
        drains: vec![DrainRow {
            dc: site("lip6"),
            by: Some(ana()),
            left: 1,
        }],
        windows: vec![WindowRow {
            name: "nights".to_owned(),
            denies: true,
            on: false,
            changes_at: Some(NOW + Span::secs(7_200)),
        }],
    }
}

/// Why paris-001 does not go to Marilyn: the gain is short, and policy says no besides.
pub(crate) fn why() -> Why {
    let check = |name: &str, holds, text: &str, margin| Check {
        name: name.to_owned(),
        holds,
        text: text.to_owned(),
        margin,
    };
    let rung = |kind, to: Option<&str>, enough, gain, unavailable: Option<&str>| Rung {
        kind,
        to: to.map(site),
        enough,
        gain_user_ms: gain,
        downtime: (kind != RungKind::Migrate).then_some(Span::ZERO),
        bytes: match kind {
            RungKind::Nothing => Some(0),
            RungKind::Switch => Some(288),
            RungKind::Subflow => None,
            RungKind::Migrate => Some(512_000_000),
        },
        users_at_risk: match kind {
            RungKind::Nothing | RungKind::Subflow => 0,
            RungKind::Switch => 1,
            RungKind::Migrate => 3,
        },
        revert_in: (kind != RungKind::Migrate).then_some(Span(35_284)),
        unavailable: unavailable.map(str::to_owned),
    };
    Why {
        user: user("paris-001"),
        vm: vm(),
        from: site("telco"),
        to: site("marilyn"),
        at: NOW,
        outlook: Outlook::Stays,
        checks: vec![
            check("place", true, "it enters by TelcoCenter", None),
            check("level", true, "TelcoCenter is out of its bounds for 12.0 s", None),
            check("usable", true, "Marilyn answers", None),
            check("rules", true, "Marilyn may be entered", None),
            check("best", true, "Marilyn is best: penalty 0.80", None),
            check("violation", true, "its class leaves for it", None),
            check(
                "gain",
                false,
                "moves at gain >= 43.7 ms; now 9.3",
                Some(Margin::Gain {
                    unit: "ms".to_owned(),
                    now: 9.3,
                    flips_at: 43.7,
                }),
            ),
            check(
                "cool-down",
                false,
                "4:10 left",
                Some(Margin::Until {
                    at: NOW + Span::secs(250),
                    left: Span::secs(250),
                }),
            ),
            check("quiet", true, "over", None),
            check(
                "policy",
                false,
                "budget 'all' has no room: 600 of 600 users x seconds an hour, which is as much as this session lets \
                 people move in an hour",
                None,
            ),
        ],
        rungs: vec![
            rung(RungKind::Nothing, None, Some(false), Some(0.0), None),
            rung(RungKind::Switch, Some("marilyn"), Some(true), Some(402.1), None),
            rung(
                RungKind::Subflow,
                None,
                Some(true),
                Some(402.1),
                Some("no MPTCP daemon is connected at the user's host"),
            ),
            rung(
                RungKind::Migrate,
                Some("marilyn"),
                Some(true),
                Some(380.0),
                Some("no hypervisor is connected to this engine"),
            ),
        ],
        pick: 1,
    }
}

/// Presses a key that asks why, and answers.
pub(crate) fn answer_why(console: &mut Headless, key: &str, at: Timestamp) {
    let effects = press(console, key, at);
    let request = effects.iter().find_map(|effect| match effect {
        Effect::Ask(request, Command::Why { .. }) => Some(request.clone()),
        _ => None,
    });
    let reply = EngineFrame::Reply {
        request: request.expect("the key asks why"),
        reply: Reply::Explained { why: Box::new(why()) },
    };
    console.update(Input::frame(reply), at + Span::millis(300));
}

/// What telco's forwarder said: registrations, a replay that was refused, a Map-Request.
pub(crate) fn messages() -> Vec<LoggedMessage> {
    let register = "10.1.0.7/32 = 172.16.0.1 1/100 (1440 min), nonce 0x0000000000000007, key 1";
    let accepted = || MessageOutcome::Accepted { what: None };
    [
        (
            Direction::Out,
            "172.16.9.1",
            MessageKind::MapRegister,
            register,
            MessageOutcome::Sent,
        ),
        (
            Direction::In,
            "172.16.9.1",
            MessageKind::MapNotify,
            register,
            accepted(),
        ),
        (
            Direction::In,
            "172.16.1.1",
            MessageKind::MapRequest,
            "10.1.0.7/32 for 10.2.1.1, answer to 172.16.1.1, nonce 0x00000000000000aa",
            accepted(),
        ),
        (
            Direction::In,
            "172.16.6.6",
            MessageKind::ChangePriority,
            "10.1.0.7/32 = 172.16.6.6 1/100, nonce 0x0000000000000001, key 2",
            MessageOutcome::Refused {
                why: "control.refused.replay".to_owned(),
            },
        ),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, (direction, peer, kind, line, outcome))| LoggedMessage {
        number: index as u64 + 1,
        at: NOW - Span::secs(9 - 2 * index as u64),
        direction,
        peer: (peer.parse::<std::net::IpAddr>().unwrap(), 4342).into(),
        local: None,
        dscp: None,
        kind,
        line: line.to_owned(),
        eids: Vec::new(),
        nonce: None,
        key_id: None,
        algorithm: None,
        outcome,
        length: 60,
        fields: Vec::new(),
        bytes: String::new(),
    })
    .collect()
}

/// Answers what the console has just looked at: the log with these messages, the cache with one mapping.
pub(crate) fn answer_looks(
    console: &mut Headless,
    effects: &[Effect],
    messages: &[LoggedMessage],
    at: Timestamp,
) {
    for effect in effects {
        let Effect::Ask(request, Command::Look { what, .. }) = effect else {
            continue;
        };
        let report = match what {
            Look::Log { query } => NodeReport::Log(LogPage {
                messages: messages.to_vec(),
                next: query.after + messages.len() as u64,
                ..LogPage::default()
            }),
            Look::Table { .. } => NodeReport::Page(Page {
                page: Box::new(NodeReport::MapCache {
                    rows: vec![mapping()],
                }),
                next: None,
            }),
        };
        let reply = EngineFrame::Reply {
            request: request.clone(),
            reply: Reply::Looked {
                report: Box::new(report),
            },
        };
        console.update(Input::frame(reply), at);
    }
}

fn mapping() -> CacheRow {
    let cached = |address: &str, priority, up| CacheLocator {
        locator: lisp_wire::Locator::unicast(rloc(address), Priority(priority), Weight(100)),
        up,
        packets: 3_912,
        bytes: 1 << 20,
    };
    CacheRow {
        eid: "10.2.1.0/24".parse().unwrap(),
        forwarding: "encapsulate".to_owned(),
        locators: vec![cached("172.16.1.1", 1, true), cached("172.16.1.9", 2, false)],
        expires_in: Span::secs(82_000),
        origin: "map-reply".to_owned(),
        told_at: NOW,
        in_force_at: None,
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
    snapshot.histories.clear();
    snapshot.rlocs.clear();
    snapshot.proposals.clear();
    snapshot.log.clear();
    snapshot
}

pub(crate) fn options(layout: &str) -> Options {
    Options {
        layout: Arrangement::parse(layout).unwrap(),
        colour: Colour::Sixteen,
        glyphs: Glyphs::Unicode,
        operator: "ana".to_owned(),
        on_lost: OnLost::Wait,
        guide: None,
    }
}

/// A console before its first frame.
pub(crate) fn blank(layout: &str, size: (u16, u16)) -> Headless {
    Headless::new(options(layout), size, zone(), NOW)
}

/// A console that was sent this snapshot.
pub(crate) fn console_with(snapshot: Snapshot, layout: &str, size: (u16, u16)) -> Headless {
    let mut console = blank(layout, size);
    let hello = EngineFrame::Hello {
        protocol: PROTOCOL,
        session: snapshot.session.clone(),
        mode: snapshot.mode,
    };
    console.update(Input::frame(hello), NOW);
    console.update(Input::frame(EngineFrame::Snapshot { snapshot }), NOW);
    console
}

/// A console that was sent the fixture.
pub(crate) fn console(layout: &str, size: (u16, u16)) -> Headless {
    console_with(snapshot(), layout, size)
}

/// Presses keys 210 ms apart from `at`: single letters, or names such as `Enter`. All effects, in order.
pub(crate) fn press(console: &mut Headless, keys: &str, at: Timestamp) -> Vec<Effect> {
    let keys = keys.split_whitespace().enumerate();
    keys.flat_map(|(index, key)| console.update(typed(key), at + Span::millis(210 * (index as u64 + 1))))
        .collect()
}

/// One key.
pub(crate) fn typed(key: &str) -> Input {
    let (code, modifiers) = match key {
        "Enter" => (KeyCode::Enter, KeyModifiers::NONE),
        "Esc" => (KeyCode::Esc, KeyModifiers::NONE),
        "Tab" => (KeyCode::Tab, KeyModifiers::NONE),
        "BackTab" => (KeyCode::BackTab, KeyModifiers::SHIFT),
        "Down" => (KeyCode::Down, KeyModifiers::NONE),
        "Left" => (KeyCode::Left, KeyModifiers::NONE),
        "Right" => (KeyCode::Right, KeyModifiers::NONE),
        "Up" => (KeyCode::Up, KeyModifiers::NONE),
        "PgDn" => (KeyCode::PageDown, KeyModifiers::NONE),
        "PgUp" => (KeyCode::PageUp, KeyModifiers::NONE),
        "Home" => (KeyCode::Home, KeyModifiers::NONE),
        "End" => (KeyCode::End, KeyModifiers::NONE),
        "Backspace" => (KeyCode::Backspace, KeyModifiers::NONE),
        "^C" => (KeyCode::Char('c'), KeyModifiers::CONTROL),
        "^L" => (KeyCode::Char('l'), KeyModifiers::CONTROL),
        letter => (KeyCode::Char(letter.chars().next().unwrap()), KeyModifiers::NONE),
    };
    Input::Key(KeyEvent::new(code, modifiers))
}

/// Lets the console take one notice.
pub(crate) fn notice(console: &mut Headless, notice: Notice, at: Timestamp) -> Vec<Effect> {
    console.update(
        Input::frame(EngineFrame::Notices {
            notices: vec![notice],
        }),
        at,
    )
}

/// What the effects ask of the engine.
pub(crate) fn asked(effects: &[Effect]) -> Vec<&proto::Command> {
    let asked = effects.iter().filter_map(|effect| match effect {
        Effect::Ask(_, command) => Some(command),
        _ => None,
    });
    asked.collect()
}
