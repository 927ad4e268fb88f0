"""Words by which people say that they want no more marketing (退订)."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from smsgw.core.words import chinese_lexicon

LOOKED_AT = 200
"""Characters of a reply that are looked at: what is longer says something else. Bringing a text into its plain form
takes time that grows with the square of the marks on a letter."""
DEFAULT_WORDS = chinese_lexicon.OPT_OUT


def plain(text: str) -> str:
    """The text without width, case, blanks, marks and signs: ``"Ｔ Ｄ。"`` becomes ``"td"``."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LN")


def wants_out(text: str, words: Collection[str]) -> bool:
    """Whether a reply is an opt-out: the whole text is one of ``words`` (in plain form), or begins with one of two
    letters or more that stands alone ("退订,别再发了"). "T恤多少钱" and "R 是什么" are not."""
    long, text = len(text) > LOOKED_AT, text[:LOOKED_AT]
    whole = plain(text)
    if not whole:
        return False
    if whole in words and not long:
        return True
    folded = unicodedata.normalize("NFKC", text).casefold()
    first = "".join(c if unicodedata.category(c)[0] in "LN" else " " for c in folded).split()[0]
    return len(first) > 1 and first in words
