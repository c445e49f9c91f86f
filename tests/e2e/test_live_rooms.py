"""The commands for kept rooms, while a server uses the folder and clients are connected."""

import fcntl
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import pytest

from harness.admin import admin_port
from harness.server import Server, module_path, path_from_environment
from harness.wire import CLOSE, Connection, Ended
from test_kept_rooms import count, folder, jamsocket, serve  # noqa: F401


def rooms_of(folder, *words):  # noqa: F811
    return json.loads(jamsocket("rooms", "list", "--data", folder, "--json", *words))["rooms"]


def expect_closed(client, code):
    """Whatever was said to it before."""
    received = client.frame()
    while received.opcode != CLOSE:
        received = client.frame()
    assert received.close_code == code, received


@pytest.fixture
def server(folder):  # noqa: F811
    with serve(folder, **{"admin.port": 0, "server.history": "all", "limits.checkpoint_events_max": 4}) as running:
        yield running


def test_rooms_are_listed_shown_and_copied_while_they_run(server, folder):  # noqa: F811
    with Connection(server.port).upgrade("/ws/lobby") as client:
        assert client.ask("increment") == "new value: 1"
        assert [(room["service"], room["room"], room["events"]) for room in rooms_of(folder)] == [("counter", "lobby", 2)]
        assert rooms_of(folder, "--service", "another") == []
        shown = json.loads(jamsocket("rooms", "show", "lobby", "--data", folder, "--json"))
        assert shown["clients"] == [1] and shown["events"] == 2 and shown["earliest_event_kept"] == 0
        assert "last_client" in jamsocket("rooms", "show", "lobby", "--data", folder)
        assert "there is no room 'nobody'" in jamsocket("rooms", "show", "nobody", "--data", folder, code=1)
        assert "is a copy" in jamsocket("rooms", "fork", "lobby", "copy", "--data", folder)
        assert "already" in jamsocket("rooms", "fork", "lobby", "copy", "--data", folder, code=1)
        assert "already" in jamsocket("rooms", "fork", "lobby", "lobby", "--data", folder, code=1)
        told = jamsocket("replay", module_path("counter"), "lobby", "--data", folder, "--json").splitlines()
        assert [json.loads(line)["kind"] for line in told] == ["connect", "message"]
        assert client.ask("increment") == "new value: 2"
        assert count(server, "copy") == 2
        client.leave()


def test_a_room_goes_from_one_running_server_to_another(server, folder):  # noqa: F811
    assert count(server, "lobby", 5) == 5
    with tempfile.TemporaryDirectory(prefix="jamsocket-data-") as elsewhere, serve(elsewhere, **{"admin.port": 0}) as other:
        file = f"{elsewhere}/lobby.room"
        jamsocket("rooms", "export", "lobby", file, "--data", folder)
        jamsocket("rooms", "import", file, "--data", elsewhere)
        jamsocket("rooms", "import", file, "--data", elsewhere, code=1)
        jamsocket("rooms", "import", file, "--data", elsewhere, "--as", "a b/\u00e9")
        with Connection(other.port).upgrade("/ws/taken") as client:
            assert client.ask("increment") == "new value: 1"
            assert "already" in jamsocket("rooms", "import", file, "--data", elsewhere, "--as", "taken", code=1)
            assert client.ask("increment") == "new value: 2"
            client.leave()
        assert count(other, "lobby") == 6
        assert count(other, "a%20b%2F%C3%A9") == 6


def test_on_a_full_disk_rooms_are_read_and_deleted_only(folder):  # noqa: F811
    with serve(folder) as filling:
        assert count(filling, "lobby", 2) == 2
    file = f"{folder}/lobby.room"
    with serve(folder, **{"admin.port": 0, "limits.disk_free_bytes_min": "1024GiB"}):
        jamsocket("rooms", "export", "lobby", file, "--data", folder)
        for words in (("import", file, "--as", "new"), ("fork", "lobby", "new"), ("rewind", "lobby", "--to", 1)):
            assert "nearly full" in jamsocket("rooms", *words, "--data", folder, code=1)
        assert [room["room"] for room in rooms_of(folder)] == ["lobby"]
        jamsocket("rooms", "delete", "lobby", "--data", folder)
        assert rooms_of(folder) == []


