"""What a primary answers reads with: its lease, a majority's word for it, and while it hands over."""

import pytest

from cluster import Closed, wait_until
from harness.resp import encode
from histories import verify

# A lease that outlives the look at what is answered within it.
LONG_LEASE = ("--cluster-lease-ms", "2000", "--cluster-election-timeout-ms", "3000")


def test_reads_by_a_majority_are_the_newest_through_kills_and_stops(new_cluster, new_load, report):
    cluster = new_cluster("--cluster-reads", "quorum")
    primary = cluster.start()
    assert primary.status()["reads"] == "quorum"
    load = new_load(cluster)
    load.start_usual()
    load.wait_progress(100)
    primary.kill()
    second = cluster.wait_primary(cluster.others(primary))
    load.wait_progress(50)
    primary.spawn()
    cluster.wait_settled()
    second.pause()
    try:
        cluster.wait_primary(cluster.others(second))
        load.wait_progress(50)
    finally:
        second.resume()
    cluster.wait_settled()
    load.wait_progress(50)
    report(verify(cluster, load))


@pytest.mark.parametrize("reads", ["lease", "quorum"])
def test_a_primary_without_a_majority_reads_within_its_lease_or_not_at_all(new_cluster, reads):
    cluster = new_cluster("--cluster-reads", reads, *LONG_LEASE)
    primary = cluster.start()
    assert primary.call("SET", "k", "v") == "OK"
    with primary.connect() as reader:
        assert reader.call("GET", "k") == b"v"
        for replica in cluster.others(primary):
            replica.kill()
        reader.send(encode("GET", "k"))
        if reads == "lease":
            assert reader.read() == b"v"
            return
        with pytest.raises(Closed):
            reader.read()
    assert not primary.is_primary()


def test_reads_go_on_while_failover_waits_for_its_target(new_cluster):
    cluster = new_cluster()
    primary = cluster.start()
    target = cluster.others(primary)[0]
    target.pause()
    try:
        assert primary.call("SET", "k", "v") == "OK"
        with primary.connect() as operator, primary.connect() as writer, primary.connect() as reader:
            assert operator.call("FAILOVER", "TO", target.host, str(target.port), "TIMEOUT", "60000") == "OK"
            writer.send(encode("SET", "k", "w"))
            wait_until(lambda: primary.status()["handing_over"], 10, what="the hand-over is under way")
            for _ in range(20):
                assert reader.call("GET", "k") == b"v"
            assert operator.call("FAILOVER", "ABORT") == "OK"
            assert writer.read() == "OK"
            assert reader.call("GET", "k") == b"w"
    finally:
        target.resume()
    cluster.wait_settled()
