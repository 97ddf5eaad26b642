"""Several paths for each user, (6.1)-(6.2): a verifier of shares, and what HiGHS says of them.

    target/judge/bin/python tests/judge/paths.py FILE

FILE is a country with its plan (see country.py) and besides
    "shares": {"reading": "averaged" | "worst", "hundredths": a row an area, a column a site, "excess_hundredths": ...}

One JSON object out:
    broken              rules that the shares break, F recomputed in whole numbers
    linear_us           the least sum of max(0, l + f - L) in any shares at the plan's loads (LP)
    averaged_us         the least sum of max(0, averaged l + f - L) in any shares at those loads (LP)
    least_linear_us     the first over all loads, where a load between m - 1 and m users is as fast as m - 1 (MILP): no
                        shares cost less
    least_averaged_us   the second over all loads of whole and half users (MILP): shares need not cost more, and hardly cost
                        less
"""

import json
import sys

from answer import answer
import highspy

from country import delay

INFINITY = highspy.kHighsInf


def lateness(country, j, d, placed, parts=1):
    """l + f - L with `placed` parts of users of ours at the site, in parts of a microsecond, below 0 if in time; None if
    unusable. Between two whole numbers of users f is a straight line."""
    latency = country["latency_us"][j][d]
    if latency is None:
        return None
    site = country["sites"][d]
    below, along = divmod(placed, parts)
    f = (parts - along) * delay(country, site, site["load"] + below)
    if along:
        f += along * delay(country, site, site["load"] + below + 1)
    return parts * (latency - country["bound_us"]) + f


def verify(country):
    shares = country["shares"]
    rows, broken = shares["hundredths"], []
    sites = range(len(country["sites"]))
    used = [sum(row[d] for row in rows) for d in sites]
    for d, site in enumerate(country["sites"]):
        if used[d] > 100 * max(0, site["capacity"] - site["load"]):
            broken.append(f"{used[d]} hundredths at {site['name']}")
    excess = 0
    for j, (area, row) in enumerate(zip(country["areas"], rows)):
        if sum(row) != 100 * area["users"] or any(type(x) is not int or x < 0 for x in row):
            broken.append(f"the row of {area['name']} is not its users")
        each = []
        for d in sites:
            if row[d]:
                late = lateness(country, j, d, used[d], 100)
                if late is None:
                    broken.append(f"{area['name']} cannot use {country['sites'][d]['name']}")
                else:
                    each.append((row[d], late))
        if shares["reading"] == "averaged":
            excess += max(0, sum(x * late for x, late in each))
        else:
            excess += sum(x * max(0, late) for x, late in each)
    excess = -(-excess // 100)
    if not broken and excess != shares["excess_hundredths"]:
        broken.append(f"the excess is {excess}, the shares say {shares['excess_hundredths']}")
    return broken


def least(country, averaged, loads=None):
    """The least cost at `loads`. Without: over all of them, by averages with whole and half users, else with every load as
    fast as one user less."""
    areas, users = country["areas"], sum(area["users"] for area in country["areas"])
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("mip_rel_gap", 0.0)
    model.setOptionValue("threads", 1)
    model.setOptionValue("time_limit", 120.0)
    parts = [[] for _ in areas]
    for d, site in enumerate(country["sites"]):
        room = min(users, max(0, site["capacity"] - site["load"]))
        halves = 2 if averaged and not loads else 1
        if loads:
            levels = [(loads[d], loads[d])]
        elif averaged:
            levels = [(m, m) for m in range(1, halves * room + 1)]
        else:
            levels = [(m, m - 1) for m in range(1, room + 1)]
        chosen = []
        for level, slow in levels:
            if loads:
                z = None
            else:
                z = model.getNumCol()
                model.addVar(0.0, 1.0)
                model.changeColIntegrality(z, highspy.HighsVarType.kInteger)
                chosen.append(z)
            here = []
            for j, area in enumerate(areas):
                late = lateness(country, j, d, slow, halves) if level else None
                if late is None or area["users"] == 0:
                    continue
                x = model.getNumCol()
                most = min(area["users"], level / halves)
                model.addVar(0.0, most)
                if z is not None:
                    model.addRow(-INFINITY, 0.0, 2, [x, z], [1.0, -most])
                parts[j].append((x, late / halves / 1000))
                here.append(x)
            if z is None:
                model.addRow(-INFINITY, level / halves, len(here), here, [1.0] * len(here))
            else:
                model.addRow(-INFINITY, 0.0, len(here) + 1, here + [z], [1.0] * len(here) + [-level / halves])
        if chosen:
            model.addRow(-INFINITY, 1.0, len(chosen), chosen, [1.0] * len(chosen))
    for area, part in zip(areas, parts):
        columns = [x for x, _ in part]
        model.addRow(float(area["users"]), float(area["users"]), len(columns), columns, [1.0] * len(columns))
        if averaged:
            t = model.getNumCol()
            model.addVar(0.0, INFINITY)
            model.changeColCost(t, 1.0)
            model.addRow(0.0, INFINITY, len(part) + 1, columns + [t], [-late for _, late in part] + [1.0])
        else:
            for x, late in part:
                model.changeColCost(x, max(0.0, late))
    model.run()
    status = model.modelStatusToString(model.getModelStatus())
    assert status == "Optimal", status
    return model.getInfo().objective_function_value * 1000


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        country = json.load(file)
    counts = country["plan"]["counts"]
    loads = [sum(row[d] for row in counts) for d in range(len(country["sites"]))]
    answer({
        "broken": verify(country),
        "linear_us": least(country, False, loads),
        "averaged_us": least(country, True, loads),
        "least_linear_us": least(country, False),
        "least_averaged_us": least(country, True),
    })


if __name__ == "__main__":
    main()
