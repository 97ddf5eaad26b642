//! Policy by keys: each asks once, with Cancel first; the card that says why.

use proto::policy::{DrainRow, Hold, ModeRow, Source};
use proto::{
    Arming, Command, Disarmed, EngineFrame, FlapKey, Forced, Mode, Notice, PolicyRow, Refusal, Reply, Scope,
};

use super::{SIZE, later, noc, status};
use crate::app::dialog::{Choice, Deed};
use crate::fixture::{
    NOW, ana, answer_plan, answer_why, asked, console_with, notice, policy, press, site, snapshot, user, vm,
    why,
};
use crate::headless::Headless;
use crate::{Effect, Input};

fn with_policy() -> Headless {
    let mut snapshot = snapshot();
    snapshot.policy = policy();
    console_with(snapshot, "noc", SIZE)
}

fn disarmed() -> Notice {
    Notice::Policy {
        row: PolicyRow {
            arming: Arming::Disarmed {
                how: Disarmed::Freeze,
                by: ana(),
                since: NOW,
            },
            ..PolicyRow::default()
        },
    }
}

fn with_mode(mode: Mode, modes: Vec<ModeRow>) -> Headless {
    let mut snapshot = snapshot();
    snapshot.mode = mode;
    snapshot.policy.modes = modes;
    console_with(snapshot, "noc", SIZE)
}

fn mode_row(scope: Scope, mode: Mode) -> ModeRow {
    ModeRow {
        scope,
        mode,
        source: Source::Runtime,
    }
}

/// Whoever is observed is moved by nobody: the buttons say so before the engine has to.
#[test]
fn a_switch_by_hand_of_whom_the_engine_only_observes_cannot_be_pressed() {
    let mut console = with_mode(Mode::Observe, Vec::new());
    press(&mut console, "e Down Down", NOW);
    let text = console.text();
    assert!(
        text.contains("mode observe: nothing moves, by hand neither"),
        "{text}"
    );
    assert!(asked(&press(&mut console, "Enter", later(2_000))).is_empty());
    assert!(
        status(&console).starts_with("mode observe: "),
        "{}",
        status(&console)
    );
    // The mode is changed under the open question.
    let mode = Mode::Recommend;
    notice(&mut console, Notice::Mode { mode }, later(3_000));
    assert!(!console.text().contains("mode observe"), "{}", console.text());
    let effects = press(&mut console, "Enter", later(5_000));
    assert!(
        matches!(asked(&effects)[..], [Command::Switch { .. }]),
        "{effects:?}"
    );
}

#[test]
fn the_most_specific_mode_says_whether_a_button_can_be_pressed() {
    let user = Scope::User {
        user: user("paris-001"),
    };
    let machine = Scope::Vm { vm: vm() };
    let dc = |name| Scope::Dc { dc: site(name) };
    let tenant = Scope::Tenant {
        tenant: "acme".parse().unwrap(),
    };
    let (observe, recommend) = (Mode::Observe, Mode::Recommend);
    // With what holds for everything, and whether LIP6 can be pressed, the third place of three.
    for (all, modes, open) in [
        (observe, vec![mode_row(user.clone(), recommend)], true),
        (
            recommend,
            vec![mode_row(user, observe), mode_row(machine.clone(), Mode::Auto)],
            false,
        ),
        (
            recommend,
            vec![mode_row(machine, observe), mode_row(dc("lip6"), Mode::Auto)],
            false,
        ),
        (recommend, vec![mode_row(dc("lip6"), observe)], false),
        (recommend, vec![mode_row(dc("marilyn"), observe)], true),
        (recommend, vec![mode_row(dc("telco"), observe)], false),
        // Whose it is, the engine alone knows.
        (recommend, vec![mode_row(tenant, observe)], true),
    ] {
        let mut console = with_mode(all, modes.clone());
        press(&mut console, "e", NOW);
        let dialog = console.app.dialog.as_ref().unwrap();
        let to_lip6 = |choice: &&Choice| matches!(&choice.deed, Deed::Ask(Command::Switch { to, .. }, _) if *to == site("lip6"));
        let choice = dialog.choices.iter().find(to_lip6).unwrap();
        assert_eq!(choice.hindrance.is_none(), open, "{all} {modes:?}: {choice:?}");
    }
}

