"""Guests that misbehave in every way, each in one room among a hundred healthy ones of another module.

The healthy rooms are on the server's public listener; its second one, for operators, answers all the while, too: neither
listener may notice what a guest does. What a crime is: tests/guests/zoo.wat.

Where each entry of the list of bad guests is tried (W-01 to W-24), if not here:

W-01 loops, recursion                           W-13 sends without end, to clients there are not
W-02 loops at the start; unit.wasm (load)       W-14 there is nothing that stores by key
W-03 memory without end; unit.wasm (load)       W-15 unit.wasm (rooms survive allocators that lie)
W-04 memory.fill, copy; tables                  W-16 text that is no UTF-8, levels, codes
W-05 traps, and the next instance is fresh      W-17 loops when it hears of the end; unit.server (slow calls)
W-06 to W-10 test_strangers_modules.py          W-18, W-19 unit.wasm (drawn from the event), unit.room (simulation)
W-11 ranges that lie; fuzz.wasm_host_calls      W-20 memory of rooms before; unit.wasm (slots)
W-12 timers, lines of log without end           W-21 a thousand at once; one more than may be
W-22 slots used again while calls are out       W-23, W-24 unit.wasm (faults of the host; as the specification says)
"""

import pytest
from harness.wait import until
from harness.wire import BINARY, Connection, request
from harness.zoo import GUESTS, SECONDS, Zoo

# The first letter of a message, and what the log says of the call that it leads to.
FATAL = {
    "u": "trap", "d": "trap", "v": "trap", "c": "trap", "o": "trap", "O": "trap", "t": "trap", "n": "trap", "s": "trap",
    "B": "trap", "C": "trap", "r": "trap", "z": "trap", "a": "trap", "j": "trap",
    "l": "cpu_limit", "L": "cpu_limit", "f": "cpu_limit", "y": "cpu_limit", "F": "cpu_limit", "S": "cpu_limit",
    "g": "memory_limit",
    "q": "effect_limit", "b": "effect_limit", "W": "effect_limit",
    "h": "bad_call", "H": "bad_call", "E": "bad_call", "x": "bad_call", "m": "bad_call", "k": "bad_call", "i": "bad_call",
    "p": "bad_call",
}
HARMLESS = {"G": "refused", "e": "", "M": "clean", "A": "bye", "Z": "bye", "D": "bye"}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    with Zoo(tmp_path_factory.mktemp("zoo"), GUESTS / "zoo.wasm") as made:
        yield made


@pytest.mark.parametrize("crime", sorted(FATAL))
def test_a_crime_ends_its_room_and_nothing_else(zoo, crime):
    room = f"crime-{ord(crime)}"
    criminal = zoo.enter(room)
    criminal.text(crime)
    zoo.look()  # While it is under way, where it takes its time.
    criminal.expect_close(1011)
    failure = until(lambda: next((line for line in zoo.failures() if line["room"] == room), None), SECONDS, "no line of log")
    assert failure["cause"] == FATAL[crime], failure
    assert failure["service"] == "zoo" and failure["event_kind"] == "message", failure
    zoo.look()
    # The id is not dead: the next client gets a fresh instance with nothing left over in its memory.
    heir = zoo.enter(room)
    assert heir.ask("M") == "clean"
    heir.close()


@pytest.mark.parametrize("deed", sorted(HARMLESS))
def test_what_looks_like_a_crime_but_is_none_is_answered(zoo, deed):
    client = zoo.enter(f"deed-{ord(deed)}")
    assert client.ask(deed) == HARMLESS[deed]
    zoo.look()
    client.close()


def test_memory_of_rooms_before_is_not_to_be_seen(zoo):
    for _ in range(200):
        client = zoo.enter("reused")
        assert client.ask("M") == "clean"  # And fills it.
        client.text("u")
        client.expect_close(1011)


def test_a_hundred_rooms_loop_at_the_same_time(zoo):
    criminals = [zoo.enter(f"loop-{i}") for i in range(100)]
    for criminal in criminals:
        criminal.text("l")
    zoo.look()  # Each has its first two milliseconds of the loop; afterwards they are known.
    for criminal in criminals:
        criminal.expect_close(1011)
    zoo.look()


def test_a_thousand_rooms_trap_at_the_same_time(zoo):
    criminals = [zoo.enter(f"trap-{i}") for i in range(1000)]
    for criminal in criminals:
        criminal.text("u")
    zoo.look()
    for criminal in criminals:
        criminal.expect_close(1011)
    zoo.look()


