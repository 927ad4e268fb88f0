"""Checks of texts, filters, forms and other readers, against texts that are made to be dear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from adversarial import ACCOUNT, BOUND, TEXTS, checker, dear
from bad_texts import REFUSALS, over

from smsgw.admin.kit import discovery
from smsgw.admin.kit.filters import Filter
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form
from smsgw.admin.kit.imports import ImportPage
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.kit.numbers import MOST_CHARACTERS, recipients
from smsgw.admin.pages.person.palette import MOST_QUERY, rank
from smsgw.admin.words.agents import device
from smsgw.admin.words.pinyin import PINYIN
from smsgw.core import numbers, text
from smsgw.core.brand import LONGEST, name_of, parse_host, parse_look
from smsgw.core.errors import SmsgwError
from smsgw.core.keywords import Action, Plain, Word, WordFilter
from smsgw.core.model import MessageType, Origin
from smsgw.core.number_parsing import pieces
from smsgw.core.optout import DEFAULT_WORDS, wants_out
from smsgw.core.printable import printable
from smsgw.core.templates import variables_of
from smsgw.core.text import Coding
from smsgw.core.udh import InvalidUdh, parse as parse_udh
from smsgw.core.url_filings import found_in, target_of
from smsgw.core.variables import Template as Text
from smsgw.pipeline.accept.checks import MAX_CHARACTERS, Checker
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.audience import book, importing
from smsgw.platform.audience.model import EntryDraft
from smsgw.platform.brand import certificates, pictures
from smsgw.platform.lists import consent_import
from smsgw.platform.org import importing as staff_import
from smsgw.platform.sheets.model import Outcome
from smsgw.platform.words import service as words
from smsgw.store.config import traditional

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
HEADER = 8190
"""Octets that the server takes of a header or a request line."""
GIVEN = {name: text.encode("utf-8", "replace").decode() for name, text in TEXTS.items()}
"""As texts reach a handler: what UTF-8 cannot say is refused with the form."""


def cut(size: int | None) -> dict[str, str]:
    return {name: text[:size] for name, text in GIVEN.items()}


def declared() -> dict[str, Filter | Form]:
    """Every filter and form that is reached from a name of a page's module."""
    found: dict[str, Filter | Form] = {}
    seen = set[int]()
    for module in discovery.modules():
        for name, one in vars(module).items():
            for place, what in _within(one, seen):
                found[f"{module.__name__.removeprefix('smsgw.admin.pages.')}.{name}{place}"] = what
    return found


def _within(one: Any, seen: set[int]) -> Iterator[tuple[str, Filter | Form]]:
    if id(one) in seen or isinstance(one, type):
        return
    seen.add(id(one))
    if isinstance(one, Filter | Form):
        yield "", one
    elif isinstance(one, list | tuple):
        for at, item in enumerate(one):
            yield from ((f"[{at}]{place}", what) for place, what in _within(item, seen))
    elif isinstance(one, dict):
        for key, item in one.items():
            yield from ((f"[{key}]{place}", what) for place, what in _within(item, seen))
    elif is_dataclass(one) and type(one).__module__.startswith("smsgw.admin"):
        for part in fields(one):
            yield from ((f".{part.name}{p}", what) for p, what in _within(getattr(one, part.name), seen))


DECLARED = declared()


def test_all_of_them_are_found() -> None:
    """Whatever a page of the kit reads is among them."""
    known = {id(one) for one in DECLARED.values()}
    for module in discovery.modules():
        for one in vars(module).values():
            if isinstance(one, ListPage):
                assert id(one.filter) in known, one.path
            elif isinstance(one, FormPage | ImportPage):
                assert id(one.form) in known, one.path


def reading(one: Filter | Form, key: str) -> Callable[[str], Any]:
    """The one field, and what the page makes of it: an address to come back to."""
    if isinstance(one, Form):
        return lambda text: one.read({key: text})
    return lambda text: one.read({"time": "custom", key: text}, NOW).query()


