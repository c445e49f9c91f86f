"""Where the server listens: several places at once, IPv6, unix-domain sockets, sockets that were opened for it."""

import os
import signal
import socket
import stat
import subprocess

import pytest

from harness.server import KINDS, Server, module_path, path_from_environment
from harness.wait import until
from harness.wire import Connection, http


def lines_of(server, count):
    return [server.first_line] + [server._lines.get(timeout=10) for _ in range(count - 1)]


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def upgraded(**where):
    return Connection(where.pop("port", 0), **where).upgrade("/ws/room")


def ended(*flags):
    command = [path_from_environment("JAMSOCKET_BIN"), "serve", module_path("echo"), *flags]
    return subprocess.run([str(part) for part in command], capture_output=True, timeout=60, text=True)


@pytest.mark.parametrize("kind", KINDS)
def test_clients_of_all_listeners_meet_in_one_room(kind, tmp_path):
    path = tmp_path / "rooms.sock"
    with Server(kind, "probe", {"server.listen": f"127.0.0.1:0,127.0.0.2:0,unix:{path}"}) as server:
        lines = lines_of(server, 3)
        assert lines[1].startswith("listening on http://127.0.0.2:") and lines[2] == f"listening on unix:{path}\n"
        second = int(lines[1].strip().rsplit(":", 1)[1])
        one, two = upgraded(port=server.port), upgraded(port=second, host="127.0.0.2")
        three = upgraded(path=str(path))
        three.text("all hello")
        for client in (one, two, three):
            while client.next_text() != "hello":
                pass  # Who came.
        for client in (one, two, three):
            client.close()


@needs_ipv6
def test_ipv6_alone_and_both_stacks():
    with Server(settings={"server.listen": "[::1]:0"}) as server:
        assert server.host == "[::1]"
        assert upgraded(port=server.port, host="::1").ask("six") == "six"
    with Server(settings={"server.listen": "[::]:0"}) as server:
        assert upgraded(port=server.port, host="::1").ask("six") == "six"
        assert upgraded(port=server.port, host="127.0.0.1").ask("four") == "four"
    with Server(settings={"server.host": "::"}) as server:
        assert upgraded(port=server.port, host="127.0.0.1").ask("four") == "four"


def test_a_unix_socket_has_its_mode_and_goes_at_the_end(tmp_path):
    path = tmp_path / "rooms.sock"
    with Server(settings={"server.listen": f"unix:{path}", "server.unix_mode": "0600"}) as server:
        assert server.path == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert upgraded(path=str(path)).ask("hello") == "hello"
        done = subprocess.run(["curl", "-sS", "--max-time", "20", "--unix-socket", path, "http://localhost/status"],
                              capture_output=True, check=True)
        assert done.stdout == b"ok"
    assert not path.exists()


def test_a_unix_socket_that_was_left_over_is_replaced_and_one_in_use_is_not(tmp_path):
    path = tmp_path / "rooms.sock"
    first = Server(settings={"server.listen": f"unix:{path}"})
    refused = ended("--listen", f"unix:{path}")
    assert refused.returncode == 1 and "is taken" in refused.stderr and refused.stderr.count("\n") == 1, refused.stderr
    assert upgraded(path=str(path)).ask("still here") == "still here"
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    assert path.exists()
    with Server(settings={"server.listen": f"unix:{path}"}):
        assert upgraded(path=str(path)).ask("hello") == "hello"
    path.write_text("precious")
    refused = ended("--listen", f"unix:{path}")
    assert refused.returncode == 1 and "is no socket" in refused.stderr, refused.stderr
    assert path.read_text() == "precious"


def test_the_sandbox_leaves_a_unix_socket_possible(tmp_path):
    path = tmp_path / "rooms.sock"
    with Server("module", settings={"server.listen": f"unix:{path}", "server.sandbox": "on"}):
        assert upgraded(path=str(path)).ask("hello") == "hello"
    assert not path.exists()


def test_one_that_is_taken_is_said_plainly():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = ended("--listen", f"127.0.0.1:0,127.0.0.1:{port}")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"port {port} on 127.0.0.1 is taken" in refused.stderr and refused.stderr.count("\n") == 1, refused.stderr


# Socket activation: the sockets stay with whoever opened them, so that nobody is refused between two servers.
def test_sockets_that_were_opened_for_it(tmp_path):
    path = str(tmp_path / "activated.sock")
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        unix.bind(path)
        tcp.listen()
        unix.listen()
        port = tcp.getsockname()[1]
        for _ in range(2):
            with Server(sockets=[tcp, unix]) as server:
                assert lines_of(server, 2) == [f"listening on http://127.0.0.1:{port}\n", f"listening on unix:{path}\n"]
                assert upgraded(port=port).ask("hello") == "hello"
                assert upgraded(path=path).ask("hello") == "hello"
            waiting = Connection(port)  # No server is there, and yet nobody is refused.
            waiting.close()
            assert os.path.exists(path), "who made it removes it"


def test_sockets_meant_for_another_process_are_left_alone():
    with Server(environment={"LISTEN_PID": "1", "LISTEN_FDS": "1"}) as server:
        assert http(server.port, "GET", "/status").body == b"ok"


def test_what_was_opened_for_it_must_listen():
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        with pytest.raises(AssertionError, match="no listening stream socket"):
            Server(sockets=[idle])


@pytest.mark.parametrize("count", ["x", "65", "-1", ""])
def test_a_number_of_sockets_that_is_none(count):
    command = ["bash", "-c", f'LISTEN_PID=$$ LISTEN_FDS={count} exec "$@"', "bash",
               path_from_environment("JAMSOCKET_BIN"), "serve", module_path("echo"), "-p", "0"]
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=60, text=True)
    assert done.returncode == 1 and "LISTEN_FDS is no number" in done.stderr, done


def test_no_more_descriptors_than_before_a_client_came(tmp_path):
    path = tmp_path / "rooms.sock"
    with Server(settings={"server.listen": f"unix:{path}"}) as server:
        upgraded(path=str(path)).leave()
        idle = server.descriptors()
        for _ in range(20):
            upgraded(path=str(path)).leave()
        until(lambda: server.descriptors() <= idle, 10, "descriptors are left")
