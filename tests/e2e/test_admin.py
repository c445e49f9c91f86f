"""The second listener, as an operator's tools use it."""

import json
import pathlib
import re
import subprocess
import threading

from harness.admin import admin_port, ask, metric
from harness.server import KINDS, Server
from harness.wait import until
from harness.wire import Connection, Ended
from harness.wire import request as raw_request
import pytest


@pytest.mark.parametrize("kind", KINDS)
def test_drain_ends_the_process_as_a_signal_would(kind):
    with Server(kind, "echo", {"admin.port": 0}) as server:
        client = Connection(server.port).upgrade("/ws/a")
        assert ask(admin_port(server), "/admin/drain", "POST")[0] == 202
        client.expect_close(1012)
        server.wait(20)


def test_a_scrape_is_what_prometheus_reads():
    with Server("module", "echo", {"admin.port": 0}) as server:
        client = Connection(server.port).upgrade("/ws/a")
        assert client.ask("hello") == "hello"
        text = ask(admin_port(server), "/metrics")[1]
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                assert name not in samples, f"{name} twice"
                samples[name] = float(value)
        assert samples["jamsocket_messages_in_total"] == 1
        assert samples["jamsocket_clients"] == 1
        assert samples["process_open_fds"] >= 5
        client.leave()


def test_every_metric_is_on_its_page():
    page = (pathlib.Path(__file__).parent.parent.parent / "docs" / "admin.md").read_text()
    listed = set(re.findall(r"`([a-z_]+)(?:\{[a-z,]+\})?`", page.split("\n## Metrics\n")[1]))
    with Server("module", "echo", {"admin.port": 0}) as server:
        there = set(re.findall(r"^# TYPE (?:jamsocket_)?([a-z_]+) ", ask(admin_port(server), "/metrics")[1], re.MULTILINE))
    assert sorted(there - listed) == [], "not on the page"
    assert sorted(name for name in listed - there if name.endswith("_total")) == [], "on the page, and not there"


NOT_HERE = {
    "L-04 1,000 scrapes a second, 10^6 room ids": "1,000 scrapes as fast as they come, and 20,000 ids: a test must not take minutes",
}


def test_scraping_hard_leaves_rooms_alone():
    """L-04: scraped without end. The rooms are answered meanwhile, and nothing grows."""
    with Server("module", "echo", {"admin.port": 0}) as server:
        port = admin_port(server)
        client = Connection(server.port).upgrade("/ws/a")
        assert client.ask("hello") == "hello"
        connection = Connection(port)
        head = f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()

        def scrape(times):
            for _ in range(times):
                connection.send(head)
                assert connection.response().status == 200
        scrape(100)
        before = server.memory()
        for _ in range(10):
            scrape(100)
            assert client.ask("still here") == "still here"
        assert server.memory() - before < 1 << 20
        connection.close()
        client.leave()