def test_a_server_that_keeps_nothing_takes_no_rooms_in(server, folder):  # noqa: F811
    assert count(server, "lobby") == 1
    file = f"{folder}/lobby.room"
    jamsocket("rooms", "export", "lobby", file, "--data", folder)
    with Server("module", "counter", {"admin.port": 0}) as other:
        address = f"http://127.0.0.1:{admin_port(other)}/admin/kept-rooms/lobby/file"
        with open(file, "rb") as room, pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(address, method="PUT", data=room.read()), timeout=20)
        with refused.value as answer:
            assert answer.code == 400 and "keeps no rooms" in json.load(answer)["error"]
        assert count(other, "lobby") == 1


def test_a_live_room_is_taken_back(server, folder):  # noqa: F811
    """Its clients are closed with 1012, and those who come find it as it was; nothing is left of what came later."""
    clients = [Connection(server.port).upgrade("/ws/lobby") for _ in range(3)]
    for number in range(1, 11):
        assert clients[0].ask("increment") == f"new value: {number}"
    events = rooms_of(folder)[0]["events"]
    assert events == 13
    assert "as it was after event 6" in jamsocket("rooms", "rewind", "lobby", "--to", 6, "--data", folder)
    for client in clients:
        expect_closed(client, 1012)
    with Connection(server.port).upgrade("/ws/lobby") as client:
        assert client.ask("increment") == "new value: 4"
        client.leave()
    assert "can go back to events" in jamsocket("rooms", "rewind", "lobby", "--to", 99, "--data", folder, code=1)
    server.stop()
    with serve(folder) as again:
        assert count(again, "lobby") == 5
        again.process.kill()
        again.process.wait()
        with serve(folder) as third:
            assert count(third, "lobby") == 6
        again.process.returncode = 0  # As was meant.


def test_a_live_room_is_deleted(server, folder):  # noqa: F811
    with Connection(server.port).upgrade("/ws/lobby") as client:
        assert client.ask("increment") == "new value: 1"
        assert "is no more" in jamsocket("rooms", "delete", "lobby", "--data", folder)
        expect_closed(client, 1001)
    assert rooms_of(folder) == []
    assert "there is no room" in jamsocket("rooms", "delete", "lobby", "--data", folder, code=1)
    assert count(server, "lobby") == 1


def test_a_live_room_with_a_long_history_is_taken_back_and_deleted(folder):  # noqa: F811
    """What is removed at once is more than SQLite keeps in memory by itself, and the sandbox has no place for its files."""
    with serve(folder, **{"admin.port": 0, "server.history": "all", "limits.checkpoint_events_max": 1}) as server:
        assert count(server, "lobby", 600) == 600
        jamsocket("rooms", "rewind", "lobby", "--to", 301, "--data", folder)
        assert count(server, "lobby") == 301
        jamsocket("rooms", "delete", "lobby", "--data", folder)
        assert rooms_of(folder) == []


