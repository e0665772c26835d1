"""jedis (RESP2, RESP3): a session's life (java/)."""

import pytest

from harness.programs import transcript
from harness.server import REPO

BUILT = REPO / "build" / "clients-java"


def life(server, protocol):
    return transcript(["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", f"{BUILT}/classes:{BUILT}/dependency/*", "Life",
                       server.host, str(server.port), str(protocol), server.password or ""])


@pytest.mark.parametrize("protocol", (2, 3))
def test_session_life(protocol, both):
    assert {"step": "watch result", "value": "100"} in both(life, protocol)


@pytest.mark.parametrize("protocol", (2, 3))
def test_passwords(protocol, both_secured):
    assert {"step": "password sesame", "value": None} in both_secured(life, protocol)
