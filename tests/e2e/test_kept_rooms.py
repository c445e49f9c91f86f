"""The commands for kept rooms, on folders that a server has filled."""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile

import pytest

from harness.admin import admin_port, ask, metric
from harness.server import Server, module_path, path_from_environment
from harness.wait import PATIENCE, until
from harness.wire import PING, PONG, Connection, frame


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="jamsocket-data-") as name:
        yield name


def jamsocket(*words, code=0):
    ended = subprocess.run([path_from_environment("JAMSOCKET_BIN"), *map(str, words)], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=60 * PATIENCE)
    assert ended.returncode == code, (words, ended.stdout, ended.stderr)
    return ended.stdout if code == 0 else ended.stderr + ended.stdout


def serve(folder, service="counter", module=None, **more):
    values = {"server.data": folder, **more}
    if module is None:
        return Server("module", service, values)
    command = [path_from_environment("JAMSOCKET_BIN"), "serve", module, "--set", "server.port=0", "--set", "server.log_format=json"]
    for key, value in values.items():
        command += ["--set", f"{key}={value}"]
    return Server(command=command)


def count(server, room, times=1):
    with Connection(server.port).upgrade(f"/ws/{room}") as connection:
        for _ in range(times):
            value = connection.ask("increment")
        connection.leave()
    return int(value.removeprefix("new value: "))


def fill(folder):
    with serve(folder) as server:
        assert count(server, "lobby", 5) == 5
        assert count(server, "other", 2) == 2


def test_rooms_are_listed_and_shown(folder):
    fill(folder)
    rooms = json.loads(jamsocket("rooms", "list", "--data", folder, "--json"))["rooms"]
    assert [(room["room"], room["service"]) for room in rooms] == [("lobby", "counter"), ("other", "counter")]
    assert rooms[0]["events"] == 7  # A connect, five messages, a disconnect.
    assert "lobby" in jamsocket("rooms", "list", "--data", folder)
    shown = json.loads(jamsocket("rooms", "show", "lobby", "--data", folder, "--json"))
    assert shown["clients"] == [] and shown["last_client"] == 1 and shown["timer_unix_ms"] is None
    assert "last_client" in jamsocket("rooms", "show", "lobby", "--data", folder)
    assert "there is no room 'nobody'" in jamsocket("rooms", "show", "nobody", "--data", folder, code=1)


def test_a_room_goes_to_another_server(folder):
    fill(folder)
    with tempfile.TemporaryDirectory(prefix="jamsocket-data-") as elsewhere:
        with serve(elsewhere):
            pass
        file = f"{elsewhere}/lobby.room"
        jamsocket("rooms", "export", "lobby", file, "--data", folder)
        jamsocket("rooms", "export", "lobby", file, "--data", folder, code=1)  # It is there already.
        jamsocket("rooms", "import", file, "--data", elsewhere)
        jamsocket("rooms", "import", file, "--data", elsewhere, code=1)
        jamsocket("rooms", "import", file, "--as", "again", "--data", elsewhere)
        with serve(elsewhere) as server:
            assert count(server, "lobby") == 6
            assert count(server, "again") == 6


def test_a_room_goes_to_a_folder_that_is_not_there_yet(folder):
    fill(folder)
    jamsocket("rooms", "export", "lobby", f"{folder}/lobby.room", "--data", folder)
    jamsocket("rooms", "import", f"{folder}/lobby.room", "--data", f"{folder}/new/data")
    with serve(f"{folder}/new/data") as server:
        assert count(server, "lobby") == 6
    jamsocket("rooms", "import", f"{folder}/nowhere.room", "--data", f"{folder}/other", code=1)
    assert not pathlib.Path(folder, "other").exists(), "nothing to bring in, nothing made"


