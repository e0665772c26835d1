"""Server CPU per request: SETEX and GET over 50 connections, pipelined by 16 and one by one.

In each run both servers are started afresh and live side by side on the same core; each case is measured in short slices that
change between them, so that a slow second of the machine does not fall on one of the two alone.
"""

import statistics

from report import Spread, table, verdict

TITLE = "Server CPU per request"
BUDGET_S = 300
CLIENTS = 50
SLICES = 4  # of each server, case and run; even
CASES = [("SETEX", 16), ("GET", 16), ("SETEX", 1), ("GET", 1)]
RATIO_GOALS = {("SETEX", 16): 0.45, ("GET", 16): 0.65, ("SETEX", 1): 1.0, ("GET", 1): 1.0}


def case_name(operation, pipeline):
    return f"{operation}, pipeline {pipeline}"


def run(plan):
    keys = 200_000 if plan.quick else 1_000_000
    duration_ms, warmup_ms = (300, 100) if plan.quick else (500, 150)

    runs = {kind.name: [] for kind in plan.kinds}

    def one_run(run):
        plan.say(f"cpu: run {run + 1} of {plan.runs}: {' and '.join(kind.name for kind in plan.kinds)}")
        first, second = plan.kinds if run % 2 == 0 else reversed(plan.kinds)
        with first.start(plan.server_core) as a, second.start(plan.server_core) as b:
            for server in (a, b):
                plan.load_sessions(server, keys)
                runs[server.name].append({})
            for case in CASES:
                slices = {a.name: [], b.name: []}
                for server in (a, b, b, a) * (SLICES // 2):
                    slices[server.name].append(_measure_slice(plan, server, case, keys, duration_ms, warmup_ms))
                for name, measured in slices.items():
                    runs[name][-1][case_name(*case)] = _joined(measured)

    plan.repeat("cpu", BUDGET_S, one_run)
    return {"settings": {"keys": keys, "key_bytes": 40, "value_bytes": 300, "ttl_s": "3600-7199",
                         "clients": CLIENTS, "slices": SLICES, "slice_ms": duration_ms,
                         "order": "random, every GET a hit"},
            "runs": runs, "summary": _summary(plan, runs)}


def _measure_slice(plan, server, case, keys, duration_ms, warmup_ms):
    operation, pipeline = case
    return plan.load.stream(server, op=operation.lower(), count=keys, order="random", clients=CLIENTS,
                            pipeline=pipeline, duration_ms=duration_ms, warmup_ms=warmup_ms,
                            server_pid=server.pid, seed=pipeline)


def _joined(slices):
    """One run's figures from its slices: sums for what is counted, medians of the percentiles."""
    requests, elapsed_ns, cpu_ns, misses = (sum(done[field] for done in slices) for field in
                                            ("requests", "elapsed_ns", "server_cpu_ns", "misses"))
    if misses:
        raise RuntimeError(f"{misses} GETs missed: sessions are lost")
    return {"cpu_us": cpu_ns / requests / 1000, "per_s": requests * 1e9 / elapsed_ns,
            "server_busy": cpu_ns / elapsed_ns,
            "p50_us": statistics.median(done["p50_ns"] for done in slices) / 1000,
            "p99_us": statistics.median(done["p99_ns"] for done in slices) / 1000}


def _summary(plan, runs):
    reference, tested = (runs[kind.name] for kind in plan.kinds)
    summary = []
    for case in CASES:
        name = case_name(*case)
        ratios = Spread([b[name]["cpu_us"] / a[name]["cpu_us"] for a, b in zip(reference, tested)])
        row = {"case": name, "cpu_ratio": ratios.to_json(), "cpu_ratio_goal": RATIO_GOALS[case],
               "reached": ratios.median <= RATIO_GOALS[case]}
        for kind in plan.kinds:
            row[kind.name] = {field: Spread([run[name][field] for run in runs[kind.name]]).to_json()
                              for field in ("cpu_us", "per_s", "server_busy", "p50_us", "p99_us")}
        summary.append(row)
    return summary


def text(plan, result):
    runs = result["runs"]
    costs, speeds = [], []
    for row in result["summary"]:
        name = row["case"]

        def spread(kind, field):
            return Spread([run[name][field] for run in runs[kind.name]])

        costs.append([name] + [spread(kind, "cpu_us").text(2) for kind in plan.kinds] +
                     [Spread(row["cpu_ratio"]["runs"]).text(2),
                      ("at most " if row["cpu_ratio_goal"] < 1 else "below ") + f"{row['cpu_ratio_goal']:.2f}",
                      verdict(row["reached"])])
        for kind in plan.kinds:
            speeds.append([name, kind.name, spread(kind, "per_s").text(0, 1e-3),
                           spread(kind, "p50_us").text(0), spread(kind, "p99_us").text(0),
                           spread(kind, "server_busy").text(0, 100)])
    names = [kind.name for kind in plan.kinds]
    return (table(["CPU of the server, µs a request"] + names + ["ratio, run by run", "goal", "reached"], costs) +
            "\n\n" +
            table(["load", "server", "thousand requests/s", "p50 µs", "p99 µs", "server core busy %"], speeds))
