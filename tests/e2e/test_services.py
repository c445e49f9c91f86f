"""Several services in one server: from the file, and changed by an operator while clients are there."""

import json
import urllib.error
import urllib.request

import pytest
from harness.admin import admin_port, metric
from harness.server import SANDBOX, Server, module_path
from harness.wait import until
from harness.wire import TEXT, Connection, request


def ask(port, path, method="GET", body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method,
                                     data=None if body is None else json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def config_file(folder, **services):
    text = "".join(f'[services.{name}]\nmodule = "{module_path(service)}"\n' for name, service in services.items())
    path = folder / "jamsocket.toml"
    path.write_text(text)
    return path


def serve(tmp_path, settings=None, **services):
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    return Server("module", "echo", {"admin.port": 0, **(settings or {})},
                  arguments=["--config", config_file(tmp_path, **services)], environment=cache)


def test_services_of_a_file_have_their_own_rooms(tmp_path):
    with serve(tmp_path, echo="echo", counter="counter") as server:
        echo = Connection(server.port).upgrade("/ws/echo/a")
        counter = Connection(server.port).upgrade("/ws/counter/a")
        plain = Connection(server.port).upgrade("/ws/a")
        assert echo.ask("hello") == "hello"
        assert counter.ask("increment") == "new value: 1"
        assert plain.ask("hi") == "hi"


def test_an_operator_adds_replaces_and_removes(tmp_path):
    with serve(tmp_path) as server:
        admin = admin_port(server)
        stays = Connection(server.port).upgrade("/ws/stays")
        counter = {"module": str(module_path("counter")), "shutdown_policy": "never"}
        assert ask(admin, "/admin/services/new", "POST", counter) == (200, {"serving": True})
        client = Connection(server.port).upgrade("/ws/new/a")
        assert client.ask("increment") == "new value: 1"
        assert ask(admin, "/admin/services/new", "PUT", {"module": str(module_path("echo"))})[0] == 200
        assert client.ask("increment") == "new value: 2", "a live room keeps its module"
        assert metric(server, 'service_memory_bytes{service="new"}') > 0, "and is counted"
        assert Connection(server.port).upgrade("/ws/new/b").ask("increment") == "increment"
        assert ask(admin, "/admin/services/new", "DELETE") == (200, {"removed": True})
        client.expect_close(1012)
        assert stays.ask("still here") == "still here"
        told = [(line["event"], len(line.get("version", ""))) for line in server.log_lines()
                if line.get("service") == "new" and line["event"].startswith("server.service_")]
        assert told == [("server.service_added", 64), ("server.service_replaced", 64), ("server.service_removed", 0)]


@pytest.mark.skipif(bool(SANDBOX), reason="the sandbox does not tell a file that is not there from one that is hidden")
def test_what_an_operator_writes_wrong_is_named(tmp_path):
    with serve(tmp_path) as server:
        admin = admin_port(server)
        not_wasm = tmp_path / "text.wasm"
        not_wasm.write_text("no module")
        (tmp_path / "empty").mkdir()
        bad_key = tmp_path / "bad.jwk"
        bad_key.write_text("{")
        with_keys = {"module": str(module_path("echo")), "tokens": "required"}
        for body, status, words in [
            ([], 400, "no JSON object"),
            ({}, 400, "no module is named"),
            ({"module": "/none.wasm"}, 400, "/none.wasm: No such file or directory"),
            ({"module": str(not_wasm)}, 400, "not a WebAssembly module"),
            ({"modul": "x"}, 400, "unknown key 'modul'; allowed: "),
            ({"module": "x", "room_strategy": "some"}, 400, "allowed: implicit, api"),
            ({"module": "x", "rooms_per_service_max": 0}, 400, "allowed: 1 to "),
            ({"module": "x", "rooms_per_service_max": 2**64 - 1}, 400, "is the number 18446744073709551615; allowed: 1 to "),
            ({"module": str(module_path("echo")), "room_memory_bytes_max": "1GiB"}, 400, "at most 64MiB"),
            ({"module": str(tmp_path)}, 400, f"{tmp_path}: Is a directory"),
            ({**with_keys, "token_keys": str(tmp_path / "none.jwk")}, 400, "none.jwk cannot be read: No such file or directory"),
            ({**with_keys, "token_keys": str(tmp_path / "empty")}, 400, "has no file of keys; allowed: .jwk"),
            ({**with_keys, "token_keys": str(bad_key)}, 400, f"token_keys: the key in {bad_key}: it is no JSON object"),
        ]:
            got, answer = ask(admin, "/admin/services/new", "POST", body)
            assert got == status and words in answer["error"], (body, got, answer)
        assert len(ask(admin, "/admin/services")[1]["services"]) == 1
        refused = [line for line in server.log_lines() if line["event"] == "admin.service_refused"]
        assert refused and "no JSON object" in refused[0]["reason"], refused
        assert refused[0]["service"] == "new" and refused[0]["remote_address"].startswith("127.0.0.1"), refused


def test_rooms_are_as_many_as_the_kernel_has_mappings_for(tmp_path):
    fitted = lambda server: [line for line in server.log_lines() if line.get("event") == "server.rooms_fitted"]
    with serve(tmp_path, {"limits.rooms_max": 100_000_000}) as server:
        line = until(lambda: fitted(server), 10, "nothing is said of it")[0]
        assert line["rooms_max_set"] == 100_000_000 and 2 * line["rooms_max"] < line["max_map_count"], line
        assert "vm.max_map_count" in line["advice"] and line["level"] == "warn"
    with serve(tmp_path) as server:
        Connection(server.port).upgrade("/ws/one").leave()
        assert fitted(server) == [], "who did not ask for more is not told of it"
    with serve(tmp_path, {"limits.rooms_max": 1}) as server:
        one = Connection(server.port).upgrade("/ws/one")
        two = Connection(server.port)
        two.send(request("/ws/two"))
        assert two.response().status == 503
        assert one.ask("still") == "still"
        assert fitted(server) == []


def test_a_room_that_keeps_failing_rests():
    with Server("module", "probe", {"limits.back_off_first_ms": 400}) as server:
        for _ in range(3):
            client = Connection(server.port).upgrade("/ws/bad")
            client.expect_text("you are 1")
            client.text("trap")
            client.expect_close(1011)
        reason = Connection(server.port).upgrade("/ws/bad").expect_close(1013)
        assert reason == "The room keeps failing; try again in 1 s."
        turned_away = lambda: [line for line in server.log_lines() if line.get("limit") == "failures_before_back_off"]
        line = until(turned_away, 10, "the log says nothing of it")[0]
        assert (line["service"], line["room"]) == ("probe", "bad"), line
        Connection(server.port).upgrade("/ws/good").expect_text("you are 1")

        def is_back():
            return Connection(server.port).upgrade("/ws/bad").frame().opcode == TEXT
        until(is_back, 20, "the room did not come back")


def test_in_its_sandbox_a_server_serves_loads_and_keeps_and_reads_nothing_else(tmp_path):
    with serve(tmp_path, {"server.sandbox": "on", "server.data": tmp_path / "data"}, counter="counter") as server:
        assert Connection(server.port).upgrade("/ws/counter/a").ask("increment") == "new value: 1"
        admin = admin_port(server)
        # Beside a module that is served: compiled, in a process of its own.
        assert ask(admin, "/admin/services/new", "POST", {"module": str(module_path("chat"))})[0] == 200
        status, answer = ask(admin, "/admin/services/other", "POST", {"module": "/etc/passwd"})
        assert status == 400 and "cannot be read: Permission denied" in answer["error"]
        lines = dict(line.split(":\t", 1) for line in server._proc("status").read_text().splitlines() if ":\t" in line)
        assert lines["NoNewPrivs"] == "1" and lines["Seccomp"] == "2"