def test_a_long_history_is_given_out_up_to_a_limit(folder):
    settings = {"server.history": "all", "limits.checkpoint_events_max": 100, "admin.port": 0, "admin.export_bytes_max": "64KiB"}
    with serve(folder, **settings) as server:
        assert count(server, "lobby", 2000) == 2000
        refused = metric(server, "admin_errors_total")
        said = jamsocket("replay", module_path("counter"), "lobby", "--data", folder, code=1)
        assert "more than 65536 bytes (admin.export_bytes_max)" in said and "to=EVENT" in said
        assert metric(server, "admin_errors_total") == refused + 1
        jamsocket("rooms", "export", "lobby", f"{folder}/lobby.room", "--data", folder)
        assert jamsocket("replay", module_path("counter"), f"{folder}/lobby.room")
    assert len(jamsocket("replay", module_path("counter"), "lobby", "--data", folder).splitlines()) == 2002


@pytest.mark.parametrize("is_running", (True, False), ids=("running", "at-rest"))
def test_copies_have_ids_that_clients_can_ask_for(folder, is_running):
    """Nobody could come to such a room, or delete it by the running server. And ids that a server may allow are allowed."""
    with serve(folder, **{"limits.room_id_bytes_max": 1024, "admin.port": 0}) as server:
        assert count(server, "lobby", 3) == 3
        if not is_running:
            server.stop()
        with tempfile.TemporaryDirectory() as out:
            jamsocket("rooms", "export", "lobby", f"{out}/lobby", "--data", folder)
            for wrong in (".", "..", "a\x01b", "x" * 1025, b"\xff", "" if not is_running else "."):
                for words in (("fork", "lobby", wrong), ("import", f"{out}/lobby", "--as", wrong or ".")):
                    said = subprocess.run([path_from_environment("JAMSOCKET_BIN"), "rooms", *words, "--data", folder],
                                          capture_output=True, timeout=60 * PATIENCE)
                    assert (said.returncode, said.stdout) == (1, b"") and said.stderr, (words, said)
            jamsocket("rooms", "fork", "lobby", "x" * 1024, "--data", folder)
            jamsocket("rooms", "import", f"{out}/lobby", "--as", "y" * 1024, "--data", folder)
        ids = [room["room"] for room in json.loads(jamsocket("rooms", "list", "--data", folder, "--json"))["rooms"]]
        assert ids == ["lobby", "x" * 1024, "y" * 1024]
        if is_running:
            assert count(server, "x" * 1024) == 4


def test_fork_rewind_and_delete(folder):
    fill(folder)
    jamsocket("rooms", "fork", "lobby", "copy", "--data", folder)
    jamsocket("rooms", "rewind", "lobby", "--to", "3", "--data", folder)  # The connect and two messages.
    jamsocket("rooms", "delete", "other", "--data", folder)
    assert "can go back to events 0 to 3" in jamsocket("rooms", "rewind", "lobby", "--to", "4", "--data", folder, code=1)
    with serve(folder) as server:
        assert count(server, "lobby") == 3
        assert count(server, "copy") == 6
        assert count(server, "other") == 1


def test_history_leads_back_behind_checkpoints(folder):
    with serve(folder, **{"server.history": "all", "limits.checkpoint_events_max": 4}) as server:
        assert count(server, "lobby", 20) == 20  # Events 2 to 21, behind several checkpoints.
    shown = json.loads(jamsocket("rooms", "show", "lobby", "--data", folder, "--json"))
    assert shown["checkpoint_event"] > 4 and shown["earliest_event_kept"] == 0, shown
    lines = jamsocket("replay", module_path("counter"), "lobby", "--data", folder, "--json").splitlines()
    assert [json.loads(line)["event"] for line in lines] == list(range(1, shown["events"] + 1))
    some = jamsocket("replay", module_path("counter"), "lobby", "--data", folder, "--json", "--to", 3).splitlines()
    assert some == lines[:3]
    jamsocket("rooms", "fork", "lobby", "early", "--to", 6, "--data", folder)
    jamsocket("rooms", "export", "lobby", f"{folder}/ten.room", "--to", 11, "--data", folder)
    jamsocket("rooms", "import", f"{folder}/ten.room", "--as", "ten", "--data", folder)
    jamsocket("rooms", "rewind", "lobby", "--to", 4, "--data", folder)
    with serve(folder) as server:
        assert [count(server, room) for room in ("lobby", "early", "ten")] == [4, 6, 11]


