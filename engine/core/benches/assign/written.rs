//! A problem and its plan as the judge reads them (tests/judge/country.py).

use pacao_core::optimizer::group::{Plan, Problem};
use serde_json::{Value, json};

/// All that is needed to recompute F, and what the plan says of it.
pub(crate) fn written(problem: &Problem, plan: &Plan) -> Value {
    let columns = problem.sites().len();
    let sites = problem
        .sites()
        .iter()
        .map(|site| json!({"name": site.name, "capacity": site.capacity, "load": site.load}));
    let areas = problem
        .areas()
        .iter()
        .map(|area| json!({"name": area.name, "users": area.users}));
    let row =
        |area| -> Vec<Option<u32>> { (0..columns).map(|site| problem.latency_us(area, site)).collect() };
    let out = plan
        .left_out
        .iter()
        .map(|left| json!({"area": left.area, "users": left.users}));
    json!({
        "bound_us": problem.bound_us(),
        "curve": problem.curve().points(),
        "sites": sites.collect::<Vec<_>>(),
        "areas": areas.collect::<Vec<_>>(),
        "latency_us": (0..problem.areas().len()).map(row).collect::<Vec<_>>(),
        "plan": {
            "counts": plan.counts.chunks(columns).collect::<Vec<_>>(),
            "left_out": out.collect::<Vec<_>>(),
            "excess_us": plan.excess_us,
            "excess_bound_us": plan.excess_bound_us,
            "objective": plan.objective,
            "lower_bound": plan.lower_bound,
        },
    })
}
