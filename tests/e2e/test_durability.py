"""Rooms that outlive their server: killed at any moment, they come back with all that anybody saw."""

import random
import signal
import tempfile
import threading

import pytest

from harness.server import KINDS, Server
from harness.wait import until
from harness.wire import Connection, Ended, TooLate, http

KILLS = 20


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="jamsocket-data-") as name:
        yield name


def settings(folder, **more):
    return {"server.data": folder, **more}


def kill(server):
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()


class Clicker:
    """A client that increments a counter as fast as it is answered, and remembers the highest value it saw.

    `seen`: by room, the highest value. `unanswered`: by room, how many clients since then may have clicked without an answer.
    """

    def __init__(self, port, room, seen, unanswered):
        self.room, self.seen, self.unanswered, self.port = room, seen, unanswered, port
        self.wrong = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        slack = self.unanswered.get(self.room, 0)
        self.unanswered[self.room] = slack + 1
        try:
            with Connection(self.port, seconds=20).upgrade(f"/ws/{self.room}") as connection:
                while True:
                    value = int(connection.ask("increment").removeprefix("new value: "))
                    # One client a room: each click is one more than the last one that was seen, or than those that
                    # were kept and whose answers kills have swallowed.
                    expected = self.seen.get(self.room, 0) + 1
                    if not expected <= value <= expected + slack:
                        self.wrong = f"room {self.room}: {value} after {expected - 1}, {slack} unanswered"
                        return
                    self.seen[self.room] = value
                    self.unanswered[self.room] = 1
                    slack = 0
        except (Ended, ConnectionError, OSError, AssertionError, TooLate):
            pass


# Goal: no change that was seen is lost, none that was seen vanishes, none happens twice. Method: clients outside the server
# record what they saw while it is killed at random moments.
@pytest.mark.parametrize("seed", [1])
def test_kill_nine(kind, folder, seed):
    random.seed(seed)
    seen, unanswered = {}, {}
    rooms = [f"room-{number}" for number in range(4)]
    for _ in range(KILLS):
        server = Server(kind, "counter", settings(folder))
        try:
            clickers = [Clicker(server.port, room, seen, unanswered) for room in rooms]
            threading.Event().wait(random.uniform(0.02, 0.3))
        finally:
            kill(server)
        for clicker in clickers:
            clicker.thread.join(30)
            assert clicker.wrong is None, clicker.wrong
    assert min(seen.values()) > KILLS, seen
    with Server(kind, "counter", settings(folder)) as server:
        for room in rooms:
            with Connection(server.port).upgrade(f"/ws/{room}") as connection:
                value = int(connection.ask("increment").removeprefix("new value: "))
                assert 0 <= value - 1 - seen[room] <= unanswered[room], (room, value, seen)


def test_sigterm_loses_nothing(kind, folder):
    for value in range(1, 4):
        with Server(kind, "counter", settings(folder)) as server:
            with Connection(server.port).upgrade("/ws/lobby") as connection:
                assert connection.ask("increment") == f"new value: {value}"


def test_without_a_folder_nothing_is_kept(kind):
    for _ in range(2):
        with Server(kind, "counter") as server:
            with Connection(server.port).upgrade("/ws/lobby") as connection:
                assert connection.ask("increment") == "new value: 1"


def test_async_is_there_a_moment_later(kind, folder):
    server = Server(kind, "counter", settings(folder, **{"service.durability": "async"}))
    with Connection(server.port).upgrade("/ws/lobby") as connection:
        assert connection.ask("increment") == "new value: 1"
        threading.Event().wait(0.5)
    kill(server)
    with Server(kind, "counter", settings(folder, **{"service.durability": "async"})) as server:
        with Connection(server.port).upgrade("/ws/lobby") as connection:
            assert connection.ask("increment") == "new value: 2"


def test_an_empty_room_is_dropped_and_comes_back(kind, folder):
    with Server(kind, "counter", settings(folder, **{"service.shutdown_policy": "immediate"})) as server:
        for value in range(1, 50):
            with Connection(server.port).upgrade("/ws/lobby") as connection:
                assert connection.ask("increment") == f"new value: {value}"
                connection.leave()


def test_rooms_made_by_request_are_there_after_a_kill(kind, folder):
    strategy = settings(folder, **{"service.room_strategy": "api"})
    server = Server(kind, "counter", strategy)
    assert http(server.port, "POST", "/ws/lobby").status == 200
    kill(server)
    with Server(kind, "counter", strategy) as server:
        assert http(server.port, "POST", "/ws/lobby").status == 409
        with Connection(server.port).upgrade("/ws/lobby") as connection:
            assert connection.ask("increment") == "new value: 1"
        with Connection(server.port) as connection:
            connection.send(b"GET /ws/nobody HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            response = connection.response()
            assert response.status == 404
            assert response.body.strip() == b"The requested room does not exist."


def test_two_servers_on_one_folder(kind, folder):
    with Server(kind, "counter", settings(folder)):
        with pytest.raises(AssertionError, match="in use by another process"):
            Server(kind, "counter", settings(folder))


def test_a_timer_wakes_a_room_that_nobody_visits(folder):
    server = Server("module", "probe", settings(folder))
    with Connection(server.port).upgrade("/ws/lobby") as connection:
        connection.next_text()
        connection.text("timer 300")
        assert connection.ask("count") == "count 1"
    kill(server)
    with Server("module", "probe", settings(folder)) as server:
        with Connection(server.port).upgrade("/ws/elsewhere") as connection:
            connection.next_text()
            connection.text("timer 1500")
            connection.expect_text("timer 1")  # By then the other room's was due, without a client.
        with Connection(server.port).upgrade("/ws/lobby") as connection:
            assert connection.next_text() == "you are 2"
            connection.text("timer 1")
            connection.expect_text("timer 2")


def test_a_bad_event_is_undone(folder):
    with Server("module", "probe", settings(folder)) as server:
        good = Connection(server.port).upgrade("/ws/lobby")
        good.expect_text("you are 1")
        bad = Connection(server.port).upgrade("/ws/lobby")
        bad.expect_text("you are 2")
        good.expect_text("2 connected")
        assert good.ask("count") == "count 1"
        bad.text("trap")
        bad.expect_close(1011)
        good.expect_text("2 disconnected")
        assert good.ask("count") == "count 2"
        assert good.ask("clients") == "clients 1"
        good.leave()


def test_what_keeps_failing_is_set_aside(folder):
    with Server("module", "probe", settings(folder)) as server:
        for number in range(3):
            with Connection(server.port).upgrade("/ws/lobby") as connection:
                connection.next_text()
                connection.text("trap")
                connection.expect_close(1011)
        def back():
            with Connection(server.port) as connection:
                connection.send(b"GET /ws/lobby HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
                status = connection.response().status
                assert status in (101, 503)
                return status == 101
        assert not back()
        until(back, 10)
