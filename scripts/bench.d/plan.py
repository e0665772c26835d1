"""What the figures share: the settings of one invocation, and runs that alternate between the servers."""

import dataclasses
import sys
import time

KEY_BYTES = 40


@dataclasses.dataclass
class Plan:
    kinds: list  # of ServerKind: the reference first, then the one under test
    load: object  # LoadGenerator
    server_core: int
    runs: int
    quick: bool

    def say(self, text):
        print(f"bench: {text}", file=sys.stderr, flush=True)

    def alternate(self, figure, budget_s, measure):
        """Measures each server `runs` times, each time freshly started, the order changing from run to run.

        Returns a list of results per server name. Starts no run that would not end within the budget, judging by the
        longest so far; the first always takes place.
        """
        results = {kind.name: [] for kind in self.kinds}
        begin = time.monotonic()
        longest_s = 0.0
        for run in range(self.runs):
            used_s = time.monotonic() - begin
            if run > 0 and used_s + longest_s > budget_s:
                self.say(f"{figure}: time is up after {run} of {self.runs} runs")
                break
            run_begin = time.monotonic()
            for kind in self.kinds if run % 2 == 0 else reversed(self.kinds):
                self.say(f"{figure}: run {run + 1} of {self.runs}: {kind.name}")
                with kind.start(self.server_core) as server:
                    results[kind.name].append(measure(server))
            longest_s = max(longest_s, time.monotonic() - run_begin)
        return results

    def load_sessions(self, server, count, first=0, value_bytes=300):
        """Creates sessions with SETEX, pipelined, and returns how many a second that were."""
        done = self.load.stream(server, op="setex", first=first, count=count, requests=count,
                                value_bytes=value_bytes, clients=4, pipeline=16)
        return done["requests"] * 1e9 / done["elapsed_ns"]

    def delete_sessions(self, server, count, first):
        self.load.stream(server, op="del", first=first, count=count, requests=count, clients=4, pipeline=16)
