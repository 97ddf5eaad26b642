//! Which word is believed: of several sites, of one that comes back, of one that tells of what happened before.

use pacao_core::Input;
use proto::node::{Residence, ResidentRow};
use proto::{Mode, NodeReport, Reply, Timestamp};

use super::{CONFIGURED, ELSEWHERE, arrived, home, logged, moves, report, says, settled, views_told, world};
use crate::world::T0;

#[test]
fn of_two_sites_that_claim_a_vm_the_newest_arrival_counts_and_it_is_said() {
    let mut world = settled(Mode::Observe);
    let here = arrived(&world);
    says(&mut world, "marilyn", here);
    assert_eq!(home(&world), "marilyn");
    world.run_to(29.0);
    assert_eq!(
        logged(&world, "is told to run at"),
        0,
        "TelcoCenter may be about to hear of it"
    );
    world.run_to(31.0);
    let said = "web is told to run at two sites: Marilyn, TelcoCenter; Marilyn counts, where it came last";
    assert_eq!(logged(&world, said), 1);
    world.run_to(60.0);
    // A clock that is behind makes no newer arrival older.
    let since = Some(T0);
    says(&mut world, "lip6", Residence::Here { since });
    assert_eq!(home(&world), "lip6");
    world.run_to(120.0);
    assert_eq!(logged(&world, "is told to run at"), 1, "once, and it never ended");
    says(&mut world, "telco", ELSEWHERE);
    says(&mut world, "marilyn", ELSEWHERE);
    let here = arrived(&world);
    says(&mut world, "telco", here);
    says(&mut world, "lip6", ELSEWHERE);
    world.run_to(150.0);
    assert_eq!(
        (home(&world).as_str(), logged(&world, "is told to run at")),
        ("telco", 1),
        "a move is none"
    );
}

#[test]
fn who_says_once_more_that_it_runs_where_it_lives_brings_its_users_there() {
    let mut world = settled(Mode::Recommend);
    moves(&mut world, "telco", "marilyn");
    world.run_to(100.0);
    assert!(matches!(world.switch("paris", "lip6"), Reply::Accepted { .. }));
    world.run_to(110.0);
    assert_eq!(world.entry("paris"), "lip6");
    let here = arrived(&world);
    says(&mut world, "marilyn", here);
    // Its forwarder tells all clients to enter there with each arrival.
    assert_eq!(
        (world.entry("paris").as_str(), home(&world).as_str()),
        ("marilyn", "marilyn")
    );
    assert_eq!(logged(&world, "lives at"), 1, "it lives where it did");
    let told = world.effects.len();
    world.run_to(180.0);
    assert!(views_told(&world, told), "their views are told again");
}

#[test]
fn what_all_sites_say_counts_in_whatever_order_they_connect() {
    for order in [["telco", "marilyn"], ["marilyn", "telco"]] {
        let mut world = world(Mode::Observe);
        world.run_to(20.0);
        for site in order {
            match site {
                "telco" => report(&mut world, site, Vec::new()),
                _ => says(&mut world, site, CONFIGURED),
            }
        }
        assert_eq!(
            home(&world),
            "marilyn",
            "{order:?}: TelcoCenter's file does not have it"
        );
    }
}

#[test]
fn a_site_that_has_left_and_comes_back_with_what_it_knew_changes_nothing() {
    for word in [ELSEWHERE, CONFIGURED] {
        let mut world = settled(Mode::Observe);
        moves(&mut world, "telco", "marilyn");
        world.run_to(30.0);
        world.cut("telco");
        world.run_to(40.0);
        world.connect("telco");
        says(&mut world, "telco", word);
        world.run_to(60.0);
        assert_eq!(home(&world), "marilyn", "{word:?}");
        // Not even while the other is away.
        world.cut("marilyn");
        world.cut("telco");
        world.connect("telco");
        says(&mut world, "telco", word);
        assert_eq!(home(&world), "marilyn", "{word:?}");
        assert_eq!(logged(&world, "web lives at"), 1);
        // What it says of an arrival, with whatever clock, it said before.
        world.connect("marilyn");
        assert_eq!(logged(&world, "web lives at"), 1);
    }
}

#[test]
fn an_arrival_that_nobody_heard_of_is_told_at_the_next_connection() {
    let mut world = settled(Mode::Observe);
    world.cut("marilyn");
    world.run_to(30.0);
    let here = arrived(&world);
    says(&mut world, "telco", ELSEWHERE);
    assert_eq!(home(&world), "telco", "it is on its way");
    world.run_to(50.0);
    world.connect("marilyn");
    says(&mut world, "marilyn", here);
    assert_eq!(
        (home(&world).as_str(), world.entry("paris").as_str()),
        ("marilyn", "marilyn")
    );
}

/// An engine of a new session does not know what users were told since: its own entries count.
#[test]
fn an_arrival_of_before_the_engine_moves_the_home_and_no_entry() {
    let mut world = world(Mode::Observe);
    world.run_to(20.0);
    let since = Some(Timestamp(1_690_000_000_000_000));
    says(&mut world, "marilyn", Residence::Here { since });
    assert_eq!(
        (home(&world).as_str(), world.entry("paris").as_str()),
        ("marilyn", "telco")
    );
}

#[test]
fn a_vm_that_has_stopped_lives_where_it_did_until_it_runs_elsewhere() {
    let mut world = settled(Mode::Observe);
    says(&mut world, "telco", ELSEWHERE);
    world.run_to(30.0);
    assert_eq!(home(&world), "telco");
    says(&mut world, "telco", CONFIGURED);
    world.run_to(40.0);
    assert_eq!(
        (home(&world).as_str(), logged(&world, "lives at")),
        ("telco", 0),
        "it was given up"
    );
    // The same of one that has arrived, and is known by two: its return is no arrival.
    let here = arrived(&world);
    says(&mut world, "lip6", here);
    says(&mut world, "telco", ELSEWHERE);
    world.run_to(50.0);
    let newer = arrived(&world);
    says(&mut world, "lip6", ELSEWHERE);
    says(&mut world, "marilyn", newer);
    world.run_to(55.0);
    says(&mut world, "lip6", here);
    assert_eq!(
        (home(&world).as_str(), logged(&world, "lives at")),
        ("marilyn", 2)
    );
}

#[test]
fn a_forwarder_is_believed_about_vms_of_the_session_only() {
    let mut world = settled(Mode::Observe);
    let residence = arrived(&world);
    for eid in ["10.1.0.8/32", "10.1.0.0/24", "[7]10.1.0.7/32"] {
        let eid = eid.parse().unwrap();
        report(&mut world, "marilyn", vec![ResidentRow { eid, residence }]);
    }
    let site = "nowhere".parse().unwrap();
    let eid = "10.1.0.7/32".parse().unwrap();
    let rows = vec![ResidentRow { eid, residence }];
    let report = NodeReport::Residents { rows };
    world.give(Input::Report { site, report });
    assert_eq!((home(&world).as_str(), logged(&world, "lives at")), ("telco", 0));
}

#[test]
fn a_site_that_does_not_name_a_vm_any_more_has_it_no_more() {
    let mut world = settled(Mode::Observe);
    world.cut("telco");
    world.connect("telco");
    says(&mut world, "lip6", CONFIGURED);
    assert_eq!(home(&world), "telco", "it has said nothing yet");
    report(&mut world, "telco", Vec::new());
    assert_eq!(home(&world), "lip6");
}
