"""R: what clients use up, and how fast they come and go. Each attack is played until it leaves nothing behind."""

import contextlib
import os
import resource
import signal
import threading
import time

import pytest

from harness.server import KINDS, Server
from harness.wait import PATIENCE, until
from harness.wire import BINARY, CLOSE, PING, PONG, TEXT, Connection, Ended, TooLate, close_frame, frame, http, request

SETTINGS = {"service.shutdown_policy": "immediate", "server.shards": 2, "limits.close_timeout_ms": 500, "limits.outbound_bytes_max": "64KiB"}

IN_PLACE_OF = {
    "R-01 100,000 connections that say nothing": "test_load.py: 10,000 trickling handshakes; this machine grants a process 20,000 descriptors",
    "R-02 10^7 rounds": "600 in test_rooms.py, of which the second 300 may leave nothing behind; `make bench` connects and leaves 10,000 times",
    "R-03 readers that never read": "test_load.py, with 1,000 of them; one in test_a_reader_that_is_too_slow",
    "R-05 a client that never says hello": "tests of tokens: what may come before the first message has a budget of its own",
    "R-06 10,000 rooms, 10,000 clients in one": "`make bench`: rooms-10000, idle-10000; a thousand of each in test_rooms.py and test_stop.py",
    "R-08 10,000 members": "100 in test_rooms.py: what one more costs does not depend on how many are there but for the telling",
    "R-09 few descriptors": "test_rooms.py, test_load.py and test_faults.py",
    "R-11 accept() that fails": "test_faults.py, error by error; SIGHUP in test_reload.py",
    "R-12 everybody at once over TLS": "test_bad_tls.py",
    "R-19 resets within TLS": "test_bad_tls.py",
    "R-15 one identity twice": "tests of identity: the newer connection or both, by configuration",
    "R-16 stopping amid handshakes, a second signal": "test_stop.py; SIGKILL while rooms are kept in test_durability.py",
    "R-18 a full disk, a slow disk": "unit tests of the store on a failing disk, and test_durability.py",
}


def join(watch, room, **options):
    connection = Connection(watch.server.port, **options).upgrade(f"/ws/{room}")
    connection.next_text()
    return connection


def reset_right_after_connecting(watch):
    """R-19: between accept and the first read, with the request, behind it, behind the first frame."""
    upgrade = request("/ws/reset")
    for number in range(400):
        connection = Connection(watch.server.port)
        stage = number % 4
        if stage:
            connection.send_until_refused(upgrade + (frame(TEXT, b"all late") if stage == 2 else b""))
        if stage == 3:
            connection.response()
        connection.reset()


def reset_during_the_hand_over(watch):
    """R-21: the request goes to one shard and the room lives on another; the client is gone meanwhile."""
    for number in range(300):
        connection = Connection(watch.server.port)
        connection.send_until_refused(request(f"/ws/elsewhere-{number}") + frame(TEXT, b"hello"))
        connection.reset()


def rooms_that_end_while_messages_come(watch):
    """R-21: the last client leaves, the room ends, and the next client comes with a message at once."""
    for number in range(100):
        room = f"revolving-{number}"
        leaving = join(watch, room)
        leaving.send(close_frame(1000))
        with Connection(watch.server.port) as connection:
            connection.send(request(f"/ws/{room}") + frame(TEXT, b"still here?"))
            assert connection.response().status == 101
            greeting = connection.next_text()
            while greeting != "still here?":
                assert greeting in ("you are 1", "you are 2", "1 disconnected"), greeting
                greeting = connection.next_text()
            connection.reset()
        leaving.reset()


def gone_while_the_room_sends_to_it(watch):
    """R-20: a thousand messages are on their way to a client that resets."""
    for _ in range(50):
        connection = join(watch, "sending")
        connection.send(frame(TEXT, b"many 1000") * 3)
        connection.reset()


def rooms_that_break_while_clients_leave(watch):
    """R-20: the room ends itself, by a trap, while its clients come and go."""
    for number in range(40):
        room = f"breaking-{number}"
        stays = Connection(watch.server.port)
        stays.send(request(f"/ws/{room}"))
        leaves = Connection(watch.server.port)
        leaves.send(request(f"/ws/{room}") + frame(TEXT, b"trap"))
        leaves.reset()
        comes = Connection(watch.server.port)
        comes.send(request(f"/ws/{room}") + frame(TEXT, b"trap"))
        for connection in (stays, comes):
            with contextlib.suppress(Ended, OSError):
                while connection.response().status == 101 and connection.frame().opcode != CLOSE:
                    break
            connection.reset()


