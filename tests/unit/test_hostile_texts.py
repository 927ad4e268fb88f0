"""Every check of a text, against texts that are made to be dear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from adversarial import ACCOUNT, BOUND, TEXTS, checker, dear
from bad_texts import REFUSALS, over

from smsgw.core import numbers, text
from smsgw.core.errors import SmsgwError
from smsgw.core.keywords import Plain, Word, WordFilter
from smsgw.core.model import MessageType, Origin
from smsgw.core.optout import DEFAULT_WORDS, wants_out
from smsgw.core.printable import printable
from smsgw.core.templates import variables_of
from smsgw.core.text import Coding
from smsgw.core.udh import InvalidUdh
from smsgw.core.udh import parse as parse_udh
from smsgw.core.url_filings import found_in, target_of
from smsgw.core.variables import Template as Text
from smsgw.pipeline.accept.checks import MAX_CHARACTERS, Checker
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.store.config import traditional

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ON = {
    "sign_policy": "approved", "templates_only": "on", "review": "untemplated", "filed_links": "marketing",
    "optout": "append",
}  # fmt: skip


def call(check: Checker, kind: MessageType) -> Callable[[str], object]:
    def run(content: str) -> object:
        request = SendRequest(ACCOUNT, (SendItem("13800138000", content),), kind, Origin.API, "key")
        return check.check(request, check.snapshot, NOW, NOW, explain=True)

    return run


@pytest.mark.parametrize("size", [MAX_CHARACTERS - 4, None], ids=["allowed", "any length"])
@pytest.mark.parametrize("changes", [{}, ON, ON | {"templates_only": "off"}], ids=["default", "templates", "all"])
def test_a_call_with_one_text(changes: dict[str, str], size: int | None) -> None:
    """The parts of a batch are many: what one text may cost is a fraction of what one call may."""
    check = checker(**changes)
    bound = BOUND if size is None else BOUND / 2
    for kind in (MessageType.NOTICE, MessageType.MARKETING):
        assert not dear(over(call(check, kind), {name: text[:size] for name, text in TEXTS.items()}), bound)


class Unread:
    """Settings that nobody may look at."""

    @property
    def optout_words(self) -> tuple[str, ...]:
        raise AssertionError("looked")


def test_what_is_too_long_is_refused_before_anything_looks_at_it() -> None:
    check = checker(**ON)
    check.snapshot = replace(check.snapshot, settings=Unread())  # type: ignore[arg-type]
    with pytest.raises(SmsgwError) as refused:
        call(check, MessageType.NOTICE)("{" * 60_000)
    assert refused.value.code == "CONTENT_TOO_LONG"


def test_a_batch_of_braces() -> None:
    check = checker()
    items = tuple(SendItem(f"138{n:08}", "{" * (MAX_CHARACTERS - 10) + str(n)) for n in range(900))
    request = SendRequest(ACCOUNT, items, MessageType.NOTICE, Origin.API, "key")
    assert not dear({"batch": lambda: check.check(request, check.snapshot, NOW, NOW)}, 10 * BOUND)


def octets(given: str) -> bytes:
    return given.encode("utf-8", "surrogatepass")[: 64 * 1024]


FUNCTIONS: dict[str, Callable[[str], Any]] = {
    "core.links.found_in": lambda t: found_in(t[:MAX_CHARACTERS]),
    "core.links.target_of": target_of,
    "core.optout.wants_out": lambda t: wants_out(t, DEFAULT_WORDS),
    "core.numbers.normalize": numbers.normalize,
    "core.numbers.tail": numbers.tail,
    "core.numbers.mask": numbers.mask,
    "core.printable.printable": printable,
    "core.templates.variables_of": lambda t: variables_of(t, {}),
    "core.variables.Template": Text,
    "core.variables.fill": lambda t: Text(t[:2000]).fill(["x" * 200] * len(Text(t[:2000]).names)),
    "core.text.choose": text.choose,
    "core.udh.parse": lambda t: parse_udh(octets(t)),
    **{f"core.text.decode {c.value}": lambda t, c=c: text.decode(octets(t), c) for c in Coding},
    **{f"core.text.count_parts {c.value}": lambda t, c=c: text.count_parts(t, c) for c in Coding},
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_looks_at_texts(name: str) -> None:
    assert not dear(over(FUNCTIONS[name], refusals=(*REFUSALS, InvalidUdh)))


def test_words() -> None:
    check = WordFilter([Word("赌博"), Word("sex"), *(Word("a" * n) for n in range(1, 20))], Plain(traditional.load()))
    assert not dear(over(lambda given: check.find(given[:MAX_CHARACTERS])), BOUND / 2)
