"""jamsocket dev as who builds an app uses it: ended and started again, with the service as it was and changed."""

import pathlib
import tempfile

import pytest

from harness.server import SANDBOX, Server, module_path, path_from_environment
from harness.wire import Connection


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="jamsocket-dev-") as name:
        yield pathlib.Path(name)


def put_module(path, build=0):
    """The counter; of another build than that of another number, by a section that nobody reads."""
    path.write_bytes(module_path("counter").read_bytes() + bytes([0, 3, 1, ord("b"), build]))


def dev(folder, *words):
    return Server(command=[path_from_environment("JAMSOCKET_BIN"), "dev", folder, "--port", "0", *SANDBOX, *words])


def increment(server, room):
    with Connection(server.port).upgrade(f"/ws/{room}") as connection:
        value = connection.ask("increment")
        connection.leave()
    return int(value.removeprefix("new value: "))


@pytest.mark.parametrize("settings, words, value", [
    ("", [], 1),
    ('upgrade = "keep"\n', [], 3),
    ('upgrade = "migrate"\n', [], 3),
    ('upgrade = "replay"\n[server]\nhistory = "all"\n', [], 3),
    ("", ["--set", "service.upgrade=migrate"], 3),
    ('upgrade = "migrate"\n', ["--set", "service.upgrade=restart"], 1),
    ('[server]\ndata = "kept"\n', [], 3),
])
def test_rooms_survive_a_restart_and_go_to_changed_code_as_the_settings_say(folder, settings, words, value):
    (folder / "jamsocket.toml").write_text('[service]\nmodule = "it.wasm"\n' + settings)
    put_module(folder / "it.wasm")
    with dev(folder, *words) as server:
        assert increment(server, "lobby") == 1
    with dev(folder, *words) as server:
        assert increment(server, "lobby") == 2
    put_module(folder / "it.wasm", build=1)
    with dev(folder, *words) as server:
        assert increment(server, "lobby") == value


def test_a_service_of_a_section_has_its_own_way_to_changed_code(folder):
    (folder / "jamsocket.toml").write_text('[service]\nmodule = "it.wasm"\n[services.a]\nmodule = "it.wasm"\n'
                                           '[services.b]\nmodule = "it.wasm"\nupgrade = "migrate"\n')
    put_module(folder / "it.wasm")
    rooms = ("lobby", "a/lobby", "b/lobby")
    with dev(folder) as server:
        assert [increment(server, room) for room in rooms] == [1, 1, 1]
    put_module(folder / "it.wasm", build=1)
    with dev(folder) as server:
        assert [increment(server, room) for room in rooms] == [1, 1, 2]
