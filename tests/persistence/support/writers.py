"""Writers that remember what was acknowledged, for a server that will be killed under them.

A writer sends pipelines over one connection and owns four databases. The server carries its requests out in order, so after a
crash its databases must be in the state behind all acknowledged units, or behind some of the unanswered ones as well, in
their order: nothing else. Every reply is held against the model on the way.
"""

import collections
import random
import threading

from harness.resp import Closed, Error, encode

from .contents import contents
from .model import DATABASES, Model, Unit, now_ms

FAR_MS = 4102444800000


class Writer:
    """`number` chooses its databases: 4 * number and the three behind."""

    def __init__(self, member, number, seed):
        self.member = member
        self.first = DATABASES * number
        self.random = random.Random(seed)
        self.model = Model()      # behind all that was acknowledged
        self.unanswered = []      # sent, in order, without a reply
        self.acknowledged = 0     # commands, in all lives
        self.refused = 0          # of them with MISCONF: not carried out
        self.failure = None
        self.thread = None
        self.recent = collections.deque(maxlen=24)  # units and what was replied, for complaints

    # --- what it sends

    def _value(self):
        size = self.random.choice((0, 3, 20, 20, 20, 200, 200, 3000, 9000))
        if self.random.random() < 0.004:
            size = 80_000
        return self.random.randbytes(size)

    def _command(self):
        pick, number = self.random.choice, self.random.randrange
        string, count, table = (b"%s:%d" % (kind, number(12)) for kind in (b"s\r\n\0", b"n", b"h"))
        field = lambda: b"f%d" % number(1200)
        kind = number(100)
        if kind < 16:
            return ["SET", string, self._value()]
        if kind < 22:
            return ["SET", string, self._value(), "PXAT", FAR_MS + number(10**9)]
        if kind < 25:
            return ["SET", string, self._value(), "KEEPTTL"]
        if kind < 30:
            return ["SETEX", string, 10**6 + number(10**6), self._value()]
        if kind < 33:
            return ["MSET", string, self._value(), b"s:other", self._value()]
        if kind < 45:
            return ["INCRBY", count, pick((1, 1, -1, 10**9))]
        if kind < 53:
            return ["APPEND", string, self.random.randbytes(number(40))]
        if kind < 56:
            return ["SETRANGE", string, number(300), self.random.randbytes(number(1, 30))]
        if kind < 70:
            return ["HSET", table, *(word for _ in range(number(1, 6)) for word in (field(), self.random.randbytes(number(90))))]
        if kind < 73:
            return ["HINCRBY", table, b"number", number(1, 5)]
        if kind < 76:
            return ["HDEL", table, field(), field()]
        if kind < 80:
            return [pick(("DEL", "UNLINK")), pick((string, count)), string]
        if kind < 84:
            return ["EXPIRE", pick((string, table)), 10**6 + number(10**6)]
        if kind < 87:
            return ["PEXPIREAT", pick((string, count, table)), FAR_MS + number(10**9)]
        if kind < 89:
            return ["PERSIST", pick((string, count, table))]
        if kind < 91:
            return ["RENAME", string, b"s\r\n\0:%d" % number(12)]
        if kind < 92:
            return ["COPY", table, b"h:%d" % number(100, 103), "REPLACE"]
        if kind < 93:
            return ["MOVE", string, self.first + number(DATABASES)]
        if kind < 97:
            return ["GET", pick((string, count))]
        if kind < 98:
            return ["GETDEL", string]
        chance = self.random.random()
        if chance < 0.02:
            return ["FLUSHDB"]
        if chance < 0.04:
            return ["DEL", table]
        if chance < 0.06:
            return ["SWAPDB", self.first + number(DATABASES), self.first + number(DATABASES)]
        return ["SELECT", self.first + number(DATABASES)]

    def _unit(self):
        if self.random.random() < 0.08:
            commands = [self._command() for _ in range(self.random.randrange(1, 6))]
            return Unit(commands, transaction=True)
        return Unit([self._command()])

    # --- its thread

    def start(self):
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def join(self):
        self.thread.join(60)
        assert not self.thread.is_alive(), "a writer does not end although its server has"
        if self.failure is not None:
            raise self.failure

    def _run(self):
        try:
            with self.member.connect() as connection:
                self._talk(connection)
        except (Closed, OSError):
            pass
        except Exception as failure:  # for join
            self.failure = failure

    def _talk(self, connection):
        assert connection.call("SELECT", self.first + self.model.selected) == "OK"
        while True:
            batch = [self._unit() for _ in range(self.random.choice((1, 1, 4, 16)))]
            now = now_ms()
            for unit in batch:
                unit.sent_ms = now
            self.unanswered = list(batch)
            connection.send(b"".join(encode(*command) for unit in batch for command in unit.wire()))
            for unit in batch:
                self._hear(connection, unit)

    def _hear(self, connection, unit):
        replies = [connection.read() for _ in unit.wire()]
        unit.heard_ms = now_ms()
        self.recent.append(f"{str(unit)[:200]}: {str(replies)[:200]}")
        refused = [isinstance(reply, Error) and reply.startswith(("MISCONF", "EXECABORT")) for reply in replies]
        if any(refused):
            assert unit.transaction or len(replies) == 1
            self.refused += 1
        else:
            if unit.transaction:
                assert replies[:-1] == ["OK", *["QUEUED"] * len(unit.commands)], replies
                replies = replies[-1]
            expected = self.model.apply(unit)
            assert replies == expected, f"{unit}: {str(replies)[:300]}, expected {str(expected)[:300]}; before:\n" + "\n".join(self.recent)
            self.acknowledged += len(unit.commands)
        self.unanswered.pop(0)

    # --- after a crash

    def settle(self, seen):
        """Finds the state that the server is in; fails if it is none of those that may be. `seen`: all contents."""
        mine = [seen.get(self.first + i, {}) for i in range(DATABASES)]
        state, complaint = self.model, None
        for taken in range(len(self.unanswered) + 1):
            if taken > 0:
                state = state.copy()
                state.apply(self.unanswered[taken - 1])
            difference = state.differs(mine)
            if difference is None:
                self.model, self.unanswered = state, []
                return taken
            complaint = complaint or difference
        raise AssertionError(
            f"databases from {self.first}: neither what was acknowledged nor with any of {len(self.unanswered)} unanswered units: "
            f"{complaint}\nunanswered: {self.unanswered}")


class Writers:
    """Several of them on one member."""

    def __init__(self, member, count, seed):
        self.member = member
        self.all = [Writer(member, number, seed * 1000 + number) for number in range(count)]

    @property
    def acknowledged(self):
        return sum(writer.acknowledged for writer in self.all)

    @property
    def refused(self):
        return sum(writer.refused for writer in self.all)

    def start(self):
        for writer in self.all:
            writer.start()

    def failed(self):
        return any(writer.failure is not None for writer in self.all)

    def running(self):
        return any(writer.thread.is_alive() for writer in self.all)

    def join(self):
        for writer in self.all:
            writer.join()

    def settle(self):
        """Of the unanswered units, how many were there."""
        seen = contents(self.member, range(DATABASES * len(self.all)))
        return sum(writer.settle(seen) for writer in self.all)
