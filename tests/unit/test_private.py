"""Nobody else on the machine reads what we write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smsgw.runtime import private


def test_what_is_there_already_is_closed_for_others_and_for_others_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "journal" / "deeper").mkdir(parents=True)
    (data / "pg").mkdir(mode=0o755)
    for name in ("daemon.lock", "journal/1.log", "journal/deeper/x", "pg/x", "run.sh"):
        (data / name).write_text("x")
        (data / name).chmod(0o644)
    (data / "run.sh").chmod(0o755)
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    (data / "link").symlink_to(outside)
    data.chmod(0o755)
    private.close(data, inside=("journal", "spool"))

    def mode(path: Path) -> int:
        return path.stat().st_mode & 0o777

    assert mode(data) == mode(data / "journal") == 0o700
    assert mode(data / "daemon.lock") == mode(data / "journal" / "1.log") == 0o600
    assert (mode(data / "run.sh"), mode(outside)) == (0o700, 0o644)
    assert mode(data / "pg" / "x") == 0o644, "PostgreSQL's own affair"


def test_new_folders_are_closed_and_those_of_all_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    try:
        private.close(tmp_path / "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    changed: list[Path] = []
    monkeypatch.setattr(Path, "chmod", lambda path, _: changed.append(path))
    private.close(Path("/"))
    private.close(Path("/usr/.."))
    private.close(Path("/usr"))
    assert [path for path in changed if path.is_dir()] == []


@pytest.mark.parametrize(("mode", "owner"), [(0o1777, -1), pytest.param(0o755, 65534, marks=pytest.mark.root_only)])
def test_a_folder_for_all_or_of_another_user_stays_as_it_is(tmp_path: Path, mode: int, owner: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(mode)
    os.chown(folder, owner, owner)
    private.close(folder)
    assert folder.stat().st_mode & 0o7777 == mode


def test_the_unit_leaves_no_core_and_sees_no_history() -> None:
    unit = Path(__file__).parents[2] / "systemd" / "smsgw.service"
    lines = unit.read_text("utf-8").splitlines()
    assert "LimitCORE=0" in lines
    assert "InaccessiblePaths=-/opt/smsgw/.git" in lines
