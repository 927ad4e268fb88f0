"""Wording on its way: moments, what was heard from outside, and all of it as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from string import Formatter
from typing import Any

from smsgw.core.ids import CHINA
from smsgw.core.words import LABELS, PHRASES, Label, Listing, Phrase, Wording, label, labels_of, phrase

MOST_DEEP = 8
"""Wording within wording that is read; what we write has three."""


@dataclass(frozen=True, slots=True)
class Moment(Wording):
    """A time, as people here read it."""

    at: datetime

    def text(self, english: bool) -> str:
        """Day and time of day in China."""
        return f"{self.at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"

    __str__ = Wording.__str__


_ERRNO = re.compile(r"\[Errno (-?\d{1,5})\] *+(?:Connect call failed )?+(?:\('([^']++)', (\d++)[^)]*+\))?+[^;,]*+")


@dataclass(frozen=True, slots=True)
class Heard(Wording):
    """What others say of an error, a carrier or the operating system: its numbers in words, the rest as it is."""

    said: str

    def __bool__(self) -> bool:
        return bool(self.said)

    def text(self, english: bool) -> str:
        """The words in one language."""
        troubles, about, rest = labels_of("trouble"), [], self.said
        for _ in range(MOST_DEEP):
            head, colon, tail = rest.partition(": ")
            if rest in troubles or not colon or head not in troubles:
                break
            about.append(troubles[head])
            rest = tail

        def told(found: re.Match[str]) -> str:
            what = labels_of("network").get(found[1], phrase("error.other"))
            at = phrase("error.at", what=what, host=found[2], port=found[3]) if found[2] else what
            return at.text(english)

        why = troubles[rest].text(english) if rest in troubles else _ERRNO.sub(told, rest)
        for what in reversed(about):
            why = phrase("error.about", what=what, why=why).text(english)
        return why

    __str__ = Wording.__str__


@dataclass(frozen=True, slots=True)
class Remembered(Wording):
    """Words that were written down in Chinese: in English as the phrase says that they were made of, if it can be
    told; else as they are. ``group``: what its key begins with."""

    chinese: str
    group: str

    def text(self, english: bool) -> str:
        """The words in one language."""
        if english:
            for key, (template, _) in PHRASES.items():
                if key.startswith(self.group) and (values := _values(template, self.chinese)) is not None:
                    return phrase(key, **values).english
        return self.chinese

    __str__ = Wording.__str__


_EVEN = str.maketrans("，；：（）", ",;:()")


def _values(template: str, text: str) -> dict[str, str] | None:
    """What fills the places of a template in a text that was made of it, whichever width its signs had then; None: it
    was not."""
    values: dict[str, str] = {}
    place = ""
    for before, name, _, _ in Formatter().parse(template):
        if not before and place:
            return None
        before, even = before.translate(_EVEN), text.translate(_EVEN)  # as long as they were
        at = even.find(before) if place else 0
        if at < 0 or not even.startswith(before, at):
            return None
        if place:
            values[place] = text[:at]
        text, place = text[at + len(before) :], name or ""
    if place:
        values[place] = text
        return values
    return None if text else values


def _places(key: str) -> set[str]:
    """What a phrase has to be given."""
    return {name for template in PHRASES[key] for _, name, _, _ in Formatter().parse(template) if name}


def packed(value: Any) -> Any:
    """Wording, or one of its parameters, as JSON. Raises ``TypeError`` for what cannot be."""
    match value:
        case Phrase():
            return {"phrase": value.key, "with": {name: packed(one) for name, one in value.params}}
        case Label():
            return {"label": [value.kind, value.value]}
        case Listing():
            return {"listing": [packed(one) for one in value.items]}
        case Moment():
            return {"moment": value.at.isoformat()}
        case Heard():
            return {"heard": value.said.replace("\0", "")}  # for which the database has no place
        case str():
            return value.replace("\0", "")
        case int() | float():
            return value
        case _:
            raise TypeError(f"{type(value).__name__} is nothing that is carried")


def unpacked(value: Any, deep: int = 0) -> Any:
    """The wording of JSON that ``packed`` has made. Raises ``ValueError`` for anything else, and for words that this
    program does not know (an earlier or later one does)."""
    if deep > MOST_DEEP:
        raise ValueError("too deep")
    match value:
        case {"phrase": str(key), "with": Mapping() as params} if key in PHRASES:
            if not _places(key) <= params.keys():
                raise ValueError("words with other places")
            return phrase(key, **{str(name): unpacked(one, deep + 1) for name, one in params.items()})
        case {"label": [str(kind), str(name)]} if name in LABELS.get(kind, ()):
            return label(kind, name)
        case {"listing": list(items)}:
            return Listing(tuple(unpacked(one, deep + 1) for one in items))
        case {"moment": str(at)}:
            return Moment(datetime.fromisoformat(at))
        case {"heard": str(said)}:
            return Heard(said)
        case str() | int() | float():
            return value
        case _:
            raise ValueError("no wording of ours")