def test_what_is_stored_is_verified_beside_the_server(folder):
    settings = {"server.verify": "on", "limits.checkpoint_events_max": 5, "admin.port": 0}
    with serve(folder, **settings) as server:
        assert count(server, "lobby", 40) == 40

        def one_is():
            count(server, "lobby", 6)  # A busy server leaves checkpoints out.
            return metric(server, "rooms_verified_total") >= 1
        until(one_is, 60, "no checkpoint was verified")
        assert metric(server, "rooms_diverged_total") == 0


def test_pings_do_not_wake_a_room(folder):
    """Ours and the client's: a room that they woke would fall asleep once more, and be counted."""
    settings = {"service.sleep_after_seconds": 1, "admin.port": 0, "server.heartbeat_interval_seconds": 1}
    with serve(folder, **settings) as server, Connection(server.port).upgrade("/ws/lobby") as client:
        assert client.ask("increment") == "new value: 1"
        until(lambda: metric(server, "rooms_asleep_total") == 1, 20, "the room does not sleep")
        for number in range(3):
            client.send(frame(PING, str(number).encode()))
            pinged = ponged = False
            while not (pinged and ponged):
                received = client.frame()
                assert received.opcode in (PING, PONG), received
                pinged, ponged = pinged or received.opcode == PING, ponged or received.opcode == PONG
                if received.opcode == PING:
                    client.send(frame(PONG, received.payload))
        assert metric(server, "rooms_asleep_total") == 1
        handled = metric(server, "events_handled_total")
        assert client.ask("increment") == "new value: 2"
        assert metric(server, "events_handled_total") == handled + 1
        until(lambda: metric(server, "rooms_asleep_total") == 2, 20, "the room does not sleep again")
        client.leave()


STEPS = """
#include <string>
#include "jamsocket/service.hpp"
#include "jamsocket/state.hpp"
#include "jamsocket/wasm.hpp"
class Steps {
 public:
  Steps(std::string_view, jamsocket::Context&) {}
  void message(jamsocket::ClientId, std::string_view, jamsocket::Context& context) {
    value_ += STEP;
    context.send_message(jamsocket::broadcast, std::to_string(value_));
  }
  void save(jamsocket::Writer& writer) const { writer.put(value_); }
  void load(jamsocket::Reader& reader) { reader.get(value_); }

 private:
  int value_ = 0;
};
JAMSOCKET_WASM(Steps)
"""


@pytest.fixture(scope="module")
def steps():
    """Two builds of one service: a room's number goes up by 1, or by 10."""
    with tempfile.TemporaryDirectory(prefix="jamsocket-steps-") as root:
        modules = []
        for step in (1, 10):
            source = pathlib.Path(root, f"source{step}")
            source.mkdir()
            (source / "service.cpp").write_text(STEPS.replace("STEP", str(step)))
            modules.append(f"{root}/build{step}/steps.wasm")
            pathlib.Path(modules[-1]).parent.mkdir()
            jamsocket("build", source, "-o", modules[-1])
        yield modules


@pytest.mark.parametrize("upgrade, history, expected", [
    ("keep", "none", ["4", "5", "6"]),
    ("restart", "none", ["10", "20", "30"]),
    ("migrate", "none", ["13", "23", "33"]),
    ("replay", "all", ["40", "50", "60"]),
    ("replay", "none", ["4", "5", "6"]),  # Not all of its events are kept: it goes on with its own code.
])
def test_new_code_takes_rooms_over_as_it_is_told(folder, steps, upgrade, history, expected):
    settings = {"service.upgrade": upgrade, "server.history": history, "limits.checkpoint_events_max": 2}
    for module, answers in ((steps[0], ["1", "2", "3"]), (steps[1], expected)):
        with serve(folder, module=module, **settings) as server:
            with Connection(server.port).upgrade("/ws/lobby") as client:
                assert [client.ask("go") for _ in range(3)] == answers
                client.leave()


