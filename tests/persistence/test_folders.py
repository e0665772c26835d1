"""Folders that cannot be used: what is said, and with which exit status."""

import os

import pytest

from support.faults import other_user, remount, tmpfs
from support.member import Member


def test_a_second_server_on_the_same_folder_is_refused(member, new_member):
    member.start()
    assert member.call("SET", "k", "v") == "OK"
    second = new_member()
    second.data = member.data
    status, said = second.refused()
    assert status == 1
    assert "another server is using this data folder" in said and str(member.data) in said and "stop the other server" in said
    assert "not left clean" not in said, "it is not ours to leave"
    assert member.call("SET", "k", "w") == "OK"
    member.kill()
    second.start()
    assert second.call("GET", "k") == b"w"


def test_a_missing_folder_is_named(member):
    member.data.rmdir()
    status, said = member.refused()
    assert status == 1 and "No such file or directory" in said and str(member.data) in said


def test_a_file_in_the_folders_place_is_named(member):
    member.data.rmdir()
    member.data.write_text("not a folder")
    status, said = member.refused()
    assert status == 1 and "Not a directory" in said and str(member.data) in said


def test_a_read_only_file_system_is_named(tmp_path):
    with tmpfs(tmp_path / "small" / "data", "8m") as volume, Member(tmp_path / "small") as member:
        member.start()
        assert member.call("SET", "k", "v") == "OK"
        assert member.stop() == 0
        remount(volume, "ro")
        status, said = member.refused()
        assert status == 1 and "Read-only file system" in said and "mount it writable" in said, said
        remount(volume, "rw")
        member.start()
        assert member.call("GET", "k") == b"v"


@pytest.mark.parametrize("rights", (0o000, 0o555))
def test_a_folder_without_the_right_to_write_is_named(rights, member):
    member.start()
    assert member.call("SET", "k", "v") == "OK"
    assert member.stop() == 0
    with other_user(member) as wrap:
        member.data.chmod(rights)
        try:
            status, said = member.refused(wrap=wrap)
        finally:
            member.data.chmod(0o755)
    assert status == 1 and "Permission denied" in said and str(member.data) in said, said
    member.start()
    assert member.call("GET", "k") == b"v"


def test_files_without_the_right_to_read_are_named(member):
    if os.geteuid() != 0:
        pytest.skip("only root can give files to another user")
    member.start()
    assert member.call("SET", "k", "v") == "OK"
    assert member.stop() == 0
    with other_user(member) as wrap:
        member.data.chmod(0o777)
        status, said = member.refused(wrap=wrap)
    assert status == 1 and "Permission denied" in said and str(member.data / "member.hfd") in said, said


def test_the_files_are_nobody_elses_to_read(member):
    member.start()
    assert member.call("SET", "k", "secret") == "OK"
    member.snapshot()
    readable = [path.name for path in member.data.iterdir() if path.stat().st_mode & 0o007]
    assert not readable


def test_a_file_that_is_not_ours_is_left_alone(member):
    member.start()
    other = member.data / "notes.txt"
    other.write_text("mine")
    (member.data / "notes.tmp").write_text("mine")
    member.snapshot()
    member.restart()
    assert other.read_text() == "mine" and (member.data / "notes.tmp").read_text() == "mine"


def test_without_persistence_no_file_is_made(member):
    for words in (["--appendonly", "no"], ["--set", "persistence.enabled=no"]):
        member.start(*words)
        assert member.call("SET", "k", "v") == "OK"
        assert member.info()["aof_enabled"] == "0"
        member.wait_log("memory only")
        assert "Persistence" in str(member.call("SAVE")) or "persistence" in str(member.call("SAVE"))
        assert member.stop() == 0
        assert not list(member.data.iterdir())
    config = member.place / "holdfast.yaml"
    config.write_text("persistence: off\n")
    member.start("--config", str(config))
    assert member.call("CONFIG", "GET", "appendonly") == [b"appendonly", b"no"]
    assert member.stop() == 0 and not list(member.data.iterdir())


def test_turning_persistence_off_and_on_again_shows_the_old_data(member):
    member.start()
    assert member.call("SET", "k", "v") == "OK"
    assert member.stop() == 0
    member.start("--appendonly", "no")
    assert member.call("GET", "k") is None and member.call("SET", "k", "of the other life") == "OK"
    assert member.stop() == 0
    member.start()
    assert member.call("GET", "k") == b"v"


def test_a_folder_that_is_moved_under_the_server_takes_its_files_along(member):
    member.start("--appendfsync", "always", "--set", "persistence.segment_bytes=1mb")
    assert member.call("SET", "k", "v") == "OK"
    moved = member.place / "moved"
    member.data.rename(moved)
    member.data.mkdir()
    assert member.call("SAVE") == "OK"
    assert member.call("SET", "large", b"x" * (2 << 20)) == "OK" and member.call("SET", "k", "w") == "OK"
    assert len(list(moved.glob("snapshot-*"))) == 1 and len(list(moved.glob("log-*"))) >= 2
    assert not list(member.data.iterdir()), "files in the folder that was put in its place"
    member.kill()
    member.data.rmdir()
    moved.rename(member.data)
    member.start()
    assert member.call("GET", "k") == b"w"
