"""Forms: declared fields, read from what was typed, checked, and shown again with all of it.

A page checks the whole form when it is sent, and one field when it is left (``field`` in the form): the answer is the
field itself, 422 while it is wrong. What services refuse is told at the field that they name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from smsgw.admin.kit import spans
from smsgw.admin.kit.filters import Problem, network, read_id
from smsgw.admin.words import kit as words, times
from smsgw.admin.words.terms import TERMS
from smsgw.core import numbers
from smsgw.core.accounts import MAX_NETWORKS
from smsgw.core.errors import SmsgwError
from smsgw.core.printable import lines_printable
from smsgw.core.schedule import written

ONE_FIELD = "check"
"""Name of the field of a form that says which one is to be checked alone."""
MOST_LINES = 20_000
MOST_SPANS = 1000
"""Characters of all spans of a day."""


class InputKind(StrEnum):
    """What a field takes."""

    TEXT = "text"
    LINES = "lines"
    """A text of several lines."""
    SECRET = "secret"  # noqa: S105 - a kind
    """Never shown again."""
    NUMBER = "number"
    CHOICE = "choice"
    CHOICES = "choices"
    """Several of them."""
    RIGHTS = "rights"
    """Several permissions, as a table of modules and actions."""
    SPANS = "spans"
    """Spans of the day on weekdays, as ``core.schedule.written`` reads them."""
    SWITCH = "switch"
    PHONE = "phone"
    EMAIL = "email"
    NETWORKS = "networks"
    """Addresses and networks, one a line; ``MAX_NETWORKS`` of them where the field says no other number."""
    ID = "id"
    HIDDEN = "hidden"
    """Nothing to see: what the form was made of."""


@dataclass(frozen=True, slots=True)
class Input:
    """One field. ``label``: a term; empty: the one of the key. ``help``: a sentence of ``words``."""

    key: str
    kind: InputKind = InputKind.TEXT
    label: str = ""
    help: str = ""
    required: bool = False
    least: int | None = None
    """Characters of a text, or the smallest number; …"""
    most: int | None = None
    """… the most, or the largest."""
    pattern: str = ""
    problem: str = ""
    """What is said of a text that has not the pattern."""
    choices: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[Any], Problem | None] | None = None
    """What else has to be true of a value."""
    autocomplete: str = "off"
    any_text: bool = False
    """Controls and what is not seen are taken, too: of a text that is looked at, and goes nowhere."""

    @property
    def term(self) -> str:
        """Chinese source text of its label."""
        return TERMS[self.label or self.key]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Fields that belong together, under a heading (a sentence of ``words``)."""

    fields: Sequence[Input]
    heading: str = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a page. ``check``: what has to be true of several fields together, by key."""

    sections: Sequence[Inputs]
    check: Callable[[Mapping[str, Any]], Mapping[str, Problem]] | None = None

    @property
    def fields(self) -> tuple[Input, ...]:
        """All of them, in their order."""
        return tuple(one for section in self.sections for one in section.fields)

    def blank(self, values: Mapping[str, Any] | None = None) -> Filled:
        """The form before anything was typed, with the values that there are."""
        return Filled(self, {one.key: _typed(one, (values or {}).get(one.key)) for one in self.fields}, {})

    def read(self, data: Mapping[str, Any], choices: Mapping[str, Mapping[str, str]] | None = None) -> Filled:
        """What was typed, as values, with what is wrong. ``choices``: those that depend on who asks."""
        filled = Filled(self, {}, {}, choices=dict(choices or {}))
        for one in self.fields:
            filled.texts[one.key] = texts = _texts(one, data)
            problem, value = _value(one, texts, filled.of(one))
            if problem is not None:
                filled.errors[one.key] = problem
            else:
                filled.values[one.key] = value
        if self.check is not None and not filled.errors:
            filled.errors |= self.check(filled.values)
        return filled


@dataclass(slots=True)
class Filled:
    """A form with what was typed."""

    form: Form
    texts: dict[str, list[str]]
    """By key; one text but for fields of several."""
    values: dict[str, Any]
    errors: dict[str, Problem] = field(default_factory=dict)
    choices: dict[str, Mapping[str, str]] = field(default_factory=dict)
    refused: str = ""
    """What a service has said of the whole, in the reader's language."""

    def text(self, key: str) -> str:
        """What stands in a field of one text."""
        return next(iter(self.texts.get(key, [])), "")

    def of(self, one: Input) -> Mapping[str, str]:
        """The choices of a field: its own are words to be translated, those of ``choices`` stand as they are."""
        return self.choices.get(one.key, one.choices)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.errors and not self.refused

    @property
    def first(self) -> str:
        """The field that is to be mended first; empty: none."""
        return next((one.key for one in self.form.fields if one.key in self.errors), "")

    def hide(self, values: Mapping[str, Any]) -> None:
        """Put these into hidden fields; what was typed stays."""
        for one in self.form.fields:
            if one.kind is InputKind.HIDDEN and one.key in values:
                self.texts[one.key] = _typed(one, values[one.key])

    def refuse(self, error: SmsgwError, message: str) -> None:
        """A service has refused the values: told at the field that it names, or for the whole."""
        key = str(error.detail.get("field", ""))
        if any(one.key == key for one in self.form.fields):
            self.errors[key] = Problem("%(said)s", {"said": message})
        else:
            self.refused = message


