"""The harness itself, without a server: a network that cuts what it says, writers that name outcomes right, a checker that fails."""

import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from harness.resp import encode
from harness.wait import wait_until
from histories import check_linearizable, longest_pause_ms
from load import Searcher, Writer

MS = 1_000_000
ECHO = """
import socket
server = socket.create_server(("0.0.0.0", 7000))
while True:
    peer, _ = server.accept()
    peer.sendall(b"hello " + peer.recv(100))
    peer.close()
"""


# --- the checker

def operation(kind, key, value, invoke, end, outcome="ok", process=0):
    return {"process": process, "kind": kind, "key": key, "value": value, "invoke": invoke * MS, "return": end * MS, "outcome": outcome,
            "said": ""}


GOOD = {
    "reads see the last write": [
        operation("get", "r", None, 0, 1), operation("set", "r", "x", 2, 5), operation("get", "r", "x", 3, 4), operation("get", "r", "x", 6, 7)],
    "an unknown write that nobody saw": [
        operation("set", "r", "x", 0, 1), operation("set", "r", "y", 2, 3, "unknown"), operation("get", "r", "x", 4, 5)],
    "an unknown write that took effect late": [
        operation("set", "r", "x", 0, 1), operation("set", "r", "y", 2, 3, "unknown"), operation("get", "r", "x", 4, 5),
        operation("get", "r", "y", 6, 7), operation("get", "r", "y", 8, 9)],
    "a refused write that did not happen": [
        operation("set", "r", "x", 0, 1), operation("set", "r", "y", 2, 3, "error"), operation("get", "r", "x", 4, 5)],
    "a counter with one unknown step that happened and one that did not": [
        operation("incr", "n", 1, 0, 1), operation("incr", "n", None, 2, 3, "unknown"), operation("incr", "n", None, 2, 3, "unknown"),
        operation("incr", "n", 3, 4, 5), operation("get", "n", "3", 6, 7)],
}
BAD = {
    "a stale read": [
        operation("set", "r", "x", 0, 1), operation("set", "r", "y", 2, 3), operation("get", "r", "x", 4, 5)],
    "a lost write": [operation("set", "r", "x", 0, 1), operation("get", "r", None, 2, 3)],
    "an unknown write that was seen and then lost": [
        operation("set", "r", "x", 0, 1), operation("set", "r", "y", 2, 3, "unknown"), operation("get", "r", "y", 4, 5),
        operation("get", "r", "x", 6, 7)],
    "a refused write that happened": [operation("set", "r", "y", 0, 1, "error"), operation("get", "r", "y", 2, 3)],
    "a value that was never written": [operation("get", "r", "z", 0, 1)],
    "two readers that disagree on the order": [
        operation("set", "r", "x", 0, 9, process=1), operation("set", "r", "y", 0, 9, process=2),
        operation("get", "r", "x", 1, 2, process=3), operation("get", "r", "y", 3, 4, process=3), operation("get", "r", "x", 5, 6, process=3)],
    "a step of a counter taken twice": [operation("incr", "n", 1, 0, 1), operation("incr", "n", 1, 2, 3)],
    "a counter that took a refused step": [
        operation("incr", "n", 1, 0, 1), operation("incr", "n", None, 2, 3, "error"), operation("incr", "n", 3, 4, 5)],
}


@pytest.mark.parametrize("name", GOOD)
def test_the_checker_accepts(name, tmp_path):
    assert "linearizable" in check_linearizable(GOOD[name], tmp_path / "history.jsonl")


@pytest.mark.parametrize("name", BAD)
def test_the_checker_refuses(name, tmp_path):
    sound = [operation("set", "sound", "x", 0, 1), operation("get", "sound", "x", 2, 3)]
    with pytest.raises(AssertionError, match=f"key {BAD[name][0]['key']}: NOT linearizable") as failure:
        check_linearizable(sound + BAD[name], tmp_path / "history.jsonl")
    assert "key sound: linearizable" in str(failure.value)


def test_pauses_are_those_between_acknowledged_writes():
    history = [operation("set", "u", "1", 0, 1), operation("get", "r", None, 2, 50), operation("set", "u", "2", 40, 60, "unknown"),
               operation("set", "u", "3", 70, 101)]
    assert longest_pause_ms(history) == 100


# --- a writer's view

class Script:
    """A server that answers ROLE with master and then everything else with the bytes given, or closes for None."""

    def __init__(self, *answers):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.answers = list(answers)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while self.answers:
            peer, _ = self.listener.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n")
                peer.recv(1000)
                answer = self.answers.pop(0)
                if answer is not None:
                    peer.sendall(answer)
                    peer.recv(1000)


