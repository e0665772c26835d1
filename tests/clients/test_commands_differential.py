"""Every command, every option, every mistake: the same bytes from both servers.

The rows are in differential/*.case (see harness/cases.py for their language); one case is one test, in RESP2 and in
RESP3. The sweeps in harness/sweep.py make thousands of further calls from one valid call per command.
"""

import pytest

from harness import cases
from harness.resp import Closed, encode
from harness.server import KINDS
from harness.wait import wait_until

ALL = cases.load_all()
PARAMETERS = [pytest.param(case, protocol, id=f"{case.name} resp{protocol}")
              for case in ALL for protocol in case.protocols]


class Side:
    """One server's connections during a case."""

    def __init__(self, server, protocol):
        self.server, self.protocol, self.connections = server, protocol, {}

    def connection(self, number):
        if number not in self.connections:
            self.connections[number] = self.server.connect(self.protocol)
        return self.connections[number]

    def run(self, step, words):
        if words[0] == b"@gone":
            wait_until(lambda: self.connection(9).call("EXISTS", *words[1:]) == 0, what=f"{words[1:]} gone")
            return b"", None
        if words[0] == b"@alone":
            wait_until(lambda: self.connection(step.connection).call("CLIENT", "LIST").count(b"\n") == 1, what="others are gone")
            return b"", None
        connection = self.connection(step.connection)
        try:
            return connection.read_both() if words[0] == b"@read" else self._call(connection, words)
        except Closed as closed:
            return b"(closed)" + closed.rest, None

    @staticmethod
    def _call(connection, words):
        try:
            connection.send(encode(*words))
        except OSError:
            return b"(closed)", None
        return connection.read_both()

    def close(self):
        for connection in self.connections.values():
            connection.close()


@pytest.mark.parametrize("case, protocol", PARAMETERS)
def test_case(case, protocol, pair):
    sides = [Side(server, protocol) for server in pair.both()]
    moment, differences = cases.now_ms(), []
    try:
        for step in case.steps:
            words = [cases.expand(word, moment) for word in step.words]
            replies = [side.run(step, words) for side in sides]
            seen = [cases.comparable(words, raw, value, step.mode) for raw, value in replies]
            if seen[0] != seen[1]:
                shown = [f"    {kind:9}{raw[:700]!r}" for kind, (raw, _) in zip(KINDS, replies)]
                differences.append(f"{step.text[:200]}\n" + "\n".join(shown))
    finally:
        for side in sides:
            side.close()
    if differences:
        pytest.fail(f"{case.name} (RESP{protocol})\n" + "\n".join(differences), pytrace=False)
