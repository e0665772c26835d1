"""redis-py (sync and asyncio, its own parser and hiredis): a session's life."""

import asyncio
import threading

import pytest
import redis
import redis.asyncio
from redis import _parsers

from harness.wait import wait_until

PARSERS = {
    (2, "python"): _parsers._RESP2Parser, (3, "python"): _parsers._RESP3Parser,
    (2, "hiredis"): _parsers._HiredisParser, (3, "hiredis"): _parsers._HiredisParser,
}


class Transcript(list):
    def note(self, step, call, *arguments, **options):
        """Records what call(...) returned, or its exception's class and text; returns the value."""
        try:
            value = call(*arguments, **options)
        except redis.RedisError as error:
            value = f"{type(error).__name__}: {error}"
        self.append((step, canonical(value)))
        return value


def canonical(value):
    if isinstance(value, dict):
        return sorted((repr(key), repr(canonical(item))) for key, item in value.items())
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, value))
    if isinstance(value, Exception):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    return value


def client(server, protocol=2, parser="python", **options):
    made = redis.Redis(host=server.host, port=server.port, protocol=protocol, socket_timeout=20, **options)
    made.connection_pool.connection_kwargs["parser_class"] = PARSERS[protocol, parser]
    return made


def session_life(server, protocol, parser):
    seen, r = Transcript(), client(server, protocol, parser)
    session = "session:\u00e4\x00\r\n"
    blob = bytes(range(256)) * 3
    seen.note("ping", r.ping)
    seen.note("create", r.set, session, blob, ex=1000)
    seen.note("create twice", r.set, session, b"other", ex=1000, nx=True)
    seen.note("read", r.get, session)
    seen.note("ttl", lambda: 998 <= r.ttl(session) <= 1000)
    seen.note("slide", r.expire, session, 2000)
    seen.note("slid", lambda: 1998 <= r.ttl(session) <= 2000)
    seen.note("slide by getex", r.getex, session, ex=3000)
    seen.note("slid by getex", lambda: 2998 <= r.ttl(session) <= 3000)
    seen.note("slide missing", r.expire, "nobody", 10)
    seen.note("slide only forward", r.expire, session, 10, gt=True)
    seen.note("exact moment", r.pexpireat, session, 4102444800123)
    seen.note("exact moment read", r.pexpiretime, session)
    seen.note("persist", r.persist, session)
    seen.note("no ttl", r.ttl, session)
    seen.note("missing", r.get, "nobody")
    seen.note("missing ttl", r.ttl, "nobody")
    seen.note("mget", r.mget, session, "nobody")

    seen.note("hash create", r.hset, "h", mapping={"user": "anna", "cart": blob, "count": 1, "": ""})
    seen.note("hash all", r.hgetall, "h")
    seen.note("hash get", r.hget, "h", "cart")
    seen.note("hash mget", r.hmget, "h", "user", "nobody")
    seen.note("hash del", r.hdel, "h", "cart", "nobody")
    seen.note("hash incr", r.hincrby, "h", "count", 41)
    seen.note("hash incr float", r.hincrbyfloat, "h", "count", 0.5)
    seen.note("hash keys", lambda: sorted(r.hkeys("h")))
    seen.note("hash vals", lambda: sorted(r.hvals("h")))
    seen.note("hash exists", r.hexists, "h", "user")
    seen.note("hash scan", lambda: sorted(r.hscan_iter("h")))
    seen.note("hash random", lambda: r.hrandfield("h", 1, withvalues=True) is not None)
    seen.note("hash random none", r.hrandfield, "nobody", 2, withvalues=True)
    seen.note("hash expire", r.expire, "h", 100)

    with r.pipeline() as pipe:
        pipe.set("a", 1).incr("a").get("a").hgetall("h").expire("a", 100).ttl("nobody")
        seen.note("transaction", pipe.execute)
    with r.pipeline(transaction=False) as pipe:
        pipe.set("b", "x").incr("b").get("b")
        seen.note("pipeline with error", pipe.execute, raise_on_error=False)
    with r.pipeline() as pipe:
        pipe.set("c", "x").incr("c").get("c")
        seen.note("transaction with error", pipe.execute, raise_on_error=False)
    with r.pipeline() as pipe:
        pipe.set("d", "x").execute_command("GET")
        seen.note("transaction that cannot be queued", pipe.execute)
    seen.note("nothing of it", r.exists, "d")

    def optimistic(interfere):
        with r.pipeline() as pipe:
            pipe.watch("a")
            value = int(pipe.get("a"))
            if interfere:
                r.set("a", 100)
            pipe.multi()
            pipe.set("a", value + 1)
            return pipe.execute()
    seen.note("watch undisturbed", optimistic, False)
    seen.note("watch disturbed", optimistic, True)
    seen.note("watch result", r.get, "a")

    seen.note("expire soon", r.psetex, "soon", 40, "v")
    wait_until(lambda: r.get("soon") is None, what="the session's end")
    seen.note("expired", r.ttl, "soon")
    seen.note("delete", r.delete, session, "nobody")
    seen.note("deleted", r.exists, session)
    seen.note("unlink", r.unlink, "h")

    with r.pipeline(transaction=False) as pipe:
        for number in range(400):
            pipe.setex(f"scan:{number}", 1000, number)
        seen.note("many", lambda: all(pipe.execute()))
    seen.note("scan", lambda: sorted(set(r.scan_iter(match="scan:*", count=50))))
    seen.note("scan by type", lambda: len(set(r.scan_iter(match="scan:*", _type="string"))))
    seen.note("scan nothing", lambda: list(r.scan_iter(match="nothing:*")))
    seen.note("keys", lambda: sorted(r.keys("scan:39*")))
    seen.note("dbsize", r.dbsize)

    big = bytes(range(256)) * (5 * 4096)
    seen.note("big set", r.set, "big", big)
    seen.note("big get", lambda: r.get("big") == big)
    seen.note("big strlen", r.strlen, "big")
    seen.note("big range", r.getrange, "big", 5 * 1024 * 1024 - 4, -1)
    seen.note("big in hash", r.hset, "bigh", "f", big)
    seen.note("big in hash read", lambda: r.hget("bigh", "f") == big)

    seen.note("counter", r.incr, "counter", 5)
    seen.note("float counter", r.incrbyfloat, "counter", 0.25)
    seen.note("wrong type", r.hget, "counter", "f")
    seen.note("no integer", r.incr, "counter")
    seen.note("unknown", r.execute_command, "NOSUCH", "a", "b")
    seen.note("arity", r.execute_command, "GET")
    seen.note("invalid expiry", r.set, "k", "v", ex=-1)
    seen.note("rename missing", r.rename, "nobody", "x")
    seen.note("rename", r.rename, "counter", "counted")
    seen.note("copy", r.copy, "counted", "copied")
    seen.note("type", r.type, "copied")
    seen.note("encoding", r.object, "encoding", "copied")
    seen.note("config", r.config_get, "maxmemory")
    seen.note("config set", r.config_set, "maxmemory", "0")
    seen.note("info", lambda: (r.info()["role"], type(r.info("memory")["used_memory"]).__name__))
    seen.note("client name", r.client_setname, "py")
    seen.note("client name read", r.client_getname)
    seen.note("client list", lambda: {"name", "db", "resp"} <= set(r.client_list()[0]))
    seen.note("client info", lambda: r.client_info()["resp"])
    seen.note("command", lambda: r.command()["get"]["arity"])
    seen.note("time", lambda: len(r.time()))
    seen.note("slowlog", lambda: isinstance(r.slowlog_get(), list))
    seen.note("memory usage", lambda: r.memory_usage("big") > 5 * 1024 * 1024)
    seen.note("echo", r.echo, blob)
    seen.note("role", lambda: canonical(r.role())[0])
    seen.note("flush", r.flushdb)
    seen.note("empty", r.randomkey)
    r.close()
    return seen


