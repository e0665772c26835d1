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
        """Measures each server once a run, freshly started and alone, the order changing from run to run.

        Returns a list of results per server name.
        """
        results = {kind.name: [] for kind in self.kinds}

        def one_run(run):
            for kind in self.kinds if run % 2 == 0 else reversed(self.kinds):
                self.say(f"{figure}: run {run + 1} of {self.runs}: {kind.name}")
                with kind.start(self.server_core) as server:
                    results[kind.name].append(measure(server))

        self.repeat(figure, budget_s, one_run)
        return results

    def repeat(self, figure, budget_s, one_run):
        """Calls one_run(0), one_run(1) ... for all runs, but starts none that would not end within the budget, judging by
        the longest so far; the first always takes place."""
        begin = time.monotonic()
        longest_s = 0.0
        for run in range(self.runs):
            run_begin = time.monotonic()
            if run > 0 and run_begin - begin + longest_s > budget_s:
                self.say(f"{figure}: time is up after {run} of {self.runs} runs")
                return
            one_run(run)
            longest_s = max(longest_s, time.monotonic() - run_begin)

    def load_sessions(self, server, count, first=0, value_bytes=300):
        """Creates sessions with SETEX, pipelined, and returns how many a second that were."""
        done = self.load.stream(server, op="setex", first=first, count=count, requests=count,
                                value_bytes=value_bytes, clients=4, pipeline=16)
        return done["requests"] * 1e9 / done["elapsed_ns"]

    def delete_sessions(self, server, count, first):
        self.load.stream(server, op="del", first=first, count=count, requests=count, clients=4, pipeline=16)

    def longest_stall_ms(self, server, count, action):
        """Of a GET loop over `count` sessions while `action` runs."""
        with self.load.start_probe(server, count=count) as probe:
            time.sleep(0.1)
            action()
            time.sleep(0.2)
        return probe.result["max_ns"] / 1e6
