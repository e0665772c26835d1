"""node-redis (RESP2, RESP3) and ioredis: a session's life (node/*.mjs)."""

import pathlib

import pytest

from harness.programs import transcript

NODE = pathlib.Path(__file__).parent / "node"
DRIVERS = [("node_redis", 2), ("node_redis", 3), ("ioredis", 2)]


@pytest.mark.parametrize("driver, protocol", DRIVERS)
def test_session_life(driver, protocol, both):
    seen = both(lambda server: transcript(
        ["node", f"{driver}.mjs", server.host, str(server.port), str(protocol), ""], cwd=NODE))
    assert {"step": "watch result", "value": "100"} in seen


@pytest.mark.parametrize("driver, protocol", DRIVERS)
def test_passwords(driver, protocol, both_secured):
    seen = both_secured(lambda server: transcript(
        ["node", f"{driver}.mjs", server.host, str(server.port), str(protocol), server.password], cwd=NODE))
    assert {"step": "password sesame", "value": None} in seen
