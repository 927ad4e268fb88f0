"""Two languages. Chinese stands in the source; the English catalogue is read from its .po files at start.

``scripts/i18n`` brings the catalogue up to date with the source; a test fails on missing and fuzzy entries.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from smsgw.core.words import Wording

DEFAULT = "zh"
CATALOGUES = Path(__file__).parent / "locale"


_COUNTED = re.compile(r"%\((\w+)\)s|(?<=\w)\(s\)|\(([^()|%]+)\|([^()|%]+)\)")


def agreeing(text: str, values: Mapping[str, Any]) -> str:
    """English with its numbers: "%(n)s part(s)" and "%(n)s (person|people)" take the form that the number before them
    asks for. Only the catalogue's text is looked at, not what fills it."""
    if "(s)" not in text and "|" not in text:
        return text
    one = False

    def form(found: re.Match[str]) -> str:
        nonlocal one
        if found[1]:
            one = str(values.get(found[1])) == "1"
            return found[0]
        return found[2 if one else 3] or ("" if one else "s")

    return _COUNTED.sub(form, text)


def N_(text: str) -> str:
    """Mark a text for translation where it is only stored."""
    return text


@cache
def translations(language: str) -> NullTranslations:
    """The catalogue of a language, compiled in memory."""
    if language == DEFAULT:
        return NullTranslations()
    whole = Catalog(locale=language)
    for path in sorted((CATALOGUES / language / "LC_MESSAGES").glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id:
                    whole[message.id] = message
    compiled = io.BytesIO()
    write_mo(compiled, whole)
    compiled.seek(0)
    return GNUTranslations(compiled)


@cache
def teller(language: str) -> Callable[[str | Wording], str]:
    """Puts Chinese source text, and what the catalogue of words says, into a language."""
    catalogue = translations(language)

    def tell(text: str | Wording) -> str:
        if isinstance(text, Wording):
            return text.text(language != DEFAULT)
        return catalogue.gettext(text) if text else ""

    return tell
