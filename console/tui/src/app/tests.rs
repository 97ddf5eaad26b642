//! What the console does, as sentences.

use proto::proposal::Receipt;
use proto::{
    Actor, Command, EngineFrame, LinkId, LinkState, Mode, Notice, Proposal, ProposalId, ProposalState,
    Refusal, Reply, RequestId, Severity, Span, Timestamp, Verdict,
};

use super::Connection;
use super::table::{Filter, Sort};
use crate::fixture::{
    NOW, asked, blank, console, console_with, notice, open, options, press, site, snapshot, typed, user, vm,
};
use crate::headless::Headless;
use crate::layout::PaneKind;
use crate::{Effect, Ending, Input, OnLost};

const SIZE: (u16, u16) = (120, 40);

fn later(millis: u64) -> Timestamp {
    NOW + Span::millis(millis)
}

fn noc() -> Headless {
    console("noc", SIZE)
}

fn approve() -> Command {
    Command::Decide {
        proposal: ProposalId(17),
        revision: 3,
        verdict: Verdict::Approve,
    }
}

fn revised(revision: u32, state: ProposalState) -> Notice {
    Notice::Proposal {
        proposal: Proposal {
            revision,
            state,
            ..open()
        },
    }
}

fn status(console: &Headless) -> &str {
    console
        .app
        .status
        .as_ref()
        .map(|status| status.text.as_str())
        .unwrap_or_default()
}

