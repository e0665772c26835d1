"""Writers, kill -9 at a bad moment, restart, and every acknowledged write held against what is there: one round after another
on one data folder. The tests run a few rounds, scripts/soak-persistence hundreds.
"""

import random

from harness.resp import Closed, Error
from harness.wait import wait_until

from .member import info_of
from .writers import Writers

FSYNCS = ("always", "everysec", "no")
BALLAST_DATABASE = 15
BALLAST_KEYS = 6000

# What a crash of the machine, or a hand, may leave behind the last good byte.
TAILS = {
    "zeros": lambda rng, segment: bytes(rng.randrange(1, 5000)),
    "noise": lambda rng, segment: rng.randbytes(rng.randrange(1, 300)),
    "a piece of itself": lambda rng, segment: segment[(at := rng.randrange(max(len(segment) // 2, 1))):at + rng.randrange(1, 2000)],
}


class Storm:
    def __init__(self, member, writers=3, seed=0, say=lambda line: None):
        self.member = member
        self.random = random.Random(seed)
        self.writers = Writers(member, writers, seed)
        self.say = say
        self.rounds = 0
        self.taken = 0  # unanswered units that were there after all
        self.by_moment = {}

    def begin(self, *words):
        """The first start; puts data in that makes snapshots and recovery last a while."""
        self.member.start(*words)
        with self.member.connect() as connection:
            connection.call("SELECT", BALLAST_DATABASE)
            connection.pipeline([["SET", b"ballast:%d" % i, b"%d" % i * 100] for i in range(BALLAST_KEYS)], batch=100)

    def run(self, moment, writes, fsync):
        """One round: kills at `moment` once `writes` more commands were acknowledged, starts with `fsync`."""
        goal = self.writers.acknowledged + writes
        self.writers.start()
        wait_until(lambda: self.writers.acknowledged >= goal or self.writers.failed() or not self.member.alive(), 120,
                   what=f"{writes} acknowledged commands")
        assert self.member.alive(), f"the server ended by itself\n{self.member.log()[-4000:]}"
        getattr(self, "_kill_" + moment)()
        self.writers.join()
        before = self.writers.acknowledged
        self._start(moment, fsync)
        self.taken += self.writers.settle()
        self._check_ballast()
        self.rounds += 1
        self.by_moment[moment] = self.by_moment.get(moment, 0) + 1
        self.say(f"round {self.rounds}: killed {moment}, {before} acknowledged so far, restarted with {fsync}")

    MOMENTS = ("under_load", "right_after_bgsave", "during_snapshot", "during_shutdown", "during_sigterm", "during_recovery", "with_torn_tail")

    # --- moments

    def _kill_under_load(self):
        self.member.kill()

    _kill_during_recovery = _kill_under_load

    def _kill_right_after_bgsave(self):
        self.member.call("BGSAVE")
        self.member.kill()

    def _kill_during_snapshot(self):
        with self.member.connect() as connection:
            reply = connection.call("BGSAVE")
            assert not isinstance(reply, Error), reply
            share = self.random.random()

            def far_enough():
                info = info_of(connection)
                done, total = int(info["current_save_keys_processed"]), int(info["current_save_keys_total"])
                return info["rdb_bgsave_in_progress"] == "0" or done >= share * total
            wait_until(far_enough, 60, step_s=0.001, what="a snapshot under way")
        self.member.kill()

    def _kill_during_shutdown(self):
        with self.member.connect() as connection:
            try:
                connection.call("SHUTDOWN")
            except (Closed, OSError):
                pass
        self.member.kill()

    def _kill_during_sigterm(self):
        self.member.terminate()
        wait_until(lambda: "stopping" in self.member.log() or not self.member.alive(), 30, step_s=0.001, what="the stop begun")
        self.member.kill()

    def _kill_with_torn_tail(self):
        self.member.kill()
        segment = self.member.segments()[-1]
        name = self.random.choice(sorted(TAILS))
        with open(segment, "ab") as file:
            file.write(TAILS[name](self.random, segment.read_bytes()))
        self.say(f"  {name} behind {segment.name}")

    # --- the start

    def _start(self, moment, fsync):
        words = ("--appendfsync", fsync)
        if moment == "during_recovery":
            for _ in range(self.random.randrange(1, 4)):
                self.member.spawn(*words)
                text = self.random.choice(("starting", "ready", "loading snapshot"))
                wait_until(lambda: text in self.member.log(), 30, step_s=0.001, what=f"'{text}' in the log")
                self.member.kill()
        self.member.start(*words)
        said = self.member.log()
        assert moment == "with_torn_tail" or "may be missing" not in said, said

    def _check_ballast(self):
        with self.member.connect() as connection:
            connection.call("SELECT", BALLAST_DATABASE)
            assert connection.call("DBSIZE") == BALLAST_KEYS
            some = self.random.sample(range(BALLAST_KEYS), 200)
            for i, (_, value) in zip(some, connection.pipeline([["GET", b"ballast:%d" % i] for i in some])):
                assert value == b"%d" % i * 100, (i, value)
