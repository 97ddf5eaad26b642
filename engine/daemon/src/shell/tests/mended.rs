//! Forwarders over a disk that fails and is mended.

use pacao_core::Input;
use proto::{NodeCommand, NodeReport, ProbeOutcome, ProbeSample, ProposalState, Span};
use tokio::sync::mpsc::Receiver;

use super::*;
use crate::node_link::Order;

/// A forwarder's end of its link.
struct Forwarder {
    site: SiteName,
    orders: Receiver<Order>,
}

impl Forwarder {
    async fn connect(bench: &Bench, site: &str) -> Self {
        let (commands, orders) = mpsc::channel(64);
        let site = SiteName::new(site).unwrap();
        let up = Arrival::NodeUp {
            site: site.clone(),
            commands,
        };
        bench.engine.arrivals.send(up).await.unwrap();
        Self { site, orders }
    }

    async fn measures(&self, bench: &Bench) {
        let sample = ProbeSample {
            target: lisp_wire::Rloc([172, 16, 1, 1].into()),
            sent_at: Timestamp::default(),
            outcome: ProbeOutcome::Rtt(Span::millis(20)),
        };
        let report = NodeReport::Probes {
            samples: vec![sample; 5],
        };
        let site = self.site.clone();
        let input = Arrival::Input(Input::Report { site, report });
        bench.engine.arrivals.send(input).await.unwrap();
    }

    /// The first locators of all views told so far.
    fn views(&mut self) -> Vec<lisp_wire::Rloc> {
        let mut views = Vec::new();
        while let Ok(order) = self.orders.try_recv() {
            if let Order::Do(NodeCommand::SetLocators { locators, .. }) = order {
                let best = locators.iter().min_by_key(|locator| locator.priority).unwrap();
                views.push(best.rloc);
            }
        }
        views
    }
}

const NORTH: lisp_wire::Rloc = lisp_wire::Rloc(std::net::IpAddr::V4(std::net::Ipv4Addr::new(172, 16, 0, 1)));

async fn mended(bench: &Bench, console: &mut Attachment) {
    bench.full.store(false, Ordering::Relaxed);
    bench.broken.store(false, Ordering::Relaxed);
    until(console, |frame| {
        remark(frame, "can be written again", Severity::Warning)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_withheld_from_forwarders_is_told_once_the_disk_is_mended() {
    let bench = bench();
    let mut console = bench.engine.attach().await.unwrap();
    let mut south = Forwarder::connect(&bench, "south").await;
    assert!(matches!(
        set_mode(&mut console, "1", Mode::Auto).await,
        Reply::Accepted { .. }
    ));
    assert_eq!(south.views(), [NORTH]);
    bench.full.store(true, Ordering::Relaxed);
    set_mode(&mut console, "2", Mode::Recommend).await;
    let mut north = Forwarder::connect(&bench, "north").await;
    set_mode(&mut console, "3", Mode::Recommend).await;
    assert_eq!(north.views(), [], "it cannot be recorded");
    mended(&bench, &mut console).await;
    set_mode(&mut console, "4", Mode::Auto).await;
    assert_eq!((north.views(), south.views()), (vec![NORTH], vec![NORTH]));
    assert_eq!(
        snapshot(&bench.engine).await.mode,
        Mode::Auto,
        "the mode is as it was"
    );
    bench.engine.shutdown().await.unwrap();
    let report = crate::replay(&bench.record).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
}

/// The command is on the disk, what was decided upon it is not.
#[tokio::test(start_paused = true)]
async fn a_switch_caught_in_the_failure_is_not_said_to_be_carried_out_and_is_not() {
    let bench = bench();
    let mut console = bench.engine.attach().await.unwrap();
    let mut north = Forwarder::connect(&bench, "north").await;
    let mut south = Forwarder::connect(&bench, "south").await;
    for forwarder in [&north, &south] {
        forwarder.measures(&bench).await;
    }
    set_mode(&mut console, "1", Mode::Recommend).await;
    assert_eq!((north.views(), south.views()), (vec![NORTH], vec![NORTH]));

    bench.good_syncs.store(1, Ordering::Relaxed);
    bench.broken.store(true, Ordering::Relaxed);
    let switch = Command::Switch {
        user: "user-1".parse().unwrap(),
        vm: "vm-1".parse().unwrap(),
        to: "south".parse().unwrap(),
    };
    let reply = ask(&mut console, "2", switch.clone()).await;
    assert!(
        matches!(
            &reply,
            Reply::Refused {
                refusal: Refusal::NotRecorded { .. }
            }
        ),
        "{reply:?}"
    );
    until(&mut console, |frame| {
        let EngineFrame::Notices { notices } = frame else { return None };
        let failed = |notice: &Notice| {
            matches!(notice, Notice::Proposal { proposal } if matches!(proposal.state, ProposalState::Failed { .. }))
        };
        notices.iter().any(failed).then_some(())
    })
    .await;
    assert_eq!((north.views(), south.views()), (vec![], vec![]));
    let text = std::fs::read_to_string(&bench.record).unwrap();
    assert!(
        !text.contains("\"switch\""),
        "the next engine does not carry it out either"
    );

    mended(&bench, &mut console).await;
    let again = ask(&mut console, "2", switch).await;
    assert!(
        matches!(
            &again,
            Reply::Refused {
                refusal: Refusal::NotRecorded { .. }
            }
        ),
        "the same request gets the same answer: {again:?}"
    );
    assert!(
        north
            .views()
            .iter()
            .chain(&south.views())
            .all(|&first| first == NORTH)
    );
    bench.engine.shutdown().await.unwrap();
    let report = crate::replay(&bench.record).unwrap();
    assert!(report.identical(), "{:?}", report.first_difference);
}