@pytest.mark.parametrize("place", DECLARED)
def test_every_field_of_filters_and_forms(place: str) -> None:
    """With the texts as they are, and as long as the field may be."""
    one = DECLARED[place]
    sizes = {field.key: field.most for field in one.fields} if isinstance(one, Form) else dict.fromkeys(one.keys)
    for key, most in sizes.items():
        for size in {None, min(most, 64 * 1024) if most else None}:
            assert not dear(over(reading(one, key), cut(size))), (key, size)


SIMPLIFIED = Plain(traditional.load())


def _svg(text: str) -> None:
    inside = text.replace("<", "").replace("&", "").replace("\0", "")
    quoted = inside.replace('"', "")
    pictures.clean(
        f'<svg xmlns="http://www.w3.org/2000/svg" style="{quoted[:16000]}"><style>{inside[:16000]}</style>'
        f'<path d="{quoted[:16000]}"/>{inside[:16000]}</svg>'.encode()
    )


def _word(text: str) -> None:
    words.check(Word(text, text[:20], Action.REPLACE, text), SIMPLIFIED)


def _contact(text: str) -> None:
    book.checked(EntryDraft(1, "8613800138000", text, importing._several(text), {text: text, "a": text}))


def _consent(text: str) -> None:
    plan = {"source": "web", "given_at": "2026-01-01T00:00:00+08:00", "wording": "", "proof": "n"}
    for said in ({"number": text}, *({"number": "13800138000", c: text} for c in consent_import.COLUMNS[1:])):
        row = consent_import._Row(1, said)
        found = consent_import._judged(plan, [row], {})
        assert all(one.outcome is Outcome.WRONG for one in found.values())


def _staff(text: str) -> None:
    staff_import._several(text)
    [name.strip() for name in staff_import._PARTS.split(text)]


READERS: dict[str, tuple[Callable[[str], Any], int | None]] = {
    "palette": (lambda t: [rank(t[:MOST_QUERY], label) for label in PINYIN], None),
    "User-Agent": (device, None),
    "Host": (name_of, None),
    "host of a brand": (parse_host, None),
    "host of a brand, as long as may be": (parse_host, 253),
    **{f"brand {name}": (lambda t, n=name: parse_look({n: t}), None) for name in (*LONGEST, "colour", "logo")},
    "certificate": (lambda t: certificates.check(t, t), None),
    "numbers": (recipients, None),
    "numbers, as many as may be": (recipients, MOST_CHARACTERS),
    "numbers of a draft": (pieces, None),
    "picture": (lambda t: pictures.clean(t.encode()), None),
    "picture of XML": (lambda t: pictures.clean(b"<" + t.encode()), None),
    "PNG": (lambda t: pictures.clean(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + t.encode()), None),
    "SVG": (_svg, None),
    "word to test": (SIMPLIFIED.mapped, None),
    "cell with a word": (_word, None),
    "cell with a contact": (_contact, None),
    "cell with a consent": (_consent, None),
    "cell with a person": (_staff, None),
}


@pytest.mark.parametrize("name", READERS)
def test_what_reads_texts_beside_them(name: str) -> None:
    work, size = READERS[name]
    assert not dear(over(work, cut(size)))


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


def test_a_batch_and_many_words_are_not_dear() -> None:
    check = checker()
    items = tuple(SendItem(f"138{n:08}", "{" * (MAX_CHARACTERS - 10) + str(n)) for n in range(900))
    request = SendRequest(ACCOUNT, items, MessageType.NOTICE, Origin.API, "key")
    assert not dear({"batch": lambda: check.check(request, check.snapshot, NOW, NOW)}, 10 * BOUND)
    check = WordFilter([Word("赌博"), Word("sex"), *(Word("a" * n) for n in range(1, 20))], Plain(traditional.load()))
    assert not dear(over(lambda given: check.find(given[:MAX_CHARACTERS])), BOUND / 2)


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
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_looks_at_texts(name: str) -> None:
    assert not dear(over(FUNCTIONS[name], refusals=(*REFUSALS, InvalidUdh)))