def test_a_room_whose_code_was_not_kept_says_how_it_comes_back(folder, steps):
    with serve(folder, module=steps[0], **{"service.upgrade": "restart"}) as server:
        with Connection(server.port).upgrade("/ws/lobby") as client:
            assert client.ask("go") == "1"
    with serve(folder, module=steps[1], **{"service.upgrade": "migrate"}) as server:
        with Connection(server.port).upgrade("/ws/lobby") as client:
            client.expect_close(1013)
        said = next(line for line in server.log_lines() if line["event"] == "room.unreadable")
        assert "whose code is not kept" in said["reason"] and 'with upgrade = "restart"' in said["reason"], said
    # As it says: once that build was served, it is there for those that come.
    with serve(folder, module=steps[0], **{"service.upgrade": "migrate"}):
        pass
    with serve(folder, module=steps[1], **{"service.upgrade": "migrate"}) as server:
        with Connection(server.port).upgrade("/ws/lobby") as client:
            assert client.ask("go") == "11"


def test_data_is_checked_compacted_and_copied(folder):
    fill(folder)
    assert json.loads(jamsocket("data", "check", "--data", folder, "--json")) == {"ok": True, "problems": []}
    jamsocket("data", "compact", "--data", folder)
    with tempfile.TemporaryDirectory(prefix="jamsocket-data-") as copy:
        jamsocket("data", "backup", copy, "--data", folder)
        jamsocket("data", "backup", copy, "--data", folder, code=1)
        with serve(copy) as server:
            assert count(server, "lobby") == 6
    with serve(folder):
        said = jamsocket("data", "check", "--data", folder, code=1)
        assert "in use by another process" in said and "stop that server first" in said, said
    assert "there are no rooms kept" in jamsocket("data", "check", "--data", "/nowhere", code=1)


def test_a_damaged_page_is_called_one(folder):
    fill(folder)
    jamsocket("data", "compact", "--data", folder)
    file = pathlib.Path(folder, "rooms.db")
    whole = file.read_bytes()
    told = ""
    for at in range(4096 + 100, len(whole), 4096):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        ended = subprocess.run([path_from_environment("JAMSOCKET_BIN"), "data", "check", "--data", folder],
                               capture_output=True, text=True, timeout=60 * PATIENCE)
        assert ended.returncode in (0, 1), (at, ended)  # 0: the page is not used, or is in the write-ahead log.
        told += ended.stdout + ended.stderr
        # What is left of it is what concerns single rooms.
        compacted = json.loads(jamsocket("data", "compact", "--data", folder, "--json"))
        assert compacted.get("lost", "nothing") == "nothing", (at, compacted)
        checked = subprocess.run([path_from_environment("JAMSOCKET_BIN"), "data", "check", "--data", folder, "--json"],
                                 capture_output=True, text=True, timeout=60 * PATIENCE)
        assert all(problem.startswith("room ") for problem in json.loads(checked.stdout)["problems"]), (at, checked)
    # The disk is well, and no file is missing, as SQLite's words for it say.
    assert "a page of the file is damaged: its checksum does not fit" in told and "disk I/O error" not in told, told


def test_what_happened_is_replayed(folder):
    fill(folder)
    module = module_path("counter")
    told = [json.loads(line) for line in
            jamsocket("replay", module, "lobby", "--data", folder, "--print-effects", "--json").splitlines()]
    assert [event["kind"] for event in told] == ["connect"] + ["message"] * 5 + ["disconnect"]
    assert told[5]["effects"] == [{"effect": "send_message", "to": 0, "text": "new value: 5"}]
    assert len(jamsocket("replay", module, "lobby", "--data", folder, "--to", "3").splitlines()) == 3


