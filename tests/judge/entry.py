"""The per-user program (5.1)-(5.3) of the thesis by HiGHS, as written: r_d binary, T^k whole, sum alpha_k T^k least.

    target/judge/bin/python tests/judge/entry.py FILE

In: a list of `{ "alpha": [..], "bound": [..], "hard": [..], "measured": [[..] or null, ..] }`, whole numbers. Out: a list
of the least objectives, null where no data centre is feasible. A `hard` criterion has T^k at most 1.
"""

import json
import math
import sys

from answer import answer
import highspy


def solve(case):
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("mip_rel_gap", 0.0)
    model.setOptionValue("mip_abs_gap", 0.5)
    model.setOptionValue("mip_feasibility_tolerance", 1e-9)
    whole = highspy.HighsVarType.kInteger
    chosen = []
    for measured in case["measured"]:
        r = model.getNumCol()
        model.addVar(0.0, 0.0 if measured is None else 1.0)
        model.changeColIntegrality(r, whole)
        chosen.append(r)
    for k, (alpha, bound) in enumerate(zip(case["alpha"], case["bound"])):
        worst = max([m[k] for m in case["measured"] if m is not None], default=0)
        t = model.getNumCol()
        most = 1.0 if k in case["hard"] else float(math.ceil(worst / bound) + 1)
        model.addVar(0.0, most)
        model.changeColIntegrality(t, whole)
        model.changeColCost(t, float(alpha))
        # (5.3), in units of the bound.
        for r, measured in zip(chosen, case["measured"]):
            if measured is not None:
                model.addRow(-highspy.kHighsInf, 0.0, 2, [r, t], [measured[k] / bound, -1.0])
    model.addRow(1.0, 1.0, len(chosen), chosen, [1.0] * len(chosen))  # (5.2)
    model.run()
    if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    # The whole numbers found, recomputed exactly from the data centre chosen.
    values = model.getSolution().col_value
    at = max(range(len(chosen)), key=lambda d: values[chosen[d]])
    measured = case["measured"][at]
    return sum(a * -(-m // b) for a, b, m in zip(case["alpha"], case["bound"], measured))


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    answer([solve(case) for case in cases])


if __name__ == "__main__":
    main()
