//! Screens, as they look. `.text()` leaves colours out, so every one of them must be legible without.

use proto::{Mode, Span, Timestamp};
use ratatui::style::{Color, Modifier};

use crate::fixture::{
    NOW, ana, answer_looks, answer_plan, answer_why, blank, console, console_with, empty, messages, notice,
    options, policy, press, snapshot, typed, zone,
};
use crate::headless::Headless;
use crate::{Colour, Glyphs, Input};

macro_rules! screen {
    ($name:ident, $console:expr) => {
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), $console.text());
        }
    };
}

/// A console after these keys.
fn after(keys: &str, layout: &str, size: (u16, u16)) -> Headless {
    let mut console = console(layout, size);
    press(&mut console, keys, NOW);
    console
}

screen!(noc_120x40, console("noc", (120, 40)));
screen!(noc_160x50, console("noc", (160, 50)));
screen!(noc_200x50, console("noc", (200, 50)));
screen!(noc_100x24, console("noc", (100, 24)));
screen!(compact_80x24, console("compact", (80, 24)));
screen!(compact_120x40, console("compact", (120, 40)));
screen!(wall_80x24, console("wall", (80, 24)));
screen!(wall_120x40, console("wall", (120, 40)));
screen!(wall_200x50, console("wall", (200, 50)));

screen!(accounts_80x24, console("accounts", (80, 24)));
screen!(accounts_160x50, console("accounts", (160, 50)));
screen!(empty_accounts_80x24, console_with(empty(), "accounts", (80, 24)));

screen!(empty_noc_120x40, console_with(empty(), "noc", (120, 40)));
screen!(empty_compact_80x24, console_with(empty(), "compact", (80, 24)));
screen!(empty_wall_80x24, console_with(empty(), "wall", (80, 24)));
screen!(waiting_80x24, blank("auto", (80, 24)));

screen!(dialog_approve_80x24, after("a", "compact", (80, 24)));
screen!(dialog_reject_120x40, after("r", "noc", (120, 40)));
screen!(dialog_switch_80x24, after("e Tab", "compact", (80, 24)));
screen!(dialog_mode_80x24, after("m Tab Tab", "compact", (80, 24)));
screen!(dialog_quit_80x24, after("q", "compact", (80, 24)));
screen!(dialog_40x10, after("q", "auto", (40, 10)));
screen!(help_80x24, after("?", "compact", (80, 24)));
screen!(help_120x60, after("?", "noc", (120, 60)));
screen!(help_on_the_wall_120x60, after("?", "wall", (120, 60)));

screen!(filter_typed_80x24, after("/ c a m p", "compact", (80, 24)));
screen!(filter_bad_80x24, after("/ (", "compact", (80, 24)));
screen!(filter_kept_120x40, after("/ ! o k Enter", "noc", (120, 40)));
screen!(
    filter_matches_nothing_80x24,
    after("/ z z Enter", "compact", (80, 24))
);
screen!(sorted_120x40, after("s s S", "noc", (120, 40)));
screen!(receipt_120x40, after("Tab Tab j j", "noc", (120, 40)));
screen!(failed_120x40, after("Tab Tab j j j", "noc", (120, 40)));
screen!(scrolled_log_80x24, after("BackTab j j", "compact", (80, 24)));
screen!(refused_80x24, after("a Esc f a", "compact", (80, 24)));

