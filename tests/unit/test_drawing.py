"""The drawing of the modules in docs/architecture.md is of this house: every part is on it, and no other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def parts_of(svg: str) -> set[str]:
    return set(re.findall(r'text-anchor="end">([^<]+)', svg))


def test_the_drawing_shows_the_parts_that_there_are() -> None:
    made = subprocess.run(
        [sys.executable, ROOT / "scripts" / "drawing"], capture_output=True, text=True, check=True, timeout=120
    )
    kept = (ROOT / "docs" / "images" / "modules.svg").read_text(encoding="utf-8")
    parts = parts_of(made.stdout)
    assert len(parts) > 50
    assert parts_of(kept) == parts, "draw it again: scripts/drawing > docs/images/modules.svg"
