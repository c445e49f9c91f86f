"""Stopping: SIGTERM and SIGINT with clients connected, and clients that vanish."""

import contextlib
import os
import resource
import signal
import time

import pytest

from harness.server import KINDS, Server
from harness.tls import client_context
from harness.tls import settings as tls_settings
from harness.tls_by_hand import hello
from harness.wait import PATIENCE
from harness.wire import CLOSE, Connection, close_frame, frame, request


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def clients(server, count, rooms):
    """So many clients of the chat, or the probe, spread over `rooms` rooms."""
    connections = [Connection(server.port, seconds=30) for _ in range(count)]
    for number, connection in enumerate(connections):
        connection.send(request(f"/ws/room-{number % rooms}"))
    for connection in connections:
        assert connection.response().status == 101
    return connections


def next_close(connection):
    received = connection.frame()
    while received.opcode != CLOSE:
        received = connection.frame()
    return received


@pytest.mark.parametrize("drains", [True, False])
def test_in_the_middle_of_everything(kind, drains, tls_files, tmp_path):
    """R-22: kept rooms with clients, timers and commits under way, half a TLS handshake, half a request, and a handshake that is done
    and has said nothing; ended by its drain's time, or at once."""
    service, talk = ("probe", ["timer 50", "count"]) if kind == "module" else ("counter", ["increment"])
    settings = {"server.data": tmp_path / "data", "server.shards": 2, "limits.close_timeout_ms": 60_000,
                "server.drain_timeout_seconds": 1 if drains else 600, **tls_settings(*tls_files)}
    for life in range(4):
        with Server(kind, service, settings) as server, contextlib.ExitStack() as stack:
            def secure():
                return stack.enter_context(Connection(server.port, seconds=20, tls=client_context(tls_files[0])))

            half_hello = stack.enter_context(Connection(server.port))
            half_hello.send(bytes.fromhex("16030100c8010000c403"))
            secure().send(request("/ws/room-0")[:-2])
            secure()
            crowd = [secure() for _ in range(8)]
            for number, connection in enumerate(crowd):
                connection.send(request(f"/ws/room-{number % 4}"))
                assert connection.response().status == 101
            for _ in range(30 + 10 * life):
                for connection in crowd:
                    for text in talk:
                        connection.send(frame(1, text))
            server.process.terminate()
            assert next_close(crowd[0]).close_code == 1012
            if not drains:
                server.process.terminate()
            code = server.process.wait(20 * PATIENCE)
            assert code == 0 or not drains and code in (-signal.SIGTERM, 128 + signal.SIGTERM, 1)
            server.wait(expected=code)
            server.stop = lambda *_: code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_thousand_clients_are_told(kind, number):
    with Server(kind, "echo") as server:
        connections = clients(server, 1000, 100)
        begin = time.monotonic()
        server.process.send_signal(number)
        for connection in connections:
            received = next_close(connection)
            assert received.close_code == 1012
            connection.send_until_refused(close_frame(1012))
        for connection in connections:
            connection.expect_end()
            connection.close()
        server.wait(10)
        assert time.monotonic() - begin < 5 * PATIENCE


def test_who_does_not_answer_is_cut_off(kind):
    with Server(kind, "echo", {"server.drain_timeout_seconds": 1, "limits.close_timeout_ms": 60_000}) as server:
        connections = clients(server, 50, 5)
        begin = time.monotonic()
        server.process.terminate()
        server.wait(15)
        assert time.monotonic() - begin < 10 * PATIENCE
        said = [line for line in server.log_lines() if line["event"].startswith("server.stop")]
        assert [line["event"] for line in said] == ["server.stopping", "server.stopped"]
        assert (said[0]["connections"], said[0]["rooms"], said[0]["drain_timeout_ms"]) == (50, 5, 1000)
        for connection in connections:
            connection.close()


