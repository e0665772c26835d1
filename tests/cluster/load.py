"""Independent writers: a process each, with no knowledge but the list of nodes.

A writer looks for the primary with ROLE over that list, sends one operation at a time and writes each with its times and outcome
into a file of its own, a JSON line per operation:

    {"process": 2, "kind": "set", "key": "r3", "value": "2:41", "invoke": ns, "return": ns, "outcome": "ok", "said": ""}

Times are CLOCK_MONOTONIC, the same clock in all processes of the machine. Outcomes:
    ok        the reply came; of get and incr, `value` is what it said
    error     an error reply: it was not carried out, nor will it be
    unknown   no reply (closed, reset, silence for --timeout), or UNCERTAIN: it may take effect at any time after `invoke`
After anything but ok the writer drops its connection and looks for the primary again.

Kinds of writers:
    register  set and get of a few shared keys r0, r1, ..., and incr of n0, n1, ...; each value is set once in the whole run
    unique    set of ever new keys u<process>:<n>, as fast as it goes: "every acknowledged write is read back"

`Load` starts them, watches their progress, stops them and reads what they wrote. Not thread-safe.
"""

import argparse
import contextlib
import ctypes
import json
import mmap
import pathlib
import random
import select
import signal
import struct
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

# pylint: disable=wrong-import-position
from harness.resp import Closed, Connection, Error  # noqa: E402
from harness.wait import wait_until  # noqa: E402

REGISTERS, COUNTERS = 6, 2
CONNECT_S = 0.3
TIMEOUT_S = 1.0
SEARCH_S = 3600  # a whole run is shorter
REST_S = 0.005  # between two searches through the list that found no primary
PACE_S = 0.0005
PR_SET_PDEATHSIG = 1
COUNTS = struct.Struct("<QQ")  # acknowledged operations, time of the last


# --- a writer's process

class Searcher:
    """Holds a connection to the node that says that it is the primary."""

    def __init__(self, addresses, timeout_s, ended):
        self.addresses = addresses
        self.timeout_s = timeout_s
        self.ended = ended
        self.at = 0
        self.connection = None

    def ready(self):
        """A connection to a primary, new or at hand; None if the end came first."""
        if self.connection is not None and not self._closed():
            return self.connection
        self.drop()
        wait_until(lambda: self.ended() or self._search(), SEARCH_S, step_s=REST_S, what="the end, or a primary")
        return self.connection

    def _search(self):
        """Once through the list."""
        for _ in self.addresses:
            self.connection = self._try(self.addresses[self.at])
            if self.connection is not None:
                return True
            self.at = (self.at + 1) % len(self.addresses)
        return False

    def drop(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _closed(self):
        """Closed while nothing was under way: then nothing is sent into the void and called unknown."""
        return bool(select.select([self.connection.socket], [], [], 0)[0])

    def _try(self, address):
        host, port = address.rsplit(":", 1)
        connection = None
        try:
            connection = Connection(host, int(port), timeout_s=CONNECT_S)
            role = connection.call("ROLE")
            if isinstance(role, list) and role[0] == b"master":
                connection.socket.settimeout(self.timeout_s)
                return connection
        except (Closed, OSError):
            pass
        if connection is not None:
            connection.close()
        return None


class Writer:
    def __init__(self, options, ended):
        self.options = options
        self.ended = ended
        self.random = random.Random(options.seed)
        self.searcher = Searcher(options.nodes.split(","), options.timeout, ended)
        self.sequence = 0

    def run(self):
        period_ns = 1e9 / self.options.rate if self.options.rate else 0
        due_ns = time.monotonic_ns()
        with open(self.options.out, "w", encoding="ascii") as out, _counts(self.options.out, "r+b") as counts:
            acknowledged = 0
            while not self.ended():
                due_ns = max(due_ns + period_ns, time.monotonic_ns() - 1e8)
                if time.monotonic_ns() < due_ns:
                    wait_until(lambda due_ns=due_ns: time.monotonic_ns() >= due_ns, SEARCH_S, step_s=PACE_S)
                connection = self.searcher.ready()
                if connection is None:
                    return
                operation = self._operation()
                self._carry_out(connection, operation)
                json.dump(operation, out)
                out.write("\n")
                if operation["outcome"] == "ok":
                    acknowledged += 1
                    COUNTS.pack_into(counts, 0, acknowledged, operation["return"])
                else:
                    self.searcher.drop()

    def _operation(self):
        self.sequence += 1
        number = self.options.number
        if self.options.kind == "unique":
            kind, key = "set", f"u{number}:{self.sequence}"
        else:
            kind = self.random.choice(("set", "set", "get", "get", "get", "incr"))
            key = f"n{self.random.randrange(COUNTERS)}" if kind == "incr" else f"r{self.random.randrange(REGISTERS)}"
        operation = {"process": number, "kind": kind, "key": key}
        if kind == "set":
            operation["value"] = f"{number}:{self.sequence}"
        return operation

    @staticmethod
    def _carry_out(connection, operation):
        words = [operation["kind"].upper(), operation["key"]] + ([operation["value"]] if operation["kind"] == "set" else [])
        operation["invoke"] = time.monotonic_ns()
        operation["said"] = ""
        try:
            reply = connection.call(*words)
        except (Closed, OSError) as failure:
            operation |= {"return": time.monotonic_ns(), "outcome": "unknown", "said": str(failure)[:200]}
            return
        operation["return"] = time.monotonic_ns()
        if isinstance(reply, Error):
            operation |= {"outcome": "unknown" if reply.startswith("UNCERTAIN") else "error", "said": str(reply)}
            return
        operation["outcome"] = "ok"
        if operation["kind"] == "get":
            operation["value"] = None if reply is None else reply.decode("latin-1")
        elif operation["kind"] == "incr":
            operation["value"] = reply
        elif reply != "OK":
            raise AssertionError(f"SET answered {reply!r}")


@contextlib.contextmanager
def _counts(out, mode):
    with open(f"{out}.counts", mode) as file, mmap.mmap(file.fileno(), COUNTS.size) as counts:
        yield counts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--kind", choices=("register", "unique"), required=True)
    parser.add_argument("--nodes", required=True, help="host:port,host:port,...")
    parser.add_argument("--out", required=True)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0, help="operations a second at most; 0: as fast as it goes")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="seconds after which an answer is given up")
    options = parser.parse_args()
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    Writer(options, lambda: bool(stopped)).run()