def test_a_replay_says_where_it_begins(folder):
    with serve(folder, **{"limits.checkpoint_events_max": 3}) as server:
        assert count(server, "lobby", 2) == 2  # With who comes and goes: four events, three of them in a checkpoint.
    command = [path_from_environment("JAMSOCKET_BIN"), "replay", module_path("counter"), "lobby", "--data", folder]
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60 * PATIENCE)
    assert ended.returncode == 0, ended.stderr
    begins = json.loads(jamsocket("rooms", "show", "lobby", "--data", folder, "--json"))["checkpoint_event"]
    assert begins >= 3 and f"what led to event {begins} is not kept" in ended.stderr, ended.stderr


def test_wrong_uses_name_what_is_wrong(folder):
    fill(folder)
    assert "nowhere.wasm: No such file" in jamsocket("replay", f"{folder}/nowhere.wasm", "lobby", "--data", folder, code=1)
    assert "there is no room 'nobody' of counter" in jamsocket("replay", module_path("counter"), "nobody", "--data", folder, code=1)
    for words in (("replay", module_path("counter")), ("rooms", "rewind"), ("rooms", "fork"), ("rooms", "export")):
        others = {"fork": ["new"], "export": [f"{folder}/x.room"]}.get(words[-1], [])
        said = jamsocket(*words, "lobby", *others, "--to", "x", "--data", folder, code=2)
        assert "--to: 'x' is no number of an event; allowed: 0 to" in said, said
    said = jamsocket("replay", module_path("counter"), "lobby", "--to", 99, "--data", folder, code=1)
    assert "--to is 99; the room's last event is 7" in said
    assert "a room of a folder is asked for with --data DIR" in jamsocket("replay", module_path("counter"), "lobby", code=1)
    said = jamsocket("rooms", code=2)
    assert "Usage: jamsocket rooms " in said and "'jamsocket rooms' needs a command: list, show" in said