def test_a_room_is_taken_back_again_and_again_under_load(server, folder):  # noqa: F811
    """Clients that say as much as they can, and come back whenever they are closed, see whole numbers only."""
    ended, wrong = threading.Event(), []

    def insist():
        while not ended.is_set():
            try:
                with Connection(server.port, seconds=20).upgrade("/ws/lobby") as client:
                    before = 0
                    while not ended.is_set():
                        client.text("increment")
                        value = int(client.next_text().removeprefix("new value: "))
                        if value <= before:
                            wrong.append((before, value))
                        before = value
            except (AssertionError, Ended, OSError):
                pass  # Closed, or turned away while the room is changed.

    assert count(server, "lobby", 3) == 3
    threads = [threading.Thread(target=insist) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        jamsocket("rooms", "rewind", "lobby", "--to", 4, "--data", folder)
    ended.set()
    for thread in threads:
        thread.join()
    assert not wrong
    jamsocket("rooms", "rewind", "lobby", "--to", 4, "--data", folder)
    assert count(server, "lobby") == 4


def test_a_room_that_was_taken_back_has_its_timer(folder):  # noqa: F811
    with serve(folder, "clock", **{"admin.port": 0}) as server:  # noqa: F811
        with Connection(server.port).upgrade("/ws/lobby") as client:
            client.next_text()
            events = rooms_of(folder)[0]["events"]
            jamsocket("rooms", "rewind", "lobby", "--to", events, "--data", folder)
            expect_closed(client, 1012)
        with Connection(server.port).upgrade("/ws/lobby") as client:
            client.next_text()
            client.leave()


def test_the_server_is_found_by_its_note_alone(folder):  # noqa: F811
    """With a token, too; the note is for its owner's eyes, and goes with the server."""
    with tempfile.NamedTemporaryFile("w", suffix=".token") as token:
        token.write("0123456789abcdef\n")
        token.flush()
        with serve(folder, **{"admin.port": 0, "admin.token_file": token.name}) as server:  # noqa: F811
            assert count(server, "lobby") == 1
            note = f"{folder}/admin.json"
            assert stat.S_IMODE(os.stat(note).st_mode) == 0o600
            assert "0123456789abcdef" not in open(note).read()
            assert len(rooms_of(folder)) == 1
        assert not os.path.exists(note)
    with serve(folder):
        assert "--admin-port" in jamsocket("rooms", "list", "--data", folder, code=1)
    assert len(rooms_of(folder)) == 1


def test_commands_and_a_server_that_starts_wait_for_each_other(folder):  # noqa: F811
    """A command that looked at the rooms at that moment kept the server from starting, and commands failed beside each other."""
    with serve(folder) as server:  # noqa: F811
        assert count(server, "lobby") == 1
    with open(f"{folder}/lock", "rb") as lock:
        for use in (lambda: jamsocket("rooms", "list", "--data", folder), lambda: serve(folder, **{"admin.port": 0}).stop()):
            fcntl.flock(lock, fcntl.LOCK_EX)
            timer = threading.Timer(0.5, fcntl.flock, (lock, fcntl.LOCK_UN))
            timer.start()
            use()
            timer.join()
        fcntl.flock(lock, fcntl.LOCK_EX)
        pathlib.Path(folder, "admin.json").write_text('{"host":"127.0.0.1","port":1,"token":""}')  # Of one that was killed.
        said = jamsocket("rooms", "list", "--data", folder, code=1)
        assert "in use by another process" in said and "127.0.0.1:1 cannot be reached" in said
        with pytest.raises(AssertionError, match="in use by another process"):
            serve(folder)


def test_what_keeps_a_command_from_the_server_is_said(folder):  # noqa: F811
    """A token that is refused was answered with how to send one over HTTP; a folder that may not be read had no rooms."""
    with tempfile.NamedTemporaryFile("w", suffix=".token") as token:
        token.write("0123456789abcdef\n")
        token.flush()
        with serve(folder, **{"admin.port": 0, "admin.token_file": token.name}) as server:  # noqa: F811
            admin_port(server)
            note = pathlib.Path(folder) / "admin.json"
            good = json.loads(note.read_text())
            for text, words in ((json.dumps({**good, "token": "x" * 64}), "does not take the token"), ("{", "is damaged"),
                                (json.dumps({**good, "port": 1}), "127.0.0.1:1 cannot be reached: Connection refused")):
                note.write_text(text)
                assert words in jamsocket("rooms", "list", "--data", folder, code=1)
            note.unlink()
            said = jamsocket("rooms", "list", "--data", folder, code=1)
            assert "neither starts nor stops" in said and "there is no admin.json" in said
    os.chmod(folder, 0)
    stranger = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
    with tempfile.TemporaryDirectory() as public:  # The build may be where strangers do not get.
        os.chmod(public, 0o755)
        command = shutil.copy(path_from_environment("JAMSOCKET_BIN"), public)
        ended = subprocess.run([command, "rooms", "list", "--data", folder], capture_output=True, text=True, cwd="/", **stranger)
    os.chmod(folder, 0o700)
    assert ended.returncode == 1 and "Permission denied" in ended.stderr, ended


def test_no_room_waits_for_a_file_to_be_made(folder):  # noqa: F811
    """Compressing a long history held the store's thread, and with it all kept rooms, for nearly as long as the request took."""
    with serve(folder, "echo", **{"admin.port": 0, "server.history": "all"}) as server:  # noqa: F811
        with Connection(server.port).upgrade("/ws/long") as client:
            for _ in range(500):
                client.ask(os.urandom(48 << 10).hex())
            client.leave()
        longest, there, done = 0.0, threading.Event(), threading.Event()

        def ask_on():
            nonlocal longest
            with Connection(server.port).upgrade("/ws/other") as client:
                client.ask("hello")
                there.set()
                while not done.is_set():
                    asked = time.monotonic()
                    client.ask("there?")
                    longest = max(longest, time.monotonic() - asked)
                client.leave()
        asking = threading.Thread(target=ask_on)
        asking.start()
        there.wait(20)
        begun = time.monotonic()
        url = f"http://127.0.0.1:{admin_port(server)}/admin/kept-rooms/long/file?history=all"
        with urllib.request.urlopen(url, timeout=60) as answer:
            assert len(answer.read()) > 20 << 20
        took = time.monotonic() - begun
        done.set()
        asking.join()
        assert longest < took / 2, (longest, took)
