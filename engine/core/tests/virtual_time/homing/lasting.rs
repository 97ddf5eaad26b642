//! What restarts, replays and edits make of where a VM lives.

use pacao_core::{Config, Engine, Input};
use proto::availability::Horizon;
use proto::node::Residence;
use proto::{Mode, Reply, Span};

use super::{ELSEWHERE, home, logged, moves, probed, says, settled, views_told, world};
use crate::world::{LEG, T0, World, config};

fn carried(world: &mut World, config: Config) {
    let (engine, _) = world.engine.carried_into(config, world.now);
    let written = serde_json::to_string(&engine).unwrap();
    world.engine = serde_json::from_str(&written).unwrap();
    assert!(world.engine == engine, "it reads back as it was");
    world.give(Input::Started);
}

#[test]
fn a_restart_and_a_replay_keep_it() {
    let mut world = settled(Mode::Auto);
    moves(&mut world, "telco", "lip6");
    world.run_to(40.0);
    let mut again = Engine::new(world.engine.config().clone(), T0);
    for (at, input) in &world.inputs {
        again.handle(input.clone(), *at);
    }
    assert!(again == world.engine, "the same inputs make the same engine");
    let written = serde_json::to_string(&world.engine).unwrap();
    let read: Engine = serde_json::from_str(&written).unwrap();
    assert!(read == world.engine, "it reads back as it was");
    world.restart(Span::secs(3));
    assert_eq!(
        (home(&world).as_str(), probed(&world, "telco")),
        ("lip6", vec!["LIP6".to_owned()])
    );
    world.run_to(70.0);
    assert!(world.leg("telco", "lip6").rtt.is_some());
    // TelcoCenter is the first to be back, and has nothing to say of it.
    says(&mut world, "telco", ELSEWHERE);
    assert_eq!((home(&world).as_str(), logged(&world, "lives at")), ("lip6", 1));
}

#[test]
fn a_state_of_before_forwarders_told_is_read_and_one_that_does_not_fit_is_not() {
    let mut world = world(Mode::Auto);
    world.run_to(20.0);
    let mut written = serde_json::to_value(&world.engine).unwrap();
    let homes = written.as_object_mut().unwrap().remove("homes").unwrap();
    let read: Engine = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(
        serde_json::to_value(&read).unwrap()["homes"]["lives"],
        homes["lives"]
    );
    written["homes"] = serde_json::json!({ "lives": { "0": 7 } });
    let error = serde_json::from_value::<Engine>(written).unwrap_err().to_string();
    assert!(error.contains("homes of known VMs and data centres"), "{error}");
}

#[test]
fn an_edited_session_keeps_it_unless_the_edit_itself_says_where_it_lives() {
    let mut world = settled(Mode::Auto);
    moves(&mut world, "telco", "lip6");
    world.run_to(40.0);
    let mut more = config();
    // Names come first in the order, so that every number is another.
    let mut site = more.sites["lip6"].clone();
    site.rloc = lisp_wire::Rloc([172, 16, 0, 9].into());
    more.sites.insert("alpha".parse().unwrap(), site);
    let mut vm = more.vms["web"].clone();
    vm.eid = "10.1.0.1/32".parse().unwrap();
    more.vms.insert("api".parse().unwrap(), vm);
    carried(&mut world, more.clone());
    assert_eq!(home(&world), "lip6");
    world.connect("lip6");
    let since = Some(T0 + Span::secs(20));
    says(&mut world, "lip6", Residence::Here { since });
    assert_eq!((home(&world).as_str(), logged(&world, "lives at")), ("lip6", 1));
    more.vms.get_mut("web").unwrap().home = "marilyn".parse().unwrap();
    carried(&mut world, more.clone());
    assert_eq!(home(&world), "marilyn");
    world.connect("lip6");
    says(&mut world, "lip6", Residence::Here { since });
    assert_eq!(home(&world), "lip6", "as its forwarder still says");
    more.vms.get_mut("web").unwrap().home = "telco".parse().unwrap();
    carried(&mut world, more.clone());
    let mut fewer = config();
    fewer.sites.remove("lip6");
    carried(&mut world, fewer);
    assert_eq!(home(&world), "telco");
}

#[test]
fn views_that_forwarders_forgot_with_a_move_are_told_again_over_an_edit() {
    let mut world = settled(Mode::Observe);
    moves(&mut world, "telco", "lip6");
    world.run_to(40.0);
    let same = world.engine.config().clone();
    carried(&mut world, same);
    for site in ["telco", "marilyn", "lip6"] {
        world.connect(site);
    }
    // A minute after the arrival at 20 s.
    world.run_to(75.0);
    let before = world.effects.len();
    world.run_to(90.0);
    assert!(views_told(&world, before), "and not left to what the move told");
}

#[test]
fn accounts_of_an_edited_session_go_by_where_the_vm_lives() {
    let mut world = settled(Mode::Recommend);
    moves(&mut world, "telco", "lip6");
    world.run_to(40.0);
    let same = world.engine.config().clone();
    carried(&mut world, same);
    for site in ["telco", "marilyn", "lip6"] {
        world.connect(site);
    }
    world.run_to(60.0);
    assert!(matches!(world.switch("lyon", "marilyn"), Reply::Accepted { .. }));
    world.between = Box::new(|from, to, at| ((from, to) != ("marilyn", "lip6") || at < 80.0).then_some(LEG));
    world.run_to(120.0);
    let rows = world.engine.snapshot(world.now).availability.rows;
    let lyon = rows
        .iter()
        .find(|row| row.subject.to_string() == "lyon/web")
        .unwrap();
    let counted = lyon.tally(Horizon::RollingWeek).unwrap();
    assert!(counted.down > Span::secs(20), "{counted:?}");
}
