"""Every limit of [limits]: it is named in the configuration, counted and logged by its name, and has one answer.

A limit that the table of settings gets is missed here until its answer is shown, or it is said why it has none.
"""

import pathlib
import re
import subprocess

from harness.admin import admin_port, ask, limit_hits
from harness.server import Server, path_from_environment
from harness.tls import make_certificate
from harness.tls_by_hand import HANDSHAKE, KEY_UPDATE, TlsByHand
from harness.tokens import key_folder, token
from harness.wait import until
from harness.wire import CLOSE, Connection, frame, http, request
from test_bad_proxies import v2
import pytest

HERE = pathlib.Path(__file__).parent
SOURCE = HERE.parent.parent

# --- What is not played here ----------------------------------------------------------------------------------------------

# Limit -> the file of the test that shows its answer, and the test's name.
SHOWN_ELSEWHERE = {
    "connections_per_address_max": ("tests/e2e/test_front_limits.py", "test_connections_of_one_address"),
    "connections_per_address_per_second_max": ("tests/e2e/test_front_limits.py", "test_new_connections_of_one_address"),
    "connections_per_subject_max": ("tests/e2e/test_tokens.py", "test_one_subject_has_so_many_connections"),
    "rooms_per_address_per_minute_max": ("tests/e2e/test_front_limits.py", "test_rooms_made_by_one_address"),
    "client_messages_per_second_max": ("tests/e2e/test_front_limits.py", "test_messages_of_one_client_come_at_their_rate"),
    "client_bytes_per_second_max": ("tests/e2e/test_front_limits.py", "test_bytes_of_one_client_come_at_their_rate"),
    "memory_high_bytes": ("tests/e2e/test_front_limits.py", "test_above_the_high_mark_nobody_new_comes_in"),
    "memory_critical_bytes": ("tests/e2e/test_front_limits.py", "test_above_the_critical_mark_the_slowest_go_first"),
    "token_cpu_ms_per_second_max": ("tests/e2e/test_tokens.py", "test_a_05_many_bad_signatures"),
    "slow_calls_max": ("src/server/slow_calls_test.cpp", "ManyAtOnceAndNoneBeyondTheLimit"),
    "slow_call_idle_ms_max": ("src/server/slow_calls_test.cpp", "OneThatHasWaitedLongEnoughGetsAShareOfTheProcessor"),
    "room_stack_bytes_max": ("src/wasm/module_service_test.cpp", "EndTheRoomAndNothingElse"),
    "room_in_flight_events_max": ("src/room/durable_room_test.cpp", "WhatIsOnItsWayToTheDiskIsBoundedWithAsyncToo"),
    "room_in_flight_bytes_max": ("src/room/durable_room_test.cpp", "LargeMessagesOnTheirWayToTheDiskAreBoundedByTheirBytes"),
    "checkpoint_backlog_bytes_max": ("src/room/durable_room_test.cpp", "ACheckpointThatIsDueWaitsForThoseBefore"),
}

# Numbers among the limits that nobody can run into.
NEVER_HIT = {
    "room_table_elements_max": "the engine refuses the growth of a table and tells only the guest, which may go on",
    "back_off_first_ms": "how long a pause is, which failures_before_back_off begins",
    "back_off_most_ms": "how long a pause is, which failures_before_back_off begins",
    "checkpoint_events_max": "when a checkpoint is taken: the room goes on; jamsocket_checkpoints_total counts them",
    "checkpoint_log_bytes_max": "when a checkpoint is taken: the room goes on; jamsocket_checkpoints_total counts them",
    "checkpoint_cpu_ms_max": "when a checkpoint is taken: the room goes on; jamsocket_checkpoints_total counts them",
    "fault_files_max": "how many files are kept: the oldest makes way for the newest, and nobody is told anything else",
    "fault_file_bytes_max": "whether a file is written: the event is undone and answered in the same way",
    "verify_waiting_max": "whether a checkpoint is verified: the room goes on; jamsocket_rooms_not_verified_total counts them",
}

# --- What is played: each is done to a server on which the limit is that low, and checks the answer -----------------------


def join(server, room="a", **how):
    return Connection(server.port, **how).upgrade(f"/ws/{room}")


def in_room(server, room="a", **how):
    """A client of the probe that has been told its number."""
    client = join(server, room, **how)
    assert client.next_text().startswith("you are ")
    return client


def status(server, data):
    with Connection(server.port) as client:
        client.send_until_refused(data)
        return client.response().status


def closed_for(server, code, data):
    with in_room(server) as client:
        client.send_until_refused(data)
        client.expect_close(code)


def says_too_much(server, text):
    """An event that fails takes the room and its clients with it."""
    with in_room(server) as client:
        client.text(text)
        client.expect_close(1011)


