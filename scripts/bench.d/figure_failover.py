"""What a failover and what safety cost: three local nodes beside redis-server with two replicas and three sentinels.

The same faults strike both in the same run: the primary is killed (kill -9), stopped (SIGSTOP), or cut off from the others in a
network of namespaces, with a client beside it. Counted is the time to the first write that one of the other nodes acknowledges,
asked on open connections every millisecond, so that no driver's patience is part of it; and of the writes that independent
writers had acknowledged, those that are not there when all is well again.

Then what a write costs that a majority holds, beside redis-server's SET with WAIT 1, and a read that a majority confirms; and a full
synchronisation. No process is pinned here: nodes and load share the two cores that the other figures keep apart.
"""

import contextlib
import math
import os
import statistics
import tempfile
import threading
import time

import redis_sentinel  # makes tests/cluster importable
from disk_noise import SNAPSHOT_MB, write_as_much
from redis_sentinel import SentinelCluster
from report import Spread, table, verdict

# pylint: disable=wrong-import-order
import harness.server
from cluster import Closed, Cluster, Error
from load import Load
from netns import Network, NotPermitted

TITLE = "Failover"
BUDGET_S = 3600
FAULTS = {"kill": "the primary killed (kill -9)", "stop": "the primary stopped (SIGSTOP)",
          "partition": "the primary cut off, a client beside it"}
GOALS_MS = {"kill": {"median": 150, "p99": 300}, "stop": {"p99": 700}, "partition": {"p99": 700}}
FAILOVERS = {"kill": 10, "stop": 4, "partition": 4}  # in each run
WRITES_PER_S = 2000  # of each writer
SENTINEL_NOTE = f"""\
Where redis-server loses many writes at once after a kill, its sentinels' logs say why: with down-after at {redis_sentinel.DOWN_AFTER_MS} ms a
sentinel may hold the primary that was just promoted to be down before it has heard it once, and a second failover follows. Then there are two
primaries for ten seconds, until the sentinels turn the first one into a replica; what it acknowledged is gone."""
IMPATIENT_S, PATIENT_S = 0.5, 30.0
SYSTEMS = ("redis-server", "holdfast")
QUIET_KEYS = 200_000
SESSIONS = 2_000_000
FULL_LOAD_S, QUICK_LOAD_S, LONG_COMMAND_S = 600, 20, 2
PRIMARY_CPU_GOAL, REPLICA_CPU_GOAL = 1.6, 0.6


def run(plan):
    harness.server.BINARY = plan.kinds[1].binary
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, redis_sentinel.all_cores(plan))
    try:
        return _run(plan)
    finally:
        os.sched_setaffinity(0, before)


def _run(plan):
    failovers = {f"{fault}, {system}": [] for fault in FAULTS for system in SYSTEMS}
    acknowledged, lost = dict.fromkeys(failovers, 0), {name: [] for name in failovers}
    skipped = {}
    writes = {name: [] for name in WRITE_CASES}
    reads = {name: [] for name in READ_CASES}
    syncs = {system: [] for system in SYSTEMS}

    def one_run(number):
        for fault in FAULTS:
            for system in SYSTEMS if number % 2 == 0 else SYSTEMS[::-1]:
                name = f"{fault}, {system}"
                plan.say(f"failover: run {number + 1} of {plan.runs}: {name}")
                try:
                    times, done, gone = _failovers(fault, system, FAILOVERS[fault])
                except NotPermitted as reason:
                    skipped[fault] = str(reason)
                    continue
                failovers[name] += times
                acknowledged[name] += done
                lost[name] += gone
        for name in list(WRITE_CASES) if number % 2 == 0 else list(WRITE_CASES)[::-1]:
            plan.say(f"failover: run {number + 1} of {plan.runs}: writes, {name}")
            writes[name].append(_requests(plan, *WRITE_CASES[name]))
        for name in list(READ_CASES) if number % 2 == 0 else list(READ_CASES)[::-1]:
            plan.say(f"failover: run {number + 1} of {plan.runs}: reads, {name}")
            reads[name].append(_requests(plan, *READ_CASES[name]))
        if number < 3:
            for system in SYSTEMS if number % 2 == 0 else SYSTEMS[::-1]:
                plan.say(f"failover: run {number + 1} of {plan.runs}: full synchronisation, {system}")
                syncs[system].append(_full_synchronisation(plan, system))

    plan.repeat("failover", BUDGET_S, one_run)
    plan.say(f"failover: {FULL_LOAD_S if not plan.quick else QUICK_LOAD_S} s of full load")
    calm = _calm(plan)
    return {"settings": {"down_after_ms": redis_sentinel.DOWN_AFTER_MS, "writes_per_s_of_each_writer": WRITES_PER_S,
                         "failovers_a_run": FAILOVERS, "sessions": SESSIONS, "keys": QUIET_KEYS},
            "runs": {**failovers, **{f"writes, {name}": runs for name, runs in writes.items()},
                     **{f"reads, {name}": runs for name, runs in reads.items()},
                     **{f"synchronisation, {system}": runs for system, runs in syncs.items()}},
            "summary": {"failovers": {name: _times(times) for name, times in failovers.items()}, "acknowledged": acknowledged,
                        "lost": {name: sum(each) for name, each in lost.items()},
                        "failovers_with_losses": {name: sum(gone > 0 for gone in each) for name, each in lost.items()},
                        "skipped": skipped, "writes": _requests_summary(writes),
                        "reads": _requests_summary(reads), "synchronisation": _syncs_summary(syncs), "calm": calm}}


