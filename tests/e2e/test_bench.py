"""Short bench runs, all processes as in long ones: each message exactly once. Nothing is said about speed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from harness import processes

from smsgw.bench import kannel
from smsgw.bench.processes import children
from smsgw.core.ids import CHINA
from smsgw.store.engine.embedded import EmbeddedPostgres

pytestmark = pytest.mark.shard("volume")


COMMAND = [sys.executable, "-m", "smsgw", "bench", "--json", "--data"]
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("SMSGW_")}


def bench(folder: Path, *arguments: str) -> dict[str, Any]:
    """A run that ends well, and leaves nothing in its folder."""
    done = subprocess.run(
        [*COMMAND, str(folder), *arguments], capture_output=True, text=True, timeout=150, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(folder.glob("smsgw-bench-*")), "the folder is removed"
    return json.loads(done.stdout)


def begun(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """One that tells how far it is."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*COMMAND, str(folder), "--progress", *arguments], **pipes, text=True, env=ENVIRONMENT)  # type: ignore[call-overload]


def exactly(result: dict[str, Any], messages: int) -> None:
    counts = result["counts"]
    assert result["problems"] == []
    assert counts["posted"] == counts["accepted"] == counts["billed"] == messages
    assert counts["received"] == counts["received_distinct"] == counts["pulled"] == messages
    assert counts["statuses"] == {"delivered": messages}


@pytest.mark.parametrize(
    ("mode", "how"),
    [("single", "--push"), ("batch", "--pinned"), ("smpp", "--connections=2"), ("single", "--accounts=3")],
)
@pytest.mark.slow
def test_each_message_is_submitted_and_reported_once(mode: str, how: str, tmp_path: Path) -> None:
    result = bench(tmp_path, "--mode", mode, how, "--messages", "1800", "--warm-up", "200", "--report-delay", "20")
    exactly(result, 2000)
    assert ("beside it" in result["settings"]) == (how == "--pinned")
    assert ("accounts" in result["settings"]) == (how == "--accounts=3")
    assert 0 <= result["cores"]["idle"] < 1
    if how == "--push":
        assert result["settings"]["pushed"].endswith(", 0 with a wrong signature")
    assert not [line for line in result["daemon_log"] if '"level": "error"' in line or "Traceback" in line]
    assert {result["machine"][f"postgres {name}"] for name in ("fsync", "synchronous_commit")} == {"on"}


@pytest.mark.parametrize(
    ("profile", "how"),
    [
        ("steady", "batches of 100, 1,000 messages/s"),
        ("flood", "batches of 100, as fast as answers come"),
        ("day", "batches of 10, 58 messages/s, 1,000/s for 1 s in the middle"),
        ("personalised", "batches of 100, a template with each recipient's values, as fast as answers come"),
        ("smpp", "submits over SMPP, window 200, as fast as answers come"),
        ("cmpp", "submits over CMPP, window 200, as fast as answers come"),
    ],
)
@pytest.mark.slow
def test_each_profile_carries_each_message_once(profile: str, how: str, tmp_path: Path) -> None:
    result = bench(
        tmp_path, "--profile", profile, "--messages", "1200", "--warm-up", "100", "--report-delay", "20",
        "--burst-seconds", "1", "--hasty",
    )  # fmt: skip
    exactly(result, 1300)
    assert f"{result['settings']['posts']}, {result['settings']['pace']}" == how
    calls = {"batches of 100": 12, "batches of 10": 120}.get(how.partition(",")[0], 1200)
    assert sum(result["accept_spread"]) == calls
    if result["balanced"]:
        assert len(result["carried"]) > 1, "they share it: one that is slow to ask finds little left"


