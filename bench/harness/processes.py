"""Starts a server on one core and the load client on another; everything is bounded in time and ended by its pid."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0


class RunFailed(Exception):
    """A run that did not come to its end; the message says why."""


@dataclass(frozen=True)
class Cores:
    server: frozenset[int]
    client: frozenset[int]

    @staticmethod
    def apart() -> "Cores":
        """The server on one core, the client on another, where there are two."""
        mine = sorted(os.sched_getaffinity(0))
        return Cores(frozenset(mine[:1]), frozenset(mine[1:2] or mine[:1]))

    @staticmethod
    def shared() -> "Cores":
        """Both on two cores: for a server with two shards."""
        mine = frozenset(sorted(os.sched_getaffinity(0))[:2])
        return Cores(mine, mine)


def open_files_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def may_be_realtime() -> bool:
    """Whether we may give a process a real-time priority: root may."""
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        os.sched_setscheduler(0, policy, parameter)
    except PermissionError:
        return False
    return True


def _prepare(cores: frozenset[int], realtime: bool):
    def prepare() -> None:
        os.sched_setaffinity(0, cores)
        if realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    return prepare


def on_cores(cores: frozenset[int]):
    """For subprocess's preexec_fn."""
    return _prepare(cores, realtime=False)


def free_port(first: int | None = None) -> int:
    """A port below the range that outgoing connections take theirs from, not below `first`."""
    first = first or 20_000 + os.getpid() * 37 % 10_000
    for port in range(first, first + 2_000):
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise RunFailed("no free port")


def _wait_until_ready(process: subprocess.Popen, port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RunFailed(f"the server ended with {process.returncode}: {log.read_text(errors='replace')[-500:]}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    raise RunFailed(f"the server did not listen within {READY_TIMEOUT_S:.0f} s")


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT_S)


@contextlib.contextmanager
def server(command: list[str], port: int, cores: frozenset[int], log: Path, realtime: bool) -> Iterator[int]:
    """A running server's pid; it is ended when the block is left."""
    environment = {**os.environ, "LOG_LEVEL": "error"}
    for name in ("PORT", "HOST"):
        environment.pop(name, None)
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env=environment, preexec_fn=_prepare(cores, realtime))
    try:
        _wait_until_ready(process, port, log)
        yield process.pid
    finally:
        stop(process)


def load(command: list[str], cores: frozenset[int], timeout_s: float, realtime: bool) -> dict:
    """What the load client reports."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, text=True,
                              preexec_fn=_prepare(cores, realtime), check=False)
    except subprocess.TimeoutExpired:
        raise RunFailed(f"the load client did not end within {timeout_s:.0f} s") from None
    if done.returncode != 0:
        raise RunFailed(done.stderr.strip() or f"the load client ended with {done.returncode}")
    return json.loads(done.stdout)
