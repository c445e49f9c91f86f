"""The second listener, as an operator's tools use it."""

import json
import subprocess
import urllib.request

from harness.server import KINDS, Server
from harness.wait import until
from harness.wire import Connection
import pytest


def admin_port(server):
    def named():
        return next((line["port"] for line in server.log_lines() if line.get("event") == "admin.listening"), None)
    return until(named, 10, "the log names no admin port")


def ask(port, path, method="GET", body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, data=body)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.status, answer.read().decode()


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


def test_scraping_hard_leaves_rooms_alone():
    """L-04: a scrape costs the rooms nothing, and many rooms make no more lines."""
    with Server("module", "echo", {"admin.port": 0}) as server:
        port = admin_port(server)
        few = len(ask(port, "/metrics")[1].splitlines())
        clients = [Connection(server.port).upgrade(f"/ws/room{i}") for i in range(50)]
        assert clients[0].ask("hello") == "hello"
        assert len(ask(port, "/metrics")[1].splitlines()) == few
        connection = Connection(port)
        head = f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        for _ in range(1000):
            connection.send(head)
            assert connection.response().status == 200
        assert clients[0].ask("still here") == "still here"
        connection.close()
        for client in clients:
            client.leave()


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
