"""Ways to make a disk fail under a real process. Each says plainly why it cannot when it cannot, and the test is skipped."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from harness.wait import wait_until

OTHER_USER = 65534  # nobody


# --- system calls that fail

def _strace_words(faults, trace_file, path=None):
    words = ["strace", "-f", "-o", str(trace_file), "-e", "trace=" + ",".join(sorted({fault.split(":")[0] for fault in faults}))]
    if path is not None:
        words += ["-P", str(path), "-P", "./" + pathlib.Path(path).name]  # the server opens files from its working folder
    for fault in faults:
        words += ["-e", "inject=" + fault]
    return words


def need_strace(place):
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    probe = subprocess.run(["strace", "-f", "-o", str(pathlib.Path(place) / "probe"), "-e", "trace=fsync", "-e", "inject=fsync:error=EIO", "true"],
                           capture_output=True, text=True, timeout=30)
    if probe.returncode != 0:
        pytest.skip(f"strace cannot trace here: {probe.stderr.strip()}")


@contextlib.contextmanager
def failing(member, *faults):
    """While it lasts, system calls of the running member fail: failing(member, "fdatasync:error=EIO", ...)."""
    need_strace(member.place)
    trace = member.place / "strace"
    tracer = subprocess.Popen([*_strace_words(faults, trace), "-p", str(member.process.pid)], stderr=subprocess.PIPE, text=True)
    try:
        first = tracer.stderr.readline()
        if "attached" not in first:
            tracer.wait(10)
            pytest.skip(f"strace cannot attach here: {first.strip()}")
        wait_until(lambda: _all_threads_traced(member.process.pid), 20, what="strace attached to all threads")
        yield trace
    finally:
        tracer.send_signal(signal.SIGINT)  # detaches
        tracer.wait(20)


def _all_threads_traced(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return all("TracerPid:\t0\n" not in (task / "status").read_text() for task in tasks)


def born_failing(member, *faults, path=None):
    """The words to put before a program whose system calls (on `path`, if given) are to fail from its start."""
    need_strace(member.place)
    # -D: the program stays our child, and its exit status is ours.
    return [*_strace_words(faults, member.place / "strace", path), "-D"]


# --- small and read-only volumes

@contextlib.contextmanager
def _mounted(place, *words):
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    place = pathlib.Path(place)
    place.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"cannot mount here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        wait_until(lambda: subprocess.run(["umount", str(place)], capture_output=True).returncode == 0, 10, step_s=0.1,
                   what=f"umount {place}")


def tmpfs(place, size):
    """A volume of its own, `size` as in 8m."""
    return _mounted(place, "-t", "tmpfs", "-o", f"size={size}", "holdfast-test")


@contextlib.contextmanager
def frozen(place):
    """The file system of a volume (`freezable`) stands still: calls that write to it do not return."""
    subprocess.run(["fsfreeze", "--freeze", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(place)], check=True)


@contextlib.contextmanager
def freezable(place, megabytes):
    """A volume of its own that can be frozen: ext4 in a file beside it."""
    image = pathlib.Path(place).with_suffix(".img")
    with open(image, "wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    with _mounted(place, "-o", "loop", str(image)) as mounted:
        (mounted / "lost+found").rmdir()
        yield mounted
    image.unlink()


def remount(place, how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


@contextlib.contextmanager
def other_user(member):
    """The words to put before a program that shall run without our rights; the member's place is opened to it."""
    if os.geteuid() != 0:
        yield []
        return
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    opened = []
    try:
        for folder in (member.place, *member.place.parents):
            mode = folder.stat().st_mode & 0o7777
            if not mode & 0o001:
                opened.append((folder, mode))
                folder.chmod(mode | 0o011)
        yield ["setpriv", f"--reuid={OTHER_USER}", f"--regid={OTHER_USER}", "--clear-groups"]
    finally:
        for folder, mode in opened:
            folder.chmod(mode)
