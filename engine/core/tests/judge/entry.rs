//! (5.1)-(5.3) for one user: the choice by looking at each data centre against the program as written, by HiGHS.

use pacao_core::optimizer::{Class, choose};
use serde_json::json;

use crate::python::ask;

const CASES: usize = 120;

#[test]
fn the_entry_chosen_is_the_optimum_that_highs_finds() {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut up_to = |most: u32| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 33) as u32 % most
    };
    let mut given = Vec::new();
    let mut claimed = Vec::new();
    for case in 0..CASES {
        // Thousandths that sum to 1.
        let (a, b, c) = (up_to(400), up_to(300), up_to(300));
        let alpha = [a, b, c, 1000 - a - b - c];
        let bound = [100_000, 30_000, 20_000, 500_000].map(|most| most / 2 + up_to(most));
        let hard: Vec<usize> = (0..4).filter(|_| up_to(8) == 0).collect();
        let measured: Vec<Option<[u32; 4]>> = (0..=case % 24)
            .map(|_| {
                let m = [up_to(400_000), up_to(90_000), up_to(90_000), up_to(1_500_000)];
                (up_to(10) > 0).then_some(m)
            })
            .collect();
        let class = Class::new(alpha.map(|a| f64::from(a) / 1000.0), bound);
        let class = hard.iter().fold(class, |class, &k| class.enforcing(k));
        let choice = choose(&class, &measured, None);
        claimed.push(choice.map(|(_, score)| score.penalty / 1000));
        given.push(json!({ "alpha": alpha, "bound": bound, "hard": hard, "measured": measured }));
    }
    let judged = ask("entry.py", &json!(given));
    let feasible = claimed.iter().flatten().count();
    assert!(
        feasible > CASES / 2 && feasible < CASES,
        "{feasible} of {CASES} feasible"
    );
    for (at, claim) in claimed.iter().enumerate() {
        assert_eq!(judged[at].as_u64(), *claim, "{}", given[at]);
    }
}
