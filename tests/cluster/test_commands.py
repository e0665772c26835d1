"""What clients are told by each node: refusals on replicas, ROLE, INFO replication, WAIT, FAILOVER, digests; raw and by redis-py."""

import json
import re
import threading

import pytest
import redis

from cluster import Closed, Error, wait_until
from harness.resp import encode
from harness.server import Server
from histories import verify

READONLY = "READONLY You can't write against a read only replica."
MASTERDOWN = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."


@pytest.fixture
def settled(new_cluster):
    cluster = new_cluster()
    return cluster, cluster.start()


def client(node):
    """redis-py, without its own second tries."""
    return redis.Redis(host=node.host, port=node.port, decode_responses=True, socket_timeout=30,
                       retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))


# --- replicas

def test_a_replica_refuses_as_redis_does(settled):
    cluster, primary = settled
    assert primary.call("SET", "k", "v") == "OK"
    for replica in cluster.others(primary):
        with replica.connect() as connection:
            for write in (["SET", "k", "w"], ["DEL", "k"], ["INCR", "n"], ["EXPIRE", "k", "10"], ["FLUSHALL"], ["HSET", "h", "f", "v"]):
                assert connection.call(*write) == READONLY and isinstance(connection.call(*write), Error), write
            for read in (["GET", "k"], ["EXISTS", "k"], ["SCAN", "0"], ["DBSIZE"], ["TTL", "k"], ["HGETALL", "h"]):
                assert connection.call(*read) == MASTERDOWN and isinstance(connection.call(*read), Error), read
            assert connection.call("PING") == "PONG"
            assert connection.call("INFO", "server") and connection.call("HELLO", "2") and connection.call("CLIENT", "ID") > 0
            assert connection.call("CONFIG", "GET", "maxmemory")[0] == b"maxmemory"
    assert primary.call("GET", "k") == b"v"


def test_a_readonly_connection_reads_from_a_replica_until_readwrite(settled):
    cluster, primary = settled
    assert primary.call("SET", "k", "v", "EX", "1000") == "OK"
    for replica in cluster.others(primary):
        with replica.connect() as connection:
            assert connection.call("READONLY") == "OK"
            wait_until(lambda: connection.call("GET", "k") == b"v", 10, what="the write applied on the replica")  # pylint: disable=cell-var-from-loop
            assert 0 < connection.call("TTL", "k") <= 1000 and connection.call("DBSIZE") == 1
            assert connection.call("SET", "k", "w") == READONLY
            assert connection.call("READWRITE") == "OK" and connection.call("GET", "k") == MASTERDOWN


def test_a_replica_does_not_show_expired_keys_and_the_primary_deletes_them(settled):
    cluster, primary = settled
    assert primary.call("SET", "short", "v", "PX", "300") == "OK" and primary.call("SET", "long", "v") == "OK"
    replica = cluster.others(primary)[0]
    with replica.connect() as connection:
        assert connection.call("READONLY") == "OK"
        wait_until(lambda: connection.call("EXISTS", "long") == 1, 10, what="the writes applied on the replica")
        wait_until(lambda: connection.call("EXISTS", "short") == 0, 10, what="the key expired")
        wait_until(lambda: connection.call("DBSIZE") == 1, 10, what="the deletion replicated")
    cluster.wait_equal()


def test_without_a_majority_nobody_serves(settled):
    cluster, primary = settled
    assert primary.call("SET", "k", "v") == "OK"
    cluster.wait_equal()  # that it is committed is told with the next heartbeat
    replica, other = cluster.others(primary)
    primary.kill()
    other.kill()
    wait_until(lambda: replica.info()["master_link_status"] == "down", 30, what="the loss noticed")
    info = client(replica).info("replication")
    assert (info["master_host"], info["master_port"]) == (primary.host, primary.port)
    wait_until(lambda: int(replica.info()["master_link_down_since_seconds"]) >= 1, 10, what="the time counted")
    assert replica.info()["role"] == "slave" and replica.call("ROLE")[3] in (b"connect", b"connecting")
    assert not replica.status()["serving"] and replica.status()["primary"] is None
    assert replica.call("GET", "k") == MASTERDOWN and replica.call("SET", "k", "w") == READONLY
    with replica.connect() as connection:
        assert connection.call("READONLY") == "OK" and connection.call("GET", "k") == b"v"


