"""Which of PostgreSQL's programs a backup is made and loaded with."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgw.store.engine import dumps, embedded


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs of 17 from the distribution; the package has 16 and 18."""
    package = {major: tmp_path / "package" / str(major) for major in (16, 18)}
    own = tmp_path / "17" / "bin"
    for folder in (*package.values(), own):
        folder.mkdir(parents=True)
        for name in ("pg_dump", "pg_restore"):
            (folder / name).touch()
    monkeypatch.setattr(embedded, "programs", lambda: package)
    monkeypatch.setattr(dumps, "OWN_PROGRAMS", (f"{tmp_path}/{{major}}/bin",))
    return own


def test_which_program_dumps_and_which_loads(beside: Path, tmp_path: Path) -> None:
    """What reads a dump must be no older than what has made it."""
    assert dumps._program("pg_restore", 17) == tmp_path / "package" / "18" / "pg_restore"
    # Its release may keep in its catalog what only its own program leaves out.
    assert dumps._program("pg_dump", 17) == beside / "pg_dump"
    (beside / "pg_dump").unlink()
    assert dumps._program("pg_dump", 17) == tmp_path / "package" / "18" / "pg_dump"
