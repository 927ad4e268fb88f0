"""Who waits for a small file does not wait for a machine at rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smsgw.admin.kit.copied_file import NICE, CopiedFile, copied_file
from smsgw.platform.exports.model import Format


def _children() -> set[int]:
    return {int(one) for of in Path("/proc/self/task").glob("*/children") for one in of.read_text().split()}


@pytest.mark.parametrize(("small", "policy", "nice"), [(True, os.SCHED_OTHER, 0), (False, os.SCHED_IDLE, NICE)])
async def test_only_large_files_give_way(tmp_path: Path, small: bool, policy: int, nice: int) -> None:
    wanted = CopiedFile("records", ("number",), "zh", Format.CSV, str(tmp_path / "file.csv"), ("号码",), "m", "t")
    before, own = _children(), os.getpriority(os.PRIO_PROCESS, 0)
    async with copied_file(wanted, small=small) as process:
        (child,) = _children() - before
        assert os.sched_getscheduler(child) == policy
        assert os.getpriority(os.PRIO_PROCESS, child) == (own if small else nice)
        assert await process.take(b"") == 0
        await process.end(["m"])
    assert (tmp_path / "file.csv").read_text("utf-8-sig").startswith("号码")
