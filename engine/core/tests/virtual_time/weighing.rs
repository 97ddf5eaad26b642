//! Every criterion besides the round trip decides where all else is equal, from the session to the order that is told.
//!
//! Round trips are alike everywhere, and the entry and home (telco) breaks its bound. Without the criterion LIP6 wins, for its
//! name comes first; with it Marilyn does.

use pacao_core::config::{Capacity, Config, Demand, Offer, Sla, SlidingWindow, Term};
use pacao_core::{Effect, Input};
use proto::proposal::Criterion;
use proto::why::RungKind;
use proto::{Audience, Command, Mode, NodeCommand, Reply, Span};

use crate::world::{World, config};

/// The moment telco's round trip grows out of its bound.
const TROUBLE: f64 = 200.0;

/// A class that weighs the round trip and one more criterion.
fn weighing(config: &mut Config, criterion: Criterion, bound: f64) -> &mut Sla {
    let sla = config.sla.get_mut("interactive").unwrap();
    (sla.weights.rtt, sla.weights.jitter, sla.weights.loss) = (0.5, 0.0, 0.0);
    sla.terms.further.insert(criterion, Term { bound, weight: 0.5 });
    sla
}

fn offer<'a>(config: &'a mut Config, site: &str) -> &'a mut Offer {
    &mut config.sites.get_mut(site).unwrap().offer
}

fn room(ram_mb: u64, cpu: f64, users: u64) -> Capacity {
    Capacity {
        ram_mb: Some(ram_mb),
        cpu: Some(cpu),
        users: Some(users),
    }
}

/// Everywhere the same round trip, until telco's breaks its bound; of the others, `lost` are lost.
fn world(config: Config, lost: fn(&str, f64) -> bool) -> World {
    let mut world = World::of(config);
    world.wan = Box::new(move |dc, _, at| match dc {
        "telco" if at >= TROUBLE => Some(450.0),
        _ => (!lost(dc, at)).then_some(40.0),
    });
    world
}

const NOTHING_LOST: fn(&str, f64) -> bool = |_, _| false;

/// The data centres of the last locator set that Paris was told, the best first.
fn told(world: &World) -> Vec<String> {
    let sites = &world.engine.config().sites;
    let paris = world.engine.config().users["paris"].rloc;
    let mut sets = world.effects.iter().rev().filter_map(|(_, effect)| match effect {
        Effect::Node {
            command:
                NodeCommand::SetLocators {
                    audience: Audience::Client { rloc },
                    locators,
                    ..
                },
            ..
        } if *rloc == paris => Some(locators.clone()),
        _ => None,
    });
    let mut locators = sets.next().expect("Paris was told something");
    locators.sort_by_key(|locator| locator.priority);
    let name = |rloc| {
        sites
            .iter()
            .find(|(_, site)| site.rloc == rloc)
            .unwrap()
            .0
            .to_string()
    };
    locators.into_iter().map(|locator| name(locator.rloc)).collect()
}

/// What Paris is told when telco gets slow.
fn order(config: Config) -> Vec<String> {
    let mut world = world(config, NOTHING_LOST);
    world.run_to(TROUBLE + 30.0);
    told(&world)
}

const BY_NAME: [&str; 3] = ["lip6", "marilyn", "telco"];
const BY_CRITERION: [&str; 3] = ["marilyn", "lip6", "telco"];

#[test]
fn where_all_is_equal_the_first_by_name_is_entered() {
    assert_eq!(order(config()), BY_NAME);
}

#[test]
fn a_criterion_alone_decides_where_to_enter() {
    type Figures = fn(&mut Config);
    let cases: [(Criterion, f64, Figures); 3] = [
        // Lyon's eight people at LIP6 leave less of equal room than there is elsewhere.
        (Criterion::Capacity, 50.0, |config| {
            let lyon = config.users.get_mut("lyon").unwrap();
            lyon.size = 8;
            lyon.vms = [("web".parse().unwrap(), "lip6".parse().unwrap())].into();
            for site in BY_NAME {
                offer(config, site).capacity = room(1, 1.0, 10);
            }
        }),
        (Criterion::IsisCost, 20.0, |config| {
            offer(config, "lip6").isis_cost = [("telco".parse().unwrap(), 40)].into();
            offer(config, "marilyn").isis_cost = [("telco".parse().unwrap(), 10)].into();
        }),
        (Criterion::Price, 20.0, |config| {
            offer(config, "lip6").price = 21.0;
            offer(config, "marilyn").price = 20.0;
        }),
    ];
    for (criterion, bound, figures) in cases {
        let mut with = config();
        figures(&mut with);
        assert_eq!(order(with.clone()), BY_NAME, "{criterion:?} does not count yet");
        weighing(&mut with, criterion, bound);
        assert_eq!(order(with), BY_CRITERION, "{criterion:?}");
    }
}

