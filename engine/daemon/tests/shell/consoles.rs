//! Consoles: of other processes, unwelcome ones, slow ones.

use std::net::SocketAddr;

use engine::EngineHandle;
use engine::console_link::{ConnectError, ConsoleLinkError, Token, connect};
use futures_util::{SinkExt, StreamExt};
use proto::availability::Subject;
use proto::{
    ClientFrame, Command, EngineFrame, LogDetail, LogQuery, Look, Mode, NodeReport, PROTOCOL, Reply, SiteName,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::bench::{Bench, ask, first_snapshot, until, until_measured, until_notice};

async fn serving(bench: &Bench) -> EngineHandle {
    bench
        .try_engine(|options| options.console = Some(SocketAddr::from(([127, 0, 0, 1], 0))))
        .await
        .unwrap()
}

fn url(engine: &EngineHandle) -> String {
    engine.endpoint().unwrap().url.clone()
}

fn token(engine: &EngineHandle) -> Token {
    Token::read(&engine.endpoint().unwrap().token).unwrap()
}

/// The status line of the answer to an upgrade request with these headers beside the usual ones.
async fn status(engine: &EngineHandle, headers: &str) -> String {
    let url = url(engine);
    let address = url.trim_start_matches("ws://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 64];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length])
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_with_the_token_sees_everything_and_may_ask() {
    let bench = Bench::new(Mode::Recommend);
    let engine = serving(&bench).await;
    assert_eq!(
        std::fs::read_to_string(bench.paths().endpoint()).unwrap().trim(),
        url(&engine)
    );
    let (mut console, _connection) = connect(&url(&engine), &token(&engine), "ada").await.unwrap();
    let hello = console.frames.recv().await.unwrap();
    assert!(
        matches!(&hello, EngineFrame::Hello { protocol: PROTOCOL, session, .. } if session == "two-sites")
    );
    assert_eq!(first_snapshot(&mut console).await.session, "two-sites");
    let reply = ask(&mut console, "1", Command::SetMode { mode: Mode::Observe }).await;
    assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");

    engine.shutdown().await.unwrap();
    let why = until(&mut console, "goodbye", |frame| match frame {
        EngineFrame::Bye { why } => Some(why),
        _ => None,
    })
    .await;
    assert_eq!(why, "the engine was stopped");
    assert!(!bench.paths().endpoint().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_that_loses_its_engine_is_told() {
    let bench = Bench::new(Mode::Recommend);
    let engine = serving(&bench).await;
    let (mut console, _connection) = connect(&url(&engine), &token(&engine), "ada").await.unwrap();
    first_snapshot(&mut console).await;
    let url = url(&engine);
    drop(engine);
    let why = until(&mut console, "a last word", |frame| match frame {
        EngineFrame::Bye { why } => Some(why),
        _ => None,
    })
    .await;
    assert!(
        why.contains(&format!("the connection to {url} was lost")) || why.contains("has ended"),
        "{why}"
    );
    assert!(matches!(
        connect(&url, &Token::read(&bench.paths().token()).unwrap(), "ada").await,
        Err(ConnectError::Unreachable { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_token_nobody_gets_in() {
    let bench = Bench::new(Mode::Recommend);
    let engine = serving(&bench).await;
    let wrong = Token::parse(&"0".repeat(64)).unwrap();
    let told = connect(&url(&engine), &wrong, "eve").await.unwrap_err();
    assert!(matches!(told, ConnectError::Unauthorized { .. }), "{told}");
    let bearer = format!(
        "Bearer {}",
        std::fs::read_to_string(bench.paths().token()).unwrap().trim()
    );
    for (headers, code) in [
        (String::new(), "401"),
        ("Authorization: Bearer \r\n".to_owned(), "401"),
        (
            format!("Authorization: {}\r\n", &bearer[..bearer.len() - 1]),
            "401",
        ),
        (
            format!("Authorization: {bearer}\r\nOrigin: http://localhost\r\n"),
            "403",
        ),
        (format!("Authorization: {bearer}\r\n"), "101"),
    ] {
        let status = status(&engine, &headers).await;
        assert!(status.contains(code), "{headers:?} gave {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_stand_in_the_door_keep_no_console_out() {
    let bench = Bench::new(Mode::Recommend);
    let engine = serving(&bench).await;
    let address = url(&engine);
    let address = address.trim_start_matches("ws://").trim_end_matches('/');
    let mut strangers = Vec::new();
    for _ in 0..200 {
        strangers.push(TcpStream::connect(address).await.unwrap());
    }
    let (mut console, _connection) = connect(&url(&engine), &token(&engine), "ada").await.unwrap();
    first_snapshot(&mut console).await;
    // The first ones had to make room; the console, which has shown the token, does not.
    assert_eq!(strangers[0].read(&mut [0; 1]).await.unwrap_or(0), 0);
    for _ in 0..200 {
        strangers.push(TcpStream::connect(address).await.unwrap());
    }
    let reply = ask(&mut console, "1", Command::SetMode { mode: Mode::Observe }).await;
    assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_loopback_is_served_and_only_loopback_is_dialled() {
    let bench = Bench::new(Mode::Recommend);
    let everywhere = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    let error = bench
        .try_engine(|options| options.console = everywhere)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            engine::EngineError::Console(ConsoleLinkError::NotLoopback { .. })
        ),
        "{error}"
    );
    let token = Token::parse(&"0".repeat(64)).unwrap();
    for bad in [
        "http://127.0.0.1:1/",
        "ws://127.0.0.1/",
        "nonsense",
        "",
        "wss://127.0.0.1:4711/",
    ] {
        let told = connect(bad, &token, "ada").await.unwrap_err();
        assert!(matches!(told, ConnectError::Url { .. }), "{bad}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_speak_the_protocol_is_told_and_let_go() {
    let bench = Bench::new(Mode::Recommend);
    let engine = serving(&bench).await;
    let bearer = format!(
        "Bearer {}",
        std::fs::read_to_string(bench.paths().token()).unwrap().trim()
    );
    let hello = |protocol, operator: &str| {
        serde_json::to_string(&ClientFrame::Hello {
            protocol,
            operator: operator.into(),
        })
        .unwrap()
    };
    for (first, told) in [
        (hello(PROTOCOL + 1, "ada"), "speaks protocol 2"),
        (hello(PROTOCOL, "a\u{1b}[2J"), "printable"),
        (hello(PROTOCOL, ""), "printable"),
        (hello(PROTOCOL, "The Engine"), "needs another name"),
        (hello(PROTOCOL, "eve\u{202e}"), "U+202E"),
        ("{\"frame\":\"dance\"}".to_owned(), "that is no frame"),
    ] {
        let mut request = url(&engine).into_client_request().unwrap();
        request
            .headers_mut()
            .insert("Authorization", bearer.parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        socket.send(Message::text(first.clone())).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        let frame: EngineFrame = serde_json::from_str(answer.to_text().unwrap()).unwrap();
        assert!(
            matches!(&frame, EngineFrame::Bye { why } if why.contains(told)),
            "{first}: {frame:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_console_gets_a_snapshot_in_place_of_what_it_missed_and_every_reply() {
    let bench = Bench::new(Mode::Recommend);
    let engine = bench.engine().await;
    until_measured(&engine).await;
    let mut slow = engine.attach().await.unwrap();
    // Far more notices than the queue holds, seen by another console.
    let mut quick = engine.attach().await.unwrap();
    for _ in 0..engine::attachment::FRAMES + 64 {
        until_notice(&mut quick, "a notice", |_| Some(())).await;
    }
    let by = crate::bench::ada();
    let request = proto::RequestId("late".into());
    slow.ask
        .send((request.clone(), Command::SetMode { mode: Mode::Observe }, by))
        .await
        .unwrap();
    until_notice(&mut quick, "the change", |notice| {
        matches!(notice, proto::Notice::Mode { mode: Mode::Observe }).then_some(())
    })
    .await;

    let (mut snapshots, mut replies) = (0, 0);
    let last = loop {
        match slow.frames.recv().await.unwrap() {
            EngineFrame::Snapshot { snapshot } => {
                snapshots += 1;
                if snapshots == 2 {
                    break snapshot;
                }
            }
            EngineFrame::Reply { request: of, .. } => replies += usize::from(of == request),
            _ => {}
        }
    };
    assert_eq!(last.mode, Mode::Observe, "all that was missed is in it");
    assert_eq!(replies, 1, "the reply came before the snapshot that was owed");
}

/// What is looked at comes from the forwarder, reaches who asked, and is on no record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_looks_into_a_forwarder_through_the_engine() {
    let bench = Bench::new(Mode::Recommend);
    let engine = serving(&bench).await;
    until_measured(&engine).await;
    let (mut console, _connection) = connect(&url(&engine), &token(&engine), "ada").await.unwrap();
    first_snapshot(&mut console).await;
    let look = |site: &str, query| Command::Look {
        site: SiteName::new(site).unwrap(),
        what: Look::Log { query },
    };
    let after = |after, detail| LogQuery {
        after,
        detail,
        ..LogQuery::default()
    };
    for (request, at) in [("1", 0), ("2", 35)] {
        let reply = ask(&mut console, request, look("north", after(at, LogDetail::Line))).await;
        let Reply::Looked { report } = reply else {
            panic!("{reply:?}")
        };
        assert!(matches!(*report, NodeReport::Log(page) if page.next == at + 7));
    }
    let refused = |reply: &Reply| match reply {
        Reply::Refused { refusal } => refusal.to_string(),
        other => panic!("{other:?}"),
    };
    let told = ask(&mut console, "3", look("north", after(0, LogDetail::Bytes))).await;
    assert!(refused(&told).contains("bytes hold MACs"), "{told:?}");
    let told = ask(&mut console, "4", look("nowhere", after(0, LogDetail::Line))).await;
    assert!(refused(&told).contains("connected: north, south"), "{told:?}");
    let Reply::Accounted { rows, next: None } = ask(&mut console, "5", Command::Accounts { from: 1 }).await
    else {
        panic!("no accounts")
    };
    let locator = |row: &&proto::AvailabilityRow| matches!(row.subject, Subject::Locator { .. });
    assert_eq!(
        rows.iter().filter(locator).count(),
        2,
        "north and south: {rows:?}"
    );
    engine.shutdown().await.unwrap();
    let record = std::fs::read_to_string(bench.paths().record()).unwrap();
    assert!(!record.contains("\"look\""));
}

/// What a console sends becomes a line of the record, a level deeper: nothing may come in that cannot be read again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_as_deep_as_parsers_go_is_refused_and_the_record_stays_readable() {
    let bench = Bench::new(Mode::Recommend);
    let engine = serving(&bench).await;
    let token = std::fs::read_to_string(bench.paths().token()).unwrap();
    for depth in [1, 2, 60, 124, 125, 126, 127] {
        let mut request = url(&engine).into_client_request().unwrap();
        let bearer = format!("Bearer {}", token.trim()).parse().unwrap();
        request.headers_mut().insert("Authorization", bearer);
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        let hello = ClientFrame::Hello {
            protocol: PROTOCOL,
            operator: "eve".into(),
        };
        let hello = serde_json::to_string(&hello).unwrap();
        socket.send(Message::text(hello)).await.unwrap();
        let glass = r#"{"command":"break-glass","reason":"r","ask":"#;
        let frame = format!(
            r#"{{"frame":"ask","request":"deep","command":{}{{"command":"arm"}}{}}}"#,
            glass.repeat(depth),
            "}".repeat(depth)
        );
        socket.send(Message::text(frame)).await.unwrap();
        let told = loop {
            let answer = socket.next().await.unwrap().unwrap();
            let Ok(text) = answer.to_text() else { continue };
            if let Ok(EngineFrame::Bye { why }) = serde_json::from_str(text) {
                break why;
            }
        };
        assert!(told.contains("that is no frame"), "{depth}: {told}");
    }
    engine.shutdown().await.unwrap();
    assert!(engine::replay(&bench.record()).unwrap().identical());
    bench.engine().await.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_or_reads_like_another_is_refused_and_not_recorded() {
    let bench = Bench::new(Mode::Recommend);
    let engine = bench.engine().await;
    let mut console = engine.attach().await.unwrap();
    let mode = Command::SetMode { mode: Mode::Auto };
    for request in ["x".repeat(10_000), "turned\u{202e}".to_owned()] {
        let reply = ask(&mut console, &request, mode.clone()).await;
        assert!(matches!(reply, Reply::Refused { .. }), "{reply:?}");
    }
    let reply = ask(&mut console, &"x".repeat(128), mode).await;
    assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
    engine.shutdown().await.unwrap();
    let record = std::fs::read_to_string(bench.record()).unwrap();
    let asked = record.matches(r#""input":"command""#).count();
    assert_eq!(asked, 1, "a refusal at the door is no input");
}
