"""Rooms that outlive their server, and what a server does for that. What clients saw of killed ones: test_kill.py."""

import resource
import signal
import tempfile
import threading

import pytest

from harness.admin import limit_hits, metric
from harness.server import KINDS, Server
from harness.wait import until
from harness.wire import TEXT, Connection, Ended, http


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


def test_a_file_that_may_not_grow_ends_the_server_with_a_sentence(kind, folder):
    """RLIMIT_FSIZE, as a shell's ulimit or systemd's LimitFSIZE sets it: its signal ended the process without a word."""
    server = Server(kind, "counter", settings(folder))
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))
    client = Connection(server.port).upgrade("/ws/lobby")
    seen = 0
    with pytest.raises((Ended, ConnectionError)):
        for _ in range(1000):
            client.ask("anything" * 1000)
            client.ask("increment")
            seen += 1
    server.wait(20, expected=3)
    assert "rooms can no longer be kept" in server.log_text()
    with Server(kind, "counter", settings(folder)) as server:
        with Connection(server.port).upgrade("/ws/lobby") as connection:
            assert int(connection.ask("increment").split()[-1]) in (seen + 1, seen + 2)


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


def test_a_timer_that_is_due_while_there_are_too_many_rooms_wakes_its_room_later(folder):
    with Server("module", "probe", settings(folder)) as server:
        with Connection(server.port).upgrade("/ws/lobby") as connection:
            connection.next_text()
            connection.text("timer 3000")
            assert connection.ask("count") == "count 1"
    full = settings(folder, **{"limits.rooms_max": 1, "service.shutdown_policy": "immediate", "server.shards": 1, "admin.port": 0})
    with Server("module", "probe", full) as server:
        connection = Connection(server.port).upgrade("/ws/elsewhere")
        connection.next_text()
        assert until(lambda: limit_hits(server, "rooms_max") > 0, 20)
        assert metric(server, "rooms_brought_back_total") == 0
        connection.leave()
        assert until(lambda: metric(server, "rooms_brought_back_total") == 1, 20)


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
            with Connection(server.port).upgrade("/ws/lobby") as connection:
                first = connection.frame()
                assert first.opcode == TEXT or first.close_code == 1013, first
                return first.opcode == TEXT

        assert not back()
        until(back, 10)