# --- the side of the tests

def die_with_parent():
    """Runs in a child between fork and exec: who is killed hard leaves no process behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Load:
    """Use as a context manager: leaving it ends all writers."""

    def __init__(self, place, addresses, network=None, seed=0):
        self.place = pathlib.Path(place)
        self.place.mkdir(parents=True, exist_ok=True)
        self.addresses = list(addresses)
        self.network = network
        self.seed = seed
        self.writers = {}  # number: (process, path)
        self.hosts = {}    # number: the host in the network that it runs on

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process, _ in self.writers.values():
            if process.poll() is None:
                process.kill()
            process.wait()

    def start(self, kind, count=1, host=None, rate=0.0, timeout_s=TIMEOUT_S):
        """Starts `count` writers, on a host of the network; returns their numbers."""
        numbers = range(len(self.writers), len(self.writers) + count)
        for number in numbers:
            path = self.place / f"writer-{number}.jsonl"
            pathlib.Path(f"{path}.counts").write_bytes(bytes(COUNTS.size))
            line = [*(self.network.words(host) if self.network else ()), sys.executable, __file__, "--kind", kind, "--nodes",
                    ",".join(self.addresses), "--out", str(path), "--number", str(number), "--seed", str(self.seed * 1000 + number),
                    "--rate", str(rate), "--timeout", str(timeout_s)]
            with open(f"{path}.log", "wb") as log:
                self.writers[number] = (subprocess.Popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                                         preexec_fn=die_with_parent), path)
            self.hosts[number] = host
        return list(numbers)

    def start_usual(self, host=None, rate=150.0):
        """What most tests put on a cluster: three writers on shared keys, two on keys of their own."""
        return self.start("register", 3, host, rate) + self.start("unique", 2, host)

    def acknowledged(self, numbers=None):
        """{number: acknowledged operations so far}"""
        return {number: self._count(number)[0] for number in (self.writers if numbers is None else numbers)}

    def wait_progress(self, operations, numbers=None, deadline_s=60):
        """Waits until each of the writers has had so many more acknowledged."""
        begin = self.acknowledged(numbers)

        def progressed():
            for number in begin:
                assert self.writers[number][0].poll() is None, self._complaint(number)
            return all(now - begin[number] >= operations for number, now in self.acknowledged(begin).items())
        wait_until(progressed, deadline_s, step_s=0.01, what=f"{operations} more operations acknowledged to each of writers {sorted(begin)}")

    def stop(self):
        """Lets every writer finish what it is at, and checks that none ended by itself."""
        for number, (process, _) in self.writers.items():
            assert process.poll() is None, self._complaint(number)
            process.terminate()
        for number, (process, _) in self.writers.items():
            assert process.wait(30) == 0, self._complaint(number)

    def history(self):
        """All operations of writers that have been stopped, in the order of their invocation."""
        operations = []
        for _, path in self.writers.values():
            with open(path, encoding="ascii") as lines:
                operations += map(json.loads, lines)
        return sorted(operations, key=lambda operation: operation["invoke"])

    def _count(self, number):
        with _counts(self.writers[number][1], "r+b") as counts:
            return COUNTS.unpack_from(counts, 0)

    def _complaint(self, number):
        process, path = self.writers[number]
        return f"writer {number} ended with {process.poll()}\n{pathlib.Path(f'{path}.log').read_text()[-2000:]}"


if __name__ == "__main__":
    main()
