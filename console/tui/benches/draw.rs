//! How long a frame of 10,000 links takes, and how long a filter over them. `cargo bench -p tui`

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use chrono::FixedOffset;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use lisp_wire::Rloc;
use proto::name::NameError;
use proto::snapshot::{HistoryPoint, LinkHistory, RttFigures};
use proto::{
    EngineFrame, LinkId, LinkRow, LinkState, Mode, Notice, SiteName, SlaName, Snapshot, Span, Timestamp,
    UserName,
};
use tui::headless::Headless;
use tui::{Arrangement, Colour, Glyphs, Input, OnLost, Options};

const LINKS: usize = 10_000;
const NOW: Timestamp = Timestamp(1_772_456_551_400_000);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zone = FixedOffset::east_opt(0).ok_or("no zone")?;
    let options = Options {
        layout: Arrangement::Auto,
        colour: Colour::Sixteen,
        glyphs: Glyphs::Unicode,
        operator: "bench".to_owned(),
        on_lost: OnLost::Wait,
        guide: None,
        quitting: tui::Quitting::default(),
        history: None,
    };
    let mut console = Headless::new(options, (200, 50), zone, NOW);
    let snapshot = snapshot()?;
    let rows: Vec<LinkRow> = snapshot.links.clone();

    let mut out = std::io::stdout();
    let mut report = |name: &str, times: Vec<Duration>| {
        let mut times = times;
        times.sort();
        let at = |share: usize| {
            times
                .get(times.len() * share / 100)
                .copied()
                .unwrap_or_default()
                .as_secs_f64()
                * 1e3
        };
        writeln!(out, "{name:<44} median {:8.3} ms   p99 {:8.3} ms", at(50), at(99))
    };

    let took = Instant::now();
    console.update(Input::frame(EngineFrame::Snapshot { snapshot }), NOW);
    report("a snapshot of 10,000 links", vec![took.elapsed()])?;
    report(
        "a frame",
        time(200, |_| {
            black_box(console.draw());
        }),
    )?;

    let mut now = NOW;
    let sorted = time(50, |_| {
        now = now + Span::secs(1);
        black_box(console.update(Input::Tick, now));
    });
    report("a second passes: sort anew", sorted)?;

    let noticed = time(50, |round| {
        let row = rows.get(round % rows.len()).cloned();
        let notices: Vec<Notice> = row
            .into_iter()
            .cycle()
            .take(1_000)
            .map(|row| Notice::Link { row })
            .collect();
        black_box(console.update(Input::frame(EngineFrame::Notices { notices }), now));
    });
    report("1,000 notices", noticed)?;

    press(&mut console, KeyCode::Char('/'), now);
    let filtered = time(50, |round| {
        let key = if round % 2 == 0 {
            KeyCode::Char('7')
        } else {
            KeyCode::Backspace
        };
        press(&mut console, key, now);
    });
    report("a letter of a filter", filtered)?;
    Ok(())
}

fn time(rounds: usize, mut work: impl FnMut(usize)) -> Vec<Duration> {
    let once = |round| {
        let took = Instant::now();
        work(round);
        took.elapsed()
    };
    (0..rounds).map(once).collect()
}

fn press(console: &mut Headless, code: KeyCode, now: Timestamp) {
    black_box(console.update(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)), now));
}

fn snapshot() -> Result<Snapshot, NameError> {
    let mut links = Vec::with_capacity(LINKS);
    let mut histories = Vec::with_capacity(LINKS);
    for index in 0..LINKS {
        let link = LinkId {
            user: UserName::new(&format!("user-{:05}", index / 4))?,
            dc: SiteName::new(&format!("dc-{}", index % 4))?,
        };
        let rtt = 20.0 + (index * 7_919 % 1_000) as f64 / 10.0;
        let points = (0..120).map(|second| HistoryPoint {
            at: NOW - Span::secs(120 - second),
            rtt_ms: (second * 31 % 97 != 0).then_some(rtt),
        });
        histories.push(LinkHistory {
            link: link.clone(),
            points: points.collect(),
        });
        links.push(LinkRow {
            link,
            user_rloc: Rloc(std::net::IpAddr::from([10, 0, (index >> 8) as u8, index as u8])),
            sla: SlaName::new("interactive")?,
            state: if index % 50 == 0 {
                LinkState::Broken
            } else {
                LinkState::Ok
            },
            carries: Vec::new(),
            rtt: Some(RttFigures {
                last: rtt,
                min: rtt,
                mean: rtt,
                p50: rtt,
                p95: rtt,
                p99: rtt,
            }),
            jitter_ms: Some(0.4),
            loss_pct: Some(0.0),
            availability_pct: Some(100.0),
            margin_ms: Some(100.0 - rtt),
            heard_at: Some(NOW),
        });
    }
    Ok(Snapshot {
        at: NOW,
        session: "bench".to_owned(),
        engine_since: NOW,
        mode: Mode::Recommend,
        nodes: Vec::new(),
        links,
        legs: Vec::new(),
        histories,
        rlocs: Vec::new(),
        proposals: Vec::new(),
        log: std::collections::VecDeque::new(),
        policy: proto::PolicyRow::default(),
        availability: proto::AvailabilityReport::default(),
        qoe: proto::QoeReport::default(),
        clock_ahead: proto::Span::ZERO,
    })
}
