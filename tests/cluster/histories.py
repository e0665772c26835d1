"""Judging what the writers of load.py saw, once the faults are over and the cluster has settled."""

import json
import subprocess
import time

from harness.resp import Error
from harness.server import REPO

CHECKER = REPO / "build" / "cluster-porcupine" / "linearizable"
FINAL_READER = 1_000_000  # the "process" of the reads at the end


def verify(cluster, load):
    """Stops the writers and holds everything they were told against what the cluster has. Returns figures for the report.

    Every acknowledged set of a key of its own is read back, none that was refused is there, the operations on shared keys are
    linearizable, and all nodes hold the same.
    """
    load.stop()
    cluster.wait_settled()
    history = load.history()
    primary = cluster.wait_primary()
    with primary.connect() as connection:
        unknown_yet_there = check_unique(connection, history)
        history += _final_reads(connection, history)
    check_linearizable(history, load.place / "history.jsonl")
    cluster.wait_equal()
    return summary(history) | {"unknown_yet_there": unknown_yet_there}


def summary(history):
    writes = [operation for operation in history if operation["kind"] != "get"]
    counts = {outcome: sum(operation["outcome"] == outcome for operation in writes) for outcome in ("ok", "error", "unknown")}
    assert counts["ok"] > 0, "no write was acknowledged at all"
    return {"acknowledged": counts["ok"], "refused": counts["error"], "unknown": counts["unknown"],
            "longest_pause_ms": round(longest_pause_ms(history))}


def longest_pause_ms(history):
    """The longest time between two acknowledged writes of anybody."""
    times = sorted(operation["return"] for operation in history if operation["outcome"] == "ok" and operation["kind"] != "get")
    return max((b - a for a, b in zip(times, times[1:])), default=0) / 1e6


def check_unique(connection, history):
    """Every acknowledged set of a key of its own is there, and no refused one; returns how many of the unknown ones are."""
    operations = [operation for operation in history if operation["key"].startswith("u")]
    replies = [value for _, value in connection.pipeline([["GET", operation["key"]] for operation in operations])]
    lost, invented, unknown_yet_there = [], [], 0
    for operation, reply in zip(operations, replies):
        assert not isinstance(reply, Error), (operation, reply)
        value = None if reply is None else reply.decode("latin-1")
        if value not in (None, operation["value"]) or (value is not None and operation["outcome"] == "error"):
            invented.append((operation, value))
        if value is None and operation["outcome"] == "ok":
            lost.append(operation)
        unknown_yet_there += value is not None and operation["outcome"] == "unknown"
    assert not lost, f"{len(lost)} of {len(operations)} acknowledged writes are lost, the first: {lost[0]}, the last: {lost[-1]}"
    assert not invented, f"{len(invented)} writes are there that were refused or never sent, the first: {invented[0]}"
    return unknown_yet_there


def check_linearizable(history, path):
    """Gives the operations on shared keys to Porcupine; `path` keeps them for a replay."""
    with open(path, "w", encoding="ascii") as file:
        for operation in history:
            if not operation["key"].startswith("u"):
                file.write(json.dumps(operation) + "\n")
    assert CHECKER.exists(), f"{CHECKER} is not there: tests/cluster/run makes it"
    done = subprocess.run([CHECKER, path], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nreplay: {CHECKER} {path}"
    return done.stdout


def _final_reads(connection, history):
    reads = []
    for key in sorted({operation["key"] for operation in history if operation["key"][0] in "rn"}):
        invoke = time.monotonic_ns()
        reply = connection.call("GET", key)
        assert not isinstance(reply, Error), (key, reply)
        reads.append({"process": FINAL_READER, "kind": "get", "key": key, "value": None if reply is None else reply.decode("latin-1"),
                      "invoke": invoke, "return": time.monotonic_ns(), "outcome": "ok", "said": ""})
    return reads
