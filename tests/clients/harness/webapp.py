"""Runs a web application in a process of its own, and a browser that keeps its cookie."""

import http.client
import json
import os
import subprocess
import tempfile

from .server import free_port
from .wait import wait_until


class WebApp:
    """command: its words; "{port}" etc. in them are filled in. The application reads the environment of apps/README.md."""

    def __init__(self, command, server, lifetime_s, cwd, env=None):
        self.server, self.lifetime_s = server, lifetime_s
        self.command, self.cwd, self.env = command, cwd, env or {}
        self.process = None

    def __enter__(self):
        self.port = free_port()
        values = {"REDIS_HOST": self.server.host, "REDIS_PORT": str(self.server.port), "PORT": str(self.port),
                  "LIFETIME": str(self.lifetime_s)}
        words = [word.format(**values) for word in self.command]
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(words, cwd=self.cwd, env={**os.environ, **values, **self.env}, stdout=self.output,
                                        stderr=self.output, stdin=subprocess.DEVNULL)
        wait_until(self._serves, deadline_s=30, what=f"{words[:3]} listening\n")
        return self

    def _serves(self):
        assert self.process.poll() is None, f"the application ended at its start\n{self.said()}"
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            connection.connect()
            connection.close()
            return True
        except OSError:
            return False

    def said(self):
        self.output.seek(0)
        return self.output.read().decode(errors="replace")[-4000:]

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()


class Browser:
    """Sends its cookie as long as it has one, whatever the cookie's own lifetime: so the store alone decides."""

    def __init__(self, cookie=None):
        self.cookie = cookie

    def get(self, app, path):
        connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)
        try:
            connection.request("GET", path, headers={"Cookie": self.cookie} if self.cookie else {})
            response = connection.getresponse()
            body = response.read()
            for name, value in response.getheaders():
                if name.lower() == "set-cookie" and value.startswith("session="):
                    self.cookie = value.split(";")[0]
        finally:
            connection.close()
        assert response.status == 200, f"{path}: {response.status} {body[:2000]!r}\n{app.said()}"
        return json.loads(body)
