"""SIGHUP: what is read again, and what goes on whatever is found then."""

import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from harness.admin import admin_port
from harness.server import KINDS, Server, module_path, path_from_environment
from harness.tls import make_certificate
from harness.wait import until
from harness.wire import Connection

ONE, TWO = "the-first-token-0123", "the-second-token-456"


def status_with(port, token):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/admin/rooms", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def events(server, name):
    return [line for line in server.log_lines() if line["event"] == name]


@pytest.mark.parametrize("sandbox", ["off", "on"])
def test_the_operators_token_is_read_again(tmp_path, sandbox):
    file = tmp_path / "token"
    file.write_text(ONE + "\n")
    settings = {"admin.port": 0, "admin.token_file": file, "server.sandbox": sandbox}
    with Server("module", "echo", settings) as server:
        port = admin_port(server)
        assert (status_with(port, ONE), status_with(port, TWO)) == (200, 401)
        # As whoever rotates does it: another file takes its place.
        (tmp_path / "new").write_text(TWO + "\n")
        (tmp_path / "new").replace(file)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: status_with(port, TWO) == 200, 10, server.log_text)
        assert status_with(port, ONE) == 401


@pytest.mark.parametrize("content", (b" " + ONE.encode(), b"\xef\xbb\xbf" + ONE.encode(), b"\t" + ONE.encode(), ONE.encode() + b"\0x",
                                     b"x" * 4097, b"x" * 15 + b" ", b"\n" + ONE.encode(), b""))
def test_a_token_that_nobody_can_send_is_refused(tmp_path, content):
    """Nobody got in, and nothing said why."""
    (tmp_path / "token").write_bytes(content)
    (tmp_path / "jamsocket.toml").write_text('[server]\nport = 0\n[admin]\nport = 0\ntoken_file = "token"\n')
    for words in (["serve", module_path("echo"), "--config"], ["config", "check"]):
        ended = subprocess.run([path_from_environment("JAMSOCKET_BIN"), *words, tmp_path / "jamsocket.toml"], capture_output=True,
                               text=True, timeout=60)
        assert ended.returncode != 0 and str(tmp_path / "token") in ended.stderr, ended


@pytest.mark.parametrize("content", (ONE + " \t\r\n", ONE, ONE + "\r\nsecond line", ONE + "x" * (4096 - len(ONE)) + "\n"))
def test_a_token_is_the_first_line_without_its_end(tmp_path, content):
    (tmp_path / "token").write_bytes(content.encode())
    with Server("module", "echo", {"admin.port": 0, "admin.token_file": tmp_path / "token"}) as server:
        assert status_with(admin_port(server), content.splitlines()[0].strip()) == 200


def test_each_file_that_is_no_good_is_named(tmp_path):
    certificate, key = make_certificate(tmp_path)
    token = tmp_path / "token"
    token.write_text(ONE)
    settings = {"admin.port": 0, "admin.token_file": token, "tls.cert": certificate, "tls.key": key}
    with Server("module", "echo", settings) as server:
        token.write_text("short")
        key.write_text("nonsense")
        server.process.send_signal(signal.SIGHUP)
        said = until(lambda: len(events(server, "server.not_reloaded")) >= 2 and events(server, "server.not_reloaded"), 10, server.log_text)
        assert [file in line["reason"] for file, line in zip((str(token), str(key)), said)] == [True, True], said
        assert events(server, "server.reloaded") == []
        assert status_with(admin_port(server), ONE) == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_a_second_and_a_file_that_comes_and_goes(kind, tmp_path):
    """R-17: under load, with a file that is removed, too short, and there again."""
    file = tmp_path / "token"
    file.write_text(ONE)
    with Server(kind, "echo", {"admin.port": 0, "admin.token_file": file}) as server:
        port = admin_port(server)
        client = Connection(server.port).upgrade("/ws/a")
        over = threading.Event()
        asked = [0]

        def chat():
            while not over.is_set():
                assert client.ask(f"message {asked[0]}") == f"message {asked[0]}"
                asked[0] += 1
        chatting = threading.Thread(target=chat)
        chatting.start()
        try:
            for number in range(200):
                if number % 3 == 0:
                    file.unlink(missing_ok=True)
                else:
                    file.write_text(ONE if number % 3 == 1 else "short")
                server.process.send_signal(signal.SIGHUP)
                time.sleep(0.01)  # The rate that is asked for; nothing depends on it.
            assert status_with(port, ONE) == 200, "the last good one counts"
        finally:
            over.set()
            chatting.join(30)
        assert asked[0] > 0 and client.ask("still here") == "still here"
        told = events(server, "server.reloaded") + events(server, "server.not_reloaded")
        assert 1 <= len(told) <= 30, "at most once a second"
        assert all(ONE not in str(line) and "short\"" not in str(line) for line in told)
        client.leave()


def test_it_ends_nothing_not_even_while_it_stops():
    with Server("module", "echo", {"server.drain_timeout_seconds": 30}) as server:
        server.process.send_signal(signal.SIGHUP)
        assert Connection(server.port).upgrade("/ws/b").ask("hello") == "hello"
        stays = Connection(server.port).upgrade("/ws/a")
        server.process.send_signal(signal.SIGTERM)
        stays.expect_close(1012, answer=False)  # And it does not answer: the drain waits for it.
        for _ in range(50):
            server.process.send_signal(signal.SIGHUP)
        assert server.process.poll() is None
        stays.socket.close()
        server.wait(20)