def test_a_primary_that_loses_its_authority_closes_its_clients(settled):
    cluster, primary = settled
    with primary.connect() as idle:
        assert idle.call("PING") == "PONG"
        for replica in cluster.others(primary):
            replica.kill()
        wait_until(lambda: primary.call("ROLE")[0] == b"slave", 30, what="the loss of the majority noticed")
        idle.socket.settimeout(10)
        with pytest.raises(Closed):
            idle.read()


# --- what it says of itself

def test_role_and_info_replication_as_redis_says_them(settled):
    cluster, primary = settled
    replicas = cluster.others(primary)
    kind, offset, slaves = client(primary).execute_command("ROLE")
    assert kind == "master" and offset >= 0
    assert sorted((host, int(port)) for host, port, _ in slaves) == sorted((node.host, node.port) for node in replicas)
    info = client(primary).info("replication")
    assert info["role"] == "master" and info["connected_slaves"] == 2 and info["master_repl_offset"] >= 0
    assert len(info["master_replid"]) == 40
    stats = client(primary).info("stats")
    assert stats["sync_full"] + stats["sync_partial_ok"] >= 2
    assert stats["total_net_repl_input_bytes"] > 0 and stats["total_net_repl_output_bytes"] > 0
    shown = [info["slave0"], info["slave1"]]
    assert sorted((one["ip"], one["port"]) for one in shown) == sorted((node.host, node.port) for node in replicas)
    assert all(one["state"] == "online" and one["lag"] >= 0 and one["offset"] >= 0 for one in shown)
    for replica in replicas:
        kind, host, port, state, offset = client(replica).execute_command("ROLE")
        assert (kind, host, port, state) == ("slave", primary.host, primary.port, "connected") and offset >= 0
        info = client(replica).info("replication")
        assert (info["role"], info["master_host"], info["master_port"]) == ("slave", primary.host, primary.port)
        assert info["master_link_status"] == "up" and info["slave_read_only"] == 1 and info["connected_slaves"] == 0


def test_status_names_roles_indices_and_peers(settled):
    cluster, primary = settled
    assert primary.call("SET", "k", "v") == "OK"
    cluster.wait_equal()
    states = {node.name: node.status() for node in cluster.nodes}
    mine = states[primary.name]
    assert mine["node"] == primary.name and mine["role"] == "primary" and mine["serving"] and mine["lease_ms"] > 0 and mine["acks"] == "quorum"
    assert mine["cluster"]["name"] == "test" and mine["generation"] >= 1
    assert mine["applied_index"] <= mine["commit_index"] <= mine["last_index"]
    assert {peer["name"]: (peer["port"], peer["peer_port"], peer["connected"]) for peer in mine["peers"]} == {
        node.name: (node.port, node.peer_port, True) for node in cluster.others(primary)}
    for replica in cluster.others(primary):
        its = states[replica.name]
        assert its["role"] == "replica" and its["primary"] == primary.name and its["term"] == mine["term"] and not its["serving"]
        assert its["lease_ms"] == 0 and its["claim"] == "sound"


def test_digests_agree_on_all_nodes_and_change_with_the_data(settled):
    cluster, primary = settled
    empty = cluster.wait_equal()
    with primary.connect() as connection:
        connection.pipeline([["SET", b"k:%d" % i, b"v:%d" % i] for i in range(1000)])
        connection.pipeline([["HSET", "hash", b"f:%d" % i, "v"] for i in range(1000)])
        connection.pipeline([["EXPIRE", b"k:%d" % i, "1000"] for i in range(0, 1000, 2)])
        assert connection.call("SELECT", 3) == "OK" and connection.call("SET", "elsewhere", "1") == "OK"
    full = cluster.wait_equal()
    assert full["keys"] == 1002 and full["digest"] != empty["digest"] and full["index"] > empty["index"]
    assert primary.call("SET", "k:0", "other", "KEEPTTL") == "OK"
    other = cluster.wait_equal()
    assert other["digest"] != full["digest"] and other["keys"] == 1002
    assert primary.call("FLUSHALL") == "OK"
    assert cluster.wait_equal()["digest"] == empty["digest"]


