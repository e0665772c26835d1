"""How late expired keys are deleted: 100,000 that expire over five seconds beside a million others."""

import time

from report import Spread, table, verdict

TITLE = "Lateness of expiry"
BUDGET_S = 480
OTHERS = 1_000_000
EXPIRING = 100_000
EXPIRE_OVER_MS = 5000
P99_GOAL_MS = 5
FIELDS = ("p50_ms", "p99_ms", "max_ms", "gone", "early")


def run(plan):
    watch_ms = 10_000 if plan.quick else 60_000

    def measure(server):
        loaded_per_s = plan.load_sessions(server, OTHERS)
        expire_from_ms = int(time.time() * 1000 + EXPIRING / loaded_per_s * 1500 + 1500)
        plan.load.stream(server, op="set-pxat", first=OTHERS, count=EXPIRING, requests=EXPIRING, clients=4, pipeline=16,
                         expire_from_ms=expire_from_ms, expire_over_ms=EXPIRE_OVER_MS)
        seen = plan.load.watch_lateness(server, first=OTHERS, count=EXPIRING, expire_from_ms=expire_from_ms,
                                        expire_over_ms=EXPIRE_OVER_MS, watch_ms=watch_ms)
        with server.connect() as client:
            seen["keys_after"] = client.call("DBSIZE")
        return seen

    runs = plan.alternate("lateness", BUDGET_S, measure)
    return {"settings": {"others": OTHERS, "expiring": EXPIRING, "expire_over_ms": EXPIRE_OVER_MS,
                         "watched_ms_after_last_due": watch_ms, "poll_every_ms": 1},
            "runs": runs, "summary": _summary(plan, runs)}


def _milliseconds(microseconds):
    return None if microseconds is None else microseconds / 1000


def _spreads(results, source):
    seen = [run[source] for run in results]
    if any(run is None for run in seen):
        return None
    return {"p50_ms": Spread([_milliseconds(run["p50_us"]) for run in seen]),
            "p99_ms": Spread([_milliseconds(run["p99_us"]) for run in seen]),
            "max_ms": Spread([_milliseconds(run["max_us"]) for run in seen]),
            "gone": Spread([run["gone"] for run in seen]),
            "early": Spread([run["early"] for run in seen])}


def _summary(plan, runs):
    summary = []
    for kind in plan.kinds:
        for source in ("by_dbsize", "by_expired_keys"):
            spreads = _spreads(runs[kind.name], source)
            summary.append({"server": kind.name, "counted": source, "expiring": EXPIRING} |
                           {field: spreads and spreads[field].to_json() for field in FIELDS})
    tested = [row for row in summary if row["server"] == plan.kinds[1].name and row["gone"]]
    reached = all(row["gone"]["min"] == EXPIRING and row["p99_ms"] and row["p99_ms"]["median"] <= P99_GOAL_MS and
                  row["early"]["max"] == 0 for row in tested)
    return {"rows": summary, "p99_goal_ms": P99_GOAL_MS, "reached": bool(tested) and reached}


def text(plan, result):
    rows = []
    for kind in plan.kinds:
        for source, label in (("by_dbsize", "DBSIZE"), ("by_expired_keys", "INFO expired_keys")):
            spreads = _spreads(result["runs"][kind.name], source)
            if spreads is None:
                rows.append([kind.name, label] + ["not told"] * 5)
                continue
            rows.append([kind.name, label] + [spreads[field].text(2, nothing="never") for field in FIELDS[:3]] +
                        [spreads["gone"].text(0), spreads["early"].text(0)])
    watched_s = result["settings"]["watched_ms_after_last_due"] // 1000
    polls = [run["longest_poll_gap_us"] / 1000 for run in result["runs"][plan.kinds[1].name]]
    return (table(["server", "counted by", "p50 ms", "p99 ms", "max ms", f"gone {watched_s} s after the last was due",
                   "too early"], rows) +
            f"\n\nOf {EXPIRING:,} keys; the goal is all of them, 99 % within {P99_GOAL_MS} ms: reached "
            f"{verdict(result['summary']['reached'])}. \"never\": not within the {watched_s} s watched, in at least one "
            f"run. Lateness is an upper bound,\npolled every ms (longest gap between polls of {plan.kinds[1].name}, ms: "
            f"{Spread(polls).text(2)}).")
