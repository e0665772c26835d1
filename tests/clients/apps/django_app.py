"""Django's cached sessions, on its own Redis cache (BACKEND=builtin) or on django-redis (BACKEND=django_redis)."""

import os

import django
from django.conf import settings

BACKENDS = {"builtin": "django.core.cache.backends.redis.RedisCache", "django_redis": "django_redis.cache.RedisCache"}

settings.configure(
    DEBUG=False,
    SECRET_KEY="only-for-tests",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    SESSION_COOKIE_AGE=int(os.environ["LIFETIME"]),
    SESSION_COOKIE_NAME="session",
    CACHES={"default": {
        "BACKEND": BACKENDS[os.environ["BACKEND"]],
        "LOCATION": f"redis://{os.environ['REDIS_HOST']}:{os.environ['REDIS_PORT']}/0",
    }},
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402
from wsgi_server import serve  # noqa: E402


def login(request):
    request.session["user"] = request.GET["user"]
    return JsonResponse({"user": request.session["user"]})


def count(request):
    request.session["count"] = request.session.get("count", 0) + 1
    return JsonResponse({"user": request.session.get("user"), "count": request.session["count"]})


def fill(request):
    request.session["fill"] = "x" * int(request.GET["size"])
    return size(request)


def size(request):
    return JsonResponse({"size": len(request.session.get("fill", ""))})


def logout(request):
    request.session.flush()
    return JsonResponse({"user": None})


def rotate(request):
    """A new session id for the same session, as Django does at each login."""
    before = request.session.session_key
    request.session.cycle_key()
    return JsonResponse({"changed": before != request.session.session_key})


def use_cache(request):
    """The cache's own calls: each is a command or two."""
    seen = [cache.add("a", 1, 100), cache.add("a", 2, 100), cache.get("a"), cache.get("nobody", "default"),
            cache.set("b", {"x": [1, None]}, 100), cache.get("b"), cache.get_many(["a", "b", "nobody"]),
            cache.set_many({"c": 1, "d": 2}, 100), cache.touch("c", 200), cache.touch("nobody", 200),
            cache.delete("d"), cache.delete("d"), cache.delete_many(["a", "b"]), cache.has_key("a"),
            cache.set("forever", 1, None), cache.get("forever"), cache.set("never", 1, 0), cache.get("never"),
            cache.get_or_set("e", 5, 100)]
    if os.environ["BACKEND"] == "builtin":  # django-redis counts with a Lua script, which comes later
        cache.set("n", 5)
        seen += [cache.incr("n", 2), cache.decr("n")]
    else:
        seen += [cache.ttl("c") in range(190, 201), cache.ttl("nobody"), cache.ttl("forever"), cache.expire("c", 50),
                 cache.persist("c"), sorted(cache.keys("*")), sorted(cache.iter_keys("c*")), cache.delete_pattern("c*"),
                 cache.set("x", 1, nx=True), cache.set("x", 2, nx=True), cache.pttl("x") > 0, cache.pexpire("x", 5000)]
    cache.clear()
    return JsonResponse({"seen": [repr(value) for value in seen]})


urlpatterns = [path(name.replace("_", "-"), globals()[name]) for name in
               ("login", "count", "fill", "size", "logout", "rotate", "use_cache")]
serve(get_wsgi_application())