#[test]
fn a_criterion_that_is_enforced_decides_without_weight() {
    let mut config = config();
    let sla = weighing(&mut config, Criterion::Price, 20.0);
    sla.weights.rtt = 1.0;
    sla.terms.further.get_mut(&Criterion::Price).unwrap().weight = 0.0;
    offer(&mut config, "lip6").price = 20.5;
    assert_eq!(order(config.clone()), BY_NAME);
    config
        .sla
        .get_mut("interactive")
        .unwrap()
        .terms
        .hard
        .insert(Criterion::Price);
    assert_eq!(order(config)[0], "marilyn");
}

#[test]
fn what_was_down_for_a_while_is_entered_last_by_its_availability() {
    let mut config = config();
    config.sla.get_mut("interactive").unwrap().watch.window = Some(SlidingWindow {
        part: Span::secs(60),
        parts: 4,
    });
    let sla = weighing(&mut config, Criterion::Unavailability, 1.0);
    let run = |config: &Config| {
        let mut world = world(config.clone(), |dc, at| {
            dc == "lip6" && (100.0..110.0).contains(&at)
        });
        // The window takes a while until its mean is out of the bound.
        world.run_to(TROUBLE + 60.0);
        told(&world)
    };
    sla.terms.further.clear();
    assert_eq!(run(&config), BY_NAME);
    weighing(&mut config, Criterion::Unavailability, 1.0);
    assert_eq!(run(&config), ["marilyn", "telco", "lip6"]);
}

#[test]
fn what_the_agent_tells_of_a_path_counts_and_not_what_the_session_says() {
    let mut config = config();
    weighing(&mut config, Criterion::IsisCost, 20.0);
    for site in ["lip6", "marilyn"] {
        offer(&mut config, site).isis_cost = [("telco".parse().unwrap(), 10)].into();
    }
    assert_eq!(order(config.clone()), BY_NAME);
    for cost in [Some(40), None] {
        let mut world = world(config.clone(), NOTHING_LOST);
        world.run_to(100.0);
        world.give(Input::FabricCost {
            site: "lip6".parse().unwrap(),
            vm: "web".parse().unwrap(),
            cost,
        });
        world.run_to(TROUBLE + 30.0);
        assert_eq!(told(&world)[0], "marilyn", "{cost:?}");
    }
}

/// What is not known does not count (decision 9): above all it keeps nobody with an entry that is slow.
#[test]
fn a_cost_that_nobody_knows_pins_nobody_to_the_home_of_the_vm() {
    let mut config = config();
    let sla = weighing(&mut config, Criterion::IsisCost, 20.0);
    sla.terms.hard.insert(Criterion::IsisCost);
    assert_eq!(order(config.clone()), BY_NAME, "no data centre's cost is known");
    offer(&mut config, "lip6").isis_cost = [("telco".parse().unwrap(), 40)].into();
    let mut one_known = world(config, NOTHING_LOST);
    one_known.run_to(TROUBLE + 30.0);
    assert_eq!(told(&one_known)[0], "marilyn", "what is known is enforced");
}

/// Where the web VM would live once telco is slow.
fn place(config: Config) -> Option<String> {
    let mut world = world(
        Config {
            mode: Mode::Observe,
            ..config
        },
        NOTHING_LOST,
    );
    world.run_to(TROUBLE + 30.0);
    let reply = world.ask(Command::Why {
        user: "paris".parse().unwrap(),
        vm: None,
        to: None,
    });
    let Reply::Explained { why } = reply else {
        panic!("{reply:?}")
    };
    let rung = why.rungs.into_iter().find(|rung| rung.kind == RungKind::Migrate);
    rung.unwrap().to.map(|to| to.to_string())
}

#[test]
fn what_a_vm_would_take_of_what_is_left_decides_where_it_would_live() {
    for criterion in [Criterion::Ram, Criterion::Cpu] {
        let mut config = config();
        // Room is equal, but half of LIP6's is taken by another VM.
        for site in BY_NAME {
            offer(&mut config, site).capacity = room(10_000, 10.0, 100);
        }
        let web = config.vms.get_mut("web").unwrap();
        web.demand = Demand {
            ram_mb: 4000,
            cpu: 4.0,
        };
        let mut db = web.clone();
        db.eid = "10.1.0.8/32".parse().unwrap();
        db.home = "lip6".parse().unwrap();
        config.vms.insert("db".parse().unwrap(), db);
        assert_eq!(place(config.clone()).as_deref(), Some("lip6"), "{criterion:?}");
        weighing(&mut config, criterion, 50.0);
        assert_eq!(place(config.clone()).as_deref(), Some("marilyn"), "{criterion:?}");
        // What nobody says is not limited.
        offer(&mut config, "lip6").capacity = Capacity::default();
        assert_eq!(place(config).as_deref(), Some("lip6"), "{criterion:?}");
    }
}
