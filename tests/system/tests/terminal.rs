//! The console as a person has it: on a real (pseudo) terminal, with keys.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use system_tests::product::pacao;
use system_tests::screen::Screen;

fn demo(state: &std::path::Path, width: u16, height: u16) -> Screen {
    let mut command = pacao(["demo", "--stress-after", "5"]).unwrap();
    command.env("XDG_STATE_HOME", state);
    Screen::start(command, width, height).unwrap()
}

#[test]
fn a_key_and_a_confirmation_move_the_user_and_the_summary_follows() {
    let state = tempfile::tempdir().unwrap();
    let mut screen = demo(state.path(), 120, 40);
    screen.wait_for("links", |text| {
        text.contains("paris-001") && text.contains("RECOMMEND")
    });
    screen.wait_for("a proposal", |text| {
        text.contains("#1") && text.contains("SWITCH")
    });
    // Enter alone must not approve: Cancel has the focus.
    screen.press("a");
    screen.wait_for("the dialog", |text| text.contains("Cancel"));
    std::thread::sleep(std::time::Duration::from_millis(400)); // a dialog is deaf at first, against fat fingers
    screen.press("\r");
    screen.wait_for("the dialog is gone", |text| !text.contains("Cancel"));
    screen.press("a");
    screen.wait_for("the dialog again", |text| text.contains("Cancel"));
    std::thread::sleep(std::time::Duration::from_millis(400)); // as above
    screen.press("\t\r");
    screen.wait_for("the switch", |text| {
        text.contains("Switched") || text.contains("confirmed")
    });
    screen.press("q");
    let status = screen.ended();
    assert!(status.success(), "{status}: {}", screen.text());
    screen.assert_restored();
    let text = screen.text();
    assert!(text.contains("TelcoCenter ->"), "{text}");
    assert!(text.contains("o packets lost"), "{text}");
}

#[test]
fn the_terminal_comes_back_after_a_signal_and_wrong_keys_do_no_harm() {
    let state = tempfile::tempdir().unwrap();
    let mut screen = demo(state.path(), 80, 24);
    screen.wait_for("links", |text| screen.alternate() && text.contains("paris-001"));
    for keys in [
        "\x1b[Z\x1b[Z",
        "\x07\x10\x11",
        "zzzz",
        "/[\r",
        "\x1b",
        "?",
        "\x1b",
        "\x1b[200~y\ry\r\x1b[201~",
        "\u{1F600}",
    ] {
        screen.press(keys);
    }
    screen.wait_for("still there", |text| text.contains("paris-001"));
    kill(Pid::from_raw(screen.pid()), Signal::SIGTERM).unwrap();
    let status = screen.ended();
    screen.assert_restored();
    // A story that did not end is not judged, and no success.
    let text = screen.text();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(
        text.contains("broken off by a signal") && !text.contains("NaN"),
        "{text}"
    );
    assert!(!text.contains("lost"), "{text}");
}

/// The very bytes of a paste on a terminal without brackets: `a`, Tab, Enter, 666 times over, and Escape behind it.
#[test]
fn a_paste_without_brackets_approves_nothing() {
    let state = tempfile::tempdir().unwrap();
    let mut screen = demo(state.path(), 120, 40);
    screen.wait_for("a proposal", |text| {
        text.contains("#1") && text.contains("SWITCH")
    });
    screen.press(&"a\t\r".repeat(666));
    screen.wait_for("the question and why it heard nothing", |text| {
        text.contains("Cancel") && text.contains("keys came at once")
    });
    // All of it was taken: nothing is left that the next key could push along. The dialog is deaf for a moment.
    screen.press_until("\x1b", "the question is gone", |text| !text.contains("Cancel"));
    screen.press(":");
    screen.wait_for("the palette", |text| text.contains("Enter done"));
    assert!(
        screen.text().contains("1 open") && !screen.text().contains("Switched"),
        "{}",
        screen.text()
    );
}

/// Processes that were started with this state folder, or by one that was.
fn processes_of(state: &std::path::Path) -> Vec<String> {
    let wanted = format!("XDG_STATE_HOME={}", state.display()).into_bytes();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ours = processes.filter(|process| {
        let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|set| set == wanted)
    });
    ours.map(|process| process.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_terminal_that_goes_away_ends_the_demo_and_all_it_started() {
    let state = tempfile::tempdir().unwrap();
    let mut screen = demo(state.path(), 80, 24);
    screen.wait_for("links", |text| screen.alternate() && text.contains("paris-001"));
    assert!(processes_of(state.path()).len() > 3, "a demo is many processes");
    screen.hang_up();
    let status = screen.ended();
    assert_ne!(status.code(), Some(101), "it did not panic");
    assert_eq!(processes_of(state.path()), [] as [&str; 0]);
}

#[test]
fn a_terminal_that_goes_away_ends_the_engine_of_run_in_good_order() {
    let state = tempfile::tempdir().unwrap();
    let mut command = pacao(["run", "--listen", "127.0.0.1:0"]).unwrap();
    command
        .arg(system_tests::fabric::session_path())
        .env("XDG_STATE_HOME", state.path());
    let mut screen = Screen::start(command, 80, 24).unwrap();
    screen.wait_for("links", |text| screen.alternate() && text.contains("paris-001"));
    screen.hang_up();
    let status = screen.ended();
    assert!(status.success(), "{status}");
    assert_eq!(processes_of(state.path()), [] as [&str; 0]);
}

#[test]
fn what_a_demo_cannot_do_is_said_before_anything_is_built() {
    let state = tempfile::tempdir().unwrap();
    let told = |arguments: &[&str], term: &str| {
        let mut command = pacao(["demo"]).unwrap();
        command.args(arguments).env("XDG_STATE_HOME", state.path());
        let mut screen = Screen::start_as(term, command, 120, 24).unwrap();
        let status = screen.ended();
        assert_eq!(status.code(), Some(2), "{}", screen.text());
        assert!(!screen.text().contains("building"), "{}", screen.text());
        screen.text()
    };
    let text = told(&["--user", "nobody"], "xterm-256color");
    assert!(
        text.contains("no user nobody with a VM; it has lyon-042, paris-001"),
        "{text}"
    );
    let text = told(&[], "dumb");
    assert!(text.contains("TERM=dumb cannot show a screen"), "{text}");
}
