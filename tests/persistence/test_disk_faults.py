"""Disks that fail under the running program: system calls are made to fail by strace.

What must hold: one clear line in the log, writes refused with MISCONF, reads of what is safe go on, no acknowledged write
lost, and writes accepted again without a restart once the disk works.
"""

import re

import pytest

from harness.resp import Closed, Error, encode
from harness.wait import wait_until

from support.contents import contents
from support.faults import born_failing, failing
from support.storm import FSYNCS
from support.writers import Writers

FAULTS = {
    "fsync": ["fdatasync:error=EIO"],
    "write, no space": ["pwritev:error=ENOSPC"],
    "write, device": ["pwritev:error=EIO"],
    "write and fsync": ["pwritev:error=ENOSPC", "pwrite64:error=ENOSPC", "fdatasync:error=EIO"],
    "new files": ["fdatasync:error=EIO", "fsync:error=EIO", "rename:error=EIO"],
}


def probe(member):
    """The reply to a write in a database that no writer has; None if it became uncertain."""
    with member.connect() as connection:
        connection.call("SELECT", 15)
        try:
            return connection.call("SET", "probe", "1")
        except Closed:
            return None


def is_refusing(member):
    return str(probe(member)).startswith("MISCONF")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("fsync", ("always", "everysec"))
def test_a_failing_disk_loses_no_acknowledged_write_and_is_recovered_from(fsync, fault, member, seed):
    member.start("--appendfsync", fsync)
    writers = Writers(member, 2, seed)
    writers.start()
    wait_until(lambda: writers.acknowledged > 200 or writers.failed(), 60, what="some load")
    with failing(member, *FAULTS[fault]):
        # Their connections end, or they hear MISCONF from now on.
        wait_until(lambda: is_refusing(member), 30, what="writes refused")
        refusal = probe(member)
        assert re.fullmatch(r"MISCONF Errors writing to the AOF file: (No space left on device|Input/output error)", refusal), refusal
        assert member.info()["aof_last_write_status"] == "err"
        member.wait_log("refused")
        assert "Input/output error" in member.log() or "No space left" in member.log()
        assert member.ping().startswith("MISCONF")  # as Redis does
        assert member.call("DBSIZE") is not None
    wait_until(lambda: probe(member) == "OK", 30, what="writes accepted again")
    assert member.info()["aof_last_write_status"] == "ok"
    member.wait_log("writes are accepted")
    member.kill()
    writers.join()
    member.start("--appendfsync", fsync)
    writers.settle()
    assert member.log().count("cannot") == 0, member.log()


def test_a_failure_is_said_once_and_not_with_every_retry(member):
    member.start("--appendfsync", "always")
    with failing(member, "fdatasync:error=EIO") as trace:
        with member.connect() as connection:
            connection.send(encode("SET", "k", "v"))
            with pytest.raises(Closed):  # uncertain: nobody knows whether it will last
                connection.read()
        wait_until(lambda: trace.read_text().count("INJECTED") >= 4, 30, what="some retries")
    wait_until(lambda: probe(member) == "OK", 30, what="writes accepted again")
    assert member.log().count("the log cannot be written") == 1


def test_a_reply_never_comes_before_its_fsync_with_always(member):
    member.start("--appendfsync", "always")
    with member.connect() as writer, member.connect() as reader:
        assert writer.call("SET", "k", "old") == "OK"
        with failing(member, "fdatasync:delay_enter=700000"):
            writer.send(encode("SET", "k", "new"))
            # Who reads it waits as well: what is seen is not lost. Others do not.
            wait_until(lambda: int(member.info()["log_last_index"]) > int(member.info()["log_committed_index"]), 10, what="a write under way")
            reader.send(encode("GET", "k") + encode("GET", "other"))
            assert member.call("GET", "nothing") is None
            committed = int(member.info()["log_committed_index"]) == int(member.info()["log_last_index"])
            if not committed:
                reader.socket.settimeout(0.01)
                with pytest.raises(TimeoutError):
                    reader.read()
                reader.socket.settimeout(20)
            assert writer.read() == "OK"
            assert reader.read() == b"new" and reader.read() is None