screen!(dialog_disarm_80x24, with_policy("d", "compact", (80, 24)));
screen!(dialog_disarm_160x50, with_policy("d", "noc", (160, 50)));
screen!(dialog_arm_80x24, disarmed("d", (80, 24)));
screen!(disarmed_80x24, disarmed("", (80, 24)));
screen!(disarmed_160x50, disarmed("", (160, 50)));
screen!(dialog_drain_80x24, with_policy("D", "compact", (80, 24)));
screen!(dialog_undrain_80x24, with_policy("j D", "compact", (80, 24)));
screen!(dialog_forgive_80x24, with_policy("F", "compact", (80, 24)));
screen!(dialog_forgive_one_160x50, with_policy("p j F", "noc", (160, 50)));
screen!(dialog_mode_of_parts_80x24, with_policy("M", "compact", (80, 24)));
screen!(
    dialog_mode_of_user_80x24,
    with_policy("M Down Enter", "compact", (80, 24))
);
screen!(
    dialog_glass_80x24,
    with_policy("Tab B t e s t Enter", "compact", (80, 24))
);
screen!(policy_80x24, with_policy("p", "compact", (80, 24)));
screen!(policy_160x50, with_policy("p j j", "noc", (160, 50)));
screen!(palette_80x24, with_policy(": s w Tab p", "compact", (80, 24)));
screen!(palette_verbs_160x50, with_policy(":", "noc", (160, 50)));
screen!(
    palette_trouble_80x24,
    with_policy(": d r a n Enter", "compact", (80, 24))
);
screen!(node_80x24, looked((80, 24)));
screen!(node_160x50, looked((160, 50)));
screen!(node_waiting_80x24, after("n", "compact", (80, 24)));
screen!(why_80x24, explained("", (80, 24)));
screen!(why_scrolled_80x24, explained("PgDn", (80, 24)));
screen!(why_160x50, explained("", (160, 50)));
screen!(why_waiting_80x24, after("w", "compact", (80, 24)));
screen!(plan_80x24, planned((80, 24)));
screen!(plan_160x50, planned((160, 50)));
screen!(plan_waiting_80x24, after("P", "compact", (80, 24)));
screen!(autonomy_80x24, with_policy("A", "compact", (80, 24)));
screen!(autonomy_160x50, with_policy("A", "noc", (160, 50)));
screen!(autonomy_of_nothing_80x24, after("A", "compact", (80, 24)));
screen!(
    dialog_pardon_80x24,
    with_policy(
        ": p a r d o n Space s w i t c h / r t t / i n t e r a c t i v e Enter",
        "compact",
        (80, 24)
    )
);

screen!(lost_80x24, {
    let mut console = console("compact", (80, 24));
    console.update(
        Input::Lost {
            why: "connection reset by peer".to_owned(),
        },
        NOW + Span::secs(1),
    );
    console.update(Input::Tick, NOW + Span::secs(12));
    console
});

screen!(stale_120x40, {
    let mut console = console("noc", (120, 40));
    console.update(Input::Tick, NOW + Span::secs(75));
    console
});

screen!(guide_80x24, {
    let mut console = console("compact", (80, 24));
    console.update(
        Input::Guide(Some(
            "the user's link to TelcoCenter has gone bad, and a switch is proposed: press a, then y, to approve it".to_owned(),
        )),
        NOW,
    );
    console
});

screen!(small_59x20, console("auto", (59, 20)));
screen!(slim_60x12, console("auto", (60, 12)));
screen!(slim_79x23, console("auto", (79, 23)));
screen!(small_disarmed_40x8, disarmed("", (40, 8)));
screen!(small_disarming_20x5, after("d", "auto", (20, 5)));
screen!(small_frozen_59x11, with_policy("f", "auto", (59, 11)));
screen!(small_40x8, console("auto", (40, 8)));
screen!(small_20x3, console("auto", (20, 3)));

screen!(ascii_120x40, {
    let mut options = options("noc");
    options.glyphs = Glyphs::Ascii;
    let mut console = Headless::new(options, (120, 40), zone(), NOW);
    let frame = proto::EngineFrame::Snapshot { snapshot: snapshot() };
    console.update(Input::frame(frame), NOW);
    console
});

/// A console with flaps, drains, budgets and modes of parts, after these keys.
fn with_policy(keys: &str, layout: &str, size: (u16, u16)) -> Headless {
    let mut snapshot = snapshot();
    snapshot.policy = policy();
    let mut console = console_with(snapshot, layout, size);
    press(&mut console, keys, NOW);
    console
}

fn disarmed(keys: &str, size: (u16, u16)) -> Headless {
    let mut snapshot = snapshot();
    snapshot.policy.arming = proto::Arming::Disarmed {
        how: proto::Disarmed::Freeze,
        by: ana(),
        since: NOW - Span::secs(75),
    };
    let mut console = console_with(snapshot, "auto", size);
    press(&mut console, keys, NOW);
    console
}

/// A console that looked into a forwarder.
fn looked(size: (u16, u16)) -> Headless {
    let mut console = after("n Right", "auto", size);
    let at = NOW + Span::secs(1);
    let effects = console.update(Input::Tick, at);
    answer_looks(&mut console, &effects, &messages(), at);
    console
}

/// A console that asked why and was told, after these keys.
fn explained(keys: &str, size: (u16, u16)) -> Headless {
    let mut console = console("auto", size);
    answer_why(&mut console, "w", NOW);
    press(&mut console, keys, NOW + Span::secs(1));
    console
}

