//! The command palette: what keys do, typed.

use proto::{Command, Disarmed, FlapKey, Mode, ProposalId, Scope, Span, Verdict};

use super::{SIZE, later, status};
use crate::app::palette::without_reason;
use crate::fixture::{NOW, asked, console_with, policy, press, site, snapshot, typed, user, vm};
use crate::headless::Headless;
use crate::{Effect, Input};

fn with_policy() -> Headless {
    let mut snapshot = snapshot();
    snapshot.policy = policy();
    console_with(snapshot, "noc", SIZE)
}

/// Types a line after `:`, and Enter.
fn type_line(console: &mut Headless, line: &str, at: u64) -> Vec<Effect> {
    console.update(typed(":"), later(at));
    for (index, letter) in line.chars().enumerate() {
        let key = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Char(letter));
        console.update(Input::Key(key), later(at + 10 + index as u64));
    }
    console.update(typed("Enter"), later(at + 500))
}

fn line(console: &Headless) -> &str {
    console
        .app
        .field
        .as_ref()
        .map(|field| field.line.as_str())
        .unwrap_or_default()
}

#[test]
fn what_changes_anything_is_asked_for_after_a_question() {
    let switch = Command::Switch {
        user: user("paris-001"),
        vm: vm(),
        to: site("lip6"),
    };
    let glass = Command::BreakGlass {
        reason: "fire at Telco".to_owned(),
        ask: switch.clone().try_into().unwrap(),
    };
    let decide = |verdict| Command::Decide {
        proposal: ProposalId(17),
        revision: 3,
        verdict,
    };
    let part = |scope, mode| Command::SetModeAt { scope, mode };
    for (typed_line, wanted) in [
        ("switch paris-001 LIP6", switch.clone()),
        ("switch paris-001 vm-web-07 lip6", switch),
        ("glass switch paris-001 lip6 because fire at Telco", glass),
        ("approve 17", decide(Verdict::Approve)),
        ("reject #17", decide(Verdict::Reject)),
        (
            "disarm ignore",
            Command::Disarm {
                how: Disarmed::Ignore,
            },
        ),
        ("mode auto", Command::SetMode { mode: Mode::Auto }),
        (
            "mode auto user paris-001",
            part(
                Scope::User {
                    user: user("paris-001"),
                },
                Some(Mode::Auto),
            ),
        ),
        (
            "mode observe dc TelcoCenter",
            part(Scope::Dc { dc: site("telco") }, Some(Mode::Observe)),
        ),
        ("mode inherit vm vm-web-07", part(Scope::Vm { vm: vm() }, None)),
        ("drain telco", Command::Drain { dc: site("telco") }),
        ("undrain lip6", Command::Undrain { dc: site("lip6") }),
        (
            "pin switch/down/interactive auto",
            Command::PinClass {
                class: "switch/down/interactive".parse().unwrap(),
                mode: Some(Mode::Auto),
            },
        ),
        (
            "unpin switch/rtt/voice",
            Command::PinClass {
                class: "switch/rtt/voice".parse().unwrap(),
                mode: None,
            },
        ),
        (
            "pardon switch/rtt/interactive",
            Command::ForgiveClass {
                class: "switch/rtt/interactive".parse().unwrap(),
            },
        ),
        (
            "forgive paris-001 telco",
            Command::Forgive {
                key: FlapKey::Locator {
                    user: user("paris-001"),
                    dc: site("telco"),
                },
            },
        ),
    ] {
        let mut console = with_policy();
        let effects = type_line(&mut console, typed_line, 0);
        assert!(asked(&effects).is_empty(), "{typed_line}: not by Enter alone");
        assert!(console.app.dialog.is_some(), "{typed_line}: {}", console.text());
        assert!(
            asked(&press(&mut console, "Enter", later(1_000))).is_empty(),
            "{typed_line}: Cancel is first"
        );
        type_line(&mut console, typed_line, 3_000);
        assert_eq!(
            asked(&press(&mut console, "y", later(4_000))),
            [&wanted],
            "{typed_line}"
        );
    }
}

