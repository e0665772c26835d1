"""Server CPU per request: SETEX and GET over 50 connections, pipelined by 16 and one by one."""

from report import Spread, table, verdict

TITLE = "Server CPU per request"
BUDGET_S = 300
CLIENTS = 50
CASES = [("SETEX", 16), ("GET", 16), ("SETEX", 1), ("GET", 1)]
RATIO_GOALS = {("SETEX", 16): 0.45, ("GET", 16): 0.65, ("SETEX", 1): 1.0, ("GET", 1): 1.0}


def case_name(operation, pipeline):
    return f"{operation}, pipeline {pipeline}"


def run(plan):
    keys = 200_000 if plan.quick else 1_000_000
    duration_ms, warmup_ms = (700, 200) if plan.quick else (2000, 300)

    def measure(server):
        plan.load_sessions(server, keys)
        return {case_name(*case): _measure_case(plan, server, case, keys, duration_ms, warmup_ms)
                for case in CASES}

    runs = plan.alternate("cpu", BUDGET_S, measure)
    return {"settings": {"keys": keys, "key_bytes": 40, "value_bytes": 300, "ttl_s": "3600-7199",
                         "clients": CLIENTS, "duration_ms": duration_ms, "order": "random, every GET a hit"},
            "runs": runs, "summary": _summary(plan, runs)}


def _measure_case(plan, server, case, keys, duration_ms, warmup_ms):
    operation, pipeline = case
    done = plan.load.stream(server, op=operation.lower(), count=keys, order="random", clients=CLIENTS,
                            pipeline=pipeline, duration_ms=duration_ms, warmup_ms=warmup_ms,
                            server_pid=server.pid, seed=pipeline)
    return {"cpu_us": done["server_cpu_ns"] / done["requests"] / 1000,
            "per_s": done["requests"] * 1e9 / done["elapsed_ns"],
            "server_busy": done["server_cpu_ns"] / done["elapsed_ns"],
            "p50_us": done["p50_ns"] / 1000, "p99_us": done["p99_ns"] / 1000, "misses": done["misses"]}


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
