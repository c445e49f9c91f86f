"""L: what the log shows of strangers, what it never shows, and that nobody waits for it. L-02 (configuration) is in tests/cli,
L-04 (metrics) in test_admin.py."""

import json
import os
import pty
import socket
import threading

import pytest

from harness.admin import admin_port, ask
from harness.server import KINDS, Server
from harness.wait import until
from harness.wire import Connection, close_frame, http, request

NOT_HERE = {
    "L-02 a configuration with mistakes": "tests/cli/test_settings.py: each case, its one line and exit code 2",
    "L-04 labels made of 10^6 room ids": "test_admin.py: 20,000 of them, and the metrics have the same names as before",
}

LIE = '\n{"level":"info","event":"server.owned"}'

# Room ids as a URL has them, and as the log must show them. U+2028 ends a line for many viewers; ESC and a line end are no room
# ids at all, and a service may still log them.
ROOM_IDS = [("%E2%80%A8", "\u2028"), ("%E2%80%AEgnp.exe", "\u202egnp.exe"), ("%22%5C", '"\\'), ("%7B%22level%22%3A1%7D", '{"level":1}'),
            ("a" * 256, "a" * 256)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path, room_id", ROOM_IDS, ids=range(len(ROOM_IDS)))
def test_a_room_id_is_one_escaped_value(kind, path, room_id):
    """L-01: room ids."""
    with Server(kind, "probe") as server:
        with Connection(server.port) as client:
            client.upgrade(f"/ws/{path}")
            client.text("trap")
            line = until(lambda: next((line for line in server.log_lines() if line.get("room")), None), 10, server.log_text)
        assert line["room"] == room_id
        raw = server.log_bytes()
        assert "\u2028".encode() not in raw and "\u202e".encode() not in raw


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [LIE, "\x1b[2J\x1b[31mred", "\u2028\u2029", "\r\nx", "a" * 60_000], ids=range(5))
def test_what_a_service_logs_of_a_client_is_one_value(kind, text):
    """L-01: what a service logs of its clients."""
    with Server(kind, "probe") as server:
        with Connection(server.port) as client:
            client.upgrade("/ws/a")
            client.text("log " + text)
            line = until(lambda: next((line for line in server.log_lines() if line["event"] == "room.log"), None), 10,
                         server.log_text)
            client.socket.close()
        said = line["text"]
        assert said == text or (len(text) > 4096 and said == text[:4096] + "...")
        assert all(line["event"] != "server.owned" for line in server.log_lines())
        assert b"\x1b" not in server.log_bytes() and "\u2028".encode() not in server.log_bytes()


def test_nothing_else_of_strangers_makes_a_line_of_its_own():
    """L-01: request lines, headers, close reasons, whatever a client can send without being asked."""
    with Server("module", "echo", {"server.log_level": "debug"}) as server:
        lie = LIE.encode()
        for attack in (b"GET /ws/a" + lie + b" HTTP/1.1\r\n\r\n", b"GET /ws/a%0A%7B%7D HTTP/1.1\r\nHost: a\r\n\r\n",
                       request("/status", headers=[("Host", "a"), ("User-Agent", b"x\x1b[2J" + b"y" * 4000)]),
                       request("/status", headers=[("Host", "a"), ("User-Agent", "\u2028")]), b"\x1b[2J" * 1000):
            with Connection(server.port) as client:
                client.send_until_refused(attack)
                client.half_close_quietly()
                while True:
                    try:
                        client.fill()
                    except Exception:
                        break
        with Connection(server.port).upgrade("/ws/a") as client:
            client.send(close_frame(4000, b'"}\x0a{"level":"error"}'))
            client.expect_close(4000, answer=False)
        with Connection(server.port).upgrade("/ws/a") as client:
            client.send(close_frame(1000, b"\xff\x0a{}"))  # No UTF-8: a protocol error, which debug lines tell of.
            client.expect_close(1007)
        for line in server.log_lines():  # Each is one printable JSON object, or this fails.
            assert line["event"] != "server.owned"


def test_no_tokens_queries_or_payloads():
    """L-01: what is no business of the log."""
    secrets = ["s3cret-query", "s3cret-header", "s3cret-cookie", "s3cret-payload", "s3cret-reason", "s3cret-protocol"]
    with Server("module", "probe", {"server.log_level": "debug", "admin.port": 0}) as server:
        with Connection(server.port) as client:
            client.upgrade("/ws/a?token=s3cret-query", add=[("Authorization", "Bearer s3cret-header"), ("Cookie", "a=s3cret-cookie"),
                                                            ("Sec-WebSocket-Protocol", "s3cret-protocol")])
            client.next_text()
            assert client.ask("s3cret-payload") == "s3cret-payload"
            client.text("trap s3cret-payload")
            client.expect_close(1011)
        with Connection(server.port).upgrade("/ws/b?ticket=s3cret-query") as client:
            client.next_text()
            client.send(close_frame(4001, b"s3cret-reason"))
            client.expect_close(4001, answer=False)
        http(server.port, "GET", "/nowhere?s3cret-query")
        http(server.port, "POST", "/ws/c", body=b"s3cret-payload", headers=[("Content-Length", "14")])
        with Connection(admin_port(server)) as operator:
            operator.send(request("/admin/rooms", headers=[("Host", "evil.example"), ("Authorization", "Bearer s3cret-header")]))
            operator.response()
        server.stop()
        assert "room" in server.log_text()
        for secret in secrets:
            assert secret not in server.log_text()


