"""Windows, hours and what comes round again; all clock times are China's."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA
from smsgw.core.schedule import Hours, Recurrence, Window, Windows, written
from smsgw.platform.campaigns.model import recurrence_of, windows_of


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


OFFICE = Windows((Window(time(9), time(12)), Window(time(14), time(18))))
NIGHT = Windows((Window(time(22), time(6), frozenset({5})),))  # begins on Fridays


@pytest.mark.parametrize(
    ("windows", "now", "until", "opens"),
    [
        (OFFICE, "2026-05-01 09:00", "2026-05-01 12:00", "2026-05-01 09:00"),
        (OFFICE, "2026-05-01 12:00", None, "2026-05-01 14:00"),
        (OFFICE, "2026-05-01 18:00", None, "2026-05-02 09:00"),
        (NIGHT, "2026-05-02 05:59:59", "2026-05-02 06:00", "2026-05-02 05:59:59"),  # a Saturday
        (NIGHT, "2026-05-02 22:30", None, "2026-05-08 22:00"),
        (Windows((Window(time(8), time(12)), Window(time(12), time(0)))), "2026-05-01 09:00", "2026-05-02 00:00",
         "2026-05-01 09:00"),
    ],
)  # fmt: skip
def test_windows(windows: Windows, now: str, until: str | None, opens: str) -> None:
    for zone in (CHINA, UTC):
        moment = at(now).astimezone(zone)
        assert windows.open_until(moment) == (at(until) if until else None)
        assert windows.next_open(moment) == at(opens)


def test_no_windows_are_always_open() -> None:
    now = at("2026-05-01 03:00")
    assert Windows().next_open(now) == now
    until = Windows().open_until(now)
    assert until is not None
    assert until > now


def test_spans_are_read_as_they_are_written_and_as_calls_have_them() -> None:
    text = "mon-fri 09:00-11:30 14:00-17:00; sat-sun 22:00-06:00; 20:00-24:00"
    spans = written(text)
    assert str(spans) == text
    assert written(str(spans)) == spans
    assert windows_of(spans.plain) == spans
    assert spans.plain[3] == {"from": "20:00", "to": "24:00"}
    assert written("off") == written(" ") == Windows()
    assert str(written("2,1 09:00-10:00; 1-3,5,7 09:00-10:00")) == "mon-tue 09:00-10:00; mon-wed,fri,sun 09:00-10:00"


@pytest.mark.parametrize(
    ("minutes", "begins", "ends"),
    [
        (60, "2026-05-01 09:00", "2026-05-01 10:00"),
        (150, "2026-05-01 09:00", "2026-05-01 11:30"),
        (151, "2026-05-01 09:00", "2026-05-01 14:01"),
        (60, "2026-05-01 12:00", "2026-05-01 15:00"),
        (400, "2026-05-01 09:00", "2026-05-04 10:10"),  # from a Friday over the weekend
        (0, "2026-05-02 03:00", "2026-05-04 09:00"),
    ],
)
def test_what_is_sent_rests_while_its_hours_are_closed(minutes: int, begins: str, ends: str) -> None:
    hours = Hours((written("mon-fri 09:00-11:30 14:00-17:00"), Windows()))
    assert hours.after(at(begins), timedelta(minutes=minutes)) == at(ends)
    assert Hours((written("09:00-10:00"), written("11:00-12:00"))).after(at(begins), timedelta(0)) is None


def test_hours_are_open_when_all_are() -> None:
    hours = Hours((OFFICE, Windows((Window(time(11), time(15)),))))
    assert hours.open_until(at("2026-05-01 11:30")) == at("2026-05-01 12:00")
    assert hours.open_until(at("2026-05-01 10:00")) is None
    assert hours.next_open(at("2026-05-01 12:00")) == at("2026-05-01 14:00")
    assert hours.next_open(at("2026-05-01 15:00")) == at("2026-05-02 11:00")
    never = Hours((Windows((Window(time(9), time(10)),)), Windows((Window(time(11), time(12)),))))
    assert never.next_open(at("2026-05-01 09:00")) is None


@pytest.mark.parametrize(
    ("rule", "now", "following"),
    [
        ({"every": "day", "at": ["09:00", "21:30:15"]}, "2026-05-01 09:00", "2026-05-01 21:30:15"),
        ({"every": "day", "at": "09:00"}, "2026-05-01 09:00", "2026-05-02 09:00"),
        ({"every": "week", "at": ["09:00"], "on": [1]}, "2026-05-01 10:00", "2026-05-04 09:00"),
        ({"every": "month", "at": ["09:00"], "on": [31]}, "2026-02-01 00:00", "2026-03-31 09:00"),
        ({"every": "month", "at": ["09:00"], "on": [-1]}, "2028-02-01 00:00", "2028-02-29 09:00"),
        ({"every": "day", "at": ["09:00"], "until": "2026-05-02T08:59:59+08:00"}, "2026-05-01 09:00", None),
    ],
)
def test_what_comes_round(rule: dict[str, object], now: str, following: str | None) -> None:
    assert recurrence_of(rule).after(at(now)) == (at(following) if following else None)


def test_29_february_comes_within_four_years() -> None:
    rule = Recurrence("month", (time(8),), frozenset({29}))
    assert rule.after(at("2026-02-01 00:00")) == at("2026-03-29 08:00")


def test_the_latest_of_those_that_passed() -> None:
    rule = recurrence_of({"every": "day", "at": ["09:00"]})
    since = at("2026-05-01 09:00") - timedelta(microseconds=1)
    assert rule.latest(since, at("2026-05-01 09:00")) == (at("2026-05-01 09:00"), 0)
    assert rule.latest(since, at("2026-05-04 08:00")) == (at("2026-05-03 09:00"), 2)
    assert rule.latest(at("2026-05-01 09:00"), at("2026-05-01 10:00")) == (None, 0)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("recurring.every", {"every": "hour", "at": ["09:00"]}), ("recurring.at", {"every": "day", "at": []}),
        ("recurring.at[0]", {"every": "day", "at": ["9:00"]}), ("recurring.at[0]", {"every": "day", "at": ["24:30"]}),
        ("recurring.on", {"every": "day", "at": ["09:00"], "on": [1]}),
        ("recurring.on", {"every": "week", "at": ["09:00"]}),
        ("recurring.on", {"every": "week", "at": ["09:00"], "on": [0]}),
        ("recurring.on", {"every": "month", "at": ["09:00"], "on": [32]}), ("window[0].from", {"to": "10:00"}),
        ("window[0].to", {"from": "09:00", "to": "25:00"}), ("window[0]", {"from": "09:00", "to": "09:00"}),
        ("window[0].days", {"from": "09:00", "to": "10:00", "days": [8]}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_field(field: str, given: dict[str, object]) -> None:
    with pytest.raises(Invalid) as caught:
        recurrence_of(given) if field.startswith("recurring") else windows_of([given])
    assert caught.value.detail["field"] == field


def test_24_00_is_the_end_of_the_day() -> None:
    windows = windows_of([{"from": "18:00", "to": "24:00"}])
    assert windows.open_until(at("2026-05-01 23:59:59")) == at("2026-05-02 00:00")
