//! Rows, their order, filters, focus and layouts.

use proto::{LinkId, LinkState, Notice};

use super::{later, noc, status, users};
use crate::Input;
use crate::app::table::Sort;
use crate::fixture::{NOW, asked, blank, console, console_with, notice, press, site, snapshot, typed, user};
use crate::headless::Headless;
use crate::layout::PaneKind;

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
fn a_filter_that_cannot_be_read_stays_in_its_line_until_it_can_and_the_one_before_is_not_lost() {
    let mut console = noc();
    press(&mut console, "/ l y o n Enter", NOW);
    press(&mut console, "/ [ Enter Enter", later(3_000));
    assert!(
        console
            .text()
            .contains("filter /lyon[   x unclosed character class"),
        "{}",
        console.text()
    );
    press(&mut console, "Backspace Enter", later(5_000));
    assert!(console.app.field.is_none());
    assert_eq!(console.app.table.filter.text(), "lyon");

    press(&mut console, "/ [ Enter Esc", later(7_000));
    assert_eq!(console.app.table.filter.text(), "lyon");
    assert_eq!(users(&console).len(), 3);
}

#[test]
fn a_layout_that_was_asked_for_and_has_no_room_says_so() {
    let console = console("noc", (80, 24));
    assert_eq!(
        status(&console),
        "the layout 'noc' does not fit into this window; it needs 100x24"
    );
}

#[test]
fn a_key_without_a_meaning_says_so() {
    let mut console = noc();
    press(&mut console, "z", NOW);
    assert_eq!(status(&console), "'z' means nothing here; ? lists the keys");
    press(&mut console, "u", later(1_000));
    assert_eq!(
        status(&console),
        "there is no key to undo: e lets the user enter where it did before"
    );
}

#[test]
fn enter_shows_a_line_of_the_log_whole() {
    let mut console = console("compact", (80, 24));
    // Where the card goes on; in the pane the line is cut before it.
    let whole = "│            ms (92 %)";
    press(&mut console, "BackTab j Enter", NOW);
    assert!(
        console.text().contains("A line of the log") && console.text().contains(whole),
        "{}",
        console.text()
    );
    press(&mut console, "Esc", later(2_000));
    assert!(console.app.card.is_none());
    press(&mut console, "Tab Enter", later(3_000));
    assert!(status(&console).starts_with("only a line of the log opens"));
}

#[test]
fn a_row_that_is_not_on_the_screen_is_not_acted_on() {
    for layout in ["policy", "node"] {
        for key in ["e", "B", "D"] {
            let mut console = console(layout, (120, 40));
            press(&mut console, key, NOW);
            assert!(
                console.app.dialog.is_none() && console.app.field.is_none(),
                "{layout} {key}"
            );
            let told = status(&console);
            assert!(
                told.starts_with("there is no links table on this screen"),
                "{layout} {key}: {told}"
            );
        }
    }
}

#[test]
fn what_was_said_of_rows_is_gone_once_the_filter_changes() {
    for change in ["/ l", "Esc"] {
        let mut console = noc();
        press(&mut console, "/ y Enter s", NOW);
        assert!(status(&console).starts_with("sorted by"));
        press(&mut console, change, later(2_000));
        assert_eq!(status(&console), "", "{change}");
    }
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
            width: 59,
            height: 40,
        },
        NOW,
    );
    assert_eq!(name(&console), None);
    console.update(typed("l"), NOW);
    assert_eq!(status(&console), "no other layout fits into this window");
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

#[test]
fn help_scrolls_no_further_than_its_end() {
    let mut console = console("compact", (80, 24));
    press(&mut console, "? PgDn PgDn PgDn PgDn j j j", NOW);
    let end = console.text();
    assert!(end.contains("what is left of the RTT bound"), "{end}");
    press(&mut console, "k", later(4_000));
    assert_ne!(console.text(), end, "the first key up is seen");
    press(&mut console, "?", later(5_000));
    assert!(!console.text().contains("Help"));
}

#[test]
fn a_key_without_a_meaning_says_so_over_the_panes_too() {
    // The help page and a card may cover the status line: they say it at their lower edge.
    let mut console = noc();
    press(&mut console, "? z", NOW);
    assert!(
        console
            .text()
            .contains(" 'z' means nothing here; Esc closes, j scrolls "),
        "{}",
        console.text()
    );
    assert!(console.app.help.is_some());
    press(&mut console, "j", later(1_000));
    assert!(!console.text().contains("means nothing here"));
    assert!(console.text().contains("Esc closes, j and k scroll"));
    press(&mut console, "Esc A +", later(2_000));
    assert!(
        console.text().contains(" '+' means nothing here; Esc closes"),
        "{}",
        console.text()
    );
    press(&mut console, "w", later(3_000));
    assert!(
        console
            .text()
            .contains(" nothing was asked for this card; Esc closes "),
        "{}",
        console.text()
    );
    assert!(console.app.card.is_some());
    // A question says it itself, once it takes keys at all.
    press(&mut console, "Esc a z", later(4_000));
    let text = "'z' means nothing here; Tab chooses, Enter presses, Esc cancels";
    assert_eq!(status(&console), text);
    assert!(console.text().contains(text), "{}", console.text());
    press(&mut console, "Esc m y", later(8_000));
    assert_eq!(status(&console), "there is more than one button to choose from");
    assert!(console.app.dialog.is_some());
}