/// A freeze refuses whoever asks, the glass broken or not.
#[test]
fn what_a_freeze_would_refuse_cannot_be_pressed_and_the_question_says_so() {
    let armed = Notice::Policy { row: policy() };
    for keys in [
        "a",
        "e Down Down",
        "Tab Tab B x Enter",
        ": a p p r o v e Space 1 7 Enter",
    ] {
        let mut console = with_policy();
        notice(&mut console, disarmed(), NOW);
        press(&mut console, keys, NOW);
        let text = console.text();
        assert!(
            text.contains("disarmed (freeze): nothing moves, by hand"),
            "{keys}: {text}"
        );
        assert!(
            asked(&press(&mut console, "y Tab Enter", later(8_000))).is_empty(),
            "{keys}"
        );
        assert!(console.app.dialog.is_some(), "{keys}");
        // Armed under the open question.
        notice(&mut console, armed.clone(), later(12_000));
        let text = console.text();
        assert!(!text.contains("disarmed (freeze)"), "{keys}: {text}");
        assert!(
            !asked(&press(&mut console, "Enter y", later(12_000))).is_empty(),
            "{keys}"
        );
    }
    // Frozen under the open question: the focus goes back to Cancel.
    let mut console = with_policy();
    press(&mut console, "a Tab", NOW);
    notice(&mut console, disarmed(), later(500));
    assert!(asked(&press(&mut console, "Enter", later(1_000))).is_empty());
    assert!(console.app.dialog.is_none(), "Cancel was pressed");
    // Saying no moves nobody.
    assert!(!asked(&press(&mut console, "r y", later(2_000))).is_empty());
}

#[test]
fn every_question_about_policy_has_cancel_first() {
    for keys in [
        "d Enter",
        "D Enter",
        "F Enter",
        "M Enter",
        "M Down Enter Enter",
        "B x Enter Enter",
    ] {
        let mut console = with_policy();
        let effects = press(&mut console, keys, NOW);
        assert!(asked(&effects).is_empty(), "{keys}: {effects:?}");
        assert!(console.app.dialog.is_none(), "{keys}");
    }
}

#[test]
fn d_disarms_and_then_arms() {
    let mut console = noc();
    let effects = press(&mut console, "d Down Enter", NOW);
    let freeze = Command::Disarm {
        how: Disarmed::Freeze,
    };
    assert_eq!(asked(&effects), [&freeze]);
    notice(&mut console, disarmed(), later(2_000));
    let text = console.text();
    let head = text.lines().next().unwrap();
    assert!(
        head.contains("DISARMED (freeze)") && head.contains("nothing moves"),
        "{head}"
    );
    assert!(text.lines().last().unwrap().contains("d arm"), "{text}");
    assert_eq!(
        asked(&press(&mut console, "d Down Enter", later(3_000))),
        [&Command::Arm]
    );
}

#[test]
fn disarming_is_possible_on_a_frozen_display_and_on_a_wall_and_arming_is_not() {
    for before in ["f", "l"] {
        let mut console = noc();
        press(&mut console, before, NOW);
        let effects = press(&mut console, "d Down Enter", later(1_000));
        assert_eq!(asked(&effects).len(), 1, "{before}");
        notice(&mut console, disarmed(), later(3_000));
        press(&mut console, "d", later(4_000));
        assert!(console.app.dialog.is_none(), "{before}");
    }
}

#[test]
fn a_drain_names_the_rows_data_centre_and_the_second_press_takes_it_back() {
    let mut console = with_policy();
    let drain = Command::Drain { dc: site("telco") };
    assert_eq!(asked(&press(&mut console, "D y", NOW)), [&drain]);
    // LIP6 is being drained in the fixture.
    press(&mut console, "/ l i p 6 Enter", later(2_000));
    let undrain = Command::Undrain { dc: site("lip6") };
    assert_eq!(asked(&press(&mut console, "D y", later(9_000))), [&undrain]);
}

