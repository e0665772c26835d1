"""Fixtures: a folder for a member and its processes, which are gone after the test."""

import os
import random

import pytest

from support.member import Member


@pytest.fixture
def new_member(tmp_path):
    """new_member(*words) makes a member with a data folder of its own; none of its processes outlives the test."""
    made = []

    def make(*words):
        member = Member(tmp_path / f"member-{len(made)}", *words)
        made.append(member)
        return member
    yield make
    for member in made:
        member.kill()


@pytest.fixture
def member(new_member):
    """One with the defaults, not started."""
    return new_member()


@pytest.fixture
def seed(request):
    """PERSISTENCE_SEED, or another one each time; shown when the test fails."""
    value = int(os.environ.get("PERSISTENCE_SEED", random.SystemRandom().randrange(2**31)))
    print(f"PERSISTENCE_SEED={value}")
    return value


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the servers said last."""
    outcome = yield
    report = outcome.get_result()
    if report.when != "call" or not report.failed or "tmp_path" not in item.funcargs:
        return
    for path in sorted(item.funcargs["tmp_path"].glob("**/life-*.log"))[-3:]:
        report.sections.append((str(path), path.read_text(errors="replace")[-3000:]))