def test_members_agree_at_each_marker_while_clients_write(settled, new_load):
    """So many keys that the walk over them takes several turns, with writes between."""
    cluster, primary = settled
    with primary.connect() as connection:
        connection.pipeline([["SET", b"k:%d" % i, b"v:%d" % i] for i in range(50_000)])
    load = new_load(cluster)
    load.start_usual()
    compared = {}
    for _ in range(20):
        load.wait_progress(10)
        index = primary.call("HOLDFAST", "MARK")
        assert isinstance(index, int), index

        def marked_by_all():
            marked = [next((one for one in node.status()["marked_digests"] if one["index"] == index), None) for node in cluster.nodes]  # pylint: disable=cell-var-from-loop
            return None if any(one is None or one["state"] == "running" for one in marked) else marked
        marked = cluster.wait(marked_by_all, f"what each member made of the marker at {index}")
        if any(one["state"] == "skipped" for one in marked):
            continue  # a snapshot was under way
        assert marked[0] == marked[1] == marked[2]
        compared[index] = marked[0]["digest"]
        if len(compared) == 5:
            break
    load.stop()
    assert len(compared) == 5 and len(set(compared.values())) == 5, compared


# --- WAIT

def test_wait_counts_replicas_that_have_the_write(settled):
    cluster, primary = settled
    assert client(primary).wait(0, 100) >= 0
    connection = client(primary).client()  # one connection, as WAIT speaks of this connection's writes
    assert connection.set("k", "v") and connection.wait(2, 10_000) == 2
    replica = cluster.others(primary)[0]
    replica.kill()
    assert connection.set("k", "w") and connection.wait(1, 10_000) == 1
    assert connection.wait(2, 200) == 1, "the time-out passes with what there is"
    replica.spawn()
    assert connection.set("k", "x") and connection.wait(2, 60_000) == 2
    with cluster.others(primary)[1].connect() as on_replica:
        assert str(on_replica.call("WAIT", "1", "10")).startswith("ERR WAIT cannot be used with replica instances")


def test_a_client_in_wait_is_blocked_and_unblocked_as_in_redis(settled, leaving):
    _, primary = settled
    redis_alone = Server("redis").start()
    leaving.callback(redis_alone.stop)
    for server, replicas in ((redis_alone, 0), (primary, 2)):
        waiting, operating = leaving.enter_context(server.connect()), leaving.enter_context(server.connect())
        assert waiting.call("SET", "k", "v") == "OK" and waiting.call("WAIT", str(replicas), "10000") == replicas
        number = str(waiting.call("CLIENT", "ID"))

        def shown():
            blocked = re.search(rb"\r\nblocked_clients:(\d+)\r\n", operating.call("INFO", "clients"))  # pylint: disable=cell-var-from-loop
            flags = re.search(rb" flags=(\w+) ", operating.call("CLIENT", "LIST", "ID", number))  # pylint: disable=cell-var-from-loop
            return int(blocked[1]), flags[1]
        assert shown() == (0, b"N") and operating.call("CLIENT", "UNBLOCK", number) == 0
        for how, reply in ([], replicas), (["TIMEOUT"], replicas), (["ERROR"], "UNBLOCKED client unblocked via CLIENT UNBLOCK"):
            waiting.send(encode("WAIT", "5", "0"))
            wait_until(lambda: shown() == (1, b"b"), 10, what=f"the client shown as blocked by {server}")  # pylint: disable=cell-var-from-loop
            assert operating.call("CLIENT", "UNBLOCK", number, *how) == 1
            assert waiting.read() == reply and waiting.call("PING") == "PONG"
        assert shown() == (0, b"N")


# --- FAILOVER

def test_failover_to_a_given_node_costs_a_pause_and_no_write(new_cluster, new_load, report):
    cluster = new_cluster()
    primary = cluster.start()
    load = new_load(cluster)
    load.start_usual()
    for _ in range(3):
        load.wait_progress(100)
        target = cluster.others(primary)[0]
        assert client(primary).execute_command("FAILOVER", "TO", target.host, target.port, "TIMEOUT", 10_000) in (True, "OK")
        cluster.wait(target.is_primary, f"{target} the primary")
        primary = cluster.wait_settled()
        assert primary is target
    load.wait_progress(100)
    figures = verify(cluster, load)
    report(figures)
    # A request that crosses the closing of its connection gets no answer: then it has not been carried out.
    assert figures["unknown_yet_there"] == 0
    assert figures["longest_pause_ms"] < 3000


def test_failover_without_a_target_chooses_one(settled):
    cluster, primary = settled
    assert client(primary).execute_command("FAILOVER") in (True, "OK")
    cluster.wait(lambda: any(node.is_primary() for node in cluster.others(primary)), "another primary")
    assert cluster.wait_settled() is not primary


