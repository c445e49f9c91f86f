"""What goes wrong around a server: a clock that is set, memory that ends, calls that fail. faults.cpp makes it so from outside."""

import contextlib
import errno
import os
import struct
import time

import pytest

from harness.admin import metric
from harness.server import KINDS, Server, path_from_environment
from harness.wait import PATIENCE, until
from harness.wire import TEXT, Connection, Ended, frame, http, request

pytestmark = pytest.mark.skipif("JAMSOCKET_SANITIZED" in os.environ, reason="the sanitizers want to be loaded first")

ROOMS = 4
HOUR, DAY = 3600, 86400


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


class Faults:
    def __init__(self, folder):
        self.file = folder / "faults"
        self.file.write_bytes(bytes(32))
        self.environment = {"LD_PRELOAD": str(path_from_environment("JAMSOCKET_FAULTS_LIBRARY")), "JAMSOCKET_FAULTS": str(self.file)}

    def _write(self, at, number):
        with self.file.open("r+b") as file:
            file.seek(at)
            file.write(struct.pack("=q", number))

    def add_seconds(self, seconds):
        self._write(0, seconds)

    def fail_allocation(self, number):
        """The number-th from here on; once."""
        self._write(8, number)

    def has_failed(self):
        return struct.unpack_from("=q", self.file.read_bytes(), 8)[0] <= 0  # Threads that ask at once count on.


    def fail_accepts(self, count, error):
        self._write(24, error)
        self._write(16, count)

    def accepts_to_fail(self):
        return struct.unpack_from("=q", self.file.read_bytes(), 16)[0]


@pytest.fixture
def faults(tmp_path):
    return Faults(tmp_path)


def room_time(connection):
    return int(connection.ask("now").removeprefix("now "))


def test_a_clock_that_is_set(kind, faults):
    """R-14, an hour back, a day on, and back: nobody is cut, timers run on, and no room sees time go back."""
    settings = {"server.heartbeat_interval_seconds": 1, "server.heartbeat_timeout_seconds": 3, "service.shutdown_policy": "1sec",
                "admin.port": 0}
    with Server(kind, "probe", settings, environment=faults.environment) as server:
        with Connection(server.port).upgrade("/ws/clock") as connection:
            connection.expect_text("you are 1")
            seen = room_time(connection)
            for number, (seconds, at_least) in enumerate(((-HOUR, 0), (DAY, DAY * 900), (0, 0), (-HOUR, 0))):
                connection.text("timer 300")
                faults.add_seconds(seconds)
                now = room_time(connection)
                assert now >= seen + at_least, (seconds, now - seen)
                seen = now
                assert connection.next_text().startswith("timer ")
                # Longer than the heartbeat's timeout: pings go on and are answered.
                for _ in range(7):
                    connection.text("timer 500")
                    received = connection.next_text()
                    assert received.startswith("timer "), received
                    connection.text(f"still {number}")
                    connection.expect_text(f"still {number}")
                assert http(server.port, "GET", "/status").status == 200
            # And rooms still end by their time.
            connection.leave()
        until(lambda: metric(server, "rooms") == 0, 10, "the room never ended")


@pytest.mark.parametrize("name", ["ECONNABORTED", "EPROTO", "EINTR", "ENETDOWN", "EPERM"])
def test_a_connection_that_cannot_be_accepted(kind, faults, name):
    """R-11, a peer's misfortune: the next one is looked at in the same turn, however many there were."""
    with Server(kind, "echo", {"server.shards": 1, "admin.port": 0}, environment=faults.environment) as server:
        with Connection(server.port).upgrade("/ws/inside") as inside:
            before = metric(server, "accept_errors_total")
            faults.fail_accepts(1000, getattr(errno, name))
            with Connection(server.port).upgrade("/ws/new") as new:
                assert new.ask("hello") == "hello"
                new.leave()
            assert faults.accepts_to_fail() <= 0 and metric(server, "accept_errors_total") == before + 1000
            assert inside.ask("still here?") == "still here?"
            inside.leave()
        assert not [line for line in server.log_lines() if line["event"] == "server.accept_paused"]


