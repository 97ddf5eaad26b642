//! From a key to a command: dialogs, and what stands in the way.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proto::{Command, EngineFrame, Mode, Notice, ProposalId, ProposalState, RequestId, Span, Verdict};

use super::{SIZE, approve, later, noc, revised, status};
use crate::fixture::{
    NOW, asked, blank, console, console_with, notice, options, press, site, snapshot, typed, user, vm, zone,
};
use crate::headless::Headless;
use crate::layout::PaneKind;
use crate::{Asks, Effect, Ending, Input, Keys, Quitting};

/// Keys as they were read: these, at once, at this moment; taken at that one.
fn read(console: &mut Headless, keys: &str, (read, taken): (u64, u64)) -> Vec<Effect> {
    let keys = keys.chars().map(|letter| match letter {
        '\r' => KeyEvent::from(KeyCode::Enter),
        '\t' => KeyEvent::from(KeyCode::Tab),
        '\x03' => KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL),
        letter => KeyEvent::from(KeyCode::Char(letter)),
    });
    let keys = keys.collect();
    let at = later(read);
    console.update(Input::Keys(Keys { keys, at }), later(taken))
}

#[test]
fn keys_that_come_at_once_are_no_answer_however_long_a_question_has_stood() {
    let mut console = noc();
    read(&mut console, "a", (0, 0));
    let effects = read(&mut console, &"\ta\r".repeat(300), (60_000, 60_000));
    assert!(asked(&effects).is_empty());
    assert!(
        status(&console).starts_with("900 keys came at once"),
        "{}",
        status(&console)
    );
    // The end of a long paste may come by itself, a little later.
    assert!(asked(&read(&mut console, "\t\r", (60_900, 60_900))).is_empty());
    assert!(asked(&read(&mut console, "y", (61_050, 61_050))).is_empty());
    assert_eq!(asked(&read(&mut console, "y", (61_800, 61_800))), [&approve()]);
}

#[test]
fn a_few_keys_gathered_by_a_slow_line_are_an_answer() {
    let mut console = noc();
    read(&mut console, "a", (0, 0));
    assert_eq!(asked(&read(&mut console, "\t\r", (1_000, 1_000))), [&approve()]);
}

#[test]
fn keys_pressed_before_a_question_was_to_be_seen_do_not_answer_it() {
    let mut console = noc();
    // Nothing was taken for five seconds; the question came up after that, and more keys waited behind.
    read(&mut console, "a", (0, 5_000));
    assert!(asked(&read(&mut console, "\t", (1_000, 6_000))).is_empty());
    assert!(asked(&read(&mut console, "\r", (2_000, 7_000))).is_empty());
    assert!(console.app.dialog.is_some());
}

#[test]
fn a_pasted_text_does_not_end_the_console() {
    let mut console = noc();
    let effects = read(&mut console, "Sgq Gsq gs\x03", (1_000, 1_000));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Quit(_))));
    let effects = read(&mut console, "\x03", (3_000, 3_000));
    assert_eq!(effects, [Effect::Quit(Ending::Quit)]);
}

#[test]
fn approving_asks_exactly_once_with_the_revision_that_was_on_the_screen() {
    let mut console = noc();
    let effects = press(&mut console, "a Tab Enter", NOW);
    assert_eq!(asked(&effects), [&approve()]);
    assert!(console.app.dialog.is_none());
    assert_eq!(
        asked(&press(&mut console, "Enter Enter y", later(5_000))),
        [] as [&Command; 0]
    );
}

#[test]
fn y_presses_the_only_other_button() {
    let mut console = noc();
    assert_eq!(asked(&press(&mut console, "a y", NOW)), [&approve()]);
    let effects = press(&mut console, "r y", later(2_000));
    let reject = Command::Decide {
        proposal: ProposalId(17),
        revision: 3,
        verdict: Verdict::Reject,
    };
    assert_eq!(asked(&effects), [&reject]);
}

#[test]
fn cancel_has_the_focus_so_enter_alone_does_nothing() {
    for keys in [
        "a Enter",
        "r Enter",
        "m Enter",
        "e Enter",
        "q Enter",
        "a Esc",
        "a n",
        "a Tab Tab Enter",
    ] {
        let mut console = noc();
        let effects = press(&mut console, keys, NOW);
        assert!(asked(&effects).is_empty(), "{keys}: {effects:?}");
        assert!(
            !effects.iter().any(|effect| matches!(effect, Effect::Quit(_))),
            "{keys}"
        );
        assert!(console.app.dialog.is_none(), "{keys}");
    }
}

