//! What must not move anything, or not often.

use proto::{Command, Mode};

use crate::policy::begun;
use crate::world::{World, config, table_5_1};

/// A small generator, so that runs repeat.
fn noise(seed: &mut u64) -> f64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 11) as f64 / (1_u64 << 53) as f64
}

#[test]
fn an_hour_of_ten_percent_noise_moves_nothing() {
    let mut world = World::new(Mode::Auto);
    let mut seed = 7;
    world.wan = Box::new(move |dc, user, _| Some(table_5_1(dc, user) * (0.9 + 0.2 * noise(&mut seed))));
    world.run_to(3600.0);
    assert!(world.proposals().is_empty());
}

#[test]
fn noise_close_under_the_bound_moves_nothing() {
    let mut world = World::new(Mode::Auto);
    let mut seed = 7;
    // 95 ms +-10 %: single samples leave the bound of 100 ms all the time, the level does not.
    world.wan = Box::new(move |dc, user, _| {
        Some(if dc == "telco" {
            95.0 * (0.9 + 0.2 * noise(&mut seed))
        } else {
            table_5_1(dc, user)
        })
    });
    world.run_to(3600.0);
    assert!(world.proposals().is_empty(), "{:#?}", world.log());
}

#[test]
fn an_hour_with_one_probe_in_two_hundred_lost_moves_nothing() {
    let mut world = World::new(Mode::Auto);
    let mut seed = 11;
    world.wan = Box::new(move |dc, user, _| (noise(&mut seed) > 0.005).then(|| table_5_1(dc, user)));
    world.run_to(3600.0);
    assert!(world.proposals().is_empty(), "{:#?}", world.log());
}

#[test]
fn a_spike_shorter_than_a_slot_moves_nothing() {
    for (more, length) in [
        (1000.0, 0.5),
        (1000.0, 3.0),
        (400.0, 5.0),
        (1000.0, 8.0),
        (100.0, 9.0),
    ] {
        let mut world = World::new(Mode::Auto);
        world.stress(("paris", "telco"), more, (30.0, 30.0 + length));
        world.run_to(90.0);
        assert!(
            world.proposals().is_empty(),
            "+{more} ms for {length} s: {:#?}",
            world.log()
        );
    }
}

#[test]
fn another_link_that_is_merely_nearer_moves_nothing() {
    let mut world = World::new(Mode::Auto);
    world.wan = Box::new(|dc, _, _| Some(if dc == "telco" { 99.0 } else { 5.0 }));
    world.run_to(600.0);
    assert!(world.proposals().is_empty(), "the level is kept");
}

#[test]
fn a_gain_that_is_too_small_moves_nothing_and_is_said_once() {
    let mut world = World::new(Mode::Auto);
    world.wan = Box::new(|dc, user, at| {
        Some(if at > 20.0 && user == "paris" {
            if dc == "telco" { 120.0 } else { 112.0 }
        } else {
            table_5_1(dc, user)
        })
    });
    world.run_to(600.0);
    assert!(world.proposals().is_empty());
    let said = "paris stays with TelcoCenter: the best other entry gains less than the least gain";
    assert_eq!(world.log().iter().filter(|line| *line == said).count(), 1);
}

#[test]
fn links_that_take_turns_in_going_bad_move_a_user_ever_more_rarely() {
    let mut world = World::new(Mode::Auto);
    // Whatever the user enters by goes bad: every data centre is at +400 ms in every other half minute.
    world.wan = Box::new(|dc, user, at| {
        let turn = (at / 30.0) as u64 % 2;
        let bad = (dc == "telco") == (turn == 0);
        Some(table_5_1(dc, user) + if bad && user == "paris" { 400.0 } else { 0.0 })
    });
    world.run_to(3600.0);
    let moves = world.switches().len();
    assert!(
        (2..=8).contains(&moves),
        "{moves} moves in an hour: {:?}",
        world.switches()
    );
}

#[test]
fn links_that_take_turns_in_going_down_move_a_user_a_bounded_number_of_times() {
    let mut world = World::new(Mode::Auto);
    world.wan = Box::new(|dc, user, at| {
        let turn = (at / 12.0) as u64 % 3;
        let dead = ["telco", "marilyn", "lip6"][turn as usize] == dc && user == "paris";
        (!dead).then(|| table_5_1(dc, user))
    });
    world.run_to(3600.0);
    let moves = world.switches().len();
    assert!(
        (2..=24).contains(&moves),
        "{moves} moves in an hour: {:?}",
        world.switches()
    );
}

#[test]
fn flapping_gives_a_bounded_number_of_lines_in_the_log_and_of_proposals() {
    let mut config = config();
    config.mode = Mode::Recommend;
    let mut world = World::of(config);
    world.wan = Box::new(|dc, user, at| {
        let bad = ((at / 15.0) as u64).is_multiple_of(2);
        Some(table_5_1(dc, user) + if bad && dc == "telco" { 400.0 } else { 0.0 })
    });
    world.run_to(3600.0);
    assert!(world.log().len() <= 500);
    let last = world
        .proposals()
        .iter()
        .map(|proposal| proposal.id.0)
        .max()
        .unwrap_or(0);
    assert!(last <= 130, "{last} proposals in an hour");
}

#[test]
fn nothing_is_moved_twice_while_in_flight() {
    let mut world = World::new(Mode::Auto);
    world.stress(("paris", "telco"), 400.0, (30.0, 9999.0));
    world.run_to(20.0);
    world.answering = false;
    world.run_to(43.0);
    let told = world.tellings("paris").len();
    // Seconds 40.x to 44.x: in flight. Mode changes and more bad samples do not send it again.
    world.ask(Command::SetMode {
        mode: Mode::Recommend,
    });
    world.ask(Command::SetMode { mode: Mode::Auto });
    world.run_to(44.0);
    assert_eq!(world.tellings("paris").len(), told);
}

#[test]
fn a_hold_of_three_slots_waits_three_slots() {
    let mut config = config();
    config.calm.hold = 3;
    let mut world = World::of(config);
    world.stress(("paris", "telco"), 400.0, (30.0, 999.0));
    world.run_to(90.0);
    let moves = begun(&world);
    assert!((60.0..62.0).contains(&World::seconds(moves[0].0)), "{moves:?}");
}
