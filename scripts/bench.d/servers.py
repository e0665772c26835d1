"""The two servers under measurement: started on a free loopback port, pinned to one core, always stopped again."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from resp_client import ErrorReply, RespClient, ServerGone

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 20
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """Something that makes measuring impossible; its text is for the user."""


def die_with_parent():
    """Runs in the child: a killed benchmark must not leave a server behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running server. Use as a context manager: leaving it stops the process and removes its directory."""

    def __init__(self, name, binary, arguments, core):
        self.name = name
        self.port = free_port()
        self._directory = tempfile.mkdtemp(prefix=f"bench-{name}-")
        self._log_path = os.path.join(self._directory, "log")
        self._command = ["taskset", "-c", str(core), binary, "--port", str(self.port),
                         "--bind", "127.0.0.1", "--dir", self._directory] + arguments
        self.start_again()

    def start_again(self):
        """Starts the process, on what a former one left in the directory, and waits until it answers."""
        with open(self._log_path, "ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log, preexec_fn=die_with_parent)
        self.pid = self._process.pid
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.stop()
            raise

    def shut_down(self, how):
        """SHUTDOWN with SAVE or NOSAVE; the directory stays."""
        try:
            with self.connect() as client:
                client.call("SHUTDOWN", how)
        except ServerGone:
            pass
        self._process.wait(120)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def connect(self, timeout_s=120):
        return RespClient(self.port, timeout_s)

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise BenchError(f"{self.name} has no resident memory: it is gone")

    def private_bytes(self):
        """Resident memory of the process and what its children do not share with it (a snapshot's fork)."""
        total = self.rss_bytes()
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as children:
            for child in children.read().split():
                try:
                    with open(f"/proc/{child}/smaps_rollup", encoding="ascii") as rollup:
                        total += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Private_"))
                except OSError:
                    pass  # it has just ended
        return total

    def settled_rss_bytes(self, limit_s=10):
        """The resident size once it has not moved by a thousandth for half a second, or after the limit."""
        deadline = time.monotonic() + limit_s
        previous = self.rss_bytes()
        while time.monotonic() < deadline:
            time.sleep(0.5)
            current = self.rss_bytes()
            if abs(current - previous) <= previous / 1000:
                return current
            previous = current
        return previous

    def stop(self):
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BenchError(f"{self.name} ended with code {self._process.returncode} "
                                 f"at its start:\n{self._log_tail()}")
            try:
                with self.connect(timeout_s=5) as client:
                    if client.call("PING") == "PONG":
                        return
            except (OSError, ServerGone, ErrorReply):  # an error: it is still loading
                time.sleep(0.02)
        raise BenchError(f"{self.name} did not answer PING within {START_TIMEOUT_S} s:\n{self._log_tail()}")

    def _log_tail(self):
        with open(self._log_path, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-20:])


class ServerKind:
    """What is needed to start one kind of server, again and again."""

    def __init__(self, name, binary, arguments):
        self.name = name
        self.binary = binary
        self.arguments = arguments

    def start(self, core):
        return Server(self.name, self.binary, self.arguments, core)

    def command_text(self, core):
        return " ".join(["taskset", "-c", str(core), self.binary, "--port", "PORT", "--bind", "127.0.0.1",
                         "--dir", "DIR"] + [a if a else '""' for a in self.arguments])

    def replaced(self, name, arguments):
        """The same program under another name with other arguments."""
        return ServerKind(name, self.binary, arguments)

    def version(self):
        try:
            done = subprocess.run([self.binary, "--version"], capture_output=True, text=True, timeout=10,
                                  check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return "unknown"
        lines = done.stdout.strip().splitlines()
        return lines[0] if done.returncode == 0 and lines else "unknown"


def redis_kind():
    binary = shutil.which("redis-server")
    if binary is None:
        raise BenchError("redis-server is not installed: run ./scripts/install-deps, or apt-get install redis-server")
    return ServerKind("redis-server", binary, ["--save", "", "--appendonly", "no"])


def holdfast_kind(binary):
    if not os.access(binary, os.X_OK) or os.path.isdir(binary):
        raise BenchError(f"{binary} does not exist or cannot be run. Build it with\n"
                         "    ./scripts/up        (installs what is missing, builds, starts the server), or\n"
                         "    cmake --preset release && cmake --build --preset release\n"
                         "or name another one with --binary.")
    return ServerKind("holdfast", os.path.abspath(binary), ["--set", "persistence.enabled=no"])
