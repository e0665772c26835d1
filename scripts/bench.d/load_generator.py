"""Builds scripts/bench.d/loadgen and runs it on the load's core."""

import json
import os
import shutil
import signal
import subprocess

from servers import BenchError, die_with_parent

SOURCE_DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "loadgen")


def build(output):
    """Compiles if a source is newer than the output."""
    sources = [os.path.join(SOURCE_DIRECTORY, name) for name in sorted(os.listdir(SOURCE_DIRECTORY))]
    newest = max(os.path.getmtime(source) for source in sources)
    if os.path.exists(output) and os.path.getmtime(output) >= newest:
        return
    compiler = os.environ.get("CXX") or shutil.which("g++")
    if compiler is None:
        raise BenchError("g++ is not installed: run ./scripts/install-deps")
    os.makedirs(os.path.dirname(output), exist_ok=True)
    command = [compiler, "-std=c++20", "-O2", "-Wall", "-Wextra", "-Wno-missing-field-initializers",
               "-o", output] + [source for source in sources if source.endswith(".cpp")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the load generator does not compile:\n{done.stderr}")


def _arguments(options):
    return [text for name, value in options.items() for text in ("--" + name.replace("_", "-"), str(value))]


class LoadGenerator:
    def __init__(self, binary, core):
        self._prefix = ["taskset", "-c", str(core), binary]

    def stream(self, server, **options):
        """Runs a load to its end and returns what it measured."""
        return self._finish(self._start("stream", server, options))

    def start_stream(self, server, **options):
        """Starts a load and returns its process; the caller ends it."""
        return self._start("stream", server, options)

    def start_probe(self, server, **options):
        return Probe(self._start("probe", server, options), self._finish)

    def watch_lateness(self, server, **options):
        return self._finish(self._start("lateness", server, options))

    def _start(self, mode, server, options):
        command = self._prefix + [mode, "--port", str(server.port)] + _arguments(options)
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)

    @staticmethod
    def _finish(process):
        try:
            output, errors = process.communicate(timeout=300)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.returncode != 0:
            raise BenchError(f"{' '.join(process.args)}\nfailed: {errors.strip()}")
        return json.loads(output.strip().splitlines()[-1])


class Probe:
    """A running GET loop. Use as a context manager; `result` is there after leaving it."""

    def __init__(self, process, finish):
        self._process = process
        self._finish = finish
        self.result = None
        if process.stdout.readline() != "ready\n":
            self._finish(process)
            raise BenchError("the probe did not start")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self._process.kill()
            self._process.wait()
            return
        self._process.send_signal(signal.SIGTERM)
        self.result = self._finish(self._process)