def test_what_is_no_file_of_a_room_is_refused(folder):
    fill(folder)
    jamsocket("rooms", "export", "lobby", f"{folder}/lobby.room", "--data", folder)
    whole = pathlib.Path(folder, "lobby.room").read_bytes()
    pathlib.Path(folder, "half.room").write_bytes(whole[:len(whole) // 2])
    for file, reason in [(folder, "Is a directory"), (f"{folder}/half.room", "is damaged"),
                         (module_path("counter"), "not the file of a room"), (f"{folder}/none.room", "No such file")]:
        for words in (("rooms", "import", file, "--data", folder), ("replay", module_path("counter"), file)):
            said = jamsocket(*words, code=1)
            assert f"{file}: " in said and reason in said, said


def test_an_import_says_what_the_room_lacks_to_come_back(folder, steps):
    """Its code, which is not in the file, or its service."""
    with serve(folder, module=steps[0]) as server, Connection(server.port).upgrade("/ws/lobby") as client:
        assert client.ask("go") == "1"
        client.leave()
    jamsocket("rooms", "export", "lobby", f"{folder}/lobby.room", "--data", folder)
    version = json.loads(jamsocket("rooms", "show", "lobby", "--data", folder, "--json"))["version"]
    assert "code" not in jamsocket("rooms", "import", f"{folder}/lobby.room", "--as", "again", "--data", folder)
    lacks_code = f"the code that made it (version {version}) is not: the room comes back when that very build is served"
    lacks_service = "no service of that name keeps rooms here"
    with tempfile.TemporaryDirectory() as elsewhere:
        with serve(elsewhere, module=steps[1], **{"admin.port": 0}):
            said = jamsocket("rooms", "import", f"{folder}/lobby.room", "--data", elsewhere)
            assert lacks_code in said and lacks_service not in said, said
        with serve(elsewhere, "counter", **{"admin.port": 0}):
            said = jamsocket("rooms", "import", f"{folder}/lobby.room", "--as", "two", "--data", elsewhere)
            assert lacks_code in said and lacks_service in said, said
        with serve(elsewhere, module=steps[0]) as server, Connection(server.port).upgrade("/ws/lobby") as client:
            assert client.ask("go") == "2"
            client.leave()
        said = jamsocket("rooms", "import", f"{folder}/lobby.room", "--as", "three", "--data", elsewhere)
        assert lacks_code not in said and lacks_service not in said, said
    jamsocket("rooms", "import", f"{folder}/lobby.room", "--service", "another", "--data", folder)
    assert "several services have a room 'lobby': another, steps;" in jamsocket("rooms", "show", "lobby", "--data", folder, code=1)


def test_an_import_says_nothing_of_code_where_it_is_part_of_the_server(folder):
    with Server("native", "counter", {"server.data": folder, "admin.port": 0}) as server:
        assert count(server, "lobby") == 1
        jamsocket("rooms", "export", "lobby", f"{folder}/lobby.room", "--data", folder)
        said = jamsocket("rooms", "import", f"{folder}/lobby.room", "--as", "again", "--data", folder)
        assert "room 'again' of counter is kept" in said and "code" not in said, said
        assert count(server, "again") == 2


def test_output_that_nothing_takes_is_a_failure(folder):
    fill(folder)
    for number in range(40):  # More than a buffer of output.
        jamsocket("rooms", "fork", "other", f"{'long' * 50}{number}", "--data", folder)
    module = module_path("counter")
    for words in (["rooms", "list", "--json"], ["rooms", "show", "lobby"], ["replay", module, "lobby"], ["data", "check"]):
        with open("/dev/full", "w") as full:
            ended = subprocess.run([path_from_environment("JAMSOCKET_BIN"), *map(str, words), "--data", folder], stdout=full,
                                   stderr=subprocess.PIPE, text=True, timeout=60 * PATIENCE)
        assert ended.returncode == 1 and "standard output cannot be written: what was said is lost" in ended.stderr, (words, ended)


def nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_that_may_not_be_read_is_not_one_without_rooms(folder):
    fill(folder)
    with tempfile.TemporaryDirectory() as place:
        copy = shutil.copy(path_from_environment("JAMSOCKET_BIN"), place)  # Where the build is, nobody may look.
        os.chmod(place, 0o755)
        for words in (["rooms", "list"], ["data", "check"]):
            ended = subprocess.run([copy, *words, "--data", folder], capture_output=True, text=True, preexec_fn=nobody,
                                   timeout=60 * PATIENCE)
            assert ended.returncode == 1 and f"{folder}: Permission denied" in ended.stderr, ended


def small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))


def test_a_backup_that_fails_is_not_in_the_way_of_the_next(folder):
    fill(folder)
    with tempfile.TemporaryDirectory() as place:
        words = ["data", "backup", f"{place}/copy", "--data", folder]
        ended = subprocess.run([path_from_environment("JAMSOCKET_BIN"), *words], capture_output=True, text=True,
                               preexec_fn=small_files, timeout=60 * PATIENCE)
        assert ended.returncode == 1 and "the backup" in ended.stderr, ended
        assert list(pathlib.Path(place, "copy").iterdir()) == []
        jamsocket(*words)
        said = jamsocket("data", "backup", f"{place}/copy/rooms.db", "--data", folder, code=1)
        assert f"{place}/copy/rooms.db: " in said and "Not a directory" in said, said


def test_a_backup_is_for_its_owners_eyes_as_the_rooms_are(folder):
    fill(folder)
    with tempfile.TemporaryDirectory() as place:
        jamsocket("data", "backup", f"{place}/copy", "--data", folder)
        modes = [pathlib.Path(place, name).stat().st_mode & 0o777 for name in ("copy", "copy/rooms.db")]
        assert modes == [0o700, 0o600]


