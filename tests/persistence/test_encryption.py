"""Encryption at rest: keys from a file and from the environment, rotation, and what is said when they do not fit."""

import secrets

import pytest

from support.contents import contents

VARIABLE = "HOLDFAST_ENCRYPTION_KEY"
SECRET = b"a secret that must not lie on the disk in the clear"


def key_file(member, *keys):
    path = member.place / "keys"
    path.write_text("\n".join(keys) + "\n")
    return ["--set", f"persistence.encryption_key_file={path}"]


def on_disk(member):
    return b"".join(path.read_bytes() for path in sorted(member.data.iterdir()))


def fill(member):
    with member.connect() as connection:
        connection.pipeline([["SET", b"%s %d" % (SECRET, i), SECRET * 20] for i in range(200)])
        connection.call("HSET", SECRET, SECRET, SECRET)


@pytest.mark.parametrize("compression", ("no", "yes"))
def test_nothing_lies_on_the_disk_in_the_clear(compression, member):
    words = key_file(member, secrets.token_hex(32)) + ["--rdbcompression", compression]
    member.start(*words)
    fill(member)
    member.snapshot()
    fill(member)
    before = contents(member)
    member.kill()
    assert SECRET not in on_disk(member)
    member.start(*words)
    assert contents(member) == before


def test_the_same_data_is_readable_on_the_disk_without_encryption(member):
    member.start()
    fill(member)
    member.kill()
    assert SECRET in on_disk(member)


def test_the_key_from_the_environment(member):
    key = {VARIABLE: secrets.token_hex(32)}
    member.start(environment=key)
    fill(member)
    before = contents(member)
    member.kill_and_start(environment=key)
    assert contents(member) == before
    assert key[VARIABLE].encode() not in b"".join(str(member.call("CONFIG", "GET", "*")).encode() for _ in range(1))
    assert key[VARIABLE] not in member.log()


def test_a_key_twice_is_refused(member):
    status, said = member.refused(*key_file(member, secrets.token_hex(32)), environment={VARIABLE: secrets.token_hex(32)})
    assert status == 2 and VARIABLE in said and "give one of them" in said


@pytest.mark.parametrize("text, expected", (("", "no key"), ("abcd", "64"), ("z" * 64, "hex")))
def test_a_malformed_key_is_refused(text, expected, member):
    words = key_file(member, text)
    status, said = member.refused(*words)
    assert status == 2 and "encryption_key_file" in said and expected in said, said
    assert not text or text not in said


def test_a_missing_key_file_is_named(member):
    status, said = member.refused("--set", "persistence.encryption_key_file=/nonexistent/keys")
    assert status == 2 and "/nonexistent/keys" in said and "No such file" in said


@pytest.mark.parametrize("with_snapshot", (False, True))
def test_a_wrong_or_missing_key_is_refused_and_harms_nothing(with_snapshot, member):
    right = key_file(member, secrets.token_hex(32))
    member.start(*right)
    fill(member)
    if with_snapshot:
        member.snapshot()
    before = contents(member)
    member.kill()
    files = on_disk(member)
    for environment in ({}, {VARIABLE: secrets.token_hex(32)}):
        status, said = member.refused(environment=environment)
        assert status == 1 and "key" in said and ("log-" in said or "snapshot-" in said), said
    assert on_disk(member)[-1000:] == files[-1000:]
    member.start(*right)
    assert contents(member) == before


def test_rotation_with_two_keys(member):
    old, new = secrets.token_hex(32), secrets.token_hex(32)
    member.start(*key_file(member, old))
    fill(member)
    member.restart(*key_file(member, new, old), "--set", "persistence.snapshots_kept=1")
    assert member.call("SET", "behind", "1") == "OK"
    member.snapshot()
    assert member.call("SET", "behind", "2") == "OK"
    before = contents(member)
    # The next snapshot that is taken with the new key, and the old log gone, end the need for the old one.
    member.snapshot()
    member.restart(*key_file(member, new), "--set", "persistence.snapshots_kept=1")
    assert contents(member) == before


def test_from_clear_to_encrypted_and_back(member):
    member.start()
    fill(member)
    key = secrets.token_hex(32)
    member.restart(*key_file(member, key))
    assert member.call("SET", "encrypted", "1") == "OK"
    before = contents(member)
    member.kill_and_start(*key_file(member, key))
    assert contents(member) == before


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("encrypted", (False, True))
@pytest.mark.parametrize("what", ("log", "snapshot"))
def test_a_flipped_bit_is_reported_and_never_loaded(what, encrypted, member):
    words = key_file(member, secrets.token_hex(32)) if encrypted else []
    member.start(*words, "--appendfsync", "always", "--set", "persistence.snapshots_kept=1")
    fill(member)
    if what == "snapshot":
        member.snapshot()
    fill(member)
    before = contents(member)
    assert member.stop() == 0
    path = (member.segments() if what == "log" else member.snapshots())[0]
    flip(path, path.stat().st_size // 2)
    if what == "log":
        status, said = member.refused(*words)
        assert status == 1 and path.name in said and "offset" in said, said
        assert f"holdfast check {member.data}" in said and f"holdfast check --repair {member.data}" in said
    else:
        # The log still has everything: the first snapshot never made it superfluous.
        member.start(*words)
        assert contents(member) == before
        member.wait_log(path.name)
