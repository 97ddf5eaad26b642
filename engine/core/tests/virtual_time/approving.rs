//! What staff may do, and when they are refused.

use pacao_core::{Effect, Input};
use proto::policy::Hold;
use proto::{Actor, Command, Mode, ProposalId, ProposalState, Refusal, Reply, RequestId, Verdict};

use crate::world::{World, config, table_5_1};

/// A proposal for paris is open: TelcoCenter is at +400 ms since second 30.
fn proposed() -> World {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(45.0);
    assert_eq!(world.open().len(), 1);
    world
}

fn refusal(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused { refusal } => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn accepted(reply: Reply) -> String {
    match reply {
        Reply::Accepted { what } => what,
        other => panic!("not accepted: {other:?}"),
    }
}

#[test]
fn recommending_waits_for_approval_and_then_moves() {
    let mut world = proposed();
    world.run_to(55.0);
    assert_eq!(world.entry("paris"), "telco");
    assert_eq!(
        world.tellings("paris").len(),
        1,
        "only the session's own view was told"
    );
    let proposal = world.open()[0].clone();
    assert_eq!(
        (proposal.from.as_str(), proposal.to.as_str(), proposal.revision),
        ("telco", "marilyn", 1)
    );
    accepted(world.decide(&proposal, Verdict::Approve));
    assert!(matches!(world.proposal(1).state, ProposalState::Executing { .. }));
    world.run_to(56.0);
    assert_eq!(world.held_entry("paris"), "marilyn");
    let ProposalState::Confirmed { by, .. } = world.proposal(1).state else {
        panic!()
    };
    assert_eq!(
        by,
        Actor::Operator {
            name: "ada".to_owned()
        }
    );
}

#[test]
fn a_rejected_switch_is_not_proposed_again_for_the_cool_down() {
    let mut world = proposed();
    let proposal = world.open()[0].clone();
    accepted(world.decide(&proposal, Verdict::Reject));
    // The next best is proposed instead: it is another question.
    let other = world.open()[0].clone();
    assert_eq!(other.to.as_str(), "lip6");
    accepted(world.decide(&other, Verdict::Reject));
    world.run_to(74.9);
    assert!(world.open().is_empty());
    assert!(matches!(world.proposal(1).state, ProposalState::Rejected { .. }));
    assert!(matches!(
        refusal(world.decide(&proposal, Verdict::Approve)),
        Refusal::NotOpen { .. }
    ));
    world.run_to(76.0);
    assert_eq!(
        world.open()[0].to.as_str(),
        "marilyn",
        "after the cool-down it may be asked again"
    );
    assert_eq!(world.entry("paris"), "telco");
}

#[test]
fn an_expired_proposal_cannot_be_approved() {
    let mut world = proposed();
    let proposal = world.open()[0].clone();
    world.run_to(World::seconds(proposal.expires_at) - 0.001);
    assert_eq!(world.open().len(), 1);
    world.run_to(World::seconds(proposal.expires_at));
    let state = match refusal(world.decide(&proposal, Verdict::Approve)) {
        Refusal::NotOpen { state, .. } => state,
        other => panic!("{other}"),
    };
    assert_eq!(state, "expired");
    assert!(world.switches().is_empty());
    world.run_to(World::seconds(proposal.expires_at) + 11.0);
    assert_eq!(
        world.open().len(),
        1,
        "the level is still broken: it is asked again a slot later"
    );
}

#[test]
fn a_proposal_whose_level_is_kept_again_is_superseded_and_cannot_be_approved() {
    let mut world = World::new(Mode::Recommend);
    world.stress(("paris", "telco"), 400.0, (30.0, 45.0));
    world.run_to(44.0);
    let proposal = world.open()[0].clone();
    world.run_to(60.0);
    assert!(world.open().is_empty());
    assert!(matches!(
        world.proposal(1).state,
        ProposalState::Superseded { .. }
    ));
    assert!(matches!(
        refusal(world.decide(&proposal, Verdict::Approve)),
        Refusal::NotOpen { .. }
    ));
}

#[test]
fn approving_a_stale_revision_changes_nothing() {
    let mut world = proposed();
    let shown = world.open()[0].clone();
    // Marilyn goes bad as well: the card now aims at LIP6.
    world.wan = Box::new(|dc, user, _| {
        Some(if user == "paris" && dc != "lip6" {
            table_5_1(dc, user) + 400.0
        } else {
            table_5_1(dc, user)
        })
    });
    world.run_to(60.0);
    let now = world.open()[0].clone();
    assert_eq!((now.id, now.to.as_str()), (shown.id, "lip6"));
    assert!(now.revision > shown.revision);
    let before = world.engine.clone();
    let current = match refusal(world.decide(&shown, Verdict::Approve)) {
        Refusal::StaleRevision { current, .. } => current,
        other => panic!("{other}"),
    };
    assert_eq!(current, now.revision);
    assert_eq!(world.proposals(), before.snapshot(world.now).proposals);
    accepted(world.decide(&now, Verdict::Approve));
    world.run_to(61.0);
    assert_eq!(world.entry("paris"), "lip6");
}

#[test]
fn a_target_that_went_down_since_is_refused() {
    let mut world = proposed();
    let proposal = world.open()[0].clone();
    world.cut("lip6");
    world.cut("marilyn");
    world.run_to(52.0);
    let refusal = refusal(world.decide(&proposal, Verdict::Approve));
    assert!(
        matches!(refusal, Refusal::NoLongerTrue { .. } | Refusal::NotOpen { .. }),
        "{refusal}"
    );
    assert_eq!(world.entry("paris"), "telco");
}

#[test]
fn approval_goes_by_the_facts_of_its_own_moment() {
    let mut world = proposed();
    let proposal = world.open()[0].clone();
    world.wan = Box::new(|dc, user, _| {
        let more = match dc {
            _ if user != "paris" => 0.0,
            "telco" => 400.0,
            _ => 1500.0,
        };
        Some(table_5_1(dc, user) + more)
    });
    // At every moment, what would approval do? Each is asked of a copy.
    let mut refused = 0;
    let mut at = 45.0;
    while let Some(open) = world.open().first().cloned() {
        assert_eq!((open.id, at < 60.0), (proposal.id, true));
        at += 0.005;
        world.run_to(at);
        let mut twin = world.engine.clone();
        let input = Input::Command {
            request: RequestId("what if".to_owned()),
            by: Actor::Operator {
                name: "ada".to_owned(),
            },
            command: Command::Decide {
                proposal: proposal.id,
                revision: open.revision,
                verdict: Verdict::Approve,
            },
        };
        let mean = |dc| world.row("paris", dc).rtt.unwrap().mean;
        for effect in twin.handle(input, world.now) {
            let Effect::Reply { reply, .. } = effect else {
                continue;
            };
            match reply {
                Reply::Accepted { .. } => assert!(mean(open.to.as_str()) < mean("telco")),
                Reply::Refused {
                    refusal: Refusal::NoLongerTrue { .. },
                } => {
                    assert!(mean(open.to.as_str()) > 300.0);
                    refused += 1;
                }
                Reply::Refused { .. }
                | Reply::Explained { .. }
                | Reply::Looked { .. }
                | Reply::Accounted { .. }
                | Reply::Planned { .. } => {}
            }
        }
    }
    assert!(refused > 0);
    assert!(world.switches().is_empty());
}

#[test]
fn the_same_request_twice_gets_the_same_reply_and_is_carried_out_once() {
    let mut world = proposed();
    let proposal = world.open()[0].clone();
    let command = Command::Decide {
        proposal: proposal.id,
        revision: proposal.revision,
        verdict: Verdict::Approve,
    };
    let first = world.ask_as(&RequestId("once".to_owned()), command.clone());
    world.run_to(50.0);
    let again = world.ask_as(&RequestId("once".to_owned()), command.clone());
    assert_eq!(first, again);
    assert_eq!(world.switches().len(), 1);
    assert!(
        matches!(refusal(world.ask(command)), Refusal::NotOpen { .. }),
        "under another id it is another question"
    );
}

#[test]
fn a_proposal_nobody_opened_is_unknown() {
    let mut world = proposed();
    let command = |id| Command::Decide {
        proposal: ProposalId(id),
        revision: 1,
        verdict: Verdict::Approve,
    };
    for id in [0, 2, u64::MAX] {
        let refusal = refusal(world.ask(command(id)));
        assert_eq!(
            refusal,
            Refusal::UnknownProposal {
                proposal: ProposalId(id)
            }
        );
    }
}

#[test]
fn a_switch_by_hand_moves_at_once_and_names_what_it_does_not_know() {
    let mut world = World::new(Mode::Recommend);
    world.run_to(20.0);
    assert!(matches!(
        refusal(world.switch("paris", "telco")),
        Refusal::AlreadyThere { .. }
    ));
    let unknown = refusal(world.switch("pariss", "telco")).to_string();
    assert_eq!(unknown, "no user is called 'pariss'; known: lyon, paris");
    let unknown = refusal(world.switch("paris", "lip7")).to_string();
    assert_eq!(
        unknown,
        "no data centre is called 'lip7'; known: lip6, marilyn, telco"
    );
    accepted(world.switch("paris", "lip6"));
    assert!(matches!(
        refusal(world.switch("paris", "marilyn")),
        Refusal::InFlight { .. }
    ));
    world.run_to(21.0);
    assert_eq!(
        (world.entry("paris").as_str(), world.held_entry("paris").as_str()),
        ("lip6", "lip6")
    );
    // Staff may move a user again at once.
    accepted(world.switch("paris", "telco"));
    world.run_to(22.0);
    assert_eq!(world.entry("paris"), "telco");
}

#[test]
fn while_observing_nothing_is_switched_by_hand_either() {
    let mut world = World::new(Mode::Observe);
    world.run_to(20.0);
    assert_eq!(refusal(world.switch("paris", "lip6")), Refusal::ObserveOnly);
}

#[test]
fn a_switch_by_hand_to_a_dead_entry_is_refused() {
    let mut world = World::new(Mode::Recommend);
    world.run_to(20.0);
    world.cut("lip6");
    world.run_to(30.0);
    assert!(matches!(
        refusal(world.switch("paris", "lip6")),
        Refusal::Unusable { .. }
    ));
}

#[test]
fn a_switch_by_hand_takes_the_place_of_an_open_proposal() {
    let mut world = proposed();
    accepted(world.switch("paris", "lip6"));
    assert!(matches!(
        world.proposal(1).state,
        ProposalState::Superseded { .. }
    ));
    world.run_to(50.0);
    assert_eq!(world.entry("paris"), "lip6");
}

#[test]
fn turning_auto_on_carries_out_what_is_open_and_observing_takes_it_off() {
    let mut world = proposed();
    accepted(world.ask(Command::SetMode { mode: Mode::Auto }));
    world.run_to(46.0);
    assert_eq!(world.entry("paris"), "marilyn");

    let mut world = proposed();
    accepted(world.ask(Command::SetMode { mode: Mode::Observe }));
    assert!(world.open().is_empty());
    world.run_to(200.0);
    assert_eq!(world.proposals().len(), 1);
    assert_eq!(world.engine.mode(), Mode::Observe);
}

#[test]
fn a_user_with_two_vms_behind_one_link_gets_both_moved() {
    let mut config = config();
    let mut vm = config.vms["web"].clone();
    vm.eid = "10.1.0.8/32".parse().unwrap();
    config.vms.insert("db".parse().unwrap(), vm);
    let paris = config.users.get_mut("paris").unwrap();
    paris.vms.insert("db".parse().unwrap(), "telco".parse().unwrap());
    let mut world = World::of(config);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(42.0);
    assert_eq!(world.switches().len(), 2);
}

/// Where paris enters is at +400 ms as soon as it was moved there, and stays so.
fn chased(mode: Mode) -> (World, std::rc::Rc<std::cell::RefCell<Vec<String>>>) {
    let mut world = World::new(mode);
    let bad = std::rc::Rc::new(std::cell::RefCell::new(vec!["telco".to_owned()]));
    let seen = bad.clone();
    world.wan = Box::new(move |dc, user, at| {
        let slow = user == "paris" && at > 30.0 && seen.borrow().iter().any(|bad| bad == dc);
        Some(table_5_1(dc, user) + if slow { 400.0 } else { 0.0 })
    });
    (world, bad)
}

/// The cool-down binds the engine. Staff who moved a user lately see the next card all the same, and what the engine
/// would wait for.
#[test]
fn staff_are_asked_within_the_cool_down_and_told_that_the_engine_would_wait() {
    let (mut world, bad) = chased(Mode::Recommend);
    world.run_to(42.0);
    let first = world.open().remove(0);
    assert_eq!(first.held, None);
    accepted(world.decide(&first, Verdict::Approve));
    world.run_to(43.0);
    assert_eq!(world.entry("paris"), "marilyn");
    bad.borrow_mut().push("marilyn".to_owned());
    // S' later, and long before the cool-down of 30 s is over.
    world.run_to(56.0);
    let second = world.open().remove(0);
    assert_eq!(second.to.as_str(), "lip6");
    let Some(Hold::CoolDown { until, .. }) = second.held.as_deref() else {
        panic!("{second:?}");
    };
    assert!((72.0..73.0).contains(&World::seconds(*until)), "{until:?}");
    accepted(world.decide(&second, Verdict::Approve));
    world.run_to(57.0);
    assert_eq!(world.entry("paris"), "lip6");
}

#[test]
fn the_engine_itself_waits_for_the_cool_down_and_opens_no_card_for_that() {
    let (mut world, bad) = chased(Mode::Auto);
    world.run_to(43.0);
    assert_eq!(world.entry("paris"), "marilyn");
    bad.borrow_mut().push("marilyn".to_owned());
    world.run_to(70.0);
    assert!(world.open().is_empty());
    assert_eq!(world.entry("paris"), "marilyn");
    world.run_to(75.0);
    assert_eq!(world.entry("paris"), "lip6");
}

/// However often it was moved: up to three dead entries in one cool-down for the engine, any number for staff.
#[test]
fn a_dead_entry_always_gets_a_card_however_often_it_was_left() {
    let mut world = World::new(Mode::Recommend);
    let dead = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
    let seen = dead.clone();
    world.wan = Box::new(move |dc, user, _| (*seen.borrow() != dc).then(|| table_5_1(dc, user)));
    let mut at = 30.0;
    for turn in 0..6 {
        world.run_to(at);
        dead.replace(world.entry("paris"));
        at += 3.5;
        world.run_to(at);
        let open = world.open();
        let card = open.iter().find(|card| card.user.as_str() == "paris");
        let card = card.unwrap_or_else(|| panic!("no card for the {turn}th: {:#?}", world.log()));
        assert_eq!(card.held.is_some(), turn >= 3, "{turn}: {card:?}");
        accepted(world.decide(card, Verdict::Approve));
        at += 1.0;
    }
}

/// A card takes a slot to come, whoever decides how: no more of them than slots.
#[test]
fn cards_within_the_cool_down_do_not_flap() {
    let (mut world, bad) = chased(Mode::Recommend);
    for second in 30..630 {
        world.run_to(f64::from(second));
        let entry = world.entry("paris");
        bad.replace(vec![entry]);
        if let Some(card) = world.open().pop() {
            accepted(world.decide(&card, Verdict::Approve));
        }
    }
    let cards = world
        .proposals()
        .iter()
        .map(|proposal| proposal.id.0)
        .max()
        .unwrap();
    assert!((5..=60).contains(&cards), "{cards} cards in 60 slots");
}
