"""Thousands of calls made from one valid call per command.

Each call in VALID is tried with every shorter and some longer argument lists, in other letter case, with every argument
replaced by every odd value of POOL, and with every option of OPTIONS added (one, and two); each on a key in every state
of STATES. After each call the key is read back, so that a wrong effect shows too.
"""

# command line -> how many words from its start are names (kept as they are when arguments are replaced)
VALID = {
    "GET k": 1, "SET k v": 1, "SET k v EX 1000": 1, "SET k v PX 1000000": 1, "SET k v EXAT 4102444800": 1,
    "SET k v PXAT 4102444800123": 1, "SETEX k 1000 v": 1, "PSETEX k 1000000 v": 1, "SETNX k v": 1, "GETSET k v": 1,
    "GETDEL k": 1, "GETEX k": 1, "GETEX k EX 1000": 1, "GETEX k PX 1000000": 1, "GETEX k EXAT 4102444800": 1,
    "GETEX k PXAT 4102444800123": 1, "GETEX k PERSIST": 1, "MGET k other": 1, "MSET k v other w": 1,
    "MSETNX k v other w": 1, "APPEND k v": 1, "STRLEN k": 1, "GETRANGE k 0 -1": 1, "SETRANGE k 2 v": 1, "INCR k": 1,
    "DECR k": 1, "INCRBY k 5": 1, "DECRBY k 5": 1, "INCRBYFLOAT k 0.5": 1, "SUBSTR k 0 -1": 1,
    "DEL k other": 1, "UNLINK k other": 1, "EXISTS k other": 1, "TYPE k": 1, "EXPIRE k 1000": 1, "PEXPIRE k 1000000": 1,
    "EXPIREAT k 4102444800": 1, "PEXPIREAT k 4102444800123": 1, "TTL k": 1, "PTTL k": 1, "EXPIRETIME k": 1,
    "PEXPIRETIME k": 1, "PERSIST k": 1, "KEYS k*": 1, "SCAN 0": 1, "SCAN 0 COUNT 1000": 1, "SCAN 0 MATCH k*": 1,
    "SCAN 0 TYPE string": 1, "RENAME k other": 1, "RENAMENX k other": 1, "COPY k other": 1, "COPY k other DB 3": 1,
    "COPY k other REPLACE": 1, "MOVE k 3": 1, "TOUCH k other": 1, "OBJECT ENCODING k": 2, "OBJECT REFCOUNT k": 2,
    "OBJECT FREQ k": 2, "DBSIZE": 1, "SWAPDB 4 5": 1, "FLUSHDB": 1, "FLUSHDB ASYNC": 1, "FLUSHALL SYNC": 1,
    "HSET k f v": 1, "HSET k f v g w": 1, "HMSET k f v": 1, "HSETNX k f v": 1, "HSETNX k new v": 1, "HGET k f": 1,
    "HMGET k f g": 1, "HGETALL k": 1, "HDEL k f": 1, "HDEL k f n e": 1, "HEXISTS k f": 1, "HKEYS k": 1, "HVALS k": 1,
    "HLEN k": 1, "HSTRLEN k f": 1, "HINCRBY k n 5": 1, "HINCRBYFLOAT k n 0.5": 1, "HSCAN k 0": 1,
    "HSCAN k 0 MATCH f*": 1, "HSCAN k 0 COUNT 100": 1, "ECHO v": 1, "PING": 1, "PING v": 1,
    "CLIENT SETNAME v": 2, "CLIENT GETNAME": 2, "CLIENT NO-EVICT OFF": 2, "CLIENT REPLY ON": 2, "COMMAND GETKEYS GET k": 2,
}

# HRANDFIELD is not here: a huge negative count asks for that many fields.

POOL = ["", "abc", "0", "-1", "-0", "01", "+1", " 1", "1 ", "1.5", "1e3", "0x10", "nan", "-inf", "10000", "-10000", "65",
        "2147483648", "-2147483649", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "-9223372036854775809", "9223372036854775", "9223372036854776", "99999999999999999999", "k", "f",
        "with space", "\x00\r\n\xff".encode("latin-1"), "y" * 100, "*"]

OPTIONS = {
    "SET k v": ["NX", "XX", "GET", "KEEPTTL", "EX 1000", "PX 1000000", "EXAT 4102444800", "PXAT 4102444800123", "PERSIST",
                "EX", "ex 0", "GT"],
    "GETEX k": ["PERSIST", "EX 1000", "PX 1000000", "EXAT 4102444800", "PXAT 4102444800123", "KEEPTTL", "NX", "EX", "PX -5"],
    "EXPIRE k 1000": ["NX", "XX", "GT", "LT", "KEEPTTL", "nx", "1"],
    "PEXPIRE k 100000000": ["NX", "XX", "GT", "LT", "", "gt"],
    "EXPIREAT k 4102444800": ["NX", "XX", "GT", "LT", "EX"],
    "PEXPIREAT k 1": ["NX", "XX", "GT", "LT", "EX"],
    "COPY k other": ["DB 3", "REPLACE", "DB", "DB 16", "DB abc", "NX", "replace", "db 0"],
    "COPY k k": ["DB 3", "REPLACE", "DB 0"],
    "SCAN 0": ["MATCH k*", "COUNT 1000", "TYPE string", "TYPE hash", "COUNT 0", "COUNT", "MATCH", "NOVALUES", "TYPE zzz"],
    "HSCAN k 0": ["MATCH f*", "COUNT 1000", "COUNT 0", "COUNT", "TYPE hash", "match n"],
    "FLUSHALL": ["ASYNC", "SYNC", "x"],
    "FLUSHDB": ["ASYNC", "SYNC", "x"],
    "HRANDFIELD one": ["1", "-2", "0", "WITHVALUES", "abc", "9223372036854775807"],
    "HRANDFIELD k": ["0", "WITHVALUES", "abc", "NOVALUES"],
}

STATES = {
    "missing": [],
    "text": ["SET k text"],
    "integer, with expiry": ["SET k 12345", "EXPIREAT k 4102444000"],
    "empty text": ["SET k "],
    "hash": ["HSET k f v n 10 e "],
    "large hash, with expiry": ["HSET k f v n 10 e " + "w" * 70, "EXPIREAT k 4102444000"],
}

PROBES = ["SELECT 0", "TYPE k", "GET k", "HGETALL k", "OBJECT ENCODING k", "EXPIRETIME k", "TYPE other", "GET other",
          "EXPIRETIME other", "HGETALL other", "DBSIZE"]


def words_of(line):
    return line.split(" ")


def variants(line):
    """Every call made from one valid line."""
    words, names = words_of(line), VALID[line]
    yield words
    yield [words[0].lower(), *words[1:]]
    yield [words[0].capitalize(), *(word.lower() if word.isupper() else word for word in words[1:])]
    for count in range(1, len(words)):
        yield words[:count]
    yield words + ["extra"]
    yield words + ["extra", "extra"]
    for at in range(names, len(words)):
        if words[at] == "k" and at == names:
            continue
        for odd in POOL:
            yield words[:at] + [odd] + words[at + 1:]


def option_variants(line):
    options = [words_of(option) for option in OPTIONS[line]]
    for first in options:
        yield words_of(line) + first
        for second in options:
            yield words_of(line) + first + second


def script(call):
    """(words, is the call itself) for every state: set up, call, probe."""
    for preparation in STATES.values():
        yield ["FLUSHALL"], False
        yield ["HSET", "one", "single", "field"], False
        for line in preparation:
            yield words_of(line), False
        yield call, True
        for probe in PROBES:
            yield words_of(probe), True