/// A console that asked for a plan and was told.
fn planned(size: (u16, u16)) -> Headless {
    let mut console = console("auto", size);
    answer_plan(&mut console, "P", NOW);
    console
}

/// Every state of the console, for tests of all of them.
fn states() -> Vec<(&'static str, Headless)> {
    let keys = [
        "",
        "a",
        "r",
        "e",
        "m",
        "d",
        "p",
        ": s w",
        "n",
        "P",
        "A",
        "q",
        "?",
        "/ (",
        "f",
        "Tab j",
        "BackTab j j",
        "/ z z Enter",
        "l",
        "l l",
    ];
    let mut states: Vec<(&str, Headless)> = keys
        .into_iter()
        .map(|keys| (keys, after(keys, "auto", (120, 40))))
        .collect();
    states.push(("empty", console_with(empty(), "auto", (120, 40))));
    states.push(("waiting", blank("auto", (120, 40))));
    states.push(("wall", console("wall", (120, 40))));
    let mut lost = console("auto", (120, 40));
    lost.update(
        Input::Lost {
            why: "gone".to_owned(),
        },
        NOW,
    );
    lost.update(Input::Guide(Some("press a".to_owned())), NOW);
    states.push(("lost", lost));
    states
}

#[test]
fn no_size_is_too_small_to_draw() {
    let sizes =
        (1..=24).flat_map(|height| [1, 2, 3, 7, 19, 39, 79, 80, 99, 100, 121].map(|width| (width, height)));
    let sizes: Vec<(u16, u16)> = sizes.collect();
    for (state, mut console) in states() {
        for (width, height) in &sizes {
            console.update(
                Input::Resize {
                    width: *width,
                    height: *height,
                },
                NOW,
            );
            let text = console.text();
            assert!(
                state == "waiting" || !text.trim().is_empty(),
                "{state} at {width}x{height} shows nothing"
            );
        }
    }
}

#[test]
fn a_window_of_one_row_shows_the_gravest_first() {
    let mut console = console("auto", (4, 1));
    assert_eq!(console.text(), "x2 …\n");
}