def test_a_second_signal_ends_at_once(kind):
    """R-16: however long the drain may take."""
    with Server(kind, "echo", {"server.drain_timeout_seconds": 600, "limits.close_timeout_ms": 600_000}) as server:
        connections = clients(server, 5, 1)
        server.process.terminate()
        assert next_close(connections[0]).close_code == 1012
        assert server.alive()
        server.process.terminate()
        begin = time.monotonic()
        code = server.process.wait(10 * PATIENCE)
        assert code in (0, -signal.SIGTERM, 128 + signal.SIGTERM, 1)
        assert time.monotonic() - begin < 5 * PATIENCE
        for connection in connections:
            connection.close()
        server.wait = lambda *_: code  # Its end was judged here.


def test_a_stopping_server_takes_nobody_in(kind):
    with Server(kind, "echo", {"server.drain_timeout_seconds": 600, "limits.close_timeout_ms": 600_000}) as server:
        [connection] = clients(server, 1, 1)
        server.process.terminate()
        assert next_close(connection).close_code == 1012

        # Refused, not left waiting.
        with pytest.raises(ConnectionRefusedError):
            Connection(server.port)
        connection.send(close_frame(1012))
        connection.expect_end()
        server.wait(10)


@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "TLS"])
def test_handshakes_under_way_do_not_hold_it_up(kind, over_tls, tls_files):
    """R-16: ten thousand of them; a thousand where a sanitizer looks on."""
    count = min(1000 if "JAMSOCKET_SANITIZED" in os.environ else 10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    settings = {"limits.handshake_timeout_ms": 600_000, "limits.tls_handshakes_max": 4 * count, **(tls_settings(*tls_files) if over_tls else {})}
    begun = (hello(client_context(tls_files[0])) if over_tls else request())[:50]
    with Server(kind, "echo", settings) as server:
        halves = [Connection(server.port) for _ in range(count)]
        for half in halves:
            half.send(begun)
        begin = time.monotonic()
        server.process.terminate()
        server.wait(10)
        assert time.monotonic() - begin < 5 * PATIENCE
        for half in halves:
            half.close()


def test_messages_before_the_end_arrive(kind):
    """What a room had sent before the signal is not lost to the close."""
    with Server(kind, "probe") as server:
        with Connection(server.port).upgrade("/ws/last-words") as connection:
            connection.expect_text("you are 1")
            connection.text("many 500")
            connection.expect_text("1")
            server.process.terminate()
            for number in range(2, 501):
                connection.expect_text(str(number))
            connection.expect_close(1012)
        server.wait(10)


def test_clients_that_vanish_leave_the_room(kind):
    """RST, end of stream, and half open (heartbeats of 1 s, dead after 2): the chat tells the others."""
    settings = {"server.heartbeat_interval_seconds": 1, "server.heartbeat_timeout_seconds": 2}
    with Server(kind, "chat", settings) as server:
        witness = Connection(server.port).upgrade("/ws/room?name=Witness")
        witness.expect_text("you are Witness; here: nobody else")
        for name, vanish in (("Reset", Connection.reset), ("Ended", Connection.close), ("Silent", lambda connection: None)):
            connection = Connection(server.port).upgrade(f"/ws/room?name={name}")
            witness.expect_text(f"{name} joined")
            vanish(connection)
            witness.expect_text(f"{name} left")
        assert witness.ask("/who") == "here: Witness"
        witness.leave()


def test_a_signal_while_clients_come_and_go(kind):
    """No crash, exit code 0; who comes too late finds nobody."""
    with Server(kind, "echo") as server:
        connections = []
        for number in range(200):
            if number == 150:
                server.process.terminate()
            try:
                connection = Connection(server.port)
                connections.append(connection)
                connection.send(request(f"/ws/{number % 7}") + frame(1, b"x"))
                if number % 3 == 0:
                    connection.reset()
            except ConnectionError:
                assert number >= 150, "turned away before the signal"
        for connection in connections:
            connection.close()
        server.wait(10)