def _times(times):
    if not times:
        return None
    ordered = sorted(times)
    return {"count": len(ordered), "median": statistics.median(ordered), "p99": ordered[math.ceil(0.99 * len(ordered)) - 1],
            "max": ordered[-1], "min": ordered[0]}


# --- failovers

@contextlib.contextmanager
def _system(system, *words, network=None, **options):
    kind = SentinelCluster if system == "redis-server" else Cluster
    with tempfile.TemporaryDirectory(prefix=f"bench-{system}-") as place, kind(place, *words, network=network, **options) as made:
        yield made


def _failovers(fault, system, count):
    """Strikes `count` times; (milliseconds to the first acknowledged write of each, writes acknowledged, of them lost at each)."""
    with contextlib.ExitStack() as stack:
        network = stack.enter_context(Network(("a", "b", "c", "near", "far"))) if fault == "partition" else None
        cluster = stack.enter_context(_system(system, network=network))
        cluster.start()
        times, acknowledged, lost = [], 0, []
        for number in range(count):
            primary = cluster.wait_settled()
            with Load(cluster.place / f"load-{number}", cluster.addresses(), network=network, seed=number) as load:
                far = load.start("unique", 1, "far", WRITES_PER_S, IMPATIENT_S)
                load.start("unique", 1, "near", WRITES_PER_S, PATIENT_S)
                load.wait_progress(200)
                times.append(_strike(fault, cluster, primary, load, far))
                cluster.wait_settled()
                load.wait_progress(50)
                load.stop()
                done, gone = _account(cluster, load)
                acknowledged += done
                lost.append(gone)
        return times, acknowledged, lost


def _strike(fault, cluster, primary, load, far):
    rest = cluster.others(primary)
    with _Watch(rest) as watch:
        begin_ns = time.monotonic_ns()
        if fault == "kill":
            primary.process.kill()
        elif fault == "stop":
            primary.pause()
        else:
            cluster.network.cut({primary.name, "near"}, {node.name for node in rest} | {"far"})
        first_ns = watch.first_acknowledged_ns(deadline_s=60)
    load.wait_progress(50, far)
    if fault == "kill":
        primary.kill()
        if isinstance(cluster, SentinelCluster):
            # As a careful operator would: when the sentinels have done, and as a replica at once.
            primary.spawn(primary=cluster.wait_moved(rest))
        else:
            primary.spawn()
    elif fault == "stop":
        primary.resume()
    else:
        cluster.network.heal()
    return (first_ns - begin_ns) / 1e6


