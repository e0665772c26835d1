"""phpredis (Debian's php-redis): a session's life (php/life.php). Its session handler is in test_frameworks.py."""

import pathlib

from harness.programs import transcript

PHP = pathlib.Path(__file__).parent / "php"


def life(server):
    return transcript(["php", "-d", "memory_limit=512M", "life.php", server.host, str(server.port), "2", server.password or ""], cwd=PHP)


def test_session_life(both):
    assert {"step": "watch result", "value": "100"} in both(life)


def test_passwords(both_secured):
    assert {"step": "read", "value": False} in both_secured(life)
