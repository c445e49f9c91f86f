"""Who is measured: how each server is started for a work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from harness.certificate import Certificate
from harness.works import Work


@dataclass(frozen=True)
class Contender:
    name: str
    needs: tuple[Path, ...]  # files without which it cannot run
    command: Callable[[Work, int, int, Certificate | None], list[str]]  # work, port, shards, with TLS
    speaks_tls: bool = True

    def does(self, work: Work) -> bool:
        return (self.speaks_tls or not work.tls) and (work.with_floor or self.name != "floor")

    def missing(self) -> list[Path]:
        return [path for path in self.needs if not path.exists()]


def _flags(certificate: Certificate | None) -> list[str]:
    return [] if certificate is None else ["--tls-cert", str(certificate.file), "--tls-key", str(certificate.key)]


def _settings(work: Work) -> list[str]:
    return [word for setting in work.settings for word in ("--set", setting)]


def floor(build: Path) -> Contender:
    program = build / "bench/raw_epoll"

    def command(work: Work, port: int, _shards: int, certificate: Certificate | None) -> list[str]:
        return [str(program), "--mode", work.service, "--port", str(port), "--payload", str(work.payload),
                "--coalesce", "1" if work.coalesce else "0", *_flags(certificate)]

    return Contender("floor", (program,), command)


def native(build: Path) -> Contender:
    program = build / "bench/bench_native"

    def command(work: Work, port: int, shards: int, certificate: Certificate | None) -> list[str]:
        return [str(program), work.service, "--port", str(port), "--shards", str(shards),
                "--shutdown-policy", work.shutdown_policy, *_settings(work), *_flags(certificate)]

    return Contender("native", (program,), command)


def module(build: Path) -> Contender:
    program = build / "bin/jamsocket"
    modules = {"echo": build / "examples/echo.wasm", "fanout": build / "examples/bench_fanout.wasm"}

    def command(work: Work, port: int, shards: int, certificate: Certificate | None) -> list[str]:
        return [str(program), "serve", str(modules[work.service]), "--port", str(port), "--shards", str(shards),
                "--shutdown-policy", work.shutdown_policy, *_settings(work), *_flags(certificate)]

    return Contender("module", (program, *modules.values()), command)


def peer(name: str, needs: tuple[Path, ...], start: list[str]) -> Contender:
    """A server of somebody else's: takes the service and the port, whatever the work."""
    return Contender(name, needs, lambda work, port, _shards, _certificate: [*start, work.service, str(port)],
                     speaks_tls=False)


def ours(build: Path) -> list[Contender]:
    return [floor(build), native(build), module(build)]


def peers(build: Path, sources: Path) -> list[Contender]:
    beast, lws, node = build / "bench/peer_beast", build / "bench/peer_libwebsockets", sources / "node_ws.js"
    return [
        peer("Beast", (beast,), [str(beast)]),
        peer("libwebsockets", (lws,), [str(lws)]),
        peer("Node ws", (node, sources / "node_modules/ws/package.json"), ["node", str(node)]),
    ]
