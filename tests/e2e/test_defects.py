"""The fifteen defects of Jamsocket 0.1.1, measured by running it: each has a test here that fails on a server with it."""

import os
import statistics
import time

import pytest

from harness.server import KINDS, Server
from harness.wait import PATIENCE, until
from harness.wire import (BINARY, CONTINUATION, PING, TEXT, Connection, Ended, TooLate, close_frame, frame, http, request)

SANITIZED = bool(os.environ.get("JAMSOCKET_SANITIZED"))


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def server(kind):
    """Rooms end when they are empty and may fail as often as they like; clients are dead after two seconds of silence."""
    settings = {"service.shutdown_policy": "immediate", "limits.failures_before_back_off": 1000, "server.heartbeat_interval_seconds": 1,
                "server.heartbeat_timeout_seconds": 2, "limits.close_timeout_ms": 500}
    with Server(kind, "probe", settings) as server:
        yield server


def join(server, room, number=None, **options):
    connection = Connection(server.port, **options).upgrade(f"/ws/{room}")
    greeting = connection.next_text()
    if number is not None:
        assert greeting == f"you are {number}"
    return connection


def idle_share(server, seconds=1.0):
    """The share of one processor that the server uses while nothing happens."""
    begin, used = time.monotonic(), server.cpu_seconds()
    until(lambda: time.monotonic() - begin >= seconds, seconds * 2, every=0.05)
    return (server.cpu_seconds() - used) / (time.monotonic() - begin)


def test_01_a_room_id_lives_on_after_its_room(server):
    for _ in range(5):
        connection = join(server, "again", 1)
        assert connection.ask("count") == "count 1"
        connection.leave()


def test_02_a_client_whose_connection_drops_has_left(server):
    with join(server, "drop", 1) as witness:
        join(server, "drop", 2).reset()
        assert witness.next_text() == "2 connected"
        assert witness.next_text() == "2 disconnected"


def test_02_a_client_that_falls_silent_has_left(server):
    """Half open: the peer's system still acknowledges, the peer is gone. The room empties, too."""
    with join(server, "silent", 1) as witness, join(server, "silent", 2):
        assert witness.next_text() == "2 connected"
        begin = time.monotonic()
        assert witness.next_text() == "2 disconnected"
        assert time.monotonic() - begin < 8 * PATIENCE
        witness.leave()
    silent = join(server, "silent-alone", 1)
    assert silent.ask("count") == "count 1"
    until(lambda: http(server.port, "POST", "/ws/silent-alone").status == 200, 10, "the room never ended")
    silent.close()


def test_03_any_frame_is_a_sign_of_life(server):
    """A busy client that never answers a ping stays, for more than twice the timeout."""
    with join(server, "busy", 1) as connection:
        end = time.monotonic() + 5
        number = 0
        while time.monotonic() < end:
            number += 1
            connection.text(f"busy {number}")
            received = connection.frame()
            while received.opcode == PING:
                received = connection.frame()
            assert received.payload.decode() == f"busy {number}"
            with_pause(connection)
        connection.leave()


def with_pause(connection):
    """Waits 0.1 s unless something comes."""
    try:
        connection.fill(0.1)
    except TooLate:
        pass


def test_04_an_empty_message_is_a_message(server):
    with join(server, "empty") as connection:
        connection.send(frame(TEXT) + frame(BINARY))
        assert connection.next_text() == ""
        received = connection.frame()
        assert (received.opcode, received.payload) == (BINARY, b"")
        connection.leave()


def test_05_a_trapped_instance_is_never_called_again(server):
    with join(server, "trap", 1) as first, join(server, "trap", 2) as second:
        assert first.next_text() == "2 connected"
        first.text("trap")
        first.expect_close(1011)
        second.expect_close(1011)
    with join(server, "trap", 1) as fresh:
        assert fresh.ask("count") == "count 1"
        fresh.leave()


