"""What ``scripts/test --fast`` runs for a change."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AFFECTED = runpy.run_path(str(ROOT / "scripts" / "affected"))["affected"]
ALWAYS = ["tests/unit", "tests/property"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "tests" / "integration"
    (folder / "api").mkdir(parents=True)
    (folder / "test_a.py").write_text("from smsgw.store import engine\nimport ledger\n")
    (folder / "test_b.py").write_text("async def test():\n    from smsgw.store.engine import leases\n")
    (folder / "api" / "test_c.py").write_text("import smsgw.api.app\n")
    return tmp_path


def path_of(test: str) -> str:
    folder, _, name = test.rpartition("/")
    return f"tests/integration/{folder}{'/' if folder else ''}test_{name}.py"


@pytest.mark.parametrize(
    ("file", "tests"),
    [
        ("smsgw/store/engine/leases.py", ["b"]), ("smsgw/store/engine/__init__.py", ["a", "b"]),
        ("smsgw/api/app.py", ["api/c"]), ("smsgw/api/other.py", []), ("tests/integration/ledger.py", ["a"]),
        ("tests/integration/api/test_c.py", ["api/c"]), ("tests/e2e/test_nodes.py", []),
        ("tests/integration/test_removed.py", []), ("docs/api.md", []),
    ],
)  # fmt: skip
def test_the_tests_of_a_change(file: str, tests: list[str], checkout: Path) -> None:
    assert AFFECTED([file], checkout) == [*ALWAYS, *map(path_of, tests)]
