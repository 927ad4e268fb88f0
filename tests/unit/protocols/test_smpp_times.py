"""Times as SMPP writes them, and CMPP after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgw.protocols.smpp import times

NOW = datetime(2026, 5, 1, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("000000000001000R", timedelta(seconds=1)), ("000000000100000R", timedelta(minutes=1)),
        ("000000010000000R", timedelta(hours=1)), ("000001000000000R", timedelta(days=1)),
        ("000100000000000R", timedelta(days=30)), ("010000000000000R", timedelta(days=365)),
        ("020304050607000R", timedelta(days=2 * 365 + 3 * 30 + 4, hours=5, minutes=6, seconds=7)),
    ],
)  # fmt: skip
def test_a_relative_time_counts_from_now(text: str, after: timedelta) -> None:
    assert times.parse(text, NOW) == NOW + after


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("260501090000032+", "2026-05-01T09:00:00+08:00"), ("260501090000732+", "2026-05-01T09:00:00.7+08:00"),
        ("260501090000001-", "2026-05-01T09:00:00-00:15"), ("260501090000048-", "2026-05-01T09:00:00-12:00"),
        ("260501090000000+", "2026-05-01T09:00:00+00:00"), (" 991231235959032+\0", "2099-12-31T23:59:59+08:00"),
    ],
)  # fmt: skip
def test_an_absolute_time_has_its_zone(text: str, at: str) -> None:
    found = times.parse(text, NOW)
    assert found == datetime.fromisoformat(at)
    assert found is not None
    assert times.absolute(found) == text.strip(" \0")


@pytest.mark.parametrize("text", ["", " ", "\0\0"])
def test_no_time_is_none(text: str) -> None:
    assert times.parse(text, NOW) is None


@pytest.mark.parametrize(
    "text",
    ["1", "26050109000003+", "2605010900000320+", "260501090000032x", "260501090000049+", "260501o90000032+",
     "２60501090000032+", "261301090000032+", "260501250000032+", "-60501090000032+"],
)  # fmt: skip
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        times.parse(text, NOW)
