"""Guests that misbehave in every way, each in one room among a hundred healthy ones of another module.

The healthy rooms are on the server's public listener; its second one, for operators, answers all the while, too: neither
listener may notice what a guest does. What a crime is: tests/guests/zoo.wat.
"""

import json
import os
import pathlib
import time
import urllib.error
import urllib.request

from harness.server import Server, module_path
from harness.wait import PATIENCE, until
from harness.wire import BINARY, Connection, request
import pytest

GUESTS = pathlib.Path(os.environ["JAMSOCKET_GUESTS"])
HEALTHY = 100
# Of an answer of a healthy room. Not a measurement: a call of a criminal may take half a second and more.
PROMPT = 0.25 * PATIENCE

# The first letter of a message, and what the log says of the call that it leads to.
FATAL = {
    "u": "trap", "d": "trap", "v": "trap", "c": "trap", "o": "trap", "O": "trap", "t": "trap", "n": "trap", "s": "trap",
    "r": "trap", "z": "trap", "a": "trap",
    "l": "cpu_limit", "L": "cpu_limit", "f": "cpu_limit", "y": "cpu_limit",
    "g": "memory_limit",
    "q": "effect_limit", "b": "effect_limit",
    "h": "bad_call", "H": "bad_call", "E": "bad_call", "x": "bad_call", "m": "bad_call", "k": "bad_call", "i": "bad_call",
    "p": "bad_call",
}
HARMLESS = {"G": "refused", "e": "", "M": "clean"}


class Zoo:
    """The server, its healthy rooms, and a look at all of them."""

    def __init__(self, folder, module, settings=None):
        config = folder / "jamsocket.toml"
        config.write_text(f'[services.healthy]\nmodule = "{module_path("echo")}"\n')
        self.server = Server(
            command=[os.environ["JAMSOCKET_BIN"], "serve", module, "--config", config,
                     *(word for key, value in {"server.port": 0, "server.log_format": "json", "admin.port": 0,
                                               "limits.failures_before_back_off": 1000, "limits.event_cpu_ms_max": 500,
                                               **(settings or {})}.items()
                       for word in ("--set", f"{key}={value}"))],
            environment={"XDG_CACHE_HOME": str(folder / "cache")})
        self.admin = None
        self.rooms = []

    def __enter__(self):
        self.server.__enter__()
        self.rooms = [Connection(self.server.port).upgrade(f"/ws/healthy/{i}") for i in range(HEALTHY)]
        self.admin = until(lambda: next((line["port"] for line in self.server.log_lines()
                                         if line.get("event") == "admin.listening"), None), 10, "no admin port")
        self.look()
        return self

    def __exit__(self, *failure):
        for room in self.rooms:
            room.close()
        self.server.__exit__(*failure)

    def look(self, prompt=PROMPT):
        """Every healthy room answers, and soon; both listeners do."""
        slowest = 0.0
        for i, room in enumerate(self.rooms):
            began = time.monotonic()
            assert room.ask(f"room {i}") == f"room {i}"
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < prompt, f"a healthy room answered after {slowest * 1000:.0f} ms"
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/health", timeout=20) as answer:
            assert json.loads(answer.read()) == {"status": "ok"}

    def enter(self, room):
        """A client in a room of the zoo; its query comes back at once, and its User-Agent where it has one."""
        client = Connection(self.server.port).upgrade(f"/ws/{room}?in")
        client.expect_text("in")
        return client

    def failures(self):
        return [line for line in self.server.log_lines() if line.get("event") == "room.failed"]


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    with Zoo(tmp_path_factory.mktemp("zoo"), GUESTS / "zoo.wasm") as made:
        yield made


@pytest.mark.parametrize("crime", sorted(FATAL))
def test_a_crime_ends_its_room_and_nothing_else(zoo, crime):
    room = f"crime-{ord(crime)}"
    criminal = zoo.enter(room)
    criminal.text(crime)
    zoo.look()  # While it is under way, where it takes its time.
    criminal.expect_close(1011)
    failure = until(lambda: next((line for line in zoo.failures() if line["room"] == room), None), 10, "no line of log")
    assert failure["cause"] == FATAL[crime], failure
    assert failure["service"] == "zoo" and failure["event_kind"] == "message", failure
    zoo.look()
    # The id is not dead: the next client gets a fresh instance with nothing left over in its memory.
    heir = zoo.enter(room)
    assert heir.ask("M") == "clean"
    heir.close()


