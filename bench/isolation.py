#!/usr/bin/env python3
"""Measures what rooms notice of a neighbour that misbehaves, against the same run with one that behaves, and prints a table.

The healthy rooms hold an open loop: each message is timed from the moment it was due, so that a stall is not forgiven.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from harness import processes

HERE = Path(__file__).resolve().parent
MESSAGES = 1000  # A second, of all healthy rooms together.
CALL_CPU_MS = 100 + 5  # limits.event_cpu_ms_max, and what may pass until a tick is seen.
ROOM_MEMORY_MIB = 64  # limits.room_memory_bytes_max
OUTBOUND_MIB = 1  # limits.outbound_bytes_max


@dataclass(frozen=True)
class Neighbour:
    id: str
    title: str
    what: str           # neighbours.py --what
    instead: str        # what a neighbour does that behaves
    p99_ms_more: float  # the bar: beyond the baseline
    max_ms_more: float | None = None
    rooms: int = 1
    rate: float = 10
    healthy: int = 50   # rooms beside them
    p99_times: float | None = None  # the bar: times the baseline
    loop_times: float | None = None  # the bar: what the loop spends on a message of the others, times the baseline


NEIGHBOURS = (
    Neighbour("spin", "one room loops, 10 times a second", "spin", "ok", 3, 10),
    Neighbour("spin-100", "100 rooms of 10,000 loop, each once a second", "spin", "ok", 5, rooms=100, rate=1, healthy=9900,
              loop_times=1.1),
    Neighbour("slow", "an honest room computes for 50 ms, 5 times a second", "slow", "ok", 1, rate=5),
    Neighbour("grow", "100 rooms take all their memory", "grow", "ok", 5, rooms=100, rate=0.5),
    Neighbour("trap", "1,000 rooms trap at the same moment", "trap", "ok", 5, rooms=1000, rate=0.5),
    Neighbour("deaf", "1,000 clients never read, in a room that says 1 MB/s", "deaf", "alone", 5, rooms=1000, rate=125,
              p99_times=2),
    Neighbour("flood", "a client floods one room", "flood", "ok", 5, p99_times=2),
)


@dataclass(frozen=True)
class Run:
    p50_ms: float
    p99_ms: float
    max_ms: float
    lost: int
    memory_mib: float         # of the server, at its most
    failed_cpu_s: float       # of a call that failed
    others_cpu_s: float       # what the server used for all else
    loop_us: float            # of the event loop, for a message of the others
    neighbour: dict


def metrics(admin_port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics", timeout=20) as response:
        lines = response.read().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if not name.startswith("#")}


@dataclass(frozen=True)
class Used:
    cpu_s: float             # by the server
    neighbours_cpu_s: float  # of that, in the neighbours' calls, which are counted when they have ended
    failed: float            # calls


def used_by(admin_port: int) -> Used:
    deadline = time.monotonic() + 30
    while True:
        now = metrics(admin_port)
        if all(value == 0 for name, value in now.items() if name.startswith("jamsocket_calls_slow_now")):
            return Used(now["process_cpu_seconds_total"], now['jamsocket_service_cpu_seconds_total{service="neighbour"}'],
                        now["jamsocket_events_failed_total"])
        if time.monotonic() > deadline:
            raise processes.RunFailed("slow calls did not end")
        time.sleep(0.1)


def most_memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def configuration(options: argparse.Namespace, folder: str, admin_port: int) -> str:
    return (f'[services.victims]\nmodule = "{options.build / "examples/echo.wasm"}"\n'
            f'[services.neighbour]\nmodule = "{options.build / "examples/bench_neighbour.wasm"}"\n'
            f'[service]\nmodule_cache = "{folder}/cache"\n'
            f"[admin]\nport = {admin_port}\n"
            # A room that fails is to fail again, as often as it can.
            "[limits]\nfailures_before_back_off = 1000\n[server]\nshards = 1\n")


def loop_time(admin_port: int) -> tuple[float, float]:
    """Seconds of the event loop's turns so far, and when that was."""
    return metrics(admin_port)['jamsocket_loop_turn_seconds_sum{shard="0"}'], time.monotonic()


def rate_in(neighbour: Neighbour, seconds: float, warmup: float) -> float:
    """So that a run too short for the neighbour's own rate measures what it does, and not its warm-up alone."""
    return max(neighbour.rate, 1 / (warmup + seconds / 2))


