"""A disk that takes its time: only rooms that write to it wait. kill_points.cpp holds the log's syncs up from outside."""

import os
import select

import pytest

from harness.server import Server, module_path, path_from_environment
from harness.wire import Connection

OTHERS = {"none": "counter", "async": "echo"}  # By durability; a service's name is its module's.


@pytest.fixture
def server(tmp_path):
    """Rooms at /ws/ID wait for the disk, those of the services `none` and `async` do not."""
    text = "".join(f'[services.{level}]\nmodule = "{module_path(name)}"\ndurability = "{level}"\n' for level, name in OTHERS.items())
    (tmp_path / "jamsocket.toml").write_text(text)
    environment = {"LD_PRELOAD": str(path_from_environment("JAMSOCKET_KILL_POINTS")), "JAMSOCKET_HOLD_SYNC": str(tmp_path / "hold"),
                   "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with Server("module", "probe", {"server.data": tmp_path / "data", "server.shards": 1},
                arguments=["--config", tmp_path / "jamsocket.toml"], environment=environment) as running:
        yield running


@pytest.mark.skipif("JAMSOCKET_SANITIZED" in os.environ, reason="the sanitizers want to be loaded first")
def test_a_slow_disk_delays_only_rooms_that_write(server, tmp_path):
    hold = tmp_path / "hold"
    with Connection(server.port) as writer, Connection(server.port) as none, Connection(server.port) as relaxed:
        writer.upgrade("/ws/writes").next_text()
        none.upgrade("/ws/none/a")
        relaxed.upgrade("/ws/async/a")
        assert writer.ask("count") == "count 1"
        assert none.ask("increment") == "new value: 1"
        assert relaxed.ask("hello") == "hello"
        hold.touch()
        writer.text("count")
        for number in range(200):
            assert none.ask("increment") == f"new value: {number + 2}"
            assert relaxed.ask(f"number {number}") == f"number {number}"
        with Connection(server.port) as another:
            assert another.upgrade("/ws/none/b").ask("increment") == "new value: 1"
            another.leave()
        assert not select.select([writer.socket], [], [], 0)[0], "seen before it was on disk"
        hold.unlink()
        assert writer.next_text() == "count 2"
