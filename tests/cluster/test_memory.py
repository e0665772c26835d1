"""Members with persistence off: nothing is written to a disk, and a restarted member is an empty one."""

from cluster import let_pass
from histories import verify

OFF = ("--set", "persistence.enabled=no", "--set", "cluster.bootstrap=yes")


def nothing_on_disk(cluster):
    for node in cluster.nodes:
        assert list(node.data.iterdir()) == [], node


def test_members_in_memory_are_killed_one_after_the_other_and_nothing_is_lost(new_cluster, new_load, report):
    """Each fetches everything anew before the next one is struck; the first to go is the primary, twice."""
    cluster = new_cluster(*OFF)
    primary = cluster.start()
    load = new_load(cluster)
    load.start_usual()
    for node in [primary, *cluster.others(primary), None]:
        load.wait_progress(100)
        node = node or cluster.wait_primary()
        node.kill()
        load.wait_progress(50)
        node.spawn()
        cluster.wait_settled()
        assert "empty" in node.log() or "lost" in node.log()
    load.wait_progress(50)
    report(verify(cluster, load))
    nothing_on_disk(cluster)


def test_members_in_memory_fetch_what_is_in_snapshots_only(new_cluster, new_load, report):
    """The log begins behind a snapshot, so a full synchronisation is needed; a stop by SIGTERM hands over first."""
    cluster = new_cluster(*OFF, "--set", "persistence.snapshot_log_bytes=2mb", "--set", "persistence.segment_bytes=1mb")
    primary = cluster.start()
    primary.fill(20_000)
    load = new_load(cluster)
    load.start_usual()
    for node in cluster.nodes:
        load.wait_progress(50)
        assert "snapshot kept in memory" in node.log()
        assert node.stop() == 0, node.log()[-3000:]
        load.wait_progress(50)
        node.spawn()
        cluster.wait_settled()
    report(verify(cluster, load))
    assert cluster.wait_primary().call("DBSIZE") > 20_000
    nothing_on_disk(cluster)


def test_all_members_in_memory_restarted_are_an_empty_cluster_that_serves(new_cluster):
    cluster = new_cluster(*OFF)
    assert cluster.start().call("SET", "k", "v") == "OK"
    cluster.kill()
    for node in cluster.nodes:
        node.spawn()
    primary = cluster.wait_settled()
    assert primary.call("GET", "k") is None
    assert primary.call("SET", "k", "new") == "OK"
    assert primary.call("SAVE").startswith("ERR persistence is off")
    assert primary.info("persistence")["aof_enabled"] == "0"
    assert int(primary.info("memory")["mem_log_and_snapshots"]) > 0
    assert "in memory only" in primary.log()
    nothing_on_disk(cluster)


def test_one_member_of_three_in_memory(new_cluster, new_load, report):
    """The one in memory and those with disks are killed in turn, then all at once: what is on disks is enough."""
    cluster = new_cluster()
    cluster["c"].words += ["--set", "persistence.enabled=no"]
    cluster.start()
    load = new_load(cluster)
    load.start_usual()
    for node in cluster.nodes:
        load.wait_progress(100)
        node.kill()
        load.wait_progress(50)
        node.spawn()
        cluster.wait_settled()
    cluster.kill()
    for node in cluster.nodes:
        node.spawn()
    cluster.wait_settled()
    load.wait_progress(50)
    report(verify(cluster, load))
    assert list(cluster["c"].data.iterdir()) == []


def test_a_majority_in_memory_that_restarts_at_once_does_not_go_on_without_the_third(new_cluster):
    cluster = new_cluster(*OFF)
    primary = cluster.start()
    assert primary.call("SET", "precious", "1") == "OK"
    cluster.wait_equal()
    for node in cluster.others(primary):
        node.kill()
    primary.pause()
    for node in cluster.others(primary):
        node.spawn()
    let_pass(3)
    assert not any(node.is_primary() for node in cluster.others(primary))
    primary.resume()
    assert cluster.wait_settled().call("GET", "precious") == b"1"


def test_a_member_goes_into_memory_only_without_its_old_folder(new_cluster):
    """Else a later start with persistence would claim what it once knew."""
    cluster = new_cluster()
    cluster.start()
    node = cluster["a"]
    node.stop()
    before = {path: path.read_bytes() for path in node.data.iterdir()}
    node.spawn("--set", "persistence.enabled=no")
    assert node.wait_end() == 1
    assert "move it away" in node.log()
    assert {path: path.read_bytes() for path in node.data.iterdir()} == before
    node.wipe()
    node.spawn("--set", "persistence.enabled=no")
    cluster.wait_settled()
