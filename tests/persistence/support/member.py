"""A holdfast process on a data folder that outlives it: started, killed, stopped and started again by the tests.

Each life writes a log file of its own beside the data folder, so that a test can wait for a line and quote what was said.
Not thread-safe, but `connect` may be called from any thread.
"""

import os
import pathlib
import signal
import subprocess

from harness.lives import Lives
from harness.resp import Connection, Error
from harness.server import free_port, holdfast_binary
from harness.wait import wait_until

# Generous: the sanitized program on two busy cores.
READY_S = 60
END_S = 60


class Member(Lives):
    def __init__(self, place, *words):
        """`place` gets the data folder `data` and the logs; `words` are added to every command line."""
        self.place = pathlib.Path(place)
        self.data = self.place / "data"
        self.data.mkdir(parents=True, exist_ok=True)
        self.words = list(words)
        self.host = "127.0.0.1"
        self.port = free_port()
        self.process = None
        self.lives = 0

    def __repr__(self):
        return f"<holdfast on port {self.port}, life {self.lives}>"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    # --- life and death

    def spawn(self, *words, wrap=(), environment=None):
        """Starts a process and waits for nothing. `wrap` stands before the program (strace, setpriv)."""
        assert not self.alive()
        self.lives += 1
        line = [*wrap, holdfast_binary(), "--port", str(self.port), "--bind", self.host, "--dir", str(self.data), "--save", "",
                "--set", "debug.enable_debug_command=yes", *self.words, *words]
        env = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")} | (environment or {})
        if wrap:  # the leak check cannot run under ptrace
            env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        with open(self.log_path(), "wb") as log:
            self.process = subprocess.Popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env, start_new_session=True)
        return self

    def start(self, *words, **how):
        """Starts a process and waits until it has its data."""
        self.spawn(*words, **how)
        return self.wait_ready()

    def wait_ready(self, deadline_s=READY_S):
        try:
            wait_until(lambda: self.ping() == "PONG", deadline_s, what=f"{self} ready")
        except AssertionError as failure:
            self.kill()
            raise AssertionError(f"{failure}\n{self.log()[-4000:]}") from None
        return self

    def ping(self):
        """The reply to PING as text; None while nobody answers."""
        if not self.alive():
            raise AssertionError(f"{self} ended with {self.process.returncode} at its start")
        try:
            with self.connect(timeout_s=10) as connection:
                return connection.call("PING")
        except OSError:
            return None

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9 of the whole group: a tracer, too."""
        if self.alive():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """SIGTERM; the exit status."""
        self.terminate()
        return self.wait_end()

    def restart(self, *words, **how):
        assert self.stop() == 0, self.log()
        return self.start(*words, **how)

    def kill_and_start(self, *words, **how):
        self.kill()
        return self.start(*words, **how)

    def wait_end(self, deadline_s=END_S):
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            said = self.log()
            self.kill()
            raise AssertionError(f"{self} did not end within {deadline_s} s\n{said[-4000:]}") from None

    def refused(self, *words, **how):
        """Starts a process that must not come up; (exit status, what it said)."""
        self.spawn(*words, **how)
        status = self.wait_end()
        return status, self.log()

    # --- talk

    def connect(self, timeout_s=60):
        return Connection(self.host, self.port, timeout_s=timeout_s)

    def call(self, *arguments):
        with self.connect() as connection:
            return connection.call(*arguments)

    def info(self, section="persistence"):
        with self.connect() as connection:
            return info_of(connection, section)

    def snapshot(self):
        """Takes a snapshot and returns its path."""
        reply = self.call("SAVE")
        assert reply == "OK" and not isinstance(reply, Error), (reply, self.log())
        return self.snapshots()[-1]

    # --- its files

    def snapshots(self):
        return sorted(self.data.glob("snapshot-*.hfs"))

    def segments(self):
        return sorted(self.data.glob("log-*.hfl"))


def info_of(connection, section="persistence"):
    text = connection.call("INFO", section).decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if line and line[0] != "#")
