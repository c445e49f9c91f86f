#!/usr/bin/env python3
"""Measures the server against the floor, in interleaved rounds, and prints a table of ratios.

Builds nothing: `make bench` does that first. docs/benchmarks.md explains each row.
"""

import argparse
import signal
import sys
from pathlib import Path

from harness import contenders, processes, rounds, table, works

HERE = Path(__file__).resolve().parent


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=HERE.parent / "build/release", help="where the programs are")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build/bench/results.json", help="the figures")
    parser.add_argument("--only", default="", help="works whose id contains one of these words (a,b,c)")
    parser.add_argument("--contenders", default="", help="of floor, native, module and the peers (a,b,c)")
    parser.add_argument("--peers", action="store_true", help="measure other servers beside ours")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured a run")
    parser.add_argument("--warmup", type=float, default=0.5, help="seconds before them")
    parser.add_argument("--retries", type=int, default=2, help="of a round that something else disturbed")
    parser.add_argument("--realtime", action="store_true",
                        help="at real-time priority (root): other programs stand still while a run is measured")
    parser.add_argument("--quick", action="store_true", help="one small, short round: does everything run?")
    parser.add_argument("--strict", action="store_true", help="exit code 1 where a bar is not met")
    parser.add_argument("--list", action="store_true", help="the works, and nothing else")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.seconds <= 0 or options.warmup < 0 or options.retries < 0:
        parser.error("--rounds and --seconds must be positive, --warmup and --retries not negative")
    return options


def chosen_works(options: argparse.Namespace) -> list[works.Work]:
    words = [word for word in options.only.split(",") if word]
    chosen = [work for work in works.WORKS if not words or any(word in work.id for word in words)]
    if options.quick:
        return [works.small(work) for work in chosen]
    limit = processes.open_files_limit()
    fitting = [works.within_descriptors(work, limit) for work in chosen]
    for work, fits in zip(chosen, fitting):
        if fits.conns < work.conns:
            print(f"note: {work.id} runs with {fits.conns} connections, not {work.conns}: the hard limit on open "
                  f"files is {limit}", file=sys.stderr)
    return fitting


def chosen_contenders(options: argparse.Namespace) -> list[contenders.Contender]:
    everyone = contenders.ours(options.build)
    if options.peers:
        everyone += contenders.peers(options.build, HERE / "peers")
    words = [word.lower() for word in options.contenders.split(",") if word]
    present = []
    for contender in everyone:
        if words and contender.name != "floor" and not any(word in contender.name.lower() for word in words):
            continue
        missing = contender.missing()
        if not missing:
            present.append(contender)
        elif contender.name == "floor":
            sys.exit(f"run.py: {missing[0]} is missing: build first (`make bench`)")
        else:
            print(f"note: {contender.name} is not measured: {missing[0]} is missing", file=sys.stderr)
    return present


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    chosen = chosen_works(options)
    if options.list:
        for work in chosen:
            print(f"{work.id:20} {work.title}")
        return 0
    if options.realtime and not processes.may_be_realtime():
        sys.exit("run.py: --realtime needs root")
    running = chosen_contenders(options)
    settings = rounds.Settings(options.build, options.rounds, options.seconds, options.warmup, options.retries,
                               options.realtime)
    if options.quick:
        settings = rounds.Settings(options.build, rounds=1, seconds=0.2, warmup=0.1, retries=0)
    # Ended from outside, it ends the server it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = [contender.name for contender in running]
    outcomes = []
    for work in chosen:
        print(f"{work.title} ...", file=sys.stderr, flush=True)
        outcomes.append(rounds.measure(running, work, settings))
        table.write(options.out, outcomes, names, settings)  # What was measured is kept if the rest is not.
    print(table.table(outcomes, names))
    for outcome in outcomes:
        for contender, problem in outcome.problems:
            print(f"{outcome.work.id}, {contender}: {problem}")
    print(f"\nfigures: {options.out}")
    if any(outcome.failures() for outcome in outcomes):
        return 1
    over = any(table.verdict(outcome).startswith("over") for outcome in outcomes)
    return 1 if options.strict and over else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