class _Watch:
    """Asks the nodes that are left for a write, over connections that were open before, until one acknowledges it."""

    def __init__(self, nodes):
        self._nodes = nodes
        self._connections = [node.connect(timeout_s=10) for node in nodes]
        self._found = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(i,), daemon=True) for i in range(len(nodes))]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(15)
        for connection in self._connections:
            connection.close()

    def first_acknowledged_ns(self, deadline_s):
        if not self._over.wait(deadline_s):
            raise RuntimeError(f"no node acknowledged a write within {deadline_s} s")
        return min(self._found)

    def _ask(self, i):
        while not self._over.is_set():
            try:
                reply = self._connections[i].call("SET", "bench:watch", "1")
            except (Closed, OSError):
                self._connections[i].close()
                with contextlib.suppress(OSError):
                    self._connections[i] = self._nodes[i].connect(timeout_s=10)
                continue
            if reply == "OK" and not isinstance(reply, Error):
                self._found.append(time.monotonic_ns())
                self._over.set()
            else:
                time.sleep(0.001)


def _account(cluster, load):
    """(writes acknowledged, of them not there)"""
    keys = [operation["key"] for operation in load.history() if operation["outcome"] == "ok"]
    with cluster.wait_primary().connect() as connection:
        found = [value for _, value in connection.pipeline([["EXISTS", key] for key in keys])]
        connection.call("FLUSHALL")
    return len(keys), found.count(0)


# --- writes that a majority holds

# name: (system, nodes, operation)
WRITE_CASES = {
    "redis-server, 1 replica, SET": ("redis-server", 2, "set"),
    "redis-server, 1 replica, SET + WAIT 1": ("redis-server", 2, "set-wait"),
    "redis-server, 2 replicas, SET + WAIT 1": ("redis-server", 3, "set-wait"),
    "holdfast alone, SET": ("holdfast", 1, "set"),
    "holdfast, 3 nodes, SET": ("holdfast", 3, "set"),
}
READ_CASES = {
    "holdfast, 3 nodes, GET, reads: lease": ("holdfast", 3, "get"),
    "holdfast, 3 nodes, GET, reads: quorum": ("holdfast", 3, "get", "--set", "cluster.reads=quorum"),
}
YARDSTICKS = ("redis-server, 1 replica, SET + WAIT 1", "redis-server, 2 replicas, SET + WAIT 1")
ALONE, QUORUM = "holdfast alone, SET", "holdfast, 3 nodes, SET"


def _requests(plan, system, nodes, operation, *words):
    names = "abc"[:nodes]
    options = {"sentinels": False} if system == "redis-server" else {}
    duration_ms, warmup_ms = (1000, 300) if plan.quick else (4000, 500)
    # A single node is the ordinary server, without a cluster.
    server = plan.kinds[1].replaced("holdfast", []).start(f"0-{os.cpu_count() - 1}") if (system, nodes) == ("holdfast", 1) else None
    with contextlib.ExitStack() as stack:
        if server is not None:
            stack.enter_context(server)
            primary, others = server, ()
            pids = [server.pid]
        else:
            cluster = stack.enter_context(_system(system, *words, names=names, **options))
            primary = cluster.start()
            others = cluster.others(primary)
            pids = [primary.process.pid] + [node.process.pid for node in others]
        plan.load_sessions(primary, QUIET_KEYS)
        if others:
            with primary.connect() as connection:  # a replica may be seconds behind
                connection.call("SET", "bench:watch", "1")
                connection.call("WAIT", len(others), 30_000)
        one = plan.load.stream(primary, op=operation, count=QUIET_KEYS, order="random", clients=1, duration_ms=duration_ms,
                               warmup_ms=warmup_ms)
        if one["requests"] == 0:
            raise RuntimeError(f"{system}: a client's requests were held up all the time")
        before = [_cpu_ns(pid) for pid in pids]
        many = plan.load.stream(primary, op=operation, count=QUIET_KEYS, order="random", clients=50, duration_ms=duration_ms,
                                server_pid=pids[0])
        cpu_us = [(_cpu_ns(pid) - was) / many["requests"] / 1e3 for pid, was in zip(pids, before)]
        return {"p50_us": one["p50_ns"] / 1e3, "p99_us": one["p99_ns"] / 1e3,
                "per_s": many["requests"] * 1e9 / many["elapsed_ns"], "p99_50_us": many["p99_ns"] / 1e3,
                "primary_cpu_us": cpu_us[0], "replica_cpu_us": max(cpu_us[1:], default=None)}


