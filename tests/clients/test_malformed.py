"""Malformed requests: the same bytes back from both servers, and the connection closed or kept alike."""

import pytest

from harness.resp import Connection, encode
from harness.server import KINDS

LONG = b"x" * (64 * 1024 + 1)

# name -> bytes sent. All end in PING where the connection could survive, so that its survival shows.
PING = b"*1\r\n$4\r\nPING\r\n"
REQUESTS = {
    "multibulk count is no number": b"*abc\r\n" + PING,
    "multibulk count is empty": b"*\r\n" + PING,
    "multibulk count with a space": b"* 1\r\n$4\r\nPING\r\n" + PING,
    "multibulk count with a plus": b"*+1\r\n$4\r\nPING\r\n" + PING,
    "multibulk count with a leading zero": b"*01\r\n$4\r\nPING\r\n" + PING,
    "multibulk count of minus zero": b"*-0\r\n" + PING,
    "multibulk count is a fraction": b"*1.5\r\n$4\r\nPING\r\n",
    "multibulk count 0": b"*0\r\n" + PING,
    "multibulk count -1": b"*-1\r\n" + PING,
    "multibulk count -10": b"*-10\r\n" + PING,
    "multibulk count far below zero": b"*-9223372036854775808\r\n" + PING,
    "multibulk count one below the least": b"*-9223372036854775809\r\n" + PING,
    "multibulk count beyond 2^31": b"*2147483648\r\n" + PING,
    "multibulk count beyond 2^63": b"*9223372036854775808\r\n",
    "multibulk count with 30 digits": b"*" + b"9" * 30 + b"\r\n",
    "multibulk count far too long": b"*" + b"1" * 70000,
    "multibulk count without its newline": b"*1\r$4\r\nPING\r\n",
    "multibulk count ended by newline alone": b"*1\n$4\r\nPING\r\n" + PING,
    "no dollar before the bulk": b"*1\r\n4\r\nPING\r\n",
    "integer instead of a bulk": b"*1\r\n:4\r\nPING\r\n",
    "array inside an array": b"*1\r\n*1\r\n$4\r\nPING\r\n",
    "plus instead of a dollar": b"*2\r\n$4\r\nPING\r\n+hi\r\n",
    "empty line instead of a bulk": b"*1\r\n\r\n",
    "newline instead of a bulk": b"*1\r\n\n",
    "high byte instead of a dollar": b"*1\r\n\xff4\r\n",
    "quote instead of a dollar": b"*1\r\n'4\r\n",
    "bulk length -1": b"*1\r\n$-1\r\n" + PING,
    "bulk length -1 as an argument": b"*2\r\n$4\r\nPING\r\n$-1\r\n" + PING,
    "bulk length far below zero": b"*1\r\n$-9223372036854775808\r\n",
    "bulk length is no number": b"*1\r\n$abc\r\n",
    "bulk length is empty": b"*1\r\n$\r\n",
    "bulk length with a space": b"*1\r\n$ 4\r\nPING\r\n",
    "bulk length with a plus": b"*1\r\n$+4\r\nPING\r\n",
    "bulk length with a leading zero": b"*1\r\n$04\r\nPING\r\n",
    "bulk length one above 512 MB": b"*1\r\n$536870913\r\n",
    "bulk length beyond 2^31": b"*1\r\n$2147483648\r\n",
    "bulk length beyond 2^32": b"*1\r\n$4294967300\r\nPING\r\n",
    "bulk length beyond 2^63": b"*1\r\n$9223372036854775808\r\n",
    "bulk length far too long": b"*1\r\n$" + b"1" * 70000,
    "bulk length without end after 64 KB": b"*2\r\n$4\r\nPING\r\n$" + LONG,
    "bulk body longer than said": b"*1\r\n$4\r\nPINGPING\r\n" + PING,
    "bulk body shorter than said": b"*2\r\n$4\r\nPING\r\n$10\r\nabc\r\n" + PING + PING,
    "bulk body without its newline": b"*1\r\n$4\r\nPINGxx" + PING,
    "a bulk of no length as the command": b"*1\r\n$0\r\n\r\n" + PING,
    "bulk length with a letter behind": b"*1\r\n$4a\r\nPING\r\n",
    "a good request, then a bad one": PING + b"*x\r\n" + PING,
    "a bad bulk inside MULTI": encode("MULTI") + encode("PING") + b"*1\r\n$x\r\n" + PING,
    "reply types as requests": b"+OK\r\n:5\r\n-ERR\r\n" + PING,
    "resp3 types as requests": b"%1\r\n_\r\n#t\r\n,1.5\r\n" + PING,
    "inline": b"PING\r\n",
    "inline ended by newline alone": b"PING\n" + PING,
    "inline with arguments": b"SET inline value\r\nGET inline\r\n",
    "inline in mixed case with many spaces": b"  pInG   hello  \r\n" + PING,
    "inline with tabs": b"PING\thello\r\n" + PING,
    "inline empty lines": b"\r\n\r\n\n" + PING,
    "inline line of spaces": b"    \r\n" + PING,
    "inline double quotes": b'PING "hello world"\r\n',
    "inline single quotes": b"PING 'hello world'\r\n",
    "inline escapes": b'PING "\\x41\\n\\r\\t\\b\\a\\\\\\"\\q"\r\n',
    "inline escaped single quote": b"PING 'it\\'s \\n'\r\n",
    "inline hex escape that is none": b'PING "\\xzz\\x4"\r\n',
    "inline empty quotes": b'PING ""\r\n' + b"PING ''\r\n",
    "inline unbalanced double quote": b'PING "hello\r\n' + PING,
    "inline unbalanced single quote": b"PING 'hello\r\n" + PING,
    "inline text behind the quote": b'PING "hello"world\r\n' + PING,
    "inline quote inside a word": b'PING he"llo wor"ld\r\n' + PING,
    "inline quote that ends in a backslash": b'PING "hello\\"\r\n' + PING,
    "inline lone quote": b'"\r\n' + PING,
    "inline high bytes": b"PING \xff\xfe\r\n" + PING,
    "inline unknown command": b"nosuch a b\r\n" + PING,
    "inline wrong arity": b"GET\r\n" + PING,
    "inline carriage return inside": b"PING a\rb\r\n" + PING,
    "inline too long": LONG + b"\r\n",
    "inline too long without an end": LONG,
    "inline too long after a good request": PING + LONG,
    "inline QUIT": b"QUIT\r\n" + PING,
    "inline HAProxy check": b"PING\r\nINFO nosuch\r\nQUIT\r\n",
    "http post": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + PING,
    "http get": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + PING,
    "http host line": b"Host: 127.0.0.1\r\n" + PING,
    "http host in lower case": b"host: example\r\n" + PING,
    "http post in lower case": b"post / HTTP/1.1\r\n" + PING,
    "post as an array": encode("POST", "/", "x") + PING,
    "host as an array": encode("Host:", "x") + PING,
    "post after a good request": PING + b"POST /\r\n" + PING,
    "newlines inside a command name": encode("PI\r\nNG") + PING,
    "a zero byte inside a command name": encode("PING\x00") + PING,
    "a null name": encode("") + PING,
}

