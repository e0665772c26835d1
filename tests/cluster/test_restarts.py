"""Restarts of all, one after the other, and with empty disks, under load."""

import re
import signal

import pytest

from cluster import let_pass
from histories import verify


def test_all_killed_at_once_come_back_with_everything(new_cluster, new_load, report):
    cluster = new_cluster()
    cluster.start()
    load = new_load(cluster)
    load.start_usual()
    load.wait_progress(200)
    cluster.kill()
    for node in cluster.nodes:
        node.spawn()
    cluster.wait_settled()
    load.wait_progress(50)
    report(verify(cluster, load))


@pytest.mark.long
@pytest.mark.parametrize("fsync", ("always", "no"))
def test_all_killed_at_once_again_and_again(fsync, new_cluster, new_load, report):
    cluster = new_cluster("--appendfsync", fsync)
    cluster.start()
    load = new_load(cluster)
    load.start_usual()
    for _ in range(5):
        load.wait_progress(100)
        cluster.kill()
        for node in cluster.nodes:
            node.spawn()
        cluster.wait_settled()
    load.wait_progress(50)
    report(verify(cluster, load))


def test_a_rolling_restart_with_sigterm(new_cluster, new_load, report):
    """Replicas and primary alike: a stop is clean, and costs the writers no more than a pause."""
    cluster = new_cluster()
    cluster.start()
    load = new_load(cluster)
    load.start_usual()
    for node in cluster.nodes:
        load.wait_progress(50)
        assert node.stop() == 0, node.log()[-3000:]
        load.wait_progress(50)
        node.spawn()
        cluster.wait_settled()
    report(verify(cluster, load))


def test_a_planned_end_asks_another_member_when_the_first_is_silent(new_cluster):
    """A primary that is told to end gives the first a second, then asks the other; that one is primary before the end."""
    cluster = new_cluster()
    primary = cluster.start()
    assert primary.call("SET", "k", "v") == "OK"
    cluster.wait_equal()
    silent, other = cluster.others(primary)  # of equals, who is listed first is asked first
    silent.pause()
    assert primary.stop() == 0, primary.log()[-3000:]
    asked = re.findall(r"handed over to=(\d+)", primary.log())
    assert asked[-1] == str(cluster.nodes.index(other) + 1), primary.log()[-3000:]
    begun = re.findall(r"hand-over begins target=(\d+)", primary.log())
    assert begun == [str(cluster.nodes.index(node) + 1) for node in (silent, other)], primary.log()[-3000:]
    assert "hand-over ended" in primary.log(), primary.log()[-3000:]
    silent.resume()
    assert cluster.wait_primary([silent, other]).call("GET", "k") == b"v"


def test_one_node_after_the_other_loses_its_disk(new_cluster, new_load, report):
    """Killed, its folder emptied, started under its old name: it recovers from the others before the next one is struck."""
    cluster = new_cluster()
    cluster.start()
    load = new_load(cluster)
    load.start_usual()
    for node in cluster.nodes:
        load.wait_progress(100)
        node.kill()
        node.wipe()
        load.wait_progress(50)
        node.spawn()
        cluster.wait_settled()
    load.wait_progress(50)
    report(verify(cluster, load))


@pytest.mark.long
def test_a_wiped_node_gets_what_is_in_snapshots_only(new_cluster, new_load, report):
    """The others have cut their logs off behind snapshots, so that nothing but a full synchronisation can bring it back."""
    cluster = new_cluster("--set", "persistence.segment_bytes=1mb", "--set", "persistence.snapshots_kept=1")
    primary = cluster.start()
    primary.fill(50_000)
    load = new_load(cluster)
    load.start_usual()
    for node in cluster.nodes:
        load.wait_progress(50)
        for other in cluster.nodes:
            assert other.call("SAVE") == "OK"
        node.kill()
        node.wipe()
        load.wait_progress(50)
        node.spawn()
        cluster.wait_settled()
    report(verify(cluster, load))
    assert cluster.wait_primary().call("DBSIZE") > 50_000


@pytest.mark.long
def test_two_of_three_wiped_at_once_are_not_taken_for_a_new_cluster(new_cluster):
    """A majority of empty disks knows nothing; the third one has the data, and it must not be voted away."""
    cluster = new_cluster("--set", "cluster.recovery_wait_ms=3000")
    primary = cluster.start()
    assert primary.call("SET", "precious", "1") == "OK"
    cluster.wait_equal()
    cluster.kill()
    for node in cluster.others(primary):
        node.wipe()
    for node in cluster.nodes:
        node.spawn("--set", "cluster.bootstrap=yes")
    # Whether they recover from the third or wait for an operator, they do not serve without it.
    let_pass(5)
    for node in cluster.nodes:
        assert not node.is_primary() or node.call("GET", "precious") == b"1"
    recovered = any(node.is_primary() for node in cluster.nodes)
    primary.kill()
    let_pass(5)
    for node in cluster.others(primary):
        if node.is_primary():
            assert recovered and node.call("GET", "precious") == b"1", "two wiped nodes went on without the one that had the data"


def test_a_hangup_of_the_terminal_ends_no_member(new_cluster):
    """As in Redis: SIGHUP is ignored, where SIGTERM hands over first."""
    cluster = new_cluster()
    primary = cluster.start()
    term = primary.status()["term"]
    for node in cluster.nodes:
        node.process.send_signal(signal.SIGHUP)
    for node in cluster.nodes:
        assert node.call("PING") == "PONG"
    assert primary.call("SET", "k", "v") == "OK"
    assert primary.status()["term"] == term and all(node.alive() for node in cluster.nodes)
