"""Debian's redis-server with two replicas and three redis-sentinel processes, behind the face of tests/cluster/cluster.py: the same
faults strike both systems by the same words.

Sentinel declares a primary down after half a second and waits for two of three; persistence is off, as it is in the other figures.
"""

import os
import pathlib
import shutil
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / "tests" / "cluster"), str(REPOSITORY / "tests" / "clients")]

# pylint: disable=wrong-import-position
from cluster import READY_S, Cluster, Node, free_ports  # noqa: E402
from harness.resp import Closed, Connection  # noqa: E402
from load import die_with_parent  # noqa: E402
from servers import BenchError  # noqa: E402

MASTER = "bench"
DOWN_AFTER_MS = 500
FAILOVER_TIMEOUT_MS = 10_000
SENTINEL_PORT = 26379  # of hosts in namespaces


class RedisNode(Node):
    """A redis-server, and, if the cluster has them, a sentinel beside it."""

    def __init__(self, cluster, name, host, port, peer_port):
        super().__init__(cluster, name, host, port, peer_port)
        self.sentinel_port = peer_port if cluster.network is None else SENTINEL_PORT
        self.sentinel = None

    def spawn(self, *words, primary=None, **_):
        assert not self.alive()
        self.lives += 1
        self.paused = False
        following = ("--replicaof", primary.host, str(primary.port)) if primary is not None else ()
        self.process = self._start("redis-server", self.log_path(), "--port", str(self.port), "--bind", self.host, "--dir",
                                   str(self.data), "--save", "", "--appendonly", "no", "--protected-mode", "no",
                                   "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", *following, *self.words, *words)
        return self

    def spawn_sentinel(self, primary):
        config = self.place / "sentinel.conf"
        config.write_text(f"port {self.sentinel_port}\nbind {self.host}\ndir {self.place}\nprotected-mode no\n"
                          f"sentinel monitor {MASTER} {primary.host} {primary.port} 2\n"
                          f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n"
                          f"sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT_MS}\n")
        self.sentinel = self._start("redis-sentinel", self.place / "sentinel.log", str(config))

    def _start(self, program, log_path, *words):
        network = self.cluster.network
        with open(log_path, "wb") as log:
            return subprocess.Popen([*(network.words(self.name) if network else ()), program, *words], stdout=log, stderr=log,
                                    stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)

    def ask_sentinel(self, *words):
        network = self.cluster.network
        if network is None:
            connection = Connection(self.host, self.sentinel_port, timeout_s=5)
        else:
            with network.inside(self.name):
                connection = Connection(self.host, self.sentinel_port, timeout_s=5)
        with connection:
            return connection.call("SENTINEL", *words)

    def is_primary(self):
        """As it sees itself."""
        if not self.alive() or self.paused:
            return False
        try:
            return self.call("ROLE", timeout_s=5)[0] == b"master"
        except (Closed, OSError):
            return False


class SentinelCluster(Cluster):
    def __init__(self, place, *words, names=("a", "b", "c"), network=None, sentinels=True):
        for program in ("redis-server", "redis-sentinel"):
            if shutil.which(program) is None:
                raise BenchError(f"{program} is not installed: run ./scripts/install-deps")
        super().__init__(place, *words, names=names, network=network)
        ports = free_ports(2 * len(names))
        self.sentinels = sentinels
        self.nodes = [RedisNode(self, node.name, node.host, node.port if network else ports[2 * i], ports[2 * i + 1])
                      for i, node in enumerate(self.nodes)]

    def start(self, *words):
        first, *rest = self.nodes
        first.spawn(*words)
        for node in rest:
            node.spawn(*words, primary=first)
        for node in self.nodes:
            self.wait(lambda node=node: self._answers(node), f"{node} answers", READY_S)
        if self.sentinels:
            for node in self.nodes:
                node.spawn_sentinel(first)
        return self.wait_settled()

    def kill(self):
        for node in self.nodes:
            if node.sentinel is not None and node.sentinel.poll() is None:
                node.sentinel.kill()
                node.sentinel.wait()
        super().kill()

    def wait_primary(self, among=None, deadline_s=READY_S):
        return self.wait(lambda: next((node for node in among or self.nodes if node.is_primary()), None), "a primary", deadline_s)

    def wait_settled(self, deadline_s=READY_S):
        """One primary that all others follow, and all sentinels of that opinion."""
        def settled():
            try:
                return self._settled()
            except (Closed, OSError):
                return None
        return self.wait(settled, "a primary that all follow", deadline_s)

    def wait_moved(self, rest):
        """The primary among these nodes, once all sentinels have done with making it so and the other follows it: now and
        then a second failover undoes the first."""
        def moved():
            try:
                for primary in rest:
                    others = [node for node in rest if node is not primary]
                    if primary.is_primary() and all(self._knows(node, primary) for node in self.nodes) and all(
                            node.call("ROLE")[2:4] == [primary.port, b"connected"] for node in others):
                        return primary
            except (Closed, OSError):
                pass
            return None
        return self.wait(moved, "all sentinels agree on a primary", READY_S)

    def _settled(self):
        primaries = [node for node in self.nodes if node.is_primary()]
        if len(primaries) != 1:
            return None
        primary = primaries[0]
        for node in self.others(primary):
            role = node.call("ROLE")
            if role[0] != b"slave" or role[2] != primary.port or role[1].decode() != primary.host or role[3] != b"connected":
                return None
        if len(primary.call("ROLE")[2]) != len(self.nodes) - 1:
            return None
        return primary if not self.sentinels or all(self._content(node, primary) for node in self.nodes) else None

    @staticmethod
    def _knows(node, primary):
        master = _fields(node.ask_sentinel("MASTER", MASTER))
        return (master["ip"], int(master["port"]), master["flags"]) == (primary.host, primary.port, "master")

    def _content(self, node, primary):
        if not self._knows(node, primary):
            return False
        if int(_fields(node.ask_sentinel("MASTER", MASTER))["num-other-sentinels"]) != len(self.nodes) - 1:
            return False
        replicas = [_fields(fields) for fields in node.ask_sentinel("REPLICAS", MASTER)]
        return len(replicas) == len(self.nodes) - 1 and all(
            one["flags"] == "slave" and one["master-link-status"] == "ok" for one in replicas)

    @staticmethod
    def _answers(node):
        assert node.alive(), f"{node} ended\n{node.log()[-2000:]}"
        try:
            return node.call("PING") == "PONG"
        except OSError:
            return False

    def picture(self):
        return "\n".join(f"{node}: {node.info() if node.alive() and not node.paused else 'down'}" for node in self.nodes)


def _fields(flat):
    texts = [each.decode() for each in flat]
    return dict(zip(texts[::2], texts[1::2]))


def all_cores(plan):
    """What both systems' processes may run on: the cores that the other figures keep apart."""
    return {plan.server_core} | set(os.sched_getaffinity(0))
