"""Hosts of a small network of their own: a network namespace each, joined by a bridge in one more, so that nothing of it touches
the machine's own network. Frames between any two hosts can be dropped, in both directions or in one.

    with Network(("a", "b", "c")) as network:
        subprocess.Popen([*network.words("a"), "python3", ...])
        network.cut({"a"}, {"b", "c"})       # both ways
        network.drop({"a"}, {"b"})           # only what a sends to b
        network.heal()

`connect` opens a connection from inside a host, whoever calls. Wants root, iproute2 and nftables; `NotPermitted` says what is
missing. Not thread-safe, but for `inside` and `connect`.
"""

import contextlib
import ctypes
import itertools
import os
import shutil
import subprocess

CLONE_NEWNET = 0x40000000
NAMESPACES = "/run/netns"
HOPS = itertools.count(1)

LIBC = ctypes.CDLL(None, use_errno=True)


class NotPermitted(Exception):
    """This machine gives us no namespaces; the text says why."""


class Network:
    def __init__(self, hosts):
        self.hosts = list(hosts)
        assert all(name.isalnum() and len(name) <= 8 for name in self.hosts)
        self.prefix = f"hf{os.getpid()}x{next(HOPS)}"
        self.made = []

    def __enter__(self):
        if os.geteuid() != 0:
            raise NotPermitted("only root can make network namespaces")
        for tool in ("ip", "nft", "nsenter"):
            if shutil.which(tool) is None:
                raise NotPermitted(f"{tool} is not installed")
        try:
            self._make()
        except subprocess.CalledProcessError as failure:
            self._remove()
            raise NotPermitted(f"{' '.join(failure.cmd)}: {failure.stderr.strip()}") from None
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        self._remove()

    # --- hosts

    def namespace(self, host):
        return f"{self.prefix}-{host}"

    def address(self, host):
        return f"10.231.0.{self.hosts.index(host) + 1}"

    def words(self, host):
        """What to put before a program that shall run on this host; the process stays the caller's child."""
        return ["nsenter", f"--net={NAMESPACES}/{self.namespace(host)}", "--"]

    @contextlib.contextmanager
    def inside(self, host):
        """While it lasts, sockets that this thread makes belong to the host."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"{NAMESPACES}/{self.namespace(host)}", "rb") as there:
            _enter(there)
            try:
                yield
            finally:
                _enter(home)

    # --- faults

    def drop(self, senders, receivers):
        """From now on nothing that a sender sends reaches a receiver."""
        rules = [f'add rule bridge faults forward iifname "to-{one}" oifname "to-{other}" ether type ip drop\n'
                 for one in senders for other in receivers if one != other]
        self._nft("".join(rules))  # all at once

    def cut(self, one_side, other_side):
        rules = [f'add rule bridge faults forward iifname "to-{one}" oifname "to-{other}" ether type ip drop\n'
                 for pair in itertools.product(one_side, other_side) for one, other in (pair, pair[::-1])]
        self._nft("".join(rules))

    def limit(self, host, bytes_per_second):
        """From now on what the host sends, and what it is sent, passes up to this rate each; frames beyond it are dropped.
        What was not sent in the last second may be made up for."""
        bound = f"ether type ip limit rate over {bytes_per_second} bytes/second drop"
        self._nft("".join(f'add rule bridge faults forward {way} "to-{host}" {bound}\n' for way in ("iifname", "oifname")))

    def heal(self):
        self._nft("flush chain bridge faults forward\n")

    # --- making and removing

    def _make(self):
        hub = self._namespace("hub")
        _run("ip", "-n", hub, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", hub, "link", "set", "bridge", "up")
        for host in self.hosts:
            inner = self._namespace(host)
            # Made inside the hub, so that not even for a moment it is the machine's.
            _run("ip", "-n", hub, "link", "add", f"to-{host}", "type", "veth", "peer", "name", "eth0", "netns", inner)
            _run("ip", "-n", hub, "link", "set", f"to-{host}", "master", "bridge", "up")
            _run("ip", "-n", inner, "address", "add", f"{self.address(host)}/24", "dev", "eth0")
            _run("ip", "-n", inner, "link", "set", "eth0", "up")
            _run("ip", "-n", inner, "link", "set", "lo", "up")
        self._nft("add table bridge faults\nadd chain bridge faults forward { type filter hook forward priority 0 ; policy accept ; }\n")

    def _namespace(self, host):
        name = self.namespace(host)
        _run("ip", "netns", "add", name)
        self.made.append(name)
        return name

    def _nft(self, commands):
        _run("ip", "netns", "exec", self.namespace("hub"), "nft", "-f", "-", text=commands)

    def _remove(self):
        for name in reversed(self.made):  # the veth pairs and rules go with them
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        self.made = []


def _run(*words, text=None):
    subprocess.run(words, input=text, capture_output=True, text=True, check=True, timeout=30)


def _enter(namespace):
    if LIBC.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