#[test]
fn a_drain_by_the_session_is_one_line_with_its_rule_and_only_staffs_own_is_taken_back() {
    let row = |by| DrainRow {
        dc: site("lip6"),
        rule: Option::is_none(&by).then(|| "hall-floods".to_owned()),
        by,
        left: 2,
    };
    let drained = |rows: Vec<DrainRow>| {
        let mut snapshot = snapshot();
        snapshot.policy = policy();
        snapshot.policy.drains = rows;
        let mut console = console_with(snapshot, "noc", SIZE);
        press(&mut console, "/ l i p 6 Enter", NOW);
        console
    };
    let (drain, undrain) = (
        Command::Drain { dc: site("lip6") },
        Command::Undrain { dc: site("lip6") },
    );
    let mut console = drained(vec![row(None)]);
    let effects = press(&mut console, "D y", later(3_000));
    assert!(
        asked(&effects).is_empty(),
        "there is nothing of staff's to take back"
    );
    let text = console.text();
    assert!(text.contains("rule 'hall-floods' of the session"), "{text}");
    // Staff may drain it beside.
    press(&mut console, "Esc", later(6_000));
    let effects = press(&mut console, "D Down Down Enter", later(7_000));
    assert_eq!(asked(&effects), [&drain], "{}", console.text());

    let mut console = drained(vec![row(None), row(Some(ana()))]);
    press(&mut console, "D", later(3_000));
    let text = console.text();
    assert!(text.contains("it stays drained for rule 'hall-floods'"), "{text}");
    assert_eq!(asked(&press(&mut console, "y", later(6_000))), [&undrain]);
    press(&mut console, "p", later(9_000));
    let text = console.text();
    let lines = text.lines().filter(|line| line.contains("hall-floods")).count();
    assert_eq!(lines, 1, "{text}");
    assert!(text.contains("of the session and ana: 2 entries left"), "{text}");
}

#[test]
fn flaps_are_forgiven_by_line_of_the_ledger() {
    let mut console = with_policy();
    let entry = Command::Forgive {
        key: FlapKey::Entry {
            user: user("paris-001"),
            vm: vm(),
        },
    };
    assert_eq!(asked(&press(&mut console, "F Down Down Enter", NOW)), [&entry]);
    // In the policy pane it is the line under the cursor: two modes, then the flaps by name.
    let effects = press(&mut console, "p j j F y", later(3_000));
    assert_eq!(asked(&effects), [&entry]);
}

#[test]
fn a_user_without_flaps_cannot_be_forgiven_and_the_reason_is_told() {
    let mut console = noc();
    press(&mut console, "F", NOW);
    assert!(console.app.dialog.is_none());
    assert_eq!(
        status(&console),
        "paris-001 has no flaps on the ledger: there is nothing to forgive"
    );
}

#[test]
fn the_mode_of_a_part_is_set_and_taken_back() {
    let mut console = with_policy();
    let set = Command::SetModeAt {
        scope: Scope::User {
            user: user("paris-001"),
        },
        mode: Some(Mode::Observe),
    };
    assert_eq!(
        asked(&press(&mut console, "M Down Enter Down Enter", NOW)),
        [&set]
    );
    let inherit = Command::SetModeAt {
        scope: Scope::Vm { vm: vm() },
        mode: None,
    };
    let effects = press(&mut console, "M Down Down Enter Up Enter", later(5_000));
    assert_eq!(asked(&effects), [&inherit]);
}

#[test]
fn the_glass_needs_a_reason_and_sends_it() {
    let mut console = with_policy();
    assert!(asked(&press(&mut console, "B Enter", NOW)).is_empty());
    assert_eq!(
        status(&console),
        "breaking the glass needs a reason: it goes on the record"
    );
    press(&mut console, "B", later(1_000));
    console.update(Input::Paste("fire at Telco\n".to_owned()), later(2_000));
    assert!(console.app.dialog.is_none(), "pasted text ends no line");
    let effects = press(&mut console, "Enter Down Down Enter", later(3_000));
    let glass = Command::BreakGlass {
        reason: "fire at Telco".to_owned(),
        ask: Forced::Switch {
            user: user("paris-001"),
            vm: vm(),
            to: site("marilyn"),
        },
    };
    assert_eq!(asked(&effects), [&glass]);
}

#[test]
fn a_refusal_says_how_long_and_what_else_would_do() {
    let mut console = noc();
    let effects = press(&mut console, "a y", NOW);
    let Some(Effect::Ask(request, _)) = effects.iter().find(|effect| matches!(effect, Effect::Ask(..)))
    else {
        panic!("{effects:?}")
    };
    let hold = Hold::CoolDown {
        user: user("paris-001"),
        until: NOW + proto::Span::secs(250),
    };
    let reply = EngineFrame::Reply {
        request: request.clone(),
        reply: Reply::Refused {
            refusal: Refusal::Held { hold },
        },
    };
    console.update(Input::frame(reply), later(600));
    let told = status(&console);
    assert!(
        told.contains("cools down (opens in 4 min 09 s); move it by hand, or wait"),
        "{told}"
    );
}

