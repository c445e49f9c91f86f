"""Servers killed at random moments and at named points of what they do with their files, held against what clients saw.

Goal: no change that was seen is lost, none that was seen vanishes later, their order is kept, and each happens exactly once.
Method: outside the server, one client of each room clicks a counter, several clicks under way, another one listens; both write
down what they see, over many lives of one data folder.

JAMSOCKET_KILLS=N kills N times at random moments and N times at each point; JAMSOCKET_SEED=N chooses other moments.
"""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import tempfile
import threading

import pytest

from harness.server import KINDS, Server, path_from_environment
from harness.wait import PATIENCE
from harness.wire import TEXT, Connection, Ended, frame

ROOMS = 3
UNDER_WAY = 8
KILLS = int(os.environ.get("JAMSOCKET_KILLS", "0"))
SEED = int(os.environ.get("JAMSOCKET_SEED", "1"))
# With how often one is passed at least before the process ends; kill_points.cpp says what they are.
POINTS = {"log_begin": 1, "log_write": 150, "log_sync": 60, "mark": 60, "file_write": 3, "file_sync": 1, "send": 100, "log_remove": 1}
# What clients meet where a server ends; its last word may be a close frame, or 503.
ENDINGS = (Ended, OSError, AssertionError)


class Room:
    """What is known of a counter from outside."""

    def __init__(self, name):
        self.name = name
        self.seen = 0      # The highest value that anybody saw.
        self.possible = 0  # The value if all clicks so far that may have been kept were.
        self.wrong = []

    def play(self, port):
        """Clicks and listens until the server ends. @return the thread that does."""
        thread = threading.Thread(target=self._play, args=(port,), daemon=True)
        thread.start()
        return thread

    def _play(self, port):
        heard, answers, sent = [], [], 0
        with contextlib.suppress(*ENDINGS):
            with Connection(port, seconds=60) as listener, Connection(port, seconds=60) as clicker:
                listener.upgrade(f"/ws/{self.name}")
                clicker.upgrade(f"/ws/{self.name}")
                thread = threading.Thread(target=listen, args=(listener, heard), daemon=True)
                thread.start()
                with contextlib.suppress(*ENDINGS):
                    click = frame(TEXT, b"increment")
                    sent = UNDER_WAY  # Even what only a part of got out may have arrived.
                    clicker.send(click * UNDER_WAY)
                    while True:
                        answers.append(value_of(clicker.next_text()))
                        sent += 1
                        clicker.send(click)
                thread.join()
        self._judge(heard, answers, sent)

    def _judge(self, heard, answers, sent):
        for values in (heard, answers):
            if any(value != last + 1 for last, value in itertools.pairwise(values)):
                self.wrong.append(f"out of order, or not once: {values}")
            if values and not self.seen < values[0] <= self.possible + UNDER_WAY:
                self.wrong.append(f"{values[0]} came first; {self.seen} had been seen, {self.possible} was possible")
        if answers:
            self.possible = answers[-1] + sent - len(answers)
        else:
            self.possible += sent
        self.seen = max([self.seen, *answers[-1:], *heard[-1:]])
        if self.seen > self.possible:
            self.wrong.append(f"{self.seen} was seen where {self.possible} was possible")


def value_of(text):
    return int(text.removeprefix("new value: "))


def listen(connection, heard):
    with contextlib.suppress(*ENDINGS):
        while True:
            heard.append(value_of(connection.next_text()))


class Lives:
    """Servers on one folder, one after the other."""

    def __init__(self, kind, folder):
        self.kind, self.folder = kind, folder
        self.rooms = [Room(f"room-{number}") for number in range(ROOMS)]

    def server(self, **options):
        return Server(self.kind, "counter", {"server.data": self.folder}, **options)

    def live(self, end, **options):
        """A life: clients come, and `end` is called with the server. @return its exit code."""
        server = self.server(**options)
        threads = [room.play(server.port) for room in self.rooms]
        try:
            end(server)
        finally:
            server.process.kill()
            code = server.process.wait()
        for thread in threads:
            thread.join(60 * PATIENCE)
            assert not thread.is_alive()
        for room in self.rooms:
            assert not room.wrong, (room.name, room.wrong)
        return code

    def live_until(self, point, environment):
        """A life that ends at a point of its own. @return whether it did."""
        def end(server):
            if point == "log_remove":
                threading.Event().wait(0.1)
                server.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.process.wait(20 * PATIENCE)
                ended.append(server.process.returncode)
        ended = []
        try:
            self.live(end, environment=environment)
        except AssertionError as error:
            # It ended while it opened the folder; a server that refuses to start would say why.
            assert str(error).endswith("the first line is None; the log:\n"), error
            return True
        return ended == [-signal.SIGKILL]

    def verify_at_rest(self):
        """What is kept at last is what was seen, and what may have been kept besides."""
        with self.server() as server:
            for room in self.rooms:
                with Connection(server.port).upgrade(f"/ws/{room.name}") as connection:
                    value = value_of(connection.ask("?"))
                    assert room.seen <= value <= room.possible, (room.name, room.seen, value, room.possible)
                    assert room.seen > 0


@pytest.fixture(params=KINDS)
def lives(request):
    with tempfile.TemporaryDirectory(prefix="jamsocket-data-") as folder:
        yield Lives(request.param, folder)


def test_killed_at_any_moment(lives):
    moments = random.Random(SEED)
    for _ in range(KILLS or 10):
        seconds = moments.uniform(0.02, 0.3)
        lives.live(lambda server, seconds=seconds: threading.Event().wait(seconds))
    lives.verify_at_rest()


@pytest.mark.skipif("JAMSOCKET_SANITIZED" in os.environ, reason="a library in front of the sanitizers' own stops them")
def test_killed_at_named_points(lives):
    library = str(path_from_environment("JAMSOCKET_KILL_POINTS"))
    numbers = random.Random(SEED)
    for _ in range(KILLS or 1):
        for point, often in POINTS.items():
            for side in ("before", "after"):
                at = f"{point}:{side}:{numbers.randint(1, often)}"
                assert lives.live_until(point, {"LD_PRELOAD": library, "JAMSOCKET_KILL_AT": at}), f"{at} was not reached"
    lives.verify_at_rest()


@pytest.mark.skipif("JAMSOCKET_SANITIZED" in os.environ, reason="a library in front of the sanitizers' own stops them")
def test_writes_that_are_cut_short_and_interrupted(lives):
    environment = {"LD_PRELOAD": str(path_from_environment("JAMSOCKET_KILL_POINTS")), "JAMSOCKET_BYTES_AT_MOST": "97"}
    for _ in range(3):
        lives.live(lambda server: threading.Event().wait(0.3), environment=environment)
    lives.verify_at_rest()
