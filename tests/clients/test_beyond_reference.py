"""Where Holdfast is ahead of redis-server 7.0: the replies are those of Redis 7.2. And where it is stricter by choice."""

import ssl

import pytest

from harness.resp import Error
from harness.wait import wait_until

CALLS = [
    (["CLIENT", "SETINFO", "LIB-NAME", "redis-py"], "OK"),
    (["client", "setinfo", "lib-ver", "5.0.1"], "OK"),
    (["CLIENT", "SETINFO", "LIB-NAME", ""], "OK"),
    (["CLIENT", "SETINFO", "LIB-NAME", "go-redis(,go1.22)"], "OK"),
    (["CLIENT", "SETINFO", "LIB-NAME", "with space"],
     "ERR lib-name cannot contain spaces, newlines or special characters."),
    (["CLIENT", "SETINFO", "LIB-VER", "new\nline"], "ERR lib-ver cannot contain spaces, newlines or special characters."),
    (["CLIENT", "SETINFO", "bogus", "x"], "ERR Unrecognized option 'bogus'"),
    (["CLIENT", "SETINFO"], "ERR wrong number of arguments for 'client|setinfo' command"),
    (["CLIENT", "SETINFO", "LIB-NAME"], "ERR wrong number of arguments for 'client|setinfo' command"),
    (["CLIENT", "NO-TOUCH", "ON"], "OK"),
    (["CLIENT", "NO-TOUCH", "off"], "OK"),
    (["CLIENT", "NO-TOUCH", "bogus"], "ERR syntax error"),
    (["CLIENT", "NO-TOUCH"], "ERR wrong number of arguments for 'client|no-touch' command"),
]


@pytest.fixture
def holdfast(pair):
    server = pair.get("holdfast")
    if b"holdfast_version:" not in server.call("INFO", "server"):
        pytest.skip("HOLDFAST_BIN is not Holdfast")
    return server


@pytest.mark.parametrize("words, expected", CALLS, ids=[" ".join(words) for words, _ in CALLS])
def test_newer_commands(words, expected, holdfast):
    reply = holdfast.call(*words)
    assert reply == expected and isinstance(reply, Error) == expected.startswith("ERR")


def test_setinfo_shows_in_client_list(holdfast):
    with holdfast.connect() as connection:
        connection.call("CLIENT", "SETINFO", "LIB-NAME", "mylib")
        connection.call("CLIENT", "SETINFO", "LIB-VER", "1.2.3")
        assert b" lib-name=mylib lib-ver=1.2.3" in connection.call("CLIENT", "INFO")


def test_the_handshake_of_new_drivers_is_refused_politely(holdfast):
    """CLIENT MAINT_NOTIFICATIONS and CLIENT CAPA must be errors: an OK would promise what is not there."""
    for words in (["CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "none"], ["CLIENT", "CAPA", "redirect"]):
        assert holdfast.call(*words).startswith("ERR unknown subcommand")


def test_no_sentinel_on_the_data_port(holdfast):
    assert holdfast.call("SENTINEL", "MASTERS").startswith("ERR unknown command 'SENTINEL'")


def test_more_than_a_million_arguments_are_refused(holdfast):
    """The documented limit of 1,048,576 (redis-server 7.0 itself goes on to 2^31 - 1)."""
    with holdfast.connect() as connection:
        connection.send(b"*1048577\r\n")
        assert connection.read_to_end(5) == (b"-ERR Protocol error: invalid multibulk length\r\n", True)
    with holdfast.connect() as connection:
        connection.send(b"*1048576\r\n$4\r\nMGET\r\n" + b"$1\r\nk\r\n" * 1048575)
        expected = b"*1048575\r\n" + b"$-1\r\n" * 1048575
        got = b""
        while len(got) < len(expected):
            part = connection.socket.recv(1 << 20)
            assert part
            got += part
        assert got == expected


def test_a_tls_client_is_turned_away_and_named_in_the_log(holdfast):
    """redis-server leaves it waiting: each side waits for the other's first word."""
    with holdfast.connect() as connection, pytest.raises(ssl.SSLError):
        ssl._create_unverified_context().wrap_socket(connection.socket)
    wait_until(lambda: b"a TLS handshake, but there is no TLS on this port" in holdfast.log_path().read_bytes(),
               what="the log's line")