#[test]
fn a_question_changes_nothing_and_is_asked_at_once() {
    let mut console = with_policy();
    let wanted = Command::Why {
        user: user("paris-001"),
        vm: None,
        to: Some(site("lip6")),
    };
    assert_eq!(
        asked(&type_line(&mut console, "why paris-001 lip6", 0)),
        [&wanted]
    );
    assert!(console.app.card.is_some());
    let mut console = with_policy();
    let wanted = Command::Plan {
        price: Some(Span::millis(20)),
        budget: Some(Span::secs(10)),
    };
    let effects = type_line(&mut console, "plan price 20ms within 10s", 0);
    assert_eq!(asked(&effects), [&wanted]);
    let mut console = with_policy();
    assert!(asked(&type_line(&mut console, "autonomy", 0)).is_empty());
    assert!(
        console.text().contains("switch/rtt/interactive  RECOMMEND"),
        "{}",
        console.text()
    );
}

#[test]
fn what_is_wrong_with_a_line_stands_beside_it_and_the_line_stays() {
    let mut console = with_policy();
    for (typed_line, trouble) in [
        ("swich paris-001 lip6", "there is no command 'swich'"),
        ("switch nobody lip6", "no user 'nobody'; known: campus, lyon-042"),
        (
            "switch paris-001 nowhere",
            "no data centre 'nowhere'; known: lip6, marilyn, telco",
        ),
        ("switch paris-001", "write it switch USER [VM] DC"),
        ("approve 15", "#15 is confirmed"),
        ("plan price", "write it plan [price LENGTH]"),
        ("plan price much", "much"),
        (
            "pin switch/rtt/voice observe",
            "write it pin CLASS recommend|auto",
        ),
        ("pin switch/loss/voice auto", "no class of actions"),
        ("approve 99", "no proposal '99'; known: 17"),
        ("mode bogus", "'bogus' is no mode: use observe"),
        ("arm", "the engine is armed already"),
        ("drain lip6", "it is being drained already"),
        ("undrain telco", "it is not being drained"),
        ("forgive lyon-042 telco", "it has no flaps"),
        ("glass switch paris-001 lip6", "say why: because REASON"),
        ("glass drain telco because so", "write it glass switch"),
        ("sort by nothing", "no column"),
        ("layout nowhere", "no layout 'nowhere'; known: noc"),
        ("filter (", "unclosed group"),
        ("help me", "'help' takes nothing after it"),
    ] {
        let effects = type_line(&mut console, typed_line, 0);
        assert!(
            asked(&effects).is_empty() && console.app.dialog.is_none(),
            "{typed_line}"
        );
        assert_eq!(line(&console), typed_line);
        let text = console.text();
        assert!(text.contains(trouble), "{typed_line}: {text}");
        press(&mut console, "Esc", later(600));
    }
}

#[test]
fn a_word_alone_does_what_its_key_does() {
    let mut console = with_policy();
    type_line(&mut console, "freeze", 0);
    assert!(console.app.frozen.is_some());
    type_line(&mut console, "freeze", 1_000);
    assert!(console.app.frozen.is_none());
    type_line(&mut console, "sort RTT", 2_000);
    assert_eq!(status(&console), "sorted by RTT");
    type_line(&mut console, "filter lyon", 3_000);
    assert_eq!(console.app.table.order.len(), 3);
    type_line(&mut console, "disarm", 4_000);
    assert!(console.app.dialog.is_some());
}

#[test]
fn tab_completes_words_in_turn_and_lists_them() {
    let mut console = with_policy();
    press(&mut console, ": s w Tab", NOW);
    assert_eq!(line(&console), "switch ");
    assert!(
        console
            .text()
            .contains("campus lyon-042 nice-011 paris-001 rennes-003")
    );
    press(&mut console, "p Tab Tab", later(3_000));
    // The word that fitted alone was taken; the next Tab is about the data centre.
    assert_eq!(line(&console), "switch paris-001 lip6 ");
    press(&mut console, "Tab", later(5_000));
    assert_eq!(line(&console), "switch paris-001 marilyn ");
    press(&mut console, "Esc", later(6_000));
    assert!(console.app.field.is_none());
}

#[test]
fn earlier_commands_come_back_and_the_same_twice_counts_once() {
    let mut console = with_policy();
    for (index, typed_line) in ["filter lyon", "filter lyon", "sort RTT"].into_iter().enumerate() {
        type_line(&mut console, typed_line, 1_000 * index as u64);
    }
    press(&mut console, ": Up", later(4_000));
    assert_eq!(line(&console), "sort RTT");
    press(&mut console, "Up Up Up", later(5_000));
    assert_eq!(line(&console), "filter lyon");
    press(&mut console, "Down Down", later(6_000));
    assert_eq!(line(&console), "");
}