@pytest.mark.parametrize("answer, outcome", (
    (b"+OK\r\n", "ok"), (b"-READONLY You can't write against a read only replica.\r\n", "error"), (b"-UNCERTAIN who knows\r\n", "unknown"),
    (b"+O", "unknown"), (b"", "unknown"), (None, "unknown")))
def test_a_writer_names_outcomes(answer, outcome):
    server = Script(answer)
    searcher = Searcher([server.address], timeout_s=0.3, ended=lambda: False)
    attempt = {"kind": "set", "key": "k", "value": "v"}
    Writer._carry_out(searcher.ready(), attempt)  # pylint: disable=protected-access
    assert attempt["outcome"] == outcome and attempt["invoke"] <= attempt["return"]
    searcher.drop()


def test_a_writer_passes_over_replicas_and_the_dead():
    replica, primary = socket.create_server(("127.0.0.1", 0)), Script(b"+OK\r\n")

    def say_slave():
        peer, _ = replica.accept()
        with peer:
            assert peer.recv(1000) == encode("ROLE")
            peer.sendall(b"*1\r\n$5\r\nslave\r\n")
    threading.Thread(target=say_slave, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = "127.0.0.1:%d" % gone.getsockname()[1]
    searcher = Searcher([dead, "127.0.0.1:%d" % replica.getsockname()[1], primary.address], timeout_s=1, ended=lambda: False)
    assert searcher.ready().call("SET", "k", "v") == "OK"
    assert searcher.addresses[searcher.at] == primary.address
    searcher.drop()


# --- the network

def reaches(network, sender, receiver):
    with network.inside(sender):
        try:
            with socket.create_connection((network.address(receiver), 7000), timeout=0.5) as peer:
                peer.sendall(sender.encode())
                return peer.recv(100) == b"hello " + sender.encode()
        except OSError:
            return False


@pytest.fixture
def network(new_network, leaving):
    made = new_network("a", "b", "c")
    for host in made.hosts:
        process = subprocess.Popen([*made.words(host), sys.executable, "-c", ECHO])
        leaving.callback(process.wait)
        leaving.callback(process.kill)
    for host in made.hosts:
        wait_until(lambda host=host: reaches(made, "a", host), 20, what=f"an answer from {host}")
    return made


def test_a_cut_network_lets_nothing_through_and_a_healed_one_everything(network):
    network.cut({"a"}, {"b", "c"})
    found = {pair: reaches(network, *pair) for pair in ("ab", "ba", "ac", "ca", "bc", "cb", "aa")}
    assert found == {"ab": False, "ba": False, "ac": False, "ca": False, "bc": True, "cb": True, "aa": True}
    network.heal()
    assert all(reaches(network, *pair) for pair in found)


def test_a_one_way_drop_lets_the_other_way_through(network):
    """What b sends to a is dropped: a's bytes still arrive there (counted by the receiving kernel), b's answers do not."""
    network.drop({"b"}, {"a"})
    before = syns_seen(network, "b")
    assert not reaches(network, "a", "b") and not reaches(network, "b", "a")
    assert syns_seen(network, "b") > before
    assert reaches(network, "c", "b") and reaches(network, "b", "c")


def syns_seen(network, host):
    """Connections that this host's kernel was asked for."""
    done = subprocess.run([*network.words(host), "cat", "/proc/net/snmp"], capture_output=True, text=True, check=True)
    names, values = (line.split() for line in done.stdout.splitlines() if line.startswith("Tcp:"))
    return int(dict(zip(names[1:], values[1:]))["InSegs"])


def test_a_limited_host_is_sent_no_more_than_said(network):
    rate = 1_000_000
    network.limit("b", rate)
    with network.inside("b"):
        listener = socket.create_server((network.address("b"), 7001))
    with network.inside("a"):
        sender = socket.create_connection((network.address("b"), 7001), timeout=60)
    receiver = listener.accept()[0]
    with listener, sender, receiver:
        threading.Thread(target=sender.sendall, args=(bytes(5 * rate),), daemon=True).start()
        begin, left = time.monotonic(), 5 * rate
        while left > 0:
            left -= len(receiver.recv(65536))
        assert time.monotonic() - begin > 3


def test_hosts_do_not_see_the_machine_s_network(network):
    done = subprocess.run([*network.words("a"), "ip", "-json", "address"], capture_output=True, text=True, check=True)
    assert {link["ifname"] for link in json.loads(done.stdout)} == {"lo", "eth0"}
