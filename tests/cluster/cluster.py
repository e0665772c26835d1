"""Real holdfast processes that form one cluster, each on a folder of its own: started, killed, stopped, wiped by the tests.

On loopback each node has two free ports of 127.0.0.1; with a Network (netns.py) each is a host of its own. What the tests ask
a node is asked from beside it, so that no cut network is in the way. Each life of a node writes a log file of its own.
Not thread-safe, but `connect`, `call` and `status` may be called from any thread.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients"))  # for programs that are not run by pytest

# pylint: disable=wrong-import-position
from harness.lives import Lives  # noqa: E402
from harness.resp import Closed, Connection, Error  # noqa: E402
from harness.server import holdfast_binary  # noqa: E402
from harness.wait import wait_until  # noqa: E402
from load import die_with_parent  # noqa: E402

# Generous: the sanitized program, three times, with its load, on two busy cores.
READY_S = 60
END_S = 60
NAMES = ("a", "b", "c")
SECRET = "5ec2e7" * 10
PORT, PEER_PORT = 6379, 7379  # of hosts in namespaces


class Node(Lives):
    def __init__(self, cluster, name, host, port, peer_port):
        self.cluster = cluster
        self.name = name
        self.host, self.port, self.peer_port = host, port, peer_port
        self.place = cluster.place / name
        self.data = self.place / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.words = []  # of this node alone, for every life
        self.process = None
        self.lives = 0
        self.paused = False

    def __repr__(self):
        return f"<node {self.name} on {self.host}:{self.port}, life {self.lives}>"

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    # --- life and death

    def spawn(self, *words, secret=None):
        """Starts a process and waits for nothing."""
        assert not self.alive()
        self.lives += 1
        self.paused = False
        network = self.cluster.network
        line = [*(network.words(self.name) if network else ()), holdfast_binary(), "--bind", self.host, "--dir", str(self.data),
                "--set", "debug.enable_debug_command=yes", *(() if network is None else ("--set", "security.allow_insecure_bind=yes")),
                "--set", f"cluster.node={self.name}", "--set", f"cluster.nodes={self.cluster.nodes_text()}",
                *self.cluster.words, *self.words, *words]
        env = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        if secret := self.cluster.secret if secret is None else secret:
            env["HOLDFAST_CLUSTER_SECRET"] = secret
        with open(self.log_path(), "wb") as log:
            self.process = subprocess.Popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env,
                                            preexec_fn=die_with_parent)
        return self

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9"""
        if self.alive():
            self.process.kill()
            self.process.wait()
        self.paused = False

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """SIGTERM; the exit status."""
        self.terminate()
        return self.wait_end()

    def wait_end(self, deadline_s=END_S):
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            said = self.log()
            self.kill()
            raise AssertionError(f"{self} did not end within {deadline_s} s\n{said[-4000:]}") from None

    def wipe(self):
        """An empty disk: only for a node that is down."""
        assert not self.alive()
        for path in self.data.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    # --- talk

    def connect(self, timeout_s=30):
        network = self.cluster.network
        with network.inside(self.name) if network else contextlib.nullcontext():
            return Connection(self.host, self.port, timeout_s=timeout_s)

    def call(self, *arguments, timeout_s=30):
        with self.connect(timeout_s) as connection:
            return connection.call(*arguments)

    def fill(self, count):
        """Ballast, so that there is something to be copied."""
        with self.connect() as connection:
            connection.pipeline([["SET", b"ballast:%d" % i, b"%d" % i * 100] for i in range(count)], batch=100)

    def info(self, section="replication"):
        return dict(line.split(":", 1) for line in self.call("INFO", section).decode().split("\r\n") if line and line[0] != "#")

    def status(self, timeout_s=5):
        """HOLDFAST STATUS as a dictionary; None while nobody answers."""
        if not self.alive() or self.paused:
            return None
        try:
            reply = self.call("HOLDFAST", "STATUS", timeout_s=timeout_s)
        except OSError:
            return None
        assert not isinstance(reply, Error), f"HOLDFAST STATUS on {self}: {reply}"
        return json.loads(reply)

    def is_primary(self):
        status = self.status()
        return status is not None and status["role"] == "primary" and status["serving"]

    def digest(self):
        """HOLDFAST DIGEST as a dictionary; None while it cannot be had."""
        try:
            reply = self.call("HOLDFAST", "DIGEST")
        except OSError:
            return None
        return None if isinstance(reply, Error) else json.loads(reply)


