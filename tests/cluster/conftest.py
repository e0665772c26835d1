"""Fixtures: clusters, networks and loads whose processes are gone after the test; --long for the tests that CI leaves out."""

import contextlib
import os
import random

import pytest

from cluster import Cluster
from load import Load
from netns import Network, NotPermitted


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="also the tests marked long")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: only with --long")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        for item in items:
            if "long" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="only with --long"))


@pytest.fixture
def leaving():
    """Context managers entered here are left after the test, the last one first."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def new_cluster(tmp_path, leaving):
    """new_cluster(*words, folder=, ...) makes a cluster that is not started."""
    return lambda *words, folder="cluster", **options: leaving.enter_context(Cluster(tmp_path / folder, *words, **options))


@pytest.fixture
def new_load(tmp_path, leaving, seed):
    """new_load(cluster) makes a load without writers yet."""
    return lambda cluster, **options: leaving.enter_context(
        Load(tmp_path / "load", cluster.addresses(), network=cluster.network, seed=seed, **options))


@pytest.fixture
def new_network(leaving):
    """new_network("a", "b", ...) makes hosts; the test is skipped where that is not permitted."""
    def make(*hosts):
        try:
            return leaving.enter_context(Network(hosts))
        except NotPermitted as reason:
            pytest.skip(f"no network namespaces: {reason}")
    return make


@pytest.fixture
def seed():
    """CLUSTER_SEED, or another one each time; shown when the test fails."""
    value = int(os.environ.get("CLUSTER_SEED", random.SystemRandom().randrange(2**31)))
    print(f"CLUSTER_SEED={value}")
    return value


@pytest.fixture
def report(record_property):
    """report(figures) keeps them for scripts/faults, and shows them when the test fails."""
    def keep(figures):
        for name, value in figures.items():
            print(f"{name}: {value}")
            record_property(name, value)
    return keep


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the nodes said last."""
    outcome = yield
    made = outcome.get_result()
    if made.when != "call" or not made.failed or "tmp_path" not in item.funcargs:
        return
    for path in sorted(item.funcargs["tmp_path"].glob("**/life-*.log"))[-9:]:
        made.sections.append((str(path), path.read_text(errors="replace")[-3000:]))