@pytest.mark.parametrize("fsync", FSYNCS)
def test_reads_of_what_is_safe_go_on_while_the_disk_fails(fsync, member):
    member.start("--appendfsync", fsync)
    assert member.call("SET", "safe", "yes") == "OK"
    assert member.call("HSET", "h", "f", "v") == 1
    with failing(member, "pwritev:error=EIO", "fdatasync:error=EIO"):
        with member.connect() as connection:
            connection.send(encode("SET", "unsafe", "1"))
            with pytest.raises(Closed):
                connection.read()
        with member.connect() as connection:
            assert connection.call("GET", "safe") == b"yes"
            assert connection.call("HGETALL", "h") == [b"f", b"v"]
            # It was applied and is not on disk: neither its value nor its absence may be told.
            assert str(connection.call("GET", "unsafe")).startswith("MISCONF")
            assert connection.call("MULTI") == "OK"
            assert str(connection.call("INCR", "n")).startswith("MISCONF")
            assert str(connection.call("EXEC")).startswith("EXECABORT")
            assert str(connection.call("BGSAVE")).startswith("MISCONF")
            refused = connection.call("SHUTDOWN")
            assert isinstance(refused, Error) and "Errors trying to SHUTDOWN" in refused
    wait_until(lambda: probe(member) == "OK", 30, what="writes accepted again")
    # What was uncertain was written after all.
    assert member.call("GET", "unsafe") == b"1"
    before = contents(member)
    member.kill_and_start()
    assert contents(member) == before


def test_a_snapshot_that_fails_is_said_and_the_log_goes_on(member):
    member.start("--appendfsync", "no")
    assert member.call("SET", "k", "v") == "OK"
    with failing(member, "rename:error=EIO"):
        reply = member.call("SAVE")
        assert isinstance(reply, Error), reply
        assert member.info()["rdb_last_bgsave_status"] == "err"
        member.wait_log("snapshot failed")
        member.wait_log("Input/output error")
        assert member.call("SET", "k", "w") == "OK"
    assert member.call("SAVE") == "OK"
    assert member.info()["rdb_last_bgsave_status"] == "ok"
    member.kill_and_start()
    assert member.call("GET", "k") == b"w"


def data_of_a_killed_member(member):
    member.start()
    assert member.call("SET", "k", "v") == "OK"
    member.snapshot()
    assert member.call("SET", "l", "w") == "OK"
    member.kill()


@pytest.mark.parametrize("call, name", (("pread64", "member.hfd"), ("fdatasync", "member.hfd"), ("pwrite64", "member.hfd"),
                                        ("pread64", "log-00000000000000000001.hfl"), ("openat", "log-00000000000000000001.hfl")))
def test_a_disk_that_fails_at_the_start_is_refused_by_name_and_nothing_is_harmed(call, name, member):
    data_of_a_killed_member(member)
    path = member.data / name
    status, said = member.refused(wrap=born_failing(member, f"{call}:error=EIO", path=path))
    assert status == 1 and str(path) in said and "Input/output error" in said, said
    member.start()
    assert member.call("MGET", "k", "l") == [b"v", b"w"]


def test_a_folder_that_cannot_be_synced_at_the_start_is_readable_and_refuses_writes(member):
    data_of_a_killed_member(member)
    member.spawn(wrap=born_failing(member, "fsync:error=EIO"))
    wait_until(lambda: "loaded" in member.log(), 30, what="the data loaded")
    assert member.call("MGET", "k", "l") == [b"v", b"w"]
    wait_until(lambda: is_refusing(member), 30, what="writes refused")
    member.kill_and_start()
    assert member.call("MGET", "k", "l") == [b"v", b"w"]


def test_a_snapshot_on_a_failing_disk_is_refused_and_not_passed_over(member):
    data_of_a_killed_member(member)
    # A disk that fails may work again: this is not the time to go back to an older snapshot.
    wrap = born_failing(member, "pread64:error=EIO", path=member.snapshots()[-1])
    status, said = member.refused(wrap=wrap)
    assert status == 1 and "Input/output error" in said and member.snapshots()[-1].name in said, said
    member.start()
    assert member.call("MGET", "k", "l") == [b"v", b"w"]


@pytest.mark.parametrize("stop", ("SHUTDOWN", "SHUTDOWN FORCE", "SIGTERM"))
def test_a_stop_while_the_disk_fails_says_that_it_was_not_clean(stop, member):
    member.start("--appendfsync", "always")
    assert member.call("SET", "k", "v") == "OK"
    with failing(member, "fdatasync:error=EIO"):
        with member.connect() as connection:
            connection.send(encode("SET", "k", "w"))
            with pytest.raises(Closed):
                connection.read()
        if stop == "SHUTDOWN":
            assert "SHUTDOWN FORCE" in str(member.call("SHUTDOWN"))
            return
        if stop == "SIGTERM":
            member.terminate()
        else:
            with member.connect() as connection, pytest.raises(Closed):
                connection.call(*stop.split())
        member.wait_end()
        member.wait_log("not left clean")
    member.start()
    assert member.call("GET", "k") in (b"v", b"w")
