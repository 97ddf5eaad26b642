//! How long things could be reached, as a whole engine counts it.

use proto::availability::{Availability, AvailabilityRow, Horizon, Reach};
use proto::{Mode, Notice, Span};

use pacao_core::config::{Contract, Penalty};
use pacao_core::{Config, Effect, Engine};

use crate::world::{T0, World, config, table_5_1};

fn account(world: &World, subject: &str) -> AvailabilityRow {
    let report = world.engine.snapshot(world.now).availability;
    let mut rows = report.rows.into_iter();
    rows.find(|row| row.subject.to_string() == subject).unwrap()
}

/// Down and unknown over the rolling week.
fn spent(world: &World, subject: &str) -> (Span, Span) {
    let row = account(world, subject);
    let week = row.tally(Horizon::RollingWeek).unwrap();
    (week.down, week.unknown)
}

/// Whether it is so many seconds.
fn between(span: Span, least: f64, most: f64) -> bool {
    (least..=most).contains(&span.as_secs_f64())
}

/// One data centre's probes to all users are lost for a while.
fn fail(world: &mut World, dc: &'static str, (from, to): (f64, f64)) {
    world.wan = Box::new(move |via, user, at| {
        let lost = via == dc && at >= from && at < to;
        (!lost).then(|| table_5_1(via, user))
    });
}

#[test]
fn an_outage_is_counted_from_its_first_lost_probe_to_its_first_answer_and_a_switch_ends_it_for_its_user() {
    let mut world = World::new(Mode::Auto);
    fail(&mut world, "telco", (100.0, 160.0));
    world.run_to(300.0);
    let (down, unknown) = spent(&world, "locator telco");
    assert!(between(down, 59.0, 61.0), "{down}");
    assert!(
        unknown < Span::millis(500),
        "only before the first answer: {unknown}"
    );
    // Paris entered by it until the switch was confirmed; probes are lost after 2 s, three of them in 3 s.
    let (down, _) = spent(&world, "paris/web");
    let switched = world.switches()[0].0 - 100.0;
    assert!(
        between(down, switched - 1.0, switched + 1.0) && switched < 4.0,
        "{down} {switched}"
    );
    // Lyon entered elsewhere, so the VM was reached all the time.
    assert_eq!(spent(&world, "lyon/web").0, Span::ZERO);
    assert_eq!(spent(&world, "VM web").0, Span::ZERO);
    assert_eq!(
        account(&world, "paris/web").tally(Horizon::Week).unwrap().outages,
        1
    );
    assert_eq!(spent(&world, "locator marilyn").0, Span::ZERO);
}

#[test]
fn a_vm_is_down_while_no_entry_is_usable() {
    let mut world = World::new(Mode::Auto);
    world.wan = Box::new(|via, user, at| (!(100.0..160.0).contains(&at)).then(|| table_5_1(via, user)));
    world.run_to(300.0);
    for subject in ["VM web", "paris/web", "locator lip6"] {
        let (down, _) = spent(&world, subject);
        assert!(between(down, 59.0, 61.0), "{subject} {down}");
    }
}

#[test]
fn while_no_engine_runs_nothing_is_known_and_nothing_is_called_up_or_down() {
    let mut world = World::new(Mode::Auto);
    world.run_to(100.0);
    world.restart(Span::secs(40));
    world.run_to(300.0);
    for subject in ["VM web", "locator telco", "locator lip6", "paris/web"] {
        let (down, unknown) = spent(&world, subject);
        assert_eq!(down, Span::ZERO, "{subject}");
        assert!(between(unknown, 39.0, 42.0), "{subject} {unknown}");
    }
    let week = *account(&world, "VM web").tally(Horizon::RollingWeek).unwrap();
    assert_eq!(week.availability(), Some(Availability::ALL), "of what is known");
    assert!(week.up() < Span::secs(260), "{:?}", week.up());
}

#[test]
fn a_forwarder_that_is_cut_off_is_unknown_until_it_is_given_up_and_down_until_it_is_back() {
    let mut world = World::new(Mode::Auto);
    world.run_to(100.0);
    world.cut("telco");
    world.run_to(150.0);
    world.connect("telco");
    world.run_to(300.0);
    let (down, unknown) = spent(&world, "locator telco");
    // Given up 5 s after it left.
    assert!(between(down, 44.0, 46.0), "{down}");
    assert!(between(unknown, 4.5, 7.0), "{unknown}");
    let (down, _) = spent(&world, "paris/web");
    assert!(down < Span::secs(1), "it was moved at once: {down}");
}

