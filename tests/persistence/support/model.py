"""A model of four databases and of the commands that the writers send: the state and the reply that each must give.

An expiry is a range (from, to) in Unix ms: a relative one begins somewhere between sending and reply. A unit is what the
server does at once: one command, or a whole MULTI.
"""

import copy
import time

DATABASES = 4


def now_ms():
    return int(time.time() * 1000)


class Unit:
    """One command, or several in MULTI and EXEC. `sent_ms` bounds relative expiries from below."""

    def __init__(self, commands, transaction=False):
        self.commands = commands
        self.transaction = transaction
        self.sent_ms = None
        self.heard_ms = None

    def wire(self):
        return [["MULTI"], *self.commands, ["EXEC"]] if self.transaction else self.commands

    def __repr__(self):
        return str(self.wire())[:300]


class Model:
    def __init__(self):
        self.databases = [{} for _ in range(DATABASES)]
        self.selected = 0

    def copy(self):
        return copy.deepcopy(self)

    def apply(self, unit):
        """The replies that the unit's commands must get."""
        until = unit.heard_ms or now_ms()
        return [self._apply(command, unit.sent_ms, until) for command in unit.commands]

    def _apply(self, command, sent, heard):
        name, *arguments = command
        return getattr(self, "do_" + name.lower())(self.databases[self.selected], sent, heard, *arguments)

    @staticmethod
    def _value(keys, key, empty):
        return keys.get(key, (empty, None))

    def do_select(self, keys, sent, heard, database):
        self.selected = database % DATABASES
        return "OK"

    def do_set(self, keys, sent, heard, key, value, *options):
        expiry = None
        if options[:1] == ("PXAT",):
            expiry = (options[1], options[1])
        elif options == ("KEEPTTL",):
            expiry = keys.get(key, (None, None))[1]
        keys[key] = (value, expiry)
        return "OK"

    def do_setex(self, keys, sent, heard, key, seconds, value):
        keys[key] = (value, (sent + 1000 * seconds, heard + 1000 * seconds))
        return "OK"

    def do_mset(self, keys, sent, heard, *pairs):
        for key, value in zip(pairs[::2], pairs[1::2]):
            keys[key] = (value, None)
        return "OK"

    def do_incrby(self, keys, sent, heard, key, by):
        value, expiry = self._value(keys, key, b"0")
        keys[key] = (b"%d" % (int(value) + by), expiry)
        return int(value) + by

    def do_append(self, keys, sent, heard, key, more):
        value, expiry = self._value(keys, key, b"")
        keys[key] = (value + more, expiry)
        return len(value + more)

    def do_setrange(self, keys, sent, heard, key, offset, part):
        value, expiry = self._value(keys, key, b"")
        value = value.ljust(offset, b"\0")
        keys[key] = (value[:offset] + part + value[offset + len(part):], expiry)
        return len(keys[key][0])

    def do_getdel(self, keys, sent, heard, key):
        return keys.pop(key, (None, None))[0]

    def do_get(self, keys, sent, heard, key):
        return keys.get(key, (None, None))[0]

    def do_hset(self, keys, sent, heard, key, *pairs):
        value, expiry = self._value(keys, key, {})
        value = dict(value)
        before = len(value)
        value.update(zip(pairs[::2], pairs[1::2]))
        keys[key] = (value, expiry)
        return len(value) - before

    def do_hdel(self, keys, sent, heard, key, *fields):
        value, expiry = self._value(keys, key, {})
        left = {field: one for field, one in value.items() if field not in fields}
        if left:
            keys[key] = (left, expiry)
        else:
            keys.pop(key, None)
        return len(value) - len(left)

    def do_hincrby(self, keys, sent, heard, key, field, by):
        value, expiry = self._value(keys, key, {})
        value = {**value, field: b"%d" % (int(value.get(field, b"0")) + by)}
        keys[key] = (value, expiry)
        return int(value[field])

    def do_del(self, keys, sent, heard, *names):
        return sum(keys.pop(key, None) is not None for key in set(names))

    do_unlink = do_del

    def _expire(self, keys, key, expiry):
        if key not in keys:
            return 0
        keys[key] = (keys[key][0], expiry)
        return 1

    def do_expire(self, keys, sent, heard, key, seconds):
        return self._expire(keys, key, (sent + 1000 * seconds, heard + 1000 * seconds))

    def do_pexpireat(self, keys, sent, heard, key, at):
        return self._expire(keys, key, (at, at))

    def do_persist(self, keys, sent, heard, key):
        had = keys.get(key, (None, None))[1] is not None
        self._expire(keys, key, None)
        return int(had)

    def do_rename(self, keys, sent, heard, key, to):
        if key not in keys:
            return "ERR no such key"
        keys[to] = keys.pop(key)
        return "OK"

    def do_copy(self, keys, sent, heard, key, to, *_replace):
        if key not in keys:
            return 0
        keys[to] = keys[key]
        return 1

    def do_move(self, keys, sent, heard, key, database):
        other = self.databases[database % DATABASES]
        if other is keys:
            return "ERR source and destination objects are the same"
        if key not in keys or key in other:
            return 0
        other[key] = keys.pop(key)
        return 1

    def do_swapdb(self, keys, sent, heard, one, other):
        one, other = one % DATABASES, other % DATABASES
        self.databases[one], self.databases[other] = self.databases[other], self.databases[one]
        return "OK"

    def do_flushdb(self, keys, sent, heard):
        keys.clear()
        return "OK"

    # --- comparison with what a server holds

    def differs(self, seen):
        """The first difference from the contents of these four databases, or None."""
        for number, keys in enumerate(self.databases):
            have = seen[number]
            if len(have) != len(keys):
                extra = set(have) ^ set(keys)
                return f"database {number}: {len(have)} keys, expected {len(keys)}; not in both: {sorted(extra)[:5]}"
            for key, (value, expiry) in keys.items():
                if key not in have:
                    return f"database {number}: {key!r} is missing"
                kind, held, at = have[key]
                if held != value:
                    return f"database {number}: {key!r} is {str(held)[:200]}, expected {str(value)[:200]}"
                if (at is None) != (expiry is None) or (at is not None and not expiry[0] <= at <= expiry[1]):
                    return f"database {number}: {key!r} expires {at}, expected {expiry}"
        return None
