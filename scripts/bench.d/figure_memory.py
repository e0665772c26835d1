"""Bytes per session: how much the resident size of an empty server grows, divided by the sessions."""

import time

from plan import KEY_BYTES
from report import Spread, table, verdict

TITLE = "Memory per session"
BUDGET_S = 360
VALUE_BYTES_AND_GOALS = [(300, 400), (60, 132)]


def run(plan):
    sessions = 500_000 if plan.quick else 2_000_000

    def measure(server):
        # One after the other in the same process would measure what the allocator kept: the caller starts one per size.
        return _measure(plan, server, sessions, measure.value_bytes)

    runs = {kind.name: {} for kind in plan.kinds}
    for value_bytes, _ in VALUE_BYTES_AND_GOALS:
        measure.value_bytes = value_bytes
        done = plan.alternate(f"memory, payload {KEY_BYTES + value_bytes}", BUDGET_S / 2, measure)
        for name, results in done.items():
            runs[name][str(KEY_BYTES + value_bytes)] = results
    return {"settings": {"sessions": sessions, "key_bytes": KEY_BYTES, "ttl_s": "3600-7199"},
            "runs": runs, "summary": _summary(plan, runs, sessions)}


def _measure(plan, server, sessions, value_bytes):
    time.sleep(0.3)
    empty = server.rss_bytes()
    plan.load_sessions(server, sessions, value_bytes=value_bytes)
    full = server.settled_rss_bytes()
    with server.connect() as client:
        stored = client.call("DBSIZE")
        reported = client.info("memory").get("used_memory")
    if stored != sessions:
        raise RuntimeError(f"{server.name} holds {stored} keys instead of {sessions}")
    return {"empty_rss_bytes": empty, "full_rss_bytes": full, "bytes_per_session": (full - empty) / sessions,
            "used_memory_bytes": int(reported) if reported else None}


def _summary(plan, runs, sessions):
    summary = []
    for value_bytes, goal in VALUE_BYTES_AND_GOALS:
        payload = KEY_BYTES + value_bytes
        row = {"payload_bytes": payload, "sessions": sessions, "goal": goal}
        for kind in plan.kinds:
            row[kind.name] = Spread([r["bytes_per_session"] for r in runs[kind.name][str(payload)]]).to_json()
        row["reached"] = row[plan.kinds[1].name]["median"] <= goal
        summary.append(row)
    return summary


def text(plan, result):
    rows = [[f"{row['payload_bytes']} bytes", f"{row['sessions']:,}"] +
            [Spread(row[kind.name]["runs"]).text(1) for kind in plan.kinds] +
            [f"{row[plan.kinds[1].name]['median'] - row['payload_bytes']:.1f}", f"at most {row['goal']}",
             verdict(row["reached"])]
            for row in result["summary"]]
    names = [kind.name for kind in plan.kinds]
    return table(["payload (key and value)", "sessions"] + [f"{name}, RSS bytes each" for name in names] +
                 [f"{names[1]}, above the payload", "goal", "reached"], rows)
