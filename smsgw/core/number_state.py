"""What is known of a number: whether there is a telephone behind it (空号检测)."""

from __future__ import annotations

from enum import StrEnum


class NumberState(StrEnum):
    """States as providers of number look-ups tell them, and as carriers' reports do."""

    EMPTY = "empty"
    LIVE = "live"
    SUSPENDED = "suspended"
    SILENT = "silent"
    RISKY = "risky"


STATE_ZH = {
    NumberState.EMPTY: "空号",
    NumberState.LIVE: "实号",
    NumberState.SUSPENDED: "停机",
    NumberState.SILENT: "沉默号",
    NumberState.RISKY: "风险号",
}
UNKNOWN = "unknown"
UNKNOWN_ZH = "未知"
"""Of a number that nothing is known of, or what is known is too old."""

OF_CLASS = {"EMPTY_NUMBER": NumberState.EMPTY, "SUSPENDED": NumberState.SUSPENDED}
"""Class of a carrier's refusal or report -> what it tells of the number."""

REPORT = "report"
IMPORT = "import"
SOURCE_ZH = {REPORT: "状态报告", IMPORT: "导入"}

_NAMES = {
    **{str(state): state for state in NumberState},
    **{chinese: state for state, chinese in STATE_ZH.items()},
    # The codes that most providers answer with; 3 (库无) tells nothing.
    "0": NumberState.EMPTY,
    "1": NumberState.LIVE,
    "2": NumberState.SUSPENDED,
    "4": NumberState.SILENT,
    "5": NumberState.RISKY,
    "沉默": NumberState.SILENT,
    "风险": NumberState.RISKY,
}


def parse(text: str) -> NumberState:
    """The state by its name, its Chinese name or a provider's code. Raises ``ValueError``."""
    try:
        return _NAMES[text.strip().lower()]
    except KeyError:
        raise ValueError(f"应为 {'、'.join(STATE_ZH.values())},或 {', '.join(NumberState)}") from None