def test_05_traps_leak_nothing(server):
    def trap(times):
        for _ in range(times):
            with join(server, "trap-often", 1) as connection:
                connection.text("trap")
                connection.expect_close(1011)

    trap(50)
    memory, mappings = server.memory(), server.mappings()
    trap(200)
    assert server.mappings() <= mappings + 4
    assert SANITIZED or server.memory() <= memory + (1 << 20)


def test_06_a_client_that_never_reads_costs_little(server):
    """64 MB are broadcast past it; it is closed, those who read get everything."""
    with join(server, "slow", 1, receive_buffer=4096) as slow, join(server, "slow", 2) as reader:
        before = server.memory()
        messages, size = 16, 65536
        highest = before
        for _ in range(64):
            reader.text(f"storm {messages} {size}")
            for _ in range(messages):
                text = reader.next_text()
                if text == "1 disconnected":
                    text = reader.next_text()
                assert len(text) == size
            highest = max(highest, server.memory())
        assert SANITIZED or highest - before < 24 << 20, f"{highest - before} bytes"
        # It is welcome back: 1013 follows what the system's buffers had taken, if they have room for it.
        assert slow.next_text() == "2 connected"
        with pytest.raises((Ended, AssertionError)) as end:
            while True:
                slow.next_text()
        assert end.type is Ended or "opcode=8" in str(end.value)
        reader.leave()


def test_07_closed_rooms_leave_nothing_behind(server):
    """More rooms, one after the other, than the original survived (4,995)."""
    def visit(numbers):
        batch = [Connection(server.port) for _ in numbers]
        for connection, number in zip(batch, numbers):
            connection.send(request(f"/ws/visited-{number}") + frame(TEXT, b"count"))
        for connection in batch:
            assert connection.response().status == 101
            connection.expect_text("you are 1")
            connection.expect_text("count 1")
            connection.leave()

    def rooms(begin, end, at_once=25):
        for number in range(begin, end, at_once):
            visit(range(number, number + at_once))

    rooms(0, 200)
    before = {"descriptors": server.descriptors(), "threads": server.threads(), "mappings": server.mappings(), "memory": server.memory()}
    rooms(200, 5200)
    server.wait_for_descriptors(before["descriptors"])
    assert server.threads() <= before["threads"]
    assert server.mappings() <= before["mappings"] + 64
    assert SANITIZED or server.memory() <= before["memory"] + (2 << 20)


@pytest.mark.parametrize("pointer, length", [
    (0xFFFFFFF0, 0x20), (0, 0xFFFFFFFF), (0x80000000, 0x80000000), (0xFFFFFFFF, 1), (0xFFFFFFFF, 0xFFFFFFFF), (1, 0xFFFFFFFF),
])
def test_08_a_guests_pointers_are_checked_in_64_bits(server, pointer, length):
    with join(server, "lie", 1) as connection:
        connection.text(f"lie {pointer} {length}")
        connection.expect_close(1011)
    with join(server, "lie", 1) as connection:
        connection.leave()


def test_09_a_loop_without_end_is_ended():
    settings = {"service.shutdown_policy": "immediate"}
    with Server("module", "probe", settings) as server:
        with join(server, "spin") as hog, join(server, "calm") as calm:
            hog.text("spin")
            assert calm.ask("count") == "count 1"
            hog.expect_close(1011)
            calm.leave()
        with join(server, "spin", 1) as again:
            assert again.ask("count") == "count 1"
            again.leave()
        # While one is at it, the server still ends in an orderly way, at once.
        with join(server, "spin") as hog:
            hog.text("spin")
            begin = time.monotonic()
            server.process.terminate()
            assert hog.frame().close_code in (1011, 1012)  # Ended by its budget, or told to go.
            server.wait(10)
            assert time.monotonic() - begin < 8 * PATIENCE  # The budget of wall time is 5 s: a busy machine leaves the call that long.


