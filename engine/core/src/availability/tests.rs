//! Accounts against a counter that looks at every second.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proto::availability::{Availability, Horizon, Reach, Subject};
use proto::{Span, Timestamp};

use super::*;
use crate::Config;
use crate::config::{Contract, Penalty, shipped};

const SECOND: u64 = 1_000_000;
/// 2026-12-28 00:00 UTC, a Monday: a week, a month and a year end soon.
const MONDAY: u64 = 1_798_416_000;
const USERS: usize = 3;
const DCS: usize = 2;

/// Three users, two data centres, two VMs; two users share the first VM.
fn fabric(contract: Option<Contract>) -> Fabric {
    let site = |last: u8| crate::config::Site {
        label: format!("site {last}"),
        rloc: lisp_wire::Rloc([10, 0, 0, last].into()),
        offer: crate::config::Offer::default(),
    };
    let user = |last: u8, vm: &str| crate::config::User {
        label: format!("user {last}"),
        rloc: lisp_wire::Rloc([10, 0, 1, last].into()),
        eid: format!("10.2.{last}.0/24").parse().unwrap(),
        sla: "interactive".parse().unwrap(),
        vms: [(vm.parse().unwrap(), "a".parse().unwrap())].into(),
        size: 1,
        traits: crate::config::Traits::default(),
    };
    let vm = |last: u8| crate::config::Vm {
        eid: format!("10.1.0.{last}/32").parse().unwrap(),
        home: "a".parse().unwrap(),
        traits: crate::config::Traits::default(),
        demand: crate::config::Demand::default(),
        shared: crate::config::Shared::default(),
    };
    let mut class = shipped("interactive").unwrap();
    class.terms.contract = contract;
    Fabric::new(Config {
        session: "accounts".to_owned(),
        mode: proto::Mode::Observe,
        slots: crate::config::Slots {
            decide: Span::secs(10),
            settle: Span::secs(5),
            probe: Span::secs(1),
        },
        sites: [("a".parse().unwrap(), site(1)), ("b".parse().unwrap(), site(2))].into(),
        users: [
            ("u0".parse().unwrap(), user(1, "v0")),
            ("u1".parse().unwrap(), user(2, "v0")),
            ("u2".parse().unwrap(), user(3, "v1")),
        ]
        .into(),
        vms: [("v0".parse().unwrap(), vm(1)), ("v1".parse().unwrap(), vm(2))].into(),
        sla: [("interactive".parse().unwrap(), class)].into(),
        policy: crate::config::Policy {
            proposal_ttl: Span::secs(60),
            cool_down: Span::secs(30),
            gain_min: 5.0,
            gain_min_share: 0.1,
            confirm_within: Span::secs(10),
            prove_within: Span::ZERO,
            down_after: 3,
            up_after: 3,
            stale_after: Span::secs(5),
            probe_timeout: Span::secs(2),
        },
        calm: crate::config::Calm::default(),
        legs: None,
    })
}

fn at(second: u64) -> Timestamp {
    Timestamp((MONDAY + second) * SECOND)
}

/// All that the rules of `reaching.rs` say, for one second, from nothing but how links stand and who enters where.
struct Second {
    links: [[Reach; DCS]; USERS],
    entries: [usize; USERS],
}

impl Second {
    fn entry(&self, user: usize) -> Reach {
        self.links[user][self.entries[user]]
    }

    fn vm(&self, users: &[usize]) -> Reach {
        let states: Vec<Reach> = users.iter().map(|&user| self.entry(user)).collect();
        match () {
            () if states.contains(&Reach::Up) => Reach::Up,
            () if states.contains(&Reach::Down) => Reach::Down,
            () => Reach::Unknown,
        }
    }

