"""Fixtures: the two servers, one at a time or both, and the comparison of what they answered."""

import json

import pytest

from harness.server import KINDS, Server


class Pair:
    """Both servers, started when first needed, started anew when one has died."""

    def __init__(self, password=None):
        self.password = password
        self.running = {}

    def get(self, kind):
        server = self.running.get(kind)
        if server is None or not server.alive():
            self.running[kind] = Server(kind, self.password).start()
        return self.running[kind]

    def both(self):
        return [self.get(kind) for kind in KINDS]

    def check_alive(self):
        for kind, server in list(self.running.items()):
            if not server.alive():
                del self.running[kind]
                pytest.fail(f"{server} died with {server.process.returncode} during this test\n{server.log_tail()}")

    def stop(self):
        for server in self.running.values():
            if server.alive():
                server.stop()


@pytest.fixture(scope="session")
def pair_of_session():
    pair = Pair()
    yield pair
    pair.stop()


@pytest.fixture(scope="session")
def secured_pair_of_session():
    pair = Pair(password="sesame")
    yield pair
    pair.stop()


# What a test that failed half-way may have left behind.
CLEAN = [["CLIENT", "UNPAUSE"], ["CONFIG", "SET", "maxmemory", "0"], ["CONFIG", "SET", "maxmemory-policy", "noeviction"],
         ["CONFIG", "SET", "slowlog-log-slower-than", "10000"], ["FLUSHALL"]]


def _fresh(pair):
    for server in pair.both():
        with server.connect() as connection:
            connection.pipeline(CLEAN)
    return pair


@pytest.fixture
def pair(pair_of_session):
    """Both servers, empty, without a password."""
    yield _fresh(pair_of_session)
    pair_of_session.check_alive()


@pytest.fixture
def secured_pair(secured_pair_of_session):
    """Both servers, empty, with the password `sesame`."""
    yield _fresh(secured_pair_of_session)
    secured_pair_of_session.check_alive()


@pytest.fixture(params=KINDS)
def server(request, pair):
    """Each server in turn."""
    return pair.get(request.param)


@pytest.fixture(params=KINDS)
def secured_server(request, secured_pair):
    return secured_pair.get(request.param)


def compare(transcripts, what="the transcripts"):
    """Fails with a readable list of differences. transcripts: {kind: list}."""
    redis, holdfast = (transcripts[kind] for kind in KINDS)
    if redis == holdfast:
        return
    show = lambda entry: json.dumps(entry, default=repr, ensure_ascii=False)[:600]
    differences = []
    for at in range(max(len(redis), len(holdfast))):
        left = redis[at] if at < len(redis) else "(nothing)"
        right = holdfast[at] if at < len(holdfast) else "(nothing)"
        if left != right:
            differences.append(f"#{at}\n  redis    {show(left)}\n  holdfast {show(right)}")
    shown = "\n".join(differences[:20])
    pytest.fail(f"{what} differ in {len(differences)} places\n{shown}", pytrace=False)


def _runner(pair):
    def run(scenario, *arguments, normalise=lambda entry: entry):
        """Runs scenario(server, *arguments) -> list on both servers; the lists must be equal after normalise."""
        transcripts = {}
        for server in pair.both():
            transcripts[server.kind] = [normalise(entry) for entry in scenario(server, *arguments)]
        assert transcripts["redis"], "the scenario recorded nothing: it could not fail"
        compare(transcripts)
        return transcripts["redis"]
    return run


@pytest.fixture
def both(pair):
    return _runner(pair)


@pytest.fixture
def both_secured(secured_pair):
    return _runner(secured_pair)
