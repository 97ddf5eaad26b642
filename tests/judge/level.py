"""The optimum of a small country by HiGHS, over every load each data centre may have.

    target/judge/bin/python tests/judge/level.py FILE [SECONDS]

z_dk = 1: at most k users of ours at d, all of whom see the load of k. x_jdk <= min(w_j, k) z_dk, sum_j x_jdk <= k z_dk,
sum_k z_dk = 1, sum_dk x_jdk = w_j. Exact since f never falls; at fixed z a transportation problem, so x comes out
whole. One JSON object out: `optimum_us` is the cost of a plan recomputed in whole numbers, `bound_us` what HiGHS
proved no plan can go below.
"""

import json
import sys

from answer import answer
import highspy

from country import late, read_counts


def solve(country, seconds=120.0):
    areas, sites = country["areas"], country["sites"]
    users = sum(area["users"] for area in areas)
    model = highspy.Highs()
    for option, value in (
        ("output_flag", False), ("mip_rel_gap", 0.0), ("mip_abs_gap", 1e-4), ("threads", 1), ("time_limit", seconds),
        ("mip_feasibility_tolerance", 1e-9), ("primal_feasibility_tolerance", 1e-9),
    ):
        model.setOptionValue(option, value)
    infinity = highspy.kHighsInf
    parts = [[] for _ in areas]  # columns that serve the area
    levels = []
    for d, site in enumerate(sites):
        room = min(users, max(0, site["capacity"] - site["load"]))
        chosen = []
        for k in range(room + 1):
            z = model.getNumCol()
            model.addVar(0.0, 1.0)
            model.changeColIntegrality(z, highspy.HighsVarType.kInteger)
            chosen.append((z, k))
            here = []
            for j, area in enumerate(areas):
                each = late(country, j, d, k) if k else None
                if each is None or area["users"] == 0:
                    continue
                x = model.getNumCol()
                model.addVar(0.0, float(min(area["users"], k)))
                # Thousandths keep the numbers near one.
                model.changeColCost(x, each / 1000)
                model.addRow(-infinity, 0.0, 2, [x, z], [1.0, -float(min(area["users"], k))])
                parts[j].append((x, d))
                here.append(x)
            model.addRow(-infinity, 0.0, len(here) + 1, here + [z], [1.0] * len(here) + [-float(k)])
        model.addRow(1.0, 1.0, len(chosen), [z for z, _ in chosen], [1.0] * len(chosen))
        levels.append(chosen)
    for j, area in enumerate(areas):
        columns = [x for x, _ in parts[j]]
        model.addRow(float(area["users"]), float(area["users"]), len(columns), columns, [1.0] * len(columns))
    model.run()
    status = model.modelStatusToString(model.getModelStatus())
    info = model.getInfo()
    if info.primal_solution_status != 2:
        return {"status": status}
    value = model.getSolution().col_value
    loads = [max(k for z, k in chosen if value[z] > 0.5) for chosen in levels]
    counts = at_loads(country, loads)
    broken, excess, out = read_counts(country, counts)
    assert not broken and out == 0, broken
    return {
        "status": status,
        "optimum_us": excess,
        "bound_us": info.mip_dual_bound * 1000,
        "counts": counts,
    }


def at_loads(country, loads):
    """The best plan with at most `loads` at each site, by the simplex method: a vertex, so whole numbers."""
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("solver", "simplex")
    at = {}
    for j, area in enumerate(country["areas"]):
        for d, load in enumerate(loads):
            each = late(country, j, d, load) if load else None
            if each is not None:
                at[j, d] = model.getNumCol()
                model.addVar(0.0, highspy.kHighsInf)
                model.changeColCost(at[j, d], each / 1000)
    for d, load in enumerate(loads):
        columns = [x for (_, site), x in at.items() if site == d]
        model.addRow(-highspy.kHighsInf, float(load), len(columns), columns, [1.0] * len(columns))
    for j, area in enumerate(country["areas"]):
        columns = [x for (row, _), x in at.items() if row == j]
        model.addRow(float(area["users"]), float(area["users"]), len(columns), columns, [1.0] * len(columns))
    model.run()
    value = model.getSolution().col_value
    sites = range(len(loads))
    return [[round(value[at[j, d]]) if (j, d) in at else 0 for d in sites] for j in range(len(country["areas"]))]


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        given = json.load(file)
    answer(solve(given, *map(float, sys.argv[2:3])))
