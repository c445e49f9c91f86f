"""Limits at the door: per address, per client, of memory. Each is counted by name, and logged at most once a second."""

import json
import os
import time

import pytest

from harness.admin import admin_port, ask, limit_hits
from harness.server import KINDS, Server
from harness.wait import until
from harness.wire import PONG, Connection, frame, http, request

STATUS = request("/status", headers=[("Host", "a"), ("Connection", "close")])


def status_of(server, source):
    with Connection(server.port, source=source) as client:
        client.send_until_refused(STATUS)
        return client.response().status


def check_log(server, limit, addresses):
    # The log has a thread of its own, and comes after the counter.
    lines = until(lambda: [line for line in server.log_lines() if line["event"] == "limit.hit" and line["limit"] == limit], 10)
    assert len(lines) <= 10, lines
    assert {line["address"] for line in lines} <= addresses, lines


@pytest.mark.parametrize("kind", KINDS)
def test_connections_of_one_address(kind):
    limit = "connections_per_address_max"
    with Server(kind, "echo", {f"limits.{limit}": 3, "admin.port": 0, "server.shards": 2}) as server:
        clients = [Connection(server.port, source="127.0.0.5").upgrade(f"/ws/room{i}") for i in range(3)]
        assert status_of(server, "127.0.0.5") == 429
        assert status_of(server, "127.0.0.6") == 200, "others are not meant"
        assert clients[0].ask("still here") == "still here"
        clients.pop().leave()
        until(lambda: status_of(server, "127.0.0.5") == 200, 10, "the place is not free again")
        assert limit_hits(server, limit) >= 1
        check_log(server, limit, {"127.0.0.5"})


def test_new_connections_of_one_address():
    limit = "connections_per_address_per_second_max"
    with Server("module", "echo", {f"limits.{limit}": 5, "admin.port": 0}) as server:
        answers = [status_of(server, "127.0.0.5") for _ in range(60)]
        assert answers[:5] == [200] * 5
        # However slow this machine is, more than the rate allows cannot have been let in.
        assert answers.count(429) >= 1 or max(answers) == 200
        assert status_of(server, "127.0.0.6") == 200
        until(lambda: status_of(server, "127.0.0.5") == 200, 10, "no way in after a while")
        if 429 in answers:
            assert limit_hits(server, limit) >= answers.count(429)
            check_log(server, limit, {"127.0.0.5"})


@pytest.mark.parametrize("strategy", ["implicit", "api", "short"])
def test_rooms_made_by_one_address(strategy):
    """U-09: room ids that nobody has used before, as many as one can think of."""
    limit = "rooms_per_address_per_minute_max"
    with Server("module", "echo", {f"limits.{limit}": 10, "admin.port": 0, "service.room_strategy": strategy}) as server:
        def make(i):
            if strategy == "short":
                return http(server.port, "POST", "/new_room").status
            if strategy == "api":
                return http(server.port, "POST", f"/ws/room{i}").status
            with Connection(server.port) as client:
                client.send(request(f"/ws/room{i}"))
                return {101: 200}.get(status := client.response().status, status)
        answers = [make(i) for i in range(60)]
        assert answers[:10] == [200] * 10 and 429 in answers[10:], answers
        if strategy == "implicit":
            assert Connection(server.port).upgrade("/ws/room0").ask("hi") == "hi", "a room that is there is open to all"
        assert limit_hits(server, limit) >= 1
        check_log(server, limit, {"127.0.0.1"})


def test_an_address_behind_a_proxy_is_the_one_that_counts():
    settings = {"proxies.trusted": "127.0.0.1", "proxies.header": "x-forwarded-for", "limits.connections_per_address_max": 1}
    with Server("module", "echo", settings) as server:
        first = Connection(server.port).upgrade("/ws/a", add=[("X-Forwarded-For", "203.0.113.7")])
        with Connection(server.port) as second:
            second.send(request("/ws/a", add=[("X-Forwarded-For", "203.0.113.7")]))
            assert second.response().status == 429
        Connection(server.port).upgrade("/ws/a", add=[("X-Forwarded-For", "203.0.113.8")]).leave()
        # One /64 of IPv6 is one.
        six = Connection(server.port).upgrade("/ws/a", add=[("X-Forwarded-For", "2001:db8:1:2::1")])
        with Connection(server.port) as same:
            same.send(request("/ws/a", add=[("X-Forwarded-For", "2001:db8:1:2:ffff::2")]))
            assert same.response().status == 429
        Connection(server.port).upgrade("/ws/a", add=[("X-Forwarded-For", "2001:db8:1:3::1")]).leave()
        for client in (first, six):
            client.leave()


