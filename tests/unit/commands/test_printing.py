"""What smsgwctl prints of what others have written."""

from __future__ import annotations

import json

import pytest

from smsgw.commands.base import print_json, print_table, say

EVIL = "x\n\x1b]0;title\x07\x9b2J\u202eabc\u2028\0\u4e2d"
SHOWN = r"x\n\x1b]0;title\x07\x9b2J\u202eabc\u2028\x00" + "\u4e2d"


def test_lines_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"content  {EVIL}")
    print_table([{"a": EVIL, "b": [EVIL]}], ("a", "b"), empty="")
    content, _, row = capsys.readouterr().out.splitlines()
    assert content == f"content  {SHOWN}"
    assert row == f"{SHOWN}  {SHOWN}"


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"content": EVIL})
    text = capsys.readouterr().out
    assert json.loads(text) == {"content": EVIL}
    assert not [c for c in text if c in "\x1b\x9b\u202e\u2028\0\x07"]
