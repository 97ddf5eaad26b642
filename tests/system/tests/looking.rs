//! What a node is seen to do: its message log, a capture that tshark reads, probes in their class; and a Map-Server
//! that restarts without anybody noticing.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lisp_wire::{EidPrefix, MessageKind};
use proto::inspect::{LogFilter, LogPage, LogQuery, LoggedMessage, MessageOutcome};
use proto::node::Show;
use proto::{Direction, NodeCommand, NodeReport, Span};
use serde_yaml::Value;
use system_tests::capture::Capture;
use system_tests::fabric::{ask, lab, map_cache, paris, session, session_path, site, vm};
use system_tests::patience::wait_for;
use system_tests::product::pacao;
use testbed::traffic::{EchoSummary, TrafficLine};
use testbed::{Lab, Node};

/// A child that is not left behind by a test that fails.
struct Tied(Child);

impl Drop for Tied {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Numbered packets from the user to the VM and back.
struct Echo {
    client: Tied,
    _server: Tied,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Echo {
    fn start(lab: &Lab) -> Self {
        let mut serve = lab.traffic();
        serve.arg("serve").stdin(Stdio::piped()).stdout(Stdio::null());
        let server = Tied(lab.vm_host(&vm()).unwrap().spawn(serve).unwrap());
        let mut echo = lab.traffic();
        let address = format!("{}:5001", lab.vm_address(&vm()).unwrap());
        echo.args(["echo", &address, "--each", "--drain", "2s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut client = Tied(lab.user_host(&paris()).unwrap().spawn(echo).unwrap());
        let lines = BufReader::new(client.0.stdout.take().unwrap()).lines();
        Self {
            client,
            _server: server,
            lines,
        }
    }

    fn line(&mut self) -> TrafficLine {
        let line = self.lines.next().expect("the echo goes on").unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Waits until so many more have come back.
    fn carry(&mut self, count: usize) {
        let mut back = 0;
        while back < count {
            back += usize::from(matches!(self.line(), TrafficLine::Back { .. }));
        }
    }

    /// Ends it: what became of all of them, and which went missing.
    fn end(mut self) -> (EchoSummary, Vec<u64>) {
        drop(self.client.0.stdin.take());
        let mut missing = Vec::new();
        loop {
            match self.line() {
                TrafficLine::Missing { seq, .. } => missing.push(seq),
                TrafficLine::Echoed(summary) => return (summary, missing),
                _ => {}
            }
        }
    }
}

fn log(socket: &Path, filter: LogFilter) -> Vec<LoggedMessage> {
    let mut query = LogQuery {
        filter,
        ..LogQuery::default()
    };
    let mut messages = Vec::new();
    loop {
        let LogPage {
            messages: some,
            next,
            more,
            ..
        } = match ask(socket, NodeCommand::Log { query: query.clone() }).unwrap() {
            NodeReport::Log(page) => page,
            other => panic!("the log was asked for, got {other:?}"),
        };
        messages.extend(some);
        if !more {
            return messages;
        }
        query.after = next;
    }
}

fn of_kind(kind: MessageKind, direction: Direction) -> LogFilter {
    LogFilter {
        kinds: vec![kind],
        direction: Some(direction),
        ..LogFilter::default()
    }
}

/// All xTRs: where they are asked.
fn xtrs(lab: &Lab) -> BTreeMap<Node, PathBuf> {
    let sites = lab
        .controls()
        .into_iter()
        .map(|(name, socket)| (Node::Site(name), socket));
    let users = lab.user_controls().into_iter();
    sites
        .chain(users.map(|(name, socket)| (Node::User(name), socket)))
        .collect()
}

fn registered(server: &Path) -> BTreeSet<EidPrefix> {
    let show = NodeCommand::Show {
        what: Show::Registrations,
    };
    match ask(server, show) {
        Ok(NodeReport::Registrations { rows }) => rows.iter().map(|row| row.eid).collect(),
        _ => BTreeSet::new(),
    }
}

/// Restarts a forwarder with this much time between registrations.
fn register_every(lab: &Lab, node: &Node, span: &str) {
    let file = find(lab.directory(), &format!("{node}.yaml"));
    let mut config: Value = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["register_every"] = span.into();
    lab.kill_forwarder(node).unwrap();
    std::fs::write(&file, serde_yaml::to_string(&config).unwrap()).unwrap();
    lab.restart_forwarder(node).unwrap();
}

fn find(directory: &Path, name: &str) -> PathBuf {
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|file| file == name) {
                return path;
            }
        }
    }
    panic!("no {name} in {}", directory.display())
}

#[test]
fn a_map_server_that_restarts_has_its_registrations_back_and_no_packet_is_lost() {
    let lab = lab(&[]).unwrap();
    let server = lab.map_server_control();
    let all = registered(&server);
    assert!(all.len() >= 4, "{all:?}");
    for node in xtrs(&lab).keys() {
        register_every(&lab, node, "5s");
    }
    let mut echo = Echo::start(&lab);
    echo.carry(20);
    lab.kill_forwarder(&Node::MapServer).unwrap();
    echo.carry(100);
    lab.restart_forwarder(&Node::MapServer).unwrap();
    wait_for(
        "the registrations are back",
        || registered(&server),
        |now| (*now == all).then_some(()),
    );
    echo.carry(50);
    let (summary, missing) = echo.end();
    assert_eq!((summary.lost, missing), (0, Vec::new()), "{summary:?}");
    assert!(summary.sent >= 170, "{summary:?}");

    // The first that the server heard of each EID was within one refresh, and it took it at its first word.
    let heard = log(&server, of_kind(MessageKind::MapRegister, Direction::In));
    let up = heard.first().unwrap().at;
    for eid in &all {
        let first = heard.iter().find(|message| message.eids.contains(eid)).unwrap();
        let within = first.at.since(up);
        assert!(within <= Span::secs(6), "{eid} came {within} after the first");
        assert!(
            matches!(first.outcome, MessageOutcome::Accepted { .. }),
            "{first:#?}"
        );
    }
    lab.stop().unwrap();
}

#[test]
fn what_nodes_say_to_each_other_is_in_their_logs_and_in_captures_that_tshark_reads() {
    let lab = lab(&[]).unwrap();
    let mut echo = Echo::start(&lab);
    echo.carry(50);
    echo.end();
    let user = lab.user_controls().remove(&paris()).unwrap();
    let eid = session().unwrap().config.vms[&vm()].eid;
    wait_for(
        "the user's router knows the VM",
        || map_cache(&user).unwrap(),
        |rows| {
            rows.iter()
                .any(|row| row.eid == eid && !row.locators.is_empty())
                .then_some(())
        },
    );

    // People's own words.
    let told = told_by(&["log", "--eid", "10.1.0.7", "--type", "ecm,map-reply"], &user);
    let lines: Vec<&str> = told.lines().collect();
    assert!(
        lines
            .iter()
            .any(|line| line.contains(" > 172.16.9.1:4342") && line.contains(" ecm ")),
        "{told}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains(" map-reply ") && line.contains("(map-replies.accepted)")),
        "{told}"
    );
    let told = told_by(&["registrations", "--eid", "10.1.0.7"], &lab.map_server_control());
    assert!(told.contains("10.1.0.7/32") && told.contains("pri   1"), "{told}");
    let told = told_by(&["counters", "--dropped", "--json"], &user);
    let counters: NodeReport = serde_json::from_str(&told).unwrap();
    assert!(matches!(counters, NodeReport::Counters { rows } if rows.len() > 20));

    let directory = tempfile::tempdir().unwrap();
    let telco = lab.controls().remove(&site("telco")).unwrap();
    let sockets = [user.clone(), telco, lab.map_server_control()];
    let mut seen: BTreeMap<MessageKind, usize> = BTreeMap::new();
    for (index, socket) in sockets.into_iter().enumerate() {
        let file = directory.path().join(format!("{index}.pcapng"));
        let name = file.to_str().unwrap();
        let before = kinds(&socket);
        let told = told_by(
            &["capture", "--to", name, "--past", "--seconds", "1", "--json"],
            &socket,
        );
        let after = kinds(&socket);
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let messages = told["messages"].as_u64().unwrap();
        assert!(messages > 0 && told["gaps"] == 0, "{told}");
        let shown = tshark(&file, "lisp").len() as u64;
        assert_eq!(shown, messages, "{name}: every message is one packet");
        let faults = "_ws.malformed || _ws.expert.severity >= \"Warning\" || ip.checksum.status == 0 \
                      || udp.checksum.status == 0";
        let faults = tshark(&file, faults);
        assert!(faults.is_empty(), "{faults:#?}");
        for (kind, filter) in KINDS {
            let count = |kinds: &BTreeMap<MessageKind, usize>| kinds.get(&kind).copied().unwrap_or(0);
            let shown = tshark(&file, filter).len();
            assert!(
                (count(&before)..=count(&after)).contains(&shown),
                "{name}: {shown} {kind}"
            );
            *seen.entry(kind).or_default() += shown;
        }
    }
    assert!(seen.values().all(|count| *count > 0), "{seen:?}");

    // What is there is not overwritten; a limit is a limit; and what happens is told as it happens.
    let taken = directory.path().join("0.pcapng");
    let before = std::fs::read(&taken).unwrap();
    let mut again = pacao(["ctl", "node"]).unwrap();
    again
        .arg(&user)
        .args(["capture", "--past", "--seconds", "1", "--to"]);
    assert_eq!(again.arg(&taken).output().unwrap().status.code(), Some(2));
    assert_eq!(std::fs::read(&taken).unwrap(), before);
    let few = directory.path().join("few.pcapng");
    told_by(
        &[
            "capture",
            "--past",
            "--packets",
            "3",
            "--to",
            few.to_str().unwrap(),
        ],
        &user,
    );
    assert_eq!(tshark(&few, "lisp").len(), 3);
    let mut follow = pacao(["ctl", "node"]).unwrap();
    follow
        .arg(&user)
        .args(["log", "--follow", "--json", "--last", "0", "--type", "rloc-probe"]);
    let mut follow = Tied(follow.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(follow.0.stdout.take().unwrap()).lines();
    let numbers: Vec<u64> = lines
        .take(3)
        .map(|line| {
            serde_json::from_str::<LoggedMessage>(&line.unwrap())
                .unwrap()
                .number
        })
        .collect();
    assert!(numbers.is_sorted() && numbers[0] < numbers[2], "{numbers:?}");
    lab.stop().unwrap();
}

#[test]
fn a_state_that_cannot_be_stored_is_told_of_until_it_is_and_the_node_works_on() {
    let lab = lab(&[]).unwrap();
    let user = lab.user_controls().remove(&paris()).unwrap();
    let file = find(lab.directory(), &format!("{}.yaml", paris()));
    let config: Value = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let state = PathBuf::from(config["state_dir"].as_str().unwrap());
    let away = state.with_extension("away");
    std::fs::rename(&state, &away).unwrap();
    // It registers anew, under a nonce that is to be remembered.
    assert!(matches!(
        ask(&user, NodeCommand::Reload).unwrap(),
        NodeReport::Reloaded { .. }
    ));
    let told = || {
        let output = pacao(["ctl", "node"]).unwrap();
        let output = { output }
            .arg(&user)
            .args(["counters", "--dropped"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    wait_for("the failure is told", told, |text| {
        (text.contains("control.state.failed") && text.contains("control.state.failing")).then_some(())
    });
    let mut echo = Echo::start(&lab);
    echo.line();
    std::fs::rename(&away, &state).unwrap();
    wait_for("it is stored again", told, |text| {
        (!text.contains("control.state.failing") && text.contains("control.state.failed")).then_some(())
    });
    lab.stop().unwrap();
}

#[test]
fn a_node_that_is_not_there_or_will_not_answer_is_told_from_one_that_does() {
    let output = pacao(["ctl", "node", "/nowhere/at-all.sock", "map-cache"])
        .unwrap()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("/nowhere/at-all.sock"), "{errors}");
    let output = pacao(["ctl", "node", "nobodys-site", "log", "--type", "gossip"])
        .unwrap()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("map-request"));
}

#[test]
fn probes_travel_in_the_class_of_their_users_traffic() {
    let lab = lab(&[]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut file: Value = serde_yaml::from_str(&std::fs::read_to_string(session_path()).unwrap()).unwrap();
    file["sla"]["interactive"]["dscp"] = 46.into();
    file.as_mapping_mut().unwrap().remove("lab");
    for (name, socket) in lab.controls() {
        file["sites"][name.to_string()]["control"] = socket.to_str().unwrap().into();
    }
    let session_file = directory.path().join("session.yaml");
    std::fs::write(&session_file, serde_yaml::to_string(&file).unwrap()).unwrap();

    let telco = lab.node_host(&Node::Site(site("telco"))).unwrap();
    let capture = Capture::start(telco, "any", directory.path()).unwrap();
    let mut serve: Command = pacao(["serve"]).unwrap();
    serve
        .arg(&session_file)
        .arg("--state")
        .arg(directory.path().join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let engine = Tied(serve.spawn().unwrap());
    let socket = lab.controls().remove(&site("telco")).unwrap();
    wait_for(
        "probes in their class",
        || log(&socket, of_kind(MessageKind::RlocProbe, Direction::Out)),
        |probes| {
            let marked = probes.iter().filter(|probe| probe.dscp == Some(46));
            (marked.count() >= 9).then_some(())
        },
    );
    drop(engine);
    let captured = capture.stop().unwrap();
    let user = session().unwrap().config.users[&paris()].rloc;
    let probes = format!("lisp.mreq.flags.probe == 1 && ip.src == 172.16.0.1 && ip.dst == {user}");
    let marked = captured
        .shown(&format!("{probes} && ip.dsfield.dscp == 46"))
        .unwrap();
    assert!(marked.len() >= 2, "{marked:#?}");
    // No other probe left once the engine had said how.
    let all = captured.shown(&probes).unwrap();
    assert_eq!(all.len(), marked.len(), "{all:#?}");
    lab.stop().unwrap();
}

/// What tshark calls them.
const KINDS: [(MessageKind, &str); 6] = [
    (MessageKind::MapRegister, "lisp.type == 3"),
    (MessageKind::MapNotify, "lisp.type == 4"),
    (MessageKind::Ecm, "lisp.type == 8"),
    (
        MessageKind::MapReply,
        "lisp.type == 2 && lisp.mrep.flags.probe == 0",
    ),
    (MessageKind::RlocProbe, "lisp.mreq.flags.probe == 1"),
    (MessageKind::ProbeReply, "lisp.mrep.flags.probe == 1"),
];

/// How many messages of each kind a node has logged.
fn kinds(socket: &Path) -> BTreeMap<MessageKind, usize> {
    let mut kinds = BTreeMap::new();
    for message in log(socket, LogFilter::default()) {
        *kinds.entry(message.kind).or_default() += 1;
    }
    kinds
}

fn told_by(arguments: &[&str], socket: &Path) -> String {
    let mut command = pacao(["ctl", "node"]).unwrap();
    let output = command.arg(socket).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn tshark(file: &Path, filter: &str) -> Vec<String> {
    let mut command = Command::new("tshark");
    command.args([
        "-n",
        "-o",
        "ip.check_checksum:TRUE",
        "-o",
        "udp.check_checksum:TRUE",
        "-Y",
        filter,
        "-r",
    ]);
    let output = command.arg(file).output().unwrap();
    assert!(
        output.status.success(),
        "tshark -Y '{filter}': {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}
