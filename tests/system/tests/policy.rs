//! Policy on a live engine, by the verbs that staff have: over a restart, under stress, within budgets.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::time::{Duration, Instant};

use proto::{Arming, Disarmed, ProposalState, Span, UserName};
use serde_yaml::Value;
use system_tests::fabric::{lab, paris, site, vm};
use system_tests::patience::wait_for;
use system_tests::steered::{Steered, Told};
use system_tests::talk::{Answerer, Talk};
use testbed::Lab;

/// The engine's slot in these tests, and a little for what surrounds it.
const SLOTS: Duration = Duration::from_secs(6);

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn lyon() -> UserName {
    UserName::new("lyon-042").unwrap()
}

fn talk(lab: &Lab) -> (Answerer, Talk) {
    let address = lab.vm_address(&vm()).unwrap();
    let answerer = Answerer::start(lab.vm_host(&vm()).unwrap(), address).unwrap();
    let talk = Talk::start(lab.user_host(&paris()).unwrap(), address).unwrap();
    (answerer, talk)
}

fn done(engine: &Steered, args: &[&str]) -> String {
    let Told { done, text } = engine.ctl(args).unwrap();
    assert!(done, "{args:?}: {text}");
    text
}

fn refused(engine: &Steered, args: &[&str]) -> String {
    let Told { done, text } = engine.ctl(args).unwrap();
    assert!(!done, "{args:?}: {text}");
    text
}

fn enters(engine: &Steered, user: &UserName, dc: &str) {
    wait_for(
        &format!("{user} enters by {dc}"),
        || engine.entry(user).unwrap(),
        |entry| (*entry == site(dc)).then_some(()),
    );
}

/// M2: in under a second, over kill -9, while traffic flows.
#[test]
fn disarming_acts_at_once_outlives_kill_9_and_lets_traffic_flow() {
    let lab = lab(&[]).unwrap();
    let mut engine = Steered::start(&lab, &[]).unwrap();
    let (_answerer, talk) = talk(&lab);
    done(&engine, &["mode", "auto"]);

    let asked = Instant::now();
    done(&engine, &["disarm"]);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    lab.stress(&paris(), &site("telco"), Span::millis(400)).unwrap();
    std::thread::sleep(SLOTS);
    assert_eq!(engine.entry(&paris()).unwrap(), site("telco"), "nothing moved");

    // Hands are refused as well, and the refusal is on the record.
    let told = refused(&engine, &["switch", "paris-001", "vm-web-07", "marilyn"]);
    assert!(
        told.contains("disarmed") && told.contains("arm the engine first"),
        "{told}"
    );
    let record = engine.record().unwrap();
    let refusal = record
        .lines()
        .find(|line| line.contains("\"outcome\":\"refused\""));
    assert!(
        refusal.is_some_and(|line| line.contains("disarmed")),
        "{refusal:?}"
    );

    engine.kill().unwrap();
    talk.come_back(25).unwrap();
    engine.take_up().unwrap();
    match engine.policy().unwrap().arming {
        Arming::Disarmed { how, .. } => assert_eq!(how, Disarmed::Freeze),
        Arming::Armed => panic!("armed by a restart"),
    }
    std::thread::sleep(SLOTS);
    assert_eq!(
        engine.entry(&paris()).unwrap(),
        site("telco"),
        "nothing moved after the restart"
    );
    talk.come_back(25).unwrap();

    // Ignore: hands move, the engine does not.
    done(&engine, &["disarm", "--ignore"]);
    std::thread::sleep(SLOTS);
    assert_eq!(
        engine.entry(&paris()).unwrap(),
        site("telco"),
        "the engine moved it"
    );
    done(&engine, &["switch", "paris-001", "vm-web-07", "lip6"]);
    enters(&engine, &paris(), "lip6");

    done(&engine, &["arm"]);
    assert_eq!(engine.policy().unwrap().arming, Arming::Armed);
    talk.come_back(25).unwrap();
    let summary = talk.finish().unwrap();
    assert_eq!(summary.lost, 0, "{summary:?}");
    lab.stop().unwrap();
}

/// M12 and M6: a drain moves no more than the budget lets it, says what it waits for, and the glass can be broken.
#[test]
fn a_drain_moves_users_off_within_the_budget_and_the_glass_breaks_with_a_reason() {
    let lab = lab(&[]).unwrap();
    let budget = yaml("{ concurrent: 1, per_hour: 2 }");
    let engine = Steered::start(&lab, &[("budget", budget), ("cool_down", yaml("1s"))]).unwrap();
    done(&engine, &["switch", "lyon-042", "vm-web-07", "telco"]);
    enters(&engine, &lyon(), "telco");

    done(&engine, &["drain", "telco"]);
    let left = |engine: &Steered| engine.policy().unwrap().drains.first().map(|drain| drain.left);
    wait_for(
        "one of two has moved",
        || left(&engine),
        |left| (*left == Some(1)).then_some(()),
    );
    std::thread::sleep(SLOTS);
    assert_eq!(left(&engine), Some(1), "the budget is two moves an hour");
    let row = &engine.policy().unwrap().budgets[0];
    assert_eq!((row.per_hour.used, row.per_hour.limit), (2, 2));
    let stays = if engine.entry(&paris()).unwrap() == site("telco") {
        paris()
    } else {
        lyon()
    };

    let why = done(&engine, &["why", stays.as_str()]);
    assert!(
        why.contains("x policy") && why.contains("budget 'all' has no room"),
        "{why}"
    );
    let told = refused(&engine, &["switch", stays.as_str(), "vm-web-07", "lip6"]);
    assert!(
        told.contains("2 of 2 moves an hour") && told.contains("break the glass"),
        "{told}"
    );
    // Nobody may enter a drained data centre either.
    let other = if stays == paris() { lyon() } else { paris() };
    let told = refused(&engine, &["switch", other.as_str(), "vm-web-07", "telco"]);
    assert!(told.contains("drain"), "{told}");
    let told = refused(
        &engine,
        &[
            "switch",
            stays.as_str(),
            "vm-web-07",
            "lip6",
            "--break-glass",
            " ",
        ],
    );
    assert!(told.contains("needs a reason"), "{told}");

    let glass = ["--break-glass", "the hall floods"];
    done(
        &engine,
        &[&["switch", stays.as_str(), "vm-web-07", "lip6"][..], &glass].concat(),
    );
    enters(&engine, &stays, "lip6");
    wait_for(
        "the drain is done",
        || left(&engine),
        |left| (*left == Some(0)).then_some(()),
    );
    assert!(done(&engine, &["log"]).contains("the hall floods"));
    done(&engine, &["undrain", "telco"]);
    assert!(engine.policy().unwrap().drains.is_empty());
    lab.stop().unwrap();
}

