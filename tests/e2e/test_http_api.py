"""The HTTP endpoints, room strategies and shutdown policies: exact statuses and bodies."""

import re
import subprocess
import time

import pytest

from harness.server import KINDS, Server, command_for
from harness.wait import until
from harness.wire import Connection, http, request

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

NO_ROOM = b"The requested room does not exist."
EXISTS = b"Attempted to create a room that already exists."
NOT_EXPLICIT = b"Explicit room creation is not enabled."
NOT_GENERATED = b"Room ID generation is disabled; rooms must be created with an explicit ID."


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


def serving(kind, **settings):
    return Server(kind, "probe", {"limits.failures_before_back_off": 1000,
                                  **{f"service.{name}": value for name, value in settings.items()}})


@pytest.fixture(scope="module")
def implicit(kind):
    with serving(kind) as server:
        yield server


def upgrade_status(server, room):
    with Connection(server.port) as connection:
        connection.send(request(f"/ws/{room}"))
        response = connection.response()
        return response.status, response.body


def test_status(implicit):
    response = http(implicit.port, "GET", "/status")
    assert (response.status, response.body) == (200, b"ok")
    head = http(implicit.port, "HEAD", "/status")
    assert (head.status, head.body) == (200, b"")


def test_requests_on_one_connection(implicit):
    with Connection(implicit.port) as connection:
        for _ in range(3):
            connection.send(request("/status", headers=[("Host", "h")]))
            assert connection.response().body == b"ok"
        # Several at once are answered in order.
        connection.send(request("/status", headers=[("Host", "h")]) + request("/nothing", headers=[("Host", "h")]) + request("/status", headers=[("Host", "h")]))
        assert [connection.response().status for _ in range(3)] == [200, 404, 200]
        # And the last may become a WebSocket.
        connection.upgrade("/ws/kept-alive")
        connection.expect_text("you are 1")
        connection.leave()


def test_http_1_0_and_connection_close(implicit):
    for version, headers in (("HTTP/1.0", []), ("HTTP/1.1", [("Host", "h"), ("Connection", "close")])):
        with Connection(implicit.port) as connection:
            connection.send(request("/status", version=version, headers=headers))
            assert connection.response().body == b"ok"
            connection.expect_end()


def test_explicit_creation(implicit):
    assert http(implicit.port, "POST", "/ws/made").body == b"made"
    again = http(implicit.port, "POST", "/ws/made")
    assert (again.status, again.body) == (409, EXISTS)
    with Connection(implicit.port).upgrade("/ws/made") as connection:
        connection.expect_text("you are 1")
        connection.leave()
    with Connection(implicit.port).upgrade("/ws/joined") as connection:
        connection.expect_text("you are 1")
        assert http(implicit.port, "POST", "/ws/joined").status == 409


def test_explicit_creation_of_an_encoded_id(implicit):
    response = http(implicit.port, "POST", "/ws/a%20%C3%A9")
    assert (response.status, response.body) == (200, "a é".encode())
    assert http(implicit.port, "POST", "/ws/a%20%c3%a9").status == 409


def test_creation_with_a_body(implicit):
    response = http(implicit.port, "POST", "/ws/with-body", headers=[("Content-Length", "5")], body=b"hello")
    assert (response.status, response.body) == (200, b"with-body")


def test_a_room_that_cannot_start(implicit):
    """It is begun by its first client, who is told; its id is none that is taken for ever."""
    for _ in range(3):
        status, body = upgrade_status(implicit, "trap-at-start")
        assert status == 500 and body.strip()
    assert http(implicit.port, "POST", "/ws/trap-at-start").status == 200
    assert upgrade_status(implicit, "trap-at-start")[0] == 500


def test_a_refusal_by_the_service(implicit):
    with Connection(implicit.port) as connection:
        connection.send(request("/ws/refusing?refuse=not-today"))
        response = connection.response()
        assert (response.status, response.body) == (403, b"not-today")


@pytest.mark.parametrize("configured, offered, query, expected, heard", [
    ([], "chat.v1, chat.v2", "", None, None),
    (["chat.v1", "chat.v2"], "other, chat.v2, chat.v1", "", "chat.v2", None),
    (["chat.v1"], "other", "", None, None),
    ([], "chat.v1, chat.v2", "?accept=chat.v2", "chat.v2", "accepted"),
    ([], "chat.v1,chat.v2", "?accept=chat.v2", "chat.v2", "accepted"),
    (["chat.v1"], "chat.v1, chat.v2", "?accept=chat.v2", "chat.v2", "accepted"),
    (["chat.v1"], "chat.v1", "?accept=chat.v2", "chat.v1", "not offered"),
    ([], "chat.v22", "?accept=chat.v2", None, "not offered"),
    ([], None, "?accept=chat.v2", None, "not offered"),
    ([], "chat.v2", "?accept=", None, "not offered"),
])
def test_subprotocols(kind, configured, offered, query, expected, heard):
    """RFC 6455, section 4.2.2: one of those that the client offers, by the configuration or, before it, by the service."""
    with serving(kind, **({"subprotocols": ",".join(configured)} if configured else {})) as server, Connection(server.port) as connection:
        connection.send(request(f"/ws/room{query}", add=[("Sec-WebSocket-Protocol", offered)] if offered else []))
        response = connection.response()
        assert (response.status, response.header("Sec-WebSocket-Protocol")) == (101, expected)
        if heard:
            connection.expect_text(heard)
        connection.expect_text("you are 1")
        connection.leave()