def reads_nothing(server):
    with in_room(server, receive_buffer=4096) as slow:
        slow.text("storm 250 60000")
        # Not read before: whoever takes what is sent while it is sent is not slow.
        until(lambda: limit_hits(server, "outbound_bytes_max") + limit_hits(server, "outbound_messages_max"), 60, "nothing was too much")
        while (received := slow.frame()).opcode != CLOSE:
            pass
        assert received.close_code == 1013


def says_nothing(server):
    with Connection(server.port) as client:
        client.expect_end()


def answers_no_close(server):
    with in_room(server) as client:
        client.text("close 1 4000 bye")
        client.expect_close(4000, answer=False)
        client.expect_end()


def second_is_refused(server, target):
    with in_room(server):
        assert status(server, request(target)) == 503


def one_connection_is_enough(server):
    with Connection(server.port) as one:
        one.send(request("/status", headers=[("Host", "a")]))
        assert one.response().status == 200
        assert status(server, request("/status", headers=[("Host", "a")])) == 503


def long_proxy_header(server):
    with Connection(server.port) as proxy:
        proxy.send_until_refused(v2(length=300))
        proxy.expect_end()


def speaks_while_the_room_is_busy(server):
    """What it says waits in its socket; then the room's event has had its time, and the room fails."""
    with in_room(server, seconds=60) as client:
        client.text("spin")

        def is_full():
            client.send_until_refused(frame(2, b"x" * 1000))
            return limit_hits(server, "inbox_bytes_max")
        until(is_full, 20, "never full")
        client.expect_close(1011)


def logs(server, times=1):
    with in_room(server) as client:
        for _ in range(times):
            client.text("log " + "x" * 100)
        assert client.ask("still here?") == "still here?"


def spins_a_little(server):
    with in_room(server, seconds=60) as client:
        client.text("spin")
        client.expect_close(1011)


def holds_the_loop(server):
    with in_room(server) as client:
        def is_seen():
            client.text("storm 300 3000")
            for _ in range(300):
                client.next_text()
            return limit_hits(server, "overlong_call_ms")
        until(is_seen, 30, "no call was long enough")


def wants_two_tickets(server):
    wanted = lambda: http(server.port, "POST", "/ticket/a", headers=[("Authorization", f"Bearer {token()}")]).status
    assert (wanted(), wanted()) == (200, 503)


def comes_back_to_a_broken_room(server):
    with in_room(server) as client:
        client.text("trap")
        client.expect_close(1011)
    with join(server) as again:
        again.expect_close(1013)


def finds_the_disk_full(server):
    with join(server) as client:
        client.expect_close(1013)


def many_handshakes(server):
    held = [Connection(server.port) for _ in range(2)]
    held[0].expect_end()
    for each in held:
        each.close()


def many_key_updates(server):
    with TlsByHand(server.port) as client:
        def update():
            record = client.seal(KEY_UPDATE, HANDSHAKE)
            client.next_key()
            return record
        client.say(*(update() for _ in range(4)))
        client.hear()


def tls(tmp_path):
    certificate, key = make_certificate(tmp_path)
    return {"tls.cert": certificate, "tls.key": key}


def tokens(tmp_path):
    return {"auth.tokens": "required", "auth.token_keys": key_folder(tmp_path)}


def disk(tmp_path):
    return {"server.data": tmp_path / "data"}


STATUS_WITH = lambda *headers: request("/status", headers=[("Host", "a"), *headers])
# A call that is long goes on only when the machine has nothing else to do.
PATIENT = {"limits.event_wall_ms_max": 60_000}
PROXIED = {"proxies.trusted": "127.0.0.1", "proxies.protocol": "required"}

