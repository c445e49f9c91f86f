"""A table of bad inputs: what is sent, the one answer that is right, and what must hold around it.

Each case is played at least twice. The first time warms up (code is paged in, pools grow); across a later one, the server
must use what it used before: the same descriptors, at most 1 MiB more memory. Meanwhile a client in another room, the canary,
is answered as if nothing happened.
"""

import dataclasses
import datetime
import os
import time
from typing import Any

from .wire import BINARY, PONG, Connection

MEMORY_SLACK_BYTES = 1 << 20
CANARY_SECONDS = 0.05
ALIVE = "is there an echo"

# How a case may end, beside an HTTP status, a close code, a text (str) or bytes that come back.
END = "the connection ends, nothing is said"


@dataclasses.dataclass(frozen=True)
class Pong:
    payload: bytes = b""


@dataclasses.dataclass(frozen=True)
class Status:
    """An HTTP answer; with `headers` it must have. 101: the connection must then work."""
    number: int
    headers: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Close:
    """A close frame, and the end once it is answered."""
    code: int


@dataclasses.dataclass(frozen=True)
class Maybe:
    """A text that may still come, or be cut off by what follows it: both are right."""
    text: str


class Alive:
    """The connection still works: an echo, and the closing handshake."""


@dataclasses.dataclass
class Case:
    id: str
    send: Any                      # Bytes, a list of them (a segment each), or a function of the connection.
    expect: list
    on: str = "websocket"          # "tcp": nothing was said before. "websocket": after the opening handshake.
    upgrade: Any = Connection.upgrade  # How the opening handshake is done: a function of the connection and the target.
    seconds: float = 10.0
    settings: dict = dataclasses.field(default_factory=dict)

    def __str__(self):
        return self.id


def tcp(id, send, *expect, **options):
    return Case(id, send, [Status(item) if isinstance(item, int) else item for item in expect], on="tcp", **options)


def websocket(id, send, *expect, **options):
    return Case(id, send, [Close(item) if isinstance(item, int) else item for item in expect], on="websocket", **options)


# --- Playing ----------------------------------------------------------------------------------------------------------------


def judge(connection, expected):
    if isinstance(expected, Status):
        response = connection.response()
        assert response.status == expected.number, (response.status, response.body[:200])
        for name, value in expected.headers.items():
            assert response.header(name) == value, response.headers
        if response.status == 101:
            return
        assert response.body.strip(), "a refusal says what was wrong"
        assert response.body.isascii() and all(c >= 0x20 or c == 0x0A for c in response.body), response.body
        if response.status != 200:
            connection.half_close_quietly()
            connection.expect_end()
    elif isinstance(expected, Close):
        connection.expect_close(expected.code)
    elif expected is END:
        connection.expect_end()
    elif isinstance(expected, Pong):
        received = connection.frame()
        assert (received.opcode, received.payload) == (PONG, expected.payload), received
    elif isinstance(expected, Alive):
        assert connection.ask(ALIVE) == ALIVE
        connection.leave()
    elif isinstance(expected, str):
        connection.expect_text(expected)
    elif isinstance(expected, bytes):
        received = connection.frame()
        assert (received.opcode, received.payload) == (BINARY, expected), received
    else:
        raise TypeError(expected)


class Watch:
    """A server under attack, and what must hold around each attack."""

    def __init__(self, server):
        self.server = server
        self.canary = Connection(server.port).upgrade("/ws/canary")
        self.canary.next_text()  # The probe's greeting.
        self.check_canary()
        self.idle_descriptors = server.descriptors()
        self.log_seen = 0

    def check_canary(self):
        """An echo within 50 ms. On a busy machine one may be late: the best of ten."""
        best = float("inf")
        for number in range(10):
            begin = time.monotonic()
            text = f"chirp {number}"
            assert self.canary.ask(text) == text
            best = min(best, time.monotonic() - begin)
            if best <= CANARY_SECONDS:
                return
        raise AssertionError(f"the canary's best echo took {best * 1000:.0f} ms")

    def play(self, case):
        """`case`: of a table, or a function of this watch."""
        if callable(case):
            case(self)
            self.check_canary()
        else:
            self.play_case(case)
        self.settle()

    def play_case(self, case):
        with Connection(self.server.port, seconds=case.seconds) as connection:
            if case.on == "websocket":
                case.upgrade(connection, "/ws/attack")
                connection.next_text()  # The probe's greeting.
            if callable(case.send):
                case.send(connection)
            else:
                for chunk in [case.send] if isinstance(case.send, bytes) else case.send:
                    connection.send_and_listen(chunk)
            self.check_canary()
            for expected in case.expect:
                if isinstance(expected, Maybe):
                    connection.skip_text(expected.text)
                else:
                    judge(connection, expected)

    def settle(self):
        """Descriptors become as they were: within a second, unless the machine is busy; what leaks, never."""
        self.server.wait_for_descriptors(self.idle_descriptors, seconds=10)

    def run(self, case):
        self.play(case)
        if os.environ.get("JAMSOCKET_SANITIZED"):  # A sanitizer keeps freed memory.
            self.play(case)
        else:
            self.check_memory(case)
        assert self.server.alive()
        self.check_log()

    def check_memory(self, case):
        """What a play leaves behind is at most the slack. Pools may still grow in the first ones; a leak grows in each."""
        growth = []
        for _ in range(4):
            before = self.server.memory()
            self.play(case)
            growth.append(self.server.memory() - before)
            if growth[-1] <= MEMORY_SLACK_BYTES:
                return
        raise AssertionError(f"memory grew by {growth} bytes in plays of one case")

    def check_log(self):
        """Well-formed lines, and never a flood: at most one a reason and second."""
        size = len(self.server.log_bytes())
        last = {}
        for line in self.server.log_lines(self.log_seen):
            assert line["level"] != "error", line
            reason = (line["event"], line.get("reason") or line.get("limit"))
            at = datetime.datetime.fromisoformat(line["time"]).timestamp()
            # The server's second is of its turns' times, the line's time of when it was written.
            assert reason not in last or at - last[reason] >= 0.9, f"{reason} again after {at - last[reason]:.3f} s"
            last[reason] = at
        self.log_seen = size

    def done(self):
        """At the end of a table: nothing burns a processor, and the canary never noticed."""
        self.check_canary()
        self.canary.leave()