def _cpu_ns(pid):
    """What all threads of a process have used: its CPU clock (man 2 clock_getres, "dynamic clocks")."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def _requests_summary(cases):
    return {name: {field: Spread([run[field] for run in runs]).to_json()
                   for field in ("p50_us", "p99_us", "per_s", "p99_50_us", "primary_cpu_us", "replica_cpu_us")}
            for name, runs in cases.items()}


# --- a full synchronisation

def _full_synchronisation(plan, system):
    """A replica with an empty disk beside a primary with all sessions; the other replica is there all the time."""
    options = {"sentinels": False} if system == "redis-server" else {}
    with _system(system, names="abc", **options) as cluster:
        primary = cluster.start()
        replica = cluster.others(primary)[0]
        replica.kill()
        replica.wipe()
        plan.load_sessions(primary, SESSIONS)
        floor_ms = plan.longest_stall_ms(primary, SESSIONS, lambda: time.sleep(3))
        disk_floor_ms = plan.longest_stall_ms(primary, SESSIONS, write_as_much)
        seconds = []

        def synchronise():
            begin = time.monotonic()
            if system == "redis-server":
                replica.spawn(primary=primary)
            else:
                replica.spawn()
            cluster.wait_settled(deadline_s=180)
            seconds.append(time.monotonic() - begin)

        stall_ms = plan.longest_stall_ms(primary, SESSIONS, synchronise)
        with primary.connect() as connection:
            size = connection.call("DBSIZE")
        if size != SESSIONS:
            raise RuntimeError(f"{system} holds {size} of {SESSIONS} sessions")
        return {"seconds": seconds[0], "stall_ms": stall_ms, "floor_ms": floor_ms, "disk_floor_ms": disk_floor_ms}


def _syncs_summary(syncs):
    return {system: {field: Spread([run[field] for run in runs]).to_json() for field in ("seconds", "stall_ms", "floor_ms", "disk_floor_ms")}
            for system, runs in syncs.items()}


# --- elections that nobody needed

def _calm(plan):
    """How many terms have passed under full load, and during one long command."""
    seconds = QUICK_LOAD_S if plan.quick else FULL_LOAD_S
    with _system("holdfast") as cluster:
        primary = cluster.start()
        terms = [primary.status()["term"]]
        for _ in range(seconds // QUICK_LOAD_S):  # the generator's processes end in time
            plan.load.stream(primary, op="setex", count=QUIET_KEYS, order="random", clients=50, duration_ms=QUICK_LOAD_S * 1000)
        terms.append(primary.status()["term"])
        with primary.connect() as connection:
            connection.call("DEBUG", "SLEEP", LONG_COMMAND_S)
        terms.append(cluster.wait_settled().status()["term"])
    return {"load_s": seconds, "elections_under_load": terms[1] - terms[0], "elections_in_long_command": terms[2] - terms[1]}


# --- text

def text(_plan, result):
    summary = result["summary"]
    return "\n\n".join((_failover_text(summary), _writes_text(summary["writes"]),
                        _measured("read", summary["reads"]), _sync_text(summary["synchronisation"]), _calm_text(summary["calm"])))


def _failover_text(summary):
    rows = []
    for fault, description in FAULTS.items():
        if fault in summary["skipped"]:
            rows.append([description, "skipped: " + summary["skipped"][fault], *[""] * 6])
            continue
        for system in SYSTEMS:
            name = f"{fault}, {system}"
            times = summary["failovers"][name]
            goal = GOALS_MS[fault]
            ours = system == "holdfast"
            reached = all(times[field] <= most for field, most in goal.items()) and summary["lost"][name] == 0
            rows.append([description, system, str(times["count"]), f"{times['median']:,.0f}", f"{times['p99']:,.0f}",
                         _lost_text(summary["lost"][name], summary["acknowledged"][name], summary["failovers_with_losses"][name]),
                         ", ".join(f"{field} {most}" for field, most in goal.items()) + "; 0 lost" if ours else "",
                         verdict(reached) if ours else ""])
    return table(["", "system", "times", "first acknowledged write after, median ms", "p99 ms", "acknowledged writes lost", "goal", "reached"],
                 rows) + f"\n\n{SENTINEL_NOTE}"


def _lost_text(lost, acknowledged, failovers):
    return f"{lost:,} of {acknowledged:,}" + (f", at {failovers} of the failovers" if lost else "")


def _spread(value, digits=0, scale=1.0):
    return Spread(value["runs"]).text(digits, scale) if value is not None else ""


def _measured(what, cases):
    rows = [[name, _spread(row["p50_us"]), _spread(row["p99_us"]), _spread(row["per_s"], 1, 1e-3),
             _spread(row["primary_cpu_us"], 1), _spread(row["replica_cpu_us"], 1)] for name, row in cases.items()]
    return table([what, "one client, p50 µs", "p99 µs", "50 clients, thousand/s", f"CPU of the primary, µs a {what}", "of a replica"], rows)


def _writes_text(writes):
    measured = _measured("write", writes)
    if any(writes[name]["p50_us"] is None for name in (ALONE, QUORUM, *YARDSTICKS)):
        return measured
    ours = writes[QUORUM]

    def median(row, field):
        return row[field]["median"]

    judged = []
    for yardstick in YARDSTICKS:
        theirs = writes[yardstick]
        judged += [[f"p50 of one client below that of {yardstick}", f"{median(ours, 'p50_us'):.0f} : {median(theirs, 'p50_us'):.0f}",
                    verdict(median(ours, "p50_us") < median(theirs, "p50_us"))],
                   ["p99", f"{median(ours, 'p99_us'):.0f} : {median(theirs, 'p99_us'):.0f}",
                    verdict(median(ours, "p99_us") < median(theirs, "p99_us"))],
                   ["rate of 50 clients above it", f"{median(ours, 'per_s'):,.0f} : {median(theirs, 'per_s'):,.0f}",
                    verdict(median(ours, "per_s") > median(theirs, "per_s"))]]
    alone = median(writes[ALONE], "primary_cpu_us")
    for field, most, who in (("primary_cpu_us", PRIMARY_CPU_GOAL, "primary"), ("replica_cpu_us", REPLICA_CPU_GOAL, "replica")):
        ratio = median(ours, field) / alone
        judged.append([f"CPU a write of the {who}, of a single node's, at most {most}", f"{ratio:.2f}", verdict(ratio <= most)])
    return measured + "\n\n" + table(["goal", "measured", "reached"], judged)


def _sync_text(syncs):
    if any(syncs[system]["seconds"] is None for system in SYSTEMS):
        return "A full synchronisation was not measured."
    ours, theirs = syncs["holdfast"], syncs["redis-server"]
    noise = max(ours["disk_floor_ms"]["runs"])
    rows = [["time, s", _spread(theirs["seconds"], 1), _spread(ours["seconds"], 1), "below redis-server",
             verdict(ours["seconds"]["median"] < theirs["seconds"]["median"])],
            ["longest GET on the primary meanwhile, ms", _spread(theirs["stall_ms"], 2), _spread(ours["stall_ms"], 2),
             f"within noise ({noise:.2f})", verdict(ours["stall_ms"]["median"] <= noise)],
            [f"the same while dd writes {SNAPSHOT_MB} MB, ms", _spread(theirs["disk_floor_ms"], 2), _spread(ours["disk_floor_ms"], 2), "", ""],
            ["the same with nothing else running, ms", _spread(theirs["floor_ms"], 2), _spread(ours["floor_ms"], 2), "", ""]]
    return table(["full synchronisation of 2 million sessions", "redis-server", "holdfast", "goal", "reached"], rows)


def _calm_text(calm):
    return (f"Elections in {calm['load_s']} s of SETEX from 50 clients as fast as it goes: {calm['elections_under_load']}; during a command of "
            f"{LONG_COMMAND_S} s: {calm['elections_in_long_command']}. The goal is none: reached "
            f"{verdict(calm['elections_under_load'] == calm['elections_in_long_command'] == 0)}.")