@pytest.mark.parametrize("environment, colours", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_text_on_a_terminal(environment, colours):
    terminal, other_end = pty.openpty()
    try:
        with Server("module", "echo", {"server.log_format": "auto"}, log_to=other_end, environment=environment):
            shown = b""
            while b"\n" not in shown:
                shown += os.read(terminal, 1000)
            assert b"server.listening" in shown and b'{"time"' not in shown, shown
            assert (b"\x1b[" in shown) == colours, shown
    finally:
        os.close(terminal)
        os.close(other_end)


def test_lines_of_json_elsewhere_or_text_without_colours():
    with Server("module", "echo", {"server.log_format": "text"}) as server:
        assert until(lambda: b"server.listening" in server.log_bytes(), 10, server.log_text)
        assert b"\x1b" not in server.log_bytes() and b"{" not in server.log_bytes()
    with Server("module", "echo", {"server.log_format": "auto"}) as server:
        assert until(server.log_lines, 10, server.log_text)[0]["event"]


# --- L-03 -----------------------------------------------------------------------------------------------------------------


def free_port():
    """A port that was free just now: the log, which would name one that was chosen, is what nobody reads here."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def say_much(client, messages):
    """Each message makes the service log a line of 4 KiB."""
    for number in range(messages):
        client.text("log " + "x" * 4000)
        if number % 100 == 99:
            assert client.ask("still here?") == "still here?"


def dropped(port):
    line = next(line for line in ask(port, "/metrics")[1].splitlines() if line.startswith("jamsocket_log_lines_dropped_total "))
    return float(line.split()[1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("made_by", [os.pipe, pty.openpty], ids=["pipe", "terminal"])
def test_what_nobody_reads_blocks_nobody(kind, made_by):
    """L-03: a pipe that is full, a terminal that stands still."""
    read_end, write_end = made_by()
    admin = free_port()
    try:
        with Server(kind, "probe", {"limits.log_lines_per_second_max": 1_000_000, "admin.port": admin}, log_to=write_end) as server:
            client = Connection(server.port).upgrade("/ws/a")
            client.next_text()
            say_much(client, 10_000)  # 40 MB: the pipe holds 64 KiB, the queue 8192 lines.
            assert dropped(admin) > 0
            assert server.memory() < 200 << 20, "what waits is bounded"
            client.socket.close()
            server.stop(seconds=15)  # Nor does the end wait for it.
    finally:
        os.close(read_end)
        os.close(write_end)


def test_what_was_lost_is_told_once_somebody_reads_again():
    read_end, write_end = os.pipe()
    with Server("module", "probe", {"limits.log_lines_per_second_max": 1_000_000}, log_to=write_end) as server:
        os.close(write_end)
        client = Connection(server.port).upgrade("/ws/a")
        client.next_text()
        say_much(client, 10_000)
        text = []

        def read():
            with os.fdopen(read_end, "rb") as pipe:
                text.extend(pipe)
        reader = threading.Thread(target=read)
        reader.start()
        client.text("log that was much")
        assert client.ask("done?") == "done?"
        client.socket.close()
        server.stop()
        reader.join(30)
    lines = [json.loads(line) for line in text]
    assert any(line["event"] == "log.lines_dropped" and line["total"] > 0 for line in lines)
    assert all(isinstance(line, dict) for line in lines)


def test_a_full_disk_blocks_nobody():
    """L-03: a disk that is full."""
    admin = free_port()
    with open("/dev/full", "wb") as full:
        with Server("module", "probe", {"admin.port": admin}, log_to=full) as server:
            client = Connection(server.port).upgrade("/ws/a")
            client.next_text()
            say_much(client, 200)
            until(lambda: dropped(admin) >= 100, 10, "nothing is counted")
            client.socket.close()


def test_a_log_that_nobody_holds_any_more():
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        with Server("module", "probe", log_to=write_end) as server:
            client = Connection(server.port).upgrade("/ws/a")
            client.next_text()
            say_much(client, 200)
            client.socket.close()
    finally:
        os.close(write_end)
