"""Rooms that sleep beside open connections: nothing of them is in memory but who is there, and nobody notices."""

import json
import subprocess
import tempfile
import time

import pytest

from harness.admin import admin_port, ask, metric
from harness.server import Server, module_path, path_from_environment
from harness.wait import until
from harness.wire import Connection


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="jamsocket-data-") as name:
        yield name


def serve(folder):
    return Server("module", "probe", {"server.data": folder, "admin.port": 0, "service.sleep_after_seconds": 1})


@pytest.fixture
def server(folder):
    with serve(folder) as started:
        yield started


class Room:
    """A room with two clients, that fell asleep."""

    def __init__(self, server, name="lobby"):
        self.server = server
        self.first = Connection(server.port).upgrade(f"/ws/{name}")
        self.first.expect_text("you are 1")
        self.second = Connection(server.port).upgrade(f"/ws/{name}")
        self.second.expect_text("you are 2")
        self.first.expect_text("2 connected")
        self.sleep()

    def sleep(self):
        before = metric(self.server, "rooms_asleep_total")
        until(lambda: metric(self.server, "rooms_asleep_total") == before + 1, 20, "the room does not sleep")


def test_what_either_says_wakes_it(server):
    room = Room(server)
    for number in range(3):
        assert room.first.ask(f"echo {number}") == f"echo {number}"
        room.sleep()
        assert room.second.ask("all hello") == "hello"
        room.first.expect_text("hello")
        room.sleep()
    assert metric(server, "rooms_made_total") == 1, "the room is the same"
    room.first.leave()
    room.second.expect_text("1 disconnected")
    room.second.leave()


@pytest.mark.parametrize("how", ["close", "reset", "half_close"])
def test_who_leaves_is_seen_off(server, how):
    room = Room(server)
    if how == "close":
        room.first.leave()
    elif how == "reset":
        room.first.reset()
    else:
        room.first.half_close()
    room.second.expect_text("1 disconnected")
    room.sleep()
    assert room.second.ask("still here") == "still here"
    room.second.leave()


def test_who_comes_gets_the_next_number(server):
    room = Room(server)
    third = Connection(server.port).upgrade("/ws/lobby")
    third.expect_text("you are 3")
    room.first.expect_text("3 connected")
    room.second.expect_text("3 connected")
    for client in (room.first, room.second, third):
        client.close()


def test_operators_see_it_and_do_not_wake_it(server):
    room = Room(server)
    port = admin_port(server)
    asleep = metric(server, "rooms_asleep_total")
    handled = metric(server, "events_handled_total")
    listed = json.loads(ask(port, "/admin/rooms")[1])
    assert [(entry["id"], entry["clients"]) for entry in listed["rooms"]] == [("lobby", 2)] and listed["rooms_total"] == 1
    shown = json.loads(ask(port, "/admin/rooms/lobby")[1])
    assert shown["client_count"] == 2
    assert [(client["id"], client["remote_address"]) for client in shown["clients"]] == [(1, "127.0.0.1"), (2, "127.0.0.1")]
    assert len(json.loads(ask(port, "/admin/rooms/lobby?limit=1")[1])["clients"]) == 1
    assert metric(server, "rooms_brought_back_total") == 0 and metric(server, "events_handled_total") == handled
    assert metric(server, "rooms") == 1 and metric(server, "rooms_asleep_total") == asleep
    room.first.close()
    room.second.close()


def test_operators_close_a_client_and_the_room(server):
    room = Room(server)
    port = admin_port(server)
    assert ask(port, "/admin/rooms/lobby/clients/2?code=4000", "DELETE")[0] == 200
    room.second.expect_close(4000)
    room.first.expect_text("2 disconnected")
    room.sleep()
    assert ask(port, "/admin/rooms/lobby?code=4001", "DELETE")[0] == 200
    room.first.expect_close(4001)
    until(lambda: metric(server, "rooms") == 0, 10, "the room does not end")


def test_its_timer_is_due_once(server):
    room = Room(server)
    room.first.text("timer 2500")
    room.sleep()
    begin = time.monotonic()
    room.first.expect_text("timer 1")
    room.second.expect_text("timer 1")
    assert time.monotonic() - begin < 10
    room.sleep()
    assert room.first.ask("echo") == "echo", "and not again"
    room.first.close()
    room.second.close()


def test_a_kept_room_is_taken_out_while_it_sleeps(server):
    room = Room(server)
    port = admin_port(server)
    assert json.loads(ask(port, "/admin/kept-rooms/lobby")[1])["clients"] == [1, 2], "as it is stored"
    assert ask(port, "/admin/kept-rooms/lobby", "DELETE")[0] == 200
    room.first.expect_close(1001)
    room.second.expect_close(1001)
    again = Connection(server.port).upgrade("/ws/lobby")
    again.expect_text("you are 1")
    again.close()


def test_a_service_that_goes_takes_its_sleepers_along(server):
    port = admin_port(server)
    body = json.dumps({"module": str(module_path("probe"))}).encode()
    assert ask(port, "/admin/services/new", "POST", body)[0] == 200
    room = Room(server, "new/lobby")
    assert ask(port, "/admin/services/new", "PUT", body)[0] == 200
    assert room.first.ask("still here") == "still here", "it keeps the module that it began with"
    room.sleep()
    assert ask(port, "/admin/services/new", "DELETE")[0] == 200
    room.first.expect_close(1012)
    room.second.expect_close(1012)
    until(lambda: metric(server, "rooms") == 0, 10, "the room does not end")


def test_a_server_that_stops_tells_its_clients_and_lets_it_sleep(folder):
    """Many rooms need not be read for each client that leaves: the service hears of it before anything else, once it is back."""
    with serve(folder) as server:
        room = Room(server)
        server.process.terminate()
        room.first.expect_close(1012)
        room.second.expect_close(1012)
        server.wait()
    shown = json.loads(subprocess.run([path_from_environment("JAMSOCKET_BIN"), "rooms", "show", "lobby", "--data", folder, "--json"],
                                      capture_output=True, text=True, check=True).stdout)
    assert (shown["events"], shown["clients"]) == (2, [1, 2]), "two came, and nothing else happened"
    with serve(folder) as server:
        third = Connection(server.port).upgrade("/ws/lobby")
        third.expect_text("you are 3")
        assert third.ask("clients") == "clients 1"
        third.leave()


def test_a_bad_event_that_wakes_it_is_undone(server):
    room = Room(server)
    room.second.text("trap")
    room.second.expect_close(1011)
    room.first.expect_text("2 disconnected")
    room.sleep()
    assert room.first.ask("still here") == "still here"
    room.first.leave()