class Beside:
    """Clients of the rooms that misbehave. They have come in when this is made, and begin when the others have."""

    def __init__(self, options: argparse.Namespace, neighbour: Neighbour, what: str, port: int, admin_port: int):
        command = [sys.executable, HERE / "neighbours.py", "--port", str(port), "--what", what, "--rooms", str(neighbour.rooms),
                   "--rate", str(rate_in(neighbour, options.seconds, options.warmup)), "--seconds", str(options.seconds + options.warmup)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                         preexec_fn=processes.on_cores(processes.Cores.apart().client))
        if self._process.stdout.readline() != "ready\n":
            self.end()
            raise processes.RunFailed("the neighbours did not come in")
        self.used_before: Used | None = None                 # When they began.
        self.loop_before: tuple[float, float] | None = None  # When the server has met them all.
        self._starter = threading.Thread(target=self._start, args=(neighbour.rooms + neighbour.healthy, admin_port, options.warmup),
                                         daemon=True)
        self._starter.start()

    def _start(self, clients: int, admin_port: int, warmup: float) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if metrics(admin_port)["jamsocket_clients"] >= clients:
                self.used_before = used_by(admin_port)
                self._process.stdin.write("begin\n")
                self._process.stdin.flush()
                time.sleep(warmup)
                self.loop_before = loop_time(admin_port)
                return
            time.sleep(0.05)

    def said(self) -> dict:
        self._starter.join()
        if self.loop_before is None:
            raise processes.RunFailed("the healthy clients did not come in")
        return json.loads(self._process.communicate(timeout=60)[0])

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def measure(options: argparse.Namespace, neighbour: Neighbour, what: str) -> Run:
    port = processes.free_port()
    admin_port = processes.free_port(port + 1)
    cores = processes.Cores.apart()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "jamsocket.toml"
        config.write_text(configuration(options, folder, admin_port))
        command = [str(options.build / "bin/jamsocket"), "serve", "--config", str(config), "--port", str(port)]
        with processes.server(command, port, cores.server, Path(folder) / "log", False) as pid:
            beside = Beside(options, neighbour, what, port, admin_port)
            try:
                # Before everything on its core: what is late is the server's affair.
                load = processes.load(
                    [str(options.build / "bench/wsload"), "echo", "--conns", str(neighbour.healthy),
                     "--rate", str(MESSAGES / neighbour.healthy), "--path", "/ws/victims/room-{room}", "--port", str(port),
                     "--server-pid", str(pid), "--seconds", str(options.seconds), "--warmup", str(options.warmup)],
                    cores.client, 120, processes.may_be_realtime())
                loop_after = loop_time(admin_port)
                said = beside.said()
                loop_s, at = (after - before for after, before in zip(loop_after, beside.loop_before))
                memory = most_memory_mib(pid)
                before, after = beside.used_before, used_by(admin_port)
            finally:
                beside.end()
    neighbours_cpu_s = after.neighbours_cpu_s - before.neighbours_cpu_s
    failed = after.failed - before.failed
    others_cpu_s = after.cpu_s - before.cpu_s - neighbours_cpu_s
    return Run(load["lat_us"]["p50"] / 1e3, load["lat_us"]["p99"] / 1e3, load["lat_us"]["max"] / 1e3,
               max(0, round(MESSAGES * options.seconds * 0.98 - load["messages"])), memory, neighbours_cpu_s / max(1, failed),
               others_cpu_s, 1e6 * loop_s / (MESSAGES * at) if at > 0 else 0.0, said)


def row(neighbour: Neighbour, pairs: list[tuple[Run, Run]]) -> dict:
    """Of pairs of runs, with one that behaves and one that does not: medians of differences within a pair."""
    more = lambda name: statistics.median(getattr(bad, name) - getattr(good, name) for good, bad in pairs)
    result = {"title": neighbour.title, "p99_ms": statistics.median(good.p99_ms for good, _ in pairs),
              "p50_more": more("p50_ms"), "p99_more": more("p99_ms"), "max_more": more("max_ms"),
              "memory_mib_more": more("memory_mib"), "others_cpu_s_more": more("others_cpu_s"),
              "loop_us": statistics.median(good.loop_us for good, _ in pairs), "loop_us_more": more("loop_us"),
              "lost": sum(bad.lost for _, bad in pairs), "neighbour": pairs[-1][1].neighbour}
    missed = []
    if result["p99_more"] > neighbour.p99_ms_more:
        missed.append("p99")
    if neighbour.max_ms_more is not None and result["max_more"] > neighbour.max_ms_more:
        missed.append("max")
    if neighbour.p99_times is not None and result["p99_ms"] + result["p99_more"] > neighbour.p99_times * result["p99_ms"]:
        missed.append(f"more than {neighbour.p99_times:g} times the p99")
    if neighbour.loop_times is not None and result["loop_us"] + result["loop_us_more"] > neighbour.loop_times * result["loop_us"]:
        missed.append(f"more than {neighbour.loop_times:g} times the loop's time")
    if result["lost"] > 0:
        missed.append(f"{result['lost']} messages lost")
    if neighbour.what == "spin":
        result["call_cpu_ms"] = 1e3 * statistics.median(bad.failed_cpu_s for _, bad in pairs)
        if result["call_cpu_ms"] > CALL_CPU_MS:
            missed.append("calls over their budget")
    if neighbour.what == "grow" and result["memory_mib_more"] > neighbour.rooms * ROOM_MEMORY_MIB:
        missed.append("memory")
    if neighbour.what == "deaf" and result["memory_mib_more"] > neighbour.rooms * OUTBOUND_MIB:
        missed.append("memory")
    if neighbour.what == "slow" and any(bad.neighbour["closed"] or bad.neighbour["answered"] < bad.neighbour["sent"]
                                        for _, bad in pairs):
        missed.append("events lost")
    result["missed"] = missed
    return result


