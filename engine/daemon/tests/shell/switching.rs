//! A link degrades; the engine, or a person, moves the user.

use engine::replay;
use proto::node::Tell;
use proto::{Actor, Audience, Command, Mode, NodeCommand, Notice, ProposalState, Reply, Span, Verdict};

use crate::bench::{Bench, USER, ada, ask, snapshot, until_measured, until_notice, until_proposal};

/// The priorities by which the user was told to enter, the best first, as a forwarder heard it last.
fn told_order(asked: &[NodeCommand]) -> Option<Vec<String>> {
    asked.iter().rev().find_map(|command| match command {
        NodeCommand::SetLocators {
            audience: Audience::Client { rloc },
            tell: Tell::ChangePriority,
            locators,
            ..
        } if *rloc == USER => {
            let mut order = locators.clone();
            order.sort_by_key(|locator| locator.priority);
            Some(order.iter().map(|locator| locator.rloc.to_string()).collect())
        }
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_mode_auto_a_user_leaves_a_link_that_degrades_and_the_record_repeats_it() {
    let bench = Bench::new(Mode::Auto);
    let engine = bench.engine().await;
    until_measured(&engine).await;
    let mut console = engine.attach().await.unwrap();
    bench.north.finds(USER, Span::millis(300));
    let done = until_proposal(&mut console, "a confirmed switch", |state| {
        matches!(state, ProposalState::Confirmed { .. })
    })
    .await;
    assert_eq!((done.from.as_str(), done.to.as_str()), ("north", "south"));
    assert!(
        matches!(
            &done.state,
            ProposalState::Confirmed {
                by: Actor::Engine,
                ..
            }
        ),
        "{:?}",
        done.state
    );
    let asked = [bench.north.asked(), bench.south.asked()].concat();
    assert_eq!(
        told_order(&asked).unwrap(),
        ["172.16.0.2", "172.16.0.1"],
        "the user was told, by Change-Priority"
    );
    let carried = snapshot(&engine)
        .await
        .links
        .into_iter()
        .find(|row| row.link.dc.as_str() == "south")
        .unwrap();
    assert_eq!(carried.carries.len(), 1);
    engine.shutdown().await.unwrap();

    let report = replay(&bench.record()).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
    assert!(report.decisions > 0 && report.inputs > 20, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_engine_comes_back_with_its_proposal_and_the_record_goes_on() {
    let bench = Bench::new(Mode::Recommend);
    let engine = bench.engine().await;
    until_measured(&engine).await;
    let mut console = engine.attach().await.unwrap();
    bench.north.finds(USER, Span::millis(300));
    let open = |state: &ProposalState| matches!(state, ProposalState::Open);
    let before = until_proposal(&mut console, "an open proposal", open).await;
    drop(engine);

    let engine = bench.engine().await;
    let after = snapshot(&engine)
        .await
        .proposals
        .into_iter()
        .find(|proposal| proposal.id == before.id)
        .unwrap();
    assert_eq!(
        (&after.user, &after.to, &after.state),
        (&before.user, &before.to, &ProposalState::Open)
    );
    until_measured(&engine).await;
    let mut console = engine.attach().await.unwrap();
    // Figures on the card may change between the look and the word: look again, as a person would.
    let mut attempt = 0;
    loop {
        let shown = snapshot(&engine)
            .await
            .proposals
            .into_iter()
            .find(|proposal| proposal.id == before.id)
            .unwrap();
        attempt += 1;
        let command = Command::Decide {
            proposal: shown.id,
            revision: shown.revision,
            verdict: Verdict::Approve,
        };
        match ask(&mut console, &format!("approve-{attempt}"), command).await {
            Reply::Accepted { .. } => break,
            refused => assert!(attempt < 200, "{refused:?}"),
        }
    }
    let done = until_proposal(&mut console, "a confirmed switch", |state| {
        matches!(state, ProposalState::Confirmed { .. })
    })
    .await;
    assert!(matches!(&done.state, ProposalState::Confirmed { by, .. } if *by == ada()));
    engine.shutdown().await.unwrap();

    let report = replay(&bench.record()).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
    assert_eq!(report.starts, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_twice_is_carried_out_once_and_answered_alike() {
    let bench = Bench::new(Mode::Recommend);
    let engine = bench.engine().await;
    let mut console = engine.attach().await.unwrap();
    let command = Command::SetMode { mode: Mode::Auto };
    let first = ask(&mut console, "same", command.clone()).await;
    let mut other = engine.attach().await.unwrap();
    assert_eq!(ask(&mut other, "same", command).await, first);
    assert!(matches!(first, Reply::Accepted { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_that_comes_back_is_connected_and_probes_again() {
    let mut bench = Bench::new(Mode::Observe);
    let engine = bench.engine().await;
    until_measured(&engine).await;
    let mut console = engine.attach().await.unwrap();
    let south = |connected: bool| {
        move |notice: &Notice| match notice {
            Notice::Node { row } if row.site.as_str() == "south" && row.connected == connected => Some(()),
            _ => None,
        }
    };
    bench.south.stop();
    until_notice(&mut console, "south lost", south(false)).await;
    let probed = bench.south.asked().len();
    bench.south.restart();
    until_notice(&mut console, "south back", south(true)).await;
    until_notice(&mut console, "a probe by south", |notice| match notice {
        Notice::Point { link, point } if link.dc.as_str() == "south" && point.rtt_ms.is_some() => Some(()),
        _ => None,
    })
    .await;
    let asked = bench.south.asked();
    assert!(
        asked[probed..]
            .iter()
            .any(|command| matches!(command, NodeCommand::Probe { .. })),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forwarder_of_another_site_is_not_taken_for_the_one_that_is_meant() {
    let mut bench = Bench::new(Mode::Observe);
    // Both sockets lead to north.
    let socket = bench.session.controls["north"].clone();
    *bench.session.controls.values_mut().next_back().unwrap() = socket;
    let engine = bench.engine().await;
    let mut console = engine.attach().await.unwrap();
    until_notice(&mut console, "a probe by north", |notice| {
        matches!(notice, Notice::Point { .. }).then_some(())
    })
    .await;
    let nodes = snapshot(&engine).await.nodes;
    let connected: Vec<&str> = nodes
        .iter()
        .filter(|row| row.connected)
        .map(|row| row.site.as_str())
        .collect();
    assert_eq!(connected, ["north"]);
}
