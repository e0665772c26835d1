"""`holdfast check`: what it prints of real folders, sound, torn and damaged, and what --repair leaves."""

import fcntl
import os
import secrets
import subprocess

import pytest

from harness.server import holdfast_binary

from support.contents import contents

SOUND, DAMAGED, NOTHING_TO_SAY = 0, 1, 2


def check(*words, environment=None):
    env = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")} | (environment or {})
    done = subprocess.run([holdfast_binary(), "check", *map(str, words)], capture_output=True, text=True, env=env, timeout=120)
    return done.returncode, done.stdout + done.stderr


def fill(member, database=0, count=300):
    with member.connect() as connection:
        connection.call("SELECT", database)
        connection.pipeline([["SET", b"k%d" % i, b"x" * 200] for i in range(count)])


def files(member):
    return {path.name: path.read_bytes() for path in member.data.iterdir()}


def test_a_sound_folder(member):
    member.start()
    fill(member)
    member.snapshot()
    fill(member, 1)
    assert member.stop() == 0
    before = files(member)
    status, said = check(member.data)
    assert status == SOUND, said
    assert "member.hfd" in said and member.snapshots()[0].name in said and member.segments()[0].name in said and "healthy" in said
    assert check(member.data, "--repair") == (SOUND, said), "a repair of a sound folder changes nothing"
    assert files(member) == before


def test_the_folder_from_the_configuration(member):
    member.start()
    assert member.stop() == 0
    config = member.place / "holdfast.yaml"
    # Other options may be wrong for a server here: check needs none of them.
    config.write_text(f'server:\n  dir: "{member.data}"\n  bind: ["0.0.0.0"]\n')
    status, said = check("--config", config)
    assert status == SOUND and "healthy" in said, said


def test_a_new_folder(member):
    assert check(member.data) == (SOUND, "empty: no data yet\n")


@pytest.mark.parametrize("words, expected", (([], "which data folder"), (["a", "b"], "one more"), (["--nosuch", "a"], "unknown option"),
                                             (["/nonexistent/folder"], "No such file or directory"), (["/etc/passwd"], "Not a directory")))
def test_wrong_usage_says_what_is_wrong(words, expected):
    status, said = check(*words)
    assert status == NOTHING_TO_SAY and expected in said, said


def test_a_folder_in_use_is_refused_and_the_server_goes_on(member):
    member.start()
    fill(member)
    before = sorted(files(member))
    for words in ([], ["--repair"]):
        status, said = check(member.data, *words)
        assert status == NOTHING_TO_SAY and "a server is using this data folder" in said and str(member.data) in said, said
    assert sorted(files(member)) == before
    assert member.call("SET", "k", "v") == "OK"


