"""The longest stall of a one-connection GET loop while another client gives the server something large to do.

The loop runs on the load's core at a real-time priority, so that what it sees is the server, the kernel's network path and the
virtual machine. What those do on their own is the noise floor, measured in the same server process: with nothing else
running, and with loads of the same shape that only replace what is there.
"""

import os
import time

from report import Spread, stolen_ticks, table, verdict

TITLE = "Longest stall of a GET loop"
BUDGET_S = 660
SESSIONS = 2_000_000
GROWTH = 200_000
EXPIRING = 500_000
EXPIRE_OVER_MS = 1000
HASH_FIELDS = 1_000_000
GROWN_FIELDS = 4_000_000
BIG_BYTES = 100_000_000
SMALL_BYTES = 64 * 1024
RATE_PER_S = 100_000
QUIET_MS = 4000

# name, what it is, and the floors that it is compared with
FLOORS = ["quiet", "overwrites", "hash overwrites", "small values"]
CASES = [
    ("growth", "keys grow from 2.0 to 2.2 million", ["quiet", "overwrites"]),
    ("expiry", "500,000 keys expire within a second", ["quiet", "overwrites"]),
    ("hset", "HSET grows a hash to 4 million fields", ["quiet", "hash overwrites"]),
    ("del hash", "DEL of a hash of 1 million fields", ["quiet", "overwrites"]),
    ("set 100 MB", "SET of 100 MB", ["quiet", "small values"]),
    ("get 100 MB", "GET of 100 MB", ["quiet", "small values"]),
    ("flushall", "FLUSHALL of 2 million keys", ["quiet", "overwrites"]),
]
FLOOR_TEXTS = {
    "quiet": "floor: nothing else running",
    "overwrites": "floor: SETEX of existing keys, 100,000/s",
    "hash overwrites": "floor: HSET of existing fields, 8 each, 100,000/s at most",
    "small values": "floor: SET and GET of values of 64 KB, 100 MB each way",
}


