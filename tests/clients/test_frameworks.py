"""Session frameworks through real HTTP requests: login, counter, large sessions, restart, expiry, logout.

Each application (apps/, node/express_app.mjs, php/app.php) runs against redis-server and against Holdfast; what browsers
see and what the store holds must be equal. phpredis's locking needs scripting and is not tried yet.
"""

import pathlib
import re
import sys

import pytest

from harness.resp import Error
from harness.wait import wait_until
from harness.webapp import Browser, WebApp

HERE = pathlib.Path(__file__).parent
PYTHON = sys.executable

# name -> (command, folder, environment, how its keys look)
FRAMEWORKS = {
    "Flask-Session": ([PYTHON, "flask_app.py"], "apps", {}, rb"session:[\w-]+"),
    "Flask-Session resp3": ([PYTHON, "flask_app.py"], "apps", {"PROTOCOL": "3"}, rb"session:[\w-]+"),
    "Django built-in": ([PYTHON, "django_app.py"], "apps", {"BACKEND": "builtin"}, rb":1:django\.contrib\.sessions\.cache\w+"),
    "django-redis": ([PYTHON, "django_app.py"], "apps", {"BACKEND": "django_redis"}, rb":1:django\.contrib\.sessions\.cache\w+"),
    "connect-redis node-redis": (["node", "express_app.mjs"], "node", {"DRIVER": "node_redis"}, rb"sess:[\w-]+"),
    "connect-redis node-redis resp3": (["node", "express_app.mjs"], "node", {"DRIVER": "node_redis", "PROTOCOL": "3"}, rb"sess:[\w-]+"),
    "connect-redis ioredis": (["node", "express_app.mjs"], "node", {"DRIVER": "ioredis"}, rb"sess:[\w-]+"),
    "phpredis": (["php", "-d", "session.save_handler=redis", "-d", 'session.save_path="tcp://{REDIS_HOST}:{REDIS_PORT}?timeout=10"',
                  "-d", "session.gc_maxlifetime={LIFETIME}", "-d", "redis.session.locking_enabled=0",
                  "-S", "127.0.0.1:{PORT}", "app.php"], "php", {}, rb"PHPREDIS_SESSION:\w+"),
}


def application(name, server, lifetime_s):
    command, folder, env, _ = FRAMEWORKS[name]
    return WebApp(command, server, lifetime_s, HERE / folder, env)


def stored(server, name):
    """[(start of the key, type, TTL as a word)]: what the store holds, without what differs by chance."""
    seen = []
    with server.connect() as connection:
        for key in connection.call("KEYS", "*"):
            assert re.fullmatch(FRAMEWORKS[name][3], key), key
            remaining = connection.call("TTL", key)
            left = "full" if 995 <= remaining <= 1000 else "short" if 90 <= remaining <= 100 else str(remaining)
            seen.append((key[:5], connection.call("TYPE", key), left))
    return sorted(seen)


def shorten(server):
    """Every session has 100 s left: the next request must slide it back."""
    with server.connect() as connection:
        for key in connection.call("KEYS", "*"):
            connection.call("EXPIRE", key, 100)


def life(server, name):
    seen, anna, berta = [], Browser(), Browser()
    with application(name, server, 1000) as app:
        seen.append(anna.get(app, "/login?user=anna"))
        seen.append([anna.get(app, "/count") for _ in range(3)])
        seen.append(stored(server, name))
        seen.append(berta.get(app, "/login?user=berta"))
        seen.append([berta.get(app, "/count"), anna.get(app, "/count")])
        seen.append(stored(server, name))
        shorten(server)
        seen.append(anna.get(app, "/count"))
        seen.append(stored(server, name))
        seen.append(anna.get(app, "/fill?size=200000"))
        seen.append([anna.get(app, "/size"), berta.get(app, "/size"), anna.get(app, "/count")])
    with application(name, server, 1000) as app:
        seen.append(["after a restart", anna.get(app, "/count"), berta.get(app, "/count"), anna.get(app, "/size")])
        old = anna.cookie
        seen.append(anna.get(app, "/logout"))
        seen.append(["after the logout", len(stored(server, name)), anna.get(app, "/count")["user"],
                     Browser(old).get(app, "/count")["user"], berta.get(app, "/count")])
        with server.connect() as connection:
            connection.call("FLUSHDB")
        seen.append(["store emptied", berta.get(app, "/count")["user"]])
    return seen


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_session_life(name, both):
    seen = both(life, name)
    assert seen[0] == {"user": "anna"} and seen[1][-1] == {"user": "anna", "count": 3}
    assert all(entry[2] == "full" for entry in seen[2] + seen[5]) and len(seen[5]) == 2
    assert seen[10][1] == {"user": "anna", "count": 7} and seen[12][2] is None and seen[13][1] is None


def short_life(server, name):
    """A session of one second is there, is gone from the store by itself, and the browser is a stranger again."""
    anna = Browser()
    with application(name, server, 1) as app:
        seen = [anna.get(app, "/login?user=anna")]
        wait_until(lambda: server.call("DBSIZE") == 0, deadline_s=10, what="the session's end")
        seen.append(anna.get(app, "/count"))
    return seen


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_expiry(name, both):
    seen = both(short_life, name)
    assert seen == [{"user": "anna"}, {"user": None, "count": 1}]


@pytest.mark.parametrize("name", ["Django built-in", "django-redis"])
def test_django_cache_and_rotation(name, both):
    def scenario(server):
        anna = Browser()
        with application(name, server, 1000) as app:
            seen = [anna.get(app, "/use-cache"), anna.get(app, "/login?user=anna")]
            seen += [anna.get(app, "/rotate"), anna.get(app, "/count"), stored(server, name)]
        return seen
    assert both(scenario)[3] == {"user": "anna", "count": 1}


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name.startswith("connect-redis")])
def test_connect_redis_store(name, both):
    def scenario(server):
        with application(name, server, 1000) as app:
            for number in range(150):
                Browser().get(app, f"/login?user=u{number}")
            return [Browser().get(app, "/store"), Browser().get(app, "/clear"), stored(server, name)]
    assert both(scenario) == [{"length": 150, "ids": 150, "all": 150}, {"length": 0}, []]


def test_the_comparison_notices_a_missing_expiry(server):
    """Guards `stored`: a session without its TTL must not look right."""
    server.call("SET", "session:abc", "v")
    assert stored(server, "Flask-Session") == [(b"sessi", "string", "-1")]
    assert not isinstance(server.call("TTL", "session:abc"), Error)
