"""A primary that is killed or stopped under load is replaced, nothing that was acknowledged is lost, nothing stale is served."""

import pytest

from cluster import Closed, Error, let_pass, wait_until
from harness.resp import encode
from histories import verify

STOPPED_S = 10


def test_a_killed_primary_is_replaced_and_comes_back_as_a_replica(new_cluster, new_load, report):
    cluster = new_cluster()
    primary = cluster.start()
    load = new_load(cluster)
    writers = load.start_usual()
    load.wait_progress(100)
    primary.kill()
    successor = cluster.wait_primary(cluster.others(primary))
    load.wait_progress(100, writers)
    primary.spawn()
    cluster.wait_settled()
    assert successor.is_primary(), "the node that came back has driven the primary out"
    load.wait_progress(50)
    report(verify(cluster, load))


@pytest.mark.long
def test_ten_killed_primaries_in_a_row(new_cluster, new_load, report):
    cluster = new_cluster()
    primary = cluster.start()
    load = new_load(cluster)
    load.start_usual()
    for _ in range(10):
        load.wait_progress(50)
        primary.kill()
        load.wait_progress(20)
        primary.spawn()
        primary = cluster.wait_settled()
    report(verify(cluster, load))


@pytest.mark.long
def test_the_last_node_that_is_left_acknowledges_nothing(new_cluster, new_load, report):
    cluster = new_cluster()
    primary = cluster.start()
    load = new_load(cluster)
    load.start_usual()
    load.wait_progress(100)
    for replica in cluster.others(primary):
        replica.kill()
    wait_until(lambda: not primary.is_primary(), 30, what="the primary without a majority stepped down")
    assert primary.call("ROLE")[0] == b"slave"
    assert primary.call("SET", "k", "v").startswith("READONLY ")
    let_pass(0.5)  # what was on its way to a writer has arrived
    before = load.acknowledged()
    let_pass(2)
    assert load.acknowledged() == before
    for replica in cluster.others(primary):
        replica.spawn()
    cluster.wait_settled()
    load.wait_progress(50)
    report(verify(cluster, load))


def test_a_stopped_primary_serves_nothing_stale_when_it_goes_on(new_cluster, new_load, report):
    """For ten seconds: requests that wait in its sockets meanwhile are not answered from what it knew."""
    cluster = new_cluster()
    primary = cluster.start()
    load = new_load(cluster)
    load.start_usual()
    with primary.connect() as reader, primary.connect() as writer, primary.connect() as both:
        assert writer.call("SET", "register", "old") == "OK" and reader.call("GET", "register") == b"old" and both.call("PING") == "PONG"
        load.wait_progress(100)
        primary.pause()
        try:
            reader.send(encode("GET", "register"))
            successor = cluster.wait_primary(cluster.others(primary))
            assert successor.call("SET", "register", "new") == "OK"
            writer.send(encode("SET", "register", "stale"))
            both.send(encode("MULTI") + encode("INCR", "counter") + encode("GET", "register") + encode("EXEC"))
            begun = load.acknowledged()
            let_pass(STOPPED_S)
            assert all(now > begun[number] for number, now in load.acknowledged().items())
        finally:
            primary.resume()
        # Each gets its errors, or only an end; the three words before EXEC promise nothing.
        for connection, promising in ((reader, 0), (writer, 0), (both, 3)):
            answers = _answers(connection, promising + 1)
            assert all(isinstance(answer, Error) for answer in answers[promising:]), answers
    cluster.wait_settled()
    assert cluster.wait_primary().call("GET", "register") == b"new"
    assert cluster.wait_primary().call("EXISTS", "counter") == 0
    report(verify(cluster, load))


@pytest.mark.long
def test_stopped_replicas_are_no_reason_to_change_the_primary(new_cluster, new_load, report):
    cluster = new_cluster()
    primary = cluster.start()
    load = new_load(cluster)
    load.start_usual()
    for replica in cluster.others(primary):
        load.wait_progress(50)
        replica.pause()
        load.wait_progress(300)
        replica.resume()
        assert cluster.wait_settled() is primary
    figures = verify(cluster, load)
    assert figures["refused"] == figures["unknown"] == 0, figures
    report(figures)


def _answers(connection, count):
    """What still comes, up to so many answers, or until the connection is closed."""
    found = []
    connection.socket.settimeout(10)
    try:
        while len(found) < count:
            found.append(connection.read())
    except Closed:
        pass
    return found
