"""What a server holds, read through SCAN: {database: {key: (type, value, expiry)}}, expiry in Unix ms or None."""

from harness.resp import Error


def contents(member, databases=range(16)):
    with member.connect() as connection:
        return {database: found for database in databases if (found := _database(connection, database))}


def _database(connection, database):
    assert connection.call("SELECT", database) == "OK"
    keys, cursor = [], b"0"
    while True:
        cursor, found = connection.call("SCAN", cursor, "COUNT", 1000)
        keys += found
        if cursor == b"0":
            break
    keys = sorted(set(keys))
    assert connection.call("DBSIZE") == len(keys)
    types = [value for _, value in connection.pipeline([["TYPE", key] for key in keys])]
    reads = [[{"string": "GET", "hash": "HGETALL"}[kind], key] for kind, key in zip(types, keys)]
    values = [value for _, value in connection.pipeline(reads, batch=50)]
    expiries = [value for _, value in connection.pipeline([["PEXPIRETIME", key] for key in keys])]
    found = {}
    for key, kind, value, expiry in zip(keys, types, values, expiries):
        assert not isinstance(value, Error), (key, value)
        if kind == "hash":
            pairs = dict(zip(value[::2], value[1::2]))
            assert 2 * len(pairs) == len(value), f"a field twice in {key!r}"
            value = pairs
        found[key] = (str(kind), value, expiry if expiry >= 0 else None)
    return found


def differences(seen, expected, shown=5):
    """Lines that say where two contents differ; empty if they are equal."""
    lines = []
    for database in sorted(set(seen) | set(expected)):
        left, right = seen.get(database, {}), expected.get(database, {})
        for key in sorted(set(left) | set(right)):
            if left.get(key) != right.get(key):
                lines.append(f"db {database} key {key!r}: is {str(left.get(key))[:200]}, expected {str(right.get(key))[:200]}")
    return lines[:shown] + ([f"... {len(lines) - shown} more"] if len(lines) > shown else [])
