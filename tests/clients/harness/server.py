"""Starts and stops the two servers that are compared.

A Server is one process on a free loopback port with a folder of its own. Options beyond the password are set with
CONFIG SET by the tests, so that both servers are configured by the same words. Not thread-safe.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

from .resp import Connection
from .wait import wait_until

REPO = pathlib.Path(__file__).resolve().parents[3]
KINDS = ("redis", "holdfast")


# Taken out of the environment: the server knows no variable of that name, and says so.
BINARY = os.environ.pop("HOLDFAST_BIN", str(REPO / "build" / "release" / "holdfast"))


def holdfast_binary():
    return BINARY


def redis_binary():
    return os.environ.get("REDIS_BIN", "redis-server")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, kind, password=None):
        assert kind in KINDS
        self.kind = kind
        self.password = password
        self.host = "127.0.0.1"
        self.port = None
        self.process = None
        self.folder = None

    def __repr__(self):
        return f"<{self.kind} on port {self.port}>"

    def command_line(self):
        place = ["--port", str(self.port), "--bind", self.host, "--dir", self.folder]
        if self.kind == "redis":
            line = [redis_binary(), *place, "--save", "", "--appendonly", "yes", "--enable-debug-command", "yes"]
            return line + (["--requirepass", self.password] if self.password else [])
        line = [holdfast_binary(), *place, "--save", "", "--set", "debug.enable_debug_command=yes"]
        return line + (["--set", f"security.requirepass={self.password}"] if self.password else [])

    def start(self, port=None):
        self.port = port or free_port()
        self.folder = tempfile.mkdtemp(prefix=f"clients-{self.kind}-")
        with open(self.log_path(), "wb") as log:
            self.process = subprocess.Popen(
                self.command_line(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder)
        try:
            wait_until(self._answers, deadline_s=10, what=f"PING answered by {self}")
        except AssertionError as failure:
            self.kill()
            raise AssertionError(f"{failure}\n{self.log_tail()}") from None
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self} ended with {self.process.returncode} at its start")
        try:
            with Connection(self.host, self.port, timeout_s=2) as connection:
                # Without a password +PONG, with one -NOAUTH: both say that it serves.
                return connection.call_raw("PING")[:5] in (b"+PONG", b"-NOAU")
        except OSError:
            return False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, deadline_s=10):
        """Asks with SIGTERM, as a service manager does; returns the exit code."""
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            tail = self.log_tail()
            self.kill()
            raise AssertionError(f"{self} did not stop within {deadline_s} s of SIGTERM\n{tail}") from None
        self.forget_folder()
        return code

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def forget_folder(self):
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log_path(self):
        return pathlib.Path(self.folder) / "server.log"

    def log_tail(self, bytes_max=4000):
        try:
            return self.log_path().read_bytes()[-bytes_max:].decode(errors="replace")
        except OSError as error:
            return f"(no log: {error})"

    def connect(self, protocol=2, timeout_s=20):
        """A raw connection, authenticated, speaking RESP2 or RESP3."""
        connection = Connection(self.host, self.port, timeout_s=timeout_s)
        if self.password:
            connection.call("AUTH", self.password)
        if protocol == 3:
            connection.call("HELLO", "3")
        return connection

    def url(self, database=0):
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}{self.host}:{self.port}/{database}"

    def call(self, *arguments):
        with self.connect() as connection:
            return connection.call(*arguments)