@pytest.mark.parametrize("name", ["ENOBUFS", "ENOMEM", "EMFILE", "ENFILE"])
def test_a_shortage_when_connections_are_accepted(kind, faults, name):
    """R-11, R-09: it is tried ten times a second and not more, who is inside is served, and when the shortage ends, all are."""
    shards = 2
    with Server(kind, "echo", {"server.shards": shards}, environment=faults.environment) as server:
        with Connection(server.port).upgrade("/ws/inside") as inside:
            many = 1_000_000_000
            begin = time.monotonic()
            faults.fail_accepts(many, getattr(errno, name))
            crowd = [Connection(server.port, seconds=30) for _ in range(50)]
            for connection in crowd:
                connection.send(request("/ws/crowd") + frame(TEXT, b"hello"))

            def has_tried():
                assert inside.ask("still here?") == "still here?"
                return many - faults.accepts_to_fail() >= 5 * shards
            until(has_tried, 20, "it does not try again")
            tried = many - faults.accepts_to_fail()
            assert tried <= shards * ((time.monotonic() - begin) / 0.1 + 2), f"it spins: {tried} times"
            faults.fail_accepts(0, 0)
            for connection in crowd:
                assert connection.response().status == 101
                connection.expect_text("hello")
                connection.close()
            inside.leave()
        paused = [line for line in server.log_lines() if line["event"] == "server.accept_paused"]
        assert 1 <= len(paused) <= shards * (time.monotonic() - begin + 1), "at most one a second and shard"


def click(port, seen):
    """One click in each room. Whatever the server does meanwhile, what is heard counts."""
    for room in range(ROOMS):
        with contextlib.suppress(Ended, OSError, AssertionError):
            with Connection(port).upgrade(f"/ws/room-{room}") as connection:
                seen[room] = int(connection.ask("increment").removeprefix("new value: "))


def check_kept(kind, settings, seen, more):
    """Each room has what was seen of it, and what was asked and not heard: with one click now, `more` at most."""
    with Server(kind, "counter", settings) as again:
        for room in range(ROOMS):
            with Connection(again.port).upgrade(f"/ws/room-{room}") as connection:
                value = int(connection.ask("increment").removeprefix("new value: "))
                assert seen[room] < value <= seen[room] + more, (room, value, seen)
                connection.leave()


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 13, 21, 55, 144, 377, 987])
def test_an_allocation_that_fails(kind, faults, tmp_path, number):
    """R-10, the n-th: the server goes on, or it ends; either way, what anybody saw is kept."""
    settings = {"server.data": tmp_path / "data", "server.shards": 1}
    server = Server(kind, "counter", settings, environment=faults.environment)
    try:
        seen = [0] * ROOMS
        click(server.port, seen)
        assert seen == [1] * ROOMS
        faults.fail_allocation(number)
        for _ in range(200):
            click(server.port, seen)
            if faults.has_failed() or not server.alive():
                break
        assert faults.has_failed(), "it allocates no more"
        if server.alive():
            click(server.port, seen)
    finally:
        server.process.kill()
        server.process.wait(30 * PATIENCE)
    check_kept(kind, settings, seen, 3)


def test_no_more_memory(kind, tmp_path):
    """R-10, an address space that is used up: large messages, new rooms and clients are refused, or the server ends. What anybody saw
    is kept."""
    import resource
    settings = {"server.data": tmp_path / "data"}
    server = Server(kind, "counter", settings)
    try:
        seen = [0] * ROOMS
        click(server.port, seen)
        size = int(server._proc("statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
        for number in range(50):
            if not server.alive():
                break
            with contextlib.suppress(Ended, OSError, AssertionError):
                with Connection(server.port, seconds=2) as connection:
                    connection.send(request(f"/ws/more-{number}") + frame(TEXT, b"x" * 1_000_000))
                    connection.response()
        click(server.port, seen)
    finally:
        server.process.kill()
        server.process.wait(30 * PATIENCE)
    check_kept(kind, settings, seen, 2)
