"""Long seeded streams of commands, pipelined to both servers, compared reply by reply (harness/stream.py).

CLIENTS_SEED=n replays one stream; without it the seeds below run, and one new seed that is printed on failure.
"""

import os
import random

import pytest

from harness import cases, stream
from harness.resp import to_bytes
from harness.server import KINDS

COUNT = 20_000
SEEDS = [int(os.environ["CLIENTS_SEED"])] if "CLIENTS_SEED" in os.environ else [1, 2, random.randrange(10**9)]


@pytest.mark.parametrize("protocol", (2, 3), ids=("resp2", "resp3"))
@pytest.mark.parametrize("which", range(len(SEEDS)))
def test_random_stream(which, protocol, pair):
    seed = SEEDS[which]
    commands = [[to_bytes(word) for word in command] for command in stream.generate(seed, COUNT)]
    replies = []
    for server in pair.both():
        with server.connect(protocol) as connection:
            replies.append(connection.pipeline(commands))
    for at, command in enumerate(commands):
        sides = [replies[side][at] for side in range(2)]
        if sides[0][0] == sides[1][0]:
            continue
        seen = [cases.comparable(command, *side) for side in sides]
        if seen[0] != seen[1]:
            history = relevant(commands, at)
            shown = "\n".join(f"    {kind:9}{side[0][:600]!r}" for kind, side in zip(KINDS, sides))
            pytest.fail(f"seed {seed}, command {at}: {command}\n{shown}\nbefore it:\n" + "\n".join(history), pytrace=False)


def relevant(commands, at, count=25):
    """The last commands before `at`, as far as they name one of its words or have no key."""
    words = set(commands[at][1:]) or {b""}
    chosen = [command for command in commands[max(0, at - 400):at]
              if words & set(command[1:]) or command[0] in (b"MULTI", b"EXEC", b"DISCARD", b"SELECT", b"SWAPDB", b"FLUSHDB")]
    return [f"    {' '.join(repr(word)[1:] for word in command)[:160]}" for command in chosen[-count:]]


def test_the_streams_do_something():
    """Guards the generator: most commands must not be errors, and keys must come and go."""
    commands = stream.generate(1, COUNT)
    assert len({command[0] for command in commands}) > 50
    assert commands == stream.generate(1, COUNT) != stream.generate(2, COUNT)
