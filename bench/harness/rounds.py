"""Rounds: in each, every contender does the same work once, so that what drifts on the machine drifts for all."""

import statistics
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import certificate, door, processes
from harness.contenders import Contender
from harness.works import METRICS, OF_ITSELF, Work

PATH = "/ws/room-{room}"
OURS = ("floor", "native", "module")
# What may stay when all rooms have gone: what the first connection made for good, and one block of 64
# memories (two mappings each) that is kept for the next rooms.
KEPT_MAX = {"descriptors": 16, "mappings": 192}


@dataclass
class Settings:
    build: Path
    rounds: int = 5
    seconds: float = 2.0
    warmup: float = 0.5
    retries: int = 2             # rounds repeated because they were disturbed, a round
    realtime: bool = False       # keeps other programs off the two cores
    others_pct_max: float = 6.0  # of a core, used by anything else while a run was measured


@dataclass
class Outcome:
    """What came of one work."""

    work: Work
    rounds: list[dict[str, dict]] = field(default_factory=list)  # contender (or "NAME/1": itself, as its baseline) -> wsload's report
    disturbed: int = 0                                           # rounds kept although they were disturbed
    problems: list[tuple[str, str]] = field(default_factory=list)  # contender, what went wrong

    def failures(self) -> list[str]:
        """What went wrong with the floor or with us; a peer that cannot do a work is only left out of it."""
        return [what for contender, what in self.problems if contender in OURS]

    def values(self, contender: str) -> list[float]:
        read = METRICS[self.work.metric][1]
        return [read(runs[contender]) for runs in self.rounds if contender in runs]

    def median(self, contender: str) -> float | None:
        values = self.values(contender)
        return statistics.median(values) if values else None

    def score(self, contender: str) -> float | None:
        """The median of the rounds' ratios to the baseline of the same round; the plain median without one."""
        if self.work.baseline == "none":
            return self.median(contender)
        baseline = contender + "/1" if self.work.baseline in OF_ITSELF else "floor"
        read = METRICS[self.work.metric][1]
        ratios = [read(runs[contender]) / read(runs[baseline])
                  for runs in self.rounds if contender in runs and baseline in runs]
        return statistics.median(ratios) if ratios else None


def _run(contender: Contender, work: Work, settings: Settings, shards: int) -> dict:
    port = processes.free_port()
    cores = processes.Cores.shared() if work.baseline == "one_shard" else processes.Cores.apart()
    with tempfile.TemporaryDirectory() as folder:
        work = door.prepared(work, Path(folder))
        with_tls = certificate.make(Path(folder)) if work.tls else None
        with processes.server(contender.command(work, port, shards, with_tls), port, cores.server,
                              Path(folder) / "log", settings.realtime) as pid:
            command = [str(settings.build / "bench/wsload"), *work.load, *work.door, "--conns", str(work.conns),
                       "--payload", str(work.payload), "--path", PATH, "--port", str(port),
                       "--server-pid", str(pid), "--label", contender.name]
            if work.tls:
                command.append("--tls")
            if work.timed:
                command += ["--seconds", str(settings.seconds), "--warmup", str(settings.warmup)]
            return processes.load(command, cores.client, 120 + settings.seconds + settings.warmup, settings.realtime)


def _run_twice_at_most(contender: Contender, work: Work, settings: Settings, shards: int) -> dict:
    try:
        return _run(contender, work, settings, shards)
    except processes.RunFailed as failure:
        print(f"    {contender.name}: {failure}; once more", file=sys.stderr)
        return _run(contender, work, settings, shards)


def _round(contenders: list[Contender], outcome: Outcome, settings: Settings, number: int) -> dict[str, dict]:
    runs: dict[str, dict] = {}
    broken = [name for name, _ in outcome.problems]
    for contender in contenders:
        name = contender.name
        if name in broken or name not in OF_ITSELF.get(outcome.work.baseline, (name,)) or not contender.does(outcome.work):
            continue
        try:
            if outcome.work.baseline == "one_shard":
                runs[name + "/1"] = _run_twice_at_most(contender, outcome.work, settings, shards=1)
                runs[name] = _run_twice_at_most(contender, outcome.work, settings, shards=2)
            elif outcome.work.baseline == "no_settings":
                pair = [(name + "/1", replace(outcome.work, settings=(), door=())), (name, outcome.work)]
                for which, work in pair if number % 2 == 0 else reversed(pair):  # What drifts is first as often as last.
                    runs[which] = _run_twice_at_most(contender, work, settings, shards=1)
            else:
                runs[name] = _run_twice_at_most(contender, outcome.work, settings, shards=1)
        except processes.RunFailed as failure:
            outcome.problems.append((name, str(failure)))
    return runs


def disturbance_pct(runs: dict[str, dict]) -> float:
    """What the worst run of a round shared its cores with; memory is not disturbed by others."""
    return max((run.get("others_cpu_pct", 0.0) for run in runs.values()), default=0.0)


def check(work: Work, run: dict) -> list[str]:
    """What reports say besides a figure. Rooms: all answered, all given back. Handshakes that trickle: all were there
    while others connected, and none was there in the end."""
    problems = []
    for what in ("held", "closed"):
        if run.get(what, work.conns) != work.conns:
            problems.append(f"{run[what]} of {work.conns} handshakes were {what}")
    for number, cycle in enumerate(run.get("cycles", ()), 1):
        if cycle["answered"] != work.conns:
            problems.append(f"{cycle['answered']} of {work.conns} rooms answered in cycle {number}")
        for what in ("descriptors", "mappings"):
            if cycle["after"][what] > run["before"][what] + KEPT_MAX[what]:
                problems.append(f"{what} went from {run['before'][what]} to {cycle['after'][what]} in cycle {number}")
    return problems


def measure(contenders: list[Contender], work: Work, settings: Settings) -> Outcome:
    outcome = Outcome(work)
    for number in range(settings.rounds):
        best: dict[str, dict] = {}
        for _ in range(1 + settings.retries):
            runs = _round(contenders, outcome, settings, number)
            if not best or disturbance_pct(runs) < disturbance_pct(best):
                best = runs
            if disturbance_pct(best) <= settings.others_pct_max:
                break
        if disturbance_pct(best) > settings.others_pct_max:
            outcome.disturbed += 1
        outcome.rounds.append(best)
    for name, run in outcome.rounds[-1].items():
        outcome.problems += [(name, problem) for problem in check(work, run)]
    return outcome
