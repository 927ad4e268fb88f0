"""The words of the portal: what Python code shows to people stands in the modules of this package, marked for
translation.

``terms``: labels of columns and fields, by key. ``menu``: the menu. ``messages``: states, codes and steps of messages,
channels and alarms; reachable as ``words.STATUS`` and so on.
"""

from __future__ import annotations

from smsgw.admin.words.messages import (
    ALARM,
    CARRIER,
    CAUSE,
    CHANNEL_REASON,
    CHANNEL_STATE,
    CLASS,
    CLASS_ADVICE,
    CODING,
    DETAIL,
    DETAIL_VALUES,
    EXPLANATION,
    FINAL_STATUSES,
    METRIC,
    NUMBER_PROBLEM,
    ORIGIN,
    PROTOCOL,
    RESULT,
    STATUS,
    STATUS_COLOUR,
    STEP,
    STEP_COLOUR,
    TYPE,
    UNSAID,
    cause_of,
)
from smsgw.admin.words.terms import TERMS

__all__ = [
    "ALARM", "CARRIER", "CAUSE", "CHANNEL_REASON", "CHANNEL_STATE", "CLASS", "CLASS_ADVICE", "CODING", "DETAIL",
    "DETAIL_VALUES", "EXPLANATION", "FINAL_STATUSES", "METRIC", "NUMBER_PROBLEM", "ORIGIN", "PROTOCOL", "RESULT",
    "STATUS", "STATUS_COLOUR", "STEP", "STEP_COLOUR", "TERMS", "TYPE", "UNSAID", "cause_of",
]  # fmt: skip
