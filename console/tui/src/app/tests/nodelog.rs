//! A forwarder from inside: asked for only while it is seen, never faster than people read.

use proto::{Command, EngineFrame, LogFilter, LogQuery, Look, Refusal, Reply, Span};

use super::{later, noc};
use crate::fixture::{NOW, answer_looks, asked, console, messages, press, site};
use crate::headless::Headless;
use crate::{Effect, Input};

fn looks(effects: &[Effect]) -> Vec<&Command> {
    let mut looks = asked(effects);
    looks.retain(|command| matches!(command, Command::Look { .. }));
    looks
}

fn tick(console: &mut Headless, at: u64) -> Vec<Effect> {
    console.update(Input::Tick, later(at))
}

/// A console that looks into marilyn's forwarder and was answered.
fn looking() -> Headless {
    let mut console = noc();
    press(&mut console, "n", NOW);
    let effects = tick(&mut console, 1_000);
    answer_looks(&mut console, &effects, &messages(), later(1_100));
    console
}

#[test]
fn nothing_is_asked_of_forwarders_until_their_pane_is_on_the_screen() {
    let mut console = noc();
    for at in 0..20 {
        assert!(looks(&tick(&mut console, 250 * at)).is_empty());
    }
    press(&mut console, "n", later(6_000));
    let effects = tick(&mut console, 7_000);
    let query = LogQuery {
        most: 128,
        filter: LogFilter {
            no_probes: true,
            ..LogFilter::default()
        },
        ..LogQuery::default()
    };
    // LIP6's forwarder is gone in the fixture, so the first that is connected is Marilyn's.
    let log = Command::Look {
        site: site("marilyn"),
        what: Look::Log { query },
    };
    assert_eq!(looks(&effects).first(), Some(&&log));
    assert_eq!(looks(&effects).len(), 2, "and the map cache");
    // Away from the pane, no more.
    answer_looks(&mut console, &effects, &messages(), later(7_100));
    press(&mut console, "n", later(8_000));
    assert!(looks(&tick(&mut console, 20_000)).is_empty());
}

#[test]
fn one_question_at_a_time_and_two_a_second_at_most() {
    let mut console = noc();
    press(&mut console, "n", NOW);
    let first = tick(&mut console, 1_000);
    assert_eq!(looks(&first).len(), 2);
    for at in [1_250, 1_500, 2_000, 4_000] {
        assert!(looks(&tick(&mut console, at)).is_empty(), "unanswered: {at}");
    }
    answer_looks(&mut console, &first, &messages(), later(4_100));
    let mut count = 0;
    for at in 0..40 {
        let effects = tick(&mut console, 4_200 + 250 * at);
        count += looks(&effects).len();
        answer_looks(&mut console, &effects, &[], later(4_201 + 250 * at));
    }
    assert!((20..=26).contains(&count), "{count} in ten seconds");
}

#[test]
fn it_goes_on_after_the_last_message_and_newest_is_last() {
    let mut console = looking();
    let text = console.text();
    let line = |what: &str| text.lines().position(|line| line.contains(what));
    assert!(line("map-register") < line("refused, replay"), "{text}");
    let effects = tick(&mut console, 2_000);
    let after = |command: &&Command| match command {
        Command::Look {
            what: Look::Log { query },
            ..
        } => Some(query.after),
        _ => None,
    };
    assert_eq!(looks(&effects).iter().find_map(after), Some(4));
}

#[test]
fn what_is_read_further_back_stays_where_it_is() {
    let mut console = looking();
    press(&mut console, "k k", later(1_500));
    let back = console.app.looks.back;
    assert_eq!(back, 2);
    let effects = tick(&mut console, 3_000);
    answer_looks(&mut console, &effects, &messages(), later(3_100));
    assert_eq!(console.app.looks.back, back + messages().len());
    press(&mut console, "G", later(4_000));
    assert_eq!(console.app.looks.back, 0);
}

