"""Hosts that send and receive 20 Mbit/s: what is beyond is dropped, as a small machine's provider does. Nothing begins anew for ever."""

import time

import pytest

from cluster import Closed, Error
from histories import verify

BYTES_PER_S = 20 * 125_000
# Many times what the bytes alone would take.
ENTRY_S = 240
JOIN_S = 300


@pytest.fixture
def slow_cluster(new_network, new_cluster):
    """slow_cluster(*words) starts three nodes on such hosts; the host of a client, `far`, is not limited."""
    def make(*words):
        network = new_network("a", "b", "c", "far")
        cluster = new_cluster(*words, network=network)
        cluster.start()
        for node in cluster.nodes:
            network.limit(node.name, BYTES_PER_S)
        return cluster
    return make


@pytest.mark.long
def test_a_large_value_is_replicated_over_slow_links(slow_cluster, report):
    """Its entry takes longer to send than an election's time; whatever terms pass meanwhile, it arrives."""
    cluster = slow_cluster()
    value = bytes(range(256)) * 65_536  # 16 MB
    begin = time.monotonic()

    def is_stored():
        primary = cluster.wait_primary()
        try:
            if primary.call("SET", "large", value, timeout_s=ENTRY_S) == "OK":
                return True
        except (OSError, Closed):
            pass
        held = cluster.wait_primary().call("STRLEN", "large")
        return not isinstance(held, Error) and held == len(value)

    cluster.wait(is_stored, "the large value stored", ENTRY_S)
    stored_s = time.monotonic() - begin
    cluster.wait_settled(JOIN_S)
    cluster.wait_equal(JOIN_S)
    assert cluster.wait_primary().call("GET", "large") == value
    report({"stored_s": round(stored_s, 1), "term": cluster.wait_primary().status()["term"]})


@pytest.mark.long
def test_a_wiped_node_catches_up_over_slow_links(slow_cluster, new_load, report):
    """By a snapshot that takes far longer than an election's time, while clients write over the same links."""
    cluster = slow_cluster("--set", "persistence.segment_bytes=1mb", "--set", "persistence.snapshots_kept=1")
    primary = cluster.wait_primary()
    primary.fill(20_000)  # 10 MB
    for node in cluster.nodes:
        cluster.wait(lambda one=node: one.call("SAVE") == "OK", "a snapshot", JOIN_S)
    load = new_load(cluster)
    load.start_usual("far", rate=50)
    load.wait_progress(50)
    wiped = cluster.others(cluster.wait_primary())[0]
    term = cluster.wait_primary().status()["term"]
    wiped.kill()
    wiped.wipe()
    begin = time.monotonic()
    wiped.spawn()
    cluster.wait_settled(JOIN_S)
    joined_s = time.monotonic() - begin
    load.wait_progress(50)
    figures = verify(cluster, load)
    report(figures | {"joined_s": round(joined_s, 1), "elections": cluster.wait_primary().status()["term"] - term})
