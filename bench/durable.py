#!/usr/bin/env python3
"""bench/durable.py --build DIR: what keeping rooms costs. `make bench-durable`.

Side by side on this disk, in interleaved rounds: the p50 of an echo through a module with `none`, `async` and `local`, beside bare
fdatasyncs of 4 KiB; what an event costs over 1,000 rooms; how fast a room comes back, and how fast a bad event is undone, with
what others notice of it. Each row with its bar.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))

from harness.wire import TEXT, Connection, frame  # noqa: E402

LEVELS = ("none", "async", "local")
EVENTS_PER_CHECKPOINT = 1000  # What a room's policy is.
# name: title, unit, bar (of the median; None: no bar), whether more is better
ROWS = {
    "local_over_fdatasync": ("echo: what local adds, over one fdatasync", "x", 2.0, False),
    "events_local_per_s": ("durable events a second, 1,000 rooms", "", 80_000, True),
    "async_over_none_cpu": ("processor time of async over none, 1,000 rooms", "x", 1.25, False),
    "async_over_none_cpu_deep": ("the same with 16 under way each", "x", None, False),
    "local_over_none_cpu": ("processor time of local over none", "x", None, False),
    "recovery_ms": ("a room comes back with 990 events: first reply", "ms", 20, False),
    "replay_per_s": ("events run again a second", "", 1_000_000, True),
    "undo_ms": ("undoing an event behind 990", "ms", 10, False),
    "others_p99_added_ms": ("what undoing adds to the p99 of others", "ms", 2, False),
    "checkpoint_stall_ms": ("what a checkpoint of 1 MiB adds to the p50 of an echo", "ms", 1, False),
    "checkpoint_stall_p99_ms": ("what it adds to the p99", "ms", None, False),
    "wake_p99_ms": ("p99 of waking a room of 1 MiB", "ms", 5, False),
    "wake_steady_p99_ms": ("the same, behind the first ten after a pause", "ms", 5, False),
    "wake_first_ms": ("the first after a pause of 3 s", "ms", None, False),
    "wake_crowded_p99_ms": ("the same while 300 others of 1 MiB fall asleep", "ms", None, False),
    "wake_crowded_p50_ms": ("p50 of that", "ms", None, False),
    "wake_p50_ms": ("p50 of waking a room of 1 MiB", "ms", None, False),
    "asleep_bytes": ("memory of a room asleep that nobody is in", "B", 400, False),
    "asleep_with_client_bytes": ("memory of a room asleep, beside its connection", "B", 400, False),
    "start_s": ("start with a million rooms on disk", "s", 1, False),
}


def fdatasync_us(folder, rounds=100):
    """The median time of writing 4 KiB over what a file has there, and syncing it: what a commit can cost at least."""
    times = []
    file = os.open(pathlib.Path(folder) / "probe", os.O_CREAT | os.O_RDWR)
    os.write(file, b"x" * 4096 * rounds)
    os.fsync(file)
    for number in range(rounds):
        begin = time.perf_counter()
        os.pwrite(file, b"y" * 4096, number * 4096)
        os.fdatasync(file)
        times.append((time.perf_counter() - begin) * 1e6)
    os.close(file)
    return statistics.median(times)


class Bench:
    def __init__(self, options):
        self.build, self.seconds, self.realtime = options.build, options.seconds, options.realtime

    def prepare(self):
        if self.realtime:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))

    def run(self, *words):
        return json.loads(subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True,
                                         preexec_fn=self.prepare).stdout)

    @contextlib.contextmanager
    def server(self, module, durability="local", folder=None, shards=0, settings=()):
        with contextlib.ExitStack() as stack:
            folder = folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="jamsocket-bench-", dir=self.build))
            command = [self.build / "bin" / "jamsocket", "serve", module, "--port", 0, "--log-level", "off", "--shards", shards]
            if durability != "none":
                command += ["--data", folder, "--durability", durability]
            for name, value in dict(settings).items():
                command += ["--set", f"{name}={value}"]
            process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True,
                                       preexec_fn=self.prepare)
            process.port = int(process.stdout.readline().strip().rsplit(":", 1)[1])
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                process.wait(60)

    def example(self, name):
        return self.build / "examples" / f"{name}.wasm"

    def load(self, server, *words):
        """What wsload says of one run."""
        return self.run(self.build / "bench" / "wsload", "echo", "--port", server.port, "--path", "/ws/{room}", "--payload", 64,
                        "--warmup", 0.3, "--seconds", self.seconds, "--server-pid", server.pid, *words)

    # --- Rows ---------------------------------------------------------------------------------------------------------

    def costs(self, rows):
        """Echoes of one, and of a thousand rooms, at each level."""
        none = {}
        for durability in LEVELS:
            with self.server(self.example("echo"), durability) as server, \
                    tempfile.TemporaryDirectory(prefix="jamsocket-bench-", dir=self.build) as folder:
                before = fdatasync_us(folder)
                alone = self.load(server, "--conns", 1)["lat_us"]["p50"]
                fdatasync = (before + fdatasync_us(folder)) / 2
                many = self.load(server, "--conns", 1000, "--rooms", 1000)["server"]["ns_per_msg"]
                deep = self.load(server, "--conns", 1000, "--rooms", 1000, "--depth", 16)
            rows.setdefault(f"echo_{durability}_p50_us", []).append(alone)
            rows.setdefault(f"cpu_{durability}_ns", []).append(many)
            rows.setdefault(f"cpu_{durability}_deep_ns", []).append(deep["server"]["ns_per_msg"])
            rows.setdefault(f"events_{durability}_per_s", []).append(deep["per_s"])
            if durability == "none":
                none = {"p50": alone, "many": many, "deep": deep["server"]["ns_per_msg"]}
            else:
                rows.setdefault(f"{durability}_over_none_cpu", []).append(many / none["many"])
                rows.setdefault(f"{durability}_over_none_cpu_deep", []).append(deep["server"]["ns_per_msg"] / none["deep"])
            if durability == "local":
                rows.setdefault("fdatasync_us", []).append(fdatasync)
                rows.setdefault("local_over_fdatasync", []).append((alone - none["p50"]) / fdatasync)

    @staticmethod
    def fill(connection, word):
        """A checkpoint, and just not enough for the next one behind it."""
        for count in (EVENTS_PER_CHECKPOINT, EVENTS_PER_CHECKPOINT - 10):
            for _ in range(count // 10):
                connection.send(frame(TEXT, word) * 10)
                for _ in range(10):
                    connection.next_text()

    def recovery(self, rows):
        with tempfile.TemporaryDirectory(prefix="jamsocket-bench-", dir=self.build) as folder:
            with self.server(self.example("counter"), folder=folder) as server:
                with Connection(server.port, seconds=60).upgrade("/ws/back") as connection:
                    self.fill(connection, b"increment")
                server.kill()
                server.wait()
            with self.server(self.example("counter"), folder=folder) as server:
                begin = time.perf_counter()
                with Connection(server.port, seconds=60).upgrade("/ws/back") as connection:
                    connection.ask("?")
                    rows.setdefault("recovery_ms", []).append((time.perf_counter() - begin) * 1e3)

    def replay(self, rows):
        rows.setdefault("replay_per_s", []).append(
            self.run(self.build / "bench" / "bench_replay", self.example("counter"), 1_000_000)["per_s"])

    def undo(self, rows, rooms=20):
        """Rooms with a bad event each, on a server of one shard, while others echo there."""
        with self.server(self.example("bench_neighbour"), shards=1) as server:
            pairs = []
            for number in range(rooms):
                good, bad = (Connection(server.port, seconds=60).upgrade(f"/ws/bad-{number}") for _ in range(2))
                pairs.append((good, bad))
                self.fill(good, b"?")
            quiet = self.load(server, "--conns", 10)["lat_us"]["p99"]
            times = []

            def trap():
                for good, bad in pairs:
                    bad.text("trap")
                    begin = time.perf_counter()
                    good.ask("?")
                    times.append((time.perf_counter() - begin) * 1e3)
                    threading.Event().wait(self.seconds / rooms)

            thread = threading.Thread(target=trap)
            thread.start()
            disturbed = self.load(server, "--conns", 10)["lat_us"]["p99"]
            thread.join()
            for pair in pairs:
                for connection in pair:
                    connection.close()
        rows.setdefault("undo_ms", []).append(statistics.median(times))
        rows.setdefault("others_p99_added_ms", []).append((disturbed - quiet) / 1e3)


    def checkpoints(self, rows, messages=200):
        """The same echo where each event leads to a checkpoint and where none does; nobody waits for the disk."""
        times = {}
        for events in (1, 1_000_000):
            settings = {"limits.checkpoint_events_max": events, "limits.checkpoint_cpu_ms_max": 3_600_000}
            with self.server(self.build / "examples" / "bench_ballast.wasm", "async", shards=1, settings=settings) as server, \
                    Connection(server.port, seconds=60).upgrade("/ws/heavy") as connection:
                times[events] = [self.asked(connection, pause=0.01) for _ in range(messages)]
        for name, share in (("checkpoint_stall_ms", 0.5), ("checkpoint_stall_p99_ms", 0.99)):
            rows.setdefault(name, []).append(percentile(times[1], share) - percentile(times[1_000_000], share))

    @staticmethod
    def asked(connection, pause=0.0):
        """Milliseconds to an answer, after a pause."""
        threading.Event().wait(pause)
        begin = time.perf_counter()
        connection.ask("?")
        return (time.perf_counter() - begin) * 1e3

    def waking(self, rows, rooms=100, pauses=5, first=10):
        """Rooms of 1 MiB fall asleep with their clients there; one message wakes each. What a wake uses was not used in
        the pause before: the first ones are slower than those behind them, and are shown apart."""
        with self.server(self.build / "examples" / "bench_ballast.wasm", settings={"service.sleep_after_seconds": 1}) as server:
            connections = [Connection(server.port, seconds=60).upgrade(f"/ws/heavy-{number}") for number in range(rooms)]
            times = []
            for _ in range(pauses):
                for connection in connections:
                    connection.ask("?")
                threading.Event().wait(3)
                times.append([self.asked(connection) for connection in connections])
            for connection in connections:
                connection.close()
        everything = [each for pause in times for each in pause]
        steady = [each for pause in times for each in pause[first:]]
        rows.setdefault("wake_p50_ms", []).append(percentile(everything, 0.5))
        rows.setdefault("wake_p99_ms", []).append(percentile(everything, 0.99))
        rows.setdefault("wake_steady_p99_ms", []).append(percentile(steady, 0.99))
        rows.setdefault("wake_first_ms", []).append(statistics.median(pause[0] for pause in times))

    def waking_crowded(self, rows, rooms=60, others=300, pauses=5):
        """The same for rooms that are woken in the half second in which others fall asleep, each with a MiB to be written."""
        with self.server(self.build / "examples" / "bench_ballast.wasm", settings={"service.sleep_after_seconds": 1}) as server:
            def come_in(name, count):
                return [Connection(server.port, seconds=60).upgrade(f"/ws/{name}-{number}") for number in range(count)]

            woken, crowd = come_in("heavy", rooms), come_in("crowd", others)
            times = []
            for _ in range(pauses):
                for connection in woken:
                    connection.ask("?")
                threading.Event().wait(2.5)
                begin = time.perf_counter()
                for connection in crowd:
                    connection.ask("?")
                # Sleepers are looked for each tenth of a second: by now the first of the crowd are among them.
                threading.Event().wait(max(0.0, begin + 1.1 - time.perf_counter()))
                for connection in woken:
                    times.append(self.asked(connection))
                    threading.Event().wait(0.005)
            for connection in woken + crowd:
                connection.close()
        rows.setdefault("wake_crowded_p99_ms", []).append(percentile(times, 0.99))
        rows.setdefault("wake_crowded_p50_ms", []).append(percentile(times, 0.5))

    def sleeping(self, rows, empty=100_000, with_client=9_000):
        """What rooms cost that are asleep: each had a client and some events. Against the same server without them."""
        settings = {"service.sleep_after_seconds": 1, "service.shutdown_policy": "1sec", "limits.handshake_timeout_ms": 60_000}
        with self.server(self.example("counter"), settings=settings) as server:
            def resident():
                return next(int(line.split()[1]) * 1024 for line in
                            pathlib.Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith("RssAnon"))

            def idle(conns, rooms):
                return self.run(self.build / "bench" / "wsload", "idle", "--port", server.port, "--path", "/ws/{room}", "--conns",
                                conns, "--rooms", rooms, "--seconds", 4, "--server-pid", server.pid)["rss_after_kib"] * 1024

            def come_and_go(name):
                self.run(self.build / "bench" / "wsload", "churn", "--port", server.port, "--path", f"/ws/{name}-{{room}}",
                         "--conns", with_client, "--rooms", with_client, "--burst", 64, "--server-pid", server.pid)

            # The database's cache is full, and the heap has been as large as it gets, before anything is compared.
            come_and_go("fill")
            come_and_go("fill-again")
            idle(with_client, 1)
            threading.Event().wait(3)
            one_room = idle(with_client, 1)
            threading.Event().wait(3)
            before = resident()
            rows.setdefault("asleep_with_client_bytes", []).append((idle(with_client, with_client) - one_room) / with_client)
            threading.Event().wait(3)
            made = with_client
            while made < empty:
                come_and_go(made)
                made += with_client
            threading.Event().wait(5)
            rows.setdefault("asleep_bytes", []).append((resident() - before) / made)

    def start(self, rows, rooms=1_000_000):
        folder = self.build / "bench" / f"rooms-{rooms}"
        if not folder.exists():
            subprocess.run([self.build / "bench" / "bench_rooms", folder, str(rooms)], check=True)
        begin = time.perf_counter()
        with self.server(self.example("counter"), folder=folder):
            rows.setdefault("start_s", []).append(time.perf_counter() - begin)


def percentile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--realtime", action="store_true", help="real-time priority, where others use the machine; needs root")
    parser.add_argument("--only", nargs="+", default=["costs", "recovery", "replay", "undo", "checkpoints", "waking", "waking_crowded", "sleeping", "start"])
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    bench, rows = Bench(options), {}
    bench.prepare()
    for _ in range(options.rounds):
        for name in options.only:
            getattr(bench, name)(rows)
    medians = {name: statistics.median(values) for name, values in rows.items()}
    for name in sorted(medians, key=lambda name: name not in ROWS):
        title, unit, bar, more = ROWS.get(name, (name, "", None, False))
        verdict = "" if bar is None else "ok" if (medians[name] >= bar) == more else "OVER" if not more else "UNDER"
        limit = "" if bar is None else f"{'>=' if more else '<='} {bar:,}{unit}"
        spread = f"{min(rows[name]):,.2f} to {max(rows[name]):,.2f}"
        print(f"{title:52}{medians[name]:14,.2f}{unit:3}{limit:>16} {verdict:6}{spread}")
    if options.out:
        options.out.write_text(json.dumps({"medians": medians, "rounds": rows}, indent=2))


if __name__ == "__main__":
    main()
