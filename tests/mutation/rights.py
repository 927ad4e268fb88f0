"""Faults in rights, planted one at a time in a copy of the tree, and whether the tests of rights mind.

scripts/mutate --rights [--seed 1] [--count 10]
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mutants import Mutant
from mutating import ROOT, run

TESTS = (
    ("tests/integration/test_rights.py",),
    ("tests/integration/audit/test_service_changes.py::test_a_stranger_changes_nothing_of_another_account",),
    ("tests/integration/portal/test_others_data.py",),
    ("tests/integration/portal/test_foreign_queries.py",),
    ("tests/integration/api/test_foreign_ids.py", "tests/integration/portal/test_reach.py"),
)
"""The quick ones first."""
_BUT = ("-m", "not shard", "-k", "not up_to_date")
"""That docs/rights.md is as it would be made anew minds every change of a declaration, whatever it decides."""
COPIED = ("smsgw", "tests", "docs", "scripts", "setup.cfg", "pyproject.toml")
NO_RIGHTS = {
    "smsgw/platform/keys/queries.py": "k.account_id",  # a filter of the CLI
    "smsgw/platform/links/queries.py": "m.account_id",  # a link's messages are of its account anyway
    "smsgw/platform/policies/frequency.py": "account_id",  # where rules are put, not who looks
    "smsgw/platform/review/rules.py": "account_id",
}
"""Conditions that look like a scope and are none: file -> column."""
_PAGE = re.compile(r'@route\(\s*"(?:GET|POST)", [^,]+, ((P|Permission)\.\w+)')
_SELF = '__import__("smsgw.admin.rights", fromlist=["SELF"]).SELF'
_OPERATION = re.compile(r'Route\(\s*"[A-Z]+",\s*"[^"]+",\s*"(\w+)"')
_SQL_SCOPE = re.compile(r"\(\$(\d+)::bigint\[\] IS NULL OR ([\w.]*(?:account|department)_id = ANY\(\$\1\))\)")
_COVERS = re.compile(r"(?:\w+\.)?actor\.scope\.covers\([^()]+\)")
_ROLE = re.compile(r"\('(\w+)', '[^']+', true, false, '\w+',\s*'\{()")
_KNOWN = re.compile(r"^\| `(\w+)` \| [^|]+ \| \w+ \| ([^|]+) \|$", re.MULTILINE)
_PERMISSION = re.compile(r"^\| `(\w+\.\w+)` \|", re.MULTILINE)


def faults(root: Path) -> dict[str, list[Mutant]]:
    """Every place for each kind of fault."""
    return {
        "page": [
            _mutant(root, path, text, found, 1, to)
            for path, text in _files(root, "smsgw/admin/pages", "*.py") for found in _PAGE.finditer(text)
            for to in (f"{found[2]}.HOME_VIEW", _SELF) if found[1] != to
        ],
        "operation": [
            _mutant(root, path, text, found, 1, to)
            for path, text in _files(root, "smsgw/api", "*.py") for found in _OPERATION.finditer(text)
            for to in ("send", "query") if found[1] != to
        ],
        "scope": [
            _mutant(root, path, text, found, 0, to)
            for path, text in _files(root, "smsgw/platform", "*.py")
            for pattern, to in ((_SQL_SCOPE, "({0} OR true)"), (_COVERS, "({0} or True)"))
            for found in pattern.finditer(text)
            if f" {NO_RIGHTS.get(str(path.relative_to(root)))} = " not in found[0]
        ],
        "role": list(_roles(root)),
    }  # fmt: skip


def _roles(root: Path) -> Iterator[Mutant]:
    """What a role that comes with the program has not."""
    said = (root / "docs/rights.md").read_text("utf-8")
    has = {role: set(re.findall(r"`([^`]+)`", rights)) for role, rights in _KNOWN.findall(said)}
    every = set(_PERMISSION.findall(said)) - {"self.edit"}
    for path, text in _files(root, "smsgw/store/migrations/0300_baseline", "10_people.sql"):
        for found in _ROLE.finditer(text):
            for right in sorted(every - has[found[1]]):
                yield _mutant(root, path, text, found, 2, f"{right},")


def _files(root: Path, folder: str, names: str) -> Iterator[tuple[Path, str]]:
    return ((path, path.read_text("utf-8")) for path in sorted((root / folder).rglob(names)))


def _mutant(root: Path, path: Path, text: str, found: re.Match[str], group: int, to: str) -> Mutant:
    """Another text for a group of what was found."""
    start, was = len(text[: found.start(group)].encode()), found[group]
    line = text.count("\n", 0, found.start(group)) + 1
    return Mutant(str(path.relative_to(root)), start, start + len(was.encode()), to.format(was), line, was)


def drawn(every: dict[str, list[Mutant]], seed: int, count: int) -> list[tuple[str, Mutant]]:
    """So many of them, of each kind in turn: the same with the same seed."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    kinds = {kind: chance.sample(some, len(some)) for kind, some in every.items()}
    return [(kind, kinds[kind][n // len(kinds)]) for n in range(count) for kind in [list(kinds)[n % len(kinds)]]]


def judge(copy: Path, mutant: Mutant) -> tuple[str, str]:
    """What becomes of it, and the test that has killed it."""
    path = copy / mutant.path
    source = path.read_bytes()
    path.write_bytes(mutant.apply(source))
    try:
        return tried(copy)
    finally:
        path.write_bytes(source)


def tried(copy: Path) -> tuple[str, str]:
    """The tests of rights in this tree, as it is."""
    became, by = "survived", ""
    for tests in TESTS:
        if became == "survived":
            became, by = run([*_BUT, *tests], seconds=1800, root=copy, one_test=1500)
    return became, by


def main(arguments: Sequence[str]) -> int:
    """Plant, run, tell; 1 when one has survived."""
    parser = argparse.ArgumentParser(
        prog="scripts/mutate --rights", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    options = parser.parse_args(arguments)
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            there = ROOT / name
            copy = shutil.copytree if there.is_dir() else shutil.copy2
            copy(there, Path(folder, name))
        became, by = tried(Path(folder))
        if became != "survived":
            print(f"without a fault: {became} {by}")
            return 2
        for kind, mutant in drawn(faults(ROOT), options.seed, options.count):
            became, by = judge(Path(folder), mutant)
            survived += became != "killed"
            print(f"{became:9}{kind:10}{mutant}  {by}".rstrip(), flush=True)
    print(f"seed {options.seed}: {options.count} faults, {survived} survived")
    return 1 if survived else 0
