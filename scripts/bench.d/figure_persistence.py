"""What persistence costs: throughput with the log, the stall and the memory of a snapshot, and the time of a restart.

Beside redis-server with AOF (throughput), with BGSAVE (stall) and with its RDB file (restart), in alternating runs. Both keep
their files on the same disk; each server has one core for all its threads, but where it says "both cores": there the log's
thread may run beside the load on the load's core.

The noise that a stall during a snapshot is held against is that of a GET loop while dd writes as many bytes to the same disk,
from the load's core: the host of a virtual machine may stop all of it for the disk's sake.
"""

import os
import time

from disk_noise import SNAPSHOT_MB, write_as_much
from report import Spread, table, verdict

TITLE = "Persistence"
BUDGET_S = 1500
CLIENTS = 50
KEYS = 200_000
SLICES = 4
SESSIONS = 2_000_000
WRITES_PER_S = 20_000
QUIET_S = 3
# mode, pipeline, cores
CASES = [("everysec", 16, "one"), ("everysec", 16, "both"), ("everysec", 1, "one"), ("always", 16, "one"), ("always", 1, "one")]


def case_name(mode, pipeline, cores="one"):
    return f"SETEX, {mode}, pipeline {pipeline}" + (", both cores" if cores == "both" else "")


def run(plan):
    redis, holdfast = plan.kinds
    makers = {
        ("holdfast", "off"): holdfast,
        ("holdfast", "everysec"): holdfast.replaced("holdfast everysec", ["--appendfsync", "everysec", "--save", ""]),
        ("holdfast", "always"): holdfast.replaced("holdfast always", ["--appendfsync", "always", "--save", ""]),
        ("redis", "everysec"): redis.replaced("redis everysec", ["--save", "", "--appendonly", "yes", "--appendfsync", "everysec",
                                                                 "--auto-aof-rewrite-percentage", "0"]),
        ("redis", "always"): redis.replaced("redis always", ["--save", "", "--appendonly", "yes", "--appendfsync", "always",
                                                             "--auto-aof-rewrite-percentage", "0"]),
    }
    runs = {"throughput": [], "snapshot": {"redis": [], "holdfast": []}, "restart": {"redis": [], "holdfast": []}}
    snapshot_kinds = {"redis": redis.replaced("redis", ["--save", "", "--appendonly", "no"]),
                      "holdfast": holdfast.replaced("holdfast", ["--save", ""])}

    def one_run(run):
        plan.say(f"persistence: run {run + 1} of {plan.runs}: throughput")
        runs["throughput"].append(_throughput(plan, makers, run))
        for name in ("redis", "holdfast") if run % 2 == 0 else ("holdfast", "redis"):
            plan.say(f"persistence: run {run + 1} of {plan.runs}: snapshot and restart, {name}")
            snapshot, restart = _snapshot_and_restart(plan, name, snapshot_kinds[name])
            runs["snapshot"][name].append(snapshot)
            runs["restart"][name].append(restart)

    plan.repeat("persistence", BUDGET_S, one_run)
    return {"settings": {"keys": KEYS, "sessions": SESSIONS, "clients": CLIENTS, "writes_per_s": WRITES_PER_S},
            "runs": {"throughput": runs["throughput"], **{f"{a} {b}": runs[a][b] for a in ("snapshot", "restart")
                                                          for b in ("redis", "holdfast")}},
            "summary": _summary(runs)}


def _throughput(plan, makers, run):
    """All servers live side by side on one core; slices change between them."""
    duration_ms, warmup_ms = (300, 100) if plan.quick else (700, 200)
    servers = {(*key, "one"): maker.start(plan.server_core) for key, maker in makers.items()}
    all_cores = f"0-{os.cpu_count() - 1}"
    for key in (("holdfast", "off"), ("holdfast", "everysec"), ("redis", "everysec")):
        servers[(*key, "both")] = makers[key].start(all_cores)
    try:
        for server in servers.values():
            plan.load_sessions(server, KEYS)
        results = {}
        for mode, pipeline, cores in CASES:
            names = [("holdfast", "off", cores), ("holdfast", mode, cores), ("redis", mode, cores)]
            slices = {name: [] for name in names}
            for i in range(SLICES):
                for name in names if (i + run) % 2 == 0 else reversed(names):
                    slices[name].append(plan.load.stream(
                        servers[name], op="setex", count=KEYS, order="random", clients=CLIENTS, pipeline=pipeline,
                        duration_ms=duration_ms, warmup_ms=warmup_ms, server_pid=servers[name].pid, seed=pipeline))
            results[case_name(mode, pipeline, cores)] = {
                "holdfast off" if name[1] == "off" else name[0]: _joined(measured) for name, measured in slices.items()}
        return results
    finally:
        for server in servers.values():
            server.stop()


def _joined(slices):
    requests, elapsed_ns, cpu_ns = (sum(done[field] for done in slices) for field in
                                    ("requests", "elapsed_ns", "server_cpu_ns"))
    return {"per_s": requests * 1e9 / elapsed_ns, "cpu_us": cpu_ns / requests / 1000}


