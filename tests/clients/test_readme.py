"""The programs shown in the README, as they stand there but for the ports: each counts a browser's visits."""

import http.cookiejar
import pathlib
import re
import sys
import urllib.request

import pytest

from harness.webapp import WebApp

HERE = pathlib.Path(__file__).parent
README = (HERE.parent.parent / "README.md").read_text(encoding="utf-8")
# A block of code that begins with a comment naming its file.
PROGRAMS = {match[1]: match[0] for match in re.finditer(r"^(?:#|//) ([\w/-]+\.(?:py|mjs))\n.*?(?=^```)", README, re.M | re.S)}

COMMANDS = {
    "flask_demo.py": [sys.executable, "-m", "flask", "--app", "flask_demo", "run", "--port", "{PORT}"],
    "express-demo/server.mjs": ["node", "express-demo/server.mjs"],
    "django_demo.py": [sys.executable, "django_demo.py", "runserver", "--noreload", "127.0.0.1:{PORT}"],
}


class Demo(WebApp):
    """Puts the program into a folder of its own, with this server's port and the application's."""

    def __init__(self, name, server, folder):
        super().__init__(COMMANDS[name], server, 1800, folder, {"PYTHONPATH": str(folder)})
        self.path, self.text = folder / name, PROGRAMS[name]

    def __enter__(self):
        assert "6379" in self.text
        self.path.parent.mkdir(exist_ok=True)
        (self.cwd / "node_modules").symlink_to(HERE / "node" / "node_modules")
        self.path.write_text(self.text.replace("6379", str(self.server.port)).replace("listen(3000,", "listen(process.env.PORT,"))
        return super().__enter__()


def test_every_program_is_run():
    assert sorted(PROGRAMS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_program_keeps_a_session(name, server, tmp_path):
    with Demo(name, server, tmp_path) as demo:
        browsers = [urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())) for _ in "ab"]
        answers = [browser.open(f"http://127.0.0.1:{demo.port}/", timeout=30).read() for browser in (*browsers, *browsers, browsers[0])]
    assert answers == [b"visit 1\n", b"visit 1\n", b"visit 2\n", b"visit 2\n", b"visit 3\n"]
    stored = 0
    with server.connect() as connection:
        for database in ("0", "1"):
            connection.call("SELECT", database)
            stored += connection.call("DBSIZE")
    assert stored == 2