def test_events_are_replayed_with_the_limits_they_had(folder):
    """More memory than a room has by default, and more messages: 70 MiB, 10,001 sends."""
    source = pathlib.Path(folder, "large")
    source.mkdir()
    text = STEPS.replace("value_ += STEP;", "if (large_.empty()) large_.assign(70 << 20, 'x');"
                         " for (int i = 0; i < 10'000; ++i) context.send_message(jamsocket::broadcast, \"\"); ++value_;")
    (source / "service.cpp").write_text(text.replace("int value_ = 0;", "int value_ = 0;\n  std::string large_;"))
    module = f"{folder}/large.wasm"
    jamsocket("build", source, "-o", module)
    raised = {"limits.room_memory_bytes_max": "128MiB", "limits.event_cpu_ms_max": 5000, "limits.sends_per_event_max": 20000,
              "limits.outbound_messages_max": 20000, "limits.event_wall_ms_max": 60_000}
    kept = f"{folder}/kept"
    with serve(kept, module=module, **raised) as server, Connection(server.port).upgrade("/ws/lobby") as client:
        client.text("go")
        assert [client.next_text() for _ in range(10_001)][-1] == "1"
        client.leave()
    assert "the limit is 64 MiB" in jamsocket("replay", module, "lobby", "--data", kept, code=1)
    sets = [word for key, value in raised.items() for word in ("--set", f"{key}={value}")]
    assert len(jamsocket("replay", module, "lobby", "--data", kept, *sets).splitlines()) == 3
    assert "effect_limit" in jamsocket("replay", module, "lobby", "--data", kept, *sets[:4], code=1)
    file = pathlib.Path(folder, "jamsocket.toml")
    file.write_text("[services.large]\nmodule = 'large.wasm'\nroom_memory_bytes_max = '128MiB'\nevent_cpu_ms_max = 5000\n"
                    "[limits]\nsends_per_event_max = 20000\n")
    assert len(jamsocket("replay", module, "lobby", "--data", kept, "--config", file).splitlines()) == 3
    assert "limits.room_memory" in jamsocket("replay", module, "lobby", "--set", "limits.room_memory_bytes_max=1", code=2)


def test_a_fault_leaves_a_file_that_can_be_replayed(folder):
    with serve(folder, "probe") as server:
        with Connection(server.port).upgrade("/ws/lobby") as connection:
            connection.next_text()
            assert connection.ask("count") == "count 1"
            connection.text("trap")
            connection.expect_close(1011)
        files = until(lambda: list(__import__("pathlib").Path(folder, "faults").glob("*.room")), 10)
    told = [json.loads(line) for line in jamsocket("replay", module_path("probe"), files[0], "--json", code=1).splitlines()]
    assert told[-2]["text"] == "trap" and told[-2]["undone"]
    assert told[-1]["fault"] == "trap" and "Probe::message" in told[-1]["backtrace"], told[-1]
    # What a script sees: whether a build still fails at it.
    assert "trap" in jamsocket("replay", module_path("probe"), files[0], code=1)
    assert jamsocket("replay", module_path("probe"), files[0], "--to", told[-3]["event"])


# A module that does the same and is another one: a custom section at its end.
def other_build(folder, name="counter", note=b"note"):
    path = f"{folder}/{name}.wasm"
    with open(path, "wb") as file:
        file.write(module_path("counter").read_bytes() + b"\x00\x05\x04" + note)
    return path


def test_rooms_keep_the_code_that_made_them(folder):
    fill(folder)
    with tempfile.TemporaryDirectory() as builds:
        other = other_build(builds)
        with serve(folder, module=other) as server:
            assert count(server, "lobby") == 6
            assert count(server, "new") == 1
        first = json.loads(jamsocket("rooms", "show", "lobby", "--data", folder, "--json"))["version"]
        second = json.loads(jamsocket("rooms", "show", "new", "--data", folder, "--json"))["version"]
        assert first != second
        with serve(folder) as server:
            assert count(server, "lobby") == 7
            assert count(server, "new") == 2