@pytest.mark.parametrize("protocol, parser", PARSERS, ids=lambda value: str(value))
def test_session_life(protocol, parser, both):
    seen = both(session_life, protocol, parser)
    assert ("watch disturbed", "WatchError: Watched variable changed.") in [tuple(entry) for entry in seen]


@pytest.mark.parametrize("protocol", (2, 3))
def test_databases(protocol, both):
    def scenario(server):
        seen, first, second = Transcript(), client(server, protocol, db=0), client(server, protocol, db=7)
        seen.note("write", second.set, "k", "in seven")
        seen.note("not in zero", first.get, "k")
        seen.note("in seven", second.get, "k")
        seen.note("beyond", client(server, protocol, db=16).ping)
        seen.note("swap", first.swapdb, 0, 7)
        seen.note("now in zero", first.get, "k")
        return seen
    both(scenario)


@pytest.mark.parametrize("protocol", (2, 3))
def test_passwords(protocol, both_secured):
    def scenario(server):
        seen = Transcript()
        for step, options in (("none", {}), ("wrong", {"password": "wrong"}), ("right", {"password": "sesame"}),
                              ("user", {"username": "default", "password": "sesame"}),
                              ("unknown user", {"username": "nobody", "password": "sesame"})):
            r = client(server, protocol, **options)
            r.connection_pool.connection_kwargs["retry"] = None
            seen.note(step, r.get, "missing")
        return seen
    seen = both_secured(scenario)
    assert [value is None for _, value in seen] == [False, False, True, True, False]


def test_asyncio(both):
    async def scenario(server, protocol):
        seen = []
        async with redis.asyncio.Redis(host=server.host, port=server.port, protocol=protocol) as r:
            seen.append(await r.set("k", b"\x00\xff", ex=100))
            seen.append(await r.get("k"))
            seen.append(sorted(await asyncio.gather(*(r.incr("n") for _ in range(200)))))
            async with r.pipeline(transaction=True) as pipe:
                seen.append(await pipe.set("a", 1).incr("a").get("a").execute())
            seen.append([key async for key in r.scan_iter("k*")])
            seen.append(await r.hset("h", mapping={"a": 1}))
            seen.append(await r.hgetall("h"))
        return seen
    for protocol in (2, 3):
        both(lambda server: asyncio.run(scenario(server, protocol)))


def test_optimistic_counters_lose_nothing(server):
    """Four threads count up with WATCH: every increment counts once."""
    def count():
        r = client(server)
        for _ in range(25):
            r.transaction(lambda pipe: increment(pipe), "counter")

    def increment(pipe):
        value = int(pipe.get("counter") or 0)
        pipe.multi()
        pipe.set("counter", value + 1)
    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert client(server).get("counter") == b"100"


def test_unicode_and_decoding(both):
    def scenario(server):
        seen = Transcript()
        r = client(server, 3, decode_responses=True)
        seen.note("set", r.set, "schlüssel", "wört 日本 🎉")
        seen.note("get", r.get, "schlüssel")
        seen.note("hash", r.hset, "h", mapping={"ключ": "значение"})
        seen.note("hash read", r.hgetall, "h")
        return seen
    both(scenario)


def test_four_hundred_connections(server):
    """More connections than a default file limit of a test box would guess at, all served."""
    connections = [server.connect() for _ in range(400)]
    try:
        for number, connection in enumerate(connections):
            assert connection.call("SET", f"c:{number}", number) == "OK"
        assert server.call("DBSIZE") == 400
    finally:
        for connection in connections:
            connection.close()
