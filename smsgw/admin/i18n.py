"""Two languages. Chinese stands in the source; the English catalogue is read from its .po file at start.

``scripts/i18n`` brings the catalogue up to date with the source; a test fails on missing and fuzzy entries.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from smsgw.core.words import Wording

DEFAULT = "zh"
CATALOGUES = Path(__file__).parent / "locale"


def N_(text: str) -> str:
    """Mark a text for translation where it is only stored."""
    return text


@cache
def translations(language: str) -> NullTranslations:
    """The catalogue of a language, compiled in memory."""
    if language == DEFAULT:
        return NullTranslations()
    with (CATALOGUES / language / "LC_MESSAGES" / "portal.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
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