#[test]
fn a_contract_says_what_is_left_and_what_is_owed() {
    let percent = |percent| Availability::from_percent(percent).unwrap();
    let mut config = config();
    config.sla.values_mut().for_each(|sla| {
        sla.terms.contract = Some(Contract {
            target: percent(99.999),
            per: Horizon::Week,
            unit: "EUR".to_owned(),
            penalties: vec![Penalty {
                below: percent(99.999),
                amount: 50,
            }],
        });
    });
    let mut world = World::of(Config {
        mode: Mode::Recommend,
        ..config
    });
    fail(&mut world, "telco", (100.0, 120.0));
    world.run_to(200.0);
    let row = account(&world, "paris/web");
    // Five nines of a week are 6.048 s; about twenty were used.
    let left = row.budget_left().unwrap();
    assert!((-15_000_000..=-13_000_000).contains(&left), "{left}");
    assert_eq!((row.owed[0].unit.as_str(), row.owed[0].running), ("EUR", 50));
    assert_eq!(account(&world, "lyon/web").owed[0].running, 0);
    assert_eq!(account(&world, "lyon/web").budget_left(), Some(6_048_000));
    assert_eq!(account(&world, "VM web").owed[0].running, 50);
    assert_eq!(row.tally(Horizon::Week).unwrap().nines(), 4);
}

#[test]
fn consoles_are_told_of_a_change_once_and_of_everything_once_a_minute() {
    let mut world = World::new(Mode::Recommend);
    fail(&mut world, "telco", (100.0, 1000.0));
    world.run_to(170.0);
    let told: Vec<(f64, usize)> = world
        .effects
        .iter()
        .filter_map(|(at, effect)| match effect {
            Effect::Notify {
                notice: Notice::Availability { rows },
            } => Some((World::seconds(*at), rows.len())),
            _ => None,
        })
        .filter(|&(at, _)| at > 20.0)
        .collect();
    let everything: Vec<_> = told.iter().filter(|(_, rows)| *rows == 6).collect();
    assert_eq!(everything.len(), 2, "{told:?}");
    assert!(told.len() <= 4, "{told:?}");
    assert_eq!(account(&world, "locator telco").state, Reach::Down);
}

#[test]
fn a_state_written_before_there_were_accounts_is_read_and_they_begin_there() {
    let mut world = World::new(Mode::Auto);
    world.run_to(50.0);
    let mut written = serde_json::to_value(&world.engine).unwrap();
    assert!(written.as_object_mut().unwrap().remove("books").is_some());
    let old: Engine = serde_json::from_value(written).unwrap();
    // What a replay does: it drops its own where a state has none, and both go on alike.
    let mut repeated = world.engine.clone();
    assert_ne!(repeated, old);
    repeated.keep_books_as(&old);
    assert_eq!(repeated, old);
    let inputs = world.inputs.len();
    world.engine = old;
    world.run_to(80.0);
    for (at, input) in world.inputs.split_off(inputs) {
        repeated.handle(input, at);
    }
    assert_eq!(repeated, world.engine);
    let begun = account(&world, "VM web").counted_from.since(T0);
    assert!((50.0..51.0).contains(&begun.as_secs_f64()), "{begun}");
}

#[test]
fn every_account_is_on_one_page_and_no_page_is_longer_than_asked() {
    let mut world = World::of(crate::policy::crowd(230, pacao_core::config::Calm::default()));
    world.run_to(30.0);
    let told = world.engine.snapshot(world.now).availability;
    assert!(told.left_out > 0, "consoles are told of the worst");
    let (mut all, mut from) = (Vec::new(), Some(0));
    while let Some(at) = from {
        let (rows, next) = world.engine.accounts(at, 7);
        assert!(rows.len() == 7 || next.is_none());
        all.extend(rows);
        from = next;
    }
    assert_eq!(all.len() as u64, told.rows.len() as u64 + told.left_out);
    for row in &told.rows {
        assert_eq!(all.iter().filter(|known| known.subject == row.subject).count(), 1);
        assert!(all.contains(row));
    }
    assert_eq!(world.engine.accounts(u64::MAX, 7), (Vec::new(), None));
}