# Where a line of the protocol holds a zero byte, redis-server waits for a line end that never comes (its search stops at
# the zero). Nothing relies on that: any answer or a close will do, as long as the server lives.
ZERO_BYTES = {
    "multibulk count with a zero byte": b"*1\x00\r\n$4\r\nPING\r\n",
    "zero byte instead of a dollar": b"*1\r\n\x00\r\n",
    "inline zero byte": b"PING \x00abc\r\n" + PING,
    "inline zero byte first": b"\x00PING\r\n" + PING,
    "inline only zero bytes": b"\x00\x00\r\n" + PING,
    "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n" + PING,
}

# To a server with a password, before AUTH.
UNAUTHENTICATED = {
    "ten arguments": b"*10\r\n" + b"$1\r\na\r\n" * 10 + PING,
    "eleven arguments": b"*11\r\n" + b"$1\r\na\r\n" * 11 + PING,
    "a huge count": b"*1048576\r\n",
    "bulk of 16384": b"*2\r\n$4\r\nPING\r\n$16384\r\n" + b"x" * 16384 + b"\r\n" + PING,
    "bulk of 16385": b"*2\r\n$4\r\nPING\r\n$16385\r\n" + b"x" * 16385 + b"\r\n" + PING,
    "bulk of 512 MB and one": b"*1\r\n$536870913\r\n",
    "inline ping": b"PING\r\n" + PING,
    "inline too long": LONG,
    "commands": encode("GET", "k") + encode("SET", "k", "v") + encode("MULTI") + encode("EXEC") + encode("COMMAND") +
                encode("INFO") + encode("CLIENT", "ID") + encode("nosuch", "a") + encode("GET") + encode("ECHO", "x"),
    "hello without auth": encode("HELLO") + encode("HELLO", "3") + encode("HELLO", "9") + PING,
    "hello with a wrong password": encode("HELLO", "3", "AUTH", "default", "wrong") + PING,
    "hello with a wrong user": encode("HELLO", "3", "AUTH", "nobody", "sesame") + PING,
    "hello with setname but no auth": encode("HELLO", "3", "SETNAME", "x") + PING,
    "auth mistakes": encode("AUTH") + encode("AUTH", "wrong") + encode("AUTH", "default", "wrong") +
                     encode("AUTH", "nobody", "sesame") + encode("AUTH", "a", "b", "c") + encode("AUTH", "") + PING,
    "auth, then all is open": encode("AUTH", "wrong") + encode("AUTH", "sesame") + PING + encode("GET", "missing") +
                              b"*12\r\n" + b"$1\r\na\r\n" * 12,
    "auth with a user": encode("AUTH", "default", "sesame") + PING,
    "wrong auth keeps what was": encode("AUTH", "sesame") + encode("AUTH", "wrong") + PING + encode("GET", "missing"),
    "reset forgets the password": encode("AUTH", "sesame") + encode("RESET") + PING + encode("AUTH", "sesame") + PING,
    "reset": encode("RESET") + PING,
    "quit": encode("QUIT") + PING,
    "http post": b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + PING,
}

