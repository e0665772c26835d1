"""The way out when too many members are gone for good: README.md, "Some lost power"."""

import pytest

from cluster import Error, let_pass

WORDS = ("HOLDFAST", "FORCE-GENERATION", "lose-what-absent-members-hold")
BALLAST = 100_000


def persisted(primary, member):
    """The last index that the member has told the primary of as written."""
    return sum(peer["persisted_index"] for peer in primary.status()["peers"] if peer["name"] == member.name and peer["connected"])


def strand(cluster):
    """One sound member, one that has lost its disk and has caught up in part, and a primary that is gone."""
    primary = cluster.start()
    primary.fill(BALLAST)
    for i in range(100):
        assert primary.call("SET", f"session:{i}", f"of {i}") == "OK"
    sound, wiped = cluster.others(primary)
    for _ in range(10):
        wiped.kill()
        wiped.wipe()
        wiped.spawn()
        cluster.wait(lambda: persisted(primary, wiped) > 0, "the wiped member has something on its disk")
        primary.kill()
        if "recovered node" not in wiped.log():
            return sound, wiped, primary
        primary.spawn()
        cluster.wait_settled()
        primary = cluster.wait_primary()
        sound = cluster.others(primary, wiped)[0] if primary is not wiped else pytest.fail("a member that was just wiped leads")
    return pytest.fail("it caught up before the primary was killed, ten times")


def test_one_sound_one_wiped_and_one_gone_go_on_when_an_operator_says_so(new_cluster):
    cluster = new_cluster()
    sound, wiped, gone = strand(cluster)
    for node in (sound, wiped):
        node.wait_log("HOLDFAST FORCE-GENERATION")  # it tells what it waits for, and the way out
        assert not node.is_primary()
    assert sound.status()["claim"] == "sound" and wiped.status()["claim"] == "recovering"

    error = sound.call(*WORDS[:2])
    assert isinstance(error, Error) and WORDS[2] in error and "claim in HOLDFAST STATUS" in error
    assert not sound.is_primary(), "without the words nothing is done"
    assert sound.call(*WORDS) == "OK"
    assert cluster.wait_primary([sound, wiped]) is sound
    for i in range(100):
        assert sound.call("GET", f"session:{i}") == b"of %d" % i
    assert sound.call("SET", "after", "it") == "OK"
    cluster.wait(lambda: wiped.status()["claim"] == "sound", "the wiped member has caught up")
    assert sound.call(*WORDS) == "ERR this member is primary already"
    assert wiped.call(*WORDS) == "ERR there is a primary: nothing needs to be forced"

    gone.spawn()  # it was not gone for good after all
    gone.wait_log("wipe its disk")
    assert gone.status()["primary"] is None and cluster.wait_primary([sound, wiped]) is sound
    assert gone.stop() == 0
    gone.wipe()
    gone.spawn()
    cluster.wait_settled()
    assert cluster.wait_equal()["keys"] == BALLAST + 101


def test_two_wiped_members_do_not_go_on_without_the_third(new_cluster):
    """One of them has caught up in part. What the third one holds must not be given up by members that lost theirs."""
    cluster = new_cluster("--set", "cluster.recovery_wait_ms=2000")
    sound, wiped, gone = strand(cluster)
    wiped.kill()
    wiped.spawn()  # the mark outlives the process
    gone.wipe()
    gone.spawn()  # empty; it learns from both what the others know, and stays empty, as nobody leads
    gone.wait_log("this disk was lost")
    sound.kill()
    for node in (wiped, gone):
        node.wait_log("waiting for=primary")
    let_pass(3)
    for node in (wiped, gone):
        assert not node.is_primary()
        assert "stands for generation" not in node.log()
    assert wiped.status()["last_index"] > 0
    sound.spawn()
    assert cluster.wait_settled() is sound
    for i in range(100):
        assert sound.call("GET", f"session:{i}") == b"of %d" % i