@pytest.mark.parametrize("deed", sorted(HARMLESS))
def test_what_looks_like_a_crime_but_is_none_is_answered(zoo, deed):
    client = zoo.enter(f"deed-{ord(deed)}")
    assert client.ask(deed) == HARMLESS[deed]
    zoo.look()
    client.close()


def test_memory_of_rooms_before_is_not_to_be_seen(zoo):
    for _ in range(200):
        client = zoo.enter("reused")
        assert client.ask("M") == "clean"  # And fills it.
        client.text("u")
        client.expect_close(1011)


def test_a_hundred_rooms_loop_at_the_same_time(zoo):
    criminals = [zoo.enter(f"loop-{i}") for i in range(100)]
    for criminal in criminals:
        criminal.text("l")
    zoo.look(prompt=20)  # Each has its first two milliseconds of the loop; afterwards they are known.
    for criminal in criminals:
        criminal.expect_close(1011)
    zoo.look()


def test_a_thousand_rooms_trap_at_the_same_time(zoo):
    criminals = [zoo.enter(f"trap-{i}") for i in range(1000)]
    for criminal in criminals:
        criminal.text("u")
    zoo.look()
    for criminal in criminals:
        criminal.expect_close(1011)
    zoo.look()


def test_memory_to_the_limit_in_many_rooms(zoo):
    before = zoo.server.memory()
    criminals = [zoo.enter(f"grow-{i}") for i in range(30)]
    for criminal in criminals:
        criminal.text("g")
    zoo.look()
    for criminal in criminals:
        criminal.expect_close(1011)
    until(lambda: zoo.server.memory() < before + (64 << 20), 20,
          lambda: f"{zoo.server.memory() - before} bytes were kept of rooms that are gone")


def test_a_flood_of_messages_into_one_room(zoo):
    flooder = zoo.enter("flood")
    flooder.send(b"".join(b"\x81\x81\0\0\0\0T" for _ in range(20_000)))
    zoo.look()
    for _ in range(20_000):
        received = flooder.frame()
        assert received.opcode == BINARY and len(received.payload) == 8
    flooder.close()


def test_a_client_that_leaves_while_its_call_loops(zoo):
    criminal = zoo.enter("left")
    criminal.text("l")
    criminal.reset()
    zoo.look()
    until(lambda: any(line["room"] == "left" for line in zoo.failures()), 20, "the call did not end")


@pytest.mark.parametrize("guest", ["init_loop", "init_trap"])
def test_a_room_that_cannot_start_refuses_its_client(tmp_path, guest):
    with Zoo(tmp_path, GUESTS / f"{guest}.wasm") as server:
        client = Connection(server.server.port)
        client.send(request("/ws/x"))
        server.look()
        assert client.response().status == 500
        server.look()


def test_an_operator_cannot_add_what_loops_when_it_starts(tmp_path):
    with Zoo(tmp_path, GUESTS / "zoo.wasm") as server:
        adding = urllib.request.Request(f"http://127.0.0.1:{server.admin}/admin/services/bad", method="POST",
                                         data=json.dumps({"module": str(GUESTS / "start_loop.wasm")}).encode())
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(adding, timeout=60)
        assert "cannot be started" in json.loads(refused.value.read())["error"]
        server.look()


def test_no_descriptor_or_room_is_left_behind(zoo):
    for name in ("leak-1", "leak-2"):
        client = zoo.enter(name)
        client.text("u")
        client.expect_close(1011)
    before = zoo.server.descriptors()
    for i in range(50):
        client = zoo.enter(f"leak-{i}")
        client.text("u")
        client.expect_close(1011)
        client.close()
    zoo.server.wait_for_descriptors(before)
