"""Every bad input of the list has a case, a test, or a reason why it has none here."""

import importlib
import pathlib
import re

import pytest

from harness.cases import Case
from harness.entries import ENTRIES

HERE = pathlib.Path(__file__).parent
# A case's id and a test's or attack's description begin with the numbers they are about; a table of reasons is named one of these.
REASONS = ("NOT_HERE", "IN_PLACE_OF")


def numbers_in(text):
    """`H-04 ...`, `R-01, H-02: ...`, `M-09 to M-11 ...`"""
    found = set()
    for letter, first, last in re.findall(r"([A-Z])-(\d\d)(?: to [A-Z]-(\d\d))?", text):
        found |= {f"{letter}-{number:02}" for number in range(int(first), int(last or first) + 1)}
    return found


def description(thing):
    """The first sentence: what comes behind it may speak of other entries."""
    return (thing.__doc__ or "").split(":")[0]


@pytest.fixture(scope="module")
def tables():
    """Entry -> what there is of it: ("case" or "test" or "reason", where, its words)."""
    found = {number: [] for number in ENTRIES}

    def note(kind, where, text):
        for number in numbers_in(text):
            if number in found:
                found[number].append((kind, where, text))

    for file in sorted(HERE.glob("test_*.py")):
        if file.name == pathlib.Path(__file__).name:
            continue
        module = importlib.import_module(file.stem)
        for name, value in vars(module).items():
            if isinstance(value, list):
                for case in value:
                    if isinstance(case, Case):
                        note("case", file.name, case.id)
            elif name in REASONS:
                for entry in value:
                    note("reason", file.name, entry)
            elif isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
                for case in value:
                    note("case", file.name, case)
            elif callable(value) and getattr(value, "__module__", None) == file.stem:
                note("test", file.name, description(value))
    return found


@pytest.mark.parametrize("number", ENTRIES)
def test_every_entry_has_a_case_or_a_reason(tables, number):
    assert tables[number], f"{number} ({ENTRIES[number]}) is nowhere"


def test_reasons_say_something(tables):
    for number, found in tables.items():
        for kind, where, text in found:
            if kind == "reason":
                module = importlib.import_module(where.removesuffix(".py"))
                reason = next(getattr(module, name)[text] for name in REASONS if text in getattr(module, name, {}))
                assert len(reason.split()) >= 4 or ".py" in reason, (number, where, reason)


def test_cases_begin_with_an_entry_that_is_there():
    for file in sorted(HERE.glob("test_bad_*.py")) + [HERE / "test_compression.py"]:
        for value in vars(importlib.import_module(file.stem)).values():
            for case in value if isinstance(value, list) else ():
                if isinstance(case, Case):
                    number = case.id.split(" ")[0]
                    assert number in ENTRIES or number == "D-00", case.id
