"""A server with a hundred healthy rooms on its public listener, beside whatever a test puts there."""

import json
import os
import pathlib
import urllib.error
import urllib.request

from .server import SANDBOX, Server, module_path
from .wait import until
from .wire import Connection

GUESTS = pathlib.Path(os.environ["JAMSOCKET_GUESTS"])
HEALTHY = 100
# For an answer. A call that misbehaves ends at the lowest priority: on a busy machine that takes its time, and no time on the
# clock is its limit here, nor that of clients that are not read meanwhile.
SECONDS = 120


class Zoo:
    """The server, its healthy rooms, and a look at all of them."""

    def __init__(self, folder, module, settings=None):
        config = folder / "jamsocket.toml"
        config.write_text(f'[services.healthy]\nmodule = "{module_path("echo")}"\n')
        self.server = Server(
            command=[os.environ["JAMSOCKET_BIN"], "serve", module, "--config", config, *SANDBOX,
                     *(word for key, value in {"server.port": 0, "server.log_format": "json", "admin.port": 0,
                                               "limits.failures_before_back_off": 1000, "limits.event_cpu_ms_max": 500,
                                               "limits.event_wall_ms_max": SECONDS * 1000,
                                               # A room that is made takes as long, and its client is not answered before.
                                               "limits.handshake_timeout_ms": SECONDS * 1000,
                                               "server.heartbeat_interval_seconds": 3600,
                                               "server.heartbeat_timeout_seconds": 7200,
                                               **(settings or {})}.items()
                       for word in ("--set", f"{key}={value}"))],
            environment={"XDG_CACHE_HOME": str(folder / "cache")})
        self.admin = None
        self.rooms = []

    def __enter__(self):
        self.server.__enter__()
        self.rooms = [Connection(self.server.port, seconds=SECONDS).upgrade(f"/ws/healthy/{i}") for i in range(HEALTHY)]
        self.admin = until(lambda: next((line["port"] for line in self.server.log_lines()
                                         if line.get("event") == "admin.listening"), None), 10, "no admin port")
        self.look()
        return self

    def __exit__(self, *failure):
        for room in self.rooms:
            room.close()
        self.server.__exit__(*failure)

    def look(self):
        """Every healthy room answers, and so does the operators' listener. How soon is measured by bench/isolation.py."""
        for i, room in enumerate(self.rooms):
            assert room.ask(f"room {i}") == f"room {i}"
        assert self.ask("/health") == (200, {"status": "ok"})

    def ask(self, path, method="GET", body=None):
        """Of the operators' listener."""
        asked = urllib.request.Request(f"http://127.0.0.1:{self.admin}{path}", method=method,
                                       data=None if body is None else json.dumps(body).encode())
        try:
            with urllib.request.urlopen(asked, timeout=120) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def enter(self, room):
        """A client in a room of zoo.wat; its query comes back at once, and its User-Agent where it has one."""
        client = Connection(self.server.port, seconds=SECONDS).upgrade(f"/ws/{room}?in")
        client.expect_text("in")
        return client

    def failures(self):
        return [line for line in self.server.log_lines() if line.get("event") == "room.failed"]
