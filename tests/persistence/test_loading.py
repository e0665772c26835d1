"""While a server loads, everybody hears -LOADING: never an empty answer, never a missing key."""

import pytest

from harness.resp import Error, encode
from harness.wait import wait_until

from support.member import info_of

KEYS = 60_000
LOADING = "LOADING Redis is loading the dataset in memory"


@pytest.mark.parametrize("source", ("log", "snapshot"))
def test_loading_is_said_until_all_is_there(source, member):
    member.start()
    with member.connect() as connection:
        connection.pipeline([["SET", b"key:%d" % i, b"value of %d" % i * 10] for i in range(KEYS)], batch=1000)
    if source == "snapshot":
        member.snapshot()
    member.kill()
    member.spawn()
    heard, shares = 0, []
    connection = wait_until(lambda: try_connect(member), 60, step_s=0.0005, what="a connection")
    with connection:
        while True:
            connection.send(encode("GET", "key:%d" % (KEYS - 1)) + encode("PING") + encode("INFO", "persistence"))
            value, ping, text = connection.read(), connection.read(), connection.read().decode()
            info = dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)
            if isinstance(value, Error):
                assert value == LOADING
                heard += 1
                if info["loading"] == "1":
                    shares.append(float(info["loading_loaded_perc"]))
                    assert int(info["loading_loaded_bytes"]) <= int(info["loading_total_bytes"]) or int(info["loading_total_bytes"]) == 0
                assert ping == LOADING or ping == "PONG"  # it may end between the two
                continue
            assert value == b"value of %d" % (KEYS - 1) * 10, "an empty answer before all was there"
            assert ping == "PONG" and info["loading"] == "0"
            break
        assert connection.call("DBSIZE") == KEYS
    assert heard > 0, "nobody saw it loading: the data set is too small for this machine"
    assert shares == sorted(shares) and any(0 < share < 100 for share in shares), shares


def try_connect(member):
    try:
        return member.connect()
    except OSError:
        return None


def test_what_is_allowed_while_loading(member):
    member.start()
    with member.connect() as connection:
        connection.pipeline([["SET", b"key:%d" % i, b"x" * 200] for i in range(KEYS)], batch=1000)
    member.kill()
    member.spawn()
    with wait_until(lambda: try_connect(member), 60, step_s=0.0005, what="a connection") as connection:
        wanted = [["SET", "k", "v"], ["SAVE"], ["BGSAVE"], ["DBSIZE"], ["EXISTS", "k"], ["SCAN", "0"], ["MULTI"], ["EXEC"], ["LASTSAVE"],
                  ["CONFIG", "GET", "appendonly"], ["INFO", "persistence"]]
        connection.send(b"".join(encode(*command) for command in wanted))
        replies = [connection.read() for _ in wanted]
    assert b"loading:1" in replies[-1], "it had loaded before it was asked: the data set is too small for this machine"
    refused = [reply for reply in replies[:6]]
    assert refused == [LOADING] * 6
    assert isinstance(replies[8], int) and replies[9] == [b"appendonly", b"yes"]


def test_a_stop_while_loading_leaves_everything(member):
    member.start()
    with member.connect() as connection:
        connection.pipeline([["SET", b"key:%d" % i, b"x" * 200] for i in range(KEYS)], batch=1000)
    for end in ("SIGTERM", "SHUTDOWN"):
        member.kill()
        member.spawn()
        connection = wait_until(lambda: try_connect(member), 60, step_s=0.0005, what="a connection")
        with connection:
            wait_until(lambda: info_of(connection).get("loading") == "1" or connection.call("PING") == "PONG", 30, step_s=0.0005)
            if end == "SIGTERM":
                member.terminate()
            else:
                connection.send(encode("SHUTDOWN"))
            assert member.wait_end() == 0
        assert "not left clean" not in member.log()
        member.start()
        assert member.call("DBSIZE") == KEYS
