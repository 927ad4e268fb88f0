"""How full a disk is: one figure, whoever asks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from smsgw.pipeline.accept.disk import DiskGuard
from smsgw.platform.health.sizes import Size, fullest


def test_how_full_a_disk_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(total=2000, used=200, free=600)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert DiskGuard([tmp_path], 0).free_percent == Size("node/1/x", 200, 600, None).free_percent == 75
    found = [Size("node/1/a", 1, 3, None), Size("node/1/b", 1, 1, None), Size("node/11/a", 9, 1, None),
             Size("database", 5, None, None)]  # fmt: skip
    one = fullest(found, 1)
    assert one.object == "node/1/b"
    assert fullest(found, 2) is None
