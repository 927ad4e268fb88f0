"""Calls of the API that a person may try with a test key, and harmless values in the place of masked ones. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from smsgw.core.words.samples import TEST_TEXT

TEST_NUMBER: Final = "13800138000"
"""Of no phone that anybody is called by; a message of a test key goes to none anyway."""
_MASKED = re.compile(r"<([0-9]{1,6})>")
_DIGITS = re.compile(r"<([0-9]{1,6}) digits>")
_NUMBER = re.compile(r"[0-9]{2,3}\*{4}([0-9]{2,4})")
_NAME = re.compile(r"<[0-9]+>")
MOST_FILLED = 2000
"""Characters of one value."""
CHINESE = frozenset({"content", "sign", "name", "title", "note", "subject", "text"})
"""Names whose texts are Chinese as a rule: the others are filled with letters."""

POSTS = frozenset({
    "POST /messages", "POST /messages/batch", "POST /messages/explain", "POST /messages/query",
    "POST /messages/{id}/cancel",
})  # fmt: skip
"""Calls that change something only as far as a test key goes: what it sends stays in the house."""
GETS = frozenset({
    "GET /messages", "GET /messages/{id}", "GET /messages/{id}/trace", "GET /mo", "GET /mo/{id}", "GET /balance",
    "GET /usage", "GET /templates", "GET /templates/{id}", "GET /signs", "GET /signs/{id}",
})  # fmt: skip
"""Calls that read what test messages have left, or what says nothing of people. Tasks, drafts, files and proofs are the
account's real ones, with whole numbers in them."""
SCOPES = frozenset({"send", "query", "mo", "balance", "template"})
"""Those of a lent key; what is read with others are numbers of people."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A call as people see it."""

    method: str
    path: str
    """Below the base."""
    scope: str
    summary: str
    summary_en: str
    sample: str = ""
    """A body, JSON; empty: it has none."""
    idempotent: bool = False
    streams: bool = False

    @property
    def name(self) -> str:
        """As calls of it are counted."""
        return f"{self.method} {self.path}"

    @property
    def runs(self) -> bool:
        """Whether it may be run, not only signed."""
        return not self.streams and self.scope in SCOPES and self.name in GETS | POSTS


def refilled(body: str) -> str:
    """A masked body with harmless values of the same shape: test numbers with the last digits that were left, texts of
    the same length. Empty: nothing of it was kept. What was cut off is left out."""
    try:
        value = json.loads(body)
    except ValueError:
        return ""
    return json.dumps(_filled("", value), ensure_ascii=False, indent=2)


def _filled(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        items = [(key, one) for key, one in value.items() if key != "…"]
        return {f"name{n}" if _NAME.fullmatch(key) else key: _filled(key, one) for n, (key, one) in enumerate(items, 1)}
    if isinstance(value, list):
        return [_filled(name, one) for one in value if not (isinstance(one, str) and one.startswith("…"))]
    return _text(name, value) if isinstance(value, str) else value


def _text(name: str, value: str) -> Any:
    if found := _NUMBER.fullmatch(value):
        return TEST_NUMBER[: -len(found[1])] + found[1]
    if found := _DIGITS.fullmatch(value):
        return int("1" * min(int(found[1]), 15))
    if found := _MASKED.fullmatch(value):
        length = min(int(found[1]), MOST_FILLED)
        text = TEST_TEXT if name in CHINESE else "test"
        return (text * (length // len(text) + 1))[:length]
    return value
