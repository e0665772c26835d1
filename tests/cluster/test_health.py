"""`holdfast ping`, and the image's health check: a server that answers is healthy, wherever its options say that it listens."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from cluster import free_ports, holdfast_binary, wait_until

DOCKERFILE = pathlib.Path(__file__).resolve().parents[2] / "Dockerfile"
SECRET = {"HOLDFAST_CLUSTER_SECRET": "5ec2e7" * 10}


def clean(environment):
    return {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")} | environment


def ping(*words, **environment):
    done = subprocess.run([holdfast_binary(), "ping", *map(str, words)], capture_output=True, text=True, env=clean(environment), timeout=30)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def image(tmp_path):
    """What the image makes of a server: started by its name, asked by the Dockerfile's health check; /proc/1 is the server's."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "holdfast").symlink_to(holdfast_binary())
    (tmp_path / "data").mkdir()
    image = Image(tmp_path)
    yield image
    image.kill()


class Image:
    def __init__(self, place):
        self.place = place
        self.process = None

    def start(self, *words, **environment):
        environment = {"HOLDFAST_SERVER_DIR": str(self.place / "data"), "PATH": f"{self.place / 'bin'}:{os.environ['PATH']}"} | environment
        self.environment = clean(environment)
        with open(self.place / "life-1.log", "wb") as log:
            self.process = subprocess.Popen(["holdfast", *map(str, words)], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env=self.environment, cwd=self.place)
        wait_until(lambda: " ready\n" in (self.place / "life-1.log").read_text(), 30, what="the server is ready")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def health(self):
        text = DOCKERFILE.read_text().replace("\\\n", " ")
        words = json.loads(re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", text, re.M).group(1))
        words = [word.replace("/proc/1/", f"/proc/{self.process.pid}/") for word in words]
        return subprocess.run(words, capture_output=True, text=True, env=self.environment, cwd=self.place, timeout=30)

    def assert_healthy(self, *answers):
        checked = self.health()
        assert checked.returncode == 0 and checked.stdout.split(": ")[1].startswith(answers or ("+PONG", "-LOADING")), checked


def test_a_member_on_the_port_of_its_own_entry_is_healthy(image):
    port, peer_port = free_ports(2)
    image.start(HOLDFAST_CLUSTER_NAME="test", HOLDFAST_CLUSTER_NODE="a", **SECRET,
                HOLDFAST_CLUSTER_NODES=f"a=127.0.0.1:{port}:{peer_port},b=127.0.0.2:{port}:{peer_port},c=127.0.0.3:{port}:{peer_port}")
    image.assert_healthy()


def test_a_server_on_the_port_of_its_command_line_is_healthy(image):
    port, = free_ports(1)
    image.start("--port", port)
    image.assert_healthy()


def test_a_server_on_the_port_of_its_configuration_file_is_healthy(image):
    port, = free_ports(1)
    (image.place / "holdfast.yaml").write_text(f"server:\n  port: {port}\n")
    image.start("holdfast.yaml")
    image.assert_healthy()


def test_a_server_that_does_not_listen_on_127_0_0_1_is_healthy(image):
    port, = free_ports(1)
    image.start(HOLDFAST_SERVER_BIND="127.0.0.9", HOLDFAST_SERVER_PORT=str(port))
    image.assert_healthy()


def test_a_server_that_listens_on_all_addresses_and_wants_a_password_is_healthy(image):
    port, = free_ports(1)
    image.start("--requirepass", "two words", HOLDFAST_SERVER_BIND="0.0.0.0", HOLDFAST_SERVER_PORT=str(port))
    image.assert_healthy("-NOAUTH")


def test_a_server_with_a_unix_socket_only_is_healthy(image):
    image.start("--port", "0", "--unixsocket", "socket")  # in its folder
    image.assert_healthy()


def test_a_server_that_hangs_or_is_gone_is_not_healthy(image):
    port, = free_ports(1)
    image.start("--port", port)
    image.process.send_signal(signal.SIGSTOP)
    checked = image.health()
    assert checked.returncode == 1 and "no answer within 2000 ms" in checked.stderr, checked
    image.kill()
    status, said = ping("--port", port, "--bind", "127.0.0.1")
    assert status == 1 and said == f"holdfast ping: 127.0.0.1 port {port}: Connection refused\n"


def test_a_ping_of_something_else_says_so():
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.settimeout(30)
        port = stranger.getsockname()[1]
        with subprocess.Popen([holdfast_binary(), "ping", "--bind", "127.0.0.1", "--port", str(port)], stderr=subprocess.PIPE, text=True,
                              env=clean({})) as asking:
            peer, _ = stranger.accept()
            with peer:
                assert peer.recv(100) == b"PING\r\n"
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n")
                said = asking.communicate(timeout=30)[1]
        assert asking.returncode == 1 and 'it says "HTTP/1.1 400 Bad Request"' in said, said


def test_a_ping_with_a_wrong_configuration_says_what_is_wrong():
    status, said = ping("--nosuch", "a")
    assert status == 2 and "unknown option" in said