@pytest.mark.parametrize("whose", ["the same account", "an account of their own"])
@pytest.mark.slow
def test_codes_are_told_apart_from_what_they_come_beside(whose: str, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    result = bench(
        tmp_path, "--profile", "otp", "--messages", "4000", "--rate", "2000", "--warm-up", "100", "--report-delay",
        "20", "--hasty", "--report", str(report), *(["--codes-account"] if whose != "the same account" else []),
    )  # fmt: skip
    codes = result["codes"]
    assert 10 < codes["posted"] < 1000
    exactly(result, 4100 + codes["posted"])
    assert result["settings"]["codes"] == f"20/s, one a post, by {whose}"
    for name in ("accept", "post_to_carrier", "post_to_report"):
        assert 0 < codes[name]["p50"] <= codes[name]["p99"]
        assert codes[name] != result[name]
    page = report.read_text("utf-8")
    assert "S20b" in page
    assert f"共 {codes['posted']:,} 条" in page


@pytest.mark.parametrize("what", ["database", "daemon"])
@pytest.mark.slow
def test_what_dies_under_load_takes_nothing_along(what: str, tmp_path: Path) -> None:
    result = bench(
        tmp_path, "--mode", "batch", "--batch", "20", "--kill", what, "--messages", "3000", "--rate", "1000",
        "--warm-up", "100", "--report-delay", "20",
    )  # fmt: skip
    counts = result["counts"]
    assert result["problems"] == []
    assert counts["posted"] == counts["accepted"] == counts["billed"] == 3100
    assert counts["pulled"] + counts["unknown"] == 3100
    assert counts["received_again"] == counts["pulled_again"] == 0
    assert result["fault"]["what"] == what
    assert 0 < result["fault"]["seconds"] < 60
    if what == "database":
        assert counts["unknown"] == 0, "what waits in memory is entered when it is back"
        assert counts["received_distinct"] == 3100
    else:
        assert counts["repeated_calls"], "somebody had posted and got no answer"
        assert 3100 - counts["unknown"] <= counts["received_distinct"] <= 3100


@pytest.mark.parametrize("victim", ["backend", "postmaster"])
@pytest.mark.slow
def test_a_crash_of_the_database_that_nobody_asked_for_fails_the_run(victim: str, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    with begun(
        tmp_path, "--hasty", "--mode", "batch", "--batch", "20", "--messages", "3000", "--rate", "500", "--warm-up",
        "100", "--report-delay", "20", "--report", str(report),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        while (said := json.loads(process.stderr.readline()))["stage"] != "load" or said["accepted"] < 500:
            pass
        (folder,) = tmp_path.glob("smsgw-bench-*")
        postmaster = EmbeddedPostgres(folder / "data")._postmaster()
        assert postmaster
        began = datetime.now(CHINA)
        if victim == "postmaster":
            os.kill(postmaster, signal.SIGKILL)
        else:
            command = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children(postmaster)}
            os.kill(next(pid for pid, words in command.items() if b" [local] " in words), signal.SIGSEGV)
        out, err = process.communicate(timeout=150)
    assert process.returncode == 1, out + err
    result = json.loads(out)
    assert result["counts"]["accepted"] == result["counts"]["pulled"] == 3100, "customers have seen nothing of it"
    cause = "was terminated by signal 11" if victim == "backend" else "database system was interrupted"
    (outage,) = [one for one in result["outages"] if cause in one["cause"]]
    assert outage["what"] == "database"
    at = datetime.strptime(outage["at"], "%Y-%m-%d %H:%M:%S.%f %z")
    assert 0 <= (at - began).total_seconds() + 0.001 < 60
    assert any(outage["at"] in problem and cause in problem for problem in result["problems"])
    page = report.read_text("utf-8")
    assert cause in page
    assert "达到 0 项" in page


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


@pytest.mark.slow
def test_one_that_is_attached_leaves_nothing_when_its_parent_goes(tmp_path: Path) -> None:
    with begun(
        tmp_path, "--attached", "--modest", "--rate", "20", "--messages", "100000", "--within", "140"
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        while json.loads(process.stderr.readline())["stage"] != "load":
            pass
        assert list(tmp_path.glob("smsgw-bench-*"))
        process.stdin.close()
        process.stderr.read()
        assert process.wait(60) == 1
    assert not list(tmp_path.glob("smsgw-bench-*")), "the folder is removed"
    assert not processes(tmp_path), "a daemon is left"
