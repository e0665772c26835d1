"""Members that are known by name, and a name server that is silent: a library in front of the system's makes one name hang."""

import os
import re
import shutil
import subprocess

import pytest

from cluster import let_pass

HANGING = "hanging.invalid"
HANG = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char* node, const char* service, const struct addrinfo* hints, struct addrinfo** found) {
  while (node && !strcmp(node, "%s")) pause();
  int (*real)(const char*, const char*, const struct addrinfo*, struct addrinfo**) = dlsym(RTLD_NEXT, "getaddrinfo");
  return real(node, service, hints, found);
}
""" % HANGING


@pytest.fixture
def hanging_lookups(tmp_path, monkeypatch):
    """For processes that are started from now on."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    library = tmp_path / "hang.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", library, "-ldl"], input=HANG, text=True, check=True, timeout=60)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    # The sanitized program wants to be first.
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")


def _sees(node, other):
    status = node.status()
    return status is not None and any(peer["name"] == other.name and peer["connected"] for peer in status["peers"])


def test_a_name_that_hangs_delays_neither_other_members_nor_the_end(new_cluster, hanging_lookups):
    cluster = new_cluster()
    cluster.start()
    a, b, c = cluster.nodes
    assert a.stop() == 0
    # a dials both; of those behind a slow lookup, the hanging one comes first.
    nodes = cluster.nodes_text().replace(f"b={b.host}", f"b={HANGING}").replace(f"c={c.host}", "c=localhost")
    a.spawn("--set", f"cluster.nodes={nodes}")
    cluster.wait(lambda: _sees(a, c), "a sees c, whose name is known")
    a.wait_log(f"peer lookup slow node=2 name=b host={HANGING}")
    assert re.search("peer lookup slow .* dials=nothing_yet", a.log()), a.log()
    let_pass(1)  # it does not say so again and again
    assert a.log().count("peer lookup slow") == 1
    a.terminate()
    assert a.wait_end(deadline_s=15) == 0, a.log()[-3000:]
