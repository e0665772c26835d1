"""Who may be a member: first starts, other clusters' data, other names, other secrets."""

import contextlib
import re
import resource
import shutil
import socket

from cluster import let_pass, wait_until


def test_a_first_start_without_bootstrap_waits_and_says_so(new_cluster):
    cluster = new_cluster()
    for node in cluster.nodes:
        node.spawn()
    for node in cluster.nodes:
        node.wait_log("bootstrap")
        status = wait_until(node.status, 30, what=f"a status of {node}")
        assert status["role"] != "primary" and not status["serving"] and status["primary"] is None and status["claim"] == "blank"
        assert str(node.call("SET", "k", "v")).split()[0] in ("LOADING", "READONLY"), node.call("SET", "k", "v")
        assert str(node.call("GET", "k")).split()[0] in ("LOADING", "MASTERDOWN"), node.call("GET", "k")
    for node in cluster.nodes:
        assert node.stop() == 0, node.log()[-3000:]
    primary = cluster.start()  # with it
    assert primary.call("SET", "k", "v") == "OK"
    cluster.kill()
    for node in cluster.nodes:
        node.spawn()  # and once begun, without it again
    assert cluster.wait_settled().call("GET", "k") == b"v"


def test_two_of_three_do_not_begin_a_cluster(new_cluster):
    """Bootstrap is for all listed members together: two that found each other do not leave the third behind with an empty disk."""
    cluster = new_cluster()
    for node in cluster.nodes[:2]:
        node.spawn("--set", "cluster.bootstrap=yes")
    for node, other in (cluster.nodes[:2], cluster.nodes[1::-1]):
        cluster.wait(lambda node=node, other=other: _sees(node, other), f"{node} sees {other}")
    let_pass(2)
    assert not any(node.is_primary() for node in cluster.nodes[:2])
    cluster.nodes[2].spawn("--set", "cluster.bootstrap=yes")
    assert cluster.wait_settled().call("SET", "k", "v") == "OK"


def test_a_node_with_another_cluster_s_data_is_refused(new_cluster):
    ours, theirs = new_cluster(folder="ours"), new_cluster(folder="theirs")
    for cluster, value in ((ours, "ours"), (theirs, "theirs")):
        assert cluster.start().call("SET", "whose", value) == "OK"
        cluster.wait_equal()
    node = ours.others(ours.wait_primary())[0]
    for cluster in (ours, theirs):
        for each in cluster.nodes:
            if cluster is theirs or each is node:
                each.stop()
    node.wipe()
    shutil.copytree(theirs[node.name].data, node.data, dirs_exist_ok=True)
    node.spawn()
    _stays_out(ours, node, "whose", b"ours", may_be_linked=True)  # its generation tells, behind the handshake


def test_a_node_of_another_name_is_refused(new_cluster):
    cluster = new_cluster()
    primary = cluster.start()
    assert primary.call("SET", "whose", "ours") == "OK"
    node = cluster.others(primary)[0]
    node.stop()
    node.wipe()
    node.spawn("--set", "cluster.name=another")
    _stays_out(cluster, node, "whose", b"ours")


def test_a_node_with_another_secret_is_refused(new_cluster):
    cluster = new_cluster()
    primary = cluster.start()
    assert primary.call("SET", "whose", "ours") == "OK"
    node = cluster.others(primary)[0]
    node.stop()
    node.spawn(secret="another" * 8)
    _stays_out(cluster, node, "whose", b"ours")
    if node.alive():
        node.kill()
    node.spawn()
    cluster.wait_settled()


def test_nodes_that_others_can_reach_want_a_secret(new_cluster, new_network):
    cluster = new_cluster(network=new_network("a", "b", "c"), secret="")
    node = cluster.nodes[0]
    node.spawn("--set", "cluster.bootstrap=yes")
    assert node.wait_end(30) != 0
    assert "secret" in node.log()


def _sees(node, other):
    status = node.status()
    return status is not None and any(peer["name"] == other.name and peer["connected"] for peer in status["peers"])


def _stays_out(cluster, node, key, value, may_be_linked=False):
    """It ends by itself and says why, or it goes on and is no member; the others serve what they had."""
    others = cluster.others(node)
    wait_until(lambda: not node.alive() or any(re.search("peer refused|warning refused:", each.log()) for each in cluster.nodes), 30,
               what=f"{node} refused")
    if not node.alive():
        assert node.process.returncode not in (0, -6, -11), node.log()[-2000:]
    else:
        assert not node.is_primary()
        assert node.status()["primary"] is None, "it follows a primary of a cluster that it is no member of"
    primary = cluster.wait_primary(others)
    assert primary.call("GET", key) == value
    assert may_be_linked or not _sees(primary, node)
    assert primary.call("SET", "still", "1") == "OK"


def test_strangers_who_hold_all_connections_do_not_keep_the_log_from_new_files(new_cluster, leaving):
    """Once the limit of open files was maxclients and 32 more, whatever peers and strangers at the peer port took of them."""
    cluster = new_cluster("--maxclients", "100")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, hard))  # the nodes raise it as they need
    try:
        primary = cluster.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    connection = leaving.enter_context(primary.connect())
    for _ in range(99):
        leaving.enter_context(contextlib.closing(socket.create_connection((primary.host, primary.port))))
    wait_until(lambda: b"connected_clients:100\r" in connection.call("INFO", "clients"), what="a full house")
    for mode in ("always", "everysec", "always"):
        for _ in range(32):  # they are dropped after two seconds of silence
            leaving.enter_context(contextlib.closing(socket.create_connection((primary.host, primary.peer_port))))
        assert connection.call("CONFIG", "SET", "appendfsync", mode) == "OK"  # begins a segment
        assert connection.call("SET", "k", mode) == "OK"
    assert "Too many open files" not in primary.log(), primary.log()[-3000:]