def test_generated_ids(implicit):
    ids = {http(implicit.port, "POST", "/new_room").body.decode() for _ in range(20)}
    assert len(ids) == 20
    assert all(UUID4.fullmatch(id) for id in ids), ids


@pytest.mark.parametrize("method, target, status, allow", [
    ("PUT", "/ws/x", 405, "GET, POST"),
    ("DELETE", "/ws/x", 405, "GET, POST"),
    ("GET", "/new_room", 405, "POST"),
    ("PUT", "/new_room", 405, "POST"),
    ("POST", "/status", 405, "GET, HEAD"),
    ("GET", "/ws/x", 426, None),
    ("GET", "/", 404, None),
    ("GET", "/nothing", 404, None),
    ("POST", "/nothing", 405, "GET, HEAD"),
])
def test_other_methods_and_paths(implicit, method, target, status, allow):
    response = http(implicit.port, method, target)
    assert (response.status, response.header("Allow")) == (status, allow), response
    assert response.body.strip()
    if status == 426:
        assert response.header("Upgrade") == "websocket"


def test_api(kind):
    with serving(kind, room_strategy="api") as server:
        assert upgrade_status(server, "room") == (404, NO_ROOM)
        assert http(server.port, "POST", "/ws/room").body == b"room"
        assert upgrade_status(server, "room")[0] == 101
        assert http(server.port, "POST", "/ws/room").status == 409
        response = http(server.port, "POST", "/new_room")
        assert (response.status, response.body) == (400, NOT_GENERATED)
        assert upgrade_status(server, "ROOM") == (404, NO_ROOM)


@pytest.mark.parametrize("strategy, shape", [("uuid", UUID4), ("short", re.compile("[A-Z]{4}")), ("short3", re.compile("[A-Z]{3}")), ("short12", re.compile("[A-Z]{12}"))])
def test_generated_rooms_only(kind, strategy, shape):
    with serving(kind, room_strategy=strategy) as server:
        response = http(server.port, "POST", "/ws/room")
        assert (response.status, response.body) == (403, NOT_EXPLICIT)
        assert upgrade_status(server, "room") == (404, NO_ROOM)
        ids = [http(server.port, "POST", "/new_room").body.decode() for _ in range(50)]
        assert len(set(ids)) == 50
        for id in ids:
            assert shape.fullmatch(id), id
        assert upgrade_status(server, ids[0])[0] == 101
        changed = ids[0][:-1] + ("A" if ids[0][-1] != "A" else "B")
        if changed not in ids:
            assert upgrade_status(server, changed) == (404, NO_ROOM)


def test_a_generated_id_is_gone_with_its_room(kind):
    with serving(kind, room_strategy="uuid", shutdown_policy="immediate") as server:
        id = http(server.port, "POST", "/new_room").body.decode()
        assert upgrade_status(server, id)[0] == 101
        until(lambda: upgrade_status(server, id)[0] == 404, 10, "the room never ended")


def test_policy_never(kind):
    with serving(kind, shutdown_policy="never") as server:
        with Connection(server.port).upgrade("/ws/room") as connection:
            connection.next_text()
            assert connection.ask("count") == "count 1"
            connection.leave()
        with Connection(server.port).upgrade("/ws/room") as connection:
            assert connection.next_text() == "you are 2"
            assert connection.ask("count") == "count 2"


@pytest.mark.parametrize("policy", ["immediate", "0sec"])
def test_policy_immediate(kind, policy):
    with serving(kind, shutdown_policy=policy) as server:
        for _ in range(3):
            with Connection(server.port).upgrade("/ws/room") as connection:
                assert connection.next_text() == "you are 1"
                assert connection.ask("count") == "count 1"
                connection.leave()
            until(lambda: http(server.port, "POST", "/ws/room").status == 200, 10, "the room never ended")
            # A room that was made explicitly waits for its first client, or it could never be joined.
            assert http(server.port, "POST", "/ws/room").status == 409


def test_policy_seconds(kind):
    with serving(kind, shutdown_policy="2sec") as server:
        with Connection(server.port).upgrade("/ws/room") as connection:
            connection.next_text()
            connection.leave()
        left = time.monotonic()
        assert http(server.port, "POST", "/ws/room").status == 409
        until(lambda: http(server.port, "POST", "/ws/room").status == 200, 10, "the room never ended")
        assert time.monotonic() - left >= 1.9


@pytest.mark.parametrize("key, value", [("room_strategy", bad) for bad in ("short2", "short13", "Implicit", "")]
                         + [("shutdown_policy", bad) for bad in ("0.5sec", "10", "Immediate", "-1sec", "10 sec")])
def test_refused_at_start(kind, key, value):
    command = [str(part) for part in command_for(kind, "probe")] + ["--set", f"service.{key}={value}"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.count(b"\n") == 1, done.stderr