def run(plan):
    big = os.urandom(1 << 20) * (BIG_BYTES // (1 << 20) + 1)
    scenario = _Scenario(plan, big[:BIG_BYTES])
    runs = plan.alternate("stalls", BUDGET_S, scenario.run)
    return {"settings": {"sessions": SESSIONS, "value_bytes": 300, "growth": GROWTH, "expiring": EXPIRING,
                         "expire_over_ms": EXPIRE_OVER_MS, "hash_fields": HASH_FIELDS, "grown_fields": GROWN_FIELDS,
                         "big_bytes": BIG_BYTES, "commands_per_s": RATE_PER_S},
            "runs": runs, "summary": _summary(plan, runs)}


class _Scenario:
    """One server's way through all the cases, always with the same data."""

    def __init__(self, plan, big):
        self._plan = plan
        self._load = plan.load
        self._big = big
        self._quiet_ms = 2000 if plan.quick else QUIET_MS

    def run(self, server):
        self._server = server
        self._results = {}
        loaded_per_s = self._plan.load_sessions(server, SESSIONS)
        self._observe("quiet", lambda: time.sleep(self._quiet_ms / 1000))
        self._observe("overwrites", lambda: self._paced("setex", 0, SESSIONS, order="random",
                                                        requests=RATE_PER_S * self._quiet_ms // 1000))
        self._observe("growth", lambda: self._paced("setex", SESSIONS, GROWTH, requests=GROWTH))
        self._plan.delete_sessions(server, GROWTH, SESSIONS)
        self._big_values()
        self._hashes()
        self._expiry(loaded_per_s)
        self._check_size(SESSIONS)
        self._observe("flushall", lambda: self._call("FLUSHALL"), tail_s=2)
        self._check_size(0)
        return self._results

    def _big_values(self):
        small = self._big[:SMALL_BYTES]

        def small_values():
            with self._server.connect() as client:
                for command in (("SET", "bench:small", small), ("GET", "bench:small")):
                    for _ in range(len(self._big) // SMALL_BYTES):
                        client.call(*command)

        def get_big():
            with self._server.connect() as client:
                if client.call("GET", "bench:big") != self._big:
                    raise RuntimeError(f"{self._server.name} gave back another value of 100 MB")

        self._observe("small values", small_values)
        self._observe("set 100 MB", lambda: self._call("SET", "bench:big", self._big))
        self._observe("get 100 MB", get_big)
        self._call("DEL", "bench:small", "bench:big")

    def _hashes(self):
        self._paced("hset", 0, HASH_FIELDS, requests=HASH_FIELDS // 8, fields=8, hash="bench:hash", rate=0)
        self._observe("del hash", lambda: self._call("DEL", "bench:hash"))
        self._observe("hset", lambda: self._paced("hset", 0, GROWN_FIELDS, requests=GROWN_FIELDS // 8, fields=8,
                                                  hash="bench:grown"))
        with self._server.connect() as client:
            if client.call("HLEN", "bench:grown") != GROWN_FIELDS:
                raise RuntimeError(f"{self._server.name}: the hash has not grown to {GROWN_FIELDS} fields")
            self._observe("hash overwrites", lambda: self._paced(
                "hset", 0, GROWN_FIELDS, order="random", requests=RATE_PER_S * self._quiet_ms // 1000, fields=8,
                hash="bench:grown"))
            client.call("DEL", "bench:grown")

    def _expiry(self, loaded_per_s):
        """The keys are all there well before the first of them is due; the probe watches until 2 s after the last."""
        expire_from_ms = int(time.time() * 1000 + EXPIRING / loaded_per_s * 1500 + 2000)
        self._load.stream(self._server, op="set-pxat", first=SESSIONS, count=EXPIRING, requests=EXPIRING, clients=4,
                          pipeline=16, expire_from_ms=expire_from_ms, expire_over_ms=EXPIRE_OVER_MS)
        if time.time() * 1000 > expire_from_ms - 300:
            raise RuntimeError(f"{self._server.name}: keys became due while they were loaded")
        self._check_size(SESSIONS + EXPIRING)
        self._sleep_until_ms(expire_from_ms - 250)
        self._observe("expiry", lambda: self._sleep_until_ms(expire_from_ms + EXPIRE_OVER_MS + 2000))
        with self._server.connect() as client:
            self._results["expiry"]["left_2_s_later"] = client.call("DBSIZE") - SESSIONS
        self._plan.delete_sessions(self._server, EXPIRING, SESSIONS)

    def _observe(self, case, action, tail_s=0.2):
        """Probes during the action, a little before and a little after, and keeps what the loop saw."""
        stolen_before = stolen_ticks()
        with self._load.start_probe(self._server, count=SESSIONS) as probe:
            time.sleep(0.1)
            begin = time.time()
            action()
            end = time.time()
            time.sleep(tail_s)
        result = probe.result
        self._results[case] = {
            "max_ms": result["max_ns"] / 1e6, "p999_us": result["p999_ns"] / 1e3, "p99_us": result["p99_ns"] / 1e3,
            "p50_us": result["p50_ns"] / 1e3, "trips": result["trips"], "above_1ms": result["above_1ms"],
            "action_s": end - begin, "stolen_ms": (stolen_ticks() - stolen_before) * 10,
            "probe_priority": result["priority"],
            "longest": [{"ms": trip["ns"] / 1e6, "at_s": trip["began_unix_ms"] / 1e3 - begin}
                        for trip in result["longest"]]}

    def _paced(self, op, first, count, rate=RATE_PER_S, **options):
        self._load.stream(self._server, op=op, first=first, count=count, clients=1, pipeline=16, rate=rate, **options)

    def _call(self, *arguments):
        with self._server.connect() as client:
            return client.call(*arguments)

    def _check_size(self, expected):
        size = self._call("DBSIZE")
        if size != expected:
            raise RuntimeError(f"{self._server.name} holds {size} keys where {expected} were expected")

    @staticmethod
    def _sleep_until_ms(unix_ms):
        time.sleep(max(0.0, unix_ms / 1000 - time.time()))


def _summary(plan, runs):
    tested = plan.kinds[1].name
    summary = []
    for case, description, floors in [(name, FLOOR_TEXTS[name], []) for name in FLOORS] + CASES:
        row = {"case": case, "description": description}
        for kind in plan.kinds:
            row[kind.name] = {field: Spread([r[case][field] for r in runs[kind.name]]).to_json()
                              for field in ("max_ms", "p999_us", "p50_us", "above_1ms", "action_s", "stolen_ms")}
        if floors:
            row["floor_ms"] = max(r[floor]["max_ms"] for r in runs[tested] for floor in floors)
            row["within_noise"] = row[tested]["max_ms"]["median"] <= row["floor_ms"]
        if case == "expiry":
            row["left_2_s_later"] = {kind.name: Spread([r[case]["left_2_s_later"] for r in runs[kind.name]]).to_json()
                                     for kind in plan.kinds}
        summary.append(row)
    return summary


def text(plan, result):
    rows = []
    for row in result["summary"]:
        cells = [row["description"]]
        for kind in plan.kinds:
            fields = row[kind.name]
            cells += [Spread(fields["max_ms"]["runs"]).text(2), Spread(fields["p999_us"]["runs"]).text(0),
                      Spread(fields["above_1ms"]["runs"]).text(0)]
        rows.append(cells + ([f"{row['floor_ms']:.2f}", verdict(row["within_noise"])] if "floor_ms" in row
                             else ["", ""]))
    header = ["meanwhile"]
    for kind in plan.kinds:
        header += [f"{kind.name}: longest, ms", "p99.9, µs", "above 1 ms"]
    left = next(row["left_2_s_later"] for row in result["summary"] if row["case"] == "expiry")
    left_text = "; ".join(f"{kind.name} {Spread(left[kind.name]['runs']).text(0)}" for kind in plan.kinds)
    priorities = {r[case]["probe_priority"] for results in result["runs"].values() for r in results for case in r}
    return (table(header + ["noise, ms", "within noise"], rows) +
            f"\n\nOf the {EXPIRING:,} keys that expired, still there two seconds after the last was due: {left_text}."
            f"\nNoise is the longest stall that {plan.kinds[1].name}'s own floors of the same kind show over all runs; a "
            "case is within it if the\nmedian of its longest stalls is not above that. "
            f"The GET loop's scheduling: {', '.join(sorted(priorities))}.")
