"""A country of users and a plan for it, as written by `pacao bench assign --write` and by the tests of pacao-core.

    {"bound_us": L, "curve": [[load in millionths, microseconds], ...],
     "sites": [{"name", "capacity", "load"}, ...], "areas": [{"name", "users"}, ...],
     "latency_us": a row an area, a column a site, null where unusable,
     "plan": {"counts": a row an area, a column a site, "excess_us", "excess_bound_us", ...}}

Written from the thesis's (5.4)-(5.9) alone. All in whole numbers.
"""


def delay(country, site, used):
    """f_d of (5.7) in microseconds, rounded down, with `used` users in all at the site."""
    capacity = max(1, site["capacity"])
    for (x0, y0), (x1, y1) in zip(country["curve"], country["curve"][1:]):
        if used * 1_000_000 <= x1 * capacity:
            return y0 + (y1 - y0) * (used * 1_000_000 - x0 * capacity) // ((x1 - x0) * capacity)
    raise ValueError(f"{used} users are over the capacity of {site['name']}")


def late(country, area, site, placed):
    """max(0, l + f - L) of a user of the area at the site when `placed` of ours are there; None if unusable."""
    latency = country["latency_us"][area][site]
    if latency is None:
        return None
    here = country["sites"][site]
    return max(0, latency + delay(country, here, here["load"] + placed) - country["bound_us"])


def read_counts(country, counts):
    """Holds counts to (5.5) and (5.6): (rules broken, excess in microseconds, users left out)."""
    broken, excess, out = [], 0, 0
    columns = range(len(country["sites"]))
    placed = [sum(row[d] for row in counts) for d in columns]
    for d, site in enumerate(country["sites"]):
        if placed[d] > 0 and placed[d] + site["load"] > site["capacity"]:
            broken.append(f"(5.6): {placed[d]} + {site['load']} users at {site['name']} of {site['capacity']}")
    if len(counts) != len(country["areas"]):
        broken.append(f"{len(counts)} rows for {len(country['areas'])} areas")
    for j, (area, row) in enumerate(zip(country["areas"], counts)):
        if len(row) != len(columns) or any(type(x) is not int or x < 0 for x in row):
            broken.append(f"the row of {area['name']} is not one whole number a site")
            continue
        if sum(row) > area["users"]:
            broken.append(f"(5.5): {sum(row)} of {area['users']} users of {area['name']} placed")
        out += area["users"] - sum(row)
        for d in columns:
            if row[d] and not broken:
                each = late(country, j, d, placed[d])
                if each is None:
                    broken.append(f"{area['name']} cannot use {country['sites'][d]['name']}")
                else:
                    excess += row[d] * each
    return broken, excess, out
