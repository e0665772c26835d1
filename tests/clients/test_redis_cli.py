"""redis-cli and redis-benchmark from Debian's redis-tools, as people and probes run them."""

import re
import subprocess

import pytest


def cli(server, *arguments, text="", resp=None, password=None):
    command = ["redis-cli", "-h", server.host, "-p", str(server.port)]
    command += [f"-{resp}"] if resp else []
    command += ["-a", password, "--no-auth-warning"] if password else []
    done = subprocess.run(command + list(arguments), input=text.encode(), capture_output=True, timeout=60)
    return [done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")]


LIFE = r"""
PING
SET session:1 "{\"user\": \"anna\"}" EX 1000
GET session:1
TTL session:1
EXPIRE session:1 2000
GETEX session:1 PERSIST
TTL session:1
SET bin "a\x00b\r\nc\xff"
GET bin
STRLEN bin
HSET h user anna count 1
HGETALL h
HMGET h user nobody
HINCRBY h count 5
HDEL h user
HGETALL h
MULTI
INCR n
GET n
HGETALL h
EXEC
MULTI
SET x
EXEC
WATCH n
MULTI
DISCARD
DEL session:1 nobody
EXISTS session:1
INCR bin
HGET bin f
nosuch a b
GET
SELECT 3
SET in three
GET in
DBSIZE
SELECT 99
MGET in nobody
OBJECT ENCODING in
CONFIG GET maxmemory
EXPIRE in -1
DBSIZE
"""


@pytest.mark.parametrize("resp", (2, 3))
@pytest.mark.parametrize("form", ((), ("--no-raw",), ("--json",), ("--csv",)), ids=("raw", "no-raw", "json", "csv"))
def test_session_life(resp, form, both):
    if form == ("--json",) and resp == 2:
        form = ()
    # maxmemory is "0" on both; ids, times and ports are not asked for
    text = LIFE if form != ("--json",) else LIFE.replace(r"a\x00b\r\nc\xff", "abc")
    seen = both(lambda server: cli(server, *form, text=text, resp=resp))
    assert seen[0] == 0 and "anna" in seen[1]


def test_scan_and_bigkeys(both):
    def scenario(server):
        lines = "".join(f"SET scan:{number} {number}\n" for number in range(300)) + "HSET h " + " ".join(
            f"f{number} v" for number in range(100)) + "\n"
        seen = [cli(server, text=lines)[0]]
        seen.append(sorted(cli(server, "--scan", "--pattern", "scan:*")[1].split()))
        seen.append(sorted(cli(server, "--scan", "--count", "7")[1].split()))
        found = cli(server, "--bigkeys")[1]
        seen.append(sorted(re.findall(r"^\d+ \w+s? with \d+ \w+.*$", found, re.M)))
        seen.append(re.findall(r"Sampled \d+ keys", found))
        seen.append("Biggest" in cli(server, "--memkeys")[1])
        return seen
    seen = both(scenario)
    assert len(seen[1]) == 300 and seen[3]


def test_pipe_mode(both):
    def scenario(server):
        body = "".join(f"*3\r\n$3\r\nSET\r\n$6\r\nk{number:05}\r\n$1\r\nv\r\n" for number in range(20000))
        done = cli(server, "--pipe", text=body)
        return [done[0], re.findall(r"errors: \d+, replies: \d+", done[1]), server.call("DBSIZE")]
    assert both(scenario)[2] == 20000


def test_password(both_secured):
    def scenario(server):
        return [cli(server, "GET", "k"), cli(server, "GET", "k", password="wrong")[:2],
                cli(server, "SET", "k", "v", password="sesame"), cli(server, "GET", "k", password="sesame", resp=3),
                cli(server, "--user", "default", "--pass", "sesame", "--no-auth-warning", "GET", "k")]
    assert both_secured(scenario)[2] == [0, "OK\n", ""]


def test_health_probe(both):
    assert both(lambda server: cli(server, "ping")) == [0, "PONG\n", ""]


def test_repeat_and_database_options(both):
    def scenario(server):
        return [cli(server, "-n", "5", "-r", "3", "INCR", "n"), cli(server, "-n", "5", "GET", "n"), cli(server, "GET", "n"),
                cli(server, "-x", "SET", "from-stdin", text="stdin\n\n"), cli(server, "GET", "from-stdin"),
                cli(server, "-D", "|", "MGET", "from-stdin", "n"), cli(server, "-e", "INCR", "from-stdin"),
                cli(server, "nosuch"), cli(server, "--no-raw", "-2", "HELLO", "9")]
    both(scenario)


def test_interactive_help_loads(server):
    """COMMAND DOCS as redis-cli asks for it at the start of a terminal session must not break it."""
    reply = server.call("COMMAND", "DOCS")
    assert isinstance(reply, list) and len(reply) >= 2


@pytest.mark.parametrize("tests", ("ping_inline,ping_mbulk,set,get,incr", "mset,hset"))
def test_benchmark_runs(tests, server):
    done = subprocess.run(["redis-benchmark", "-h", server.host, "-p", str(server.port), "-n", "4000", "-c", "20", "-P", "4",
                           "-r", "1000", "-t", tests, "--csv"], capture_output=True, timeout=120)
    rows = [line for line in done.stdout.decode().splitlines() if line.startswith('"')][1:]
    assert done.returncode == 0 and len(rows) == len(tests.split(",")), done
    assert b"rror" not in done.stdout
    assert all(float(row.split(",")[1].strip('"')) > 0 for row in rows)


def test_benchmark_with_its_own_command(server):
    done = subprocess.run(["redis-benchmark", "-h", server.host, "-p", str(server.port), "-n", "4000", "-c", "20", "-r", "100",
                           "-q", "SETEX", "key:__rand_int__", "100", "value"], capture_output=True, timeout=120)
    assert done.returncode == 0 and b"requests per second" in done.stdout
    assert server.call("DBSIZE") > 90