@pytest.mark.parametrize("data, code", [
    (frame(TEXT, b"hello", key=None), 1002),
    (frame(3, b"hello"), 1002),
    (frame(11), 1002),
    (frame(BINARY, bytes(100), length=1 << 40), 1009),
], ids=["unmasked", "opcode 3", "opcode 11", "announced 1 TiB"])
@pytest.mark.parametrize("leave", ["answers", "resets"])
def test_10_a_bad_frame_burns_no_processor(server, data, code, leave):
    connection = join(server, "bad-frame")
    connection.send(data)
    if leave == "answers":
        connection.expect_close(code)
        connection.close()
    else:
        connection.reset()
    assert idle_share(server) < 0.25


def test_10_a_message_over_64_kib_is_a_message(server):
    with join(server, "large") as connection:
        payload = bytes(range(256)) * 400
        connection.send(frame(BINARY, payload))
        received = connection.frame()
        assert (received.opcode, received.payload) == (BINARY, payload)
        connection.leave()
    assert idle_share(server) < 0.25


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4321])
def test_11_a_close_is_answered(server, code):
    with join(server, "close") as connection:
        connection.send(close_frame(code, b"bye"))
        connection.expect_close(code, answer=False)
        connection.expect_end()


def test_12_a_message_in_fragments_arrives(server):
    with join(server, "fragments") as connection:
        for cut in range(6):
            connection.send(frame(TEXT, b"hello"[:cut], fin=False) + frame(CONTINUATION, b"hello"[cut:]))
            assert connection.next_text() == "hello"
        connection.leave()


@pytest.mark.parametrize("name, bad", [
    ("no-key", {"drop": ["Sec-WebSocket-Key"]}), ("version-8", {"change": {"Sec-WebSocket-Version": "8"}}),
    ("no-upgrade", {"drop": ["Upgrade"]}), ("put", {"method": "PUT"}),
])
def test_13_a_refused_upgrade_makes_no_room_and_uses_no_id(server, name, bad):
    with Connection(server.port) as refused:
        refused.send(request(f"/ws/{name}", **bad))
        assert refused.response().status in (400, 405, 426)
    created = http(server.port, "POST", f"/ws/{name}")
    assert (created.status, created.body) == (200, name.encode()), "the room had been made"
    with join(server, "ids", 1) as first:
        with Connection(server.port) as refused:
            refused.send(request("/ws/ids", **bad))
            assert refused.response().status in (400, 405, 426)
        with join(server, "ids", 2) as second:
            assert first.next_text() == "2 connected"
            second.leave()


def test_14_small_messages_do_not_wait_for_acknowledgements(server):
    """Two messages shortly after each other, so that the second would wait for the first one's delayed acknowledgement."""
    with join(server, "quick") as connection:
        times = []
        for number in range(60):
            begin = time.monotonic()
            connection.text(f"first {number}")
            connection.text(f"second {number}")
            assert connection.next_text() == f"first {number}"
            assert connection.next_text() == f"second {number}"
            times.append(time.monotonic() - begin)
        # The delayed acknowledgement comes after 40 ms. It would hold up each of them; a busy machine holds up some.
        fastest = statistics.quantiles(times, n=4)[0]
        assert fastest < 0.03 * PATIENCE, f"three of four took more than {fastest * 1000:.1f} ms"
        connection.leave()


def test_15_a_room_that_cannot_start_is_said_before_the_upgrade(server):
    for _ in range(3):
        with Connection(server.port) as connection:
            connection.send(request("/ws/trap-at-start"))
            response = connection.response()
            assert response.status == 500
            assert response.body.strip()


@pytest.mark.parametrize("version", ["8", "12", "14", ""])
def test_15_the_version_counts(server, version):
    with Connection(server.port) as connection:
        connection.send(request("/ws/version", change={"Sec-WebSocket-Version": version}))
        response = connection.response()
        assert (response.status, response.header("Sec-WebSocket-Version")) == (426, "13")


@pytest.mark.parametrize("key", ["", "short", "AAAAAAAAAAAAAAAAAAAAAAA=", "!" * 24])
def test_15_the_key_counts(server, key):
    with Connection(server.port) as connection:
        connection.send(request("/ws/key", change={"Sec-WebSocket-Key": key}))
        assert connection.response().status == 400