def test_a_server_does_not_start_while_check_has_the_folder_locked(member):
    """The other way round is the lock of the folder, which both take."""
    folder = os.open(member.data, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        status, said = member.refused()
    finally:
        os.close(folder)
    assert status == 1 and "another server is using this data folder" in said


def test_a_torn_tail_is_sound(member):
    member.start("--appendfsync", "no")
    fill(member)
    member.kill()
    segment = member.segments()[-1]
    segment.write_bytes(segment.read_bytes() + b"\x17" * 100)
    before = files(member)
    status, said = check(member.data)
    assert status == SOUND and "torn tail at offset" in said, said
    assert files(member) == before
    member.start()
    assert member.call("DBSIZE") == 300


def damaged(member, share=0.5):
    """A folder whose log is damaged in the middle; the segment's path."""
    member.start("--appendfsync", "always")
    fill(member)
    assert member.stop() == 0
    segment = member.segments()[0]
    data = bytearray(segment.read_bytes())
    data[int(len(data) * share)] ^= 0x40
    segment.write_bytes(data)
    return segment


def test_a_damaged_log_is_named_and_repaired_only_when_told_so(member):
    segment = damaged(member)
    before = files(member)
    status, said = check(member.data)
    assert status == DAMAGED and segment.name in said and "DAMAGED at offset" in said and "--repair would" in said, said
    assert files(member) == before

    refused, server_said = member.refused()
    assert refused == 1 and segment.name in server_said
    # The commands that the server names, as they stand there.
    for command in (f"holdfast check {member.data}", f"holdfast check --repair {member.data}"):
        assert f"`{command}`" in server_said
    status, said = check("--repair", member.data)
    assert status == SOUND and "repaired" in said and "are lost" in said and "healthy now" in said, said
    assert list(member.data.glob("*.damaged")), "what was cut is kept"
    assert check(member.data)[0] == SOUND
    member.start()
    keys = member.call("DBSIZE")
    assert 50 < keys < 300, "what came before the damage is there"
    assert member.call("EXISTS", *(b"k%d" % i for i in range(keys))) == keys
    assert member.call("SET", "k", "v") == "OK"
    member.kill_and_start()
    assert member.call("GET", "k") == b"v"


def test_a_damaged_snapshot_is_set_aside(member):
    member.start()
    fill(member)
    first = member.snapshot()
    fill(member, 1)
    second = member.snapshot()
    before = contents(member)
    assert member.stop() == 0
    data = bytearray(second.read_bytes())
    data[len(data) // 2] ^= 1
    second.write_bytes(data)
    status, said = check(member.data)
    assert status == DAMAGED and second.name in said, said
    assert check(member.data, "--repair")[0] == SOUND
    assert member.snapshots() == [first] and (member.data / (second.name + ".damaged")).exists()
    member.start()
    assert contents(member) == before


def test_an_encrypted_folder_needs_its_key(member):
    keys = member.place / "keys"
    keys.write_text(secrets.token_hex(32))
    words = ["--set", f"persistence.encryption_key_file={keys}"]
    member.start(*words)
    fill(member)
    member.snapshot()
    assert member.stop() == 0
    status, said = check(member.data)
    assert status == NOTHING_TO_SAY and "key" in said, said
    assert check(member.data, "--encryption-key-file", keys)[0] == SOUND
    assert check(member.data, environment={"HOLDFAST_ENCRYPTION_KEY": keys.read_text()})[0] == SOUND
    assert check(member.data, environment={"HOLDFAST_ENCRYPTION_KEY": "abc"})[0] == NOTHING_TO_SAY


def test_a_lost_record_is_named_and_beyond_repair(member):
    member.start()
    fill(member)
    assert member.stop() == 0
    (member.data / "member.hfd").unlink()
    status, said = check(member.data, "--repair")
    assert status == DAMAGED and "member.hfd" in said and "cannot be repaired" in said, said
    status, said = member.refused()
    assert status == 1 and "member.hfd" in said


def test_a_missing_segment_is_named(member):
    member.start("--set", "persistence.segment_bytes=1mb")
    with member.connect() as connection:
        connection.pipeline([["SET", b"k%d" % i, b"x" * 10_000] for i in range(400)])
    assert member.stop() == 0
    gone = member.segments()[1]
    gone.rename(member.place / gone.name)
    status, said = check(member.data)
    assert status == DAMAGED, said
    status, said = member.refused()
    assert status == 1, said
    (member.place / gone.name).rename(gone)
    member.start()
    assert member.call("DBSIZE") == 400


def test_a_file_of_a_newer_version_is_refused_clearly(member):
    member.start()
    fill(member)
    assert member.stop() == 0
    segment = member.segments()[0]
    data = bytearray(segment.read_bytes())
    newer = None
    for at in range(4, 16):  # wherever in the header the version stands
        changed = bytearray(data)
        changed[at] += 1
        segment.write_bytes(changed)
        status, said = check(member.data)
        if "format version" in said:
            newer = said
            assert status == NOTHING_TO_SAY
            refused, server_said = member.refused()
            assert refused == 1 and "format version" in server_said and segment.name in server_said
    assert newer is not None, "no byte of the header is the version"


def test_help_documents_it():
    done = subprocess.run([holdfast_binary(), "--help"], capture_output=True, text=True)
    assert "holdfast check FOLDER [--repair]" in done.stdout and "Exit status" in done.stdout
    status, said = check("--help")
    assert status == 0 and "holdfast check FOLDER" in said
