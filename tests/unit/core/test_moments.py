"""Times that people and programs give, at the edges of the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from smsgw.core.ids import CHINA
from smsgw.core.moments import FIRST, LAST, day, iso, minute, nearest

FAR = [timezone(timedelta(hours=hours)) for hours in (-14, 0, 14)]


@pytest.mark.parametrize("zone", FAR)
def test_a_time_beyond_the_bounds_is_the_bound(zone: timezone) -> None:
    for at, bound in ((datetime.min, FIRST), (datetime.max, LAST)):
        found = nearest(at.replace(tzinfo=zone))
        assert found == bound
        assert found.astimezone(CHINA) == bound  # it can be shown
    assert nearest(datetime(2026, 5, 1, tzinfo=zone)) == datetime(2026, 5, 1, tzinfo=zone)


def test_so_is_a_day() -> None:
    assert [nearest(d) for d in (date.min, date(2026, 5, 1), date.max)] == [
        date(2000, 1, 1), date(2026, 5, 1), date(2099, 12, 31),
    ]  # fmt: skip
    assert type(nearest(date.max)) is date


def test_what_is_typed_may_be_never_but_not_before_the_first() -> None:
    assert minute("9999-12-31 23:59") == iso("9999-12-31T23:59:59.999999-14:00") == LAST
    assert day("9999-12-31") == LAST.date()
    assert iso("2026-05-01T09:00") == iso("2026-05-01T01:00:00Z") == datetime(2026, 5, 1, 1, tzinfo=UTC)
    for read, text in ((minute, "0001-01-01 00:00"), (day, "1999-12-31"), (iso, "0001-01-01T00:00:00+14:00")):
        with pytest.raises(ValueError, match="2000-01-01"):
            read(text)
