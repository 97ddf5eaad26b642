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
    screen.ended();
    screen.assert_restored();
}
