"""What is known of a number: whether there is a telephone behind it (空号检测)."""

from __future__ import annotations

from enum import StrEnum

from smsgw.core.words import chinese_lexicon, labels_of, phrase


class NumberState(StrEnum):
    """States as providers of number look-ups tell them, and as carriers' reports do."""

    EMPTY = "empty"
    LIVE = "live"
    SUSPENDED = "suspended"
    SILENT = "silent"
    RISKY = "risky"


STATE_NAMES = labels_of("number_state")
UNKNOWN = "unknown"
"""Of a number that nothing is known of, or what is known is too old."""

OF_CLASS = {"EMPTY_NUMBER": NumberState.EMPTY, "SUSPENDED": NumberState.SUSPENDED}
"""Class of a carrier's refusal or report -> what it tells of the number."""

REPORT = "report"
IMPORT = "import"
SOURCE_NAMES = labels_of("number_source")

_NAMES = {
    **{str(state): state for state in NumberState},
    **{str(STATE_NAMES[state]): state for state in NumberState},
    # The codes that most providers answer with; 3 (库无) tells nothing.
    "0": NumberState.EMPTY,
    "1": NumberState.LIVE,
    "2": NumberState.SUSPENDED,
    "4": NumberState.SILENT,
    "5": NumberState.RISKY,
    chinese_lexicon.SILENT: NumberState.SILENT,
    chinese_lexicon.RISKY: NumberState.RISKY,
}


def parse(text: str) -> NumberState:
    """The state by its name, its Chinese name or a provider's code. Raises ``ValueError``."""
    try:
        return _NAMES[text.strip().lower()]
    except KeyError:
        chinese = "、".join(str(STATE_NAMES[state]) for state in NumberState)
        raise ValueError(phrase("number_state.wanted", chinese=chinese, known=", ".join(NumberState))) from None
