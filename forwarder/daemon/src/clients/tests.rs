use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::config::ControlConfig;

fn open(directory: &Path, allow_uids: Vec<u32>) -> Clients {
    let config = ControlConfig {
        socket: directory.join("deep/node.sock"),
        allow_uids,
    };
    Clients::new(Listener::open(&config).unwrap())
}

fn me() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[test]
fn a_client_is_heard_line_by_line_and_told_what_it_got_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let mut clients = open(directory.path(), vec![me()]);
    let path = directory.path().join("deep/node.sock");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut stream = UnixStream::connect(&path).unwrap();
    stream
        .write_all(b"{\"request\":3,\"command\":\"subscribe\"}\n{\"request\":4,\"command\":\"fly\"}\n{\"req")
        .unwrap();
    let happenings = clients.serve();
    let [Happening::Connected(id), Happening::Asked { client, frame }] = happenings.as_slice() else {
        panic!("{happenings:?}");
    };
    assert_eq!((id, frame.request), (client, 3));
    let id = *id;
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let refused: ReportFrame = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(refused.reply_to, Some(4));
    stream
        .write_all(b"uest\":5,\"command\":\"show\",\"what\":\"probes\"}\n")
        .unwrap();
    let happenings = clients.serve();
    assert!(matches!(happenings.as_slice(), [Happening::Asked { frame, .. }] if frame.request == 5));
    clients.publish(
        std::iter::once(id),
        &ReportFrame {
            reply_to: None,
            report: NodeReport::Done,
        },
    );
    let told: ReportFrame = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(told.report, NodeReport::Done);
    drop((stream, lines));
    assert!(matches!(clients.serve().as_slice(), [Happening::Gone(_)]));
}

#[test]
fn a_stranger_is_let_go_unheard() {
    let directory = tempfile::tempdir().unwrap();
    let mut clients = open(directory.path(), vec![me() + 1]);
    let mut stream = UnixStream::connect(directory.path().join("deep/node.sock")).unwrap();
    stream
        .write_all(b"{\"request\":3,\"command\":\"subscribe\"}\n")
        .unwrap();
    assert!(clients.serve().is_empty());
    assert_eq!(stream.read(&mut [0; 10]).unwrap_or(0), 0);
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    let directory = tempfile::tempdir().unwrap();
    let mut clients = open(directory.path(), vec![me()]);
    let _stream = UnixStream::connect(directory.path().join("deep/node.sock")).unwrap();
    let happenings = clients.serve();
    let [Happening::Connected(id)] = happenings.as_slice() else {
        panic!("{happenings:?}")
    };
    let report = NodeReport::Refused {
        why: "x".repeat(1 << 20),
    };
    for _ in 0..6 {
        clients.tell(
            *id,
            &ReportFrame {
                reply_to: None,
                report: report.clone(),
            },
        );
    }
    assert!(matches!(clients.serve().as_slice(), [Happening::Gone(gone)] if gone == id));
}

#[test]
fn a_client_that_never_stops_asking_has_its_turn_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let mut clients = open(directory.path(), vec![me()]);
    let mut stream = UnixStream::connect(directory.path().join("deep/node.sock")).unwrap();
    let line = b"{\"request\":3,\"command\":\"subscribe\"}\n";
    let asked = 100_000;
    let storm = std::thread::spawn(move || stream.write_all(&line.repeat(asked)));
    let mut heard = 0;
    while heard < asked {
        let happenings = clients.serve();
        let of_one_turn = happenings
            .iter()
            .filter(|happening| matches!(happening, Happening::Asked { .. }))
            .count();
        assert!(of_one_turn <= MOST_INPUT / line.len() + 1, "{of_one_turn}");
        heard += of_one_turn;
    }
    storm.join().unwrap().unwrap();
}

#[test]
fn a_table_longer_than_the_bound_reaches_a_client_that_reads() {
    let directory = tempfile::tempdir().unwrap();
    let mut clients = open(directory.path(), vec![me()]);
    let stream = UnixStream::connect(directory.path().join("deep/node.sock")).unwrap();
    let happenings = clients.serve();
    let [Happening::Connected(id)] = happenings.as_slice() else {
        panic!("{happenings:?}")
    };
    let frame = ReportFrame {
        reply_to: Some(1),
        report: NodeReport::Refused {
            why: "x".repeat(MOST_OUTPUT + 1),
        },
    };
    clients.tell(*id, &frame);
    let copy = stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || BufReader::new(copy).lines().next().unwrap().unwrap());
    while !reader.is_finished() {
        assert!(clients.serve().is_empty());
    }
    assert_eq!(
        serde_json::from_str::<ReportFrame>(&reader.join().unwrap()).unwrap(),
        frame
    );
}

#[test]
fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let config = ControlConfig {
        socket: directory.path().join("node.sock"),
        allow_uids: vec![],
    };
    drop(std::os::unix::net::UnixListener::bind(&config.socket).unwrap()); // leaves its file behind
    let live = Listener::open(&config).unwrap();
    assert!(matches!(Listener::open(&config), Err(ListenError::Taken { .. })));
    assert!(config.socket.exists());
    drop(live);
    assert!(!config.socket.exists());
}

#[test]
fn the_socket_is_open_to_others_only_where_they_are_named() {
    let mode_with = |allow_uids| {
        let directory = tempfile::tempdir().unwrap();
        let _clients = open(directory.path(), allow_uids);
        let path = directory.path().join("deep/node.sock");
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode_with(vec![0, me()]), 0o600);
    assert_eq!(mode_with(vec![0, me() + 1]), 0o666);
}
