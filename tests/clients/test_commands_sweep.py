"""Odd arguments, missing arguments and pairs of options for every command (harness/sweep.py), on keys of every kind."""

import pytest

from harness import cases, sweep
from harness.resp import to_bytes
from harness.server import KINDS

LINES = [(line, "arguments") for line in sweep.VALID] + [(line, "options") for line in sweep.OPTIONS]


def run_script(steps, pair, protocol):
    words = [[to_bytes(word) for word in step] for step, _ in steps]
    replies = []
    for server in pair.both():
        with server.connect(protocol) as connection:
            replies.append(connection.pipeline(words))
    return words, replies


@pytest.mark.parametrize("protocol", (2, 3), ids=("resp2", "resp3"))
@pytest.mark.parametrize("line, kind", LINES, ids=[f"{line} {kind}" for line, kind in LINES])
def test_sweep(line, kind, protocol, pair):
    calls = list(sweep.variants(line) if kind == "arguments" else sweep.option_variants(line))
    steps = [step for call in calls for step in sweep.script(call)]
    words, replies = run_script(steps, pair, protocol)
    differences, calls_made, after = [], 0, None
    for at, (step, counts) in enumerate(steps):
        sides = [replies[side][at] for side in range(2)]
        if not counts:
            prepared = [] if step == ["FLUSHALL"] else [*prepared, step]
            after = None
            continue
        if after is None:
            after, calls_made = step, calls_made + 1
        seen = [cases.comparable(words[at], *side) for side in sides]
        if seen[0] != seen[1]:
            context = "" if step is after else f" after {' '.join(map(repr, after))[:200]}"
            differences.append(f"{prepared[1:]} then {' '.join(map(repr, step))[:200]}{context}\n" + "\n".join(
                f"    {name:9}{side[0][:300]!r}" for name, side in zip(KINDS, sides)))
    assert calls_made == len(calls) * len(sweep.STATES)
    if differences:
        shown = "\n".join(differences[:12])
        pytest.fail(f"{line} (RESP{protocol}): {len(differences)} of {calls_made} calls and their probes differ\n{shown}",
                    pytrace=False)
