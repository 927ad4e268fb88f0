"""Values at the edges of every type: what a field of a call or of a form may be given, and refuses or takes."""

from __future__ import annotations

from typing import Any

TIMES = (
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00-14:00", "1969-12-31T23:59:59Z",
    "1999-12-31T15:59:59Z", "2024-02-29T23:59:59.999999+14:00", "2199-12-31T16:00:00Z", "2261-01-01T00:00:00-14:00",
    "9999-12-31T00:00:00-14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999+14:00", "infinity", "-infinity",
)  # fmt: skip
DAYS = ("0001-01-01", "1969-12-31", "2024-02-29", "2025-02-29", "2261-01-01", "9999-12-31", "0000-00-00", "10000-01-01")
MINUTES = ("0001-01-01 00:00", "1999-12-31 23:59", "2261-01-01 00:00", "9999-12-31 23:59")
"""As pages write them, in China."""
WHOLE = (
    0, -1, 2**15, 2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**30,
)  # fmt: skip
FRACTIONS = (0.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), float("-inf"))
TEXTS = ("", " ", "\0", "x\0y", "\n", "\ufffe", "\U0001f600", "\u202e", "x" * 70_000)
SPELLED = (
    "NaN", "Infinity", "-Infinity", "1e400", str(2**63 - 1), str(2**63), str(10**30), "9" * 5000, "-1", "٣", "²²²²",
    "null",
)  # fmt: skip
"""Numbers where a text is wanted, and in a form, which has nothing else."""
OTHERS: tuple[Any, ...] = (None, [], {}, True)
"""Of another type than any of these."""

WRITTEN = (*TIMES, *DAYS, *MINUTES, *SPELLED, *TEXTS)
"""All that a form, a query or a field for a text can be given."""
TYPED = (
    "9999-12-31 23:59", "0001-01-01 00:00", "9999-12-31", "0001-01-01", "9999-12", str(2**63), "1e400", "NaN", "\ufffe",
)  # fmt: skip
"""Of these what people may type into a page, one of a sort."""
