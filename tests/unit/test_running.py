"""How this suite is run, and that mutants meet its tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
import running
from mutants import mutants
from mutating import ROOT, run as run_mutant

TESTS = Path(__file__).parents[1]


def run(folder: Path, *options: str, **environment: str) -> str:
    """Run the tests of a folder as ``scripts/test`` does; what is printed."""
    marks = "".join(f"    {mark}: x\n" for mark in ("shard(name)", "slow", "root_only", "user_only"))
    (folder / "pytest.ini").write_text(f"[pytest]\ntestpaths = .\nmarkers =\n{marks}")
    plugins = [word for name in ("xdist", "running", "no:cacheprovider") for word in ("-p", name)]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "TEST_"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "-rs", *options], cwd=folder, capture_output=True, text=True,
        env=inherited | {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment, timeout=100,
        check=False,
    )  # fmt: skip
    return done.stderr + done.stdout


SHARDED = """
import pytest
pytestmark = pytest.mark.shard("pages")
def test_of_its_file(): pass
@pytest.mark.shard("core")
def test_of_every_run(): pass
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
@pytest.mark.parametrize(
    ("shard", "ran"),
    [
        ((), {"unmarked", "of_its_file", "of_every_run", "of_the_folder"}),
        (("--shard", "core"), {"unmarked", "of_every_run"}),
        (("--shard", "pages"), {"of_its_file"}),
        (("--shard", "processes"), {"of_the_folder"}),
    ],
)
def test_a_test_is_of_the_shard_of_its_mark_or_of_its_folder(
    workers: tuple[str, ...], shard: tuple[str, ...], ran: set[str], tmp_path: Path
) -> None:
    (tmp_path / "tests" / "e2e").mkdir(parents=True)
    (tmp_path / "tests" / "test_a.py").write_text(SHARDED)
    (tmp_path / "tests" / "test_b.py").write_text("def test_unmarked(): pass\n")
    (tmp_path / "tests" / "e2e" / "test_c.py").write_text("def test_of_the_folder(): pass\n")
    said = run(tmp_path, "-vv", *shard, *workers)
    assert set(re.findall(r"::test_(\w+)", said)) == ran, said


def test_a_whole_run_of_a_shard_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_one(): pass\ndef test_other(): assert False\n")
    run(tmp_path, "--shard", "core", "-k", "one")
    run(tmp_path, "--shard", "core", "--collect-only")
    run(tmp_path, "--shard", "core")
    record = json.loads((tmp_path / "build" / "shards.jsonl").read_text())
    assert (record["shard"], record["passed"], record["failed"], record["status"]) == ("core", 1, 1, 1)


@pytest.mark.parametrize(("second", "waits"), [(35, False), (50, True)])
def test_no_test_begins_at_the_end_of_a_day(second: int, waits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class At(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime(2026, 7, 31, 23, 59, second, tzinfo=tz)

    slept: list[float] = []
    monkeypatch.setattr(running, "datetime", At)
    monkeypatch.setattr(time, "sleep", slept.append)
    running.pytest_runtest_setup()
    assert slept == ([60 - second + 1] if waits else [])


def test_what_takes_long_is_marked_or_named_and_a_skip_fails_a_run_that_must_be_whole(tmp_path: Path) -> None:
    other = "user_only" if os.geteuid() == 0 else "root_only"
    (tmp_path / "test_a.py").write_text(
        "import time, pytest\n"
        "@pytest.mark.slow\ndef test_marked(): time.sleep(0.5)\n"
        "def test_not_marked(): time.sleep(0.5)\n"
        f"@pytest.mark.{other}\ndef test_other(): pass\n"
        "def test_skipped(): pytest.skip('no tshark')\n"
    )
    for how in ((), ("-n", "2", "--dist", "worksteal")):
        said = run(tmp_path, "-q", *how, TEST_PATIENCE="0.001", TEST_REQUIRE_ALL="1")
        assert re.findall(r"^SLOW TEST (\S+): 0\.\d s of 0, and it is not marked so$", said, re.MULTILINE) == [
            "test_a.py::test_not_marked"
        ], said
        assert f"LEFT OUT test_a.py::test_other: {other.replace('_', ' ')}" in said
        assert "no tshark" in said
        assert "TEST_REQUIRE_ALL is set and tests were skipped" in said


SOURCE = b'''
LIMIT = 5

def over(n: int = 0) -> bool:
    """More than 4."""
    log.info("asked", n=1)
    if n < 0 and not quiet:
        complain(n, "x")
    return n > LIMIT

_SQL = """
SELECT id FROM part WHERE id = $1 AND account_id = ANY($2) AND state IN (10, 11) AND id >= $3 ORDER BY id FOR UPDATE
"""
'''


def test_the_mutants_of_a_module() -> None:
    found = [str(one).partition(" ")[2] for one in mutants("x.py", SOURCE)]
    assert found == [
        "`5` → `6`", "`0` → `1`",
        "`n < 0 and not quiet` → `(not quiet)`", "`n < 0 and not quiet` → `(n < 0)`", "`<` → `<=`", "`0` → `1`",
        "`not quiet` → `(quiet)`", '`complain(n, "x")` → `...`', "`>` → `>=`",
        "`account_id = ANY($2)` → `(account_id = ANY($2) OR true)`",
        "`state IN (10, 11)` → `(state IN (10, 11) OR true)`", "`id = $1` → `(id = $1 OR true)`",
        "`FOR UPDATE` → ``", "`10,` → ``",
    ]  # fmt: skip


def test_a_mutant_is_killed_and_the_module_is_left_as_it_is() -> None:
    path = "smsgw/core/cells.py"
    before = (ROOT / path).read_bytes()
    one = next(mutants(path, before))
    became, by = run_mutant(["tests/unit/core/test_cells.py"], one)
    assert (became, by.partition("::")[0]) == ("killed", "tests/unit/core/test_cells.py")
    assert (ROOT / path).read_bytes() == before