#[test]
fn request_ids_are_never_used_twice() {
    let mut console = noc();
    let mut effects = press(&mut console, "a y", NOW);
    effects.extend(press(&mut console, "a y", later(1_000)));
    let ids: Vec<&RequestId> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Ask(id, _) => Some(id),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn card_and_dialog_say_how_many_people_are_moved() {
    let mut console = noc();
    let Notice::Proposal { mut proposal } = revised(4, ProposalState::Open) else {
        panic!("a proposal was made")
    };
    proposal.people = 40;
    notice(&mut console, Notice::Proposal { proposal }, later(500));
    let told = "no downtime, nothing moved, 40 users";
    assert!(console.text().contains(told), "{}", console.text());
    press(&mut console, "a", later(1_000));
    assert_eq!(console.text().matches(told).count(), 2, "{}", console.text());
}

#[test]
fn card_and_dialog_say_what_the_engine_would_wait_for_while_it_would() {
    let mut console = noc();
    let Notice::Proposal { mut proposal } = revised(4, ProposalState::Open) else {
        panic!("a proposal was made")
    };
    proposal.held = Some(Box::new(proto::policy::Hold::CoolDown {
        user: proposal.user.clone(),
        until: later(20_000),
    }));
    notice(&mut console, Notice::Proposal { proposal }, later(500));
    let told = "by itself the engine would wait";
    assert!(console.text().contains(told), "{}", console.text());
    press(&mut console, "a", later(1_000));
    assert_eq!(console.text().matches(told).count(), 2, "{}", console.text());
    press(&mut console, "Esc", later(20_000));
    assert!(!console.text().contains(told), "{}", console.text());
}

#[test]
fn a_revision_that_changes_under_an_open_dialog_takes_its_button_away() {
    let mut console = noc();
    press(&mut console, "a Tab", NOW);
    notice(&mut console, revised(4, ProposalState::Open), later(500));
    let effects = press(&mut console, "Enter", later(1_000));
    assert!(
        asked(&effects).is_empty(),
        "the focus must be back on Cancel: {effects:?}"
    );

    press(&mut console, "a", later(2_000));
    notice(&mut console, revised(5, ProposalState::Open), later(2_500));
    assert!(console.text().contains("#17 is at revision 5 now: look again"));
    assert!(asked(&press(&mut console, "y Tab Enter", later(3_000))).is_empty());
    assert!(console.app.dialog.is_some(), "it says why instead of closing");
}

#[test]
fn a_dialog_stays_invalid_even_if_the_old_revision_came_back() {
    let mut console = noc();
    press(&mut console, "a", NOW);
    notice(&mut console, revised(4, ProposalState::Open), later(500));
    notice(&mut console, revised(3, ProposalState::Open), later(600));
    assert!(asked(&press(&mut console, "y", later(1_000))).is_empty());
}

#[test]
fn a_proposal_that_ends_under_an_open_dialog_takes_its_button_away() {
    let mut console = noc();
    press(&mut console, "a", NOW);
    notice(
        &mut console,
        revised(3, ProposalState::Expired { at: later(400) }),
        later(500),
    );
    assert!(console.text().contains("#17 is expired now"));
    assert!(asked(&press(&mut console, "y", later(1_000))).is_empty());
}

#[test]
fn a_snapshot_that_no_longer_holds_the_proposal_takes_the_button_away_too() {
    let mut console = noc();
    press(&mut console, "a", NOW);
    let mut other = snapshot();
    other.proposals.clear();
    console.update(
        Input::frame(EngineFrame::Snapshot { snapshot: other }),
        later(500),
    );
    assert!(asked(&press(&mut console, "y", later(1_000))).is_empty());
}

#[test]
fn a_paste_storm_approves_nothing() {
    let mut console = noc();
    // Typed faster than anybody types, and long enough to outlast any fixed delay.
    let mut effects = Vec::new();
    for (index, key) in "a y a y a Tab Enter y a y"
        .split_whitespace()
        .cycle()
        .take(600)
        .enumerate()
    {
        effects.extend(console.update(typed(key), NOW + Span::millis(5 * index as u64)));
    }
    assert!(asked(&effects).is_empty());
    // Once the storm is over the dialog is there and works.
    assert_eq!(asked(&press(&mut console, "y", later(10_000))), [&approve()]);
}

#[test]
fn a_bracketed_paste_goes_into_a_text_field_and_nowhere_else() {
    let mut console = noc();
    assert!(
        console
            .update(Input::Paste("a\ny\n".to_owned()), later(1))
            .is_empty()
    );
    press(&mut console, "a", NOW);
    assert!(
        console
            .update(Input::Paste("y\n".to_owned()), later(5_000))
            .is_empty()
    );
    assert!(console.app.dialog.is_some());
    press(&mut console, "Esc /", later(6_000));
    console.update(Input::Paste("lyon\n\u{1b}[2J".to_owned()), later(7_000));
    assert_eq!(console.app.table.filter.text(), "lyon[2J");
}

#[test]
fn a_key_that_comes_with_the_dialog_is_ignored_and_one_after_a_pause_is_not() {
    let mut console = noc();
    console.update(typed("a"), later(0));
    assert!(console.update(typed("y"), later(199)).is_empty());
    assert!(
        console.update(typed("y"), later(398)).is_empty(),
        "the early key put it off"
    );
    assert_eq!(asked(&console.update(typed("y"), later(598))), [&approve()]);
}

#[test]
fn what_is_over_cannot_be_decided_and_the_reason_is_told() {
    let mut console = noc();
    press(&mut console, "Tab Tab j j a", NOW);
    assert!(console.app.dialog.is_none());
    assert_eq!(
        status(&console),
        "#15 is confirmed; only open proposals can be decided"
    );
}

#[test]
fn nothing_is_asked_while_the_display_is_frozen() {
    let mut console = noc();
    for key in ["a", "r", "m", "e"] {
        press(&mut console, "f", later(1_000));
        press(&mut console, key, later(2_000));
        assert!(console.app.dialog.is_none(), "{key}");
        assert_eq!(status(&console), "the display is frozen; f shows what is now");
        press(&mut console, "f", later(3_000));
    }
}

#[test]
fn a_frozen_display_does_not_move_and_shows_what_is_now_afterwards() {
    let mut console = noc();
    press(&mut console, "f", NOW);
    let before = console.text();
    notice(&mut console, Notice::Mode { mode: Mode::Auto }, later(1_000));
    notice(
        &mut console,
        revised(9, ProposalState::Expired { at: later(900) }),
        later(1_000),
    );
    console.update(Input::Tick, later(60_000));
    let after = console.text();
    let panes = |text: &str| text.split_once('\n').map(|(_, panes)| panes.to_owned());
    assert_eq!(panes(&after), panes(&before));
    // What happened behind it stands beside the word.
    assert!(
        after.contains("FROZEN 59 s, now AUTO, 2 x, 0 proposals"),
        "{after}"
    );
    press(&mut console, "f", later(61_000));
    let text = console.text();
    assert!(text.contains("AUTO") && text.contains("expired"), "{text}");
}

#[test]
fn the_mode_is_chosen_and_the_present_one_cannot_be() {
    let mut console = noc();
    let effects = press(&mut console, "m Down Enter", NOW);
    assert_eq!(asked(&effects), [&Command::SetMode { mode: Mode::Observe }]);
    let effects = press(&mut console, "m Down Down Enter", later(5_000));
    assert!(asked(&effects).is_empty());
    assert_eq!(status(&console), "the mode is recommend already");
    assert!(
        asked(&press(&mut console, "y", later(6_000))).is_empty(),
        "y means nothing among several"
    );
}

#[test]
fn a_manual_switch_asks_for_the_data_centre_chosen() {
    let mut console = noc();
    let effects = press(&mut console, "e Down Down Enter", NOW);
    let command = Command::Switch {
        user: user("paris-001"),
        vm: vm(),
        to: site("marilyn"),
    };
    assert_eq!(asked(&effects), [&command]);
    // Where the user enters already is listed, and cannot be pressed.
    assert!(asked(&press(&mut console, "e Down Enter", later(5_000))).is_empty());
    assert_eq!(status(&console), "paris-001 already enters by TelcoCenter");
}

#[test]
fn quitting_asks_only_while_something_is_under_way() {
    let mut console = noc();
    let effects = press(&mut console, "q", NOW);
    assert!(!effects.contains(&Effect::Quit(Ending::Quit)));
    assert!(press(&mut console, "y", later(1_000)).contains(&Effect::Quit(Ending::Quit)));

    let mut quiet = snapshot();
    quiet
        .proposals
        .retain(|proposal| !matches!(proposal.state, ProposalState::Executing { .. }));
    let mut console = console_with(quiet, "noc", SIZE);
    assert_eq!(press(&mut console, "q", NOW), [Effect::Quit(Ending::Quit)]);
}

#[test]
fn control_c_quits_from_anywhere() {
    for keys in ["", "a", "m", "?", "/ x", "f"] {
        let mut console = noc();
        press(&mut console, keys, NOW);
        assert_eq!(
            console.update(typed("^C"), later(3_000)),
            [Effect::Quit(Ending::Quit)],
            "{keys}"
        );
    }
    let mut console = blank("auto", (80, 24));
    assert_eq!(console.update(typed("^C"), NOW), [Effect::Quit(Ending::Quit)]);
}

#[test]
fn nothing_can_be_decided_on_a_wall_or_in_a_window_too_small_to_see_it() {
    let mut wall = console("wall", SIZE);
    press(&mut wall, "a", NOW);
    assert!(wall.app.dialog.is_none());
    assert!(
        wall.text()
            .contains("this layout is for looking only; l changes it")
    );
    let mut tiny = console("auto", (50, 12));
    press(&mut tiny, "a", NOW);
    assert!(tiny.app.dialog.is_none());
    assert!(
        tiny.text().contains("the window is too small to show what"),
        "{}",
        tiny.text()
    );
}

/// A console in one process with its engine.
fn with_its_engine() -> Headless {
    let mut options = options("noc");
    options.quitting = Quitting {
        then: "the engine ends; forwarders go on".to_owned(),
        asks: Asks::Always,
    };
    Headless::new(options, SIZE, zone(), NOW)
}

#[test]
fn a_console_that_takes_its_engine_along_asks_before_it_ends() {
    let quits = [Effect::Quit(Ending::Quit)];
    for key in ["q", "^C"] {
        let mut console = with_its_engine();
        press(&mut console, key, NOW);
        assert!(
            console.text().contains("the engine ends; forwarders go on"),
            "{key}"
        );
        press(&mut console, "Enter", later(1_000));
        assert!(console.app.dialog.is_none(), "Cancel has the focus");
        press(&mut console, key, later(2_000));
        assert_eq!(
            press(&mut console, "Tab Enter", later(3_000)).last(),
            quits.last()
        );
        let mut console = with_its_engine();
        press(&mut console, key, NOW);
        assert_eq!(press(&mut console, "^C", later(1_000)), quits, "{key}");
    }
    // A finger that stays on the key does not answer.
    let mut console = with_its_engine();
    for at in (0..2_000).step_by(30) {
        assert!(
            !console.update(typed("^C"), later(at)).contains(&quits[0]),
            "{at}"
        );
    }
    // And what is gone is not asked about.
    let mut console = with_its_engine();
    let why = "it ended".to_owned();
    console.update(Input::Lost { why }, NOW);
    assert_eq!(console.update(typed("q"), later(1_000)), quits);
}

/// M3: hands off, whatever the window.
#[test]
fn the_engine_can_be_disarmed_in_a_window_of_any_size() {
    for size in [(80, 23), (60, 12), (40, 8), (20, 5), (20, 3)] {
        let mut console = console("auto", size);
        let effects = press(&mut console, "d Tab Enter", NOW);
        assert_eq!(
            asked(&effects),
            [&Command::Disarm {
                how: proto::Disarmed::Freeze
            }],
            "{size:?}"
        );
    }
}

#[test]
fn a_terminal_of_80_by_24_with_a_status_line_of_tmux_is_a_whole_console() {
    for (size, panes) in [((80, 23), 3), ((79, 23), 3), ((100, 23), 3), ((60, 12), 2)] {
        let mut console = console("auto", size);
        assert!(!console.app.is_tiny(), "{size:?}");
        assert_eq!(
            asked(&press(&mut console, "a Tab Enter", NOW)),
            [&approve()],
            "{size:?}"
        );
        let mut seen = Vec::new();
        for step in 0..panes {
            seen.push(console.app.focus);
            press(&mut console, "Tab", later(2_000 + step * 500));
        }
        seen.dedup();
        assert_eq!(seen.len() as u64, panes, "{size:?}: {seen:?}");
        for key in ["p", "p", "n", "n"] {
            press(&mut console, key, later(10_000));
            assert!(
                status(&console).starts_with("layout"),
                "{size:?}: {}",
                status(&console)
            );
        }
    }
}

#[test]
fn the_focus_leaves_a_pane_that_a_smaller_window_has_not() {
    let mut console = console("auto", (80, 24));
    press(&mut console, "BackTab", NOW);
    assert_eq!(console.app.focus, PaneKind::Log);
    let (width, height) = (80, 15);
    console.update(Input::Resize { width, height }, later(1_000));
    assert_eq!(console.app.focus, PaneKind::Links);
}