#[test]
fn why_asks_about_the_row_and_about_the_proposal() {
    let mut console = noc();
    let about = |vm, to: Option<&str>| Command::Why {
        user: user("paris-001"),
        vm: Some(vm),
        to: to.map(site),
    };
    // The way in use: why not another. The proposal: why not as proposed. A locator: why not by it.
    assert_eq!(asked(&press(&mut console, "w", NOW)), [&about(vm(), None)]);
    let effects = press(&mut console, "Esc Tab Tab w", later(2_000));
    assert_eq!(asked(&effects), [&about(vm(), Some("marilyn"))]);
    let effects = press(&mut console, "Esc BackTab j j w", later(4_000));
    assert_eq!(asked(&effects), [&about(vm(), Some("lip6"))]);
}

#[test]
fn a_card_waits_is_filled_counts_down_and_closes() {
    let mut console = noc();
    press(&mut console, "w", NOW);
    assert!(console.text().contains("waiting for the engine's answer"));
    press(&mut console, "Esc", later(500));
    assert!(console.app.card.is_none());
    answer_why(&mut console, "w", later(1_000));
    let text = console.text();
    assert!(
        text.contains("< binding") && text.contains("34.4 ms short"),
        "{text}"
    );
    assert!(text.contains(">switch RLOC<"), "{text}");
    // Other keys do nothing behind it.
    assert!(asked(&press(&mut console, "a y d Down", later(2_000))).is_empty());
    assert!(console.app.dialog.is_none());
    press(&mut console, "q", later(4_000));
    assert!(console.app.card.is_none());
}

#[test]
fn a_plan_is_asked_for_once_and_again_by_the_key_on_its_card() {
    let mut console = noc();
    let effects = press(&mut console, "P", NOW);
    let wanted = Command::Plan {
        price: None,
        budget: None,
    };
    assert_eq!(asked(&effects), [&wanted]);
    press(&mut console, "Esc", later(500));
    answer_plan(&mut console, "P", later(1_000));
    let text = console.text();
    assert!(
        text.contains("o gap 0.04 %: no plan is below 1.5 user-ms"),
        "{text}"
    );
    // Approving or switching behind it is not possible, and nothing of the plan is done by itself.
    assert!(asked(&press(&mut console, "a y e Enter", later(5_000))).is_empty());
    let mut console = noc();
    answer_plan(&mut console, "P", NOW);
    assert_eq!(asked(&press(&mut console, "w", later(4_000))), [&wanted]);
    // What autonomy was earned is not asked for: the console was told.
    press(&mut console, "Esc A", later(6_000));
    assert!(asked(&press(&mut console, "w", later(8_000))).is_empty());
}

#[test]
fn an_answer_to_a_card_that_was_closed_is_not_told() {
    let mut console = noc();
    let effects = press(&mut console, "w Esc", NOW);
    let Some(Effect::Ask(request, _)) = effects.first() else {
        panic!("{effects:?}")
    };
    let reply = EngineFrame::Reply {
        request: request.clone(),
        reply: Reply::Explained { why: Box::new(why()) },
    };
    console.update(Input::frame(reply), later(900));
    assert!(console.app.card.is_none() && console.app.status.is_none());
}

#[test]
fn a_card_whose_engine_is_lost_says_so() {
    let mut console = noc();
    press(&mut console, "w", NOW);
    let lost = Input::Lost {
        why: "reset".to_owned(),
    };
    console.update(lost, later(500));
    assert!(console.text().contains("the engine was lost before it answered"));
}

#[test]
fn a_card_scrolls_to_its_end_and_no_further() {
    let mut console = crate::fixture::console("compact", (80, 24));
    answer_why(&mut console, "w", NOW);
    assert!(console.text().contains("more below"));
    press(&mut console, "PgDn PgDn PgDn PgDn", later(1_000));
    let end = console.text();
    assert!(!end.contains("more below") && end.contains("is picked"), "{end}");
    press(&mut console, "Up", later(3_000));
    assert_ne!(console.text(), end, "one line up is one line up");
}

#[test]
fn p_goes_to_the_policy_and_back() {
    let mut console = with_policy();
    press(&mut console, "p", NOW);
    assert!(console.text().contains("FLAPS"));
    press(&mut console, "p", later(1_000));
    let text = console.text();
    assert!(text.contains("Links") && !text.contains("FLAPS"), "{text}");
}
