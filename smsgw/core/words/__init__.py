"""The catalogue of words: every sentence once, in Chinese and in English, under a key.

Code names a key and parameters (``phrase("number.between", low=1, high=9)``); what comes of it is a value that reads
as Chinese (``str``) or English (``.english``). Phrases stand among the parameters of errors and of other phrases and
are put into the language of the whole. The wording itself is in the modules of this package and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from smsgw.core.words import alarm_rules, alarms, business, checks, interface, labels, output, reasons, refusals

CODES: Mapping[str, tuple[str, str]] = MappingProxyType(refusals.WORDS)
"""The messages of the codes (core/errors.py)."""

PHRASES: Mapping[str, tuple[str, str]] = MappingProxyType(
    reasons.WORDS | business.WORDS | interface.WORDS | output.WORDS | alarms.WORDS | alarm_rules.WORDS
)
"""Key -> (Chinese, English), both with the same place holders."""

FINDINGS: Mapping[str, tuple[str, str]] = MappingProxyType(checks.WORDS)
"""What tests of channels find, and under ``….do`` what to do about it."""

LABELS: Mapping[str, Mapping[str, tuple[str, str]]] = MappingProxyType(labels.LABELS)
"""Kind -> value -> (Chinese, English)."""


class Wording:
    """What can be said in both languages: it reads as Chinese, and has its English."""

    __slots__ = ()

    def text(self, english: bool) -> str:
        """The words in one language."""
        raise AttributeError(self)

    def __str__(self) -> str:
        return self.text(False)

    @property
    def english(self) -> str:
        """The words in English."""
        return self.text(True)


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""


def fill(words: tuple[str, str], params: Mapping[str, Any], *, english: bool) -> str:
    """One of the two with its place holders filled; wording among the parameters in the same language."""
    return words[english].format_map(_Blank({name: spoken(value, english) for name, value in params.items()}))


def spoken(value: Any, english: bool) -> Any:
    """A parameter as it stands in a text of that language; what is no wording stays what it is."""
    return value.text(english) if isinstance(value, Wording) else value


def english_of(value: Wording | str) -> str:
    """In English, for logs and the command line."""
    return value.english if isinstance(value, Wording) else value


@dataclass(frozen=True, slots=True)
class Phrase(Wording):
    """A sentence, or a part of one, of the catalogue with its parameters."""

    key: str
    params: tuple[tuple[str, Any], ...] = ()

    def text(self, english: bool) -> str:
        """The words in one language."""
        return fill(PHRASES[self.key], dict(self.params), english=english)

    __str__ = Wording.__str__


@dataclass(frozen=True, slots=True)
class Label(Wording):
    """The name of a value: of a carrier, a state, a type."""

    kind: str
    value: str

    def text(self, english: bool) -> str:
        """The words in one language."""
        return LABELS[self.kind][self.value][english]

    __str__ = Wording.__str__


@dataclass(frozen=True, slots=True)
class Listing(Wording):
    """Several in a row."""

    items: tuple[Any, ...]

    def text(self, english: bool) -> str:
        """The words in one language."""
        return (", " if english else "、").join(str(spoken(item, english)) for item in self.items)

    __str__ = Wording.__str__


def phrase(key: str, **params: Any) -> Phrase:
    """The words of a key. ``KeyError`` when the catalogue has none."""
    PHRASES[key]
    return Phrase(key, tuple(params.items()))


def label(kind: str, value: Enum | str) -> Label:
    """The name of a value; of an enumeration the member stands for its value, of whole numbers for its name."""
    name = value if isinstance(value, str) else value.name
    LABELS[kind][str(name)]
    return Label(kind, str(name))


@lru_cache(maxsize=64)
def labels_of(kind: str) -> Mapping[str, Label]:
    """All names of a kind, in the order of the catalogue."""
    return MappingProxyType({value: Label(kind, value) for value in LABELS[kind]})


@lru_cache(maxsize=64)
def chinese_of(kind: str) -> Mapping[str, str]:
    """The Chinese names of a kind, for what is always Chinese."""
    return MappingProxyType({value: chinese for value, (chinese, _) in LABELS[kind].items()})


def listed(items: Iterable[Any]) -> Listing:
    """Several in a row, with the comma of the language."""
    return Listing(tuple(items))


def reason_of(exc: BaseException) -> Wording | str:
    """Why an error was raised: the wording it carries, or else its text."""
    first = exc.args[0] if exc.args else None
    return first if isinstance(first, Wording) else str(exc)
