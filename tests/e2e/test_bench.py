"""A short bench run, all processes as in a long one: each message exactly once. Nothing is said about speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def bench(folder: Path, *arguments: str) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SMSGW_")}
    done = subprocess.run(
        [sys.executable, "-m", "smsgw", "bench", "--data", str(folder), "--json", *arguments],
        capture_output=True, text=True, timeout=150, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("mode", "how"), [("single", "--push"), ("batch", "--pullers=2"), ("smpp", "--connections=2")])
@pytest.mark.slow
def test_each_message_is_submitted_and_reported_once(mode: str, how: str, tmp_path: Path) -> None:
    result = bench(tmp_path, "--mode", mode, how, "--messages", "1800", "--warm-up", "200", "--report-delay", "20")
    counts = result["counts"]
    assert result["problems"] == []
    assert counts["posted"] == counts["accepted"] == counts["billed"] == 2000
    assert counts["received"] == counts["received_distinct"] == 2000
    assert counts["pulled"] == 2000
    assert counts["statuses"] == {"delivered": 2000}
    if how == "--push":
        assert result["settings"]["pushed"].endswith(", 0 with a wrong signature")
    assert not [line for line in result["daemon_log"] if '"level": "error"' in line or "Traceback" in line]
    assert (result["machine"]["postgres fsync"], result["machine"]["postgres synchronous_commit"]) == (
        "on",
        "on",
    )
    assert not list(tmp_path.glob("smsgw-bench-*")), "the folder is removed"