/// M11 and N12: an entry that flapped is left alone although its link is broken, until somebody forgives it.
#[test]
fn forgiving_lets_a_suppressed_entry_go() {
    let lab = lab(&[]).unwrap();
    let damp = yaml("{ penalty: 1000, suppress: 1500, reuse: 750, half_life: 20m, max: 1h }");
    let policy = [("damp", damp), ("cool_down", yaml("1s"))];
    let engine = Steered::start(&lab, &policy).unwrap();
    done(&engine, &["mode", "auto"]);
    for dc in ["marilyn", "telco"] {
        done(&engine, &["switch", "paris-001", "vm-web-07", dc]);
        wait_for(
            "the switch is confirmed",
            || engine.proposals().unwrap(),
            |all| {
                let last = all.last()?;
                (last.to == site(dc) && matches!(last.state, ProposalState::Confirmed { .. })).then_some(())
            },
        );
    }
    let flap = engine
        .policy()
        .unwrap()
        .flaps
        .into_iter()
        .find(|flap| flap.release_at.is_some());
    let flap = flap.expect("two moves are more than 1500 points");
    assert_eq!(flap.flaps, 2);

    lab.stress(&paris(), &site("telco"), Span::millis(400)).unwrap();
    std::thread::sleep(2 * SLOTS);
    assert_eq!(
        engine.entry(&paris()).unwrap(),
        site("telco"),
        "suppressed, it is left alone"
    );
    let why = done(&engine, &["why", "paris-001"]);
    assert!(why.contains("flapped too often"), "{why}");

    let told = done(&engine, &["forgive", "paris-001", "--vm", "vm-web-07"]);
    assert!(told.contains("forgiven"), "{told}");
    wait_for(
        "it moves once forgiven",
        || engine.entry(&paris()).unwrap(),
        |entry| (*entry != site("telco")).then_some(()),
    );
    lab.stop().unwrap();
}

/// Names that nobody has, and what makes no sense, change nothing and say what would be right.
#[test]
fn wrong_arguments_change_nothing_and_say_what_would_be_right() {
    let lab = lab(&[]).unwrap();
    let engine = Steered::start(&lab, &[]).unwrap();
    let before = engine.policy().unwrap();
    for (args, right) in [
        (&["drain", "nowhere"][..], "known: lip6, marilyn, telco"),
        (&["undrain", "nowhere"], "known: lip6, marilyn, telco"),
        (&["why", "nobody"], "known: lyon-042, paris-001, rennes-003"),
        (
            &["why", "paris-001", "--to", "nowhere"],
            "known: lip6, marilyn, telco",
        ),
        (&["why", "paris-001", "--vm", "none"], "known: vm-web-07"),
        (&["mode", "auto", "--vm", "none"], "known: vm-web-07"),
        (
            &["forgive", "nobody", "--dc", "telco"],
            "known: lyon-042, paris-001, rennes-003",
        ),
        (
            &["switch", "paris-001", "vm-web-07", "telco"],
            "already enters by telco",
        ),
    ] {
        let told = refused(&engine, args);
        assert!(told.contains(right), "{args:?}: {told}");
    }
    // Not even asked of the engine.
    for args in [
        &["mode", "bogus"][..],
        &["mode", "inherit"],
        &["forgive", "paris-001"],
        &["drain"],
    ] {
        let error = engine.ctl(args).unwrap_err();
        assert!(error.to_string().contains("Some(2)"), "{args:?}: {error}");
    }
    assert_eq!(engine.policy().unwrap(), before);
    // The most specific mode wins, and is taken back.
    done(&engine, &["mode", "observe"]);
    done(&engine, &["mode", "recommend", "--user", "paris-001"]);
    let told = refused(&engine, &["switch", "lyon-042", "vm-web-07", "lip6"]);
    assert!(told.contains("only observes"), "{told}");
    done(&engine, &["switch", "paris-001", "vm-web-07", "marilyn"]);
    done(&engine, &["mode", "inherit", "--user", "paris-001"]);
    assert!(engine.policy().unwrap().modes.is_empty());
    lab.stop().unwrap();
}
