//! What is printed of each order, in words and as JSON, and how a refusal looks: exact text, since scripts read it.

use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use lisp_wire::Rloc;
use proto::node::ChangeOutcome;
use proto::{ChangeId, NodeFrame, NodeReport, ReportFrame, Span};

use super::*;

const EID: &str = "10.1.0.7/32";

/// A forwarder that answers one command so; what it was told comes back.
fn forwarder(
    report: NodeReport,
    outcome: Option<ChangeOutcome>,
) -> (tempfile::TempDir, Forwarder, JoinHandle<NodeCommand>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("telco.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
        std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
        let NodeFrame { request, command } = serde_json::from_str(&line).unwrap();
        let mut say = |reply_to, report| {
            let frame = ReportFrame { reply_to, report };
            writeln!(stream, "{}", serde_json::to_string(&frame).unwrap()).unwrap();
        };
        // Others' changes are told to all.
        let other = ChangeOutcome::Stored;
        say(
            None,
            NodeReport::Changed {
                change: ChangeId(1),
                outcome: other,
            },
        );
        say(Some(request), report);
        if let (NodeCommand::Prepare { change, .. }, Some(outcome)) = (&command, outcome) {
            say(
                None,
                NodeReport::Changed {
                    change: *change,
                    outcome,
                },
            );
        }
        command
    });
    let forwarder = Forwarder::find(&path).unwrap();
    (directory, forwarder, answers)
}

/// What is printed, what was refused, and what the forwarder was told.
fn told(
    order: &NodeAsk,
    (report, outcome): (NodeReport, Option<ChangeOutcome>),
    json: bool,
) -> (String, Option<String>, NodeCommand) {
    let (_directory, mut forwarder, answers) = forwarder(report, outcome);
    let mut out = Vec::new();
    let why = match ask(&mut forwarder, order, json, &mut out).unwrap() {
        Answer::Given => None,
        Answer::Refused { why } => Some(why),
    };
    (String::from_utf8(out).unwrap(), why, answers.join().unwrap())
}

/// As it is typed after `pacao ctl node SITE`.
#[derive(Debug, clap::Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(subcommand)]
    ask: NodeAsk,
}

fn typed(words: &str) -> NodeAsk {
    let line: Line = clap::Parser::try_parse_from(words.split(' ')).unwrap();
    line.ask
}

fn orders() -> [NodeAsk; 5] {
    [
        "stopped 10.1.0.7/32",
        "abandon 10.1.0.7/32",
        "arrived 10.1.0.7/32",
        "pin 10.1.0.7/32 172.16.0.1 172.16.0.2 --ttl 10m",
        "unpin 10.1.0.7/32",
    ]
    .map(typed)
}

fn prepare() -> NodeAsk {
    typed("prepare 10.1.0.7/32 --to 172.16.0.2 --for 1m")
}

#[test]
fn an_order_that_is_done_says_so_in_words_and_in_json() {
    for order in orders() {
        let (text, why, _) = told(&order, (NodeReport::Done, None), false);
        assert_eq!((text.as_str(), why), ("o done\n", None), "{order:?}");
        let (text, why, _) = told(&order, (NodeReport::Done, None), true);
        assert_eq!(
            (text.as_str(), why),
            ("{\"report\":\"done\"}\n", None),
            "{order:?}"
        );
    }
}

#[test]
fn a_refusal_has_its_reason_on_standard_error_and_in_json() {
    let refused = || NodeReport::Refused {
        why: format!("no move of {EID} is being prepared"),
    };
    for order in orders().into_iter().chain([prepare()]) {
        let (text, why, _) = told(&order, (refused(), None), false);
        assert_eq!(text, "", "{order:?}");
        assert_eq!(
            why.as_deref(),
            Some("no move of 10.1.0.7/32 is being prepared"),
            "{order:?}"
        );
        let (text, why, _) = told(&order, (refused(), None), true);
        let json = "{\"report\":\"refused\",\"why\":\"no move of 10.1.0.7/32 is being prepared\"}\n";
        assert_eq!(text, json, "{order:?}");
        assert!(why.is_some(), "{order:?}");
    }
}

#[test]
fn each_order_reaches_the_forwarder_as_it_was_given() {
    let commands = orders().map(|order| told(&order, (NodeReport::Done, None), false).2);
    let eid = EID.parse().unwrap();
    assert_eq!(commands[0], NodeCommand::Stopped { eid });
    assert_eq!(commands[1], NodeCommand::Abandon { eid });
    assert!(matches!(commands[2], NodeCommand::Arrived { eid: of, .. } if of == eid));
    let NodeCommand::SetCache { locators, ttl, .. } = &commands[3] else {
        panic!("{:?}", commands[3])
    };
    let ranked: Vec<_> = locators
        .iter()
        .map(|one| (one.rloc.to_string(), one.priority.0))
        .collect();
    assert_eq!(
        ranked,
        [("172.16.0.1".to_owned(), 1), ("172.16.0.2".to_owned(), 2)]
    );
    assert_eq!(*ttl, Span::secs(600));
    assert!(matches!(&commands[4], NodeCommand::SetCache { locators, .. } if locators.is_empty()));
}

#[test]
fn a_preparation_tells_what_the_destination_has() {
    let prepared = || ChangeOutcome::Prepared {
        destination: Rloc([172, 16, 0, 2].into()),
        clients: 2,
        after: Span::millis(31),
    };
    let (text, why, command) = told(&prepare(), (NodeReport::Done, Some(prepared())), false);
    assert_eq!(
        (text.as_str(), why),
        ("172.16.0.2 has 2 clients of 10.1.0.7/32 after 31ms\n", None)
    );
    let NodeCommand::Prepare {
        destination,
        expires_in,
        ..
    } = command
    else {
        panic!("{command:?}")
    };
    assert_eq!(
        (destination, expires_in),
        (Rloc([172, 16, 0, 2].into()), Span::secs(60))
    );
    let (text, ..) = told(&prepare(), (NodeReport::Done, Some(prepared())), true);
    assert_eq!(
        text,
        "{\"outcome\":\"prepared\",\"destination\":\"172.16.0.2\",\"clients\":2,\"after\":31000}\n"
    );
}

#[test]
fn a_preparation_that_nobody_acknowledges_is_a_refusal() {
    let unanswered = || ChangeOutcome::Unanswered {
        client: Rloc([172, 16, 0, 2].into()),
        attempts: 6,
    };
    let (text, why, _) = told(&prepare(), (NodeReport::Done, Some(unanswered())), false);
    assert_eq!(text, "");
    assert_eq!(
        why.as_deref(),
        Some("172.16.0.2 did not acknowledge in 6 attempts; a move now is one without preparation")
    );
    let (text, why, _) = told(&prepare(), (NodeReport::Done, Some(unanswered())), true);
    assert_eq!(
        text,
        "{\"outcome\":\"unanswered\",\"client\":\"172.16.0.2\",\"attempts\":6}\n"
    );
    assert!(why.is_some());
}
