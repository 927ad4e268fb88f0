"""What smsgwctl prints of what others have written."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from smsgw.commands.base import print_json, print_table, say
from smsgw.core.ids import CHINA

EVIL = "x\n\x1b]0;title\x07\x9b2J\u202eabc\u2028\0\u4e2d"
SHOWN = r"x\n\x1b]0;title\x07\x9b2J\u202eabc\u2028\x00" + "\u4e2d"


def test_lines_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"content  {EVIL}")
    print_table([{"a": EVIL, "b": [EVIL]}], ("a", "b"), empty="")
    content, _, row = capsys.readouterr().out.splitlines()
    assert (content, row) == (f"content  {SHOWN}", f"{SHOWN}  {SHOWN}")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"content": EVIL})
    text = capsys.readouterr().out
    assert json.loads(text) == {"content": EVIL}
    assert not [c for c in text if c in "\x1b\x9b\u202e\u2028\0\x07"]


@pytest.mark.parametrize(
    ("end", "shown"),
    [(datetime(2026, 12, 6, tzinfo=CHINA), "2026-12-05"), (datetime(2026, 12, 5, 16, tzinfo=UTC), "2026-12-05"),
     (datetime(2026, 12, 5, 16, 30, tzinfo=UTC), "12-06 00:30:00.000")],
)  # fmt: skip
def test_an_end_is_the_day_that_was_given(end: datetime, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"id": 1, "expires_at": end}], ("id", "expires_at"), empty="")
    assert capsys.readouterr().out.splitlines()[1].partition("  ")[2].strip() == shown
