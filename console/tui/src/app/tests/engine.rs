//! What the engine says, what it does not say, and the end.

use proto::proposal::Receipt;
use proto::{
    Actor, EngineFrame, LinkId, Mode, Notice, Proposal, ProposalId, ProposalState, Refusal, Reply, RequestId,
    Severity, Span,
};

use super::{SIZE, approve, later, noc, revised, status};
use crate::app::Connection;
use crate::fixture::{NOW, asked, blank, notice, open, options, press, site, snapshot, user};
use crate::headless::Headless;
use crate::{Effect, Ending, Input, OnLost};

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