def print_table(rows: list[tuple[Neighbour, dict]]) -> None:
    print(f"{'neighbour':54} {'p99':>8} {'p50 more':>9} {'p99 more':>9} {'max more':>9} {'bar':>12}  ")
    for neighbour, result in rows:
        bar = f"{neighbour.p99_ms_more:g}" + (f" / {neighbour.max_ms_more:g}" if neighbour.max_ms_more else "") + " ms"
        print(f"{result['title']:54} {result['p99_ms']:5.2f} ms {result['p50_more']:+6.2f} ms {result['p99_more']:+6.2f} ms "
              f"{result['max_more']:+6.2f} ms {bar:>12}  {'over: ' + ', '.join(result['missed']) if result['missed'] else 'ok'}")
        print(f"{'':10}the loop {result['loop_us_more']:+.1f} us over {result['loop_us']:.1f} for a message of the others, the server "
              f"beside their calls {result['others_cpu_s_more']:+.2f} s of CPU, "
              f"{result['memory_mib_more']:+.1f} MiB at most; neighbours: {result['neighbour']}"
              + (f", {result['call_cpu_ms']:.1f} ms of CPU a call" if "call_cpu_ms" in result else ""))


# Of 20,000 rooms of the counter at once, in one process without a server: what bench_wasm prints, and the bar.
ROOM_BARS = {"event_ns": ("a message into a module and its answer, with its allocation", "ns", 150),
             # Of an echo's 3.4 us, 2 %.
             "watch_ns": ("watching a call: its budgets, its ticks, a look at the clock", "ns", 68),
             "make_reply_and_drop_us": ("a room made, one reply, dropped", "us", 100),
             "fresh_make_us": ("a room made beside all others", "us", 100),
             "fresh_kib": ("memory of a fresh room", "KiB", 20),
             "mappings_each": ("mappings of the kernel a room", "", 2.2)}


def measure_rooms(options: argparse.Namespace) -> dict:
    """CPU times, so that a busy machine makes them dearer, but not by much."""
    done = subprocess.run([str(options.build / "bench/bench_wasm"), str(options.build / "examples/counter.wasm"),
                           "2000" if options.quick else "20000"],
                          capture_output=True, text=True, timeout=300, check=True)
    return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}


def print_rooms(figures: dict) -> bool:
    """@return whether a bar was missed."""
    over = False
    for name, (title, unit, bar) in ROOM_BARS.items():
        verdict = "over" if figures[name] > bar else "ok"
        over = over or verdict == "over"
        print(f"{title:72} {figures[name]:8.2f} {unit:3} {bar:8g} {unit:3}  {verdict}")
    return over


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=HERE.parent / "build/release", help="where the programs are")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build/bench/isolation.json", help="the figures")
    parser.add_argument("--only", default="", help="neighbours whose id contains one of these words (a,b,c); rooms")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="measured a run")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before them")
    parser.add_argument("--quick", action="store_true", help="one short round: does everything run?")
    parser.add_argument("--strict", action="store_true", help="exit code 1 where a bar is not met")
    options = parser.parse_args(arguments)
    options.build = options.build.resolve()
    if options.quick:
        options.rounds, options.seconds, options.warmup = 1, 0.5, 0.2
    words = [word for word in options.only.split(",") if word]
    rows = []
    for neighbour in NEIGHBOURS:
        if words and not any(word in neighbour.id for word in words):
            continue
        print(f"{neighbour.title} ...", file=sys.stderr, flush=True)
        pairs = [(measure(options, neighbour, neighbour.instead), measure(options, neighbour, neighbour.what))
                 for _ in range(options.rounds)]
        rows.append((neighbour, row(neighbour, pairs)))
    print_table(rows)
    is_over = any(result["missed"] for _, result in rows)
    rooms = None
    if not words or "rooms" in words:
        rooms = measure_rooms(options)
        is_over = print_rooms(rooms) or is_over
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"neighbours": [result for _, result in rows], "rooms": rooms}, indent=1))
    return 1 if options.strict and is_over else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
