"""SAVE, BGSAVE, LASTSAVE and INFO persistence: the same words as redis-server's, and what they say is true."""

import shutil
import time

import pytest

from harness.resp import Error, encode
from harness.server import Server
from harness.wait import wait_until

from support.contents import contents, differences
from support.member import info_of
from support.model import now_ms


@pytest.fixture
def redis():
    server = Server("redis").start()
    yield server
    server.stop()


def both(member, redis):
    member.start()
    return (redis, member)


@pytest.mark.parametrize("call", (["SAVE", "now"], ["BGSAVE", "now"], ["BGSAVE", "SCHEDULE", "x"], ["LASTSAVE", "x"], ["SAVE"], ["BGSAVE"],
                                  ["BGSAVE", "SCHEDULE"], ["CONFIG", "SET", "save", "1"], ["CONFIG", "SET", "save", "a b"],
                                  ["CONFIG", "SET", "save", "10 1 20 5"], ["CONFIG", "SET", "save", ""],
                                  ["CONFIG", "SET", "appendfsync", "sometimes"], ["CONFIG", "SET", "appendfsync", "always"],
                                  ["SHUTDOWN", "SAVE", "NOSAVE"], ["SHUTDOWN", "x"], ["SHUTDOWN", "ABORT"]), ids=" ".join)
def test_the_same_words_as_redis(call, member, redis):
    replies = [server.call(*call) for server in both(member, redis)]
    assert replies[0] == replies[1] and type(replies[0]) is type(replies[1])


def test_in_a_transaction_as_in_redis(member, redis):
    seen = []
    for server in both(member, redis):
        with server.connect() as connection:
            seen.append([value for _, value in connection.pipeline([["MULTI"], ["SAVE"], ["LASTSAVE"], ["EXEC"]])])
    assert seen[0] == seen[1]


def test_a_second_save_while_one_is_under_way(member):
    member.start()
    with member.connect() as connection:
        connection.pipeline([["SET", b"k%d" % i, b"x" * 100] for i in range(30_000)], batch=1000)
        connection.send(encode("BGSAVE") + encode("BGSAVE") + encode("SAVE") + encode("INFO", "persistence"))
        assert connection.read() == "Background saving started"
        assert connection.read() == "ERR Background save already in progress"  # the text of redis-server
        assert connection.read() == "ERR Background save already in progress"
        assert b"rdb_bgsave_in_progress:1" in connection.read()
        wait_until(lambda: info_of(connection)["rdb_bgsave_in_progress"] == "0", 30, what="the snapshot's end")
    assert len(member.snapshots()) == 1


def test_save_answers_when_the_file_is_there_and_others_do_not_wait(member):
    member.start()
    with member.connect() as saver, member.connect() as other:
        other.pipeline([["SET", b"k%d" % i, b"x" * 100] for i in range(30_000)], batch=1000)
        saver.send(encode("SAVE") + encode("GET", "k1"))
        assert other.call("SET", "during", "1") == "OK"
        assert saver.read() == "OK"
        assert len(member.snapshots()) == 1
        assert saver.read() == b"x" * 100


def test_info_says_what_is_true(member):
    member.start()
    begun = int(time.time())
    info = member.info()
    assert info["aof_enabled"] == "1" and info["rdb_changes_since_last_save"] == "0" and info["rdb_saves"] == "0"
    assert begun - 60 <= int(info["rdb_last_save_time"]) <= now_ms() // 1000 and info["rdb_last_bgsave_time_sec"] == "-1"
    assert member.call("LASTSAVE") == int(info["rdb_last_save_time"])
    with member.connect() as connection:
        connection.pipeline([["SET", "a", "1"], ["HSET", "h", "f", "v"], ["DEL", "nothing"], ["GET", "a"]])
    assert member.info()["rdb_changes_since_last_save"] == "2"
    member.snapshot()
    info = member.info()
    assert info["rdb_changes_since_last_save"] == "0" and info["rdb_saves"] == "1" and info["rdb_last_bgsave_status"] == "ok"
    assert member.call("LASTSAVE") == int(info["rdb_last_save_time"]) >= begun
    assert int(info["aof_current_size"]) == sum(path.stat().st_size for path in member.segments())
    assert int(info["log_segments"]) == len(member.segments())
    assert info["log_last_index"] == info["log_committed_index"]


