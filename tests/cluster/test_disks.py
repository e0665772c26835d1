"""The primary's volume is full, or frozen: a peer takes over, and the one that can write again catches up."""

import errno

import pytest

from histories import verify
from support.faults import freezable, frozen, tmpfs


def become_primary(cluster, node):
    """Makes this node the primary with FAILOVER."""
    primary = cluster.wait_settled()
    if primary is not node:
        reply = primary.call("FAILOVER", "TO", node.host, node.port, "TIMEOUT", 10_000)
        assert reply == "OK", reply
        cluster.wait(node.is_primary, f"{node} the primary")
        cluster.wait_settled()


def test_a_full_disk_on_the_primary_hands_over(new_cluster, new_load, leaving, report):
    cluster = new_cluster("--set", "persistence.segment_bytes=1mb")
    small = cluster["a"]
    leaving.enter_context(tmpfs(small.data, "48m"))
    leaving.callback(cluster.kill)  # before the volume goes
    cluster.start()
    become_primary(cluster, small)
    load = new_load(cluster)
    load.start_usual()
    load.wait_progress(50)
    ballast = small.data / "other-files"
    _fill(ballast)
    cluster.wait_primary(cluster.others(small))
    load.wait_progress(200)
    ballast.unlink()
    cluster.wait_settled()
    load.wait_progress(50)
    report(verify(cluster, load))


def test_a_frozen_disk_does_not_freeze_the_cluster(new_cluster, new_load, leaving, report):
    """Whether its writes stand still on the loop's thread or on the log's, nobody calls the member busy, and others go on."""
    cluster = new_cluster("--set", "cluster.busy_limit_ms=60000", "--set", "persistence.log_fsync=no")
    volumes = {node.name: leaving.enter_context(freezable(node.data, 64)) for node in cluster.nodes}
    leaving.callback(cluster.kill)  # before the volumes go
    cluster.start()
    load = new_load(cluster)
    load.start_usual()
    for _ in range(2):
        primary = cluster.wait_settled()
        load.wait_progress(50)
        with frozen(volumes[primary.name]):
            cluster.wait_primary(cluster.others(primary), deadline_s=20)
            load.wait_progress(200)
    cluster.wait_settled()
    load.wait_progress(50)
    report(verify(cluster, load))


@pytest.mark.long
def test_full_disks_everywhere_refuse_writes_and_take_them_again(new_cluster, new_load, leaving, report):
    """No peer has room either: reads are answered, writes refused, and with room it goes on."""
    cluster = new_cluster("--set", "persistence.segment_bytes=1mb")
    for node in cluster.nodes:
        leaving.enter_context(tmpfs(node.data, "48m"))
    leaving.callback(cluster.kill)
    primary = cluster.start()
    assert primary.call("SET", "known", "1") == "OK"
    load = new_load(cluster)
    load.start_usual()
    load.wait_progress(50)
    for node in cluster.nodes:
        _fill(node.data / "other-files")
    cluster.wait(lambda: any(_refuses(node) for node in cluster.nodes), "writes refused", 60)
    for node in cluster.nodes:
        (node.data / "other-files").unlink()
    cluster.wait_settled()
    load.wait_progress(50)
    assert cluster.wait_primary().call("GET", "known") == b"1"
    report(verify(cluster, load))


def _refuses(node):
    try:
        reply = node.call("SET", "probe", "1", timeout_s=5)
    except OSError:
        return False
    return str(reply).startswith("MISCONF ")


def _fill(path):
    """Writes until the volume has no page left."""
    with open(path, "wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 12)) > 0:
                pass
        except OSError as full:
            assert full.errno == errno.ENOSPC, full