def _typed(one: Input, value: Any) -> list[str]:
    """A value as it stands in a field."""
    if value is None or one.kind is InputKind.SECRET:
        return []
    if isinstance(value, list | tuple | set | frozenset):
        texts = [str(item) for item in value]
        return ["\n".join(texts)] if one.kind is InputKind.NETWORKS else texts
    if isinstance(value, bool):
        return ["1"] if value else []
    return [str(value)]


def _texts(one: Input, data: Mapping[str, Any]) -> list[str]:
    if one.kind is InputKind.SPANS:
        whole = data.get(one.key)  # as a form has it, hidden, whose effect has been shown
        return [whole.strip()[:MOST_SPANS] if isinstance(whole, str) else spans.typed(data, one.key)]
    several = getattr(data, "getall", None)
    given = several(one.key, []) if several is not None else [data[one.key]] if one.key in data else []
    texts = [text.replace("\r\n", "\n") for text in given if isinstance(text, str)]
    if one.kind in (InputKind.CHOICES, InputKind.RIGHTS):
        return [text for text in texts if text]
    if one.kind is InputKind.SECRET:
        return texts[:1]
    return [text.strip() for text in texts[:1]]


Read = tuple[Problem | None, Any]


def _value(one: Input, texts: Sequence[str], choices: Mapping[str, str]) -> Read:
    if one.kind is InputKind.SWITCH:
        return None, bool(texts and texts[0])
    if not any(texts):
        empty: Any = (
            ()
            if one.kind in (InputKind.CHOICES, InputKind.RIGHTS, InputKind.NETWORKS)
            else None
            if one.kind in _NONE
            else ""
        )
        return (Problem(words.REQUIRED), None) if one.required else (None, empty)
    problem, value = _READERS[one.kind](one, texts, choices)
    if problem is None and one.check is not None:
        problem = one.check(value)
    return problem, value


def _text(one: Input, texts: Sequence[str], _: Mapping[str, str]) -> Read:
    text = texts[0]
    if one.least is not None and len(text) < one.least:
        return Problem(words.TOO_SHORT, {"n": one.least}), None
    most = one.most if one.most is not None else MOST_LINES if one.kind is InputKind.LINES else 255
    if len(text) > most:
        return Problem(words.TOO_LONG, {"n": most}), None
    seen = lines_printable(text) if one.kind is InputKind.LINES else text.isprintable()
    if "\0" in text if one.any_text else not seen:
        return Problem(words.UNPRINTABLE), None
    if one.pattern and not re.fullmatch(one.pattern, text):
        return Problem(one.problem or words.BAD_VALUE), None
    return None, text


def _number(one: Input, texts: Sequence[str], _: Mapping[str, str]) -> Read:
    text = texts[0].replace(",", "")
    if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
        return Problem(words.BAD_NUMBER), None
    number = int(text)
    if one.least is not None and number < one.least:
        return Problem(words.TOO_SMALL, {"n": one.least}), None
    if one.most is not None and number > one.most:
        return Problem(words.TOO_LARGE, {"n": one.most}), None
    return None, number


def _choice(_: Input, texts: Sequence[str], choices: Mapping[str, str]) -> Read:
    return (None, texts[0]) if texts[0] in choices else (Problem(words.NO_SUCH_CHOICE), None)


def _choices(_: Input, texts: Sequence[str], choices: Mapping[str, str]) -> Read:
    if all(text in choices for text in texts):
        return None, tuple(dict.fromkeys(texts))
    return Problem(words.NO_SUCH_CHOICE), None


def _phone(_: Input, texts: Sequence[str], __: Mapping[str, str]) -> Read:
    try:
        return None, numbers.normalize(texts[0])
    except numbers.InvalidNumber:
        return Problem(words.BAD_PHONE), None


def _email(_: Input, texts: Sequence[str], __: Mapping[str, str]) -> Read:
    if re.fullmatch(r"[^\s@]{1,64}@[^\s@]{1,190}", texts[0]):
        return None, texts[0]
    return Problem(words.BAD_EMAIL), None


def _networks(one: Input, texts: Sequence[str], __: Mapping[str, str]) -> Read:
    lines = [line for text in texts for line in re.split(r"[\s,;]+", text) if line]
    if len(lines) > (most := one.most or MAX_NETWORKS):
        return Problem(words.TOO_MANY, {"n": most}), None
    try:
        return None, tuple(dict.fromkeys(network(line) for line in lines))
    except ValueError:
        return Problem(words.BAD_ADDRESS), None


def _spans(_: Input, texts: Sequence[str], __: Mapping[str, str]) -> Read:
    try:
        return None, str(written(texts[0]))
    except ValueError:
        return Problem(times.SPANS_WRONG), None


def _id(_: Input, texts: Sequence[str], choices: Mapping[str, str]) -> Read:
    value = read_id(texts[0])
    if choices and texts[0] not in choices:
        return Problem(words.NO_SUCH_CHOICE), None
    if value is None:
        return Problem(words.BAD_ID), None
    return None, value


_NONE = frozenset({InputKind.NUMBER, InputKind.ID})
"""Kinds whose empty value is None."""
_READERS: dict[InputKind, Callable[[Input, Sequence[str], Mapping[str, str]], Read]] = {
    InputKind.TEXT: _text,
    InputKind.LINES: _text,
    InputKind.SECRET: _text,
    InputKind.NUMBER: _number,
    InputKind.CHOICE: _choice,
    InputKind.CHOICES: _choices,
    InputKind.RIGHTS: _choices,
    InputKind.PHONE: _phone,
    InputKind.EMAIL: _email,
    InputKind.NETWORKS: _networks,
    InputKind.ID: _id,
    InputKind.SPANS: _spans,
    InputKind.HIDDEN: _text,
}
