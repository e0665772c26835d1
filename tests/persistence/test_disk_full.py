"""A volume that fills up: writes are refused, reads go on, and with room the server writes again without a restart."""

import pytest

from harness.resp import Closed, Error
from harness.wait import wait_until

from support.contents import contents, differences
from support.faults import tmpfs
from support.member import Member

VALUE = b"x" * 10_000


def fill(member):
    """Writes until the volume is full; what was acknowledged. The connection ends with the write that is uncertain."""
    acknowledged = {}
    for i in range(10_000):
        key = b"key:%d" % i
        try:
            with member.connect() as connection:
                reply = connection.call("SET", key, VALUE)
        except Closed:
            return acknowledged, key
        if isinstance(reply, Error):
            assert reply.startswith("MISCONF"), reply
            return acknowledged, None
        acknowledged[key] = ("string", VALUE, None)
    raise AssertionError("the volume does not fill up")


@pytest.mark.parametrize("fsync", ("always", "everysec"))
@pytest.mark.parametrize("size", ("1m", "8m"))
def test_a_full_volume_refuses_writes_and_takes_them_again_when_there_is_room(size, fsync, tmp_path):
    with tmpfs(tmp_path / "small" / "data", size) as volume, Member(tmp_path / "small", "--appendfsync", fsync) as member:
        ballast = volume / "other-files"
        ballast.write_bytes(b"x" * (400_000 if size == "1m" else 4_000_000))
        member.start()
        acknowledged, uncertain = fill(member)
        assert len(acknowledged) > 10
        wait_until(lambda: "the log cannot be written" in member.log(), what="the failure said")
        member.wait_log("No space left on device")
        member.wait_log(f"free space on the volume of {member.data}")
        with member.connect() as connection:
            for name in (["SET", "a", "b"], ["INCR", "n"], ["HSET", "h", "f", "v"], ["FLUSHALL"], ["EXPIRE", "key:1", "100"], ["PING"]):
                assert connection.call(*name) == "MISCONF Errors writing to the AOF file: No space left on device"
            for key, (_, value, _) in acknowledged.items():
                assert connection.call("GET", key) == value
            assert connection.call("TTL", "key:1") == -1 and connection.call("CONFIG", "GET", "appendfsync")
        assert member.info()["log_last_error"] == "No space left on device"

        ballast.unlink()
        wait_until(lambda: member.call("SET", "after", "1") == "OK", 20, what="writes accepted again")
        expected = {0: {**acknowledged, b"after": ("string", b"1", None)}}
        if uncertain is not None:  # it was applied, and is written now
            expected[0][uncertain] = ("string", VALUE, None)
        assert not differences(contents(member), expected)
        member.kill_and_start()
        assert not differences(contents(member), expected)


def test_a_full_volume_survives_a_kill_and_a_start_without_room(tmp_path):
    with tmpfs(tmp_path / "small" / "data", "1m") as volume, Member(tmp_path / "small", "--appendfsync", "always") as member:
        ballast = volume / "other-files"
        ballast.write_bytes(b"x" * 400_000)
        member.start()
        acknowledged, uncertain = fill(member)
        member.kill()
        # Not a byte is left; it may come up and refuse writes, or say why it does not.
        member.spawn()
        wait_until(lambda: "loaded" in member.log() or not member.alive(), 30, what="an end or the data loaded")
        if not member.alive():
            member.wait_log("No space left on device")
        member.kill()
        ballast.unlink()
        member.start()
        seen = contents(member)[0]
        seen.pop(uncertain, None)
        assert seen == acknowledged
        assert member.call("SET", "after", "1") == "OK"


def test_a_snapshot_without_room_fails_alone_and_leaves_nothing_behind(tmp_path):
    with tmpfs(tmp_path / "small" / "data", "8m") as volume, Member(tmp_path / "small") as member:
        member.start()
        # In the log once, and overwritten, so that a snapshot needs much less than the log; then no room for either.
        with member.connect() as connection:
            connection.pipeline([["SET", b"key:%d" % i, VALUE] for i in range(200)])
        ballast = volume / "other-files"
        ballast.write_bytes(b"x" * 4_500_000)
        reply = member.call("SAVE")
        assert isinstance(reply, Error), reply
        member.wait_log("No space left on device")
        assert member.info()["rdb_last_bgsave_status"] == "err"
        assert not list(member.data.glob("*.tmp")) and not member.snapshots()
        ballast.unlink()
        assert member.call("SAVE") == "OK"
        wait_until(lambda: member.call("SET", "after", "1") == "OK", 20, what="writes accepted")