    fn locator(&self, dc: usize) -> Reach {
        let reached = |user: &[Reach; DCS]| user.contains(&Reach::Up);
        let anybody = self.links.iter().any(reached);
        let against = |user: &[Reach; DCS]| user[dc] == Reach::Down && (reached(user) || !anybody);
        match () {
            () if self.links.iter().any(|user| user[dc] == Reach::Up) => Reach::Up,
            () if self.links.iter().any(against) => Reach::Down,
            () => Reach::Unknown,
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Link(usize, usize, Reach, u64),
    Entry(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let reach = prop_oneof![Just(Reach::Up), Just(Reach::Down), Just(Reach::Unknown)];
    prop_oneof![
        // Known up to four seconds late.
        4 => (0..USERS, 0..DCS, reach, 0_u64..5).prop_map(|(user, dc, reach, late)| Step::Link(user, dc, reach, late)),
        1 => (0..USERS, 0..DCS).prop_map(|(user, dc)| Step::Entry(user, dc)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_account_holds_what_a_counter_of_seconds_counts(
        steps in prop::collection::vec((step(), prop_oneof![4 => 0_u64..20, 2 => 20_u64..9_000, 1 => Just(70_000)]), 1..40),
        restart_at in 0_usize..40,
        start in 0..8 * DAY,
    ) {
        let fabric = fabric(None);
        let at = |second: u64| at(start + second);
        let mut accounts = Accounts::new(&fabric, vec![Dc(0); USERS], at(0));
        // When which link came to stand how, and who came to enter where.
        let mut happened: BTreeMap<u64, Vec<Step>> = BTreeMap::new();
        let mut last = [[(Reach::Unknown, 0_u64); DCS]; USERS];
        let mut now = 0;
        for (number, (step, after)) in steps.into_iter().enumerate() {
            now += after;
            accounts.advance(&fabric, at(now));
            match step {
                Step::Link(user, dc, reach, late) => {
                    let (before, since) = last[user][dc];
                    if before != reach {
                        let when = now.saturating_sub(late).max(since);
                        last[user][dc] = (reach, when);
                        happened.entry(when).or_default().push(Step::Link(user, dc, reach, 0));
                        accounts.link(fabric.link(user as u32, Dc(dc as u32)), reach, at(when));
                    }
                }
                Step::Entry(user, dc) => {
                    happened.entry(now).or_default().push(Step::Entry(user, dc));
                    accounts.entry(PairIx(user as u32), Dc(dc as u32), at(now));
                }
            }
            if number == restart_at {
                let written = serde_json::to_string(&accounts).unwrap();
                let read: Accounts = serde_json::from_str(&written).unwrap();
                prop_assert_eq!(&read, &accounts);
                accounts = read;
            }
        }
        let end = now + 100;
        accounts.advance(&fabric, at(end) + accounts.lag);
        let report = accounts.report(&fabric);

        let mut second = Second { links: [[Reach::Unknown; DCS]; USERS], entries: [0; USERS] };
        let subjects = ["VM v0", "VM v1", "locator a", "locator b", "u0/v0", "u1/v0", "u2/v1"];
        let begins = Horizon::ALL.map(|horizon| calendar::begin(horizon, at(end)));
        // By subject, horizon and state.
        let mut counted = [[[0_u64; 3]; 5]; 7];
        for moment in 0..end {
            for step in happened.get(&moment).into_iter().flatten() {
                match *step {
                    Step::Link(user, dc, reach, _) => second.links[user][dc] = reach,
                    Step::Entry(user, dc) => second.entries[user] = dc,
                }
            }
            let states = [
                second.vm(&[0, 1]),
                second.vm(&[2]),
                second.locator(0),
                second.locator(1),
                second.entry(0),
                second.entry(1),
                second.entry(2),
            ];
            for (subject, state) in states.into_iter().enumerate() {
                for (horizon, begins) in begins.iter().enumerate() {
                    if at(moment) >= *begins {
                        counted[subject][horizon][state as usize] += SECOND;
                    }
                }
            }
        }
        prop_assert_eq!(report.rows.len(), subjects.len());
        for row in &report.rows {
            let subject = subjects.iter().position(|name| *name == row.subject.to_string()).unwrap();
            for (horizon, tally) in row.tallies.iter().enumerate() {
                let want = |state: Reach| counted[subject][horizon][state as usize];
                let (subject, horizon) = (&row.subject, tally.horizon);
                prop_assert_eq!(tally.down.0, want(Reach::Down), "{} {:?} down", subject, horizon);
                prop_assert_eq!(tally.unknown.0, want(Reach::Unknown), "{} {:?} unknown", subject, horizon);
                prop_assert_eq!(tally.up().0, want(Reach::Up), "{} {:?} up", subject, horizon);
            }
        }
    }

    #[test]
    fn no_order_of_things_makes_it_fail(
        steps in prop::collection::vec((step(), any::<u64>()), 1..80),
    ) {
        let fabric = fabric(Some(weekly()));
        let mut accounts = Accounts::new(&fabric, vec![Dc(0); USERS], at(0));
        for (step, moment) in steps {
            let moment = Timestamp(moment);
            match step {
                Step::Link(user, dc, reach, _) => accounts.link(fabric.link(user as u32, Dc(dc as u32)), reach, moment),
                Step::Entry(user, dc) => accounts.entry(PairIx(user as u32), Dc(dc as u32), moment),
            }
            accounts.advance(&fabric, moment);
            accounts.report(&fabric);
        }
        prop_assert!(accounts.fits(&fabric));
    }
}

fn weekly() -> Contract {
    let percent = |percent| Availability::from_percent(percent).unwrap();
    Contract {
        target: percent(99.99),
        per: Horizon::Week,
        unit: "points".to_owned(),
        penalties: vec![
            Penalty {
                below: percent(99.99),
                amount: 10,
            },
            Penalty {
                below: percent(99.0),
                amount: 25,
            },
        ],
    }
}

const DAY: u64 = 86_400;

#[test]
fn a_contract_is_settled_at_the_end_of_each_of_its_periods() {
    let fabric = fabric(Some(weekly()));
    let mut accounts = Accounts::new(&fabric, vec![Dc(0); USERS], at(0));
    let link = |user: u32| fabric.link(user, Dc(0));
    for user in 0..3 {
        accounts.link(link(user), Reach::Up, at(0));
    }
    // The first user is down for 61 s of the first week, and over the turn of the second to the third for two hours.
    accounts.link(link(0), Reach::Down, at(100));
    accounts.link(link(0), Reach::Up, at(161));
    let mut breaches = accounts.advance(&fabric, at(8 * DAY));
    accounts.link(link(0), Reach::Down, at(14 * DAY - 3_600));
    accounts.link(link(0), Reach::Up, at(14 * DAY + 3_600));
    breaches.extend(accounts.advance(&fabric, at(22 * DAY)));
    let told: Vec<(u32, u64, Span)> = breaches
        .iter()
        .map(|breach| (breach.pair.0, breach.period.amount, breach.period.down))
        .collect();
    assert_eq!(
        told,
        [
            (0, 10, Span::secs(61)),
            (0, 10, Span::secs(3_600)),
            (0, 10, Span::secs(3_600))
        ]
    );
    let report = accounts.report(&fabric);
    let row = |name: &str| {
        report
            .rows
            .iter()
            .find(|row| row.subject.to_string() == name)
            .unwrap()
    };
    let ended = |name: &str| {
        row(name)
            .owed
            .iter()
            .map(|owed| (owed.running, owed.ended))
            .collect::<Vec<_>>()
    };
    assert_eq!(ended("u0/v0"), [(0, 30)]);
    assert_eq!(ended("u1/v0"), [(0, 0)]);
    assert_eq!(ended("VM v0"), [(0, 30)]);
    assert_eq!(row("u0/v0").periods.len(), 3);
    assert_eq!(row("u0/v0").budget_left(), Some(60_480_000));
    // The other user of the VM reached it all the time.
    assert_eq!(row("VM v0").tally(Horizon::Year).unwrap().down, Span::ZERO);
}

#[test]
fn a_user_whose_own_access_fails_says_nothing_of_data_centres_and_is_down_himself() {
    let fabric = fabric(None);
    let mut accounts = Accounts::new(&fabric, vec![Dc(0); USERS], at(0));
    for user in 0..3 {
        for dc in 0..2 {
            accounts.link(fabric.link(user, Dc(dc)), Reach::Up, at(0));
        }
    }
    for dc in 0..2 {
        accounts.link(fabric.link(0, Dc(dc)), Reach::Down, at(100));
    }
    // Then the other two lose the first data centre, and only that: now it is the data centre's.
    accounts.link(fabric.link(1, Dc(0)), Reach::Down, at(200));
    accounts.link(fabric.link(2, Dc(0)), Reach::Down, at(250));
    accounts.advance(&fabric, at(300) + accounts.lag);
    let report = accounts.report(&fabric);
    let down = |name: &str| {
        let row = report
            .rows
            .iter()
            .find(|row| row.subject.to_string() == name)
            .unwrap();
        row.tally(Horizon::Week).unwrap().down.as_secs_f64()
    };
    assert_eq!(
        (down("u0/v0"), down("u1/v0"), down("u2/v1")),
        (200.0, 100.0, 50.0)
    );
    assert_eq!((down("locator a"), down("locator b")), (50.0, 0.0));
    assert_eq!((down("VM v0"), down("VM v1")), (100.0, 50.0));
}

#[test]
fn consoles_are_told_what_changed_once_a_second_and_all_once_a_minute() {
    let fabric = fabric(None);
    let mut accounts = Accounts::new(&fabric, vec![Dc(0); USERS], at(0));
    let mut told = Vec::new();
    accounts.link(fabric.link(2, Dc(0)), Reach::Up, at(1));
    for second in 0..130 {
        accounts.advance(&fabric, at(second));
        let rows = accounts.rows_due(&fabric, at(second));
        if !rows.is_empty() {
            told.push((second, rows.len()));
        }
    }
    let lag = accounts.lag.0 / SECOND;
    assert_eq!(told, [(lag + 2, 3), (60, 7), (120, 7)]);
    assert!(matches!(
        accounts.report(&fabric).rows[0].subject,
        Subject::Vm { .. }
    ));
}