def _snapshot_and_restart(plan, name, kind):
    with kind.start(plan.server_core) as server:
        plan.load_sessions(server, SESSIONS)
        floor_ms = plan.longest_stall_ms(server, SESSIONS, lambda: time.sleep(QUIET_S))
        disk_floor_ms = plan.longest_stall_ms(server, SESSIONS, write_as_much)
        with server.connect() as client:
            seconds = {}

            def save():
                begin = time.monotonic()
                client.call("BGSAVE")
                _until_saved(client)
                seconds["snapshot"] = time.monotonic() - begin

            stall_ms = plan.longest_stall_ms(server, SESSIONS, save)
            rss_before = server.settled_rss_bytes()
            growth = _growth_under_writes(plan, server, client, rss_before)
        snapshot = {"floor_ms": floor_ms, "disk_floor_ms": disk_floor_ms, "stall_ms": stall_ms, "seconds": seconds["snapshot"],
                    "growth_percent": growth}
        # redis-server loads the RDB file that SHUTDOWN SAVE writes; Holdfast its last snapshot and the log behind it.
        if name == "redis":
            server.shut_down("SAVE")
        else:
            with server.connect() as client:
                client.call("BGSAVE")
                _until_saved(client)
            server.shut_down("NOSAVE")
        begin = time.monotonic()
        server.start_again()
        restart_s = time.monotonic() - begin
        with server.connect() as client:
            size = client.call("DBSIZE")
        if size != SESSIONS:
            raise RuntimeError(f"{name} came back with {size} of {SESSIONS} sessions")
        return snapshot, {"seconds": restart_s}


def _until_saved(client):
    while b"rdb_bgsave_in_progress:1" in client.call("INFO", "persistence"):
        time.sleep(0.05)


def _growth_under_writes(plan, server, client, rss_before):
    """The largest resident size (with children) while a snapshot is taken and sessions are overwritten, in percent."""
    load = plan.load.start_stream(server, op="setex", count=SESSIONS, order="random", clients=1, pipeline=16,
                                  rate=WRITES_PER_S, requests=WRITES_PER_S * 30)
    try:
        time.sleep(0.5)
        client.call("BGSAVE")
        largest = rss_before
        while b"rdb_bgsave_in_progress:1" in client.call("INFO", "persistence"):
            largest = max(largest, server.private_bytes())
            time.sleep(0.02)
    finally:
        load.kill()
        load.wait()
    return (largest / rss_before - 1) * 100


def _summary(runs):
    throughput = []
    for mode, pipeline, cores in CASES:
        name = case_name(mode, pipeline, cores)
        done = [run[name] for run in runs["throughput"]]
        row = {"case": name}
        for server in ("holdfast off", "holdfast", "redis"):
            row[server] = {field: Spread([run[server][field] for run in done]).to_json() for field in ("per_s", "cpu_us")}
        row["of_off"] = Spread([run["holdfast"]["per_s"] / run["holdfast off"]["per_s"] for run in done]).to_json()
        row["of_redis"] = Spread([run["holdfast"]["per_s"] / run["redis"]["per_s"] for run in done]).to_json()
        throughput.append(row)
    snapshot = {name: {field: Spread([run[field] for run in runs["snapshot"][name]]).to_json()
                       for field in ("floor_ms", "disk_floor_ms", "stall_ms", "seconds", "growth_percent")}
                for name in ("redis", "holdfast")}
    restart = {name: Spread([run["seconds"] for run in runs["restart"][name]]).to_json() for name in ("redis", "holdfast")}
    return {"throughput": throughput, "snapshot": snapshot, "restart": restart}


def text(_plan, result):
    summary = result["summary"]

    def spread(value, digits=2, scale=1.0):
        return Spread(value["runs"]).text(digits, scale)

    rows = []
    for row in summary["throughput"]:
        if row["case"].startswith(case_name("everysec", 16)):
            goal, reached = "0.90 of off", row["of_off"]["median"] >= 0.90
        elif "always" in row["case"]:
            goal, reached = "above redis", row["of_redis"]["median"] > 1
        else:
            goal, reached = "", None
        rows.append([row["case"]] + [spread(row[name]["per_s"], 0, 1e-3) for name in ("holdfast off", "holdfast", "redis")] +
                    [spread(row["of_off"]), spread(row["of_redis"]), goal, "" if reached is None else verdict(reached)])
    redis, holdfast = summary["snapshot"]["redis"], summary["snapshot"]["holdfast"]
    noise = max(holdfast["disk_floor_ms"]["runs"])
    others = [
        ["longest GET stall, nothing else running, ms", spread(redis["floor_ms"]), spread(holdfast["floor_ms"]), "", ""],
        [f"the same while dd writes {SNAPSHOT_MB} MB, ms", spread(redis["disk_floor_ms"]), spread(holdfast["disk_floor_ms"]), "",
         ""],
        ["longest GET stall during a snapshot of 2 million, ms", spread(redis["stall_ms"]), spread(holdfast["stall_ms"]),
         f"within noise ({noise:.2f})", verdict(holdfast["stall_ms"]["median"] <= noise)],
        ["the snapshot itself, s", spread(redis["seconds"]), spread(holdfast["seconds"]), "", ""],
        ["memory growth during one at 20,000 writes/s, %", spread(redis["growth_percent"], 1),
         spread(holdfast["growth_percent"], 1), "below 10", verdict(holdfast["growth_percent"]["median"] < 10)],
        ["restart with 2 million, s", spread(summary["restart"]["redis"]), spread(summary["restart"]["holdfast"]),
         "below redis", verdict(summary["restart"]["holdfast"]["median"] < summary["restart"]["redis"]["median"])],
    ]
    return (table(["thousand requests/s", "holdfast, no persistence", "holdfast", "redis-server, AOF", "of none", "of redis's",
                   "goal", "reached"], rows) + "\n\n" +
            table(["", "redis-server", "holdfast", "goal", "reached"], others))
