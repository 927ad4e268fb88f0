"""What may lie among the migrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from smsgw.store.engine.migrate import migrations_in


def lay(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"-- {name}\n")
    return folder


def test_files_and_folders_are_read_in_order(tmp_path: Path) -> None:
    lay(tmp_path, "0302_b.sql", "0301_a/02_y.sql", "0301_a/01_x.sql", "__init__.py")
    assert [(m.number, m.name, m.sql) for m in migrations_in(tmp_path)] == [
        (301, "0301_a", "-- 0301_a/01_x.sql\n\n-- 0301_a/02_y.sql\n"),
        (302, "0302_b.sql", "-- 0302_b.sql\n"),
    ]


@pytest.mark.parametrize("name", ["0301_x.post.sql", "301_x.sql", "0301_x.sql~", "0301-x.sql", "0301_X.sql", "README"])
def test_a_file_that_is_no_migration_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not a migration") as refused:
        migrations_in(lay(tmp_path, "0300_a.sql", name))
    assert name in str(refused.value)


@pytest.mark.parametrize("names", [("0301_a.sql", "0301_b.sql"), ("0301_a.sql", "0301_a/01_x.sql")])
def test_two_migrations_of_one_number_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="have the same number"):
        migrations_in(lay(tmp_path, *names))


@pytest.mark.parametrize("name", ["0301_a/x.sql", "0301_a/02_x.post.sql", "0301_a/02_x.sql.orig"])
def test_a_strange_file_in_the_folder_of_a_migration_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not part of migration 0301_a"):
        migrations_in(lay(tmp_path, "0301_a/01_x.sql", name))
