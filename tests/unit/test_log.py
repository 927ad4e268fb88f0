"""Log lines in which others have a word."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

EVIL = "x\n2026-01-01 [error] forged\r\x1b[2J\x9b2J\u202eabc\u2028\0\u4e2d"
SCRIPT = f"""
import sys, structlog
from smsgw import log
log.setup("info", sys.argv[1])
structlog.get_logger("t").warning("partner.wrong_login", user={EVIL!r}, n=1)
import logging
logging.getLogger("library").warning("said %s", {EVIL!r})
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("t").exception("task.failed", peer={EVIL!r})
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_others_make_no_lines_and_steer_no_terminal(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, form],
        capture_output=True,
        timeout=30,
        check=True,
        env={"NO_COLOR": "1"},
    )
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr.decode())  # the colours are our own
    lines = text.splitlines()
    assert not [c for c in text if c in "\r\x1b\x9b\u202e\u2028\0"]
    assert not [line for line in lines if line.startswith("2026-01-01")]
    assert "\u4e2d" in text, "what is text stays text"
    if form == "json":
        first, library, failed = map(json.loads, lines)
        assert first["user"] == library["event"].removeprefix("said ") == failed["peer"]
        assert "ZeroDivisionError" in failed["exception"]
        assert "\n" in failed["exception"], "a stack keeps its lines"
