"""A seeded stream of commands that are mostly valid, on few keys, so that they meet each other's effects.

Expiry times are either far away (and different each time, so that GT and LT never depend on a millisecond) or in the
past: what a reply says must not depend on how fast a server is.
"""

import random

FAR_S, FAR_MS = 4102444800, 4102444800000
KEYS = ["s1", "s2", "s3", "h1", "h2", "n1", "x", "", "any"]
FIELDS = ["f", "g", "n", "", "long" * 20, "num"]
VALUES = ["", "v", "12", "-7", "3.25", "abc", "9223372036854775807", "z" * 50, "w" * 70, "q" * 3000, "\x00\r\n"]
NUMBERS = ["0", "1", "-1", "5", "-300", "9223372036854775807", "-9223372036854775808", "abc", "2.5"]


class Stream:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.in_transaction = False

    def pick(self, values):
        return self.random.choice(values)

    def key(self):
        return self.pick(KEYS)

    def far_s(self):
        return str(FAR_S + self.random.randrange(10**9))

    def far_ms(self):
        return str(FAR_MS + self.random.randrange(10**12))

    def seconds(self):
        return str(10**6 + self.random.randrange(10**8))

    def expiry(self):
        return self.pick([
            lambda: ["EX", self.seconds()], lambda: ["PX", self.seconds() + "000"],
            lambda: ["EXAT", self.far_s()], lambda: ["PXAT", self.far_ms()], lambda: ["PXAT", "1"], lambda: ["EX", "0"]])()

    def index(self):
        return self.pick(["0", "1", "-1", "3", "-4", "100", "-100", "70"])

    def pairs(self, names):
        return [word for _ in range(self.random.randrange(1, 4)) for word in (self.pick(names), self.pick(VALUES))]

    def some(self, names):
        return [self.pick(names) for _ in range(self.random.randrange(1, 4))]

    def makers(self):
        r, key, value = self.random, self.key, lambda: self.pick(VALUES)
        number, field = lambda: self.pick(NUMBERS), lambda: self.pick(FIELDS)
        option = lambda *names: [self.pick(names)] if r.random() < 0.4 else []
        return [
            (6, lambda: ["SET", key(), value(), *option("NX", "XX", "GET", "KEEPTTL")]),
            (4, lambda: ["SET", key(), value(), *self.expiry(), *option("NX", "XX", "GET")]),
            (6, lambda: ["GET", key()]),
            (2, lambda: ["SETEX", key(), self.seconds(), value()]),
            (1, lambda: ["PSETEX", key(), self.seconds() + "000", value()]),
            (1, lambda: ["SETNX", key(), value()]),
            (1, lambda: ["GETSET", key(), value()]),
            (1, lambda: ["GETDEL", key()]),
            (2, lambda: ["GETEX", key(), *self.pick([[], ["PERSIST"], self.expiry()])]),
            (1, lambda: ["MGET", *self.some(KEYS)]),
            (1, lambda: ["MSET", *self.pairs(KEYS)]),
            (1, lambda: ["MSETNX", *self.pairs(KEYS)]),
            (2, lambda: ["APPEND", key(), value()]),
            (1, lambda: ["STRLEN", key()]),
            (2, lambda: [self.pick(["GETRANGE", "SUBSTR"]), key(), self.index(), self.index()]),
            (2, lambda: ["SETRANGE", key(), self.index(), value()]),
            (2, lambda: [self.pick(["INCR", "DECR"]), key()]),
            (2, lambda: [self.pick(["INCRBY", "DECRBY"]), key(), number()]),
            (1, lambda: ["INCRBYFLOAT", key(), self.pick(["0.5", "-1.25", "3", "x"])]),
            (2, lambda: [self.pick(["DEL", "UNLINK", "EXISTS", "TOUCH"]), *self.some(KEYS)]),
            (1, lambda: ["TYPE", key()]),
            (2, lambda: ["EXPIREAT", key(), self.far_s(), *option("NX", "XX", "GT", "LT")]),
            (2, lambda: ["PEXPIREAT", key(), self.far_ms(), *option("NX", "XX", "GT", "LT")]),
            (1, lambda: ["EXPIRE", key(), self.pick([self.seconds(), "-1", "0"]), *option("NX", "XX", "GT", "LT")]),
            (1, lambda: ["PEXPIRE", key(), self.seconds() + "000", *option("NX", "XX", "GT", "LT")]),
            (2, lambda: [self.pick(["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"]), key()]),
            (1, lambda: ["PERSIST", key()]),
            (1, lambda: ["KEYS", self.pick(["*", "s*", "h?", "[a-n]*"])]),
            (1, lambda: ["SCAN", "0", "COUNT", "1000", *self.pick([[], ["TYPE", "hash"], ["MATCH", "s*"]])]),
            (2, lambda: [self.pick(["RENAME", "RENAMENX"]), key(), key()]),
            (2, lambda: ["COPY", key(), key(), *self.pick([[], ["REPLACE"], ["DB", "1"], ["DB", "1", "REPLACE"]])]),
            (1, lambda: ["MOVE", key(), self.pick(["0", "1"])]),
            (1, lambda: ["OBJECT", "ENCODING", self.pick(["h1", "h2", "n1"])]),
            (1, lambda: ["DBSIZE"]),
            (1, lambda: ["SELECT", self.pick(["0", "0", "1"])]),
            (.3, lambda: ["SWAPDB", "0", "1"]),
            (.1, lambda: ["FLUSHDB"]),
            (6, lambda: ["HSET", key(), *self.pairs(FIELDS)]),
            (1, lambda: ["HMSET", key(), *self.pairs(FIELDS)]),
            (2, lambda: ["HSETNX", key(), field(), value()]),
            (4, lambda: ["HGET", key(), field()]),
            (1, lambda: ["HMGET", key(), *self.some(FIELDS)]),
            (3, lambda: ["HDEL", key(), *self.some(FIELDS)]),
            (3, lambda: [self.pick(["HGETALL", "HKEYS", "HVALS", "HLEN"]), key()]),
            (2, lambda: [self.pick(["HEXISTS", "HSTRLEN"]), key(), field()]),
            (2, lambda: ["HINCRBY", key(), self.pick(["num", "n", "f"]), number()]),
            (1, lambda: ["HINCRBYFLOAT", key(), self.pick(["num", "n", "f"]), self.pick(["0.5", "-3", "x"])]),
            (1, lambda: ["HSCAN", key(), "0", "COUNT", "1000"]),
            (1, lambda: ["WATCH", *self.some(KEYS)]),
            (1, lambda: ["UNWATCH"]),
            (2, lambda: ["MULTI"]),
            (5, lambda: ["EXEC"]),
            (.5, lambda: ["DISCARD"]),
            (.3, lambda: ["GET"]),
            (.3, lambda: ["nosuchcommand", key()]),
            (.5, lambda: ["PING", value()]),
        ]

    def commands(self, count):
        makers = self.makers()
        weights = [weight for weight, _ in makers]
        for maker in self.random.choices([make for _, make in makers], weights, k=count):
            yield maker()


# In MULTI replies come inside EXEC's array: these hold what is compared loosely outside, so they are kept out of it.
LOOSE = {"KEYS", "SCAN", "HSCAN", "HGETALL", "HKEYS", "HVALS", "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"}


def generate(seed, count):
    """`count` commands; those of LOOSE are left out while a transaction is open.

    Redis counts a key in DBSIZE although its time has come until something looks at it; before DBSIZE every key is
    looked at, so that the count does not depend on when that happens.
    """
    inside, made = False, []
    stream = Stream(seed)
    while len(made) < count:
        for command in stream.commands(count):
            if command[0] == "MULTI":
                inside = True
            elif command[0] in ("EXEC", "DISCARD"):
                inside = False
            elif inside and command[0] in LOOSE:
                continue
            if command[0] == "DBSIZE":
                made.append(["TOUCH", *KEYS])
            made.append(command)
            if len(made) >= count:
                break
    return made[:count]
