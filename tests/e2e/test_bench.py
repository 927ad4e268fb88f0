"""A short bench run, all processes as in a long one: each message exactly once. Nothing is said about speed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smsgw.bench import kannel


def bench(folder: Path, *arguments: str) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SMSGW_")}
    done = subprocess.run(
        [sys.executable, "-m", "smsgw", "bench", "--data", str(folder), "--json", *arguments],
        capture_output=True, text=True, timeout=150, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("mode", "how"), [("single", "--push"), ("batch", "--pinned"), ("smpp", "--connections=2")])
@pytest.mark.slow
def test_each_message_is_submitted_and_reported_once(mode: str, how: str, tmp_path: Path) -> None:
    result = bench(tmp_path, "--mode", mode, how, "--messages", "1800", "--warm-up", "200", "--report-delay", "20")
    counts = result["counts"]
    assert result["problems"] == []
    assert counts["posted"] == counts["accepted"] == counts["billed"] == 2000
    assert counts["received"] == counts["received_distinct"] == 2000
    assert counts["pulled"] == 2000
    assert counts["statuses"] == {"delivered": 2000}
    assert ("beside it" in result["settings"]) == (how == "--pinned")
    assert 0 <= result["cores"]["idle"] < 1
    if how == "--push":
        assert result["settings"]["pushed"].endswith(", 0 with a wrong signature")
    assert not [line for line in result["daemon_log"] if '"level": "error"' in line or "Traceback" in line]
    assert (result["machine"]["postgres fsync"], result["machine"]["postgres synchronous_commit"]) == (
        "on",
        "on",
    )
    assert not list(tmp_path.glob("smsgw-bench-*")), "the folder is removed"


@pytest.mark.slow
@pytest.mark.skipif(not kannel.installed(), reason="no Kannel here: nothing is held against it")
@pytest.mark.parametrize("mode", ["single", "batch"])
def test_kannel_is_put_under_the_same_load(mode: str, tmp_path: Path) -> None:
    result = bench(tmp_path, "--mode", mode, "--messages", "600", "--warm-up", "100", "--against-kannel")
    assert result["problems"] == []
    against = result["against"]
    assert against["version"].startswith("1.")
    assert against["accepted"] == against["received"] == 600
    assert 500 < against["reported"] <= 600  # Kannel may throw a report away that comes too soon
    assert against["throughput_ratio"] > 0 < against["cpu_ratio"]
    written = result["written"]
    assert 500 < written["wal_octets"] < 50_000
    assert 0 < written["transactions"] < 4
    assert written["dead_versions"] >= 2, "claimed, answered, reported"
    assert not list(tmp_path.glob("smsgw-bench-*")), "the folder is removed"


@pytest.mark.slow
def test_one_that_is_attached_leaves_nothing_when_its_parent_goes(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SMSGW_")}
    with subprocess.Popen(
        [sys.executable, "-m", "smsgw", "bench", "--data", str(tmp_path), "--attached", "--progress", "--modest",
         "--rate", "20", "--messages", "100000", "--within", "140"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        while json.loads(process.stderr.readline())["stage"] != "load":
            pass
        assert list(tmp_path.glob("smsgw-bench-*"))
        process.stdin.close()
        process.stderr.read()
        assert process.wait(60) == 1
    assert not list(tmp_path.glob("smsgw-bench-*")), "the folder is removed"
    left = list[Path]()
    for process_folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended, or is nobody's
            if str(tmp_path).encode() in (process_folder / "environ").read_bytes():
                left.append(process_folder)
    assert not left, "a daemon is left"