def test_memory_to_the_limit_in_many_rooms(zoo):
    before = zoo.server.memory()
    criminals = [zoo.enter(f"grow-{i}") for i in range(30)]
    for criminal in criminals:
        criminal.text("g")
    zoo.look()
    for criminal in criminals:
        criminal.expect_close(1011)
    until(lambda: zoo.server.memory() < before + (64 << 20), 20,
          lambda: f"{zoo.server.memory() - before} bytes were kept of rooms that are gone")


def test_a_flood_of_messages_into_one_room(zoo):
    flooder = zoo.enter("flood")
    flooder.send(b"".join(b"\x81\x81\0\0\0\0T" for _ in range(20_000)))
    zoo.look()
    for _ in range(20_000):
        received = flooder.frame()
        assert received.opcode == BINARY and len(received.payload) == 8
    flooder.close()


def test_a_client_that_leaves_while_its_call_loops(zoo):
    criminal = zoo.enter("left")
    criminal.text("l")
    criminal.reset()
    zoo.look()
    until(lambda: any(line["room"] == "left" for line in zoo.failures()), SECONDS, "the call did not end")


@pytest.mark.parametrize("guest", ["init_loop", "init_trap"])
def test_a_room_that_cannot_start_refuses_its_client(tmp_path, guest):
    with Zoo(tmp_path, GUESTS / f"{guest}.wasm") as server:
        client = Connection(server.server.port, seconds=SECONDS)
        client.send(request("/ws/x"))
        server.look()
        assert client.response().status == 500
        server.look()


def test_tables_to_the_limit_and_for_ever(tmp_path):
    with Zoo(tmp_path, GUESTS / "tables.wasm") as server:
        client = Connection(server.server.port, seconds=SECONDS).upgrade("/ws/grows")
        assert client.ask("e") == "done"
        assert client.ask("g") == "refused"
        for crime in "cf":
            client = Connection(server.server.port, seconds=SECONDS).upgrade(f"/ws/{crime}")
            client.text(crime)
            server.look()
            client.expect_close(1011)
        server.look()


def test_a_service_that_loops_when_it_hears_of_the_end(tmp_path):
    """Its room is closed by an operator; then the server is stopped: both come to their end."""
    with Zoo(tmp_path, GUESTS / "leave_loop.wasm") as server:
        client = Connection(server.server.port, seconds=SECONDS).upgrade("/ws/closed")
        assert client.ask("hello") == "hello"
        assert server.ask("/admin/rooms/closed?code=4001", "DELETE") == (200, {"closed": True})
        client.expect_close(4001)
        server.look()
        until(lambda: server.ask("/admin/rooms/closed")[0] == 404, SECONDS, "the room did not end")
        stays = Connection(server.server.port, seconds=SECONDS).upgrade("/ws/stays")
        assert stays.ask("hello") == "hello"
        server.server.process.terminate()
        stays.expect_close(1012)
        server.server.wait()


def test_a_thousand_rooms_start_at_the_same_time(zoo):
    clients = [Connection(zoo.server.port, seconds=SECONDS) for _ in range(1000)]
    for i, client in enumerate(clients):
        client.send(request(f"/ws/start-{i}?in"))
    zoo.look()
    for client in clients:
        assert client.response().status == 101
        client.expect_text("in")
        client.close()


def test_one_room_more_than_there_may_be(tmp_path):
    with Zoo(tmp_path, GUESTS / "zoo.wasm", {"limits.rooms_max": 110}) as server:
        inside = [server.enter(f"room-{i}") for i in range(10)]
        outside = Connection(server.server.port, seconds=SECONDS)
        outside.send(request("/ws/one-more"))
        assert outside.response().status == 503
        server.look()
        inside[0].text("u")
        inside[0].expect_close(1011)
        assert until(lambda: server.ask("/admin/rooms/room-0")[0] == 404, SECONDS, "it did not end")
        server.enter("one-more").close()


def test_slots_are_used_again_while_calls_are_out(zoo):
    """Rooms come and go, and find their memory clean, while others loop on threads of their own."""
    loops = [zoo.enter(f"out-{i}") for i in range(5)]
    for client in loops:
        client.text("l")
    for _ in range(50):
        client = zoo.enter("between")
        assert client.ask("M") == "clean"
        client.text("u")
        client.expect_close(1011)
    for client in loops:
        client.expect_close(1011)
    zoo.look()


def test_no_descriptor_or_room_is_left_behind(zoo):
    for name in ("leak-1", "leak-2"):
        client = zoo.enter(name)
        client.text("u")
        client.expect_close(1011)
    before = zoo.server.descriptors()
    for i in range(50):
        client = zoo.enter(f"leak-{i}")
        client.text("u")
        client.expect_close(1011)
        client.close()
    zoo.server.wait_for_descriptors(before)
