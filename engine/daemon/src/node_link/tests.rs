use proto::Timestamp;
use tokio::io::AsyncBufReadExt;
use tokio::net::UnixListener;

use super::*;

/// A link to a socket on which the test plays the forwarder.
struct Bench {
    _folder: tempfile::TempDir,
    listener: UnixListener,
    inbox: mpsc::Receiver<Arrival>,
    link: tokio::task::JoinHandle<()>,
}

fn north() -> SiteName {
    SiteName::new("north").unwrap()
}

fn subscribe() -> NodeCommand {
    NodeCommand::Subscribe {
        residents: vec!["10.1.0.7/32".parse().unwrap()],
    }
}

impl Bench {
    fn new(commands: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("north");
        let listener = UnixListener::bind(&socket).unwrap();
        let (arrivals, inbox) = mpsc::channel(16);
        let peer = Peer {
            site: north(),
            address: Address::Unix(socket),
            commands,
        };
        let link = tokio::spawn(run(peer, arrivals));
        Self {
            _folder: folder,
            listener,
            inbox,
            link,
        }
    }

    /// The link's next connection, greeted.
    async fn greeted(&mut self) -> (UnixStream, mpsc::Sender<Order>) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        stream.write_all(&hello("north")).await.unwrap();
        let Some(Arrival::NodeUp { commands, .. }) = self.inbox.recv().await else {
            panic!("no NodeUp")
        };
        let Some(Arrival::Input(Input::Report {
            report: NodeReport::Hello { .. },
            ..
        })) = self.inbox.recv().await
        else {
            panic!("no Hello after NodeUp")
        };
        (stream, commands)
    }

    async fn down(&mut self) -> String {
        match self.inbox.recv().await {
            Some(Arrival::Input(Input::NodeDown { why, .. })) => why,
            other => panic!("no NodeDown but {other:?}"),
        }
    }
}

fn hello(site: &str) -> Vec<u8> {
    let name = SiteName::new(site).unwrap();
    let report = NodeReport::Hello {
        name,
        version: "fake".into(),
        rlocs: Vec::new(),
        since: Timestamp::default(),
    };
    frames::line(&ReportFrame {
        reply_to: None,
        report,
    })
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_forwarder_that_falls_silent_is_asked_and_then_given_up() {
    let mut bench = Bench::new(8);
    let (stream, _commands) = bench.greeted().await;
    assert_eq!(bench.down().await, "nothing heard for 5 s");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.unwrap();
    let frame: NodeFrame = serde_json::from_str(&line).unwrap();
    assert_eq!(
        frame,
        NodeFrame {
            request: 1,
            command: NodeCommand::Show { what: Show::Counters }
        }
    );
    bench.greeted().await;
}

#[tokio::test(start_paused = true)]
async fn answers_to_heartbeats_keep_a_quiet_forwarder_and_tell_the_core_nothing() {
    let mut bench = Bench::new(8);
    let (stream, _commands) = bench.greeted().await;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    for _ in 0..10 {
        let line = lines.next_line().await.unwrap().unwrap();
        let frame: NodeFrame = serde_json::from_str(&line).unwrap();
        let report = NodeReport::Counters { rows: Vec::new() };
        let answer = ReportFrame {
            reply_to: Some(frame.request),
            report,
        };
        write.write_all(&frames::line(&answer).unwrap()).await.unwrap();
    }
    assert!(
        bench.inbox.try_recv().is_err(),
        "twenty seconds, and still connected"
    );
}

#[tokio::test(start_paused = true)]
async fn those_who_ask_for_mappings_fill_no_record() {
    let mut bench = Bench::new(8);
    let (mut stream, _commands) = bench.greeted().await;
    let line = |report| {
        frames::line(&ReportFrame {
            reply_to: None,
            report,
        })
        .unwrap()
    };
    let asked = line(NodeReport::Requested {
        client: lisp_wire::Rloc([203, 0, 113, 9].into()),
        eid: "10.9.0.0/24".parse().unwrap(),
    });
    let samples = line(NodeReport::Probes { samples: Vec::new() });
    stream
        .write_all(&[asked.repeat(1000), samples].concat())
        .await
        .unwrap();
    let Some(Arrival::Input(Input::Report { report, .. })) = bench.inbox.recv().await else {
        panic!("nothing came")
    };
    assert_eq!(report, NodeReport::Probes { samples: Vec::new() });
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_frame_ends_the_connection_and_a_new_one_is_made() {
    let mut bench = Bench::new(8);
    let long = [vec![b'x'; 5 << 20], vec![b'\n']].concat();
    for (sent, told) in [
        (b"hello\n".to_vec(), "it sent a line that is no frame"),
        (b"\xff\xfe\n".to_vec(), "it sent a line that is no frame"),
        (long, "it sent a line of more than 4 MiB"),
        (Vec::new(), "it closed the connection"),
    ] {
        let (mut stream, _commands) = bench.greeted().await;
        // The link hangs up in the midst of the long one.
        let _hung_up = stream.write_all(&sent).await;
        drop(stream);
        let why = bench.down().await;
        assert!(why.starts_with(told), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_core_hears_only_of_forwarders_that_greet_under_their_name() {
    let mut bench = Bench::new(8);
    let done = frames::line(&ReportFrame {
        reply_to: None,
        report: NodeReport::Done,
    })
    .unwrap();
    for first in [hello("south"), done, b"{}\n".to_vec(), Vec::new()] {
        let (mut stream, _) = bench.listener.accept().await.unwrap();
        stream.write_all(&first).await.unwrap();
        drop(stream);
    }
    bench.greeted().await;
}

#[tokio::test(start_paused = true)]
async fn commands_are_numbered_and_a_shell_that_drops_them_ends_the_connection() {
    let mut bench = Bench::new(8);
    let (stream, commands) = bench.greeted().await;
    commands.send(Order::Do(subscribe())).await.unwrap();
    commands
        .send(Order::Do(NodeCommand::Probe { targets: Vec::new() }))
        .await
        .unwrap();
    let mut lines = BufReader::new(stream).lines();
    for (request, command) in [(1, subscribe()), (2, NodeCommand::Probe { targets: Vec::new() })] {
        let line = lines.next_line().await.unwrap().unwrap();
        assert_eq!(
            serde_json::from_str::<NodeFrame>(&line).unwrap(),
            NodeFrame { request, command }
        );
    }
    drop(commands);
    assert_eq!(bench.down().await, "it did not take commands fast enough");
}

#[tokio::test(start_paused = true)]
async fn a_link_ends_with_its_shell() {
    let mut bench = Bench::new(8);
    let (_stream, _commands) = bench.greeted().await;
    drop(bench.inbox);
    timeout(SILENCE * 10, bench.link).await.unwrap().unwrap();
}