#[test]
fn a_line_is_mended_where_the_caret_is() {
    let mut console = with_policy();
    press(&mut console, ": s w i t c h Space l y o n Space l i p 6", NOW);
    // Back over the data centre, and the rest of the user's name.
    press(&mut console, "Left Left Left Left Left - 0 4 2", later(5_000));
    assert_eq!(line(&console), "switch lyon-042 lip6");
    press(&mut console, "^A x Backspace Delete s ^E Backspace", later(9_000));
    assert_eq!(line(&console), "switch lyon-042 lip");
    press(&mut console, "^W ^W", later(12_000));
    assert_eq!(line(&console), "switch ");
    press(&mut console, "Home Right Right ^U", later(13_000));
    assert_eq!(line(&console), "itch ");
    press(&mut console, "^F ^K End y", later(15_000));
    assert_eq!(line(&console), "iy");
    press(&mut console, "^B", later(17_000));
    console.update(Input::Paste("n\ndeed\t".to_owned()), later(18_000));
    assert_eq!(line(&console), "indeedy", "a paste goes in at the caret");
}

#[test]
fn tab_completes_the_word_before_the_caret_and_keeps_the_rest() {
    let mut console = with_policy();
    press(
        &mut console,
        ": s w i Space l i p 6 Home Right Right Right Tab",
        NOW,
    );
    assert_eq!(line(&console), "switch  lip6");
    press(&mut console, "p Tab", later(5_000));
    assert_eq!(line(&console), "switch paris-001  lip6");
    let effects = press(&mut console, "Enter", later(6_000));
    assert!(asked(&effects).is_empty());
    assert!(console.app.dialog.is_some());
}

#[test]
fn the_caret_is_seen_however_long_the_line_is() {
    let mut console = console_with(snapshot(), "compact", (80, 24));
    press(&mut console, ":", NOW);
    console.update(
        Input::Paste("filter ".to_owned() + &"abcdefghij".repeat(15)),
        later(500),
    );
    let typed_line = |console: &mut Headless| {
        let text = console.text();
        let found = text.lines().find(|line| line.contains("abcdefghij"));
        found.unwrap_or_default().to_owned()
    };
    let long = typed_line(&mut console);
    // The caret is the blank behind the last letter.
    assert!(
        long.starts_with(" :…") && long.trim_end_matches('…').ends_with("hij "),
        "{long}"
    );
    press(&mut console, "Home", later(1_000));
    let long = typed_line(&mut console);
    assert!(long.starts_with(" :filter abc"), "{long}");
}

#[test]
fn commands_that_were_taken_are_to_be_remembered_and_others_are_not() {
    let mut console = with_policy();
    let remembered = |effects: &[Effect]| -> Vec<String> {
        let of = |effect: &Effect| match effect {
            Effect::Remember(line) => Some(line.clone()),
            _ => None,
        };
        effects.iter().filter_map(of).collect()
    };
    let effects = type_line(&mut console, "filter lyon", 0);
    assert_eq!(remembered(&effects), ["filter lyon"]);
    assert!(remembered(&type_line(&mut console, "filter lyon", 2_000)).is_empty());
    assert!(remembered(&type_line(&mut console, "hunter2", 4_000)).is_empty());
    assert_eq!(
        without_reason("glass approve 17 because I say so"),
        "glass approve 17 because "
    );
    assert_eq!(without_reason("filter because x"), "filter because x");
}

/// M16.
#[test]
fn a_pasted_command_is_not_carried_out_whichever_way_it_comes() {
    // Bracketed: line ends are dropped, and Enter is the operator's.
    let mut console = with_policy();
    press(&mut console, ":", NOW);
    let effects = console.update(Input::Paste("drain telco\ny\n".to_owned()), later(1_000));
    assert!(asked(&effects).is_empty());
    assert_eq!(line(&console), "drain telcoy");
    // As a storm of keys: it gets as far as a question, which is deaf to the rest.
    let mut console = with_policy();
    let storm = ":drain telco\ry\t\ry:disarm freeze\r\t\ry:switch paris-001 lip6\ry".repeat(20);
    let mut effects = Vec::new();
    for (index, letter) in storm.chars().enumerate() {
        let code = match letter {
            '\r' => crossterm::event::KeyCode::Enter,
            '\t' => crossterm::event::KeyCode::Tab,
            letter => crossterm::event::KeyCode::Char(letter),
        };
        let key = crossterm::event::KeyEvent::from(code);
        effects.extend(console.update(Input::Key(key), NOW + Span::millis(2 * index as u64)));
    }
    assert!(asked(&effects).is_empty(), "{:?}", asked(&effects));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Quit(_))));
}
