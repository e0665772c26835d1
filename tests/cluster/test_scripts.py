"""scripts/cluster, as an operator runs it: on ports and in a folder of its own."""

import os
import pathlib
import random
import re
import signal
import socket
import subprocess

import pytest

from harness.resp import Closed, Connection
from harness.server import holdfast_binary
from harness.wait import wait_until

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
NODES = (1, 2, 3)
SERVES_S = 60  # the sanitized program on two busy cores


def free_ports(count):
    """The first of `count` ports in a row that nobody listens on; below those that the system gives to connections."""
    while True:
        first = random.randrange(10000, 30000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


def runs(pid):
    """Not so when it has ended and only waits to be reaped."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except FileNotFoundError:
        return False


class Script:
    """scripts/cluster with an environment of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_ports(6)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "CLUSTER_"))} | {
            "HOLDFAST_BIN": holdfast_binary(), "CLUSTER_DIR": str(folder), "CLUSTER_WAIT_S": str(SERVES_S),
            "CLUSTER_PORT": str(self.port), "CLUSTER_PEER_PORT": str(self.port + 3)}

    def run(self, *words, **more):
        """What it says on both streams, and its exit status. Into a file: a node that held a pipe would keep us waiting."""
        said = self.folder.parent / "said"
        with open(said, "wb") as output:
            done = subprocess.run([SCRIPTS / "cluster", *map(str, words)], env=self.environment | more, stdin=subprocess.DEVNULL,
                                  stdout=output, stderr=output, timeout=3 * SERVES_S, check=False)
        return said.read_text(), done.returncode

    def must(self, *words):
        said, status = self.run(*words)
        assert status == 0, said
        return said

    def refused(self, *words, **more):
        said, status = self.run(*words, **more)
        assert status != 0, said
        return said

    def table(self):
        """{1: {"STATE": "up", "ROLE": "primary", ...}, ...}"""
        heading, *rows = self.must("status").splitlines()
        return {int(row.split()[0][1:]): dict(zip(heading.split(), row.split())) for row in rows}

    def column(self, name):
        return {number: row[name] for number, row in self.table().items()}

    def primary(self):
        """Its number; None while there is none, or more than one."""
        found = [number for number, row in self.table().items() if row["ROLE"] == "primary"]
        return found[0] if len(found) == 1 else None

    def call(self, number, *words):
        """A node's reply; None if it does not give one."""
        try:
            with Connection("127.0.0.1", self.port + number - 1, timeout_s=5) as connection:
                return connection.call(*words)
        except (Closed, OSError):
            return None

    def pids(self):
        return {number: int(path.read_text()) for number in NODES if (path := self.folder / f"{number}.pid").exists()}


@pytest.fixture
def script(tmp_path):
    made = Script(tmp_path / "cluster")
    yield made
    made.run("stop")
    for pid in made.pids().values():  # of a script that failed
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


@pytest.fixture
def cluster(script):
    """One that serves."""
    script.must("start")
    return script


def test_start_waits_until_a_primary_serves_and_status_shows_it(cluster):
    assert sorted(cluster.column("ROLE").values()) == ["primary", "replica", "replica"]
    assert set(cluster.column("STATE").values()) == {"up"}
    assert cluster.column("PORT") == {number: str(cluster.port + number - 1) for number in NODES}
    assert cluster.must("port", "primary").strip() == str(cluster.port + cluster.primary() - 1)
    assert cluster.call(cluster.primary(), "SET", "k", "v") == "OK"


def test_start_leaves_alone_what_runs(cluster):
    before = cluster.pids()
    assert cluster.must("start").count("runs already") == 3
    cluster.must("kill", "3")
    assert cluster.must("start").count("runs already") == 2
    after = cluster.pids()
    assert {number: after[number] for number in (1, 2)} == {number: before[number] for number in (1, 2)}
    assert after[3] != before[3]


def test_a_killed_primary_is_replaced_and_its_writes_are_there(cluster):
    first = cluster.primary()
    assert cluster.call(first, "SET", "session:1", "ada", "EX", "1800") == "OK"
    cluster.must("kill", "primary")
    told = cluster.must("port", "primary").strip()  # at once: an election is under way
    second = wait_until(cluster.primary, SERVES_S, what="another primary")
    assert second != first and told == str(cluster.port + second - 1)
    wait_until(lambda: cluster.call(second, "GET", "session:1") == b"ada", SERVES_S, what="the session on the new primary")
    assert cluster.column("STATE")[first] == "down"

    cluster.must("restart", first)
    wait_until(lambda: cluster.column("BEHIND")[first] == "0", SERVES_S, what="the killed node in step")
    assert cluster.column("ROLE")[first] == "replica"
    assert wait_until(cluster.primary, SERVES_S, what="a primary") != first