def test_failover_is_refused_as_redis_refuses_it(settled):
    cluster, primary = settled
    replica = cluster.others(primary)[0]
    for words, error in ((["ABORT"], "ERR No failover in progress."), (["TO", replica.host, "1"], "ERR FAILOVER target HOST and PORT is not a replica."),
                         (["TIMEOUT", "0"], "ERR FAILOVER timeout must be greater than 0"), (["SOON"], "ERR syntax error"),
                         (["FORCE"], "ERR FAILOVER with force option requires both a timeout and target HOST and IP."),
                         (["TO", replica.host, str(replica.port), "FORCE"], "ERR FAILOVER with force option requires both a timeout and target HOST and IP.")):
        reply = primary.call("FAILOVER", *words)
        assert isinstance(reply, Error) and reply == error, (words, reply)
    reply = replica.call("FAILOVER")
    assert reply == "ERR FAILOVER is not valid when server is a replica."
    assert cluster.wait_settled() is primary


def test_failover_to_a_stopped_node_times_out_and_the_primary_goes_on(settled):
    cluster, primary = settled
    replica = cluster.others(primary)[0]
    assert primary.call("SET", "before", "1") == "OK"
    replica.pause()
    try:
        assert primary.call("FAILOVER", "TO", replica.host, replica.port, "TIMEOUT", 500) in ("OK", "ERR FAILOVER target replica is not online.")
        wait_until(lambda: primary.is_primary() and primary.call("SET", "after", "1") == "OK", 20, what="the primary going on")
    finally:
        replica.resume()
    cluster.wait_settled()


def peer_of(primary, node):
    return next(peer for peer in primary.status()["peers"] if peer["name"] == node.name)


def test_failover_to_a_node_that_was_just_started_does_not_leave_the_cluster_without_a_primary(settled):
    """It may have promised more in its former life, and declines; without a TIMEOUT, that was an hour."""
    cluster, primary = settled
    for _ in range(3):
        target = cluster.others(primary)[0]
        assert target.stop() == 0
        target.spawn()
        cluster.wait(lambda target=target, primary=primary: peer_of(primary, target)["claim"] == "sound" and peer_of(primary, target)["connected"]
                     and peer_of(primary, target)["lag"] == 0, f"{target} in step")
        cluster.wait(lambda target=target, primary=primary: primary.call("FAILOVER", "TO", target.host, target.port) == "OK", "FAILOVER begun")
        cluster.wait(target.is_primary, f"{target} the primary", deadline_s=10)
        primary = cluster.wait_settled()


def test_failover_does_not_choose_a_stopped_node(settled):
    cluster, primary = settled
    stopped, other = cluster.others(primary)
    stopped.pause()
    try:
        cluster.wait(lambda: peer_of(primary, stopped)["silent_ms"] > 500, "silence")
        assert primary.call("FAILOVER") == "OK"
        cluster.wait(other.is_primary, f"{other} the primary", deadline_s=10)
    finally:
        stopped.resume()
    cluster.wait_settled()


def test_the_primary_goes_on_when_the_target_of_failover_is_lost(settled):
    cluster, primary = settled
    target = cluster.others(primary)[0]
    target.pause()
    cluster.wait(lambda: peer_of(primary, target)["silent_ms"] > 500, "silence")
    assert primary.call("FAILOVER", "TO", target.host, target.port) == "OK"
    assert primary.call("GET", "nothing") is None, "it keeps the lease while the target does not answer"
    target.kill()
    cluster.wait(lambda: primary.is_primary() and primary.call("SET", "after", "1") == "OK", "the primary going on", deadline_s=10)
    target.spawn()
    cluster.wait_settled()


# --- a long command

@pytest.mark.long
def test_a_long_command_is_no_reason_to_change_the_primary(settled):
    """DEBUG SLEEP for two seconds: busy is not dead."""
    cluster, primary = settled
    term = primary.status()["term"]
    answers = []
    thread = threading.Thread(target=lambda: answers.append(primary.call("DEBUG", "SLEEP", "2")))
    thread.start()
    thread.join(30)
    assert answers == ["OK"]
    assert cluster.wait_settled() is primary and primary.status()["term"] == term


# --- acks: async

@pytest.mark.long
def test_async_answers_without_a_majority_and_says_so(new_cluster):
    cluster = new_cluster("--set", "cluster.acks=async")
    primary = cluster.start()
    assert json.loads(primary.call("HOLDFAST", "STATUS"))["acks"] == "async"
    for replica in cluster.others(primary):
        replica.pause()
    try:
        with primary.connect() as connection:
            connection.send(encode("SET", "k", "v"))
            assert connection.read() == "OK"
    finally:
        for replica in cluster.others(primary):
            replica.resume()
    cluster.wait_settled()
