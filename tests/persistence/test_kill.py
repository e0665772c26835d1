"""kill -9 at bad moments under load: what was acknowledged is there, and nothing that was never sent."""

import pytest

from support.storm import FSYNCS, Storm


@pytest.mark.parametrize("fsync", FSYNCS)
def test_a_killed_process_loses_nothing_that_was_acknowledged(fsync, new_member, seed):
    storm = Storm(new_member("--set", "persistence.segment_bytes=1mb"), seed=seed, say=print)
    storm.begin("--appendfsync", fsync)
    for moment in Storm.MOMENTS:
        storm.run(moment, writes=400, fsync=fsync)


def test_each_fsync_mode_reads_what_another_one_wrote(member, seed):
    storm = Storm(member, seed=seed, say=print)
    storm.begin("--appendfsync", "no")
    for fsync in ("always", "no", "everysec", "always", "everysec", "no"):
        storm.run("under_load", writes=200, fsync=fsync)