def test_a_paused_node_is_shown_as_such_and_goes_on(cluster):
    paused = cluster.primary()
    cluster.must("pause", "primary")
    assert cluster.column("STATE")[paused] == "paused"
    wait_until(cluster.primary, SERVES_S, what="another primary")
    cluster.must("resume", paused)
    wait_until(lambda: cluster.column("ROLE")[paused] == "replica", SERVES_S, what="the paused node as a replica")


def test_a_wiped_node_fetches_everything_again(cluster):
    assert cluster.call(cluster.primary(), "SET", "session:1", "ada") == "OK"
    wiped = next(number for number, role in cluster.column("ROLE").items() if role == "replica")
    assert "stop it first" in cluster.refused("wipe", wiped)
    cluster.must("kill", wiped)
    cluster.must("wipe", wiped)
    assert not (cluster.folder / str(wiped)).exists()
    cluster.must("restart", wiped)
    row = wait_until(lambda: (row := cluster.table()[wiped])["CLAIM"] == "sound" and row["BEHIND"] == "0" and row, SERVES_S,
                     what="the wiped node in step")
    assert row["ROLE"] == "replica"
    with Connection("127.0.0.1", cluster.port + wiped - 1) as connection:
        assert connection.call("READONLY") == "OK"
        wait_until(lambda: connection.call("GET", "session:1") == b"ada", SERVES_S, what="the session on the wiped node")


def test_stop_ends_all_in_good_order_and_start_brings_the_data_back(cluster):
    assert cluster.call(cluster.primary(), "SET", "session:1", "ada") == "OK"
    pids = cluster.pids()
    said = cluster.must("stop")
    assert said.count("stopped") == 3 and "did not stop" not in said
    assert len(pids) == 3 and not any(map(runs, pids.values()))
    assert set(cluster.column("STATE").values()) == {"down"} and cluster.pids() == {}
    assert cluster.must("stop") == "nothing to stop\n"
    cluster.must("start")
    assert cluster.call(cluster.primary(), "GET", "session:1") == b"ada"


def test_watch_tells_who_went_and_who_took_over(cluster):
    first = cluster.primary()
    said = cluster.folder.parent / "watched"
    with open(said, "wb") as output:
        watcher = subprocess.Popen([SCRIPTS / "cluster", "watch"], env=cluster.environment, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output)
    try:
        wait_until(lambda: said.read_text().count("\n") >= 3, SERVES_S, what="the first three lines")
        before = len(said.read_text())
        assert f"n{first} is the primary, term " in said.read_text()
        cluster.must("kill", "primary")
        taken = re.compile(rf"^[\d:.]+  n(\d) is the primary, term \d+, \d+ ms after n{first} was lost$", re.M)
        assert wait_until(lambda: taken.search(said.read_text()), SERVES_S, what="the news of another primary")[1] != str(first)
        assert re.search(rf"^[\d:.]+  n{first} is gone; it was the primary$", said.read_text(), re.M), said.read_text()
        cluster.must("restart", first)
        back = re.compile(rf"^[\d:.]+  n{first} (is (back after .+ and is )?|holds everything again and is )a replica of n\d", re.M)
        wait_until(lambda: back.search(said.read_text(), before), SERVES_S, what="the news of its return")
    finally:
        watcher.send_signal(signal.SIGTERM)
        assert watcher.wait(10) == 143
    assert "rror" not in said.read_text()


def test_what_cannot_be_done_is_said(script, tmp_path):
    missing = script.refused("start", HOLDFAST_BIN=str(tmp_path / "nowhere"))
    assert "./scripts/up --build-only" in missing
    assert "there is no primary" in script.refused("kill", "primary")
    assert "n2 does not run" in script.refused("pause", "2")
    assert "there is no node '4'" in script.refused("kill", "4")
    assert "which node?" in script.refused("kill")
    assert "no command 'frobnicate'" in script.refused("frobnicate")
    with socket.create_server(("127.0.0.1", script.port)):
        assert f"something else listens on port {script.port}" in script.refused("start")
    assert script.pids() == {}


def test_a_node_that_ends_at_its_start_is_shown_with_its_last_words(script):
    said = script.refused("start", HOLDFAST_SERVER_MAXCLIENTS="many")
    assert re.search(r"n\d has ended", said) and "HOLDFAST_SERVER_MAXCLIENTS: 'many' is not allowed" in said