fn users(console: &Headless) -> Vec<String> {
    console
        .app
        .table
        .order
        .iter()
        .map(|id| format!("{}/{}", id.user, id.dc))
        .collect()
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
        "w Enter",
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
fn refusals_are_shown_with_the_rule_and_what_was_asked() {
    let mut console = noc();
    let effects = press(&mut console, "a y", NOW);
    let Some(Effect::Ask(request, _)) = effects.iter().find(|effect| matches!(effect, Effect::Ask(..)))
    else {
        panic!("{effects:?}");
    };
    let refusal = Refusal::StaleRevision {
        proposal: ProposalId(17),
        current: 4,
    };
    let reply = Reply::Refused { refusal };
    console.update(
        Input::frame(EngineFrame::Reply {
            request: request.clone(),
            reply,
        }),
        later(600),
    );
    assert_eq!(
        status(&console),
        "refused (approving #17 r3): proposal #17 is at revision 4 now; look again before you decide"
    );
}

#[test]
fn a_reply_nobody_asked_for_is_no_news() {
    let mut console = noc();
    let reply = Reply::Accepted {
        what: "something".to_owned(),
    };
    let request = RequestId("another-1".to_owned());
    assert!(
        console
            .update(Input::frame(EngineFrame::Reply { request, reply }), later(1))
            .is_empty()
    );
    assert_eq!(status(&console), "");
}

#[test]
fn an_answer_that_does_not_come_is_missed_once() {
    let mut console = noc();
    press(&mut console, "a y", NOW);
    console.update(Input::Tick, later(4_000));
    assert_eq!(status(&console), "no answer yet: approving #17 r3");
    press(&mut console, "f", later(5_000));
    console.app.status = None;
    console.update(Input::Tick, later(9_000));
    assert_eq!(status(&console), "");
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
    for key in ["a", "r", "m", "w"] {
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
    assert_eq!(console.text(), before);
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
    let effects = press(&mut console, "w Down Down Enter", NOW);
    let command = Command::Switch {
        user: user("paris-001"),
        vm: vm(),
        to: site("marilyn"),
    };
    assert_eq!(asked(&effects), [&command]);
    // Where the user enters already is listed, and cannot be pressed.
    assert!(asked(&press(&mut console, "w Down Enter", later(5_000))).is_empty());
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
fn a_filter_shows_what_it_matches_and_hides_it_after_an_exclamation_mark() {
    let mut console = noc();
    press(&mut console, "/ L Y O N Enter", NOW);
    assert_eq!(
        users(&console),
        ["lyon-042/marilyn", "lyon-042/telco", "lyon-042/lip6"]
    );
    press(&mut console, "Esc", later(2_000));
    assert_eq!(users(&console).len(), 15);
    press(&mut console, "/ ! 0 Enter", later(3_000));
    let mut left = users(&console);
    left.retain(|row| !row.contains('0'));
    assert_eq!(left, users(&console));
}

#[test]
fn a_filter_knows_labels_states_and_what_is_carried() {
    for (text, rows) in [
        ("telcocenter", 5),
        ("^paris.*broken", 1),
        ("carries", 5),
        ("vm-web", 5),
        ("idle", 10),
    ] {
        let mut console = noc();
        console.update(typed("/"), NOW);
        console.update(Input::Paste(text.to_owned()), NOW);
        assert_eq!(users(&console).len(), rows, "{text}");
    }
}

#[test]
fn a_bad_filter_is_named_and_hides_nothing() {
    let mut console = noc();
    press(&mut console, "/ [ Enter", NOW);
    assert_eq!(users(&console).len(), 15);
    assert!(
        status(&console).starts_with("all rows are shown: unclosed character class"),
        "{}",
        status(&console)
    );
    assert!(matches!(console.app.table.filter, Filter::All));
}

#[test]
fn escape_brings_the_filter_before_back() {
    let mut console = noc();
    press(&mut console, "/ c a m p Enter", NOW);
    press(
        &mut console,
        "/ Backspace Backspace Backspace Backspace n i c e Esc",
        later(3_000),
    );
    assert_eq!(console.app.table.filter.text(), "camp");
    assert_eq!(users(&console).len(), 3);
}

#[test]
fn letters_typed_into_a_filter_are_not_keys() {
    let mut console = noc();
    let effects = press(&mut console, "/ a q r y Enter", NOW);
    assert!(asked(&effects).is_empty());
    assert!(console.app.dialog.is_none());
    assert_eq!(console.app.table.filter.text(), "aqry");
}

/// Makes a link as bad as can be.
fn broken(console: &Headless, who: &str, dc: &str) -> Notice {
    let id = LinkId {
        user: user(who),
        dc: site(dc),
    };
    let mut row = console.app.live.as_ref().unwrap().links[&id].row.clone();
    (row.state, row.margin_ms) = (LinkState::Down, Some(-9_999.0));
    Notice::Link { row }
}

#[test]
fn rows_keep_their_place_while_the_operator_is_at_the_table() {
    let mut console = noc();
    press(&mut console, "j j", NOW);
    let before = users(&console);
    let worse = broken(&console, "campus", "marilyn");
    notice(&mut console, worse, later(1_000));
    console.update(Input::Tick, later(3_000));
    assert_eq!(users(&console), before);
    let cursor = console.app.table.selected().cloned();

    // Hands off for half a minute: sorted anew, and the cursor is still on its link.
    console.update(Input::Tick, later(40_000));
    assert_eq!(users(&console)[0], "campus/marilyn");
    assert_eq!(console.app.table.selected().cloned(), cursor);
}

#[test]
fn rows_are_sorted_anew_on_demand_and_when_the_focus_is_elsewhere() {
    let mut console = noc();
    press(&mut console, "j", NOW);
    let worse = broken(&console, "campus", "marilyn");
    notice(&mut console, worse, later(500));
    press(&mut console, "s", later(600));
    assert_eq!(users(&console)[0], "campus/marilyn");
    assert_eq!(console.app.table.sort, Sort::Gravity);

    let mut console = noc();
    press(&mut console, "j Tab", NOW);
    let worse = broken(&console, "campus", "marilyn");
    notice(&mut console, worse, later(1_000));
    console.update(Input::Tick, later(3_000));
    assert_eq!(users(&console)[0], "campus/marilyn");
}

#[test]
fn a_link_that_is_new_comes_below_while_the_operator_is_at_the_table() {
    let mut console = noc();
    press(&mut console, "j", NOW);
    let Notice::Link { mut row } = broken(&console, "campus", "marilyn") else {
        unreachable!()
    };
    row.link.user = user("aaa-000");
    notice(&mut console, Notice::Link { row }, later(400));
    assert_eq!(
        users(&console).last().map(String::as_str),
        Some("aaa-000/marilyn")
    );
}

#[test]
fn pressing_sort_again_goes_through_the_columns_and_capital_s_reverses() {
    let mut console = noc();
    press(&mut console, "s s s", NOW);
    assert_eq!(console.app.table.sort, Sort::Rtt);
    assert_eq!(users(&console)[0], "paris-001/telco");
    press(&mut console, "S", later(2_000));
    assert_eq!(users(&console)[0], "campus/marilyn");
    assert_eq!(
        users(&console)[14],
        "nice-011/lip6",
        "a row without a figure stays last"
    );
}

#[test]
fn the_worst_link_in_use_is_on_top_and_under_the_cursor_until_somebody_moves_it() {
    let mut console = noc();
    assert_eq!(console.app.table.selected().unwrap().user, user("paris-001"));
    let worse = broken(&console, "lyon-042", "marilyn");
    notice(&mut console, worse, later(100));
    console.update(Input::Tick, later(2_000));
    assert_eq!(console.app.table.selected().unwrap().user, user("lyon-042"));
}

#[test]
fn keys_scroll_by_row_page_and_to_the_ends() {
    let mut console = console("compact", (80, 24));
    press(&mut console, "End", NOW);
    assert_eq!(console.app.table.position(), 14);
    assert!(
        console.text().contains(">o  campus       TelcoCenter"),
        "{}",
        console.text()
    );
    press(&mut console, "PgUp Up", later(1_000));
    assert_eq!(console.app.table.position(), 2);
    press(&mut console, "Home Up Up", later(2_000));
    assert_eq!(console.app.table.position(), 0);
    press(&mut console, "PgDn PgDn PgDn", later(3_000));
    assert_eq!(console.app.table.position(), 14);
}

#[test]
fn focus_goes_round_the_panes_of_the_layout() {
    let mut console = noc();
    let mut seen = vec![console.app.focus];
    for index in 0..4 {
        press(&mut console, "Tab", later(1_000 * index));
        seen.push(console.app.focus);
    }
    let [links, rlocs] = [PaneKind::Links, PaneKind::Rlocs];
    assert_eq!(seen, [links, rlocs, PaneKind::Proposals, PaneKind::Log, links]);
    press(&mut console, "BackTab Esc", later(9_000));
    assert_eq!(console.app.focus, links);
}

#[test]
fn the_layout_follows_the_width_until_one_is_chosen() {
    let mut console = blank("auto", (120, 40));
    let name = |console: &Headless| console.app.layout().map(|layout| layout.name().to_owned());
    assert_eq!(name(&console).as_deref(), Some("noc"));
    console.update(
        Input::Resize {
            width: 99,
            height: 40,
        },
        NOW,
    );
    assert_eq!(name(&console).as_deref(), Some("compact"));
    console.update(typed("l"), NOW);
    assert_eq!(
        name(&console).as_deref(),
        Some("wall"),
        "noc does not fit, and compact is shown"
    );
    console.update(
        Input::Resize {
            width: 79,
            height: 40,
        },
        NOW,
    );
    assert_eq!(name(&console), None);
    console.update(typed("l"), NOW);
    assert_eq!(status(&console), "no other layout fits into this window");
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

#[test]
fn a_lost_engine_is_told_and_nothing_is_asked_of_it() {
    let mut console = noc();
    press(&mut console, "a", NOW);
    console.update(
        Input::Lost {
            why: "connection reset".to_owned(),
        },
        later(1_000),
    );
    assert!(asked(&press(&mut console, "y Esc", later(2_000))).is_empty());
    press(&mut console, "a", later(4_000));
    assert!(console.app.dialog.is_none());
    assert_eq!(status(&console), "the engine is lost; nothing can be asked of it");
    console.update(Input::Tick, later(12_000));
    assert!(
        console.text().contains("engine lost, showing data of 12 s ago"),
        "{}",
        console.text()
    );
}

#[test]
fn a_command_without_an_answer_is_named_when_the_engine_is_lost() {
    let mut console = noc();
    press(&mut console, "a y", NOW);
    console.update(
        Input::Lost {
            why: "gone".to_owned(),
        },
        later(600),
    );
    assert_eq!(
        status(&console),
        "lost the engine before it answered: approving #17 r3; look again once it is back"
    );
}

#[test]
fn an_engine_that_comes_back_is_live_with_its_first_snapshot() {
    let mut console = noc();
    console.update(
        Input::Lost {
            why: "gone".to_owned(),
        },
        later(1_000),
    );
    console.update(Input::Back, later(5_000));
    assert!(matches!(console.app.connection, Connection::Lost { .. }));
    let mut fresh = snapshot();
    fresh.at = later(5_100);
    console.update(
        Input::frame(EngineFrame::Snapshot { snapshot: fresh }),
        later(5_100),
    );
    assert_eq!(console.app.connection, Connection::Up);
    assert_eq!(asked(&press(&mut console, "a y", later(6_000))), [&approve()]);
}

#[test]
fn a_console_told_to_leave_ends_when_the_engine_is_lost() {
    let mut leaving = options("noc");
    leaving.on_lost = OnLost::Leave;
    for input in [
        Input::Lost {
            why: "gone".to_owned(),
        },
        Input::frame(EngineFrame::Bye {
            why: "gone".to_owned(),
        }),
    ] {
        let mut console = Headless::new(leaving.clone(), SIZE, crate::fixture::zone(), NOW);
        assert_eq!(
            console.update(input, NOW),
            [Effect::Quit(Ending::Lost {
                why: "gone".to_owned()
            })]
        );
    }
}

#[test]
fn an_engine_of_another_version_is_not_believed() {
    let mut console = blank("noc", SIZE);
    let hello = EngineFrame::Hello {
        protocol: 99,
        session: "x".to_owned(),
        mode: Mode::Auto,
    };
    console.update(Input::frame(hello), NOW);
    console.update(Input::frame(EngineFrame::Snapshot { snapshot: snapshot() }), NOW);
    assert!(console.app.live.is_none());
    assert!(
        console
            .text()
            .contains("the engine speaks protocol 99, this console 1")
    );
}

#[test]
fn a_new_proposal_rings_and_a_flood_of_them_rings_once() {
    let mut console = noc();
    let new = |id| Notice::Proposal {
        proposal: Proposal {
            id: ProposalId(id),
            ..open()
        },
    };
    let rings = |effects: &[Effect]| effects.contains(&Effect::Bell);
    assert!(rings(&notice(&mut console, new(18), later(1_000))));
    assert!(!rings(&notice(&mut console, new(19), later(2_000))));
    assert!(
        !rings(&notice(&mut console, new(18), later(30_000))),
        "a revision is not new"
    );
    assert!(rings(&notice(&mut console, new(20), later(31_000))));
}

#[test]
fn the_cursor_leaves_a_proposal_that_has_just_ended() {
    let mut console = noc();
    notice(
        &mut console,
        Notice::Proposal {
            proposal: Proposal {
                id: ProposalId(18),
                ..open()
            },
        },
        NOW,
    );
    press(&mut console, "Tab Tab j k", NOW);
    assert_eq!(console.app.selected_proposal().unwrap().id, ProposalId(17));
    let receipt = Receipt {
        broken_at: None,
        approved_at: later(1_000),
        confirmed_at: later(1_050),
        signalling: Span::millis(35),
        attempts: 1,
    };
    let by = Actor::Operator {
        name: "ana".to_owned(),
    };
    notice(
        &mut console,
        revised(3, ProposalState::Confirmed { by, receipt }),
        later(2_000),
    );
    assert_eq!(console.app.selected_proposal().unwrap().id, ProposalId(18));
}

#[test]
fn histories_and_logs_do_not_grow_without_end() {
    let mut console = noc();
    let id = LinkId {
        user: user("paris-001"),
        dc: site("telco"),
    };
    for index in 0..5_000 {
        let point = proto::snapshot::HistoryPoint {
            at: later(10 * index),
            rtt_ms: Some(35.0),
        };
        notice(
            &mut console,
            Notice::Point {
                link: id.clone(),
                point,
            },
            later(10 * index),
        );
        let entry = proto::LogEntry {
            at: later(10 * index),
            severity: Severity::Info,
            text: "again".to_owned(),
        };
        notice(&mut console, Notice::Log { entry }, later(10 * index));
        let state = ProposalState::Expired { at: NOW };
        let over = Proposal {
            id: ProposalId(100 + index),
            state,
            ..open()
        };
        notice(
            &mut console,
            Notice::Proposal { proposal: over },
            later(10 * index),
        );
    }
    let world = console.app.live.as_ref().unwrap();
    assert_eq!((world.links[&id].history.len(), world.log.len()), (1_200, 1_000));
    assert_eq!(
        world
            .proposals
            .values()
            .filter(|proposal| proposal.state.is_over())
            .count(),
        50
    );
    assert!(
        world.proposals.contains_key(&ProposalId(17)),
        "what is open is kept"
    );
}

#[test]
fn time_that_goes_backwards_is_not_followed() {
    let mut console = noc();
    console.update(Input::Tick, later(10_000));
    console.update(Input::Tick, later(5_000));
    assert_eq!(console.app.now, later(10_000));
}

#[test]
fn a_tick_within_the_same_second_draws_nothing() {
    let mut console = noc();
    console.update(Input::Tick, later(100));
    assert!(console.update(Input::Tick, later(300)).is_empty());
    assert_eq!(
        console.update(Input::Tick, later(700)),
        [Effect::Draw],
        "the second has turned"
    );
}

#[test]
fn signals_and_the_host_end_the_console() {
    let mut console = noc();
    assert_eq!(
        console.update(Input::Signal(15), NOW),
        [Effect::Quit(Ending::Signal(15))]
    );
    let why = "the demo is over".to_owned();
    assert_eq!(
        console.update(Input::Close { why: why.clone() }, NOW),
        [Effect::Quit(Ending::Closed { why })]
    );
}

#[test]
fn ten_thousand_links_are_filtered_sorted_and_drawn() {
    let mut many = snapshot();
    let template = many.links[0].clone();
    many.links = (0..10_000)
        .map(|index| {
            let mut row = template.clone();
            row.link.user = user(&format!("user-{index:05}"));
            row
        })
        .collect();
    let mut console = console_with(many, "noc", (200, 50));
    assert!(console.text().contains("10000 links"));
    press(&mut console, "End", NOW);
    assert!(console.text().contains(">x  user-09999"), "{}", console.text());
    press(&mut console, "/ 4 2 Enter", later(2_000));
    let matching = (0..10_000)
        .filter(|index| format!("{index:05}").contains("42"))
        .count();
    assert_eq!(console.app.table.order.len(), matching);
}