def a_storm_of_answers(watch):
    """R-07: each client answers each broadcast by a broadcast. The room's inbox and the outboxes bound it; it ends with its clients."""
    crowd = [join(watch, "storm") for _ in range(10)]
    for connection in crowd:
        connection.socket.setblocking(False)
    answer = frame(TEXT, b"all " + b"x" * 60)
    crowd[0].socket.setblocking(True)
    crowd[0].send(answer)
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        for connection in crowd:
            connection.socket.setblocking(False)
            with contextlib.suppress(OSError):
                received = connection.socket.recv(1 << 16)
                # Some 64 bytes a broadcast: one answer for each that came.
                connection.socket.send(answer * max(1, min(256, len(received) // 64)))
    watch.check_canary()
    for connection in crowd:
        connection.reset()


def timers_without_end(watch):
    """R-13: timers set ten thousand times, the longest there is, and one of no time at all."""
    with join(watch, "timers") as connection:
        connection.send(frame(TEXT, b"timer 4000000000") * 10_000 + frame(TEXT, b"timer 4294967295") + frame(TEXT, b"timer 0"))
        assert connection.ask("still here?") == "still here?"
        # Each replaces the one before; where a millisecond passes between two, one has run out.
        connection.send(frame(TEXT, b"timer 1") * 10_000 + frame(TEXT, b"and now?") + close_frame(1000))
        received = []
        while (last := connection.frame()).opcode == TEXT:
            received.append(last.payload.decode())
        assert last.opcode == CLOSE and last.close_code == 1000
        assert [text for text in received if not text.startswith("timer ")] == ["and now?"]
        connection.expect_end()


def stopped_and_continued(watch):
    """R-14: the process gets no processor for two seconds; nobody is lost."""
    with join(watch, "stopped") as connection:
        watch.server.process.send_signal(signal.SIGSTOP)
        until(watch.server.stopped, 5, "it never stopped")
        connection.text("sent meanwhile")
        with contextlib.suppress(TooLate):
            connection.fill(2.0 / PATIENCE)
            raise AssertionError("it answered while it was stopped")
        watch.server.process.send_signal(signal.SIGCONT)
        connection.expect_text("sent meanwhile")
        connection.leave()


def signals_without_end(watch):
    """R-11, EINTR: two hundred times stopped and continued, which ends every wait early; and signals that mean nothing here."""
    with join(watch, "signals") as connection:
        for number in range(200):
            watch.server.process.send_signal(signal.SIGSTOP)
            until(watch.server.stopped, 5, "it never stopped", every=0)
            connection.text(f"signal {number}")
            watch.server.process.send_signal(signal.SIGCONT)
            for meaningless in (signal.SIGWINCH, signal.SIGURG, signal.SIGCHLD, signal.SIGPIPE)[:3 + number % 2]:
                watch.server.process.send_signal(meaningless)
            connection.expect_text(f"signal {number}")
        connection.leave()


def everybody_at_once(watch):
    """R-12: five hundred clients connect in the same moment, each is served, and goes."""
    crowd = [Connection(watch.server.port, seconds=30) for _ in range(500)]
    for number, connection in enumerate(crowd):
        connection.send(request(f"/ws/herd-{number % 50}") + frame(TEXT, b"hello"))
    for connection in crowd:
        assert connection.response().status == 101
        connection.await_text("hello")
    for connection in crowd:
        connection.reset()


ATTACKS = [reset_right_after_connecting, reset_during_the_hand_over, rooms_that_end_while_messages_come, gone_while_the_room_sends_to_it,
           a_storm_of_answers, timers_without_end, stopped_and_continued, signals_without_end,
           everybody_at_once]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.__doc__.split(':')[0]} {attack.__name__}")
def test_resources(watch, attack):
    watch.run(attack)


def test_rooms_that_break(watch):
    """R-20, with a log of its own: each room that broke is told of, and nothing else."""
    for _ in range(2):
        watch.play(rooms_that_break_while_clients_leave)
    lines = watch.server.log_lines(watch.log_seen)
    assert {line["event"] for line in lines if line["level"] == "error"} <= {"room.failed"}
    watch.log_seen = len(watch.server.log_bytes())


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_client_leaves_while_its_room_comes_back(kind, tmp_path):
    """R-20, kept rooms that are read from the disk for clients who reset meanwhile: what was heard is kept, nothing else is left."""
    rooms, settings = 10, {"server.data": tmp_path / "data", "server.shards": 2}
    for life in range(2):
        with Server(kind, "counter", settings) as server:
            idle = server.descriptors()
            for number in range(20 * rooms * life):
                connection = Connection(server.port)
                connection.send(request(f"/ws/kept-{number % rooms}") + (frame(TEXT, b"increment") if number % 2 else b""))
                connection.reset()
            for room in range(rooms):
                with Connection(server.port).upgrade(f"/ws/kept-{room}") as connection:
                    value = int(connection.ask("increment").removeprefix("new value: "))
                    assert value == 1 if life == 0 else 2 <= value <= 2 + 20, (room, value)
                    connection.leave()
            server.wait_for_descriptors(idle)
            assert not [line for line in server.log_lines() if line["level"] in ("warn", "error")]


# --- Readers that are slow, but read (R-04) --------------------------------------------------------------------------------


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_a_reader_that_stops_and_goes_on(kind):
    """R-04, a pause: what waited for it comes whole and in order, as long as it fits the outbox."""
    with Server(kind, "probe", {"limits.outbound_messages_max": 100_000, "limits.outbound_bytes_max": "64MiB"}) as server:
        with Connection(server.port).upgrade("/ws/pause") as talker, Connection(server.port, receive_buffer=4096).upgrade("/ws/pause") as reader:
            talker.expect_text("you are 1")
            talker.expect_text("2 connected")
            reader.expect_text("you are 2")
            filler = "x" * 4000
            for number in range(3000):  # 12 MB: more than the kernel's buffers hold.
                talker.text(f"to 2 {number} {filler}")
            assert talker.ask("count") == "count 1"
            for number in range(3000):
                reader.expect_text(f"{number} {filler}")
            reader.leave()


def test_a_reader_that_is_too_slow(kind):
    """R-04, a thousand bytes a second: a room that says more closes it 1013, once the outbox is full."""
    with Server(kind, "probe", {"limits.outbound_bytes_max": "64KiB"}) as server:
        with Connection(server.port).upgrade("/ws/slow") as talker, Connection(server.port, receive_buffer=4096).upgrade("/ws/slow") as reader:
            talker.expect_text("you are 1")
            talker.expect_text("2 connected")
            said = 0
            while talker.ask("count") != "2 disconnected":
                for _ in range(20):
                    talker.text("to 2 " + "x" * 8000)
                said += 20
                assert said < 10_000, "it was never closed"
                with contextlib.suppress(OSError):
                    reader.socket.recv(200)
            assert not server.log_bytes().count(b"\x1b")


def test_a_window_that_stays_closed(kind):
    """R-04, a closed window: its probes are answered by the client's system, not by the client: it is gone after the heartbeat's timeout."""
    settings = {"server.heartbeat_interval_seconds": 1, "server.heartbeat_timeout_seconds": 3, "limits.outbound_bytes_max": "64MiB",
                "limits.outbound_messages_max": 1_000_000}
    with Server(kind, "probe", settings) as server:
        with Connection(server.port, seconds=20).upgrade("/ws/closed") as talker, Connection(server.port, receive_buffer=4096).upgrade("/ws/closed"):
            talker.expect_text("you are 1")
            talker.expect_text("2 connected")
            for _ in range(2000):
                talker.text("to 2 " + "x" * 8000)
            talker.expect_text("2 disconnected")


# --- What the system does not give (R-09, R-10) ----------------------------------------------------------------------------


def test_no_address_space():
    """R-10: no room for another room's memory: that room is refused, the others go on, and there is room again later."""
    with Server("module", "probe", {"service.shutdown_policy": "immediate"}) as server:
        witness = Connection(server.port).upgrade("/ws/witness")
        witness.expect_text("you are 1")
        size = int(server._proc("statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (size + (100 << 20), resource.RLIM_INFINITY))
        inside = []
        turned_away = 0
        for number in range(300):  # Address space is taken for many rooms at once.
            connection = Connection(server.port)
            connection.send(request(f"/ws/room-{number}"))
            response = connection.response()
            if response.status == 101:
                received = connection.frame()
                if received.opcode == TEXT:
                    inside.append(connection)
                    continue
                assert received.opcode == CLOSE and received.close_code in (1011, 1013), received
            else:
                assert response.status in (500, 503)
            turned_away += 1
            connection.close()
        assert inside and turned_away, (len(inside), turned_away)
        assert witness.ask("still here?") == "still here?"
        for connection in inside:
            assert connection.ask("and you?") == "and you?"
            connection.leave()
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        with Connection(server.port).upgrade("/ws/room-299") as connection:
            connection.expect_text("you are 1")
            connection.leave()
        witness.leave()
