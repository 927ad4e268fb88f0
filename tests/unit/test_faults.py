"""docs/faults.md names tests and families that there are, and every fault of the list."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
DOCUMENT = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([FA]\d+) \| .* \| (.*) \| (.*)\|$", DOCUMENT, re.MULTILINE)
NAMED = [(row, file, test) for row, tests, _ in ROWS for file, test in re.findall(r"`([\w/]+\.py)::(\w+)`", tests)]


def test_every_fault_has_its_line() -> None:
    assert [row for row, _, _ in ROWS] == [f"F{n}" for n in range(1, 42)] + [f"A{n}" for n in range(1, 15)]
    for row, tests, _ in ROWS:
        assert tests.startswith(("`", "none")), f"{row} says neither a test nor why there is none"


@pytest.mark.parametrize(("row", "file", "test"), NAMED)
def test_the_test_of_a_fault_is_there(row: str, file: str, test: str) -> None:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    there = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    names = {name.removeprefix("test_") for name in there} | {
        re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower().removeprefix("test_") for name in there
    }
    assert test in names, f"{row}: no test {test} in {file}"


def test_families_are_those_of_the_rounds() -> None:
    source = (TESTS / "e2e" / "chaos.py").read_text(encoding="utf-8")
    families = set(re.findall(r'^ +f?"([FA]\d+)[.\w{}]*": Family\(', source, re.MULTILINE))
    told = {name for *_, column in ROWS for name in re.findall(r"[FA]\d+", column)}
    assert told == families


def test_there_is_one_place_for_the_figures() -> None:
    text = (TESTS.parent / "docs" / "durability.md").read_text(encoding="utf-8")
    source = (TESTS / "e2e" / "chaos.py").read_text(encoding="utf-8")
    for mark in re.findall(r'"(<!-- chaos: \w+ -->)"', source):
        assert text.count(mark) == 1, mark
