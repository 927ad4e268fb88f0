"""A repeatable sample of mutants, each run against the tests that are near to it.

    scripts/mutate [--sample 100] [--seed 1] [--skip 0] [--seconds 3600] [PATH ...]
    scripts/mutate --rights [--seed 1] [--count 10]                          # faults in rights (rights.py)

No file is changed: the tests run in processes of their own whose import of the one module is changed on its way
(this module is their plugin, too). Survivors are told; docs/mutants.md says what was thought of those before.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

from mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
SOURCES = ("smsgw/core", "smsgw/protocols", "smsgw/pipeline")
TESTS = {
    "smsgw/core": ("tests/unit", "tests/property"),
    "smsgw/protocols": ("tests/unit", "tests/property"),
    "smsgw": ("tests/unit", "tests/integration"),
}
"""Where the tests of a part are; of these, the files that import the module or something that imports it."""
PLUGINS = ("mutating", "pytest_asyncio.plugin", "pytest_timeout", "no:cacheprovider")
"""And no others: loading them all takes longer than most tests."""
ONE_TEST = 60
"""Seconds after which a test is taken for one that never ends."""
_VARIABLE = "SMSGW_MUTANT"


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


# --- inside pytest ---------------------------------------------------------------------------------------------------


class _Changed(importlib.abc.MetaPathFinder, SourceFileLoader):
    """Imports one module as its mutant."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(_module(mutant.path), str(ROOT / mutant.path))
        self._mutant = mutant

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str):  # type: ignore[no-untyped-def]
        return compile(self._mutant.apply(Path(self.path).read_bytes()), self.path, "exec", dont_inherit=True)


if given := os.environ.get(_VARIABLE):
    sys.meta_path.insert(0, _Changed(Mutant(*ast.literal_eval(given))))


# --- which tests -----------------------------------------------------------------------------------------------------


@cache
def _imports(path: Path) -> frozenset[str]:
    """Modules that a file of Python imports itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


@cache
def near(path: str) -> tuple[list[str], list[str]]:
    """Test files that import the module themselves, and those that import something which does (but for property
    tests, which take long)."""
    files = {_module(str(p.relative_to(ROOT))): p for p in (ROOT / "smsgw").rglob("*.py")}
    files |= {p.stem: p for p in (ROOT / "tests").rglob("*.py")}
    folders = next(tests for part, tests in TESTS.items() if path.startswith(part))
    known = {_module(path)}
    rings: list[list[str]] = []
    for _ in range(2):
        ring = {name for name, p in files.items() if name not in known and _imports(p) & known}
        known |= ring
        tests = [str(files[name].relative_to(ROOT)) for name in ring if name.startswith("test_")]
        ours = [test for test in tests if test.startswith(folders) and not (rings and "property" in test)]
        rings.append(sorted(ours, key=lambda test: ("property" in test, Path(path).stem not in test, test)))
    return rings[0], rings[1]


# --- running ---------------------------------------------------------------------------------------------------------


def run(
    tests: Sequence[str], mutant: Mutant | None = None, seconds: float = 600.0, root: Path = ROOT,
    one_test: int = ONE_TEST,
) -> tuple[str, str]:  # fmt: skip
    """What becomes of a mutant (``killed``, ``survived``, ``timeout``), and the test that has killed it."""
    environment = os.environ | {
        "PYTHONPATH": f"{root}:{root / 'tests/mutation'}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    if mutant is not None:
        fields = (mutant.path, mutant.start, mutant.end, mutant.text, mutant.line, mutant.was)
        environment[_VARIABLE] = repr(fields)
    plugins = [word for name in PLUGINS for word in ("-p", name)]
    options = ["-x", "-q", "--no-header", "--tb=no", "-o", f"timeout={one_test}"]
    command = [sys.executable, "-m", "pytest", *options, *plugins, *tests]
    process = subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "timeout", ""
    told = [line for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    failed = [line.partition(" ")[2].partition(" - ")[0] for line in told]  # a name may have blanks
    return ("survived", "") if process.returncode == 0 else ("killed", (failed or [said[-200:]])[0])


@cache
def _sound(test: str) -> bool:
    return run([test])[0] == "survived"


def judge(mutant: Mutant) -> tuple[str, str]:
    """The same by the tests that are near, the nearest first; what they kill they must let pass as it is."""
    became, by = "survived", "no test imports it" if not any(near(mutant.path)) else ""
    for tests in near(mutant.path):
        if tests and became == "survived":
            became, by = run(tests, mutant)
    if became == "killed" and not _sound(by):
        return "unsound", f"fails without it, too: {by}"
    return became, by


def _files(paths: Sequence[str]) -> Iterator[Path]:
    for path in paths:
        there = ROOT / path
        yield from [there] if there.is_file() else sorted(there.rglob("*.py"))


def main() -> None:
    """Draw, run, tell."""
    if sys.argv[1:2] == ["--rights"]:
        import rights  # which imports this module

        sys.exit(rights.main(sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", default=SOURCES, metavar="PATH")
    parser.add_argument("--sample", type=int, default=100, help="mutants (100); 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip", type=int, default=0, help="of the sample, those that were run before")
    parser.add_argument("--seconds", type=float, default=3600.0, help="after which nothing more is begun")
    parser.add_argument("--workers", type=int, default=1, help="at once")
    options = parser.parse_args()
    every = [
        mutant for path in _files(options.paths) for mutant in mutants(str(path.relative_to(ROOT)), path.read_bytes())
    ]
    size = min(options.sample or len(every), len(every))
    drawn = random.Random(options.seed).sample(every, size)[options.skip :]  # noqa: S311 - no secret
    end = time.monotonic() + options.seconds
    counts: Counter[str] = Counter()

    def one(mutant: Mutant) -> tuple[str, str]:
        return judge(mutant) if time.monotonic() < end else ("left out", "")

    with ThreadPoolExecutor(options.workers) as pool:
        for mutant, (became, by) in zip(drawn, pool.map(one, drawn), strict=True):
            counts[became] += 1
            print(f"{became:9}{mutant}  {by}".rstrip(), flush=True)
    told = ", ".join(f"{n} {became}" for became, n in counts.items())
    print(f"seed {options.seed}: {len(every)} mutants, {size} drawn, {options.skip} skipped: {told}")


if __name__ == "__main__":
    main()