def test_room_ids_are_in_no_metric():
    """L-04: labels made of room ids. As many lines as before, and nobody's name."""
    with Server("module", "echo", {"admin.port": 0, "service.shutdown_policy": "never"}) as server:
        port = admin_port(server)
        few = ask(port, "/metrics")[1]
        with Connection(server.port) as maker:
            for first in range(0, 20_000, 1000):
                maker.send_and_listen(b"".join(
                    f"POST /ws/attack-{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for number in range(first, first + 1000)))
                for _ in range(1000):
                    assert maker.response().status == 200
        many = ask(port, "/metrics")[1]
        assert "\njamsocket_rooms 20000\n" in many and "attack" not in many
        names = lambda text: [line.rsplit(" ", 1)[0] for line in text.splitlines()]
        assert names(many) == names(few)


# --- strangers ------------------------------------------------------------------------------------------------------


def status_of(port, *headers, method="GET", target="/admin/rooms", host=None):
    with Connection(port) as client:
        client.send(raw_request(target, method, headers=[("Host", host or f"127.0.0.1:{port}"), ("Connection", "close"), *headers]))
        return client.response().status


def bearer(token):
    return ("Authorization", f"Bearer {token}")


TOKEN = "operators-token-0123456789"


def test_who_has_no_token_learns_nothing(tmp_path):
    """A-11: no token, a wrong one, one in a wrong place; the log has none of them."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    with Server("module", "echo", {"admin.port": 0, "admin.token_file": tmp_path / "token"}) as server:
        port = admin_port(server)
        wrong = [(), (bearer(""),), (bearer(TOKEN[:-1]),), (bearer(TOKEN + "0"),), (bearer("x" * len(TOKEN)),),
                 (bearer(TOKEN), bearer(TOKEN)), (("Authorization", f"Basic {TOKEN}"),), (("Cookie", f"token={TOKEN}"),)]
        for headers in wrong:
            assert status_of(port, *headers) == 401, headers
        assert status_of(port, target=f"/admin/rooms?token={TOKEN}") == 401
        for target, method in (("/metrics", "GET"), ("/admin/drain", "POST"), ("/admin/rooms/a", "DELETE"), ("/admin/log-level", "PUT"),
                               ("/admin/services/x", "POST"), ("/admin/tickets/alice", "DELETE"), ("/admin/nothing", "GET")):
            assert status_of(port, target=target, method=method) in (401, 404), target
        assert status_of(port, bearer(TOKEN)) == 200
        assert status_of(port, target="/health") == 200
        refused = until(lambda: [line for line in server.log_lines() if line["event"] == "admin.refused"], 10)
        assert len(refused) <= 10 and TOKEN[:-1] not in server.log_text()


def test_nothing_of_it_is_behind_the_public_port():
    """A-11: from the public listener."""
    with Server("module", "echo", {"admin.port": 0}) as server:
        for target, method in (("/metrics", "GET"), ("/health", "GET"), ("/admin/rooms", "GET"), ("/admin/drain", "POST"),
                               ("/admin/services/x", "PUT"), ("/admin/log-level", "PUT")):
            assert status_of(server.port, target=target, method=method) in (404, 405), target


def test_pages_and_other_names_are_refused():
    """A-11: CSRF, as a browser sends it, and DNS rebinding. A page may neither act nor read."""
    with Server("module", "echo", {"admin.port": 0}) as server:
        port = admin_port(server)
        form = ("Content-Type", "application/x-www-form-urlencoded")
        for origin in ("https://evil.example", "null", "", f"http://127.0.0.1:{server.port}", f"http://127.0.0.1:{port}"):
            assert status_of(port, ("Origin", origin), form, method="POST", target="/admin/drain") == 403, origin
            assert status_of(port, ("Origin", origin), method="DELETE", target="/admin/rooms/a") == 403, origin
            assert status_of(port, ("Origin", origin), ("Access-Control-Request-Method", "DELETE"), method="OPTIONS") in (403, 501)
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "xn--lcalhost-54a"):
            assert status_of(port, host=host) == 403, host
            assert status_of(port, host=host, target="/metrics") == 403, host
        assert status_of(port, host="localhost") == 200
        assert json.loads(ask(port, "/health")[1]) == {"status": "ok"}, "nobody has stopped it"


def test_the_log_level_changes_at_once():
    with Server("module", "echo", {"admin.port": 0, "server.log_level": "info"}) as server:
        port = admin_port(server)
        assert json.loads(ask(port, "/admin/log-level", "PUT", b'{"level": "debug"}')[1]) == {"level": "debug"}
        with Connection(server.port) as client:
            client.upgrade("/ws/a")
            client.send(b"\xff\xff\xff\xff")
            client.expect_close(1002)
        until(lambda: any(line.get("event") == "session.protocol_error" for line in server.log_lines()), 10, "no debug line")


def test_curl_reads_it():
    with Server("native", "echo", {"admin.port": 0}) as server:
        done = subprocess.run(["curl", "-sS", "--max-time", "20", f"http://127.0.0.1:{admin_port(server)}/health"],
                              capture_output=True, check=True)
        assert json.loads(done.stdout) == {"status": "ok"}


def test_curl_brings_a_large_file(tmp_path):
    """From 1 MiB on it asks whether it may (Expect: 100-continue), and took the 417 that it got for an end."""
    (tmp_path / "large").write_bytes(b"x" * (2 << 20))
    with Server("module", "counter", {"admin.port": 0, "server.data": tmp_path / "data"}) as server:
        done = subprocess.run(["curl", "-sS", "--max-time", "20", "-T", tmp_path / "large",
                               f"http://127.0.0.1:{admin_port(server)}/admin/kept-rooms/a/file"], capture_output=True, check=True)
        assert json.loads(done.stdout) == {"error": "it is not the file of a room"}


def test_a_body_may_take_its_time_with_a_token_only(tmp_path):
    """A file that took more than ten seconds was cut off without a word. Who may not ask has ten seconds for it all."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    settings = {"admin.port": 0, "admin.token_file": tmp_path / "token", "server.data": tmp_path / "data"}
    with Server("module", "counter", settings) as server:
        port = admin_port(server)
        slow, stranger = Connection(port), Connection(port)
        for connection, headers in ((slow, [bearer(TOKEN)]), (stranger, [])):
            connection.send(raw_request("/admin/kept-rooms/a/file", "PUT",
                                        headers=[("Host", "localhost"), ("Content-Length", "60"), *headers]))
        gone = False
        for _ in range(6):
            threading.Event().wait(2)
            slow.send(b"x" * 10)
            try:
                stranger.send(b"x" * 10)
            except ConnectionError:
                gone = True
        answer = slow.response()
        assert answer.status == 400 and json.loads(answer.body) == {"error": "it is not the file of a room"}
        with pytest.raises((Ended, ConnectionError)):
            stranger.response()
        slow.close()


def test_connections_that_say_nothing_keep_nobody_out():
    """64 of them, which anybody can make who reaches the address, kept /health from answering for ten seconds."""
    with Server("module", "echo", {"admin.port": 0}) as server:
        port = admin_port(server)
        silent = [Connection(port) for _ in range(200)]
        asked = [Connection(port) for _ in range(100)]
        for connection in asked:
            connection.send(raw_request("/nothing", headers=[("Host", "localhost"), ("Connection", "close")]))
        assert ask(port, "/health")[0] == 200
        assert metric(server, "admin_connections_refused_total") >= 200
        for connection in silent + asked:
            connection.socket.close()


def test_what_is_no_request_is_refused_in_json():
    with Server("module", "echo", {"admin.port": 0}) as server:
        port = admin_port(server)
        for sent, status in ((b"GET /health\r\n\r\n", 400), (b"PUT /admin/log-level HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n", 413),
                             (b"GET /health HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431)):
            with Connection(port) as client:
                client.send(sent)
                answer = client.response()
                assert answer.status == status and "error" in json.loads(answer.body), (status, answer.body)
