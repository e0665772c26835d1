"""COMMAND INFO, DOCS, LIST and COUNT: what drivers and proxies learn of each command, the same as redis-server says."""

import pytest

from harness.resp import Map
from harness.server import KINDS

# Every command of the first milestone. A later one is added here when it lands.
COMMANDS = """
get set setex psetex setnx getset getdel getex mget mset msetnx append strlen getrange setrange incr decr incrby decrby
incrbyfloat substr del unlink exists type expire pexpire expireat pexpireat ttl pttl expiretime pexpiretime persist keys
scan randomkey rename renamenx copy touch object move dbsize flushdb flushall swapdb select
hset hsetnx hget hmset hmget hincrby hincrbyfloat hdel hlen hstrlen hkeys hvals hgetall hexists hrandfield hscan
multi exec discard watch unwatch ping echo quit reset auth hello client command config info time lolwut debug slowlog
memory latency shutdown wait role replicaof slaveof save bgsave lastsave
""".split()

SUBCOMMANDS = """
object|encoding object|freq object|idletime object|refcount object|help
client|id client|info client|list client|kill client|setname client|getname client|no-evict client|reply client|pause client|unpause
command|count command|docs command|info command|list command|getkeys
config|get config|set config|resetstat config|rewrite
slowlog|get slowlog|len slowlog|reset memory|usage latency|latest latency|history latency|reset
""".split()

FIELDS = ("name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specifications", "types")


def as_map(value):
    """RESP2 flat arrays and RESP3 maps alike."""
    if isinstance(value, Map):
        return {key: item for key, item in value}
    return dict(zip(value[::2], value[1::2]))


def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def specification(value):
    spec = as_map(value)
    return sorted((key.decode(), sorted(map(str, item)) if key == b"flags" else repr(plain(item)))
                  for key, item in spec.items())


def facts(server, command, protocol):
    with server.connect(protocol) as connection:
        info = connection.call("COMMAND", "INFO", command)[0]
    if info is None:
        return None
    shown = dict(zip(FIELDS, info))
    for unordered in ("flags", "categories", "tips"):
        shown[unordered] = sorted(map(str, map(plain, shown[unordered])))
    shown["name"] = plain(shown["name"])
    shown["key specifications"] = [specification(spec) for spec in info[8]]
    shown["types"] = [type(item).__name__ for item in info]  # arrays and sets differ in RESP3
    return shown


def check(pair, command, protocol, fields):
    redis, holdfast = (facts(server, command, protocol) for server in pair.both())
    assert redis is not None, f"redis-server does not know {command}: a mistake in this file"
    assert holdfast is not None, f"holdfast does not know {command}"
    wrong = [f"{field}: redis {redis[field]}, holdfast {holdfast[field]}" for field in fields
             if redis[field] != holdfast[field]]
    if wrong:
        pytest.fail(f"{command}\n" + "\n".join(wrong), pytrace=False)


@pytest.mark.parametrize("command", COMMANDS + SUBCOMMANDS)
def test_arity_flags_and_keys(command, pair):
    for protocol in (2, 3):
        check(pair, command, protocol, FIELDS[:7])


@pytest.mark.parametrize("command", COMMANDS + SUBCOMMANDS)
def test_key_specifications_and_tips(command, pair):
    check(pair, command, 3, FIELDS[7:])


def documented_arguments(server, protocol):
    """Of every command and subcommand, as they came (maps, sets and the kinds of strings included)."""
    found = {}

    def walk(documented):
        for name, one in as_map(documented).items():
            fields = as_map(one)
            found[name.decode()] = fields.get(b"arguments")
            walk(fields.get(b"subcommands", []))
    with server.connect(protocol) as connection:
        walk(connection.call("COMMAND", "DOCS"))
    return found


@pytest.mark.parametrize("protocol", (2, 3))
def test_arguments_are_documented_as_in_redis(protocol, pair):
    """Names, types, tokens, flags, versions: of every command that both have."""
    redis, holdfast = (documented_arguments(server, protocol) for server in pair.both())
    both = redis.keys() & holdfast.keys()
    assert set(COMMANDS) <= both and sum(redis[name] is not None for name in both) > 90
    wrong = [f"{name}: redis {redis[name]}, holdfast {holdfast[name]}" for name in sorted(both)
             if repr(redis[name]) != repr(holdfast[name])]
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def test_all_forms_of_command_agree_with_each_other(server):
    """COMMAND, COMMAND COUNT, LIST, INFO and DOCS tell of the same commands."""
    count = server.call("COMMAND", "COUNT")
    every = {bytes(info[0]) for info in server.call("COMMAND")}
    assert len(every) == count >= len(COMMANDS)
    assert {command.encode() for command in COMMANDS} <= every
    assert {name for name in server.call("COMMAND", "LIST") if b"|" not in name} == every
    assert {bytes(info[0]) for info in server.call("COMMAND", "INFO")} == every
    documented = as_map(server.call("COMMAND", "DOCS"))
    assert set(documented) == every
    for name in (b"get", b"hset"):
        assert {b"summary", b"since", b"group"} <= set(as_map(documented[name]))


def test_command_docs_of_one(server):
    documented = as_map(server.call("COMMAND", "DOCS", "GET", "nosuch"))
    assert list(documented) == [b"get"]
    assert as_map(documented[b"get"])[b"group"] == b"string"


def test_every_first_milestone_command_filters_by_category(pair):
    """COMMAND LIST FILTERBY ACLCAT agrees on the commands that both have."""
    known = {command.encode() for command in COMMANDS}
    for category in ("read", "write", "keyspace", "string", "hash", "transaction", "connection", "fast", "dangerous"):
        listed = [{name for name in server.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", category)} & known
                  for server in pair.both()]
        assert listed[0] == listed[1], category