# --- One client's rate ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_messages_of_one_client_come_at_their_rate_and_none_is_lost(kind):
    limit = "client_messages_per_second_max"
    with Server(kind, "echo", {f"limits.{limit}": 50, "admin.port": 0}) as server:
        fast, other = Connection(server.port).upgrade("/ws/a"), Connection(server.port).upgrade("/ws/b")
        begin = time.monotonic()
        for number in range(150):
            fast.text(str(number))
        assert other.ask("am I slowed down?") == "am I slowed down?"
        for number in range(150):
            assert fast.next_text() == str(number)
        # 50 at once, then 50 a second: two seconds, but for the one message that begins a debt.
        assert time.monotonic() - begin >= 1.8
        assert limit_hits(server, limit) >= 1
        check_log(server, limit, {"127.0.0.1"})
        fast.leave()
        other.leave()


def test_pings_count_as_messages():
    with Server("module", "echo", {"limits.client_messages_per_second_max": 20}) as server:
        client = Connection(server.port).upgrade("/ws/a")
        begin = time.monotonic()
        for _ in range(50):
            client.send(frame(9, b"x"))
        client.text("done")
        while (received := client.frame()).opcode == PONG:
            assert received.payload == b"x"
        assert received.payload == b"done" and time.monotonic() - begin >= 1.0
        client.leave()


def test_bytes_of_one_client_come_at_their_rate():
    limit = "client_bytes_per_second_max"
    with Server("module", "echo", {f"limits.{limit}": "64KiB", "admin.port": 0}) as server:
        client = Connection(server.port, seconds=30).upgrade("/ws/a")
        begin = time.monotonic()
        client.send(b"".join(frame(2, os.urandom(1000)) for _ in range(200)))  # 196 KiB, 64 of them at once.
        for _ in range(200):
            assert len(client.frame().payload) == 1000
        assert time.monotonic() - begin >= 1.8
        assert limit_hits(server, limit) >= 1
        client.leave()


def test_a_client_that_is_not_read_is_not_given_up_and_can_still_leave():
    settings = {"limits.client_messages_per_second_max": 1, "server.heartbeat_interval_seconds": 1,
                "server.heartbeat_timeout_seconds": 2}
    with Server("module", "echo", settings) as server:
        client = Connection(server.port, seconds=30).upgrade("/ws/a")
        for number in range(6):
            client.text(str(number))
        for number in range(6):
            assert client.next_text() == str(number)
        client.leave()


def test_a_throttled_client_holds_little_memory_and_does_not_delay_the_end():
    with Server("module", "echo", {"limits.client_messages_per_second_max": 1}) as server:
        clients = [Connection(server.port).upgrade(f"/ws/{i}") for i in range(50)]
        before = server.memory()
        for client in clients:
            client.socket.setblocking(False)
            try:
                while True:
                    client.socket.send(frame(1, "x" * 100) * 100)
            except BlockingIOError:
                pass
        assert server.memory() - before < 8 << 20
        server.stop(seconds=20)


# --- Memory ---------------------------------------------------------------------------------------------------------------


def test_above_the_high_mark_nobody_new_comes_in_and_who_is_there_stays():
    with Server("module", "echo", {"admin.port": 0}) as probe:
        idle = probe.resident()
    with Server("module", "echo", {"limits.memory_high_bytes": 1 << 20, "admin.port": 0}) as server:
        until(lambda: status_of(server, "127.0.0.1") == 503, 10, "1 MiB is less than any process has")
        assert json.loads(ask(admin_port(server), "/health")[1]) == {"status": "ok"}, "operators come by another door"
        assert limit_hits(server, "memory_high_bytes") >= 1
        check_log(server, "memory_high_bytes", {""})
    with Server("module", "echo", {"limits.memory_high_bytes": idle + (1 << 30)}) as server:
        assert Connection(server.port).upgrade("/ws/a").ask("hi") == "hi"


def test_above_the_critical_mark_the_slowest_go_first():
    # One client that reads nothing fills its outbox; the mark lies between an idle server and one with the outbox full.
    # The outbox may hold more than is ever sent: it is memory that is to be short.
    settings = {"limits.outbound_bytes_max": "512MiB", "limits.outbound_messages_max": 1_000_000, "admin.port": 0,
                "limits.message_bytes_max": "1MiB"}
    sent_max = 100 << 20
    with Server("native", "echo", settings) as probe:
        Connection(probe.port).upgrade("/ws/a").ask("x" * 1_000_000)
        mark = probe.resident() + (24 << 20)
    with Server("native", "echo", {**settings, "limits.memory_critical_bytes": mark}) as server:
        honest = Connection(server.port).upgrade("/ws/b")
        slow = Connection(server.port, receive_buffer=4096).upgrade("/ws/a")
        slow.socket.setblocking(False)
        message = memoryview(frame(2, os.urandom(1_000_000)) * 4)
        sent = [0]

        def shed():
            try:
                if sent[0] < sent_max:
                    sent[0] += slow.socket.send(message[sent[0] % len(message):])
            except BlockingIOError:
                pass
            except ConnectionError:
                return True
            return limit_hits(server, "memory_critical_bytes") >= 1
        until(shed, 60, lambda: f"{server.resident()} bytes, mark {mark}")
        assert honest.ask("I read what I get") == "I read what I get"
        check_log(server, "memory_critical_bytes", {"127.0.0.1"})
        until(lambda: server.resident() < mark, 30, "the memory does not come back")
        honest.leave()