def test_rooms_keep_the_code_that_made_them_however_old_it_is(folder):
    """The newest 16 builds were loaded, and the rooms of the one before could not be read."""
    builds = 18
    with tempfile.TemporaryDirectory() as made:
        module = lambda number: other_build(made, note=b"%04d" % number)
        for number in range(builds):
            with serve(folder, module=module(number)) as server:
                assert count(server, f"of-{number}") == 1
        with serve(folder, module=module(builds - 1)) as server:
            assert [count(server, f"of-{number}") for number in range(builds)] == [2] * builds


def test_rooms_keep_the_code_that_was_replaced_while_the_server_runs(folder):
    """Rooms that nobody was in could not be read until the next start, as the code of before was not with the new."""
    settings = {"admin.port": 0, "service.shutdown_policy": "immediate"}
    with tempfile.TemporaryDirectory() as made, serve(folder, module=other_build(made, "base"), **settings) as server:
        def put(method, note):
            wanted = json.dumps({"module": other_build(made, note=note)}).encode()
            assert ask(admin_port(server), "/admin/services/steps", method, wanted)[0] == 200
        put("POST", b"old.")
        assert count(server, "steps/lobby", 3) == 3
        until(lambda: metric(server, "rooms") == 0, 10)
        put("PUT", b"new.")
        assert count(server, "steps/lobby") == 4
        assert count(server, "steps/other") == 1
        put("PUT", b"old.")
        until(lambda: metric(server, "rooms") == 0, 10)
        assert [count(server, f"steps/{room}") for room in ("lobby", "other")] == [5, 2]
        assert metric(server, "rooms_unreadable_total") == 0


def test_rooms_restart_with_new_code_where_that_is_asked_for(folder):
    fill(folder)
    with tempfile.TemporaryDirectory() as builds:
        with serve(folder, module=other_build(builds), **{"service.upgrade": "restart"}) as server:
            assert count(server, "lobby") == 1
            assert count(server, "lobby") == 2


def test_a_damaged_room_is_set_aside_and_the_others_go_on(folder):
    fill(folder)
    server = serve(folder)
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    import sqlite3
    with sqlite3.connect(f"{folder}/rooms.db") as database:
        database.execute("UPDATE room SET birth = x'00' WHERE id = CAST('lobby' AS BLOB)")
    database.close()
    with serve(folder) as server:
        assert count(server, "other") == 3
        with Connection(server.port).upgrade("/ws/lobby") as connection:
            connection.expect_close(1013)
        assert any(line["event"] == "room.unreadable" for line in until(
            lambda: [line for line in server.log_lines() if line["event"] == "room.unreadable"], 10))
    assert jamsocket("data", "check", "--data", folder, code=1).count("lobby") == 1


def test_a_damaged_room_goes_on_as_of_its_last_checkpoint_if_that_is_accepted(folder):
    with serve(folder, **{"limits.checkpoint_events_max": 4}) as server:
        assert count(server, "lobby", 20) == 20  # Events 2 to 21.
    saved = json.loads(jamsocket("rooms", "show", "lobby", "--data", folder, "--json"))["checkpoint_event"]
    assert saved > 4
    assert "not damaged" in jamsocket("rooms", "accept", "lobby", "--data", folder, code=1)
    with serve(folder) as server:
        assert count(server, "lobby") == 21
    import sqlite3
    with sqlite3.connect(f"{folder}/rooms.db") as database:
        database.execute("UPDATE log SET body = substr(body, 1, length(body) - 1) || x'ff' "
                         "WHERE sequence = (SELECT max(sequence) FROM log)")
    database.close()
    with serve(folder) as server, Connection(server.port).upgrade("/ws/lobby") as connection:
        connection.expect_close(1013)
    assert "what came later is lost" in jamsocket("rooms", "accept", "lobby", "--data", folder)
    with serve(folder) as server:
        assert count(server, "lobby") == min(saved - 1, 20) + 1
    assert jamsocket("data", "check", "--data", folder)
