"""The counter's story, told by clients that others wrote: Python's websockets and Node's ws."""

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