#[test]
fn the_cursor_row_and_the_focused_button_are_reversed_and_marked_without_colours() {
    let mut plain = options("compact");
    plain.colour = Colour::Never;
    let mut console = Headless::new(plain, (80, 24), zone(), NOW);
    let frame = proto::EngineFrame::Snapshot { snapshot: snapshot() };
    console.update(Input::frame(frame), NOW);
    let buffer = console.draw();
    assert!(
        buffer
            .content
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    let cursor = buffer.cell((0, 3)).unwrap();
    assert_eq!(cursor.symbol(), ">");
    assert!(cursor.modifier.contains(Modifier::REVERSED));
    assert!(!buffer.cell((0, 4)).unwrap().modifier.contains(Modifier::REVERSED));

    console.update(typed("a"), NOW);
    let buffer = console.draw();
    let reversed: String = buffer
        .content
        .iter()
        .filter(|cell| cell.modifier.contains(Modifier::REVERSED))
        .map(ratatui::buffer::Cell::symbol)
        .collect();
    assert!(reversed.contains("[ Cancel ]"), "{reversed}");
}

#[test]
fn an_unplugged_probe_is_grey_with_its_age_within_two_intervals() {
    let mut console = console("compact", (80, 24));
    let row = |console: &mut Headless| console.text().lines().nth(6).unwrap_or_default().to_owned();
    assert!(row(&mut console).ends_with('█'), "{}", row(&mut console));
    // Probes are half a second apart in the fixture; figures are fresh for a second at least.
    console.update(Input::Tick, NOW + Span::millis(800));
    assert!(row(&mut console).ends_with("? 1s"), "{}", row(&mut console));
}

#[test]
fn the_wall_has_no_cursor() {
    let mut console = after("l", "noc", (120, 40));
    let text = console.text();
    assert!(text.contains("BROKEN"), "{text}");
    assert!(!text.contains(">~") && !text.contains(">x"), "{text}");
}

#[test]
fn loss_and_absence_are_never_drawn_as_zero() {
    let text = console("noc", (160, 50)).text();
    let down = text
        .lines()
        .find(|line| line.contains("nice-011     LIP6"))
        .unwrap();
    assert!(
        down.contains("××××") && down.contains('·') && !down.contains(" 0.0"),
        "{down}"
    );
}

#[test]
fn modes_are_words() {
    for (mode, word) in [
        (Mode::Observe, "OBSERVE"),
        (Mode::Recommend, "RECOMMEND"),
        (Mode::Auto, "AUTO"),
    ] {
        let mut snapshot = snapshot();
        snapshot.mode = mode;
        let text = console_with(snapshot, "compact", (80, 24)).text();
        assert!(text.lines().next().unwrap().contains(word), "{text}");
    }
}

#[test]
fn a_clock_that_differs_from_the_engines_is_told() {
    let mut console = blank("noc", (200, 50));
    let frame = proto::EngineFrame::Snapshot { snapshot: snapshot() };
    console.update(Input::frame(frame), Timestamp(NOW.micros() + 40_000_000));
    let text = console.text();
    assert!(text.contains("~ clocks differ by 40 s"), "{text}");
    // Ages are by the engine's clock all the same.
    assert!(
        text.contains("data 0.3 s") && text.contains("expires 0:47"),
        "{text}"
    );
}

#[test]
fn escape_codes_in_what_the_engine_says_do_not_reach_the_terminal() {
    let mut snapshot = snapshot();
    snapshot.nodes[1].label = "Mar\u{1b}[2Jilyn".to_owned();
    snapshot.log[7].text = "bell \u{7} and\nnewline".to_owned();
    let mut console = console_with(snapshot, "noc", (160, 50));
    assert!(
        console
            .draw()
            .content
            .iter()
            .all(|cell| !cell.symbol().contains(char::is_control))
    );
}

#[test]
fn engine_time_that_is_ahead_stands_in_the_top_line_until_it_is_not() {
    let mut ahead = snapshot();
    ahead.clock_ahead = Span::secs(12);
    let mut console = console_with(ahead, "auto", (160, 50));
    let top = |console: &mut Headless| console.text().lines().next().unwrap_or_default().to_owned();
    assert!(
        top(&mut console).contains("~ engine time 12 s ahead"),
        "{}",
        top(&mut console)
    );
    let clock = proto::Notice::Clock { ahead: Span::ZERO };
    notice(&mut console, clock, NOW + Span::secs(1));
    assert!(!top(&mut console).contains("ahead"), "{}", top(&mut console));
}

screen!(frozen_80x24, {
    let mut console = after("f", "compact", (80, 24));
    let mut worse = snapshot()
        .links
        .into_iter()
        .find(|row| row.link.user.as_str() == "campus")
        .unwrap();
    worse.state = proto::LinkState::Down;
    crate::fixture::notice(
        &mut console,
        proto::Notice::Link { row: worse },
        NOW + Span::secs(20),
    );
    console.update(Input::Tick, NOW + Span::secs(25));
    console
});

screen!(accounts_young_80x24, {
    let mut snapshot = snapshot();
    for tally in snapshot
        .availability
        .rows
        .iter_mut()
        .flat_map(|row| &mut row.tallies)
    {
        tally.counted = Span::secs(38);
    }
    console_with(snapshot, "accounts", (80, 24))
});

#[test]
fn what_is_down_or_stale_shows_no_figures_of_before() {
    for state in [proto::LinkState::Down, proto::LinkState::Stale] {
        let mut console = console("noc", (120, 40));
        let mut links = snapshot().links.into_iter();
        let id = |row: &proto::LinkRow| (row.link.user.to_string(), row.link.dc.to_string());
        let mut dead = links
            .find(|row| id(row) == ("paris-001".to_owned(), "telco".to_owned()))
            .unwrap();
        let rtt = "437.2";
        assert!(
            console.text().matches(rtt).count() >= 2,
            "{rtt}: link and locator"
        );
        let who = dead.link.user.to_string();
        dead.state = state;
        crate::fixture::notice(&mut console, proto::Notice::Link { row: dead }, NOW);
        console.update(Input::Tick, NOW + Span::secs(30));
        let text = console.text();
        let row = text
            .lines()
            .find(|line| line.contains(&who) && line.contains("? 30s"));
        assert!(row.is_some_and(|row| !row.contains(rtt)), "{state:?}: {text}");
        assert!(!text.contains(&format!("{rtt}     1 100")), "{state:?}: {text}");
        let meanwhile = if state == proto::LinkState::Down {
            "TelcoCenter is down"
        } else {
            "TelcoCenter is not heard"
        };
        assert!(
            text.contains(meanwhile) && !text.contains("traffic stays"),
            "{state:?}: {text}"
        );
    }
}
