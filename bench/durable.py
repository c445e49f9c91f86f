#!/usr/bin/env python3
"""bench/durable.py --build DIR: what keeping rooms costs. `make bench-durable`.

Ratios of one run, side by side on this disk: the p50 of an echo through a module with `none`, `async` and `local`, beside the
time of a bare fdatasync of 4 KiB; events a second over 1,000 rooms and what each costs; how fast a room comes back.
"""

import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "e2e"))


def fdatasync_p50(folder, rounds=300):
    """Microseconds of writing 4 KiB at the end of a file and syncing it."""
    times = []
    file = os.open(pathlib.Path(folder) / "probe", os.O_CREAT | os.O_WRONLY)
    for _ in range(rounds):
        os.write(file, b"x" * 4096)
        begin = time.perf_counter()
        os.fdatasync(file)
        times.append((time.perf_counter() - begin) * 1e6)
    os.close(file)
    return statistics.median(times)


class Server:
    def __init__(self, build, folder, durability, service="echo"):
        command = [build / "bin" / "jamsocket", "serve", build / "examples" / f"{service}.wasm", "--port", "0",
                   "--log-level", "error"]
        if durability != "none":
            command += ["--data", folder, "--durability", durability]
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().strip().rsplit(":", 1)[1])

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def load(build, server, *words):
    """What wsload says of one run."""
    command = [build / "bench" / "wsload", "echo", "--port", server.port, "--path", "/ws/{room}", "--payload", 64,
               "--warmup", 0.5, "--server-pid", server.process.pid, *words]
    return json.loads(subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout)


def recovery(build, folder, events=1000):
    """Milliseconds from the connect to the first answer, of a counter with so many events behind its checkpoint."""
    from harness.wire import TEXT, Connection, frame
    server = Server(build, folder, "local", "counter")
    with Connection(server.port, seconds=60).upgrade("/ws/back") as connection:
        for _ in range(events // 100 - 1):  # Just short of the next checkpoint.
            connection.send(frame(TEXT, b"increment") * 100)
            for _ in range(100):
                connection.next_text()
    server.process.kill()
    server.process.wait()
    with Server(build, folder, "local", "counter") as again:
        begin = time.perf_counter()
        with Connection(again.port, seconds=60).upgrade("/ws/back") as connection:
            connection.ask("?")
            return (time.perf_counter() - begin) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    rows = {}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="jamsocket-bench-", dir=options.build) as folder:
            rows.setdefault("fdatasync_us", []).append(fdatasync_p50(folder))
        for durability in ("none", "async", "local"):
            with tempfile.TemporaryDirectory(prefix="jamsocket-bench-", dir=options.build) as folder:
                with Server(options.build, folder, durability) as server:
                    alone = load(options.build, server, "--conns", 1, "--seconds", 2)
                    rows.setdefault(f"echo_{durability}_p50_us", []).append(alone["lat_us"]["p50"])
                    rows.setdefault(f"echo_{durability}_p99_us", []).append(alone["lat_us"]["p99"])
                    many = load(options.build, server, "--conns", 1000, "--rooms", 1000, "--depth", 16, "--seconds", 4)
                    rows.setdefault(f"events_{durability}_per_s", []).append(many["per_s"])
                    rows.setdefault(f"cpu_{durability}_ns", []).append(many["server"]["ns_per_msg"])
        with tempfile.TemporaryDirectory(prefix="jamsocket-bench-", dir=options.build) as folder:
            rows.setdefault("recovery_ms", []).append(recovery(options.build, folder))
    result = {name: statistics.median(values) for name, values in rows.items()}
    result["local_added_over_fdatasync"] = (result["echo_local_p50_us"] - result["echo_none_p50_us"]) / result["fdatasync_us"]
    result["async_over_none_cpu"] = result["cpu_async_ns"] / result["cpu_none_ns"]
    result["local_over_none_cpu"] = result["cpu_local_ns"] / result["cpu_none_ns"]
    for name, value in result.items():
        print(f"{name:30}{value:14.2f}")
    if options.out:
        options.out.write_text(json.dumps({"medians": result, "rounds": rows}, indent=2))


if __name__ == "__main__":
    main()
