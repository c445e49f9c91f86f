"""The counter's story, told by clients that others wrote: Python's websockets and Node's ws. What curl asks for over HTTP."""

import gzip
import os
import shutil
import subprocess

import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

from harness.server import KINDS, Server, path_from_environment
from harness.wait import PATIENCE
from harness.wire import random_bytes


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


def node(script, *arguments):
    node = shutil.which("node")
    folder = path_from_environment("JAMSOCKET_NODE_FOLDER")
    if node is None or not (folder / "node_modules" / "ws").is_dir():
        assert not os.environ.get("CI"), "node and tests/node/node_modules are missing: tools/setup.sh test"
        pytest.skip("node or tests/node/node_modules is missing: run tools/setup.sh test")
    done = subprocess.run([node, folder / script, *arguments], capture_output=True, text=True, timeout=60 * PATIENCE)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_node_ws(server):
    node("counter_story.mjs", f"ws://127.0.0.1:{server.port}")


@pytest.fixture(scope="module", params=["message", "context"])
def compressing(request):
    with Server("module", "echo", {"server.compression": request.param, "limits.message_bytes_max": "2MiB"}) as server:
        yield server


OFFERS = [{}, {"server_no_context_takeover": True}, {"client_no_context_takeover": True}, {"server_max_window_bits": 9},
          {"client_max_window_bits": 9},
          {"server_no_context_takeover": True, "client_no_context_takeover": True, "server_max_window_bits": 10, "client_max_window_bits": 12}]


@pytest.mark.parametrize("offer", OFFERS, ids=str)
def test_python_websockets_compress(compressing, offer):
    """RFC 7692: each offer is agreed on, and what comes back is what was sent, one message behind the other."""
    offer = {"client_max_window_bits": True, **offer}
    address = f"ws://127.0.0.1:{compressing.port}/ws/python"
    with connect(address, extensions=[ClientPerMessageDeflateFactory(**offer)], compression=None, max_size=None) as client:
        assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
        for length in (0, 1, 125, 511, 512, 513, 5000, 70_000, 1_000_000):
            words = ("the same words again " * (length // 21 + 1))[:length]
            for message in (words, words.encode(), random_bytes(length, length), words, [words[:length // 2], words[length // 2:]]):
                client.send(message)
                assert client.recv(20) == (message if isinstance(message, (str, bytes)) else words)


def test_node_ws_compresses(compressing):
    node("compressed_echo.mjs", f"ws://127.0.0.1:{compressing.port}")


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