def test_a_snapshot_is_taken_on_schedule(member):
    member.start()
    assert member.call("CONFIG", "SET", "save", "1 3") == "OK"
    with member.connect() as connection:
        connection.pipeline([["SET", "a", "1"], ["SET", "b", "1"]])
        begun = time.monotonic()
        wait_until(lambda: time.monotonic() > begun + 1.5, what="more than the schedule's second")
        assert not member.snapshots(), "two changes are less than three"
        connection.call("SET", "c", "1")
        wait_until(lambda: member.info()["rdb_saves"] == "1", 10, what="a snapshot")
    assert len(member.snapshots()) == 1


def test_a_snapshot_is_taken_when_the_log_has_grown(member):
    member.start("--set", "persistence.snapshot_log_bytes=1mb")
    with member.connect() as connection:
        connection.pipeline([["SET", "k", b"x" * 10_000] for _ in range(130)])
    wait_until(lambda: member.info()["rdb_saves"] == "1", 10, what="a snapshot")


def test_what_the_log_grew_in_an_earlier_life_counts_too(member):
    """Else a server that is restarted often enough would never take one, and its log would grow for ever."""
    member.start("--set", "persistence.snapshot_log_bytes=1mb")
    for life in range(3):
        with member.connect() as connection:
            connection.pipeline([["SET", "k", b"x" * 10_000] for _ in range(45)])
        if life == 2:
            wait_until(member.snapshots, 10, what="a snapshot")
        assert bool(member.snapshots()) == (life == 2)
        member.kill_and_start("--set", "persistence.snapshot_log_bytes=1mb")


def test_old_snapshots_and_segments_go(member):
    member.start("--set", "persistence.snapshots_kept=2", "--set", "persistence.segment_bytes=1mb")
    kept = []
    for round_ in range(5):
        with member.connect() as connection:
            connection.pipeline([["SET", b"k%d" % i, b"%d" % round_ * 10_000] for i in range(250)])
        kept.append(member.snapshot())
    assert member.snapshots() == kept[-2:]
    # The log reaches back to the older one, and no further than the segment that holds its end.
    assert len(member.segments()) <= 7
    before = contents(member)
    member.kill()
    # The older snapshot and the log make up for the newest one.
    kept[-1].write_bytes(kept[-1].read_bytes()[:-20])
    member.start()
    assert contents(member) == before
    member.wait_log(kept[-1].name)


@pytest.mark.parametrize("compression", ("no", "yes"))
def test_a_snapshot_under_a_write_storm_is_a_point_in_time(compression, member, seed):
    """Each transaction puts its number everywhere. A snapshot alone must show one number in all places, and one that was
    current between the request and the end of the snapshot."""
    keys, fields = 400, 1500
    member.start("--rdbcompression", compression)

    def transaction(number):
        some = [b"k%d" % ((number * 37 + i) % keys) for i in range(6)]
        return [["MULTI"], ["SET", "number", number], *(["SET", key, number] for key in some),
                ["HSET", "table", b"f%d" % (number % fields), number, "number", number], ["EXEC"]]

    def state(number):
        """What is there behind transaction `number`."""
        strings = {b"number": b"%d" % number}
        table = {b"number": b"%d" % number}
        for one in range(max(0, number - 2 * keys - 2 * fields), number + 1):
            for command in transaction(one)[2:-2]:
                strings[command[1]] = b"%d" % one
            table[b"f%d" % (one % fields)] = b"%d" % one
        return strings, table

    with member.connect() as writer, member.connect() as operator:
        number = 0
        for number in range(2500):
            writer.send(b"".join(encode(*command) for command in transaction(number)))
            writer._read_many(10)
        ballast = [["SET", b"ballast%d" % i, b"b" * 200] for i in range(80_000)]
        operator.call("SELECT", 1)
        operator.pipeline(ballast, batch=1000)
        first = number
        operator.send(encode("SAVE"))
        operator.socket.setblocking(False)
        while not operator.buffer:  # until the snapshot has ended
            number += 1
            writer.send(b"".join(encode(*command) for command in transaction(number)))
            writer._read_many(10)
            try:
                operator.buffer += operator.socket.recv(100)
            except BlockingIOError:
                pass
        assert bytes(operator.buffer) == b"+OK\r\n"
        last = number
    assert last > first + 3, "the storm did not rage while the snapshot was taken"
    member.kill()
    # The snapshot alone: the log would mend what it got wrong.
    for segment in member.segments():
        segment.unlink()
    member.start("--rdbcompression", compression)
    seen = contents(member)
    at = int(seen[0][b"number"][1])
    assert first <= at <= last
    strings, table = state(at)
    assert {key: value for key, (kind, value, _) in seen[0].items() if kind == "string"} == strings
    assert seen[0][b"table"][1] == table
    assert len(seen[1]) == len(ballast)
    print(f"the snapshot stands at {at} of {first} to {last}")