# Limit -> its value, what is done, and what else is set; `kind` if it is a matter of one.
PLAYED = {
    "message_bytes_max": (100, lambda server: closed_for(server, 1009, frame(1, "x" * 101)), {}),
    "fragments_max": (2, lambda server: closed_for(server, 1008, frame(1, "x", fin=False) + frame(0, "x", fin=False) * 2), {}),
    "message_timeout_ms": (200, lambda server: closed_for(server, 1008, frame(1, "x", fin=False)), {}),
    "outbound_bytes_max": ("64KiB", reads_nothing, PATIENT),
    "outbound_messages_max": (10, reads_nothing, {**PATIENT, "limits.outbound_bytes_max": "64MiB"}),
    "handshake_timeout_ms": (200, says_nothing, {}),
    "close_timeout_ms": (200, answers_no_close, {}),
    "request_line_bytes_max": (64, lambda server: status(server, request("/" + "a" * 64)) == 414 or pytest.fail("no 414"), {}),
    "headers_bytes_max": (256, lambda server: status(server, STATUS_WITH(("X", "y" * 256))) == 431 or pytest.fail("no 431"), {}),
    "headers_max": (6, lambda server: status(server, STATUS_WITH(*[("X", "y")] * 6)) == 431 or pytest.fail("no 431"), {}),
    "room_id_bytes_max": (3, lambda server: status(server, request("/ws/abcd")) == 400 or pytest.fail("no 400"), {}),
    "clients_per_room_max": (1, lambda server: second_is_refused(server, "/ws/a"), {}),
    "rooms_max": (1, lambda server: second_is_refused(server, "/ws/b"), {}),
    "rooms_per_service_max": (1, lambda server: second_is_refused(server, "/ws/b"), {}),
    "connections_max": (1, one_connection_is_enough, {}),
    "proxy_header_bytes_max": (232, long_proxy_header, PROXIED),
    "tls_handshakes_max": (1, many_handshakes, {"server.shards": 1, "needs": tls}),
    "tls_key_updates_max": (3, many_key_updates, {"needs": tls}),
    "inbox_bytes_max": ("1KiB", speaks_while_the_room_is_busy, {"limits.event_cpu_ms_max": 2000}),
    "sends_per_event_max": (5, lambda server: says_too_much(server, "many 6"), {}),
    "send_bytes_per_event_max": (100, lambda server: says_too_much(server, "big 101"), {}),
    "log_bytes_per_event_max": (10, logs, {}),
    "log_lines_per_event_max": (0, logs, {}),
    "log_lines_per_second_max": (1, lambda server: logs(server, 3), {}),
    "room_cpu_ms_per_second_max": (1, spins_a_little, {**PATIENT, "limits.event_cpu_ms_max": 50}),
    "overlong_call_ms": (1, holds_the_loop, {"kind": "native"}),
    "tickets_max": (1, wants_two_tickets, {"server.shards": 1, "needs": tokens}),
    "failures_before_back_off": (1, comes_back_to_a_broken_room, {}),
    "disk_free_bytes_min": ("1024GiB", finds_the_disk_full, {"needs": disk}),
    "room_memory_bytes_max": ("2MiB", lambda server: says_too_much(server, "grow"), {}),
    "event_cpu_ms_max": (20, spins_a_little, PATIENT),
    "event_wall_ms_max": (20, spins_a_little, {"limits.event_cpu_ms_max": 60_000}),
}

# Limits whose line in the log has another name, and says more.
OTHER_LINES = {"overlong_call_ms": "room.overlong_call"}


@pytest.mark.parametrize("limit", PLAYED)
def test_a_limit_is_answered_counted_and_logged(limit, tmp_path):
    value, play, more = PLAYED[limit]
    more = dict(more)
    needs, kind = more.pop("needs", lambda _: {}), more.pop("kind", "module")
    values = {**needs(tmp_path), **more, f"limits.{limit}": value, "admin.port": 0}
    with Server(kind, "probe", values) as server:
        play(server)
        until(lambda: limit_hits(server, limit) >= 1, 10, "it is not counted")
        name = OTHER_LINES.get(limit, "limit.hit")
        found = lambda: [line for line in server.log_lines() if line["event"] == name and line.get("limit", limit) == limit]
        assert until(found, 10, server.log_text)[0]["level"] == "warn"


@pytest.fixture(scope="module")
def keys():
    """All keys of [limits], from the table that the flags, the file and the reference page come of."""
    done = subprocess.run([path_from_environment("JAMSOCKET_BIN"), "config", "example"], capture_output=True, text=True, check=True)
    section = done.stdout.split("\n[limits]\n")[1].split("\n[")[0]
    found = re.findall(r"^#? ?([a-z_]+) = ", section, re.MULTILINE)
    assert len(found) > 40
    return found


def test_every_limit_is_played_or_it_is_said_why_not(keys):
    tables = [*PLAYED, *SHOWN_ELSEWHERE, *NEVER_HIT]
    assert sorted(tables) == sorted(keys)


def test_every_limit_is_on_the_reference_page(keys):
    page = (SOURCE / "docs" / "configuration.md").read_text()
    for key in keys:
        assert f"\n| `{key}` |" in page, key


def test_every_limit_is_a_metric_of_its_name(keys):
    with Server("module", "echo", {"admin.port": 0}) as server:
        labels = re.findall(r'^jamsocket_limits_hit_total{limit="(.*)"} ', ask(admin_port(server), "/metrics")[1], re.MULTILINE)
    # The heartbeat is in another section; its line in the log is the same.
    assert sorted(labels) == sorted({*keys, "heartbeat_timeout_seconds"} - NEVER_HIT.keys())


@pytest.mark.parametrize("limit", SHOWN_ELSEWHERE)
def test_what_is_shown_elsewhere_is_there(limit):
    file, name = SHOWN_ELSEWHERE[limit]
    assert name in (SOURCE / file).read_text()
