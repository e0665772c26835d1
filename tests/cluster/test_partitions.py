"""A primary that is cut off with a client beside it: that client gets nothing acknowledged, the others go on, nothing is lost."""

import time

import pytest

from cluster import wait_until
from histories import verify

MS = 1_000_000
# How long after the cut the primary may go on answering: until its lease and the election timeout are over, on a busy machine.
GRACE_S = 2.0


@pytest.fixture
def cut_off(new_network, new_cluster, new_load):
    """Five hosts: three nodes, a client `near` that will be cut off together with the primary, a client `far` that will not."""
    network = new_network("a", "b", "c", "near", "far")
    cluster = new_cluster(network=network)
    primary = cluster.start()
    load = new_load(cluster)
    writers = {host: load.start("register", 2, host, rate=150) + load.start("unique", 1, host) for host in ("near", "far")}
    load.wait_progress(100)
    return network, cluster, primary, load, writers


def _fault_times(load, begin):
    """The times at which the writers had something acknowledged, {number: [...]}, from `begin` on."""
    times = {}
    for operation in load.history():
        if operation["outcome"] == "ok" and operation["invoke"] >= begin:
            times.setdefault(operation["process"], []).append(operation["invoke"])
    return times


@pytest.mark.parametrize("how", (
    "both ways",
    pytest.param("the primary is not heard", marks=pytest.mark.long),
    pytest.param("the primary hears nothing", marks=pytest.mark.long)))
def test_a_primary_that_is_cut_off_with_a_client(how, cut_off, report):
    network, cluster, primary, load, writers = cut_off
    rest = cluster.others(primary)
    inner, outer = {primary.name, "near"}, {node.name for node in rest} | {"far"}
    begin = time.monotonic_ns()
    network.cut({"near"}, outer)
    network.cut({primary.name}, {"far"})
    if how == "both ways":
        network.cut(inner, outer)
    elif how == "the primary is not heard":
        network.drop({primary.name}, outer)
    else:
        network.drop(outer, {primary.name})
    successor = cluster.wait_primary(rest)
    load.wait_progress(200, writers["far"])
    assert not primary.is_primary() and primary.call("ROLE")[0] == b"slave"
    assert successor.is_primary()
    end = time.monotonic_ns()
    network.heal()
    cluster.wait_settled()
    load.wait_progress(50)
    figures = verify(cluster, load)
    late = {number: [at for at in times if begin + GRACE_S * 1000 * MS < at < end]
            for number, times in _fault_times(load, begin).items() if number in writers["near"]}
    assert not any(late.values()), f"acknowledged beside the primary that was cut off: {late}"
    report(figures)


@pytest.mark.long
def test_two_nodes_that_do_not_see_each_other_but_the_third(cut_off, report):
    """A partial partition: whoever is the primary, the cluster goes on, and it does not change it forever."""
    network, cluster, primary, load, _ = cut_off
    replica = cluster.others(primary)[0]
    network.cut({primary.name}, {replica.name})
    load.wait_progress(300)
    cluster.wait_primary()
    term = cluster.wait_primary().status()["term"]
    load.wait_progress(1000)
    assert cluster.wait_primary().status()["term"] - term <= 2, "the primary changes again and again"
    network.heal()
    cluster.wait_settled()
    report(verify(cluster, load))


@pytest.mark.long
def test_a_replica_that_was_cut_off_does_not_drive_the_primary_out(cut_off, report):
    network, cluster, primary, load, _ = cut_off
    replica = cluster.others(primary)[0]
    term = primary.status()["term"]
    network.cut({replica.name}, {node.name for node in cluster.others(replica)} | {"near", "far"})
    load.wait_progress(1000)
    network.heal()
    assert cluster.wait_settled() is primary
    assert primary.status()["term"] == term
    figures = verify(cluster, load)
    assert figures["refused"] == figures["unknown"] == 0, figures
    report(figures)


@pytest.mark.long
def test_links_that_come_and_go(cut_off, report):
    network, cluster, _, load, _ = cut_off
    for round_ in range(6):
        one = cluster.nodes[round_ % 3]
        others = {node.name for node in cluster.others(one)}
        network.drop({one.name}, others) if round_ % 2 else network.cut({one.name}, others)
        cluster.wait_primary(cluster.others(one))
        load.wait_progress(30, [number for number, host in load.hosts.items() if host == "far"])
        network.heal()
        cluster.wait_primary()
    cluster.wait_settled()
    load.wait_progress(50)
    report(verify(cluster, load))


@pytest.mark.long
def test_a_host_that_vanishes_without_a_word_is_replaced(cut_off, report):
    """No reset, no end of the connection: only silence tells."""
    network, cluster, primary, load, writers = cut_off
    network.cut({primary.name}, {node.name for node in cluster.others(primary)} | {"near", "far"})
    primary.kill()
    cluster.wait_primary(cluster.others(primary))
    load.wait_progress(100, writers["far"])
    network.heal()
    primary.spawn()
    cluster.wait_settled()
    load.wait_progress(50)
    report(verify(cluster, load))
    wait_until(lambda: all(node.status()["claim"] == "sound" for node in cluster.nodes), 10)
