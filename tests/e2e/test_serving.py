"""What the command says and reads while it serves: the first line, PORT and HOST, a taken port, signals; the native example."""

import os
import socket
import subprocess

import pytest

from harness.server import KINDS, Server, module_path, path_from_environment
from harness.wire import Connection, http


def free_port():
    """A port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(command, environment=None, seconds=60):
    clean = {name: value for name, value in os.environ.items() if name not in ("PORT", "HOST", "LOG_LEVEL")}
    return subprocess.run([str(part) for part in command], env={**clean, **(environment or {})}, capture_output=True, timeout=seconds)


def serve(*flags):
    return [path_from_environment("JAMSOCKET_BIN"), "serve", module_path("counter"), *flags]


@pytest.mark.parametrize("flags", [["-p", "0"], ["--port", "0"], ["--port=0"]])
def test_port_zero_says_the_real_one(flags):
    with Server(command=serve(*flags)) as server:
        assert server.host == "127.0.0.1"
        assert server.port > 0
        assert http(server.port, "GET", "/status").body == b"ok"


def test_the_flag_wins_over_the_environment():
    port = free_port()
    with Server(command=serve("-p", "0"), environment={"PORT": str(port)}) as server:
        assert server.port != port


def test_port_and_host_from_the_environment():
    port = free_port()
    with Server(command=serve(), environment={"PORT": str(port), "HOST": "127.0.0.2"}) as server:
        assert (server.host, server.port) == ("127.0.0.2", port)
        assert http(port, "GET", "/status", host="127.0.0.2").body == b"ok"


def test_a_port_that_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(serve("-p", str(port)))
        assert done.returncode == 1
        assert done.stdout == b""
        assert str(port).encode() in done.stderr and done.stderr.count(b"\n") == 1, done.stderr


@pytest.mark.parametrize("flags, names", [
    (["--port", "65536"], b"65535"), (["--port", "x"], b"port"), (["--room-strategy", "short2"], b"short3"), (["--shutdown-policy", "10"], b"sec"),
    (["--heartbeat-interval", "0"], b"heartbeat"), (["--static", "/nowhere"], b"/nowhere"), (["--nonsense"], b"nonsense"),
])
def test_bad_flags(flags, names):
    done = run(serve(*flags))
    assert done.returncode == 2
    assert done.stdout == b""
    assert names in done.stderr, done.stderr


def test_a_module_that_is_none(tmp_path):
    bad = tmp_path / "bad.wasm"
    for content in (b"", b"\0asm", b"not wasm at all", b"\0asm\x0d\0\1\0"):
        bad.write_bytes(content)
        done = run([path_from_environment("JAMSOCKET_BIN"), "serve", bad, "-p", "0"])
        assert done.returncode == 1, (content, done)
        assert done.stdout == b""
        assert b"bad.wasm" in done.stderr, done.stderr
    done = run([path_from_environment("JAMSOCKET_BIN"), "serve", tmp_path / "absent.wasm", "-p", "0"])
    assert done.returncode == 1 and b"absent.wasm" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_first_line_is_on_standard_output(kind):
    with Server(kind, "counter") as server:
        with Connection(server.port).upgrade("/ws/1") as connection:
            assert connection.ask("increment") == "new value: 1"
            connection.leave()
        server.stop()
        assert server._lines.get(timeout=10) is None


def test_log_level_off():
    with Server(command=serve("-p", "0"), environment={"LOG_LEVEL": "off"}) as server:
        http(server.port, "GET", "/status")
        server.stop()
        assert server.log_bytes() == b""


def test_the_native_example():
    with Server(command=[path_from_environment("JAMSOCKET_NATIVE_EXAMPLE")], environment={"PORT": "0"}) as server:
        with Connection(server.port).upgrade("/ws/teapot") as alice, Connection(server.port).upgrade("/ws/teapot") as bob:
            alice.expect_text("teapot: 0")
            bob.expect_text("teapot: 0")
            alice.text("10")
            alice.expect_text("teapot: 10")
            bob.expect_text("teapot: 10")


def test_the_native_example_says_that_a_port_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run([path_from_environment("JAMSOCKET_NATIVE_EXAMPLE")], {"PORT": str(taken.getsockname()[1])})
        assert done.returncode == 1 and done.stdout == b"" and done.stderr