class Cluster:
    """Use as a context manager: leaving it ends all processes. `words` are added to every command line."""

    def __init__(self, place, *words, names=NAMES, network=None, name="test", secret=SECRET):
        self.place = pathlib.Path(place)
        self.network = network
        self.words = ["--set", f"cluster.name={name}", *words]
        self.secret = secret
        if network is None:
            ports = free_ports(2 * len(names))
            where = [("127.0.0.1", ports[2 * i], ports[2 * i + 1]) for i in range(len(names))]
        else:
            where = [(network.address(node), PORT, PEER_PORT) for node in names]
        self.nodes = [Node(self, node, *at) for node, at in zip(names, where)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def __getitem__(self, name):
        return next(node for node in self.nodes if node.name == name)

    def nodes_text(self):
        return ",".join(f"{node.name}={node.host}:{node.port}:{node.peer_port}" for node in self.nodes)

    def addresses(self):
        """What clients are told: every node's client address."""
        return [node.address for node in self.nodes]

    def others(self, *nodes):
        return [node for node in self.nodes if node not in nodes]

    # --- life and death

    def start(self, *words):
        """The first start, or one on what is there; waits until all is well and returns the primary."""
        for node in self.nodes:
            node.spawn("--set", "cluster.bootstrap=yes", *words)
        return self.wait_settled()

    def kill(self):
        """kill -9 of all at once."""
        for node in self.nodes:
            if node.alive():
                node.process.kill()
        for node in self.nodes:
            node.kill()

    # --- waiting

    def wait_primary(self, among=None, deadline_s=READY_S):
        """The node that serves as primary, asking only `among`."""
        among = among or self.nodes
        for node in among:
            assert node.alive() or node.paused or node.process is None or node.process.returncode < 0, self._ended(node)
        return self.wait(lambda: next((node for node in among if node.is_primary()), None), "a primary that serves", deadline_s)

    def wait_settled(self, deadline_s=READY_S):
        """One primary that serves, everybody else connected to it, sound, and no further behind than a load explains."""
        def settled():
            for node in self.nodes:
                assert node.alive(), self._ended(node)
            states = [node.status() for node in self.nodes]
            if any(state is None or state["claim"] != "sound" for state in states):
                return None
            primaries = [(node, state) for node, state in zip(self.nodes, states) if state["role"] == "primary" and state["serving"]]
            if len(primaries) != 1 or any(state["primary"] != primaries[0][0].name for state in states):
                return None
            peers = primaries[0][1]["peers"]
            well = len(peers) == len(self.nodes) - 1 and all(
                peer["connected"] and peer["claim"] == "sound" and not peer["snapshotting"] and peer["lag"] < 1000 for peer in peers)
            return primaries[0][0] if well else None
        return self.wait(settled, "a primary with all others sound behind it", deadline_s)

    def wait_equal(self, deadline_s=READY_S):
        """After quiet: all nodes hold the same at the same index; returns that digest. Equal index and another digest fails at once."""
        def equal():
            found = [node.digest() for node in self.nodes]
            if any(each is None for each in found) or len({each["index"] for each in found}) != 1:
                return None
            assert len({(each["digest"], each["keys"]) for each in found}) == 1, f"equal index, different contents: {found}"
            return found[0]
        return self.wait(equal, "equal digests on all nodes", deadline_s)

    def wait(self, condition, what, deadline_s=30):
        """wait_until, and the picture of the cluster with its complaint."""
        try:
            return wait_until(condition, deadline_s, step_s=0.02, what=what)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.picture()}") from None

    @staticmethod
    def _ended(node):
        return f"{node} ended with {node.process.returncode}\n{node.log()[-3000:]}"

    def picture(self):
        """What every node says of itself, for complaints."""
        return "\n".join(f"{node}: {json.dumps(node.status(timeout_s=2)) if node.alive() else 'down'}" for node in self.nodes)

    def logs(self):
        return sorted(self.place.glob("*/life-*.log"))


def let_pass(seconds):
    """Where time itself is the condition: how long a process is stopped, or how long nothing must happen."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, seconds + 5, step_s=0.05)


def free_ports(count):
    """Different ones: all are held until the last is found."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


__all__ = ["Closed", "Cluster", "Connection", "Error", "Node", "free_ports", "let_pass", "wait_until"]