def test_a_copied_snapshot_and_record_start_elsewhere(member, new_member):
    member.start()
    assert member.call("SET", "k", "v") == "OK"
    path = member.snapshot()
    before = contents(member)
    other = new_member()
    shutil.copy(path, other.data)
    shutil.copy(member.data / "member.hfd", other.data)
    other.start()
    assert contents(other) == before
    assert other.call("SET", "l", "w") == "OK"
    other.kill_and_start()
    assert other.call("GET", "l") == b"w"


def test_appendfsync_changes_while_running(member):
    member.start("--appendfsync", "no")
    for index, mode in enumerate(("always", "everysec", "no", "always")):
        assert member.call("CONFIG", "SET", "appendfsync", mode) == "OK"
        assert member.call("SET", "k%d" % index, mode) == "OK"
        assert member.call("CONFIG", "GET", "appendfsync") == [b"appendfsync", mode.encode()]
    before = int(member.info()["log_fsyncs"])
    assert member.call("SET", "k", "v") == "OK"
    info = member.info()
    assert int(info["log_fsyncs"]) > before and info["log_synced_index"] == info["log_last_index"]
    member.kill_and_start()
    assert member.call("DBSIZE") == 5


def test_everysec_syncs_by_itself_within_a_second_or_so(member):
    member.start("--appendfsync", "everysec")
    assert member.call("SET", "k", "v") == "OK"
    wait_until(lambda: member.info()["log_synced_index"] == member.info()["log_last_index"], 5, what="a sync")


def test_shutdown_leaves_a_clean_folder(member):
    for words in (["SHUTDOWN"], ["SHUTDOWN", "NOSAVE"], ["SHUTDOWN", "SAVE"], ["SHUTDOWN", "NOW"]):
        member.start("--appendfsync", "no")
        assert member.call("INCR", "n") >= 1
        with member.connect() as connection:
            connection.send(encode(*words))
            assert connection.read_to_end(quiet_s=20) == (b"", True)
        assert member.wait_end() == 0
        assert "not left clean" not in member.log()
    member.start()
    assert member.call("GET", "n") == b"4"
    assert not isinstance(member.call("PING"), Error)


@pytest.mark.parametrize("mode", ("always", "everysec"))
def test_a_pipeline_that_ends_in_shutdown_is_kept_and_answered(mode, member):
    member.start("--appendfsync", mode)
    with member.connect() as connection:
        connection.send(b"".join(encode("INCR", "n") for _ in range(100)) + encode("SHUTDOWN"))
        data, closed = connection.read_to_end(quiet_s=20)
    assert closed and data == b"".join(b":%d\r\n" % (i + 1) for i in range(100))
    assert member.wait_end() == 0
    member.start()
    assert member.call("GET", "n") == b"100"
