"""Recomputes F of a written plan, in whole microseconds. Standard library only.

    python3 tests/judge/verify.py FILE     one JSON object out; exit 1 if a rule is broken or the plan's figures lie
"""

import json
import sys

from country import read_counts


def main(path):
    with open(path, encoding="utf-8") as file:
        country = json.load(file)
    plan = country["plan"]
    broken, excess, out = read_counts(country, plan["counts"])
    said = sum(left["users"] for left in plan["left_out"])
    if not broken and excess != plan["excess_us"]:
        broken.append(f"the excess is {excess} us, the plan says {plan['excess_us']}")
    if out != said:
        broken.append(f"{out} users have no place, the plan says {said}")
    if plan["excess_bound_us"] > plan["excess_us"]:
        broken.append("the plan is better than its own bound")
    placed = sum(area["users"] for area in country["areas"]) - out
    print(json.dumps({
        "broken": broken,
        "excess_us": excess,
        "left_out": out,
        "objective": placed + excess / country["bound_us"],
    }))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
