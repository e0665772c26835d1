"""A wall clock that was set back between two lives: what had expired stays expired, and nothing lives longer than it may.

The clock is libfaketime's; without it, or with a program that it cannot be loaded into, the tests are skipped.
"""

import glob
import os
import subprocess
import time

import pytest

from harness.server import holdfast_binary
from harness.wait import wait_until

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


@pytest.fixture(scope="module")
def at():
    """at(seconds): the environment of a process whose clock is so much off; its monotonic clock is the true one."""
    found = [path for pattern in LIBRARIES for path in glob.glob(pattern)]
    if not found:
        pytest.skip("libfaketime is not installed")

    def environment(seconds):
        return {"LD_PRELOAD": found[0], "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    probe = subprocess.run([holdfast_binary(), "--version"], env={**os.environ, **environment(-5)}, capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"libfaketime cannot be loaded into this program: {probe.stderr.strip()[:200]}")
    return environment


def test_what_had_expired_stays_expired_when_the_clock_is_set_back(at, member):
    member.start(environment=at(0))
    with member.connect() as connection:
        assert connection.call("SET", "session", "x", "PX", 300) == "OK"
        assert connection.call("SET", "longer", "x", "EX", 5000) == "OK"
        wait_until(lambda: connection.call("GET", "session") is None, what="the session expired")
        expiry = connection.call("PEXPIRETIME", "longer")
    member.kill()
    member.start(environment=at(-3600))
    with member.connect() as connection:
        assert connection.call("GET", "session") is None
        assert connection.call("PEXPIRETIME", "longer") == expiry
        assert 0 < connection.call("TTL", "longer") <= 5000


def test_a_key_expires_after_its_time_has_passed_although_the_clock_was_set_back(at, member):
    member.start(environment=at(0))
    assert member.call("SET", "session", "x", "PX", 1500) == "OK"
    member.kill()
    member.start(environment=at(-3600))
    begun = time.monotonic()
    wait_until(lambda: member.call("GET", "session") is None, 10, what="the session expired")
    assert time.monotonic() - begun < 5
    assert member.call("SET", "new", "x", "PX", 200) == "OK"
    wait_until(lambda: member.call("GET", "new") is None, 10, what="a new one expired")


def test_what_expired_during_the_pause_is_gone_when_the_clock_went_ahead(at, member):
    member.start(environment=at(0))
    assert member.call("SET", "session", "x", "EX", 1000) == "OK"
    assert member.call("SET", "longer", "x", "EX", 100_000) == "OK"
    member.kill()
    member.start(environment=at(3600))
    assert member.call("GET", "session") is None
    wait_until(lambda: member.call("DBSIZE") == 1, 10, what="the session deleted")
