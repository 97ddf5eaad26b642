//! Plans for all users, asked of an engine that runs.

use std::net::SocketAddr;
use std::time::Duration;

use engine::console_link::{Token, connect};
use engine::replay;
use proto::{Command, Mode, Reply, Span};

use crate::bench::{Bench, USER, ask, first_snapshot, snapshot, until_measured};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_console_asks_for_a_plan_which_moves_nothing_and_is_on_no_record() {
    let bench = Bench::new(Mode::Observe);
    let console = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let engine = bench
        .try_engine(|options| options.console = console)
        .await
        .unwrap();
    until_measured(&engine).await;
    let endpoint = engine.endpoint().unwrap();
    let token = Token::read(&endpoint.token).unwrap();
    let (mut console, _connection) = connect(&endpoint.url, &token, "ada").await.unwrap();
    let before = first_snapshot(&mut console).await.rlocs;
    let plan = |price| Command::Plan {
        price: Some(price),
        budget: Some(Span::secs(5)),
    };

    bench.north.finds(USER, Span::millis(300));
    // A few answers are needed to judge a link by, and the mean over the window follows.
    let mut asked = 0;
    let wanted = loop {
        asked += 1;
        let reply = ask(&mut console, &format!("plan-{asked}"), plan(Span::millis(5))).await;
        match reply {
            Reply::Planned { plan } if !plan.moves.is_empty() => break plan,
            Reply::Planned { .. } => {}
            Reply::Refused { refusal } => assert!(refusal.to_string().contains("fresh figures"), "{refusal}"),
            other => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(wanted.moves.len(), 1, "{wanted:?}");
    let only = &wanted.moves[0];
    assert_eq!((only.from.as_str(), only.to.as_str()), ("north", "south"));
    assert!(only.gain_user_ms.unwrap() > 5.0, "{only:?}");
    assert_eq!((wanted.now.late, wanted.then.late), (1, 0));
    assert!(
        wanted.badge.optimal && wanted.badge.spent > Span::ZERO,
        "{:?}",
        wanted.badge
    );

    let reply = ask(&mut console, "dear", plan(Span::secs(30))).await;
    let Reply::Planned { plan } = reply else {
        panic!("{reply:?}")
    };
    assert!(plan.moves.is_empty() && plan.free_moves == 1, "{plan:?}");

    assert_eq!(snapshot(&engine).await.rlocs, before, "nobody moved");
    engine.shutdown().await.unwrap();
    let record = std::fs::read_to_string(bench.record()).unwrap();
    assert!(!record.contains("\"plan\""));
    let report = replay(&bench.record()).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
}
