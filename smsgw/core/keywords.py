"""Words that a text must not have (敏感词): found in whatever disguise, with the place where they stand.

A text is compared in its plain form: without width, case, traditional forms, blanks and punctuation. So "ｘ 賭－博 ｘ"
has the word 赌博. A word of Latin letters and digits alone is a word of its own: "sex" is not in "Essex".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ahocorasick_rs import AhoCorasick

MAX_WORDS = 50_000
MAX_LENGTH = 64
"""Characters of a word."""
_MEMO = 20_000


class Action(StrEnum):
    """What happens to a text that has the word."""

    BLOCK = "block"
    REVIEW = "review"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Word:
    """One entry of the list. It counts for an account and a type, or (0, "") for all."""

    word: str
    category: str = ""
    action: Action = Action.BLOCK
    replacement: str = ""
    """Instead of the word; empty: as many asterisks as it has characters."""
    account_id: int = 0
    type: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A word of the list in a text: characters ``start`` to ``end`` (exclusive) of the text as it was given."""

    start: int
    end: int
    word: Word


class Plain:
    """Makes the plain form of texts. ``simplified``: traditional character -> simplified."""

    def __init__(self, simplified: Mapping[str, str] | None = None) -> None:
        self._simplified = simplified or {}
        self._memo: dict[str, str] = {}

    def _fold(self, char: str) -> str:
        folded = unicodedata.normalize("NFKC", char).casefold()
        kept = "".join(self._simplified.get(c, c) for c in folded if unicodedata.category(c)[0] in "LN")
        if len(self._memo) >= _MEMO:
            self._memo.clear()
        self._memo[char] = kept
        return kept

    def of(self, text: str) -> str:
        """The plain form alone."""
        return self.mapped(text)[0]

    def mapped(self, text: str) -> tuple[str, Sequence[int]]:
        """The plain form, and for each of its characters the position in ``text`` that it came from."""
        memo = self._memo
        kept: list[str] = []
        places: list[int] = []
        for place, char in enumerate(text):
            folded = memo.get(char)
            if folded is None:
                folded = self._fold(char)
            if folded:
                kept.append(folded)
                places.append(place)
                if len(folded) > 1:
                    places.extend([place] * (len(folded) - 1))
        return "".join(kept), places


class WordFilter:
    """All words in one automaton. Raises ``ValueError`` for a word that has no letter or digit."""

    def __init__(self, words: Iterable[Word] = (), plain: Plain | None = None) -> None:
        self._plain = plain or Plain()
        by_form: dict[str, list[Word]] = {}
        for word in words:
            form = self._plain.of(word.word)
            if not form:
                raise ValueError(f"{word.word!r} has neither letters nor digits")
            by_form.setdefault(form, []).append(word)
        self._forms = list(by_form)
        self._words = list(by_form.values())
        self._latin = [form.isascii() for form in self._forms]
        self._automaton = AhoCorasick(self._forms) if self._forms else None
        self._size = sum(map(len, self._words))

    def __len__(self) -> int:
        return self._size

    def words(self, accounts: Sequence[int], type_: str, action: Action) -> list[Word]:
        """Those with such an action that count for one of ``accounts`` and the type."""
        return [
            word for words in self._words for word in words
            if word.action is action and word.type in ("", type_)
            and (not word.account_id or word.account_id in accounts)
        ]  # fmt: skip

    def find(self, text: str, accounts: Sequence[int] = (), type_: str = "") -> list[Hit]:
        """What counts for one of ``accounts`` (the account and those above it) and the type, in order of place."""
        if self._automaton is None:
            return []
        form, places = self._plain.mapped(text)
        found = self._automaton.find_matches_as_indexes(form, overlapping=True)
        if not found:
            return []
        hits: list[Hit] = []
        for index, start, end in found:
            first, last = places[start], places[end - 1]
            if self._latin[index] and not _alone(text, first, last):
                continue
            hits.extend(
                Hit(first, last + 1, word)
                for word in self._words[index]
                if (not word.account_id or word.account_id in accounts) and word.type in ("", type_)
            )
        return sorted(hits, key=lambda h: (h.start, -h.end, h.word.word))


def _alone(text: str, first: int, last: int) -> bool:
    before = text[first - 1] if first else " "
    after = text[last + 1] if last + 1 < len(text) else " "
    return not (_of_a_word(before) or _of_a_word(after))


def _of_a_word(char: str) -> bool:
    """A Latin letter or a digit, full width too."""
    return char.isalnum() and (char.isascii() or unicodedata.normalize("NFKC", char).isascii())


def replaced(text: str, hits: Iterable[Hit]) -> str:
    """The text with its hits (in order of place) replaced; of those that overlap, the first and longest."""
    pieces = []
    done = 0
    for hit in hits:
        if hit.start < done:
            continue
        pieces += [text[done : hit.start], hit.word.replacement or "*" * (hit.end - hit.start)]
        done = hit.end
    return "".join([*pieces, text[done:]])


def named(hits: Iterable[Hit], most: int = 5) -> str:
    """The words for people, each with its category."""
    return some(dict.fromkeys(told(h.word) for h in hits), most)


def told(word: Word) -> str:
    """A word for people, with its category."""
    return word.word + (f"({word.category})" if word.category else "")


def some(words: Iterable[str], most: int = 5) -> str:
    """The first of several."""
    shown = list(words)
    return "、".join(shown[:most]) + ("…" if len(shown) > most else "")