# Requests whose parts arrive one by one, at every boundary.
SPLIT = {
    "array": encode("SET", "split", "v\r\n") + encode("GET", "split") + encode("PING", "hello"),
    "inline": b'SET split "a b"\r\nGET split\r\nPING hello\n',
    "bad count": PING + b"*x\r\n",
    "bad bulk": b"*2\r\n$4\r\nECHO\r\n$-5\r\n",
    "unbalanced": b'PING "x\r\n',
    "post": b"POST /\r\n",
    "empty things": b"\r\n*0\r\n*-1\r\n" + encode("ECHO", ""),
}


def outcome(server, parts, quiet_s=0.05):
    """(bytes, closed) after sending the parts one after the other."""
    with Connection(server.host, server.port) as connection:
        for part in parts:
            try:
                connection.send(part)
            except OSError:
                break  # the server has closed already: what it said is still to be read
        data, closed = connection.read_to_end(quiet_s)
        if not closed:  # idle or slow? a last question settles it
            try:
                connection.send(b"\r\n")
            except OSError:
                pass
            more, closed = connection.read_to_end(0.02)
            data += more
        return data, closed


def same(pair, parts, name):
    seen = [outcome(server, parts) for server in pair.both()]
    # A server that closes with unread input resets the connection, which may swallow its last words: ask again.
    for _ in range(5):
        if seen[0] == seen[1]:
            return seen[0]
        seen = [outcome(server, parts, quiet_s=0.3) for server in pair.both()]
    shown = "\n".join(f"  {kind:9}{data[:500]!r} {'closed' if closed else 'open'}"
                      for kind, (data, closed) in zip(KINDS, seen))
    pytest.fail(f"{name}: {b'|'.join(parts)[:200]!r}\n{shown}", pytrace=False)


@pytest.mark.parametrize("name", REQUESTS)
def test_malformed(name, pair):
    same(pair, [REQUESTS[name]], name)


@pytest.mark.parametrize("name", ZERO_BYTES)
def test_zero_bytes_do_no_harm(name, server):
    outcome(server, [ZERO_BYTES[name]])
    assert server.alive() and server.call("PING") == "PONG"
    assert server.call("DBSIZE") == 0


@pytest.mark.parametrize("name", UNAUTHENTICATED)
def test_before_authentication(name, secured_pair):
    same(secured_pair, [UNAUTHENTICATED[name]], name)


def in_parts(server, parts, expected):
    """Sends part by part, each read by the server before the next is sent; stops reading at what is expected."""
    data, closes = expected
    got = b""
    with server.connect() as prober, server.connect() as connection:
        for part in parts:
            try:
                connection.send(part)
            except OSError:
                break
            prober.call("PING")  # answered by a later turn of the server's loop than the one that saw the part
        connection.socket.settimeout(5)
        try:
            while closes or len(got) < len(data):
                more = connection.socket.recv(1 << 16)
                if not more:
                    return got, True
                got += more
        except ConnectionResetError:
            return got, True
        except TimeoutError:
            pass
        return got, False


@pytest.mark.parametrize("name", SPLIT)
def test_split_at_every_byte(name, pair):
    """Two parts at every boundary, and all bytes one by one, answer what the whole answers."""
    whole = SPLIT[name]
    expected = same(pair, [whole], name)
    assert expected[0] or expected[1]
    for server in pair.both():
        for at in range(1, len(whole)):
            assert in_parts(server, [whole[:at], whole[at:]], expected) == expected, f"{server}: {whole[:at]!r} first"
        single = [whole[at:at + 1] for at in range(len(whole))]
        assert in_parts(server, single, expected) == expected, f"{server}: byte by byte"