#[test]
fn a_filter_is_typed_in_words_and_sent_to_the_forwarder() {
    let mut console = looking();
    press(&mut console, "/", later(2_000));
    assert_eq!(
        console.app.field.as_ref().map(|field| field.line.as_str()),
        Some("log ")
    );
    console.update(
        Input::Paste("eid 10.1.0.0/16 type map-register,map-notify refused".to_owned()),
        later(3_000),
    );
    press(&mut console, "Enter", later(4_000));
    let effects = tick(&mut console, 5_000);
    let Some(Command::Look {
        what: Look::Log { query },
        ..
    }) = looks(&effects).first()
    else {
        panic!("{effects:?}")
    };
    assert_eq!(query.after, 0, "from the beginning");
    assert_eq!((query.filter.kinds.len(), query.filter.refused), (2, true));
    assert_eq!(query.filter.eid, Some("10.1.0.0/16".parse().unwrap()));
    answer_looks(&mut console, &effects, &[], later(5_100));
    let text = console.text();
    assert!(
        text.contains("no message passes the filter") && text.contains("type map-register,map-notify"),
        "{text}"
    );
}

#[test]
fn of_a_forwarder_that_does_not_answer_nothing_is_known() {
    let mut console = noc();
    press(&mut console, "n", NOW);
    let effects = tick(&mut console, 1_000);
    for effect in effects {
        let Effect::Ask(request, _) = effect else { continue };
        let reply = Reply::Refused {
            refusal: Refusal::ObserveOnly,
        };
        console.update(Input::frame(EngineFrame::Reply { request, reply }), later(1_100));
    }
    let text = console.text();
    assert_eq!(
        text.matches("unknown: the forwarder has not told").count(),
        2,
        "{text}"
    );
    assert!(
        !text.contains("no mappings") && !text.contains("no control message"),
        "{text}"
    );
}

#[test]
fn probes_are_left_out_until_they_are_named() {
    for (line, no_probes, shown) in [
        ("in", true, "log in"),
        ("in probes", false, "log in probes"),
        ("all", false, "log probes"),
        ("type rloc-probe", false, "log type rloc-probe"),
    ] {
        let mut console = looking();
        press(&mut console, "/", later(2_000));
        console.update(Input::Paste(line.to_owned()), later(3_000));
        press(&mut console, "Enter", later(4_000));
        assert_eq!(console.app.looks.filter.no_probes, no_probes, "{line}");
        press(&mut console, "/", later(5_000));
        assert!(
            console.text().contains(&format!(":{shown}")),
            "{}",
            console.text()
        );
    }
}

#[test]
fn a_wrong_filter_is_named_and_changes_nothing() {
    for (line, trouble) in [
        ("peer nobody", "'nobody' is no address"),
        ("type map-regster", "no type 'map-regster'; known: map-request"),
        ("peer", "'peer' of what"),
        ("sideways", "no 'sideways': log [peer"),
        ("eid 10.1.0.0/99", "'10.1.0.0/99':"),
    ] {
        let mut console = looking();
        press(&mut console, "/", later(2_000));
        console.update(Input::Paste(line.to_owned()), later(3_000));
        press(&mut console, "Enter", later(4_000));
        let text = console.text();
        assert!(text.contains(trouble), "{line}: {text}");
        assert!(!console.app.looks.filter.refused && console.app.looks.filter.kinds.is_empty());
    }
}

#[test]
fn another_forwarder_begins_anew() {
    let mut console = looking();
    let stale = tick(&mut console, 2_000);
    assert!(!looks(&stale).is_empty());
    press(&mut console, "Right", later(2_000));
    let effects = tick(&mut console, 3_000);
    assert!(console.text().contains("Messages of TelcoCenter"));
    let Some(Command::Look { site: of, .. }) = looks(&effects).first() else {
        panic!("{effects:?}")
    };
    assert_eq!(*of, site("telco"));
    assert!(console.app.looks.messages.is_empty());
    // An answer of the one before is not taken for one of this.
    answer_looks(&mut console, &stale, &messages(), later(3_100));
    assert!(console.app.looks.messages.is_empty());
}

#[test]
fn frozen_or_lost_nothing_is_asked() {
    let mut console = looking();
    press(&mut console, "f", later(2_000));
    assert!(looks(&tick(&mut console, 9_000)).is_empty());
    let mut console = looking();
    let lost = Input::Lost {
        why: "reset".to_owned(),
    };
    console.update(lost, later(2_000));
    assert!(looks(&tick(&mut console, 9_000)).is_empty());
}

#[test]
fn what_is_kept_is_bounded() {
    let mut console = console("node", (80, 24));
    let many: Vec<_> = messages().into_iter().cycle().take(500).collect();
    for round in 0..8 {
        let at = Span::secs(2 * round + 2).micros() / 1_000;
        let effects = tick(&mut console, at);
        answer_looks(&mut console, &effects, &many, later(at + 10));
    }
    assert_eq!(console.app.looks.messages.len(), 2_000);
}
