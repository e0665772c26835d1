"""go-redis (RESP2, RESP3): a session's life (go/main.go)."""

import pytest

from harness.programs import transcript
from harness.server import REPO

PROGRAM = REPO / "build" / "clients-go" / "life"


def life(server, protocol):
    return transcript([str(PROGRAM), server.host, str(server.port), str(protocol), server.password or ""])


@pytest.mark.parametrize("protocol", (2, 3))
def test_session_life(protocol, both):
    assert {"step": "watch result", "value": ["100"]} in both(life, protocol)


@pytest.mark.parametrize("protocol", (2, 3))
def test_passwords(protocol, both_secured):
    assert {"step": "password sesame", "value": ["", "error: redis: nil"]} in both_secured(life, protocol)
