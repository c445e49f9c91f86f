"""The table and the file that come out of it."""

import json
import platform
from pathlib import Path

from harness.rounds import Outcome, Settings
from harness.works import METRICS, OF_ITSELF


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "B" and abs(value) >= 10_240:
        return f"{value / 1024:.1f} KiB"
    return f"{value:,.0f} {unit}"


def _score(outcome: Outcome, contender: str) -> str:
    score = outcome.score(contender)
    if score is None or outcome.work.baseline == "none":
        return _figure(score, METRICS[outcome.work.metric][0])
    return f"{score:.2f}x"


def _bar(outcome: Outcome) -> str:
    bar, unit = outcome.work.bar, METRICS[outcome.work.metric][0]
    figures = dict.fromkeys((bar.native, bar.module))
    if outcome.work.baseline == "none":
        return " / ".join(_figure(figure, unit) for figure in figures)
    return " / ".join(f"{figure:.2f}x" for figure in figures)


def verdict(outcome: Outcome) -> str:
    """ok, over (and who), or what went wrong; "-" where none of ours ran."""
    if outcome.failures():
        return "FAILED"
    scores = {name: outcome.score(name) for name in ("native", "module")}
    if all(score is None for score in scores.values()):
        return "-"
    over = [name for name, score in scores.items() if score is not None and score > getattr(outcome.work.bar, name)]
    return "over: " + ", ".join(over) if over else "ok"


def _row(outcome: Outcome, contenders: list[str]) -> list[str]:
    unit = METRICS[outcome.work.metric][0]
    base = OF_ITSELF[outcome.work.baseline][0] + "/1" if outcome.work.baseline in OF_ITSELF else "floor"
    cells = [outcome.work.title, _figure(outcome.median(base), unit)]
    cells += [_score(outcome, name) for name in contenders if name != "floor"]
    note = f" ({outcome.disturbed} of {len(outcome.rounds)} rounds disturbed)" if outcome.disturbed else ""
    return [*cells, _bar(outcome), verdict(outcome) + note]


def table(outcomes: list[Outcome], contenders: list[str]) -> str:
    rows = [["work", "floor", *(name for name in contenders if name != "floor"), "bar", ""]]
    rows += [_row(outcome, contenders) for outcome in outcomes]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) if column == 0 or column == len(row) - 1 else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(row, widths))]
        lines.append("| " + " | ".join(cells) + " |")
        if number == 0:
            lines.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _machine() -> dict:
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"cpu": model, "kernel": platform.release(), "architecture": platform.machine()}


def write(path: Path, outcomes: list[Outcome], contenders: list[str], settings: Settings) -> None:
    works = []
    for outcome in outcomes:
        works.append({
            "id": outcome.work.id,
            "title": outcome.work.title,
            "unit": METRICS[outcome.work.metric][0],
            "baseline": outcome.work.baseline,
            "bar": {"native": outcome.work.bar.native, "module": outcome.work.bar.module},
            "floor": outcome.median("floor"),
            "median": {name: outcome.median(name) for name in contenders},
            "score": {name: outcome.score(name) for name in contenders if name != "floor"},
            "verdict": verdict(outcome),
            "disturbed_rounds": outcome.disturbed,
            "problems": outcome.problems,
            "rounds": outcome.rounds,
        })
    document = {
        "machine": _machine(),
        "rounds": settings.rounds,
        "seconds": settings.seconds,
        "warmup": settings.warmup,
        "works": works,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
