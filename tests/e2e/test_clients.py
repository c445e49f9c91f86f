"""The counter's story, told by clients that others wrote: Python's websockets and Node's ws. What curl asks for over HTTP."""

import gzip
import os
import shutil
import subprocess

import pytest
import websockets
from websockets.sync.client import connect

from harness.server import KINDS, Server, path_from_environment
from harness.wait import PATIENCE


@pytest.fixture(scope="module", params=KINDS)
def server(request):
    with Server(request.param, "counter") as server:
        yield server


def test_python_websockets(server):
    address = f"ws://127.0.0.1:{server.port}/ws/python"
    with connect(address) as alice, connect(address, compression=None) as bob:
        alice.send("increment")
        assert alice.recv(20) == "new value: 1"
        assert bob.recv(20) == "new value: 1"
        bob.send("increment")
        assert alice.recv(20) == "new value: 2"
        assert bob.recv(20) == "new value: 2"
        # In fragments, as this library sends what it is given in pieces.
        alice.send(["decr", "ement"])
        assert alice.recv(20) == "new value: 1"
        assert bob.recv(20) == "new value: 1"
        assert alice.ping().wait(20)
        bob.close(1000, "bye")
        assert bob.close_code == 1000
    with connect(address) as carol:
        carol.send("increment")
        assert carol.recv(20) == "new value: 2"
    with connect(address + "-other") as dora:
        dora.send("decrement")
        assert dora.recv(20) == "new value: -1"


def test_python_websockets_are_told_when_the_server_stops():
    with Server("module", "counter") as server:
        with connect(f"ws://127.0.0.1:{server.port}/ws/python") as alice:
            server.process.terminate()
            with pytest.raises(websockets.ConnectionClosed):
                alice.recv(20)
            assert alice.close_code == 1012
        server.wait(10)


def test_node_ws(server):
    node = shutil.which("node")
    folder = path_from_environment("JAMSOCKET_NODE_FOLDER")
    if node is None or not (folder / "node_modules" / "ws").is_dir():
        assert not os.environ.get("CI"), "node and tests/node/node_modules are missing: tools/setup.sh test"
        pytest.skip("node or tests/node/node_modules is missing: run tools/setup.sh test")
    done = subprocess.run([node, folder / "counter_story.mjs", f"ws://127.0.0.1:{server.port}"], capture_output=True, text=True,
                          timeout=60 * PATIENCE)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


class Curl:
    """Debian's curl, which speaks no WebSocket."""

    def __init__(self, port):
        self._address = f"http://127.0.0.1:{port}"

    def __call__(self, *arguments):
        """Of targets ("/x") and options. @return what was received; then, for each target: status, connections made."""
        arguments = [f"{self._address}{word}" if isinstance(word, str) and word.startswith("/") else word for word in arguments]
        done = subprocess.run(["curl", "-sS", "--max-time", "20", "--write-out", r"%{stderr}%{http_code} %{num_connects}\n", *arguments],
                              capture_output=True, timeout=60 * PATIENCE)
        assert done.returncode == 0, done.stderr
        return done.stdout, [tuple(map(int, line.split())) for line in done.stderr.decode().splitlines()]


def test_curl(tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "numbers.txt").write_bytes(b"0123456789")
    (site / "packed.txt").write_bytes(b"the plain form")
    (site / "packed.txt.gz").write_bytes(gzip.compress(b"the packed form"))
    tag = tmp_path / "tag"
    with Server("module", "counter", {"static_files": site}) as server:
        curl = Curl(server.port)
        # One connection for all of them.
        body, answers = curl("/status", "/numbers.txt", "/nothing", "/numbers.txt")
        assert body.startswith(b"ok0123456789") and body.endswith(b"0123456789")
        assert answers == [(200, 1), (200, 0), (404, 0), (200, 0)]
        assert curl("--range", "2-4", "/numbers.txt", "/numbers.txt") == (b"234234", [(206, 1), (206, 0)])
        assert curl("--range", "-3", "/numbers.txt") == (b"789", [(206, 1)])
        assert curl("--range", "8-", "/numbers.txt") == (b"89", [(206, 1)])
        assert curl("--range", "10-", "/numbers.txt")[1] == [(416, 1)]
        # A second HEAD on the connection shows that nothing came behind the first one's answer.
        head, answers = curl("--head", "/numbers.txt", "/numbers.txt")
        assert head.lower().count(b"content-length: 10\r\n") == 2 and b"0123" not in head
        assert answers == [(200, 1), (200, 0)]
        assert curl("--etag-save", tag, "/numbers.txt") == (b"0123456789", [(200, 1)])
        assert curl("--etag-compare", tag, "/numbers.txt") == (b"", [(304, 1)])
        assert curl("--etag-compare", tag, "/packed.txt") == (b"the plain form", [(200, 1)])
        assert curl("--time-cond", site / "numbers.txt", "/numbers.txt") == (b"", [(304, 1)])
        assert curl("--time-cond", "2001-01-01", "/numbers.txt") == (b"0123456789", [(200, 1)])
        assert curl("--compressed", "/packed.txt") == (b"the packed form", [(200, 1)])
        assert curl("/packed.txt") == (b"the plain form", [(200, 1)])
        assert curl("--request", "POST", "/ws/made", "/ws/made")[1] == [(200, 1), (409, 0)]
        body, answers = curl("--data", "x=1", "/new_room")
        assert (len(body), answers) == (36, [(200, 1)])
        # It would wait with the body until it is asked for it; it need not wait to hear that it will not be.
        assert curl("--header", "Expect: 100-continue", "--data", "x=1", "/new_room")[1] == [(417, 1)]
        assert curl("--http1.0", "/status", "/status") == (b"okok", [(200, 1), (200, 1)])
