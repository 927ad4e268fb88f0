"""Values of requests and answers, between how callers write them and how the program holds them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from smsgw.api.context import Call
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.words import phrase

MAX_ID = 2**63 - 1
FIRST_TIME = datetime(2024, 1, 1, tzinfo=UTC)
LAST_TIME = datetime(2090, 1, 1, tzinfo=UTC)
"""The span of the ids (core/ids.py)."""


def path_id(call: Call) -> int:
    """The id in the path. Raises ``NOT_FOUND`` for what cannot be one."""
    text = call.request.match_info["id"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) <= MAX_ID):
        raise Refused("NOT_FOUND")
    return int(text)


def id_of(text: str | None) -> int | None:
    """An id as given; one that cannot exist becomes the largest, which does not."""
    return None if text is None else min(int(text), MAX_ID)


def in_time(at: datetime | None, field: str) -> datetime | None:
    """A time that something is to happen at. ``TIME_INVALID``: no time that the program reckons with."""
    if at is not None and not FIRST_TIME <= at <= LAST_TIME:
        raise Invalid("TIME_INVALID", reason=phrase("time.range", field=field))
    return at


def in_span(at: datetime | None) -> datetime | None:
    """Ids exist only for a span of years; a time outside it selects all or nothing all the same."""
    return None if at is None else min(max(at, FIRST_TIME), LAST_TIME)


def china(at: Any) -> Any:
    """A time in the time zone of the business; anything else as it is."""
    return at.astimezone(CHINA) if isinstance(at, datetime) else at


def dated(rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    """Rows with their times in the time zone of the business."""
    return [{name: china(value) for name, value in row.items()} for row in rows]
