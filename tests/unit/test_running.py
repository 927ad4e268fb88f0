"""How this suite is run: what runs alone does, and what takes long says so."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def run(folder: Path, *options: str, **environment: str) -> str:
    """Run the tests of a folder as ``scripts/test`` does; what is printed."""
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n    serial: alone\n    slow: takes long\n    root_only: x\n    user_only: x\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "xdist",
            "-p",
            "running",
            "-p",
            "no:cacheprovider",
            "-rs",
            *options,
            ".",
        ],
        cwd=folder,
        env={k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "TEST_"))}
        | {"PYTHONPATH": str(TESTS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout


TIMED = """
import pathlib, time, pytest

def spend(name, seconds=0.15):
    began = time.monotonic()
    time.sleep(seconds)
    with open("times", "a") as file:
        file.write(f"{name} {began} {time.monotonic()}\\n")
"""


@pytest.mark.parametrize("workers", ["1", "3"])
def test_what_is_serial_runs_after_all_others_and_alone(workers: str, tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        TIMED
        + "@pytest.mark.serial\n@pytest.mark.parametrize('n', range(3))\ndef test_alone(n): spend('alone')\n"
        + "@pytest.mark.parametrize('n', range(10))\ndef test_beside(n): spend('beside', 0.1 * (n % 3))\n"
    )
    said = run(tmp_path, "-q", "-n", workers, "--dist", "worksteal")
    assert re.search(r"^13 passed in .*$", said.splitlines()[-1]), said
    times = [line.split() for line in (tmp_path / "times").read_text().splitlines()]
    alone = [(float(a), float(b)) for name, a, b in times if name == "alone"]
    beside = [(float(a), float(b)) for name, a, b in times if name == "beside"]
    assert (len(alone), len(beside)) == (3, 10)
    assert max(end for _, end in beside) <= min(begin for begin, _ in alone)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(alone))


@pytest.mark.parametrize(("serial", "others"), [(1, 0), (2, 1), (0, 2)])
def test_few_tests_for_many_workers(serial: int, others: int, tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import pytest\n"
        + "".join(f"@pytest.mark.serial\ndef test_s{n}(): pass\n" for n in range(serial))
        + "".join(f"def test_o{n}(): pass\n" for n in range(others))
    )
    said = run(tmp_path, "-q", "-n", "3", "--dist", "worksteal")
    assert said.splitlines()[-1].startswith(f"{serial + others} passed"), said


def test_a_worker_that_dies_takes_nothing_else_along(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import os, pytest\n"
        "@pytest.mark.serial\n@pytest.mark.parametrize('n', range(3))\ndef test_alone(n): n == 1 and os._exit(1)\n"
        "@pytest.mark.parametrize('n', range(6))\ndef test_beside(n): n == 2 and os._exit(1)\n"
    )
    said = run(tmp_path, "-q", "-n", "2", "--dist", "worksteal")
    assert said.splitlines()[-1].startswith("2 failed, 7 passed"), said


def test_a_run_ends_though_its_workers_do_not(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text("def test_a(): pass\n")
    (tmp_path / "conftest.py").write_text(
        "import time\nfrom xdist.workermanage import NodeManager\n"
        "NodeManager.teardown_nodes = lambda self: time.sleep(90)\n"
    )
    began = time.monotonic()
    run(tmp_path, "-q", "-n", "1", TEST_END_WITHIN="1")
    assert time.monotonic() - began < 80


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_what_takes_long_is_marked_or_named(workers: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(
        "import time, pytest\n"
        "@pytest.mark.slow\ndef test_marked(): time.sleep(0.5)\n"
        "def test_not_marked(): time.sleep(0.5)\n"
        "def test_quick(): pass\n"
    )
    said = run(tmp_path, "-q", *workers, TEST_PATIENCE="0.001")
    assert re.findall(r"^SLOW TEST (\S+): 0\.\d s of 0, and it is not marked so$", said, re.MULTILINE) == [
        "test_a.py::test_not_marked"
    ], said
    assert said.splitlines()[-1].startswith("3 passed"), said


def test_what_is_made_of_a_day_is_made_anew_when_that_is_over(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import datetime, running\nrunning._BEGAN = datetime.date(2000, 1, 1)\n"
    )
    (tmp_path / "test_a.py").write_text(
        "import itertools\n"
        "COUNT = itertools.count()\n"
        "class clock: now = staticmethod(lambda: next(COUNT))\n"
        "AT: int = clock.now()\n"
        "AFTER = AT + 10\n"
        "OTHER = next(COUNT)\n"
        "def test_first(): assert (AT, AFTER, OTHER) == (2, 12, 1)\n"
        "def test_second(): assert (AT, AFTER, OTHER) == (2, 12, 1), 'once a day'\n"
    )
    assert run(tmp_path, "-q").splitlines()[-1].startswith("2 passed")


def test_what_is_left_out_is_named_and_a_skip_fails_a_run_that_must_be_whole(tmp_path: Path) -> None:
    other = "user_only" if os.geteuid() == 0 else "root_only"
    (tmp_path / "test_a.py").write_text(
        f"import pytest\n@pytest.mark.{other}\ndef test_other(): pass\n"
        "def test_skipped(): pytest.skip('no tshark')\ndef test_one(): pass\n"
    )
    for how in ((), ("-n", "2", "--dist", "worksteal")):
        said = run(tmp_path, "-q", *how, TEST_REQUIRE_ALL="1")
        assert f"LEFT OUT test_a.py::test_other: {other.replace('_', ' ')}" in said
        assert "no tshark" in said
        assert "TEST_REQUIRE_ALL is set and tests were skipped" in said


@pytest.mark.parametrize(
    ("fails", "runs", "passes"),
    [
        pytest.param("1", 2, True, id="one that fails beside others only"),
        pytest.param("9", 2, False, id="one that fails alone, too"),
        pytest.param("many", 1, False, id="more than a few"),
        pytest.param("skips", 1, False, id="one, in a run that was not whole"),
    ],
)
def test_what_failed_beside_others_runs_once_more_alone(
    fails: str, runs: int, passes: bool, tmp_path: Path
) -> None:
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "suite").write_bytes((TESTS.parent / ".ci" / "suite").read_bytes())
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "test").write_text(
        f"#!/bin/sh\ncd '{tmp_path}'; echo run >> runs\n"
        f"exec '{sys.executable}' -m pytest -p running -p no:asyncio -q \"$@\" test_a.py\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    root_only: x\n    user_only: x\n")
    (tmp_path / "test_a.py").write_text(
        "import os, pathlib, pytest\n"
        "FAILS, RUN = os.environ['FAILS'], len(pathlib.Path('runs').read_text().splitlines())\n"
        "def test_good(): assert RUN == 1, 'it passed'\n"
        "def test_bad(): assert FAILS == 'many' or RUN > (1 if FAILS == 'skips' else int(FAILS))\n"
        "@pytest.mark.parametrize('n', range(9))\ndef test_more(n): assert FAILS != 'many'\n"
        "def test_skipped():\n    if FAILS == 'skips': pytest.skip('not here')\n"
    )
    (tmp_path / "scripts" / "test").chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "TEST_"))}
    done = subprocess.run(
        ["sh", str(tmp_path / ".ci" / "suite")],
        env=environment | {"PYTHONPATH": str(TESTS), "FAILS": fails, "TEST_REQUIRE_ALL": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert len((tmp_path / "runs").read_text().splitlines()) == runs, done.stdout + done.stderr
    assert (done.returncode == 0) is passes, done.stdout + done.stderr
    assert ("once more, alone:\n  test_a.py::test_bad\n" in done.stdout) is (runs == 2), done.stdout
